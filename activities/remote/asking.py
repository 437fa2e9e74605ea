"""One question to one remote model: within its pace and its time-out, behind its circuit breaker, its answer checked.

Knows nothing of the journal: what a caller gets from here has been paid for or not as `activities.remote.errors` says.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from activities.remote import repairing
from activities.remote.breaker import Breaker
from activities.remote.errors import (
    CircuitOpen,
    InvalidAnswer,
    InvalidRequest,
    RateLimited,
    RemoteError,
    TimedOut,
    Unusable,
)
from activities.remote.model import Question, RemoteModel
from activities.remote.pacing import Pacing, Turn, tokens_of
from activities.remote.registry import remote_model
from apprentice import teachers
from apprentice.messages import Answer, TaskRequest
from apprentice.prompts import PromptError, answer_text, build
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import ProviderSettings, TaskSettings

type Make = Callable[[ProviderSettings, TaskSettings], RemoteModel]


class Teachers:
    """The remote models of a worker process, each made once for a task's settings; breakers are of accounts.

    Without `pacing` nobody waits for a turn.
    """

    def __init__(
        self,
        make: Make = remote_model,
        pacing: Pacing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pacing = pacing
        self._make = make
        self._clock = clock
        self._models: dict[tuple[str, str], RemoteModel] = {}
        self._breakers: dict[str, Breaker] = {}

    def model(self, provider: ProviderSettings, task: TaskSettings) -> RemoteModel:
        """Raises InvalidRequest if the settings are not enough for it."""
        key = task.digest, teachers.account(provider)
        if key not in self._models:
            self._models[key] = self._make(provider, task)
        return self._models[key]

    def refusal(self, provider: ProviderSettings) -> CircuitOpen | None:
        """Why the provider would not be asked now."""
        return self._breaker(provider).refusal()

    def waits(self, provider: ProviderSettings) -> bool:
        """Whether a question to it may have to wait for its turn."""
        return self._pacing is not None and self._pacing.waits(provider)

    async def turn(self, provider: ProviderSettings, task: TaskSettings, question: Question) -> Turn | None:
        """Wait until the question may be asked; None where no rate is limited. Raises RateLimited."""
        return await self._pacing(provider, task.name, tokens_of(question)) if self._pacing else None

    async def ask(
        self,
        provider: ProviderSettings,
        task: TaskSettings,
        question: Question,
        *,
        turn: Turn | None = None,
        again: bool = False,
    ) -> Answer:
        """The answer, its output as the schema wants it. Raises RemoteError.

        An answer that does not fit is asked for once more, if what the question may cost has room for that. Without a
        `turn` it waits for one. `again`: nobody knows what an attempt before this one was answered, or how often.
        """
        model = self.model(provider, task)
        turn = turn or await self.turn(provider, task, question)
        deadline = asyncio.get_running_loop().time() + provider.timeout_seconds
        call = _Call(provider, task, model, deadline, again)
        began = time.perf_counter()
        try:
            return await self._once(call, question, turn)
        except InvalidAnswer as bad:
            second = repairing.repair(question, bad, provider)
            if second is None:
                raise
            answer = await self._again(call, second, bad)
            return repairing.both(bad, answer, time.perf_counter() - began)

    async def _again(self, call: "_Call", second: Question, bad: InvalidAnswer) -> Answer:
        """The answer to the second question. Raises what stands if there is none."""
        try:
            # Within the deadline: who waits past it loses the attempt, and with it what the first answer cost.
            async with asyncio.timeout_at(call.deadline):
                turn = await self.turn(call.provider, call.task, second)
            if asyncio.get_running_loop().time() >= call.deadline:
                raise TimeoutError
            return await self._once(call, second, turn)
        except TimeoutError:
            late = TimedOut(f"{call.provider.provider} model {call.provider.model!r}: no time for a second try")
            raise (late if call.again else bad) from None
        except Unusable as worse:
            raise repairing.again_unusable(bad, worse) from None
        except RemoteError as error:
            # An attempt before may have asked the second question too, and paid for it.
            raise (error if error.charged or call.again else bad) from None

    async def _once(self, call: "_Call", question: Question, turn: Turn | None) -> Answer:
        provider = call.provider
        with self._breaker(provider).call():
            try:
                async with asyncio.timeout_at(call.deadline):
                    answer = await call.model.ask(question)
            except TimeoutError:
                seconds = provider.timeout_seconds
                raise TimedOut(f"{provider.provider} model {provider.model!r} took over {seconds:g} s") from None
            except RateLimited as error:
                if self._pacing and error.retry_after:
                    await self._pacing.slow_down(provider, error.retry_after)
                raise
            if self._pacing:
                await self._pacing.settle(turn, answer.input_tokens + answer.output_tokens)
            return checked(answer, call.task)

    def _breaker(self, provider: ProviderSettings) -> Breaker:
        account = teachers.account(provider)
        if account not in self._breakers:
            self._breakers[account] = Breaker(f"{provider.provider} model {provider.model!r}", self._clock)
        return self._breakers[account]


@dataclass(frozen=True, slots=True)
class _Call:
    """Both questions, if there is a second, end by the deadline (of the event loop's clock)."""

    provider: ProviderSettings
    task: TaskSettings
    model: RemoteModel
    deadline: float
    again: bool


def question(
    request: TaskRequest, task: TaskSettings, provider: ProviderSettings, key: str, limit: Decimal
) -> Question:
    """A request as this provider gets it. Raises InvalidRequest where the prompt cannot be made of its input."""
    try:
        prompt = build(task, request.input)
    except PromptError as error:
        raise InvalidRequest(str(error)) from None
    return Question(request, prompt, key, limit, provider.max_output_tokens)


def checked(answer: Answer, task: TaskSettings) -> Answer:
    """The answer with its output as the schema wants it. Raises InvalidAnswer."""
    schema = compile_schema(task.output_schema, task.name)
    try:
        output = schema.validate(answer.output)
    except SchemaError as problem:
        raise InvalidAnswer(
            f"the answer does not fit the output schema: {schema.told(problem)}",
            answer.cost,
            answer_text(answer.output),
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            problem=f"it does not fit the JSON Schema: {problem}",
        ) from None
    return answer if output == answer.output else answer.model_copy(update={"output": output})
