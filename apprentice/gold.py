"""Labels of people, and what they say of the teacher: it is asked because it is good, not because it is right. Pure.

People label what they find wrong. So only requests that an audit drew at random say how often a model is right; what
people chose themselves is counted apart.
"""

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

from apprentice.confidence.interval import wilson
from apprentice.messages import Gold, GoldStatus, Interval, Tally, TeacherError

SAME = 1.0 - 1e-9
"""A score from which on two answers are the same."""


class Labelling(NamedTuple):
    """One request that was drawn (`audited`) or labelled, without what was asked or answered.

    Scores are against the label, None where it says nothing of that answer; `agreement` is of the two answers with
    each other. `teacher` names who gave the teacher's answer, None where it gave none.
    """

    audited: bool
    labelled: bool
    teacher: str | None
    served_score: float | None = None
    teacher_score: float | None = None
    local_score: float | None = None
    agreement: float | None = None


def tally(labellings: Iterable[Labelling], teachers: Collection[str]) -> Gold:
    """What they add up to. The answers of models that are no teachers any more say nothing of those that are."""
    rows = list(labellings)
    audited = [row for row in rows if row.audited]
    done = [row for row in audited if row.labelled]
    taught = [row for row in done if row.teacher in teachers]
    told = [row for row in rows if row.labelled and not row.audited]
    nearer = [
        float(row.local_score > row.teacher_score)
        for row in taught
        if row.teacher_score is not None and row.local_score is not None and (row.agreement or 0.0) < SAME
    ]
    return Gold(
        drawn=len(audited),
        labelled=len(done),
        teacher=_tally(row.teacher_score for row in taught),
        beside=_tally(row.local_score for row in taught),
        served=_tally(row.local_score for row in done if row.teacher is None),
        differences=_tally(nearer),
        told=len(told),
        told_served=_tally(row.served_score for row in told),
    )


def status(gold: Gold) -> GoldStatus | None:
    """As operators see it; None before anything was drawn or labelled."""
    if not gold.drawn and not gold.told:
        return None
    return GoldStatus(
        drawn=gold.drawn,
        labelled=gold.labelled,
        teacher=_interval(gold.teacher),
        local_beside=_interval(gold.beside),
        local_served=_interval(gold.served),
        local_nearer=_interval(gold.differences),
        told=gold.told,
        told_right=_mean(gold.told_served) if gold.told_served.n else None,
    )


def without_teacher(gold: Gold) -> Gold:
    """For other teachers: what is known of the former ones does not count."""
    return gold.model_copy(update=dict.fromkeys(("teacher", "beside", "differences"), Tally()))


def teacher_error(agreement: Interval | None) -> TeacherError | None:
    """What the agreement of two teachers says of their errors: see `TeacherError`.

    P(disagree) <= P(first wrong) + P(second wrong) (union bound), so the mean of their errors is at least half of it.
    With equal, independent errors e that never coincide, agreement is (1 - e) squared. (The two-rater error bound
    without a gold standard: Hui and Walter 1980, "Estimating the error rates of diagnostic tests", says why more than
    agreement is needed to tell their errors apart.)
    """
    if agreement is None:
        return None
    mean, low, high = (1.0 - math.sqrt(value) for value in (agreement.mean, agreement.high, agreement.low))
    independent = Interval(mean=mean, low=low, high=high, n=agreement.n)
    return TeacherError(at_least=(1.0 - agreement.high) / 2, if_independent=independent)


def _tally(scores: Iterable[float | None]) -> Tally:
    known = [score for score in scores if score is not None]
    return Tally(n=len(known), right=math.fsum(known))


def _mean(tally: Tally) -> float:
    return min(1.0, tally.right / tally.n)


def _interval(tally: Tally) -> Interval | None:
    if not tally.n:
        return None
    mean = _mean(tally)
    low, high = wilson(mean, tally.n)
    return Interval(mean=mean, low=low, high=high, n=tally.n)
