"""Apprentice for services: send a task, get an answer, whoever produced it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apprentice.messages import BudgetStatus, TaskResult, TaskStatus
    from client.apprentice import Apprentice
    from client.blocking import BlockingApprentice
    from client.errors import (
        ApprenticeError,
        BudgetExhausted,
        DeadlineExceeded,
        InvalidInput,
        NoBudget,
        NoServer,
        OrderRefused,
        PayloadUnreadable,
        RequestFailed,
        StorageFailed,
        UnknownTask,
    )

__all__ = [
    "Apprentice",
    "ApprenticeError",
    "BlockingApprentice",
    "BudgetExhausted",
    "BudgetStatus",
    "DeadlineExceeded",
    "InvalidInput",
    "NoBudget",
    "NoServer",
    "OrderRefused",
    "PayloadUnreadable",
    "RequestFailed",
    "StorageFailed",
    "TaskResult",
    "TaskStatus",
    "UnknownTask",
]

_HOMES = {
    "Apprentice": "client.apprentice",
    "BlockingApprentice": "client.blocking",
    "BudgetStatus": "apprentice.messages",
    "TaskResult": "apprentice.messages",
    "TaskStatus": "apprentice.messages",
}


def __getattr__(name: str) -> Any:
    """Public names on first use (PEP 562): the command line's help must not wait for Temporal's SDK."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "client.errors")), name)
