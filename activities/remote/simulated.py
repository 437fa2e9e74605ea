"""A remote model that answers any task by an invented, learnable rule: the default, and what benchmarks ask."""

from activities.remote.model import Question
from activities.remote.rule import answer, words_of, wrong_answer
from activities.remote.wire import Wire
from apprentice.messages import Answer
from apprentice.schema import compile_schema
from apprentice.settings import ProviderSettings, TaskSettings


class Simulated:
    """The rule depends on the task's name and `simulation.seed` only: all workers, at all times, give one answer."""

    idempotent = True

    def __init__(self, provider: ProviderSettings, task: TaskSettings) -> None:
        self._wire = Wire(provider)
        self._output = compile_schema(task.output_schema, task.name).root
        self._seed = f"{provider.simulation.seed}:{task.name}"

    async def check(self) -> None:
        """There is nothing that could be wrong."""

    async def ask(self, question: Question) -> Answer:
        input, seconds = question.request.input, await self._wire.carry()
        output = answer(self._output, words_of(input), self._seed)
        coins = self._wire.noise(question.key)
        if coins is not None:
            output = wrong_answer(self._output, output, coins)
        return self._wire.answer(input, output, seconds)
