"""Why a task is where it is and what would move it, in one sentence."""

from apprentice.messages import Interval, Phase
from apprentice.schedule import batch, new_examples
from apprentice.settings import TaskSettings
from apprentice.state import LifecycleState


def explain(state: LifecycleState, settings: TaskSettings, correlation: Interval | None, *, forced: bool) -> str:
    """One sentence for an operator; numbers rounded to two digits."""
    if forced:
        until = f" until {state.forced_until:%Y-%m-%d %H:%M} UTC" if state.forced_until else " until resumed"
        return f"an operator sends everything to the remote model{until}"
    match state.phase:
        case Phase.COLLECTING:
            return _collecting(state, settings)
        case Phase.COACHING:
            return _coaching(state, settings, correlation)
        case Phase.AUTONOMOUS:
            return _autonomous(state, settings, correlation)


def _collecting(state: LifecycleState, settings: TaskSettings) -> str:
    needed = settings.confidence_thresholds.phase1_to_phase2
    if state.examples < needed:
        return f"collecting examples: {state.examples} of {needed} before the first fine-tune"
    if state.training is not None:
        return f"fine-tune {state.training} is running on the {state.examples} examples collected so far"
    last = state.versions[-1] if state.versions else None
    if last is None:
        return f"{state.examples} examples collected; no local model can answer yet"
    waiting = max(0, batch(state, settings) - new_examples(state))
    return f"fine-tune {last.version} was {last.state} ({last.reason}); the next after {waiting} more examples"


def _coaching(state: LifecycleState, settings: TaskSettings, correlation: Interval | None) -> str:
    thresholds = settings.confidence_thresholds
    if correlation is None:
        return f"version {state.version} shadows the remote model; no comparison yet"
    missing = []
    if len(state.window) < thresholds.min_samples:
        missing.append(f"{thresholds.min_samples - len(state.window)} more comparisons")
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
        return f"correlation is below coaching_trigger {trigger:.2f}, so everything is compared: {measured}"
    unsure = (
        f"; answers with a confidence below {state.defer_below:.2f} go to the remote model" if state.defer_below else ""
    )
    return f"version {state.version} serves, {state.rate:.1%} of requests are checked: {measured}{unsure}"


def _measured(correlation: Interval) -> str:
    return f"correlation {correlation.mean:.2f}, between {correlation.low:.2f} and {correlation.high:.2f}"
