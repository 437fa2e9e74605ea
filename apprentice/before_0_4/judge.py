"""What the comparisons say, and what follows: phase, sampling rate, deferral. Part of a task's brain."""

from collections.abc import Callable
from datetime import datetime

from apprentice import sampling
from apprentice.accounting import Accounts
from apprentice.alarms import Alarms
from apprentice.before_0_4 import deferral, phases, shift
from apprentice.confidence import window
from apprentice.messages import Action, AlertKind, Answer, Comparison, Interval, Phase, Validation


class Judge:
    """Over a task's accounts, whose state holds the window. `retrain` starts a fine-tune for a reason, or notes it."""

    def __init__(self, accounts: Accounts, alarms: Alarms, retrain: Callable[[str, datetime], list[Action]]) -> None:
        self._accounts = accounts
        self._alarms = alarms
        self._retrain = retrain
        self.correlation = window.correlation(accounts.state.window)

    def judge(self, now: datetime) -> list[Action]:
        """Move the phase, then the rate and the deferral threshold, to where the window says they belong."""
        state = self._accounts.state
        move = phases.next_phase(
            state.phase,
            examples=state.examples,
            can_answer=state.version is not None,
            compared=len(state.window),
            correlation=self.correlation,
            shifted=shift.proven(state.shift),
            thresholds=self._accounts.settings.confidence_thresholds,
        )
        actions = self._move(*move, now) if move else []
        if state.phase is Phase.AUTONOMOUS and self.correlation is not None:
            actions += self._steer(self.correlation, now)
        return actions

    def _move(self, phase: Phase, reason: str, now: datetime) -> list[Action]:
        state, back = self._accounts.state, phase < self._accounts.state.phase
        state.phase, state.phase_reason = phase, reason
        state.rate, state.rate_anchor, state.shift = 1.0, None, 0.0
        if not back:
            # A version may have been promoted long before the last example that this move waited for.
            return self.judge(now) if phase is Phase.COACHING else []
        self.restart([])
        state.batches.fresh_from = state.batches.number + 1
        return [
            self._alarms.tell(AlertKind.QUALITY, f"back to the remote model: {reason}", now),
            *self._retrain(reason, now),
        ]

    def _steer(self, correlation: Interval, now: datetime) -> list[Action]:
        """Rate and deferral threshold in phase 3; coaching when the correlation is under the trigger."""
        state, thresholds = self._accounts.state, self._accounts.settings.confidence_thresholds
        state.defer_below = deferral.threshold(state.window, thresholds.phase2_to_phase3)
        # Little evidence must never look like much: until the window is full its lower bound stands for its mean.
        full = len(state.window) >= self._accounts.settings.sampling.window_size
        effective = correlation.mean if full else correlation.low
        before, state.coaching = state.coaching, self._coaching(correlation)
        low = state.coaching or correlation.mean < thresholds.coaching_trigger
        if low or sampling.moved(effective, state.rate_anchor, self._accounts.settings.sampling):
            state.rate = sampling.rate(effective, thresholds, self._accounts.settings.sampling)
            state.rate_anchor = effective
        if before or not state.coaching:
            return []
        reason = f"correlation {correlation.mean:.2f} fell below coaching_trigger {thresholds.coaching_trigger:.2f}"
        alert = self._alarms.tell(AlertKind.QUALITY, f"{reason}; everything is compared", now)
        return [alert, *self._retrain(reason, now)]

    def _coaching(self, correlation: Interval) -> bool:
        """Whether the correlation fell below the trigger and has not come back to where a model may serve.

        If coaching ended at the trigger itself, a correlation near it would alert and retrain at every crossing.
        """
        thresholds = self._accounts.settings.confidence_thresholds
        if self._accounts.state.coaching:
            return correlation.mean < thresholds.phase2_to_phase3
        return phases.enough(correlation, thresholds) and correlation.mean < thresholds.coaching_trigger

    def see(self, answer: Answer) -> bool:
        """Nothing was concluded from an answer that was not compared."""
        return False

    def see_unusable(self, version: int | None) -> None:
        """Nor from one that did not fit."""

    def hear(self, answer: Answer) -> None:
        """Nor from what the remote model spoke of."""

    def learn(self, comparisons: list[Comparison], *, fair: bool = True) -> None:
        """Take in comparisons of the current version, if they are fair."""
        if not fair:
            return
        state, trigger = self._accounts.state, self._accounts.settings.confidence_thresholds.coaching_trigger
        self._set([*state.window, *comparisons])
        if state.phase is Phase.AUTONOMOUS:
            for comparison in comparisons:
                state.shift = shift.step(state.shift, comparison.score, trigger)

    def resize(self) -> None:
        """Other settings may want another window; the rate is taken anew."""
        self._set(self._accounts.state.window)
        self._accounts.state.rate_anchor = None

    def restart(self, comparisons: list[Comparison], validation: Validation | None = None) -> None:
        """Begin the window of another version with these."""
        self._set(comparisons)
        self._accounts.state.shift, self._accounts.state.rate_anchor, self._accounts.state.coaching = 0.0, None, False

    def _set(self, comparisons: list[Comparison]) -> None:
        self._accounts.state.window = comparisons[-self._accounts.settings.sampling.window_size :]
        self.correlation = window.correlation(self._accounts.state.window)
