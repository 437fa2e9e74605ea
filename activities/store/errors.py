"""What can go wrong with the store. No message ever holds a row's content or a password."""


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
