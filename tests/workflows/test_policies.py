"""How long a remote call may take, and how often it is tried."""

from datetime import timedelta
from typing import Any

import pytest

from activities.contract import ATTEMPTS
from apprentice.pace import PATIENCE
from apprentice.settings import RemoteSettings
from workflows.policies import QUEUE, asking


def remote(**more: Any) -> RemoteSettings:
    return RemoteSettings.model_validate({"provider": "simulated", "model": "m", "timeout_seconds": 20.0} | more)


def test_without_rate_limits_a_call_has_a_handful_of_attempts() -> None:
    plain = asking(remote())
    assert (plain.attempt, plain.all) == (timedelta(seconds=25), timedelta(seconds=75))
    assert plain.retry.maximum_attempts == ATTEMPTS


LIMITED = {"provider": "simulated", "model": "n", "timeout_seconds": 20.0, "rate_limits": {"requests_per_minute": 5}}


def test_every_provider_may_take_its_whole_time_out_before_the_next_is_asked() -> None:
    several = asking(remote(additional_providers=[{"provider": "simulated", "model": "n", "timeout_seconds": 30.0}]))
    assert (several.attempt, several.all) == (timedelta(seconds=55), timedelta(seconds=165))


@pytest.mark.parametrize(
    ("limited", "seconds"),
    [
        ({"rate_limits": {"requests_per_minute": 5}}, 25 + PATIENCE),
        ({"rate_limits": {"tokens_per_minute": 5_000}}, 25 + PATIENCE),
        ({"additional_providers": [LIMITED]}, 45 + PATIENCE),
        ({"rate_limits": {"requests_per_minute": 5}, "additional_providers": [LIMITED]}, 45 + 2 * PATIENCE),
    ],
)
def test_under_rate_limits_waiting_for_a_turn_is_no_attempt_and_has_time_of_its_own(
    limited: dict[str, Any], seconds: float
) -> None:
    patient = asking(remote(**limited))
    assert patient.retry.maximum_attempts == 0
    assert patient.attempt == timedelta(seconds=seconds)
    assert patient.all == 3 * patient.attempt + QUEUE
