"""How often the remote model is asked beside the local one, once the local one serves."""

from apprentice.settings import ConfidenceThresholds, SamplingSettings

STEPS = 5


def rate(correlation: float, thresholds: ConfidenceThresholds, sampling: SamplingSettings) -> float:
    """Sampling rate at a correlation in [0, 1], before 0.4: 1.0 up to `phase2_to_phase3`, its floor at 1."""
    start = thresholds.phase2_to_phase3
    return fallen((correlation - start) / (1.0 - start), sampling)


def fallen(way: float, sampling: SamplingSettings) -> float:
    """Sampling rate in [min_floor, 1], from 1.0 at the beginning of the way (0) to `min_floor` at its end (1).

    linear; exponential (`floor ** way`); step (the exponential curve taken down in five equal steps).
    """
    floor, way = sampling.min_floor, min(1.0, max(0.0, way))
    match sampling.decay_function:
        case "linear":
            rate = 1.0 - (1.0 - floor) * way
        case "exponential":
            rate = floor**way
        case "step":
            # The tolerance keeps what is exactly on a step from falling under it by rounding.
            rate = floor ** (int(way * STEPS + 1e-9) / STEPS)
    return min(1.0, max(floor, rate))


def moved(position: float, anchor: float | None, sampling: SamplingSettings) -> bool:
    """Whether a position on the way is far enough from where it last moved the rate (`anchor`) to move it again."""
    return anchor is None or abs(position - anchor) >= sampling.trend_sensitivity - 1e-12
