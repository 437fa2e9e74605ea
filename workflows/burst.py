"""How much a workflow sends out in one workflow task.

What a worker reports of one workflow task is one gRPC message: the inputs of all updates that came with it (twice, as
measured), accepted or refused, the inputs of the activities that it schedules, the results. A server that gets more
than 4 MiB in it *terminates* the workflow (1.32: eight requests of 500 kB at once, or a hundred of 60 kB, ended one).
Of updates no more than 1 MiB come at a time: ten on a stock server, hence `LARGEST_INPUT`; on ours, by
`maxInFlightUpdatePayloads`. The rest is up to this module. What is `BY_REFERENCE` or larger leaves the worker as a
reference; so the rule is the same whatever a worker's settings are, as a replay needs it to be. (Encrypted payloads are
about 100 bytes longer, no more: bytes stay bytes on the wire.)
"""

import asyncio
from datetime import timedelta

from temporalio import workflow

BYTES_A_TASK = 1400 * 1024
# The largest request of a client that has no storage for larger ones.
LARGEST_INPUT = 100 * 1024
# A payload of this size or more is stored outside Temporal: a request just within LARGEST_INPUT, in the message that
# carries it to an activity, still is not.
BY_REFERENCE = LARGEST_INPUT + 4 * 1024
# The largest request that any setting allows.
LARGEST_REQUEST = 8 * 1024 * 1024
# Besides each input or result itself: names, ids, what the protocol adds.
BYTES_BESIDES = 1024
NEXT_TASK = timedelta(milliseconds=1)


class Burst:
    """Counts the bytes of the current workflow task.

    The length of the history tells tasks apart: it grows with each, and a replay sees the same lengths.
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._task = 0
        self._next: asyncio.Task[None] | None = None

    async def wait(self, *sizes: int) -> None:
        """Until messages of these sizes, in bytes, may go out; they are counted."""
        size = sum(one for one in sizes if one < BY_REFERENCE)
        while not self._fits(size):
            if self._next is None or self._next.done():
                self._next = asyncio.create_task(workflow.sleep(NEXT_TASK))
            await workflow.wait_condition(lambda: self._fits(size))
        self._bytes = self._so_far() + size + BYTES_BESIDES
        self._task = workflow.info().get_current_history_length()

    def _fits(self, size: int) -> bool:
        so_far = self._so_far()
        return not so_far or so_far + size <= BYTES_A_TASK

    def _so_far(self) -> int:
        return self._bytes if workflow.info().get_current_history_length() == self._task else 0
