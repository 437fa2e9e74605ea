"""Where the proofs put a task: its phase, how sure an answer must be to be served, how often one is checked.

A version may serve what is proven to keep the promise (`apprentice.quality.ladder`), and is checked the less the more
the proof exceeds what is needed, the more the more points to a fall of its quality. Of the rungs that are proven that
one is chosen at which the fewest requests go to the remote model, be it because the local one is unsure or for a check.
"""

from collections.abc import Callable
from datetime import datetime

from apprentice import repeating, sampling
from apprentice.accounting import Accounts
from apprentice.alarms import Alarms
from apprentice.confidence.wealth import proof
from apprentice.messages import Action, AlertKind, Answer, Comparison, Interval, Phase, Validation
from apprentice.quality.evidence import Evidence
from apprentice.quality.ladder import Rung

LEAST_SHARE = 0.1
"""Of the requests: if no more could be served locally, a task is better off collecting."""
CHECKS = 0.1
"""Of what unsureness costs, checks may cost as much: where most requests go to the remote model anyway, checking the
others tells much for little."""
CERTAIN = 2.3
"""By how many nats a proof exceeds what is needed where the sampling rate reaches its floor: a tenfold."""
PATIENCE = 0.3
"""Times the requests so far: what a proof would save on that many more of them, comparing everything until it is there
may cost. A task is taken to go on about as long as it has.
"""


