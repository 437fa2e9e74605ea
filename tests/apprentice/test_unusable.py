"""Local answers that cannot be used: they do not agree with the teacher, so they may not vanish from the window."""

import pytest

from apprentice.messages import Phase, RequestOutcome, RouteReason
from apprentice.release import Release
from tests.apprentice.brain import T0, World, autonomous, coached, comparisons, promised, remote_answer, request


def unusable(world: World, number: int, coin: float = 0.0, error: str = "BadAnswer") -> None:
    """One request whose local answer fails, and that the remote model answers."""
    brain, asked = world.brain, request(number)
    route = brain.admit(asked, coin, T0)
    if not route.remote:
        route = brain.defer(asked, route, RouteReason.LOCAL_FAILED, T0)
    outcome = RequestOutcome(request_id=asked.request_id, route=route, remote=remote_answer(), local_error=error)
    world.act(brain.observe(outcome, T0))


def scores(world: World) -> list[float]:
    return [comparison.score for comparison in world.brain.state.window]


def test_a_model_that_writes_what_fits_half_of_the_time_does_not_get_to_serve_everything() -> None:
    """What fits is right, so that much may be served, and no more is promised."""
    world = World(coached())
    for number in range(1000, 1100):
        world.send()
        unusable(world, number, coin=world.rng.random())
    status = world.brain.status(T0)
    assert status.phase is Phase.AUTONOMOUS
    assert promised(world.brain).threshold
    assert promised(world.brain).share == 0.5
    assert status.correlation is not None
    assert status.correlation.mean == pytest.approx(0.5, abs=0.1)


def test_a_spot_check_whose_local_answer_cannot_be_used_counts_against_the_model() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100)))
    unusable(world, 1)
    assert scores(world)[-1] == 0.0


def test_so_does_one_that_a_batch_was_to_answer() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100)))
    remote = world.brain.settings.remote.model_copy(update={"batch": True})
    world.brain.settings = world.brain.settings.model_copy(update={"remote": remote})
    unusable(world, 1)
    assert scores(world)[-1] == 0.0


def test_answers_that_no_coin_chose_for_a_comparison_are_no_fair_draw() -> None:
    world = World(autonomous(comparisons(*[1.0] * 100)))
    unusable(world, 1, coin=0.999)
    assert scores(world) == [1.0] * 100


@pytest.mark.parametrize("error", ["ServerDown", "TimedOut", "ServerBusy", "ModelUnavailable", "RequestIdReused"])
def test_what_the_server_does_says_nothing_about_the_model(error: str) -> None:
    world = World(coached())
    unusable(world, 1, error=error)
    assert scores(world) == []


def test_runs_begun_before_0_3_go_on_without_it() -> None:
    brain = coached()
    brain.accounts.release = Release.V0_2
    world = World(brain)
    unusable(world, 1)
    assert scores(world) == []
