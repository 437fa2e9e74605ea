"""What has to be true of the block `store`: its address is one of a database that can be a store."""

from apprentice.config.surroundings import Found
from apprentice.settings import StoreSettings

_EXAMPLES = "sqlite:///apprentice.db or postgresql://user@host/database"


def check_store(settings: StoreSettings) -> Found:
    """All problems, by path below `store`. No message repeats the address: it may hold a password."""
    scheme, separator, rest = settings.url.partition("://")
    kind = scheme.partition("+")[0]
    database = rest.partition("?")[0].partition("/")[2]
    if not separator or kind not in ("sqlite", "postgresql", "postgres"):
        yield ("url",), f"expected the address of a database, such as {_EXAMPLES}"
    elif kind == "sqlite" and database in ("", ":memory:"):
        yield ("url",), "names no file; write it like sqlite:///apprentice.db, or sqlite:////folder/apprentice.db"
    elif not database:
        yield ("url",), "names no database; write it like postgresql://user@host/database"
