"""What all settings have in common: immutable models, and the kinds of values that a YAML file holds."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

# Strict parsing (`apprentice.config`) takes neither a whole number for money nor text for a duration by itself.
_ISO_DURATION = TypeAdapter(timedelta)
_DURATION = re.compile(r"(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_BYTES = re.compile(r"(\d{1,12})\s*(?:([KMG])i?)?B?")


def _exact(value: object) -> object:
    return Decimal(value) if type(value) is int else value


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    if parts := _BYTES.fullmatch(value.strip()):
        return int(parts[1]) * 1024 ** ("KMG".index(parts[2]) + 1 if parts[2] else 0)
    raise PydanticCustomError("bytes", "expected a number of bytes such as 512KiB or 1MiB")


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value and (parts := _DURATION.fullmatch(value.replace(" ", ""))):
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    try:
        return _ISO_DURATION.validate_python(value)
    except ValidationError:
        raise PydanticCustomError("duration", "expected a duration such as 7d, 12h or 1d 6h") from None


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Cap = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0)]
# Ten years: a longer one would overflow the calendar when it is added to a date.
Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0), le=timedelta(days=3650))]
# A request is one payload; a worker holds all that are in flight in memory, several times over.
RequestBytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1024, le=8 * 1024 * 1024)]
Tolerance = Annotated[float, Field(ge=0.0)]


class Settings(BaseModel):
    """Base of all settings: immutable, an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
