"""Serves embedded students: versions in folders, loaded once, kept warm, swapped without a restart."""

import asyncio
import importlib.metadata
import importlib.util
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from activities.local.completion import cost
from activities.local.model import ModelUnavailable, ServerDown, version_dir
from apprentice.messages import Answer, Source
from apprentice.settings import TaskSettings

if TYPE_CHECKING:
    from activities.local.embedded.student import Student

KEPT = 3
"""Versions kept in memory: the one that serves, the candidate, and the one that is being drained or rolled back to."""
THREAD_FROM = 300
"""Characters of input from which a thread is used. A shorter text takes 0.2 to 2 ms, less than a thread hop costs under
load, and would hold the interpreter lock in the thread just the same; a long one would stall other requests."""


class Embedded:
    """The embedded local model of one task."""

    def __init__(self, settings: TaskSettings) -> None:
        self._settings = settings
        self._warm: OrderedDict[int, asyncio.Future[Student]] = OrderedDict()

    async def answer(self, input: dict[str, Any], version: int) -> Answer:
        """Answer one input; `latency_seconds` leaves out the time to load a version that was not warm."""
        student = await self._student(version)
        begin = time.perf_counter()
        if _size(input) < THREAD_FROM:
            prediction = student.predict(input)
        else:
            prediction = await asyncio.to_thread(student.predict, input)
        seconds = time.perf_counter() - begin
        return Answer(
            source=Source.LOCAL,
            output=prediction.output,
            model="embedded",
            version=version,
            confidence=prediction.confidence,
            cost=cost(self._settings.local, seconds),
            latency_seconds=seconds,
        )

    async def load(self, version: int) -> None:
        """Load a version and answer once with it, so that every lazy part is made."""
        await self._student(version)

    async def unload(self, version: int) -> None:
        """Drop a version; answers in flight keep the one they hold."""
        self._warm.pop(version, None)

    async def close(self) -> None:
        """Drop all versions."""
        self._warm.clear()

    async def healthy(self) -> bool:
        """Whether the extra `embedded` is installed."""
        return importlib.util.find_spec("sklearn") is not None

    async def check(self) -> str:
        """What is installed."""
        if not await self.healthy():
            raise ServerDown("scikit-learn is not installed; install apprentice with the extra `embedded`")
        told = f"embedded: scikit-learn {importlib.metadata.version('scikit-learn')} is installed"
        if base := self._settings.local.base_model:
            from activities.local.embedded.sentences import NoSentenceModel, sentence_model

            try:
                await asyncio.to_thread(sentence_model, base)
            except NoSentenceModel as error:
                raise ServerDown(str(error)) from error
            told += f", the sentence model {base} is here"
        return told

    async def _student(self, version: int) -> "Student":
        """The version, loaded at most once however many ask for it; requests in flight keep the ones they hold."""
        if version not in self._warm:
            self._warm[version] = asyncio.ensure_future(asyncio.to_thread(self._read, version))
        loading = self._warm[version]
        self._warm.move_to_end(version)
        while len(self._warm) > KEPT:
            self._warm.popitem(last=False)
        try:
            return await asyncio.shield(loading)  # one caller's cancellation must not cancel the load for the others
        except ModelUnavailable:
            if self._warm.get(version) is loading:
                del self._warm[version]  # so that a version that is put back in place is found again
            raise

    def _read(self, version: int) -> "Student":
        path = version_dir(self._settings, version)
        try:
            # scikit-learn takes a second to import: only workers that serve it pay, and never on the event loop.
            from activities.local.embedded.sentences import NoSentenceModel
            from activities.local.embedded.student import Student, UnreadableModel
        except ImportError as error:
            reason = "scikit-learn is not installed; install apprentice with the extra `embedded`"
            raise ModelUnavailable(self._settings.name, version, reason) from error
        try:
            student = Student.load(path)
            student.predict({})
        except (UnreadableModel, NoSentenceModel) as error:
            raise ModelUnavailable(self._settings.name, version, str(error)) from error
        return student


def warm_up() -> None:
    """Import what students need, if it is installed: it takes one second, several on a busy machine."""
    if importlib.util.find_spec("sklearn"):
        from activities.local.embedded import student  # noqa: F401 - for the import's sake


def _size(value: Any) -> int:
    """Characters of text inside a JSON value, roughly: numbers and keys count one each."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return len(value) + sum(map(_size, value.values()))
    if isinstance(value, list):
        return sum(map(_size, value))
    return 1
