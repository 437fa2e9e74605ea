"""Small charts for a terminal: a line of Braille dots, or of ASCII where the stream has no better characters."""

from collections.abc import Sequence

BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a Braille cell, by row (4) and column (2)."""
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.-=+*#@"

type Values = Sequence[float | None]


def chart(
    values: Values, width: int, height: int, *, low: float = 0.0, high: float = 1.0, encoding: str = "utf-8"
) -> list[str]:
    """A line chart, `height` strings of `width` characters, the top first; None is a gap.

    Each character holds 2 x 4 dots; values are averaged into the columns, and clipped to `low`..`high`. Where
    `encoding` has no Braille, a character is one `*`. Empty without values or room.
    """
    if width < 1 or height < 1 or not values:
        return []
    if not encodable("\u28ff", encoding):
        rows = _rows(resample(values, width), height, low, high)
        return ["".join("*" if row == line else " " for row in rows) for line in range(height)]
    return _braille(_rows(resample(values, 2 * width), 4 * height, low, high), width, height)


def sparkline(values: Values, width: int, *, low: float = 0.0, high: float = 1.0, encoding: str = "utf-8") -> str:
    """The values in one line of at most `width` characters; a blank is a gap."""
    levels = BLOCKS if encodable(BLOCKS, encoding) else ASCII_LEVELS
    columns = resample(values, min(width, len(values)))
    rows = _rows(columns, len(levels), low, high)
    return "".join(" " if row is None else levels[len(levels) - 1 - row] for row in rows)


def resample(values: Values, columns: int) -> list[float | None]:
    """Exactly `columns` values: means where there are more, repeats where there are fewer."""
    count, result = len(values), []
    for column in range(columns if count else 0):
        first = column * count // columns
        last = max(first + 1, (column + 1) * count // columns)
        known = [value for value in values[first:last] if value is not None]
        result.append(sum(known) / len(known) if known else None)
    return result


def encodable(text: str, encoding: str) -> bool:
    """Whether a stream of this encoding can carry the text."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _rows(values: Values, rows: int, low: float, high: float) -> list[int | None]:
    """The row of each value, 0 at the top."""
    span = high - low or 1.0
    ways = [None if value is None else min(1.0, max(0.0, (value - low) / span)) for value in values]
    return [None if way is None else round((1 - way) * (rows - 1)) for way in ways]


def _braille(rows: list[int | None], width: int, height: int) -> list[str]:
    cells = [[0] * width for _ in range(height)]
    before: int | None = None
    for column, row in enumerate(rows):
        if row is not None:
            # A jump is drawn as a vertical line, so that the eye can follow it.
            start = row if before is None else before + (row > before) - (row < before)
            for y in range(min(start, row), max(start, row) + 1):
                cells[y // 4][column // 2] |= DOTS[y % 4][column % 2]
        before = row
    return ["".join(chr(BRAILLE + cell) for cell in line) for line in cells]
