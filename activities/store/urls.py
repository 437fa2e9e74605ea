"""What `store.url` may say. No message repeats a password."""

from importlib.util import find_spec

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from activities.store.errors import StoreError

_EXAMPLES = "sqlite:///apprentice.db or postgresql://user@host/database"


def parse_url(url: str, name: str = "store.url") -> URL:
    """The URL of a store with the driver we use. Raises StoreError for one that cannot be a store.

    `name` is what the user knows it by: the key, or the option.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(f"{name} is not a database URL; write it like {_EXAMPLES}") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _file(parsed)
        case "postgresql" | "postgres":
            return _server(parsed)
    raise StoreError(f"cannot open the store {shown(parsed)}: only {_EXAMPLES} are supported")


def _file(url: URL) -> URL:
    if url.database in (None, "", ":memory:"):
        raise StoreError(f"cannot open the store {shown(url)}: it needs a file, like sqlite:///apprentice.db")
    return url.set(drivername="sqlite+pysqlite")


def _server(url: URL) -> URL:
    if not url.database:
        raise StoreError(f"cannot open the store {shown(url)}: name the database, like postgresql://user@host/database")
    if find_spec("psycopg") is None:
        raise StoreError(f"cannot open the store {shown(url)}: PostgreSQL needs `pip install 'apprentice[postgres]'`")
    return url.set(drivername="postgresql+psycopg")


def is_file(url: URL) -> bool:
    """True for SQLite."""
    return url.get_backend_name() == "sqlite"


def shown(url: URL) -> str:
    """The URL as it may be shown: no password, and no query, which can hold one too."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)
