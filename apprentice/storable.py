"""What is good JSON and still cannot be kept: a NUL character is text that PostgreSQL does not store."""

import re

# An escape, and not an escaped backslash before the letters u0000.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def why_not_storable(content: bytes, what: str = "input") -> str | None:
    """The words for a caller, or None if any database stores this JSON. `what` it is."""
    if b"\\u0000" in content and _NUL.search(content):
        return f"a text in the {what} holds a NUL character, which not every database can store"
    return None
