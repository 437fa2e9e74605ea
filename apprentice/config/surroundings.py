"""What a configuration is checked against, and what several checks have in common."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from apprentice.config.errors import Path as KeyPath

Found = Iterator[tuple[KeyPath, str]]

API_PATHS = ("/chat/completions", "/responses", "/messages")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
# A name in this style is shown when it is not set; anything else may be the secret itself, written in by mistake.
_CUSTOMARY = re.compile(r"[A-Z][A-Z0-9]{0,20}(_[A-Z0-9]{1,20}){1,6}")


@dataclass(frozen=True)
class Surroundings:
    """What a configuration is checked against: environment variables, and the folder that its paths start from."""

    environ: Mapping[str, str]
    folder: Path


def variable(name: str | None, path: KeyPath, environ: Mapping[str, str]) -> Found:
    """The environment variable that is named here is set."""
    if name is None or environ.get(name):
        return
    if not _VARIABLE.fullmatch(name):
        yield path, "expected the NAME of an environment variable, never its value"
    elif _CUSTOMARY.fullmatch(name):
        yield path, f"the environment variable {name} is not set"
    else:
        yield path, "the environment variable named here is not set (is it a name, not the value itself?)"


def address(text: str, path: KeyPath, such_as: str) -> Found:
    """The text is the address of a server, up to where a path of ours is put behind it."""
    try:
        url = urlsplit(text)
        whole = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        whole = False
    # None of these messages repeats the address: it may hold a secret that was written in by mistake.
    if not whole or any(char.isspace() or not char.isprintable() for char in text):
        yield path, f"expected an address such as {such_as}"
    elif "@" in url.netloc:
        yield path, "holds a user or password: name the key's environment variable in `api_key_env`"
    elif url.query or url.fragment:
        yield path, "must end before `?` and `#`: the API's own paths are put behind it"
    elif (ours := next((one for one in API_PATHS if url.path.rstrip("/").endswith(one)), None)) is not None:
        yield path, f"must end before {ours}, which is put behind it"
