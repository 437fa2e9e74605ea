"""How far the promise on quality is proven, for operators. Reading changes nothing."""

from apprentice.messages import Promise
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

WORTH = 0.05
"""Of the requests: a proof that would let so many more be served locally is worth to be told of."""


def promise(state: LifecycleState, settings: TaskSettings) -> Promise:
    """What is promised, what is proven, and what would prove more."""
    evidence, confidence = state.evidence, settings.quality.confidence
    rungs = evidence.rungs(confidence) if evidence else []
    serving = next((rung for rung in rungs if rung.proven and rung.confidence == state.defer_below), None)
    share = serving.share if serving else 0.0
    waits = evidence.waits(rungs, confidence) if evidence else []
    notable = [wait for wait in waits if wait[1].share >= share + WORTH]
    needed, nearest = min(notable, key=lambda wait: wait[0], default=(None, None))
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
