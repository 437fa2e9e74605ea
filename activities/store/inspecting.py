"""A look at a store that changes nothing in it: for those who want to know before anything is upgraded."""

from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from activities.store import migrating
from activities.store.engines import open_file, open_server
from activities.store.errors import StoreError, reason
from activities.store.tables import SCHEMA
from activities.store.urls import is_file, parse_url, shown


def schema_of(url: str) -> int | None:
    """The number of the tables' form; None where there is no store yet. Blocks.

    Raises StoreError for a store that cannot be used: out of reach, or newer than this program.
    """
    place = parse_url(url)
    if is_file(place) and place.database is not None and not _there(place.database):
        return None
    engine = open_file(place) if is_file(place) else open_server(place, 1)
    try:
        with engine.connect() as connection:
            found = migrating.version(connection)
    except SQLAlchemyError as error:
        raise StoreError(f"cannot open the store {shown(place)}: {reason(error)}") from None
    finally:
        engine.dispose()
    if found is not None and found > SCHEMA:
        raise StoreError(f"the store {shown(place)} has schema {found}, made by a newer apprentice; use that one")
    return found


def _there(database: str) -> bool:
    return database.startswith("file:") or Path(database).exists()
