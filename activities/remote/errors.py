"""Why a remote model gave no usable answer. One family, whatever the provider.

Two questions decide what happens next, and each class answers both: may the same call be made again (`retryable`),
and may this attempt have cost money (`charged`)? No message holds a key, an input or an output.
"""

from decimal import Decimal


class RemoteError(Exception):
    """A call that gave no answer. `charged`: it was sent and nobody can say that it cost nothing.

    `retry_after`: how many seconds the provider wants to be left alone; None if it does not say.
    """

    retryable = False
    charged = False
    retry_after: float | None = None


class AuthFailed(RemoteError):
    """The key is missing, wrong or not allowed to use the model."""


class QuotaExhausted(RemoteError):
    """The account has no credit left, or reached its own limit at the provider."""


class InvalidRequest(RemoteError):
    """The provider refuses the request as it is; sending it again changes nothing."""


class _Busy(RemoteError):
    """Not now."""

    retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(_Busy):
    """Too many requests."""


class Overloaded(_Busy):
    """The provider cannot answer now: 5xx or its own word for it."""


class CircuitOpen(RemoteError):
    """Not asked: it failed too often just now, or for a reason that the next call would meet too.

    `retry_after`: seconds until somebody tries again. It may be tried again at all if what it failed with may.
    """

    def __init__(self, message: str, retry_after: float, *, retryable: bool) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.retryable = retryable


class Unreachable(RemoteError):
    """No connection was made, so nothing was sent."""

    retryable = True


class TimedOut(RemoteError):
    """Sent, but no whole answer came in time, or the connection broke: what it cost is not known."""

    retryable = True
    charged = True


class Unusable(RemoteError):
    """The provider was paid `cost` for an answer that cannot be used. `text` is what the model wrote, if it wrote.

    The tokens are 0 where the provider does not say them. `problem` tells the model what is wrong with its text, for
    another try; None where another try makes no sense.
    """

    charged = True

    def __init__(
        self,
        message: str,
        cost: Decimal,
        text: str | None = None,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        problem: str | None = None,
    ) -> None:
        super().__init__(message)
        self.cost = cost
        self.text = text
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.problem = problem


class ContentRefused(Unusable):
    """The model declined to answer."""


class ContentFiltered(Unusable):
    """The provider's filter kept the answer, or part of it, back."""


class CutOff(Unusable):
    """The answer is longer than `max_output_tokens`."""


class InvalidAnswer(Unusable):
    """The answer does not fit the task's output schema."""
