"""What all messages have in common."""

from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Score = Annotated[float, Field(ge=0.0, le=1.0)]
Propensity = Annotated[float, Field(gt=0.0, le=1.0)]
Money = Annotated[Decimal, Field(ge=0)]


Period = Literal["daily", "weekly", "monthly"]


class Message(BaseModel):
    """Base of all messages: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Phase(IntEnum):
    """Where a task stands: who answers it."""

    COLLECTING = 1
    COACHING = 2
    AUTONOMOUS = 3


class Source(StrEnum):
    """Which model gave an answer."""

    LOCAL = "local"
    REMOTE = "remote"


class Split(StrEnum):
    """Which part of the data set an example belongs to, for ever."""

    TRAIN = "train"
    HOLDOUT = "holdout"
