"""Support tickets for the demonstration: written like customers write, labelled by an imperfect teacher.

A ticket is composed of an opener, a problem (which decides the category), a detail, an urgency cue (which decides the
priority) and a closer. The labels follow from what was composed; then the teacher errs in `NOISE` of the records.
"""

import random
import re
from collections.abc import Iterator
from typing import Any

from client.cli.ticket_phrases import ASIDES, CLOSERS, CUES, DETAILS, FRAMES, OPENERS, PROBLEMS, SLOTS

CATEGORIES = ("account", "billing", "delivery", "feedback", "orders", "returns", "subscription", "technical")
PRIORITIES = (1, 2, 3, 4)
"""1 can wait, 2 is ordinary, 3 is pressing, 4 cannot wait."""
OUTPUT_SCHEMA: dict[str, Any] = {"category": list(CATEGORIES), "priority": list(PRIORITIES)}
NOISE = 0.03
TYPO = 0.12
ASIDE = 0.6

CUE_WEIGHTS = (22, 38, 25, 15)

QUESTION = re.compile(r"(^|, )(can|could|do|does|how|is|may|what|when|where|which) ")
SLOT = re.compile(r"\{(\w+)\}")


def generate(n: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """`n` rows {"input": {"text": str}, "output": {"category": str, "priority": int}}.

    Priorities are 1 to 4; the same `rng` gives the same rows.
    """
    for _ in range(n):
        category = rng.choice(CATEGORIES)
        priority = rng.choices(PRIORITIES, CUE_WEIGHTS)[0]
        text = _text(category, priority, rng)
        if rng.random() < NOISE:
            category, priority = _mistake(category, priority, rng)
        yield {"input": {"text": text}, "output": {"category": category, "priority": priority}}


def _text(category: str, priority: int, rng: random.Random) -> str:
    problem = _filled(rng.choice(PROBLEMS[category]), rng)
    cue = _filled(rng.choice(CUES[priority]), rng)
    detail = _filled(rng.choice(DETAILS), rng)
    opener, closer = rng.choice(OPENERS), _filled(rng.choice(CLOSERS), rng)
    asks = QUESTION.search(problem)
    ending = "?" if asks else rng.choice((".", ".", ".", "!"))
    problem = rng.choice(FRAMES) + problem
    sentence = problem[0].upper() + problem[1:]
    problem = problem if opener else sentence
    cue += "" if cue.endswith("!") else "?" if cue.startswith(("Could", "What", "Can")) else "."
    aside = rng.choice(ASIDES) if rng.random() < ASIDE else ""
    parts = [f"{opener} {problem}{ending}", aside, *rng.choice(((detail, cue), (cue, detail), (detail, cue))), closer]
    if rng.random() < 0.15:
        parts = [cue, f"{sentence}{ending}", detail, aside, closer]
    text = " ".join(part.strip() for part in parts if part.strip())
    if rng.random() < 0.1:
        text = text.lower()
    return _misspelt(text, rng) if rng.random() < TYPO else text


def _filled(template: str, rng: random.Random) -> str:
    """The template with each slot filled; money, counts and order numbers are drawn, the rest is chosen."""

    def value(match: re.Match[str]) -> str:
        match match[1]:
            case "amount" | "amount2":
                return f"{rng.choice('$€£')}{rng.randint(4, 480)}.{rng.choice(('00', '50', '90', '99'))}"
            case "n":
                return str(rng.randint(2, 12))
            case "order":
                return f"{rng.choice('ABDKRX')}{rng.randint(10_000, 99_999)}"
            case "year":
                return str(rng.randint(2009, 2024))
            case slot:
                return rng.choice(SLOTS[slot])

    return SLOT.sub(value, template)


def _misspelt(text: str, rng: random.Random) -> str:
    """Swap two neighbouring letters, or drop or double one, as hasty fingers do."""
    places = [at for at in range(1, len(text) - 1) if text[at].isalpha() and text[at + 1].isalpha()]
    at = rng.choice(places)
    one, two = text[at], text[at + 1]
    return text[:at] + rng.choice((two + one, one, one + one + two)) + text[at + 2 :]


def _mistake(category: str, priority: int, rng: random.Random) -> tuple[str, int]:
    """What the teacher says when it errs: another category or a neighbouring priority."""
    if rng.random() < 0.5:
        return rng.choice([other for other in CATEGORIES if other != category]), priority
    return category, rng.choice([other for other in PRIORITIES if abs(other - priority) == 1])
