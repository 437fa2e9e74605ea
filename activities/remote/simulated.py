"""A remote model that answers any task by an invented, learnable rule: the default, and what benchmarks ask."""

from activities.remote.rule import answer, words_of, wrong_answer
from activities.remote.wire import Wire
from apprentice.messages import Answer, TaskRequest
from apprentice.schema import compile_schema
from apprentice.settings import ProviderSettings, TaskSettings


class Simulated:
    """The rule depends on the task's name and `simulation.seed` only: all workers, at all times, give one answer."""

    idempotent = True

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        self._wire = Wire(provider)
        self._output = compile_schema(task.output_schema, task.name).root
        self._seed = f"{provider.simulation.seed}:{task.name}"

    async def ask(self, request: TaskRequest, settings: TaskSettings, key: str) -> Answer:
        seconds = await self._wire.carry()
        output = answer(self._output, words_of(request.input), self._seed)
        coins = self._wire.noise(key)
        if coins is not None:
            output = wrong_answer(self._output, output, coins)
        return self._wire.answer(request.input, output, seconds)
