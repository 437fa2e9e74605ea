"""Apprentice for services: send a task, get an answer, whoever produced it."""

from apprentice.messages import TaskResult, TaskStatus
from client.apprentice import Apprentice
from client.blocking import BlockingApprentice
from client.errors import (
    ApprenticeError,
    BudgetExhausted,
    DeadlineExceeded,
    InvalidInput,
    NoServer,
    OrderRefused,
    RequestFailed,
    UnknownTask,
)

__all__ = [
    "Apprentice",
    "ApprenticeError",
    "BlockingApprentice",
    "BudgetExhausted",
    "DeadlineExceeded",
    "InvalidInput",
    "NoServer",
    "OrderRefused",
    "RequestFailed",
    "TaskResult",
    "TaskStatus",
    "UnknownTask",
]
