"""A version is promoted only if it passes on examples that nobody was trained on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.messages import Comparison, Validation
from apprentice.promotion import LEAST_HOLDOUT, judge
from apprentice.validation import summarise
from benchmarks import promotion


def validation(mean: float | None, *, holdout: int = 50, incumbent: float | None = None) -> Validation:
    return Validation(holdout=holdout, mean=mean, low=mean, high=mean, incumbent_mean=incumbent)


@pytest.mark.parametrize(
    ("mean", "incumbent", "promoted"),
    [
        (0.50, None, True),
        (0.4999, None, False),
        (0.90, 0.90, True),
        (0.90, 0.91, False),
        (0.45, 0.10, False),
    ],
)
def test_it_must_reach_the_threshold_and_not_fall_behind_the_incumbent(
    mean: float, incumbent: float | None, promoted: bool
) -> None:
    assert judge(validation(mean, incumbent=incumbent), 0.5)[0] is promoted


def test_it_takes_enough_hold_out_examples_to_judge() -> None:
    assert judge(validation(1.0, holdout=LEAST_HOLDOUT), 0.5)[0]
    assert judge(validation(1.0, holdout=LEAST_HOLDOUT - 1), 0.5) == (
        False,
        "only 4 hold-out examples; 5 are needed to judge",
    )
    assert not judge(validation(None, holdout=0), 0.5)[0]


@given(st.floats(0, 1), st.none() | st.floats(0, 1), st.floats(0, 1))
def test_every_verdict_names_its_numbers(mean: float, incumbent: float | None, threshold: float) -> None:
    promoted, reason = judge(validation(mean, incumbent=incumbent), threshold)
    assert f"{mean:.3f} on 50" in reason
    assert promoted == (mean >= max(threshold, incumbent or 0.0))


def beside(wins: int, losses: int, holdout: int) -> Validation:
    """The validation of a candidate that alone was right on `wins` examples and alone was wrong on `losses`."""
    same = [1.0] * (holdout - wins - losses)
    after, before = [1.0] * wins + [0.0] * losses + same, [0.0] * wins + [1.0] * losses + same
    return summarise(
        [Comparison(score=score, version=2) for score in after],
        [Comparison(score=score, version=1) for score in before],
        window_size=100,
    )


@pytest.mark.parametrize(
    ("wins", "losses", "promoted"),
    [(1, 0, True), (0, 1, False), (2, 1, False), (3, 1, True), (4, 4, False), (8, 4, True), (4, 8, False)],
)
@pytest.mark.parametrize("holdout", [20, 100, 500])
def test_more_than_the_sign_of_a_noisy_difference_must_speak_for_a_candidate(
    wins: int, losses: int, promoted: bool, holdout: int
) -> None:
    verdict, reason = judge(beside(wins, losses, holdout), 0.5)
    assert verdict is promoted
    if wins < losses:
        assert "is below the incumbent's" in reason
    else:
        assert f"they differ on {wins + losses}" in reason
        assert ("2 to 1 are needed" in reason) is not promoted


def test_a_candidate_that_scores_alike_on_every_example_takes_over_for_it_has_seen_more() -> None:
    promoted, reason = judge(beside(0, 0, 40), 0.5)
    assert promoted
    assert reason.endswith("they score alike on every one")


def test_better_than_the_incumbent_is_not_enough_below_the_threshold() -> None:
    assert not judge(beside(10, 0, 20).model_copy(update={"mean": 0.4}), 0.5)[0]


def test_a_validation_of_an_earlier_release_is_judged_as_it_was_then() -> None:
    old = beside(2, 1, 50).model_copy(update={"odds": None, "differ": None})
    assert judge(old, 0.5) == (True, "hold-out agreement 0.980 on 50 examples, the incumbent had 0.960")


def test_a_version_two_points_worse_is_seldom_promoted_and_one_three_points_better_mostly() -> None:
    worse, better = (promotion.shares(gain, 100, 400)["odds"] for gain in (-0.02, 0.03))
    assert worse < 0.2 < 0.5 < better
    assert promotion.shares(-0.02, 100, 400)["mean"] > 0.25
