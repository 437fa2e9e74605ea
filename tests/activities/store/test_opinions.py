"""What two teachers said of one request, once."""

from datetime import UTC, datetime, timedelta

from activities.store import Store
from activities.store.opinions import Agreement

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def test_a_request_has_one_opinion_and_the_mean_is_of_the_task(store: Store) -> None:
    assert await store.opinions.agreement("tickets") == Agreement(0, None)
    for request_id, score, new in (("r-1", 1.0, True), ("r-1", 0.0, False), ("r-2", 0.5, True)):
        assert await store.opinions.record("tickets", request_id, "openai gpt", "google gemini", score, NOW) is new
    await store.opinions.record("other", "r-1", "openai gpt", "google gemini", 0.0, NOW)
    assert await store.opinions.agreement("tickets") == Agreement(2, 0.75)


async def test_old_ones_are_forgotten_with_the_calls(store: Store) -> None:
    for number in range(3):
        at = NOW + timedelta(days=number)
        await store.opinions.record("tickets", f"r-{number}", "openai gpt", "google gemini", 1.0, at)
    assert await store.journal.forget(NOW + timedelta(days=2)) == 2
    assert (await store.opinions.agreement("tickets")).n == 1
