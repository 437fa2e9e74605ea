"""A remote model behind an HTTP API: one prompt out, one priced answer back, in the provider's dialect."""

import json
import time
from decimal import Decimal
from typing import Any

from activities.remote.dialect import Completion, Dialect, SignsIn, Stop, Unreadable
from activities.remote.errors import ContentFiltered, ContentRefused, CutOff, InvalidAnswer, InvalidRequest
from activities.remote.http import Endpoint
from activities.remote.model import Question
from apprentice import prices
from apprentice.messages import Answer, Source
from apprentice.prices import Usage
from apprentice.settings import Price, ProviderSettings


class HttpModel:
    """One model. Raises InvalidRequest if its price is not known."""

    def __init__(self, provider: ProviderSettings, dialect: Dialect) -> None:
        self._provider = provider
        self._dialect = dialect
        self._price = known_price(provider)
        self._endpoint = Endpoint(provider)
        self._who = f"{provider.provider} model {provider.model!r}"

    @property
    def idempotent(self) -> bool:
        return self._provider.idempotent

    async def ask(self, question: Question) -> Answer:
        """Raises RemoteError."""
        body = self._dialect.body(question.prompt, question.max_output_tokens)
        headers = await self.headers(question.key)
        began = time.perf_counter()
        response = await self._endpoint.post(self._dialect.url, body, headers, question.limit)
        return self.answer(response, question.limit, time.perf_counter() - began)

    async def check(self) -> None:
        """Whether the key and the model are good, without paying. Raises RemoteError."""
        await self._endpoint.get(self._dialect.probe, await self.headers(""))

    async def headers(self, key: str) -> dict[str, str]:
        """The dialect's, of one who has signed in where that is needed. Raises AuthFailed, Unreachable."""
        if isinstance(self._dialect, SignsIn):
            await self._dialect.sign_in()
        return self._dialect.headers(key)

    def answer(self, response: Any, limit: Decimal, seconds: float, *, batch: bool = False) -> Answer:
        """The answer in a response, priced; `limit` is the price of one that does not say its tokens.

        Raises Unusable: paid, and no answer.
        """
        try:
            completion = self._dialect.read(response)
        except Unreadable as error:
            raise InvalidAnswer(f"{self._who}: {error}", limit) from None
        usage = completion.usage
        cost = limit if usage is None else prices.cost(self._price, usage, batch=batch)
        return Answer(
            source=Source.REMOTE,
            output=self._output(completion, cost),
            provider=self._provider.provider,
            model=self._provider.model,
            cost=cost,
            input_tokens=usage.input if usage else 0,
            output_tokens=usage.output if usage else 0,
            latency_seconds=seconds,
        )

    def _output(self, completion: Completion, cost: Decimal) -> dict[str, Any]:
        match completion.stop:
            case Stop.REFUSED:
                raise ContentRefused(f"{self._who}: the model declined", cost, completion.text)
            case Stop.FILTERED:
                raise ContentFiltered(f"{self._who}: a content filter cut in", cost, completion.text)
            case Stop.CUT_OFF:
                limit = self._provider.max_output_tokens
                raise CutOff(f"{self._who}: cut off; max_output_tokens is {limit}", cost, completion.text)
        try:
            output = json.loads(completion.text or "")
        except (ValueError, RecursionError):
            raise self._invalid("it is not JSON", completion, cost) from None
        if not isinstance(output, dict):
            raise self._invalid("it is not a JSON object", completion, cost)
        return output

    def _invalid(self, problem: str, completion: Completion, cost: Decimal) -> InvalidAnswer:
        usage = completion.usage or Usage(0, 0)
        return InvalidAnswer(
            f"{self._who}: the answer cannot be read: {problem}",
            cost,
            completion.text,
            input_tokens=usage.input,
            output_tokens=usage.output,
            problem=problem,
        )


def base_url(provider: ProviderSettings, customary: str | None = None) -> str:
    """Where the API is, without a slash at the end. Raises InvalidRequest where nobody says."""
    url = provider.base_url or customary
    if url is None:
        raise InvalidRequest(f"the provider {provider.provider} needs `base_url` in the configuration")
    return url.rstrip("/")


def known_price(provider: ProviderSettings) -> Price:
    """Raises InvalidRequest for a model without a price: it could not be counted."""
    try:
        return prices.known(provider)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
