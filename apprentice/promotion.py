"""Whether a fine-tuned version may take over: it must pass on examples that no version was ever trained on."""

from datetime import datetime

from apprentice.messages import FineTuneOutcome, Validation, VersionStatus

LEAST_HOLDOUT = 5


def judge(validation: Validation, threshold: float, *, insist: bool = False) -> tuple[bool, str]:
    """The verdict on a candidate and its reason.

    Promoted when its hold-out mean is at least `threshold` and not below the incumbent's on the same examples; with
    `insist`, unless it is proven to be worse than the incumbent.
    """
    promoted, reason = _judge(validation, threshold)
    if promoted or not insist:
        return promoted, reason
    if validation.gain_high is not None and validation.gain_high < 0.0:
        return False, f"{reason}, and that is proven"
    return True, f"{reason}, which proves nothing; every call has to teach, as there is an allowance of them"


def _judge(validation: Validation, threshold: float) -> tuple[bool, str]:
    if validation.mean is None or validation.holdout < LEAST_HOLDOUT:
        return False, f"only {validation.holdout} hold-out examples; {LEAST_HOLDOUT} are needed to judge"
    scored = f"hold-out agreement {validation.mean:.3f} on {validation.holdout} examples"
    if validation.mean < threshold:
        return False, f"{scored} is below the threshold {threshold:.2f}"
    if validation.incumbent_mean is not None and validation.mean < validation.incumbent_mean:
        return False, f"{scored} is below the incumbent's {validation.incumbent_mean:.3f}"
    beside = "" if validation.incumbent_mean is None else f", the incumbent had {validation.incumbent_mean:.3f}"
    return True, f"{scored}{beside}"


def verdict(outcome: FineTuneOutcome, now: datetime) -> VersionStatus:
    """What became of the version of a fine-tune that has ended."""
    failed = outcome.validation is None
    return VersionStatus(
        version=outcome.number,
        state="failed" if failed else "promoted" if outcome.promoted else "rejected",
        reason=outcome.reason,
        at=now,
        train=outcome.train,
        holdout=outcome.holdout,
        holdout_mean=outcome.validation.mean if outcome.validation else None,
        prompt_version=outcome.prompt_version,
        served=outcome.promoted and not failed,
    )
