"""What can go wrong with the store. No message ever holds a row's content or a password."""

from sqlalchemy.exc import SQLAlchemyError


class StoreError(Exception):
    """The store cannot be used, or refuses what it was asked; the message says which and what to do."""


class RequestIdReused(StoreError):
    """A request id came back with another input. Nothing was written."""

    def __init__(self, task: str, request_id: str) -> None:
        super().__init__(
            f"request id {request_id!r} of task {task!r} was used before with a different input; "
            "send a new request id, or the same input"
        )


class SettingsUnknown(StoreError):
    """No settings with this digest were ever stored."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"no task settings with digest {digest} in the store; run `apprentice apply` first")


class NoSuchCall(StoreError):
    """The journal has no paid call of this request."""

    def __init__(self, task: str, request_id: str) -> None:
        super().__init__(f"task {task!r} has no paid call for request id {request_id!r}; check both for typing errors")


class OutcomeKnown(StoreError):
    """The call needs no reconciling."""

    def __init__(self, task: str, request_id: str, state: str) -> None:
        super().__init__(
            f"the outcome of request id {request_id!r} of task {task!r} is known: it was {state}; nothing was changed"
        )


def reason(error: SQLAlchemyError) -> str:
    """Why a database refused, without the row that it was about."""
    original = getattr(error, "orig", None)
    if original is None:
        return type(error).__name__
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    # PostgreSQL's further lines may quote the row: "DETAIL: Key (request_id)=(...) already exists".
    return str(primary or original).strip().partition("\n")[0] or type(original).__name__
