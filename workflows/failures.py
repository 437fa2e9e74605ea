"""What a failed activity means: the error behind it, by name, and what it may have cost."""

from decimal import Decimal

from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError

from apprentice.messages import Trouble

# Refusals before anything was sent to a model.
NEVER_ASKED = {"RequestIdReused", "SettingsUnknown", "NothingToCopy"}
# Errors of calls that were paid, at a known price, and gave nothing that can be served.
PAID = {"ContentFiltered", "ContentRefused", "CutOff", "InvalidAnswer"}
# Errors of calls of which nobody knows whether they were made.
IN_DOUBT = {"TimedOut", "OutcomeUnknown"}


def charged(error: ActivityError, reserved: Decimal) -> Decimal:
    """What a failed call has to be counted at: the activity says, else nobody knows and it is the upper bound."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return reserved
    if cause.type in NEVER_ASKED:
        return Decimal(0)
    for detail in cause.details:
        if isinstance(detail, dict) and "charged" in detail:
            return Decimal(detail["charged"])
    return reserved


def made(error: ActivityError, reserved: Decimal) -> bool:
    """Whether a call was made, or may have been: one that is charged was.

    Free ones are known by the error alone, so that a request that is sent again counts what it made before once more.
    """
    cause = error.cause
    if reserved:
        return charged(error, reserved) > 0
    return not isinstance(cause, ApplicationError) or cause.type in PAID | IN_DOUBT


def troubles(error: ApplicationError) -> list[Trouble]:
    """The remote models that could not answer, as the activity names them; none from one before 0.3."""
    said = [detail["troubles"] for detail in error.details if isinstance(detail, dict) and "troubles" in detail]
    return [Trouble.model_validate(one) for one in (said[0] if said else [])]


def named(error: ActivityError) -> ApplicationError:
    """The error behind a failed activity, always by name."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return ApplicationError(cause.message, *cause.details, type=cause.type or "ActivityFailed", non_retryable=True)
    if isinstance(cause, TimeoutError):
        return ApplicationError("no answer in time", type="TimedOut", non_retryable=True)
    return ApplicationError(str(cause or error), type="ActivityFailed", non_retryable=True)
