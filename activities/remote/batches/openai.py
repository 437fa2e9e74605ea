"""OpenAI's Batch API: a file of requests goes up, a file of responses comes down.

https://platform.openai.com/docs/api-reference/batch (files of at most 50,000 lines and 200 MB, done within 24 hours)
"""

import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from activities.remote.batches.api import CLOCKS_DIFFER_SECONDS, BatchState, Sending
from activities.remote.batches.transfer import Transfer
from activities.remote.dialect import Dialect
from activities.remote.errors import InvalidRequest, Overloaded, TimedOut
from activities.remote.http import Endpoint
from activities.remote.http_model import HttpModel, base_url
from activities.remote.model import Question
from apprentice.messages import Answer
from apprentice.settings import ProviderSettings

CUSTOMARY = "https://api.openai.com/v1"
# Key of the metadata that tells our batches from others'.
MARK = "apprentice"
PAGE = 100
FREE = Decimal(0)
# Any other word, also one that we do not know: it may still be answered, and billed.
_ENDED = {"completed", "failed", "expired", "cancelled"}


class OpenAIBatches:
    """For a dialect whose URLs begin with the API's base."""

    def __init__(self, provider: ProviderSettings, dialect: Dialect) -> None:
        self._base = base_url(provider, CUSTOMARY)
        self._who = f"{provider.provider} model {provider.model!r}"
        self._dialect = dialect
        self._model = HttpModel(provider, dialect)
        self._endpoint = Endpoint(provider)
        self._transfer = Transfer(provider)

    async def submit(self, sending: Sending) -> str:
        path = "/v1" + self._dialect.url.removeprefix(self._base)
        lines = [self._line(question, path) for question in sending.questions]
        headers = self._dialect.headers("")
        file = await self._transfer.upload(f"{self._base}/files", {"purpose": "batch"}, b"".join(lines), headers)
        body = {
            "input_file_id": _id(file, self._who),
            "endpoint": path,
            "completion_window": "24h",
            "metadata": {MARK: sending.marker},
        }
        headers = self._dialect.headers(sending.marker)
        return _id(await self._endpoint.post(f"{self._base}/batches", body, headers, FREE), self._who)

    async def find(self, sending: Sending) -> str | None:
        oldest = sending.begun.timestamp() - CLOCKS_DIFFER_SECONDS
        async for batch in self._newest():
            if (batch.get("metadata") or {}).get(MARK) == sending.marker:
                return _id(batch, self._who)
            if batch.get("created_at", oldest) < oldest:
                return None
        return None

    async def look(self, id: str) -> BatchState:
        batch = await self._batch(id)
        status = batch.get("status")
        if status == "failed":
            return BatchState(done=True, failed=f"{self._who}: the batch was refused{_codes(batch)}")
        return BatchState(done=status in _ENDED)

    async def cancel(self, id: str) -> None:
        headers = self._dialect.headers("")
        await self._endpoint.post(f"{self._base}/batches/{quote(id)}/cancel", {}, headers, FREE)

    async def results(self, id: str, questions: Sequence[Question]) -> AsyncIterator[tuple[str, Any]]:
        batch = await self._batch(id)
        for name in ("output_file_id", "error_file_id"):
            if file := batch.get(name):
                url = f"{self._base}/files/{quote(str(file))}/content"
                async for line in self._transfer.lines(url, self._dialect.headers("")):
                    yield line["custom_id"], self._result(line)

    def answer(self, response: Any, limit: Decimal) -> Answer:
        return self._model.answer(response, limit, 0.0, batch=True)

    def _line(self, question: Question, path: str) -> bytes:
        body = self._dialect.body(question.prompt, question.max_output_tokens)
        line = {"custom_id": question.key, "method": "POST", "url": path, "body": body}
        return json.dumps(line, ensure_ascii=True).encode() + b"\n"

    def _result(self, line: Any) -> Any:
        """Lines of requests that were never made have an `error`, those that were refused an HTTP status."""
        response, error = line.get("response") or {}, line.get("error")
        status = response.get("status_code", 0)
        if status == 200:
            return response.get("body")
        if error is not None or status >= 500:
            return Overloaded(f"{self._who}: not answered within the batch")
        return InvalidRequest(f"{self._who}: HTTP {status} within the batch")

    async def _batch(self, id: str) -> dict[str, Any]:
        return _object(await self._endpoint.get(f"{self._base}/batches/{quote(id)}", self._headers()), self._who)

    async def _newest(self) -> AsyncIterator[dict[str, Any]]:
        after = ""
        while True:
            url = f"{self._base}/batches?limit={PAGE}{after}"
            page = _object(await self._endpoint.get(url, self._headers()), self._who)
            found = page.get("data") or []
            for batch in found:
                yield _object(batch, self._who)
            if not (found and page.get("has_more")):
                return
            after = f"&after={quote(_id(found[-1], self._who))}"

    def _headers(self) -> dict[str, str]:
        return self._dialect.headers("")


def _object(value: Any, who: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TimedOut(f"{who}: the answer is no object of the batch API")
    return value


def _id(value: Any, who: str) -> str:
    found = _object(value, who).get("id")
    if not isinstance(found, str):
        raise TimedOut(f"{who}: the answer of the batch API names no id")
    return found


def _codes(batch: dict[str, Any]) -> str:
    """The codes of its errors: words of the API, never what was sent."""
    data = (batch.get("errors") or {}).get("data") or []
    codes = sorted({str(error.get("code"))[:60] for error in data if error.get("code")})
    return f": {', '.join(codes[:5])}" if codes else ""
