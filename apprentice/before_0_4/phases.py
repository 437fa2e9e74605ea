"""The phase table: when a task moves, and why, in words that an operator can read."""

from apprentice.messages import Interval, Phase
from apprentice.settings import ConfidenceThresholds


def next_phase(
    phase: Phase,
    *,
    examples: int,
    can_answer: bool,
    compared: int,
    correlation: Interval | None,
    shifted: bool,
    thresholds: ConfidenceThresholds,
) -> tuple[Phase, str] | None:
    """Where the task goes from `phase` and the reason; None to stay.

    `examples` counts collected examples, `compared` the comparisons in the window, `can_answer` says that a local
    version exists, `shifted` that a sudden drop below `coaching_trigger` is proven: proof needs no `min_samples`.
    """
    match phase:
        case Phase.COLLECTING if examples >= thresholds.phase1_to_phase2 and can_answer:
            return Phase.COACHING, f"{examples} examples collected and a local model can answer"
        case Phase.COACHING if correlation is not None and graduates(correlation, compared, thresholds):
            return Phase.AUTONOMOUS, (
                f"correlation {correlation.mean:.2f} (at least {correlation.low:.2f}) over {compared} comparisons"
            )
        case Phase.AUTONOMOUS if correlation is not None:
            if enough(correlation, thresholds) and correlation.mean < thresholds.emergency_threshold:
                return Phase.COACHING, (
                    f"correlation {correlation.mean:.2f} fell below emergency_threshold "
                    f"{thresholds.emergency_threshold:.2f}"
                )
            if shifted:
                return Phase.COACHING, f"a sudden drop below {thresholds.coaching_trigger:.2f} is proven"
    return None


def enough(correlation: Interval, thresholds: ConfidenceThresholds) -> bool:
    """Whether there are comparisons enough to conclude anything from their mean."""
    return correlation.n >= thresholds.min_samples


def graduates(correlation: Interval, compared: int, thresholds: ConfidenceThresholds) -> bool:
    """Whether a coached model may serve."""
    return (
        compared >= thresholds.min_samples
        and correlation.mean >= thresholds.phase2_to_phase3
        and correlation.low >= thresholds.coaching_trigger
    )
