"""How often the remote model is asked beside the local one, once the local one serves."""

from apprentice.settings import ConfidenceThresholds, SamplingSettings

STEPS = 5


def rate(correlation: float, thresholds: ConfidenceThresholds, sampling: SamplingSettings) -> float:
    """Sampling rate in [min_floor, 1] at a correlation in [0, 1].

    1.0 up to `phase2_to_phase3`, then falling to `min_floor` at a correlation of 1:
    linear; exponential (`floor ** x`); step (the exponential curve taken down in five equal steps of correlation).
    """
    start, floor = thresholds.phase2_to_phase3, sampling.min_floor
    way = min(1.0, max(0.0, (correlation - start) / (1.0 - start)))
    match sampling.decay_function:
        case "linear":
            fallen = 1.0 - (1.0 - floor) * way
        case "exponential":
            fallen = floor**way
        case "step":
            # The tolerance keeps a correlation that is exactly on a step from falling under it by rounding.
            fallen = floor ** (int(way * STEPS + 1e-9) / STEPS)
    return min(1.0, max(floor, fallen))


def moved(correlation: float, anchor: float | None, sampling: SamplingSettings) -> bool:
    """Whether the correlation is far enough from where it last moved the rate (`anchor`) to move it again."""
    return anchor is None or abs(correlation - anchor) >= sampling.trend_sensitivity - 1e-12
