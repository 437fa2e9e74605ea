"""What can go wrong for a caller, by name. Every message says what happened, where, and what to do."""

from datetime import datetime


class ApprenticeError(Exception):
    """Base of all errors that this package raises on purpose."""


class NoServer(ApprenticeError):
    """No Temporal server answers at the configured address."""


class UnknownTask(ApprenticeError):
    """No workflow runs for this task."""


class NoBudget(ApprenticeError):
    """No budget for all tasks runs."""


class InvalidInput(ApprenticeError):
    """The input does not match the task's `input_schema`. Nothing was asked or paid."""


class InvalidLabel(ApprenticeError):
    """A label is not JSON that fits the task's `output_schema`, or names neither an output nor right or wrong."""


class UnknownRequest(ApprenticeError):
    """No answered request of the task has this id; a label of it was not taken."""


class PayloadUnreadable(ApprenticeError):
    """An input or output cannot be read here: another key, no storage, or it is gone. The message says which."""

    def __init__(self, why: str) -> None:
        super().__init__(f"a payload cannot be read: {why}")


class StorageFailed(ApprenticeError):
    """The storage of large payloads does not answer or has no room. Nothing was sent; it may be sent again."""


class BudgetExhausted(ApprenticeError):
    """No cap has room for a remote call and no local model can answer. `resets`: when one will have."""

    def __init__(self, message: str, resets: datetime | None = None) -> None:
        super().__init__(message)
        self.resets = resets


class DeadlineExceeded(ApprenticeError):
    """The caller's deadline passed. The request goes on; sending it again with the same id collects its answer."""


class OrderRefused(ApprenticeError):
    """The task, or the budget for all tasks, did not accept an operator's order."""


class RequestFailed(ApprenticeError):
    """The request was accepted and failed. `kind` names the error of the model that failed."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
