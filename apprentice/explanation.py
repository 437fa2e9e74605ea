"""Why a task is where it is and what would move it, in one sentence."""

from apprentice import outage, repeating
from apprentice.allowance import overview as allowance
from apprentice.messages import AllowanceStatus, Interval, Phase, Promise
from apprentice.promotion import LEAST_HOLDOUT
from apprentice.schedule import LEAST_EXAMPLES, batch, judgeable, new_examples
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState

BEFORE_0_4 = "the run of an earlier release goes on by its rules until it rolls over, then by proofs"


def explain(
    state: LifecycleState,
    settings: TaskSettings,
    correlation: Interval | None,
    promise: Promise | None,
    *,
    forced: bool,
    standing: AllowanceStatus | None = None,
) -> str:
    """One sentence for an operator; numbers rounded to two digits. A run of before 0.4 promises nothing."""
    if forced:
        until = f" until {state.forced_until:%Y-%m-%d %H:%M} UTC" if state.forced_until else " until resumed"
        return f"an operator sends everything to the remote model{until}"
    if state.health.outage is not None:
        return f"{outage.words(state.health.outage)}; requests go to the remote model within budget"
    if words := allowance.explain(state, standing):
        return words
    match state.phase:
        case Phase.COLLECTING:
            return _collecting(state, settings)
        case Phase.COACHING:
            return _coaching(state, settings, correlation, promise)
        case Phase.AUTONOMOUS:
            return _autonomous(state, correlation, promise)


def _collecting(state: LifecycleState, settings: TaskSettings) -> str:
    needed = settings.confidence_thresholds.phase1_to_phase2
    if state.training is not None:
        return f"fine-tune {state.training} is running on the {state.trained_examples} examples collected before it"
    if repeating.answers(state) < needed:
        local = settings.local
        lacks = local.backend != "embedded" and local.base_model is None
        but = f"; there is none to try, as local.base_model names no model of {local.backend}" if lacks else ""
        if state.repeated:
            so_far = f"collecting answers: {repeating.answers(state)} of {needed} before the local model is tried"
            return f"{so_far}, {state.repeated} of them to inputs that came again{but}"
        return f"collecting examples: {state.examples} of {needed} before the local model is tried{but}"
    if not judgeable(state, needed):
        lacking, other = _count(LEAST_HOLDOUT - state.holdout, "more hold-out example"), _or_repeats(state, needed)
        return f"{_count(state.examples, 'example')} collected; needs {lacking} to judge a local model by{other}"
    last = state.versions[-1] if state.versions else None
    so_far = f"{_count(state.examples, 'example')} collected, no local model can answer yet"
    if last is not None:
        verb = "failed" if last.state == "failed" else f"was {last.state}"
        so_far = f"fine-tune {last.version} {verb} ({last.reason})"
    if state.coaching_paused:
        return f"{so_far}; coaching is paused, so no other is started"
    due = batch(state, settings)
    other = f", or {_count(max(1, due - state.dry), 'more answer')} without a new one" if state.repeated else ""
    return f"{so_far}; the next after {_count(max(1, due - new_examples(state)), 'more example')}{other}"


def _or_repeats(state: LifecycleState, needed: int) -> str:
    """What would do in place of hold-out examples, where inputs come again."""
    if not state.repeated:
        return ""
    if state.repeated < needed:
        return f", or {_count(needed - state.repeated, 'more answer')} to inputs that came before"
    return f", or {_count(LEAST_EXAMPLES - state.examples + state.holdout, 'more example')} to train on"


def _coaching(
    state: LifecycleState, settings: TaskSettings, correlation: Interval | None, promise: Promise | None
) -> str:
    if correlation is None:
        return f"version {state.version} shadows the remote model; no comparison yet"
    if promise is None:
        return f"version {state.version} shadows the remote model: {_measured(correlation)}; {BEFORE_0_4}"
    missing = settings.confidence_thresholds.min_samples - correlation.n
    if missing > 0 and promise.needed is None:
        return f"version {state.version} shadows the remote model: {_measured(correlation)}; needs " + _count(
            missing, "more comparison"
        )
    return f"version {state.version} shadows the remote model: {_measured(correlation)}; {_outlook(promise)}"


def _autonomous(state: LifecycleState, correlation: Interval | None, promise: Promise | None) -> str:
    measured = _measured(correlation) if correlation else "no comparison of this version yet"
    if promise is None:
        rate = "none" if state.coaching_paused else f"{state.rate:.1%}"
        checked = f"{rate} of requests are checked"
        return f"version {state.version} serves what it is sure enough of, {checked}: {measured}; {BEFORE_0_4}"
    if promise.threshold is None:
        return f"the remote model answers, as nothing is proven of version {state.version}: {measured}; " + _outlook(
            promise
        )
    if state.coaching_paused:
        return f"version {state.version} serves unwatched, coaching is paused: {measured}"
    what = f"answers at least {promise.threshold:.2f} sure" if promise.threshold else "all answers"
    proven = f"{what} ({promise.share:.0%} of requests) are proven to agree at {promise.target:.2f} or better"
    if promise.scope == "served":
        proven = f"everything served is proven to agree at {promise.target:.2f} or better with {what} served locally"
    checked = f"{state.rate:.1%} of them are checked" if state.rate < 1.0 else "but everything is still compared"
    more = f"; {_outlook(promise)}" if promise.needed is not None else ""
    return f"version {state.version} serves: {proven}, {checked}; {measured}{more}"


def _outlook(promise: Promise) -> str:
    """What would let more be served locally."""
    needs = f"needs a lower bound of {promise.target:.2f}"
    if promise.needed is None or promise.next_share is None:
        return f"{needs}, which this version will not reach on any notable share; a better one may"
    part = "all requests" if promise.next_share > 0.995 else f"the surest {promise.next_share:.0%} of requests"
    agreement = f" (agreement {promise.next_agreement:.2f})" if promise.next_agreement is not None else ""
    return f"{needs} on {part}{agreement}; about {_count(promise.needed, 'more comparison')}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _measured(correlation: Interval) -> str:
    return f"correlation {correlation.mean:.2f}, at least {correlation.low:.2f}"
