"""Anthropic's Message Batches: the requests are the body, the results a file of lines.

https://docs.anthropic.com/en/api/creating-message-batches (at most 100,000 requests and 256 MB, done within 24 hours)
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from activities.remote.batches.api import CLOCKS_DIFFER_SECONDS, BatchState, Sending, Undecided
from activities.remote.batches.transfer import Transfer
from activities.remote.dialect import Dialect
from activities.remote.errors import InvalidRequest, Overloaded, TimedOut
from activities.remote.http import Endpoint
from activities.remote.http_model import HttpModel
from activities.remote.model import Question
from apprentice.messages import Answer
from apprentice.settings import ProviderSettings

PAGE = 100
FREE = Decimal(0)
LOOK_AGAIN_SECONDS = 60.0
_FAULTS = {"invalid_request_error", "authentication_error", "permission_error", "not_found_error", "billing_error"}


class AnthropicBatches:
    """A batch bears no mark of ours. One that may be ours is known by the ids in its results, once it has ended."""

    def __init__(self, provider: ProviderSettings, dialect: Dialect) -> None:
        self._url = f"{dialect.url}/batches"
        self._who = f"{provider.provider} model {provider.model!r}"
        self._dialect = dialect
        self._model = HttpModel(provider, dialect)
        self._endpoint = Endpoint(provider)
        self._transfer = Transfer(provider)

    async def submit(self, sending: Sending) -> str:
        requests = [
            {"custom_id": question.key, "params": self._dialect.body(question.prompt, question.max_output_tokens)}
            for question in sending.questions
        ]
        headers = self._dialect.headers(sending.marker)
        return self._id(await self._endpoint.post(self._url, {"requests": requests}, headers, FREE))

    async def find(self, sending: Sending) -> str | None:
        keys, oldest = {question.key for question in sending.questions}, sending.begun.timestamp()
        undecided = False
        async for batch in self._newest():
            if _unix(batch.get("created_at")) < oldest - CLOCKS_DIFFER_SECONDS:
                break
            id = self._id(batch)
            if id in sending.taken or _size(batch) != len(keys):
                continue
            if batch.get("processing_status") != "ended":
                undecided = True
            elif await self._holds(id, keys):
                return id
        if undecided:
            why = "a batch is under way that may be the one that was sent; its results will tell"
            raise Undecided(f"{self._who}: {why}", LOOK_AGAIN_SECONDS)
        return None

    async def look(self, id: str) -> BatchState:
        batch = self._object(await self._endpoint.get(self._of(id), self._headers()))
        return BatchState(done=batch.get("processing_status") == "ended")

    async def cancel(self, id: str) -> None:
        await self._endpoint.post(f"{self._of(id)}/cancel", {}, self._headers(), FREE)

    async def results(self, id: str, questions: Sequence[Question]) -> AsyncIterator[tuple[str, Any]]:
        # Not its `results_url`: the key goes to the address of the configuration, and nowhere else.
        async for line in self._transfer.lines(f"{self._of(id)}/results", self._headers()):
            yield line["custom_id"], self._result(line.get("result") or {})

    def answer(self, response: Any, limit: Decimal) -> Answer:
        return self._model.answer(response, limit, 0.0, batch=True)

    async def _holds(self, id: str, keys: set[str]) -> bool:
        async for key, _ in self.results(id, []):
            return key in keys
        return False

    def _result(self, result: dict[str, Any]) -> Any:
        """Only what succeeded is billed."""
        kind = result.get("type")
        if kind == "succeeded":
            return result.get("message")
        if kind == "errored":
            error = (result.get("error") or {}).get("error") or {}
            if error.get("type") in _FAULTS:
                return InvalidRequest(f"{self._who}: {error['type']} within the batch")
        return Overloaded(f"{self._who}: not answered within the batch ({str(kind)[:20]})")

    async def _newest(self) -> AsyncIterator[dict[str, Any]]:
        after = ""
        while True:
            page = self._object(await self._endpoint.get(f"{self._url}?limit={PAGE}{after}", self._headers()))
            found = page.get("data") or []
            for batch in found:
                yield self._object(batch)
            if not (found and page.get("has_more")):
                return
            after = f"&after_id={quote(self._id(found[-1]))}"

    def _of(self, id: str) -> str:
        return f"{self._url}/{quote(id)}"

    def _headers(self) -> dict[str, str]:
        return self._dialect.headers("")

    def _object(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TimedOut(f"{self._who}: the answer is no object of the batch API")
        return value

    def _id(self, value: Any) -> str:
        found = self._object(value).get("id")
        if not isinstance(found, str):
            raise TimedOut(f"{self._who}: the answer of the batch API names no id")
        return found


def _size(batch: dict[str, Any]) -> int:
    """The tallies add up to the number of requests at all times."""
    return sum(count for count in (batch.get("request_counts") or {}).values() if isinstance(count, int))


def _unix(time: Any) -> float:
    """Of a batch that does not say, now and always."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (TypeError, ValueError):
        return float("inf")
