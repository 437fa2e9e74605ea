"""Caps on spend, and answers that need not be paid twice."""

from typing import Literal

from pydantic import Field

from apprentice.settings.base import Cap, Duration, Fraction, Settings


class BudgetSettings(Settings):
    """Caps on what remote calls may cost. None is no cap."""

    daily: Cap | None = None
    weekly: Cap | None = None
    monthly: Cap | None = None
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    timezone: str = Field("UTC", description="IANA name; where days, weeks (from Monday) and months begin")
    on_exhausted: Literal["local", "reject"] = Field(
        "local", description="no room for a remote answer: the local model stands in (degraded), or the request fails"
    )
    coaching_share: Fraction = Field(
        0.9, description="of a cap; the rest is kept for requests that only the remote model can answer"
    )


class AllowanceSettings(Settings):
    """A number of remote calls to spend as well as possible: it takes the place of the thresholds."""

    remote_calls: int | None = Field(None, ge=0, description="in a period; None is no allowance")
    period: Literal["daily", "weekly", "monthly"] = Field("daily", description="when it begins anew")


class CacheSettings(Settings):
    """Whether an input that was answered before is answered by the same answer, without a new call."""

    ttl: Duration | None = Field(None, description="how long a remote answer may be reused, such as 1h; None is never")
