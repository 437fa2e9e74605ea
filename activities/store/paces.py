"""What each provider's account was sent lately: one row an account, read and written by all workers in turn."""

from collections.abc import Callable

from sqlalchemy import Connection, bindparam, select, update

from activities.store.database import Database
from activities.store.dialect import insert_absent
from activities.store.tables import paces as table

# On a server the row is locked from the read to the commit. SQLite has one writer at a time and ignores the lock.
_locked = select(table.c.state).where(table.c.account == bindparam("account")).with_for_update()
_written = (
    update(table)
    .where(table.c.account == bindparam("of_account"))
    .values(state=bindparam("state", type_=table.c.state.type))
)
# Of an account that nobody has used yet.
NEW = ""


class Paces:
    """State as text: what is in it is `apprentice.pace`'s business."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def change[T](self, account: str, change: Callable[[str | None], tuple[str, T]]) -> T:
        """Replace an account's state by what `change` makes of it (None: it has none), alone with it.

        `change` runs on another thread, and again if the transaction has to be. Raises StoreError.
        """
        return await self._database.write(lambda connection: _change(connection, account, change))


def _change[T](connection: Connection, account: str, change: Callable[[str | None], tuple[str, T]]) -> T:
    key = {"account": account}
    before = connection.execute(_locked, key).scalar_one_or_none()
    if before is None:
        insert_absent(connection, table, key | {"state": NEW})
        before = connection.execute(_locked, key).scalar_one()
    after, result = change(before or None)
    connection.execute(_written, {"of_account": account, "state": after})
    return result
