"""What a version's own training said of it: answers to its examples by models of its kind that had not seen them.

They are worth four times the hold-out part for a proof of quality, at no cost. The models behind them saw fewer
examples than the version did, so they are rather worse than it. Only fair draws of the traffic count.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from apprentice.messages import Score

FILE = "rehearsal.json"
MOST = 1500
DIGITS = 4
_answers = TypeAdapter(list[tuple[Score, Score]])


def write(folder: Path, answers: Iterable[tuple[float, float]]) -> None:
    """Keep (score, confidence) of each answer beside a model."""
    kept = [(round(score, DIGITS), round(confidence, DIGITS)) for score, confidence in answers]
    (folder / FILE).write_text(json.dumps(kept[-MOST:]) + "\n", encoding="utf-8")


def read(folder: Path) -> list[tuple[float, float]]:
    """What was kept; nothing where nothing was, as with versions of servers, or where it cannot be read."""
    try:
        return _answers.validate_json((folder / FILE).read_bytes())[-MOST:]
    except (OSError, ValidationError):
        return []
