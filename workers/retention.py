"""Forgets what is older than `store.retention`, every hour, as long as the worker runs."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from activities.store import Store, StoreError

EVERY = timedelta(hours=1)

log = logging.getLogger(__name__)


@asynccontextmanager
async def forgetting(
    store: Store, retention: timedelta | None, clock: Callable[[], datetime], every: timedelta = EVERY
) -> AsyncIterator[None]:
    """Runs beside what is inside; None keeps everything. A store that fails is asked again the next time."""
    if retention is None:
        yield
        return
    task = asyncio.create_task(_forget(store, retention, clock, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _forget(store: Store, retention: timedelta, clock: Callable[[], datetime], every: timedelta) -> None:
    while True:
        try:
            await store.journal.forget(clock() - retention)
        except StoreError as error:
            log.warning("old calls were not deleted, %s later again: %s", every, error)
        # Workers that were started together need not all do it at the same moment.
        await asyncio.sleep(every.total_seconds() * random.uniform(0.9, 1.1))
