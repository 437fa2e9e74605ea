"""Stored payloads go when nobody can ask for them any more.

A run of a workflow needs every payload of its history as long as it exists: while it is open, to be replayed, and while
the server keeps it after its end. So a payload goes when it is older than every run of its workflow that the server
still has, and older than `temporal.payload_retention`. A run's first event names when it began; a payload stored
before that belongs to a run that is gone. Age alone (a bucket's lifecycle rule) would not do: a quiet task may stay in
one run for months.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from client.payloads.blobs import Blob, Blobs
from client.payloads.storage import HASHED, part_of

logger = logging.getLogger(__name__)
EVERY = timedelta(hours=6)
# An update's input is stored before its run begins if the two cross; clocks differ; the list of runs lags behind.
MARGIN = timedelta(days=1)


async def sweep(client: Client, blobs: Blobs, retention: timedelta, now: datetime) -> int:
    """Remove what is not needed, of this client's namespace; how many. Two workers may do it at once."""
    old: defaultdict[str, list[Blob]] = defaultdict(list)
    async for blob in blobs.stored(part_of(client.namespace)):
        if now - blob.stored > max(retention, MARGIN):
            old[blob.name.split("/")[1]].append(blob)
    removed = 0
    for part, candidates in old.items():
        if part.startswith(HASHED):
            continue  # no workflow of ours has a name that long; whose it is cannot be asked
        oldest = await _oldest_run(client, unquote(part), now)
        for blob in candidates:
            if blob.stored < oldest - MARGIN:
                await blobs.remove(blob.name)
                removed += 1
    return removed


async def _oldest_run(client: Client, workflow_id: str, now: datetime) -> datetime:
    """When the oldest run began that the server still has; `now` if it has none."""
    escaped = workflow_id.replace("\\", "\\\\").replace('"', '\\"')
    oldest = now
    async for run in client.list_workflows(f'WorkflowId = "{escaped}"'):
        oldest = min(oldest, run.start_time)
    try:  # the list may lag behind, or be rebuilt; this does not
        oldest = min(oldest, (await client.get_workflow_handle(workflow_id).describe()).start_time)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return oldest


@asynccontextmanager
async def sweeping(client: Client, blobs: Blobs, retention: timedelta) -> AsyncIterator[None]:
    """Sweeps in the background: at the start, then every six hours. Trouble is logged and tried again."""

    async def forever() -> None:
        while True:
            try:
                if removed := await sweep(client, blobs, retention, datetime.now(UTC)):
                    logger.info("%d stored payloads were no longer needed", removed)
            except Exception as error:
                logger.warning("stored payloads could not be swept: %s", error)
            await asyncio.sleep(EVERY.total_seconds())

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
