"""The steps from one form of the store's tables to the next, for alembic. They are never changed once released."""
