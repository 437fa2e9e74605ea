"""Why each call was made, and how probable that was: what another policy would have done is worked out from these."""

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"


def upgrade() -> None:
    op.add_column("calls", sa.Column("reason", sa.String(16)))
    op.add_column("calls", sa.Column("propensity", sa.Float))
    op.execute("UPDATE schema SET version = 6")
