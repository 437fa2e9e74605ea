"""Where the proofs put a task: its phase, how sure an answer must be to be served, how often one is checked.

A version may serve what is proven to keep the promise (`apprentice.quality.ladder`), and is checked the less the more
the proof exceeds what is needed. Of the rungs that are proven that one is chosen at which the fewest requests go to the
remote model, be it because the local one is unsure or for a check.
"""

from collections.abc import Callable
from datetime import datetime

from apprentice import sampling
from apprentice.accounting import Accounts
from apprentice.alarms import Alarms
from apprentice.confidence import window
from apprentice.messages import Action, AlertKind, Comparison, Phase
from apprentice.quality.evidence import Evidence
from apprentice.quality.ladder import Rung

LEAST_SHARE = 0.05
"""Of the requests: if no more could be served locally, a task is better off collecting."""
CERTAIN = 7.0
"""By how many nats a proof exceeds what is needed where the sampling rate reaches its floor: a thousandfold."""


class Judge:
    """Over a task's accounts, whose state holds the evidence. `retrain` starts, or notes, a fine-tune for a reason."""

    def __init__(self, accounts: Accounts, alarms: Alarms, retrain: Callable[[str, datetime], list[Action]]) -> None:
        self._accounts = accounts
        self._alarms = alarms
        self._retrain = retrain
        self.correlation = window.correlation(accounts.state.window)

    def judge(self, now: datetime) -> list[Action]:
        """Move the phase, then the rate and the threshold, to where the evidence says they belong."""
        state, settings = self._accounts.state, self._accounts.settings
        thresholds = settings.confidence_thresholds
        if state.phase is Phase.COLLECTING and state.version and state.examples >= thresholds.phase1_to_phase2:
            self._enter(Phase.COACHING, f"{state.examples} examples collected and a local model can answer")
        if state.phase is Phase.COLLECTING or state.evidence is None:
            return []
        if state.phase is Phase.AUTONOMOUS and state.evidence.broken:
            return self._broken(now)
        best = self._best()
        if state.phase is Phase.COACHING:
            if best is None or best.share < LEAST_SHARE or state.evidence.fair < thresholds.min_samples:
                return []
            self._enter(Phase.AUTONOMOUS, self._proof(best))
        self._steer(best)
        return []

    def _best(self) -> Rung | None:
        """The proven rung at which the fewest requests would go to the remote model."""
        evidence = self._accounts.state.evidence
        proven = [] if evidence is None else [rung for rung in evidence.rungs(self._accounts.settings) if rung.proven]
        return min(proven, key=lambda rung: 1.0 - rung.share * (1.0 - self._rate(rung)), default=None)

    def _rate(self, rung: Rung) -> float:
        """1.0 for what is just proven, falling to the floor as the proof grows."""
        return sampling.fallen(min(1.0, rung.excess / CERTAIN), self._accounts.settings.sampling)

    def _steer(self, best: Rung | None) -> None:
        """Rate and threshold in phase 3. Where nothing is proven, the remote model answers."""
        state = self._accounts.state
        certainty = min(1.0, best.excess / CERTAIN) if best else -1.0
        gone = best is None or state.defer_below < best.confidence
        if gone or sampling.moved(certainty, state.rate_anchor, self._accounts.settings.sampling):
            state.rate = self._rate(best) if best else 1.0
            state.defer_below = best.confidence if best else 1.0
            state.rate_anchor = certainty

    def _broken(self, now: datetime) -> list[Action]:
        """What is served fell below the promise. What was proven before holds no more; only what is newest counts."""
        state, settings = self._accounts.state, self._accounts.settings
        reason = f"what version {state.version} serves is proven to agree less than {settings.quality_target:.2f}"
        newest = state.window[-settings.confidence_thresholds.min_samples :]
        self._set(newest)
        state.evidence = Evidence.of(newest, settings)
        state.rate_anchor = None
        self._steer(self._best())
        if state.defer_below == 1.0:
            self._enter(Phase.COACHING, reason)
            state.batches.fresh_from = state.batches.number + 1
            reason = f"back to the remote model: {reason}"
        return [self._alarms.tell(AlertKind.QUALITY, reason, now), *self._retrain(reason, now)]

    def _proof(self, rung: Rung) -> str:
        quality, whose = self._accounts.settings.quality, "what it is sure of" if rung.confidence else "all"
        return (
            f"{whose} ({rung.share:.0%} of requests) is proven to agree with the remote model at "
            f"{self._accounts.settings.quality_target:.2f} or better, with {quality.confidence:.0%} confidence"
        )

    def _enter(self, phase: Phase, reason: str) -> None:
        state = self._accounts.state
        state.phase, state.phase_reason = phase, reason
        state.rate, state.rate_anchor, state.defer_below = 1.0, None, 1.0

    def see(self, confidence: float | None, version: int | None) -> None:
        """An answer of the local model, compared or not."""
        state = self._accounts.state
        if state.evidence is not None and version == state.version:
            state.evidence.ladder.see(confidence)

    def learn(self, comparisons: list[Comparison], *, fair: bool = True) -> None:
        """Take in comparisons of the current version. `fair`: coins chose them before anyone looked at the requests."""
        state, settings = self._accounts.state, self._accounts.settings
        if state.evidence is None:
            state.evidence = Evidence.of([], settings)
        for comparison in comparisons:
            state.evidence.learn(comparison, settings, fair=fair)
            if state.phase is Phase.AUTONOMOUS and (comparison.confidence or 0.0) >= state.defer_below:
                state.evidence.watch(comparison, settings)
        if fair:
            self._set([*state.window, *comparisons])

    def resize(self) -> None:
        """Other settings may want another window, or promise something else: the proofs begin anew from the window."""
        self.restart(self._accounts.state.window)

    def restart(self, comparisons: list[Comparison]) -> None:
        """Begin the evidence of another version with these."""
        self._set(comparisons)
        state = self._accounts.state
        state.evidence = Evidence.of(comparisons, self._accounts.settings) if state.version is not None else None
        state.rate_anchor, state.coaching = None, False

    def _set(self, comparisons: list[Comparison]) -> None:
        self._accounts.state.window = comparisons[-self._accounts.settings.sampling.window_size :]
        self.correlation = window.correlation(self._accounts.state.window)
