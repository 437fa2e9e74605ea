"""How far the promise on quality is proven, for operators. Reading changes nothing."""

import math

from apprentice.messages import Promise
from apprentice.quality.evidence import Evidence
from apprentice.quality.ladder import Rung
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

WORTH = 0.05
"""Of the requests: a proof that would let so many more be served locally is worth to be told of."""


def promise(state: LifecycleState, settings: TaskSettings) -> Promise:
    """What is promised, what is proven, and what would prove more."""
    rungs = state.evidence.rungs(settings.quality.confidence) if state.evidence is not None else []
    serving = next((rung for rung in rungs if rung.proven and rung.confidence == state.defer_below), None)
    share = serving.share if serving else 0.0
    nearest, needed = _nearest(state.evidence, rungs, share, settings.quality.confidence)
    return Promise(
        target=settings.quality_target,
        confidence=settings.quality.confidence,
        scope=settings.quality.scope,
        threshold=serving.confidence if serving else None,
        share=share,
        agreement=serving.agreement if serving else None,
        next_share=nearest.share if nearest else None,
        next_agreement=nearest.agreement if nearest else None,
        needed=needed,
    )


def _nearest(
    evidence: Evidence | None, rungs: list[Rung], share: float, confidence: float
) -> tuple[Rung | None, int | None]:
    """The rung that lets notably more be served and is proven soonest, and after how many more comparisons."""
    if evidence is None:
        return None, None
    waits: list[tuple[int, Rung]] = []
    turn: int | None = 0
    for rung in rungs:
        own = 0 if rung.proven else evidence.ladder.needed(rung, evidence.scope, confidence)
        # One that was given no part of the error waits until the one above it is proven.
        turn = own if math.isfinite(rung.excess) else None if own is None or turn is None else max(own, turn)
        if turn and rung.share >= share + WORTH:
            waits.append((turn, rung))
    needed, nearest = min(waits, key=lambda wait: wait[0], default=(None, None))
    return nearest, needed
