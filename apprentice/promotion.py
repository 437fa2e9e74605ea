"""Whether a fine-tuned version may take over: it must pass on examples that no version was ever trained on."""

import math
from datetime import datetime

from apprentice.messages import FineTuneOutcome, Validation, VersionStatus

LEAST_HOLDOUT = 5

# What must speak for a candidate that scores otherwise than the incumbent. The sign of a noisy difference promotes a
# version that is two points worse one time in three on 100 examples, and each promotion begins the proofs of quality
# anew; with these odds it is one in eight, and what is served in the long run is as good (`benchmarks.promotion`).
LEAST_ODDS = 2.0
ODDS_SHOWN = 1000


def judge(validation: Validation, threshold: float, *, insist: bool = False) -> tuple[bool, str]:
    """The verdict on a candidate and its reason.

    Promoted when its hold-out mean is at least `threshold`, and either the odds are at least `LEAST_ODDS` that it is
    better than the incumbent on the same examples, or the two score alike on every one: then the newer has seen more.
    A validation from before 0.4, without odds, goes by the means. With `insist`, unless it is proven to be worse.
    """
    promoted, reason = _judge(validation, threshold)
    if promoted or not insist:
        return promoted, reason
    if validation.gain_high is not None and validation.gain_high < 0.0:
        return False, f"{reason}, and that is proven"
    return True, f"{reason}, which proves nothing; what has seen more is tried all the same"


def _judge(validation: Validation, threshold: float) -> tuple[bool, str]:
    if validation.mean is None or validation.holdout < LEAST_HOLDOUT:
        return False, f"only {validation.holdout} hold-out examples; {LEAST_HOLDOUT} are needed to judge"
    scored = f"hold-out agreement {validation.mean:.3f} on {validation.holdout} examples"
    if validation.mean < threshold:
        return False, f"{scored} is below the threshold {threshold:.2f}"
    if validation.incumbent_mean is None:
        return True, scored
    odds, before = validation.odds, validation.incumbent_mean
    enough = validation.mean >= before if odds is None else odds >= LEAST_ODDS or validation.differ == 0
    if not enough and validation.mean < before:
        return False, f"{scored} is below the incumbent's {before:.3f}"
    beside = f"{scored}, the incumbent had {before:.3f}"
    if odds is None:
        return enough, beside
    if validation.differ == 0:
        return True, f"{beside}; they score alike on every one"
    beside = f"{beside}; they differ on {validation.differ}, and the odds that it is better are {_to_one(odds)}"
    return enough, beside if enough else f"{beside}; {_to_one(LEAST_ODDS)} are needed"


def _to_one(odds: float) -> str:
    """Odds in words: `4.2 to 1`. Rounded down, so that odds that are not enough never look like it."""
    return f"over {ODDS_SHOWN} to 1" if odds > ODDS_SHOWN else f"{math.floor(odds * 10) / 10:g} to 1"


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
        left_out=outcome.left_out,
        holdout_mean=outcome.validation.mean if outcome.validation else None,
        prompt_version=outcome.prompt_version,
        served=outcome.promoted and not failed,
    )
