"""How right the models are, as operators read it: apart from how far they agree."""

from apprentice.gold import Labelling, status, tally, teacher_error
from apprentice.lifecycle import Lifecycle
from apprentice.messages import Interval, TaskStatus
from client.cli.gold_view import lines, short
from tests.apprentice.brain import T0, task_settings


def shown(rows: list[Labelling], agreement: Interval | None = None) -> tuple[list[tuple[str, str]], TaskStatus]:
    now = Lifecycle(task_settings()).status(T0)
    known = {"gold": status(tally(rows, {"a b"})), "teacher_error": teacher_error(agreement)}
    seen = now.model_copy(update=known)
    return list(lines(seen)), seen


def test_nothing_is_said_where_nobody_has_said_anything() -> None:
    told, seen = shown([])
    assert told == []
    assert short(seen) == ""


def test_right_and_wrong_have_a_line_each_beside_the_agreement() -> None:
    both = Labelling(True, True, "a b", served_score=0.0, teacher_score=0.0, local_score=1.0, agreement=0.0)
    alone = Labelling(True, True, None, served_score=1.0, local_score=1.0)
    open_ = Labelling(True, False, "a b")
    chosen = Labelling(False, True, "a b", served_score=0.0, teacher_score=0.0)
    told, seen = shown([both, alone, open_, chosen], Interval(mean=0.81, low=0.7, high=0.9, n=50))
    assert [name for name, _ in told] == [
        *("teacher's error", "labels", "teacher right", "local right", "local right", "differences", "feedback")
    ]
    texts = dict(told)
    assert texts["teacher's error"].startswith("at least 0.05")
    assert "0.10 (0.05-0.16) if they are equally good and err independently" in texts["teacher's error"]
    assert texts["labels"].startswith("2 of 3 requests drawn at random")
    assert texts["teacher right"].startswith("0.00, 95% between 0.00 and 0.79, of 1 answer drawn")
    assert texts["differences"].startswith("in 1.00")
    assert texts["feedback"].startswith("1 label that people chose to give, in none of these figures")
    assert short(seen) == " teacher_right=0.00 local_right=1.00"
