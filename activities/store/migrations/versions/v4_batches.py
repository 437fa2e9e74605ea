"""Questions that are collected for a provider's batch API."""

import sqlalchemy as sa
from alembic import op

from activities.store.columns import Json, Money, UtcTime

revision = "4"
down_revision = "3"


def upgrade() -> None:
    op.create_table(
        "batch_items",
        sa.Column("task", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("batch", sa.Integer, nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("input_hash", sa.String(64), nullable=False),
        sa.Column("input", Json, nullable=False),
        sa.Column("local", sa.Text),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("reserved", Money, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("provider_batch", sa.String(200)),
        sa.Column("cost", Money),
        sa.Column("score", sa.Float),
        sa.Column("example", sa.String(7)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("task", "request_id"),
    )
    op.create_index("batch_items_by_batch", "batch_items", ["task", "batch"])
    op.create_index("batch_items_by_input", "batch_items", ["task", "schema_version", "input_hash"])
    op.create_index("batch_items_by_age", "batch_items", ["created_at"])
    op.execute("UPDATE schema SET version = 4")
