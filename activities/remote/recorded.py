"""A remote model that answers from recorded traffic: the forecast on a user's own logs, without paying again."""

from pathlib import Path

from activities.remote.errors import InvalidRequest
from activities.remote.model import Question
from activities.remote.recording import recording
from activities.remote.wire import Wire
from apprentice.datasets import input_hash
from apprentice.messages import Answer
from apprentice.settings import ProviderSettings, TaskSettings


class Recorded:
    """Raises InvalidRequest for an input that is not in the recording, and for a recording that cannot be read."""

    idempotent = True

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        if provider.traffic is None:
            raise InvalidRequest(f"task {task.name!r}: the recorded model needs `traffic`, a JSONL file")
        self._file = Path(provider.traffic)
        self._wire = Wire(provider)

    async def check(self) -> None:
        """Whether the recording can be read."""
        await recording(self._file)

    async def ask(self, question: Question) -> Answer:
        request = question.request
        recorded = await recording(self._file)
        output = recorded.by_input.get(input_hash(request.input))
        if output is None:
            raise InvalidRequest(f"the input of request {request.request_id!r} is not in the recording {self._file}")
        seconds = await self._wire.carry()
        coins = self._wire.noise(question.key)
        return self._wire.answer(request.input, recorded.other_than(output, coins) if coins else output, seconds)
