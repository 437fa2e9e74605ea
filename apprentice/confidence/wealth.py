"""Proof that a mean is above zero, valid at every look: the wealth of a gambler who bets on it.

Under the hypothesis "no gain has a mean above 0, given the past" every bet is unfair to the gambler, so his wealth is a
supermartingale that begins at 1, and the chance that it ever reaches 1 / alpha is at most alpha (Ville 1939). Reaching
it proves, at level 1 - alpha and however often one looks, that the mean is above 0. He holds a mixture of fixed
fractions of what a bet may risk: nobody has to know beforehand how good the mean is (Waudby-Smith and Ramdas 2023,
"Estimating means of bounded random variables by betting", J. R. Statist. Soc. B 86, section 4.2; Orabona and Jun 2023,
"Tight concentrations and confidence sequences from the regret of universal portfolio").
"""

import math
from functools import lru_cache
from operator import add

from pydantic import BaseModel, ConfigDict

# Of what may be risked. For scores of 0 and 1 and a target m, a true mean p is best bet on with (p - m) / (1 - m):
# the whole range is worth a bet. Below 0.02 a proof takes more observations than a version lives to see. More fractions
# than these gain nothing; the weights lean to large ones, whose proofs are the short ones.
FRACTIONS = (0.02, 0.05, 0.1, 0.18, 0.3, 0.45, 0.62, 0.8, 0.96)
_SHARES = (3, 5, 8, 10, 10, 10, 10, 12, 20)
LOG_WEIGHTS = tuple(math.log(share / sum(_SHARES)) for share in _SHARES)

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
        logs = [weight + UNIT * capital for weight, capital in zip(LOG_WEIGHTS, self.capital, strict=True)]
        top = max(logs)
        return top + math.log(math.fsum(math.exp(log - top) for log in logs))

    def needed(self, required: float) -> int | None:
        """About how many more gains like those seen until `log` is at `required`; None if it will never get there."""
        return self._until(required, [UNIT * capital / self.n for capital in self.capital] if self.n else [])

    def needed_at(self, required: float, mean: float, worst: float, best: float) -> int | None:
        """The same if gains are worth `mean` from now on, in [-worst, best], and vary as much as they can."""
        if mean <= 0:
            return None
        won = min(1.0, (mean + worst) / (best + worst))
        rates = [won * math.log1p(f * best / worst) + (1 - won) * math.log1p(-f) for f in FRACTIONS]
        return self._until(required, rates)

    def _until(self, required: float, rates: list[float]) -> int | None:
        if self.log() >= required:
            return 0
        waits = [
            (required - weight - UNIT * capital) / rate
            for weight, capital, rate in zip(LOG_WEIGHTS, self.capital, rates, strict=False)
            if rate > 0
        ]
        return max(1, math.ceil(min(waits))) if waits else None


def proof(alpha: float) -> float:
    """The log of wealth that is proof at level `1 - alpha`, `alpha` in (0, 1)."""
    return -math.log(alpha)


@lru_cache(maxsize=256)
def _settled(gain: float, worst: float) -> tuple[int, ...]:
    """What a gain does to the log of each fraction's capital. Raises ValueError for a gain beyond the worst."""
    if worst <= 0 or gain < -worst * (1 + 1e-9):
        raise ValueError(f"a gain of {gain} is beyond the worst, {-worst}")
    return tuple(math.floor(math.log1p(max(f * gain / worst, -f)) / UNIT) for f in FRACTIONS)
