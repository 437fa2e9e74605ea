"""Proof that a mean is above zero, valid at every look: the wealth of a gambler who bets on it.

Under the hypothesis "no gain has a mean above 0, given the past" every bet is unfair to the gambler, so his wealth is a
supermartingale that begins at 1, and the chance that it ever reaches 1 / alpha is at most alpha (Ville 1939). Reaching
it proves, at level 1 - alpha and however often one looks, that the mean is above 0. He holds a mixture of fixed
fractions of what a bet may risk: nobody has to know beforehand how good the mean is (Waudby-Smith and Ramdas 2023,
"Estimating means of bounded random variables by betting", J. R. Statist. Soc. B 86, section 4.2; Orabona and Jun 2023,
"Tight concentrations and confidence sequences from the regret of universal portfolio").
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import add

from pydantic import BaseModel, ConfigDict

# Of what may be risked. For scores of 0 and 1 and a target m, a true mean p is best bet on with (p - m) / (1 - m):
# the whole range is worth a bet. Below 0.02 a proof takes more observations than a version lives to see. More fractions
# than these gain nothing; the shares lean to large ones, whose proofs are the short ones.
FRACTIONS = (0.02, 0.05, 0.1, 0.18, 0.3, 0.45, 0.62, 0.8, 0.96)
_SHARES = (3, 5, 8, 10, 10, 10, 10, 12, 20)
LOG_SHARES = tuple(math.log(share / sum(_SHARES)) for share in _SHARES)

# Capital is counted in whole units of this many nats: exact under addition, short in JSON. Always rounded down, so that
# no rounding ever helps a proof; at 100,000 observations it has cost at most 1 nat.
UNIT = 1e-5


class Wealth(BaseModel):
    """What is left of 1, bet on the mean of `n` gains being above 0. `capital` is by fraction, in units of log."""

    model_config = ConfigDict(extra="forbid")

    n: int = 0
    capital: list[int] = [0] * len(FRACTIONS)

    def bet(self, gain: float, worst: float) -> None:
        """Settle one more gain, in [-worst, infinity); `worst` is positive and must be known before the gain is.

        A gain may be scaled by a stake in (0, 1], fixed before it is known: it stays within `worst`, and its mean on
        the right side of 0.
        """
        self.n += 1
        self.capital = list(map(add, self.capital, _settled(gain, worst)))

    def log(self) -> float:
        """Log of the wealth: at `proof(alpha)` or above, ever, the mean is above 0 at level `1 - alpha`."""
        return mixed(LOG_SHARES, [UNIT * capital for capital in self.capital])

    def needed(self, required: float) -> int | None:
        """About how many more gains like those seen until `log` is at `required`; None if it will never get there."""
        logs = [UNIT * capital for capital in self.capital]
        return wait(required, LOG_SHARES, logs, [log / max(1, self.n) for log in logs])


def mixed(log_shares: Sequence[float], logs: Sequence[float]) -> float:
    """Log of the whole wealth, from the log of each bet's share at the start and of what the bet made of 1."""
    parts = list(map(add, log_shares, logs))
    top: float = max(parts)
    return top + math.log(math.fsum(math.exp(part - top) for part in parts))


def wait(required: float, log_shares: Sequence[float], logs: Sequence[float], rates: Sequence[float]) -> int | None:
    """Steps until the bet that is there first brings the wealth to `required`, each growing at its rate."""
    if mixed(log_shares, logs) >= required:
        return 0
    growing = [(required - s - log) / rate for s, log, rate in zip(log_shares, logs, rates, strict=True) if rate > 0]
    return max(1, math.ceil(min(growing))) if growing else None


def proof(alpha: float) -> float:
    """The log of wealth that is proof at level `1 - alpha`, `alpha` in (0, 1)."""
    return -math.log(alpha)


@lru_cache(maxsize=256)
def _settled(gain: float, worst: float) -> tuple[int, ...]:
    """What a gain does to the log of each fraction's capital. Raises ValueError for a gain beyond the worst."""
    if worst <= 0 or gain < -worst * (1 + 1e-9):
        raise ValueError(f"a gain of {gain} is beyond the worst, {-worst}")
    return tuple(math.floor(math.log1p(max(f * gain / worst, -f)) / UNIT) for f in FRACTIONS)
