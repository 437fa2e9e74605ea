"""Numbers of things, as they are told."""


def counted(number: int, thing: str) -> str:
    """`1 row`, `2,000 rows`; `thing` is one of them, of a name whose plural ends in s."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