class Judge:
    """Over a task's accounts, whose state holds the evidence. `retrain` starts, or notes, a fine-tune for a reason."""

    def __init__(self, accounts: Accounts, alarms: Alarms, retrain: Callable[[str, datetime], list[Action]]) -> None:
        self._accounts = accounts
        self._alarms = alarms
        self._retrain = retrain
        # What was proven since the last judgement: a fall of the agreement and its level since then; other inputs.
        self._fell: tuple[str, float] | None = None
        self._others: str | None = None
        state = accounts.state
        if state.evidence is None and state.version is not None:
            # A run of an earlier release left comparisons, and no proof.
            state.evidence = Evidence.of(state.window, accounts.settings)

    @property
    def correlation(self) -> Interval | None:
        """How well the version agrees with the remote model on all traffic; None before the first comparison."""
        evidence = self._accounts.state.evidence
        return evidence.correlation() if evidence else None

    # --- what is learnt ----------------------------------------------------------------------------------------

    def see(self, answer: Answer) -> bool:
        """An answer of the local model, compared or not; whether there is something to judge now."""
        state = self._accounts.state
        if state.evidence is None or answer.version != state.version:
            return False
        if change := state.evidence.see(answer):
            self._others = str(change)
        return change is not None

    def hear(self, answer: Answer) -> None:
        """What the remote model said to a fair request that the local one answered too."""
        evidence = self._accounts.state.evidence
        if evidence is not None and (change := evidence.hear(answer)):
            self._others = str(change)

    def see_unusable(self, version: int | None) -> None:
        """What the local model wrote does not even fit: a request that it will not serve, whatever is proven."""
        state = self._accounts.state
        if state.evidence is not None and version == state.version:
            state.evidence.ladder.see(None)

    def learn(self, comparisons: list[Comparison], *, fair: bool = True) -> None:
        """Take in comparisons of the current version. `fair`: coins chose them before anyone looked at the requests."""
        state = self._accounts.state
        for comparison in comparisons:
            assert state.evidence is not None  # there is a version
            if fair:
                self._keep([*state.window, comparison])
            sure = (comparison.confidence or 0.0) >= state.defer_below
            serves = sure if state.phase is Phase.AUTONOMOUS else None
            if change := state.evidence.learn(comparison, fair=fair, serves=serves):
                self._fell = str(change), change.after
                state.overrated |= state.evidence.overrated(change.ago)
                self._begin_again(change.ago)

    def resize(self) -> None:
        """Other settings may want another window; if they promise something else, it is proven anew from that."""
        state, settings = self._accounts.state, self._accounts.settings
        self._keep(state.window)
        if state.evidence is not None and not state.evidence.concerns(settings):
            before, state.evidence = state.evidence, Evidence.of(state.window, settings, classes=state.evidence.classes)
            state.evidence.inputs = before.inputs  # of the version, whatever is promised
        state.rate_anchor = None

    def restart(self, comparisons: list[Comparison], validation: Validation | None = None) -> None:
        """Begin the evidence of another version with its hold-out comparisons, and what its training told."""
        state, settings = self._accounts.state, self._accounts.settings
        rehearsal = validation.rehearsal if validation else []
        typical = [one.confidence or 0.0 for one in comparisons] + [confidence for _, confidence in rehearsal]
        if state.fresh_taught is not None:
            # What was right before the traffic changed proves nothing of any version; nobody knows when a rehearsed
            # example came.
            comparisons, rehearsal = comparisons[max(0, len(comparisons) - state.fresh_taught) :], []
        if repeating.repeats(state) or state.overrated:
            # It is less sure of what it was never shown than of what comes: that does not say where to begin. Where
            # like requests come together and never again, both parts hold some of each, and what comes is like none.
            comparisons, rehearsal, typical = [], [], [] if any(typical) else typical
        self._keep(comparisons)
        state.evidence = None
        if state.version is not None:
            classes, repeated = validation.classes if validation else "", repeating.share(state)
            state.evidence = Evidence.of(comparisons, settings, rehearsal, typical, classes, repeated)
            state.evidence.held = len(comparisons) if comparisons or rehearsal else None
        state.rate_anchor, state.coaching = None, False

    def _begin_again(self, newest: int) -> None:
        """What was proven before holds no more; only the newest comparisons count."""
        state = self._accounts.state
        self._keep(state.window[-newest:])
        classes = state.evidence.classes if state.evidence else ""
        state.evidence = Evidence.of(state.window, self._accounts.settings, classes=classes)
        state.rate_anchor, state.coaching = None, True

    def _keep(self, comparisons: list[Comparison]) -> None:
        self._accounts.state.window = comparisons[-self._accounts.settings.sampling.window_size :]

    # --- what follows from it ----------------------------------------------------------------------------------

    def judge(self, now: datetime) -> list[Action]:
        """Move the phase, then the rate and the threshold, to where the evidence says they belong."""
        state, thresholds = self._accounts.state, self._accounts.settings.confidence_thresholds
        collected = repeating.answers(state) >= thresholds.phase1_to_phase2
        if state.phase is Phase.COLLECTING and state.version and collected:
            self._enter(Phase.COACHING, f"{state.examples} examples collected and a local model can answer")
        if state.phase is Phase.COLLECTING or state.evidence is None:
            return []
        broken = self._broken(state.evidence)
        if state.phase is Phase.AUTONOMOUS and self._fell is None and broken:
            state.overrated |= state.evidence.broken and state.evidence.overrated(state.evidence.served.ago)
            self._begin_again(thresholds.min_samples)
            self._fell = broken, state.evidence.agreement.mean() or 0.0
        rungs = state.evidence.rungs(self._accounts.settings.quality.confidence)
        best, enough = self._best(rungs), state.evidence.agreement.n >= thresholds.min_samples
        if state.phase is Phase.COACHING and best and enough and not broken:
            self._enter(Phase.AUTONOMOUS, self._proof(best))
        actions = self._changed(best, now)
        if state.phase is Phase.AUTONOMOUS:
            self._steer(best, rungs)
        return actions

    def _broken(self, evidence: Evidence) -> str | None:
        """What is proven against the version, in words."""
        settings = self._accounts.settings
        emergency = settings.confidence_thresholds.emergency_threshold
        low = evidence.agreement.below(emergency) >= proof(1.0 - settings.quality.confidence)
        # One that is right on a share of the traffic alone serves that, however bad it is on the rest.
        if low and not evidence.good_somewhere(settings.quality.confidence, LEAST_SHARE):
            return f"it is proven to agree less than emergency_threshold {emergency:.2f}"
        return f"what it serves is proven to agree less than {evidence.target:.2f}" if evidence.broken else None

    def _changed(self, best: Rung | None, now: datetime) -> list[Action]:
        """Tell of a change, teach the local model anew, and go back to the remote one where nothing is proven."""
        state, fell, others = self._accounts.state, self._fell, self._others
        self._fell = self._others = None
        told, trigger = [], self._accounts.settings.confidence_thresholds.coaching_trigger
        if fell:
            reason, level = f"version {state.version}: {fell[0]}", fell[1]
            back = best is None or level < trigger
            if state.phase is Phase.AUTONOMOUS and back:
                self._enter(Phase.COACHING, reason)
                state.batches.fresh_from = state.batches.number + 1
            then = "back to the remote model" if back else "what it serves is compared until it is proven anew"
            told.append(f"{reason}; {then}")
        if others:
            told.append(f"the inputs change: {others}")
        if told:
            state.fresh = state.fresh_taught = 0
        actions: list[Action] = [self._alarms.tell(AlertKind.QUALITY, words, now) for words in told]
        return [*actions, *self._retrain(told[0], now)] if told else actions

    def _best(self, rungs: list[Rung]) -> Rung | None:
        """The proven rung at which the fewest requests would go to the remote model."""
        proven = [rung for rung in rungs if rung.proven and rung.share >= LEAST_SHARE]
        return min(proven, key=lambda rung: 1.0 - rung.share * (1.0 - self._rate(rung)), default=None)

    def _rate(self, rung: Rung) -> float:
        """1.0 for what is just proven, falling to the floor as the proof grows."""
        fallen = sampling.fallen(rung.excess / CERTAIN, self._accounts.settings.sampling)
        return max(fallen, min(1.0, CHECKS * (1.0 - rung.share) / rung.share))

    def _steer(self, best: Rung | None, rungs: list[Rung]) -> None:
        """Rate and threshold in phase 3. Where nothing is proven, the remote model answers."""
        state = self._accounts.state
        suspicion = state.evidence.suspicion if state.evidence else 0.0
        certainty = min(1.0, best.excess / CERTAIN) * (1.0 - suspicion) if best else -1.0
        other = best is None or state.defer_below != best.confidence
        if other or sampling.moved(certainty, state.rate_anchor, self._accounts.settings.sampling):
            state.rate = self._rate(best) ** (1.0 - suspicion) if best else 1.0
            state.defer_below = best.confidence if best else 1.0
            state.rate_anchor = certainty
        if best and self._pays(best, rungs):
            state.rate, state.rate_anchor = 1.0, None  # as soon as it does not, the rate is set anew
        state.coaching = state.coaching and certainty < 1.0

    def _pays(self, best: Rung, rungs: list[Rung]) -> bool:
        """Whether comparing everything is soon paid back: a proof near enough would let enough more be served."""
        state = self._accounts.state
        if state.evidence is None or best.share >= 1.0:
            return False
        worth = PATIENCE * state.requests
        waits = state.evidence.waits(rungs, self._accounts.settings.quality.confidence)
        return any(best.share * wait <= worth * (rung.share - best.share) for wait, rung in waits)

    def _enter(self, phase: Phase, reason: str) -> None:
        state = self._accounts.state
        state.phase, state.phase_reason = phase, reason
        state.rate, state.rate_anchor, state.defer_below = 1.0, None, 1.0

    def _proof(self, rung: Rung) -> str:
        settings = self._accounts.settings
        whose = f"what it is at least {rung.confidence:.2f} sure of" if rung.confidence else "everything"
        return (
            f"{whose} ({rung.share:.0%} of requests) is proven to agree with the remote model at "
            f"{settings.quality_target:.2f} or better, with {settings.quality.confidence:.0%} confidence"
        )
