"""Numbers as people write them: "1,200", "12.50", "seven", "twenty-five"."""

import re
from collections.abc import Iterator

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
WORDS = {word: n for n, word in enumerate((_UNITS + " eighteen nineteen").split())}
WORDS |= {word: 20 + 10 * n for n, word in enumerate(_TENS.split())}
WORDS |= {
    f"{tens}{gap}{one}": WORDS[tens] + WORDS[one]
    for tens in _TENS.split()
    for one in _UNITS.split()[1:10]
    for gap in "- "
}
_SPELT = "|".join(sorted(WORDS, key=len, reverse=True))
_FIGURE = re.compile(
    rf"(?<![\w.])-?\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?!\d)|-?\d+(?:\.\d+)?|\b(?:{_SPELT})\b", re.IGNORECASE
)


def figures(text: str) -> Iterator[tuple[int, int, float]]:
    """(start, end, value) of each number written in a text, in order."""
    for match in _FIGURE.finditer(text):
        yield match.start(), match.end(), _value(match.group())


def read_figure(text: str) -> float | None:
    """The number that the whole text is; None if it is none, or more than one."""
    match = _FIGURE.fullmatch(text.strip())
    return _value(match.group()) if match else None


def _value(written: str) -> float:
    word = written.lower()
    return float(WORDS[word]) if word in WORDS else float(written.replace(",", ""))
