"""Prompts by version, texts that were no answers, the pace of each provider's account, second opinions."""

import sqlalchemy as sa
from alembic import op

from activities.store.columns import UtcTime

revision = "3"
down_revision = "2"


def upgrade() -> None:
    op.add_column("calls", sa.Column("rejected_text", sa.Text))
    op.add_column("examples", sa.Column("prompt_version", sa.String(12)))
    op.create_table(
        "paces", sa.Column("account", sa.String(300), primary_key=True), sa.Column("state", sa.Text, nullable=False)
    )
    op.create_table(
        "opinions",
        sa.Column("task", sa.String(63), primary_key=True),
        sa.Column("request_id", sa.String(200), primary_key=True),
        sa.Column("first", sa.String(264), nullable=False),
        sa.Column("second", sa.String(264), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.execute("UPDATE schema SET version = 3")
