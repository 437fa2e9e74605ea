"""Labels of people, and what is learnt of examples later: labels, and teachers who disagree."""

import sqlalchemy as sa
from alembic import op

from activities.store.columns import Json, UtcTime
from apprentice.opinions import DISPUTED_BELOW

revision = "5"
down_revision = "4"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("comparisons", sa.Column("local", Json))
    op.add_column("datasets", sa.Column("last_amendment", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "feedback",
        sa.Column("task", sa.String(63), primary_key=True),
        sa.Column("request_id", sa.String(200), primary_key=True),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("audited", sa.Boolean, nullable=False),
        sa.Column("labelled_at", UtcTime),
        sa.Column("output", Json),
        sa.Column("correct", sa.Boolean),
        sa.Column("amends", sa.Boolean, nullable=False),
        sa.Column("teacher", sa.String(264)),
        sa.Column("served_score", sa.Float),
        sa.Column("teacher_score", sa.Float),
        sa.Column("local_score", sa.Float),
        sa.Column("agreement", sa.Float),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_index("feedback_by_age", "feedback", ["created_at"])
    amendments = op.create_table(
        "amendments",
        sa.Column("task", sa.String(63), primary_key=True),
        sa.Column("schema_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("example", _ROW_ID, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("output", Json),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_index("amendments_by_example", "amendments", ["task", "schema_version", "example"])
    _known_disputes(amendments)
    op.execute("UPDATE schema SET version = 5")


def _known_disputes(amendments: sa.Table) -> None:
    """Teachers have disagreed before: their opinions are there."""
    query = sa.text(
        "SELECT examples.task, examples.schema_version, examples.id, opinions.created_at FROM opinions "
        "JOIN examples ON examples.task = opinions.task AND examples.request_id = opinions.request_id "
        "WHERE opinions.score < :limit ORDER BY examples.id"
    ).columns(created_at=UtcTime)
    numbers: dict[tuple[str, int], int] = {}
    rows = []
    for task, version, example, at in op.get_bind().execute(query, {"limit": DISPUTED_BELOW}):
        number = numbers[task, version] = numbers.get((task, version), 0) + 1
        key = {"task": task, "schema_version": version, "number": number}
        rows.append(key | {"example": example, "kind": "disputed", "output": None, "created_at": at})
    if rows:
        op.bulk_insert(amendments, rows)
    counted = sa.text("UPDATE datasets SET last_amendment = :number WHERE task = :task AND schema_version = :version")
    for (task, version), number in numbers.items():
        op.get_bind().execute(counted, {"number": number, "task": task, "version": version})
