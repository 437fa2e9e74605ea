"""How it is told how right the models are: apart from how far they agree."""

from collections.abc import Iterable

from apprentice.messages import GoldStatus, Interval, TaskStatus, TeacherError
from client.cli.counts import counted


def lines(status: TaskStatus) -> Iterable[tuple[str, str]]:
    """A name and a line for each thing that is known; none without labels and second opinions."""
    if status.teacher_error is not None:
        yield "teacher's error", error(status.teacher_error)
    if (gold := status.gold) is None:
        return
    if gold.drawn:
        yield "labels", _audit(gold)
    if gold.teacher is not None:
        yield "teacher right", bounds(gold.teacher, "answer", "drawn at random")
    for words, value in (("beside the teacher", gold.local_beside), ("served alone", gold.local_served)):
        if value is not None:
            yield "local right", bounds(value, "answer", f"{words}, of all its versions")
    if gold.local_nearer is not None:
        differ = gold.local_nearer
        nearer = bounds(differ, "labelled difference", "the local model was nearer to the truth")
        yield "differences", f"in {nearer}"
    if gold.told:
        right = "" if gold.told_right is None else f"; what was served scored {gold.told_right:.2f} there"
        yield "feedback", f"{counted(gold.told, 'label')} that people chose to give, in none of these figures{right}"


def bounds(value: Interval, thing: str, which: str) -> str:
    """`0.94, 95% between 0.88 and 0.97, of 100 answers drawn at random`."""
    return f"{value.mean:.2f}, 95% between {value.low:.2f} and {value.high:.2f}, of {counted(value.n, thing)} {which}"


def error(value: TeacherError) -> str:
    """From second opinions alone: an estimate, and what it rests on."""
    likely = value.if_independent
    return (
        f"at least {value.at_least:.2f} on average of the two that were asked; {likely.mean:.2f} "
        f"({likely.low:.2f}-{likely.high:.2f}) if they are equally good and err independently"
    )


def short(status: TaskStatus) -> str:
    """For a log: what is right, where it is known."""
    gold = status.gold
    known = [] if gold is None else [("teacher_right", gold.teacher), ("local_right", gold.local_served)]
    return "".join(f" {name}={value.mean:.2f}" for name, value in known if value is not None)


def _audit(gold: GoldStatus) -> str:
    drawn = f"{counted(gold.drawn, 'request')} drawn at random"
    if gold.labelled >= gold.drawn:
        return f"all of {drawn}"
    return f"{gold.labelled:,} of {drawn}; the rest may be otherwise"
