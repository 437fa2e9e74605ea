"""How sure the local model must be to be served: for each of some confidences, the proof that this keeps the promise.

A rung is a confidence; its hypothesis is "serving every answer at least this sure breaks the promise". A gambler bets
against it with each comparison (`apprentice.confidence.wealth`), so that a proof holds however often one looks. The
rungs are fixed beforehand, so that no choice of a threshold is made with the scores that judge it.

Many hypotheses are tested at once. The fallback procedure (Wiens 2003, "A fixed sequence Bonferroni procedure for
testing multiple endpoints", Pharmaceutical Statistics 2) goes from the surest answers down: some rungs are given a part
of the error that may be made, and what was given to a proven rung goes on to the next. With test martingales in place
of p-values it holds at all times together: while no false hypothesis is accepted, those at hand have no more than
their weights, and by Ville's inequality none of them is ever accepted but with that probability.

Scope `local`: answers served locally agree with the target or better. Scope `served`: everything served does, where
requests that are not sure enough count as agreeing, as the remote model answers them.

Every comparison counts with the weight rate / chance, in (0, 1]: the rate at which coins fell for a check at the time,
over the chance that this very request was compared (1 where the local model was unsure and the remote one answered).
It is known before the score is, and makes the comparisons of any time a fair picture of its traffic: inverse
propensity weights with the stake scaled by the rate, so that no single one outweighs the others (Waudby-Smith, Wu,
Ramdas, Karampatziakis and Mineiro 2022, "Anytime-valid off-policy inference for contextual bandits").
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from apprentice.confidence.wealth import Wealth, proof
from apprentice.messages import Comparison

# From the laxest, which serves everything, to the strictest. Log-probabilities of language models crowd near 1.
RUNGS = (
    *(0.0, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.74, 0.78, 0.82, 0.85, 0.88),
    *(0.9, 0.92, 0.94, 0.955, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9999),
)
# Shares of the traffic at whose rungs the procedure may begin: a rung that few answers reach takes long to prove.
STARTS = (0.2, 0.4, 0.6, 0.8, 1.0)

type Scope = Literal["local", "served"]


@dataclass(frozen=True)
class Rung:
    """What serving everything at least this sure would mean.

    `share` of the requests would be answered locally; `agreement` is how well what the promise is about agrees, None
    if nothing is known; `excess` is by how much the log of the wealth is above what a proof needs: proven from 0 on.
    """

    confidence: float
    share: float
    agreement: float | None
    excess: float

    @property
    def proven(self) -> bool:
        return self.excess >= 0.0


class Ladder(BaseModel):
    """The proofs, all of one version. Lists are by rung; `weights` and `scores` are sums of compared answers between a
    rung and the next, `seen` counts all answers there, compared or not."""

    model_config = ConfigDict(extra="forbid")

    wealth: list[Wealth] = []
    starts: list[float] = []
    seen: list[int] = [0] * len(RUNGS)
    weights: list[float] = [0.0] * len(RUNGS)
    scores: list[float] = [0.0] * len(RUNGS)

    @classmethod
    def begin(cls, confidences: Sequence[float], scope: Scope) -> "Ladder":
        """Without a comparison. `confidences` are typical ones: no score decides where proofs may begin.

        Where the model says none they are 0: all of the error that may be made is for the one rung that counts.
        """
        # In scope `served`, what serves less breaks the promise less: one sequence, from the strictest down.
        starts = STARTS if scope == "local" else STARTS[:0]
        places = [_reaching(share, confidences or RUNGS) for share in starts] or [len(RUNGS) - 1]
        weights = [places.count(place) / len(places) for place in range(len(RUNGS))]
        return cls(wealth=[Wealth() for _ in RUNGS], starts=weights)

    def see(self, confidence: float | None) -> None:
        """Count an answer, compared or not."""
        self.seen[_place(confidence)] += 1

    def learn(self, comparison: Comparison, target: float, scope: Scope, repeated: float = 0.0) -> None:
        """Take in a comparison: the score and weight of an answer with a confidence.

        `repeated` is the share of the traffic whose inputs came before, if the comparison is of the others alone.
        """
        place, score, weight = _place(comparison.confidence), comparison.score, comparison.weight
        self.weights[place] += weight
        self.scores[place] += weight * score
        self._bet(place, weight * (score - target), weight * (1.0 - target), target, scope, repeated)

    def rehearse(
        self, answers: Sequence[tuple[float, float]], target: float, scope: Scope, repeated: float = 0.0
    ) -> None:
        """Begin the proofs with (score, confidence) of answers by models that are no better than the version.

        They may be a lot worse: once a model is asked, what it is sure of is not bought, so an example that a coin
        chose before is the only one of its neighbourhood, and a model that lacks it knows less of it than the version
        knows of what comes (right on 0.80 and 0.86 of the recorded tickets). So half of what may be bet is held back,
        and they are no part of the agreement.
        """
        for score, sure in answers:
            self.see(sure)
            self._bet(_place(sure), score - target, 1.0 - target, target, scope, repeated)
        for wealth in self.wealth:
            wealth.hold_back()

    def _bet(self, place: int, served: float, deferred: float, target: float, scope: Scope, repeated: float) -> None:
        """Settle a comparison at `place`: what serving the answer gains, and what the remote model's would.

        Of what is `repeated` it tells nothing: at every rung all of that may be served and wrong.
        """
        lost = repeated * target
        for wealth in self.wealth[: place + 1]:
            wealth.bet((1.0 - repeated) * served - lost, target)
        if scope == "served" or lost:
            below = deferred if scope == "served" else 0.0
            for wealth in self.wealth[place + 1 :]:
                wealth.bet((1.0 - repeated) * below - lost, target)

    def rungs(self, confidence: float, scope: Scope) -> list[Rung]:
        """All rungs from the strictest down, judged with a confidence in (0, 1)."""
        found = []
        everything, carried = max(1, sum(self.seen)), 0.0
        seen, weight, score = 0, 0.0, 0.0
        whole = math.fsum(self.weights)
        for place in reversed(range(len(self.wealth))):
            seen, weight = seen + self.seen[place], weight + self.weights[place]
            score += self.scores[place]
            level = (carried + self.starts[place]) * (1.0 - confidence)
            required = proof(level) if level > 0 else math.inf
            excess = self.wealth[place].log() - required
            carried = carried + self.starts[place] if excess >= 0.0 else 0.0
            agreement = score / weight if weight else None
            if scope == "served" and whole:
                agreement = 1.0 - (weight - score) / whole
            found.append(Rung(RUNGS[place], seen / everything, agreement, excess))
        return found

    def waits(self, rungs: Sequence[Rung], target: float, scope: Scope, confidence: float) -> list[tuple[int, Rung]]:
        """Of all `rungs`, the ones that are not proven yet but will be, if answers go on as they do.

        Each with about how many comparisons that takes, of requests as they come. One whose turn has not come (its
        `excess` is -inf) waits for those above it, and is taken to be given all of the error that may be made then.
        """
        found: list[tuple[int, Rung]] = []
        turn: int | None = 0
        for rung in rungs:
            own = 0 if rung.proven else self._wait(rung, target, scope, confidence)
            turn = own if math.isfinite(rung.excess) else None if own is None or turn is None else max(own, turn)
            if turn:
                found.append((turn, rung))
        return found

    def _wait(self, rung: Rung, target: float, scope: Scope, confidence: float) -> int | None:
        if rung.agreement is None:
            return None
        place = RUNGS.index(rung.confidence)
        wealth = self.wealth[place]
        required = wealth.log() - rung.excess if math.isfinite(rung.excess) else proof(1.0 - confidence)
        more = wealth.needed(required, rung.agreement, 1.0 - target, target)
        if more is None or scope == "served":
            return more
        return math.ceil(more * math.fsum(self.weights) / math.fsum(self.weights[place:]))


def _place(confidence: float | None) -> int:
    """The highest rung that an answer reaches; one without a confidence counts as unsure."""
    return bisect_right(RUNGS, confidence or 0.0) - 1


def _reaching(share: float, confidences: Sequence[float]) -> int:
    """The strictest rung that at least this share of the answers reach."""
    ordered = sorted(confidences, reverse=True)
    return _place(ordered[min(len(ordered), math.ceil(share * len(ordered))) - 1])
