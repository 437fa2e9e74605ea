"""What labels say of the models, and what two teachers' agreement says of their errors."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.confidence.interval import wilson
from apprentice.gold import Labelling, status, tally, teacher_error, without_teacher
from apprentice.lifecycle import Lifecycle
from apprentice.messages import ApplySettings, FineTuneOutcome, Gold, Interval
from tests.apprentice.brain import T0, task_settings

TEACHER = "openai gpt"
MINE = {TEACHER}


def row(
    audited: bool = True,
    labelled: bool = True,
    teacher: float | None = None,
    local: float | None = None,
    agreement: float | None = None,
    served: float | None = None,
    by: str | None = TEACHER,
) -> Labelling:
    return Labelling(audited, labelled, by, served, teacher, local, agreement)


def test_differing_from_the_teacher_is_told_apart_from_being_wrong() -> None:
    rows = [
        *[row(teacher=1.0, local=1.0, agreement=1.0)] * 6,
        *[row(teacher=0.0, local=1.0, agreement=0.0)] * 3,
        row(teacher=1.0, local=0.0, agreement=0.0),
        row(teacher=0.0, local=0.0, agreement=0.0),  # both are wrong, each in its own way
        row(teacher=0.0, local=0.0, agreement=1.0),
    ]
    seen = status(tally(rows, MINE))
    assert seen is not None
    assert seen.teacher is not None
    assert seen.local_beside is not None
    assert seen.local_nearer is not None
    means = [seen.teacher.mean, seen.local_beside.mean, seen.local_nearer.mean]
    assert means == pytest.approx([7 / 12, 9 / 12, 3 / 5])
    assert (seen.teacher.n, seen.local_beside.n, seen.local_nearer.n) == (12, 12, 5)
    assert (seen.teacher.low, seen.teacher.high) == wilson(7 / 12, 12)


def test_what_people_chose_to_label_enters_no_estimate_and_is_counted_apart() -> None:
    gold = tally(
        [row(audited=False, teacher=0.0, served=0.0)] * 5 + [row(audited=False, teacher=1.0, served=1.0)], MINE
    )
    seen = status(gold)
    assert seen is not None
    assert seen.told == 6
    assert seen.told_right == pytest.approx(1 / 6)
    assert (seen.drawn, seen.teacher, seen.local_beside, seen.local_served, seen.local_nearer) == (0, *[None] * 4)


def test_an_audit_says_how_much_of_it_is_labelled() -> None:
    gold = tally([row(labelled=False)] * 3 + [row(teacher=1.0)] * 2, MINE)
    assert (gold.drawn, gold.labelled, gold.teacher.n) == (5, 2, 2)


def test_answers_of_the_local_model_alone_are_told_apart_from_those_beside_the_teacher() -> None:
    seen = status(tally([row(local=1.0, by=None)] * 3 + [row(local=0.0, teacher=1.0, agreement=0.0)], MINE))
    assert seen is not None
    assert seen.local_served is not None
    assert seen.local_beside is not None
    assert (seen.local_served.mean, seen.local_served.n) == (1.0, 3)
    assert (seen.local_beside.mean, seen.local_beside.n) == (0.0, 1)


def test_labels_of_a_former_teacher_say_nothing_of_the_present_one() -> None:
    rows = [row(teacher=0.0, local=1.0, agreement=0.0, by="openai old")] * 4 + [row(local=1.0, by=None)]
    gold = tally(rows, MINE)
    assert (gold.teacher.n, gold.beside.n, gold.differences.n, gold.served.n) == (0, 0, 0, 1)
    assert without_teacher(tally(rows, {"openai old"})) == gold


def test_nothing_is_shown_before_anything_was_said() -> None:
    assert status(Gold()) is None
    assert teacher_error(None) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))))
def test_sums_of_any_labels_are_shares(some: list[tuple[bool, bool, float, float, float]]) -> None:
    rows = [row(a, b, teacher, local, agreement, teacher) for a, b, teacher, local, agreement in some]
    seen = status(tally(rows, MINE))
    assert (seen is None) == (not any(a or b for a, b, *_ in some))


def agreeing(mean: float, n: int = 1000) -> Interval:
    low, high = wilson(mean, n)
    return Interval(mean=mean, low=low, high=high, n=n)


@pytest.mark.parametrize("classes", [2, 4, 1000])
@pytest.mark.parametrize("errors", [(0.1, 0.1), (0.02, 0.3), (0.25, 0.25)])
@pytest.mark.parametrize("same_errors", [0.0, 0.5, 1.0])
def test_the_lower_bound_on_two_teachers_errors_holds_whatever_they_have_in_common(
    classes: int, errors: tuple[float, float], same_errors: float
) -> None:
    rng = random.Random(1)
    agreed = wrong = 0
    n = 4000
    for _ in range(n):
        both = [rng.random() < error for error in errors]
        answers = [rng.randrange(1, classes) if bad else 0 for bad in both]
        if rng.random() < same_errors:
            answers[1] = answers[0]
        agreed += answers[0] == answers[1]
        wrong += sum(answer != 0 for answer in answers)
    found = teacher_error(agreeing(agreed / n, n))
    assert found is not None
    assert found.at_least <= wrong / n / 2


def test_the_estimate_is_right_where_its_assumptions_hold() -> None:
    found = teacher_error(agreeing(0.9 * 0.9))
    assert found is not None
    assert found.if_independent.mean == pytest.approx(0.1)
    assert found.if_independent.low < 0.1 < found.if_independent.high
    assert 0.05 < found.at_least < 0.1


def test_two_who_always_agree_may_both_be_right_or_both_be_wrong() -> None:
    found = teacher_error(agreeing(1.0, 50))
    assert found is not None
    assert (found.at_least, found.if_independent.low) == (0.0, 0.0)


def test_the_brain_keeps_what_labels_add_up_to_until_the_teacher_or_the_schema_changes() -> None:
    task = task_settings()
    brain = Lifecycle(task)
    gold = tally([row(teacher=1.0, local=0.0, agreement=0.0), row(local=1.0, by=None)], MINE)
    for _ in range(2):
        assert brain.observe(gold, T0) == []
        seen = brain.status(T0).gold
        assert seen is not None
        assert (seen.labelled, seen.teacher is None, seen.local_served is None) == (2, False, False)
    other = task.model_copy(update={"remote": task.remote.model_copy(update={"model": "another"})})
    brain.operate(ApplySettings(settings=other), T0)
    seen = brain.status(T0).gold
    assert seen is not None
    assert (seen.teacher, seen.local_beside, seen.local_nearer, seen.local_served is None) == (None, None, None, False)
    schema = other.model_copy(update={"output_schema": {"label": "str"}})
    brain.operate(ApplySettings(settings=schema, new_version=True), T0)
    assert brain.status(T0).gold is None


def test_a_fine_tune_that_left_examples_out_has_seen_them_all_the_same() -> None:
    brain = Lifecycle(task_settings())
    brain.state.examples, brain.state.training = 100, 1
    outcome = FineTuneOutcome(number=1, promoted=False, reason="x", train=70, holdout=20, left_out=10)
    brain.observe(outcome, T0)
    assert brain.state.trained_examples == 100
    assert brain.status(T0).versions[-1].left_out == 10
