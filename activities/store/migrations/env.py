"""What alembic runs: its steps on the connection, and within the transaction, of `migrating.upgrade`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
