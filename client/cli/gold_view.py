"""How it is told how right the models are: apart from how far they agree."""

from collections.abc import Iterable

from apprentice.messages import GoldStatus, Interval, TaskStatus, TeacherError


def lines(status: TaskStatus) -> Iterable[tuple[str, str]]:
    """A name and a line for each thing that is known; none without labels and second opinions."""
    if status.teacher_error is not None:
        yield "teacher's error", error(status.teacher_error)
    if (gold := status.gold) is None:
        return
    if gold.drawn:
        yield "labels", _audit(gold)
    if gold.teacher is not None:
        yield "teacher right", bounds(gold.teacher, "answers drawn at random")
    for words, value in (("beside the teacher", gold.local_beside), ("served alone", gold.local_served)):
        if value is not None:
            yield "local right", bounds(value, f"answers {words}, of all its versions")
    if gold.local_nearer is not None:
        differ = gold.local_nearer
        yield "differences", bounds(differ, "labelled differences the local model was nearer to the truth", "in ")
    if gold.told:
        right = "" if gold.told_right is None else f"; what was served scored {gold.told_right:.2f} there"
        yield "feedback", f"{gold.told:,} labels that people chose to give, in none of these figures{right}"


def bounds(value: Interval, of: str, how: str = "") -> str:
    """`0.94, 95% between 0.88 and 0.97, of 100 answers`."""
    return f"{how}{value.mean:.2f}, 95% between {value.low:.2f} and {value.high:.2f}, of {value.n:,} {of}"


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
    if gold.labelled >= gold.drawn:
        return f"all {gold.drawn:,} requests that were drawn at random"
    return f"{gold.labelled:,} of {gold.drawn:,} requests that were drawn at random; the rest may be otherwise"
