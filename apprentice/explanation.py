"""Why a task is where it is and what would move it, in one sentence."""

from apprentice import outage
from apprentice.messages import Interval, Phase
from apprentice.promotion import LEAST_HOLDOUT
from apprentice.schedule import batch, new_examples
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState


def explain(state: LifecycleState, settings: TaskSettings, correlation: Interval | None, *, forced: bool) -> str:
    """One sentence for an operator; numbers rounded to two digits."""
    if forced:
        until = f" until {state.forced_until:%Y-%m-%d %H:%M} UTC" if state.forced_until else " until resumed"
        return f"an operator sends everything to the remote model{until}"
    if state.health.outage is not None:
        return f"{outage.words(state.health.outage)}; requests go to the remote model within budget"
    match state.phase:
        case Phase.COLLECTING:
            return _collecting(state, settings)
        case Phase.COACHING:
            return _coaching(state, settings, correlation)
        case Phase.AUTONOMOUS:
            return _autonomous(state, settings, correlation)


def _collecting(state: LifecycleState, settings: TaskSettings) -> str:
    needed = settings.confidence_thresholds.phase1_to_phase2
    if state.training is not None:
        return f"fine-tune {state.training} is running on the {state.trained_examples} examples collected before it"
    if state.examples < needed:
        local = settings.local
        lacks = local.backend != "embedded" and local.base_model is None
        but = f"; there is none to try, as local.base_model names no model of {local.backend}" if lacks else ""
        return f"collecting examples: {state.examples} of {needed} before the local model is tried{but}"
    if state.holdout < LEAST_HOLDOUT:
        lacking = _count(LEAST_HOLDOUT - state.holdout, "more hold-out example")
        return f"{_count(state.examples, 'example')} collected; needs {lacking} to judge a local model by"
    last = state.versions[-1] if state.versions else None
    so_far = f"{_count(state.examples, 'example')} collected, no local model can answer yet"
    if last is not None:
        verb = "failed" if last.state == "failed" else f"was {last.state}"
        so_far = f"fine-tune {last.version} {verb} ({last.reason})"
    if state.coaching_paused:
        return f"{so_far}; coaching is paused, so no other is started"
    return f"{so_far}; the next after {_count(max(1, batch(state, settings) - new_examples(state)), 'more example')}"


def _coaching(state: LifecycleState, settings: TaskSettings, correlation: Interval | None) -> str:
    thresholds = settings.confidence_thresholds
    if correlation is None:
        return f"version {state.version} shadows the remote model; no comparison yet"
    missing = []
    if len(state.window) < thresholds.min_samples:
        missing.append(_count(thresholds.min_samples - len(state.window), "more comparison"))
    if correlation.mean < thresholds.phase2_to_phase3:
        missing.append(f"a correlation of {thresholds.phase2_to_phase3:.2f}")
    if correlation.low < thresholds.coaching_trigger:
        missing.append(f"a lower bound of {thresholds.coaching_trigger:.2f}")
    needs = f"; needs {' and '.join(missing)} to serve" if missing else ""
    return f"version {state.version} shadows the remote model: {_measured(correlation)}{needs}"


def _autonomous(state: LifecycleState, settings: TaskSettings, correlation: Interval | None) -> str:
    measured = _measured(correlation) if correlation else "no comparison of this version yet"
    if state.coaching_paused:
        return f"version {state.version} serves unwatched, coaching is paused: {measured}"
    if state.coaching:
        trigger = settings.confidence_thresholds.coaching_trigger
        return f"correlation fell below coaching_trigger {trigger:.2f}, so everything is compared: {measured}"
    if state.rate == 1.0:
        return f"version {state.version} may serve, but everything is still compared: {measured}"
    if state.defer_below == 1.0:
        return f"the remote model answers, no answer of version {state.version} is sure enough yet: {measured}"
    unsure = (
        f"; answers with a confidence below {state.defer_below:.2f} go to the remote model" if state.defer_below else ""
    )
    return f"version {state.version} serves, {state.rate:.1%} of requests are checked: {measured}{unsure}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _measured(correlation: Interval) -> str:
    return f"correlation {correlation.mean:.2f}, between {correlation.low:.2f} and {correlation.high:.2f}"
