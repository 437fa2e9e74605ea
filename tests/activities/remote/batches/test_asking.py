"""The activities of a batch: what is not known to have cost nothing stays counted."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.comparing import Scorer
from activities.remote.batches.asking import AskBatches
from activities.store import Store, Unknown
from apprentice.batching import GIVEN_UP_AFTER
from apprentice.messages import BatchOutcome, BatchQuestion, BatchRequest, TaskRequest
from apprentice.settings import TaskSettings
from tests.activities.remote.batches.test_apis import provider, server, task
from tests.fakes.batches import BatchServer
from workflows import batch

__all__ = ["provider", "server", "task"]


async def test_a_batch_that_goes_on_after_all_is_counted_at_the_most(
    task: TaskSettings, server: BatchServer, tmp_path: Path
) -> None:
    server.order(fate="never")
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        activities = AskBatches(store, Scorer(), lambda: datetime.now(UTC))
        request = BatchRequest(
            task=task.name,
            number=1,
            settings_digest=await store.settings.put(task),
            schema_version=1,
            size=2,
            window_size=10,
        )
        asked = [TaskRequest(request_id=f"r{n}", task=task.name, input={"text": str(n)}) for n in range(2)]
        questions = [BatchQuestion(request=one, batch=1, schema_version=1, reserved=Decimal("0.01")) for one in asked]
        environment = ActivityEnvironment()
        await environment.run(activities.keep_questions, questions)
        id = await environment.run(activities.submit_batch, request)
        with pytest.raises(ApplicationError, match="still goes on") as caught:
            await environment.run(activities.collect_batch, request, id)
        assert not caught.value.non_retryable
        outcome: BatchOutcome = await environment.run(activities.collect_batch, request, "")
        assert sum(outcome.in_doubt.values()) == Decimal("0.02")
        assert await store.journal.unknown(task.name) == Unknown(2, Decimal("0.02"))


def test_a_batch_has_told_its_end_before_its_task_gives_it_up() -> None:
    steps = [batch.SUBMIT_WITHIN, batch.ANSWERED_WITHIN, *[batch.CANCELLED_WITHIN] * 2, batch.COLLECT_WITHIN]
    assert sum(steps, timedelta()) < GIVEN_UP_AFTER
