"""Answers given again (`copy_of`, by input), one served answer a request for certain, and ages to forget by."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    op.add_column("calls", sa.Column("schema_version", sa.Integer))
    op.add_column("calls", sa.Column("copy_of", sa.String(200)))
    paid = sa.text("role = 'remote' AND state = 'answered' AND copy_of IS NULL")
    op.create_index(
        "calls_by_input",
        "calls",
        ["task", "input_hash", "schema_version", "settled_at"],
        sqlite_where=paid,
        postgresql_where=paid,
    )
    once = sa.text("served")
    op.create_index(
        "calls_served_once", "calls", ["task", "request_id"], unique=True, sqlite_where=once, postgresql_where=once
    )
    op.create_index("calls_by_age", "calls", ["created_at"])
    op.create_index("comparisons_by_age", "comparisons", ["created_at"])
    op.execute("UPDATE schema SET version = 2")
