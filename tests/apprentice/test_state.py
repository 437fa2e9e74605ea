"""What a lifecycle remembers is bounded, whatever ran before."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from apprentice.messages import Alert, AlertKind, HistoryPoint, Phase, VersionStatus
from apprentice.state import ALERTS_KEPT, POINTS_KEPT, VERSIONS_KEPT, LifecycleState
from tests.apprentice.brain import T0


def point(requests: int) -> HistoryPoint:
    return HistoryPoint(
        at=T0 + timedelta(seconds=requests),
        requests=requests,
        phase=Phase.COLLECTING,
        correlation=None,
        low=None,
        high=None,
        sampling_rate=1.0,
        local=0,
        spend=0,
        all_remote=0,
    )


def version(number: int, state: str = "promoted") -> VersionStatus:
    return VersionStatus.model_validate(
        {"version": number, "state": state, "reason": "judged", "at": T0, "train": 8, "holdout": 2}
    )


def alert(number: int) -> Alert:
    return Alert(id=f"t-{number}", task="t", kind=AlertKind.QUALITY, message="low", at=T0)


@given(st.integers(1, 20_000))
def test_the_story_keeps_evenly_spaced_points_of_the_whole_life(requests: int) -> None:
    state = LifecycleState()
    for number in range(1, requests + 1):
        if number % state.stride == 0:
            state.remember(point(number))
    kept = [p.requests for p in state.history]
    assert len(kept) <= POINTS_KEPT
    assert kept == list(range(state.stride, requests + 1, state.stride))


def test_a_promotion_retires_the_one_before() -> None:
    state = LifecycleState()
    for number, verdict in [(1, "promoted"), (2, "rejected"), (3, "promoted"), (4, "failed")]:
        state.record(version(number, verdict))
    assert [v.state for v in state.versions] == ["retired", "rejected", "promoted", "failed"]


def test_the_newest_versions_and_alerts_are_kept() -> None:
    state = LifecycleState()
    for number in range(200):
        state.record(version(number))
        state.raise_alert(alert(number))
    assert [v.version for v in state.versions] == list(range(200 - VERSIONS_KEPT, 200))
    assert state.alerts == state.undelivered == [alert(n) for n in range(200 - ALERTS_KEPT, 200)]


def test_a_delivered_alert_is_held_no_longer_but_remembered() -> None:
    state = LifecycleState()
    state.raise_alert(alert(1))
    state.raise_alert(alert(2))
    state.delivered(alert(1))
    state.delivered(alert(1))
    assert (state.undelivered, len(state.alerts)) == ([alert(2)], 2)


def test_two_tasks_share_nothing() -> None:
    one, other = LifecycleState(), LifecycleState()
    one.raise_alert(alert(1))
    one.remember(point(1))
    one.ledger.days["x"] = None  # type: ignore[assignment]
    assert other == LifecycleState()
