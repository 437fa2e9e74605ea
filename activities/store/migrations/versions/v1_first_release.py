"""The tables of 0.1.0. A store that it made is taken to be here already."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    schema = op.create_table("schema", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    op.bulk_insert(schema, [{"version": 1}])
    op.create_table(
        "settings",
        sa.Column("digest", sa.String(16), primary_key=True),
        sa.Column("task", sa.String(63), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
    )
    _calls()
    _examples()
    op.create_table(
        "comparisons",
        sa.Column("task", sa.String(63), primary_key=True),
        sa.Column("request_id", sa.String(200), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("confidence", sa.Float),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("task", sa.String(63), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
    )


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("task", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("role", sa.String(6), nullable=False),
        sa.Column("input_hash", sa.String(64), nullable=False),
        sa.Column("admission", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("provider", sa.String(63)),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("idempotency_key", sa.String(64)),
        sa.Column("upper_bound", sa.String(40)),
        sa.Column("answer", sa.Text),
        sa.Column("cost", sa.String(40)),
        sa.Column("error", sa.Text),
        sa.Column("example", sa.String(7)),
        sa.Column("served", sa.Boolean, nullable=False),
        sa.Column("degraded", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("settled_at", sa.String(32)),
        sa.PrimaryKeyConstraint("task", "request_id", "role"),
    )
    in_doubt = sa.text("state = 'intent'")
    op.create_index("calls_in_doubt", "calls", ["task"], sqlite_where=in_doubt, postgresql_where=in_doubt)


def _examples() -> None:
    op.create_table(
        "examples",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("task", sa.String(63), nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("input_hash", sa.String(64), nullable=False),
        sa.Column("split", sa.String(7), nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("provider", sa.String(63), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("fair", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.UniqueConstraint("task", "schema_version", "input_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("examples_in_order", "examples", ["task", "schema_version", "split", "id"])
    op.create_table(
        "datasets",
        sa.Column("task", sa.String(63), primary_key=True),
        sa.Column("schema_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_id", _ROW_ID, nullable=False),
        sa.Column("train", sa.Integer, nullable=False),
        sa.Column("holdout", sa.Integer, nullable=False),
    )
