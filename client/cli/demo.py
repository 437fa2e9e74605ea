"""`apprentice demo`: the whole story on this machine, without a key or a GPU."""

import asyncio
import json as jsonlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from apprentice.config import load
from apprentice.evaluators import build
from apprentice.forecast import Forecast
from apprentice.messages import HistoryPoint, TaskStatus
from apprentice.settings import Config
from client import Apprentice
from client.cli import figures, options
from client.cli.apply import apply_config
from client.cli.batching import Batch, Tally
from client.cli.connecting import connected
from client.cli.core_log import forward_core_log
from client.cli.demo_folder import FOLDER, DemoFolder
from client.cli.demo_task import recorded, teacher, tickets
from client.cli.demo_view import View, closing, viewing
from client.cli.output import note, print_json, show, stdout
from client.cli.requests_file import RequestsFile
from client.cli.rows_file import RowsFile
from client.cli.worker import stop_signals, working
from client.errors import ApprenticeError

UI_PORT = 8233
LOOK_SECONDS = 0.5
TRAINING_SECONDS = 30.0
CONCURRENCY = 12
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def demo(
    traffic: Annotated[
        Path | None, typer.Option(metavar="FILE", help='Recorded traffic, rows of {"input": {...}, "output": {...}}.')
    ] = None,
    requests: Annotated[int | None, typer.Option(metavar="N", min=1, help="How many. Default: 2,000, or all.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the last demo was interrupted.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the generated tickets.")] = 0,
    concurrency: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Requests in flight.")] = CONCURRENCY,
    keep_serving: Annotated[
        bool | None,
        typer.Option(help="Keep the server up after the summary. Default: until Enter, where somebody can press it."),
    ] = None,
    json: options.Json = False,
) -> None:
    """See it work on this machine: server, worker, a really trained local model; answers come from recorded traffic.

    Everything is kept in .apprentice/demo, its apprentice.yaml too.
    """
    began = time.monotonic()
    folder = DemoFolder(FOLDER)
    with folder.held():
        if not (resume and folder.complete):
            if resume:
                note("there is no demo to go on with; starting a new one")
            folder.renew(*(tickets(requests, seed) if traffic is None else recorded(traffic, requests, seed)))
        forward_core_log()
        logging.basicConfig(filename=folder.log, level=logging.WARNING, format=LOG_FORMAT)
        try:
            tally = asyncio.run(_Demo(folder, concurrency, json, began).run(keep_serving))
        except KeyboardInterrupt:
            note("interrupted; `apprentice demo --resume` goes on from here")
            raise
    if tally.failed:
        raise typer.Exit(1)


class _Demo:
    """One run over the folder's requests."""

    def __init__(self, folder: DemoFolder, concurrency: int, json: bool, began: float) -> None:
        self._folder, self._concurrency, self._json, self._began = folder, concurrency, json, began
        self._config: Config = load(folder.config, os.environ)
        self._settings = self._config.tasks[0]
        self._task = self._settings.name

    async def run(self, keep_serving: bool | None) -> Tally:
        async with self._serving() as (apprentice, ui_url):
            lines = RequestsFile.open(self._task, self._folder.traffic)
            with RowsFile.open(self._folder.answers) as rows:
                batch = Batch(apprentice, self._task, lines, rows)
                with viewing(len(lines), ui_url, json=self._json) as view:
                    await self._answer(apprentice, batch, view)
            status, history = await self._after_training(apprentice)
            self._summarise(status, history, ui_url)
            await self._stay(keep_serving, ui_url)
            return batch.tally

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[tuple[Apprentice, str | None]]:
        """Server, worker and task, all of them ours."""
        from workers.dev_server import dev_server, is_free

        ui_port = UI_PORT if is_free(UI_PORT) else None
        async with (
            dev_server(self._folder.database, None, ui_port, fresh=True) as server,
            connected(
                server.address, self._task, settings=self._config.temporal, concurrency=self._concurrency
            ) as apprentice,
            working(apprentice, self._config),
        ):
            await apply_config(apprentice, self._config)
            yield apprentice, server.ui_url

    async def _answer(self, apprentice: Apprentice, batch: Batch, view: View) -> None:
        looking = asyncio.create_task(self._look(apprentice, view))
        try:
            await batch.run(self._concurrency, lambda _: None)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        view.update(*await self._read(apprentice))

    async def _look(self, apprentice: Apprentice, view: View) -> None:
        while True:
            with suppress(ApprenticeError):  # the view is no reason to fail; the requests tell what is wrong
                view.update(*await self._read(apprentice))
            await asyncio.sleep(LOOK_SECONDS)

    async def _read(self, apprentice: Apprentice) -> tuple[TaskStatus, list[HistoryPoint]]:
        return await apprentice.status(self._task), await apprentice.history(self._task)

    async def _after_training(self, apprentice: Apprentice) -> tuple[TaskStatus, list[HistoryPoint]]:
        """How it stands once a fine-tune that is under way has ended: its verdict belongs to the story."""
        give_up = time.monotonic() + TRAINING_SECONDS
        while True:
            status, history = await self._read(apprentice)
            if status.training is None or time.monotonic() > give_up:
                return status, history
            await asyncio.sleep(0.2)

    def _summarise(self, status: TaskStatus, history: list[HistoryPoint], ui_url: str | None) -> None:
        forecast = self._forecast(status)
        if self._json:
            print_json(figures.as_json(forecast, time.monotonic() - self._began))
        else:
            show(closing(forecast, history, ui_url, str(self._folder.config)))

    def _forecast(self, status: TaskStatus) -> Forecast:
        """The brain's account, with the agreement of what was served, which only a recording can tell."""
        outputs, evaluator = teacher(self._folder.requests(self._task)), build(self._settings)
        scores: dict[bool, list[float]] = {True: [], False: []}
        for line in self._folder.answers.read_bytes().splitlines():
            row = jsonlib.loads(line)
            if "error" not in row:
                scores[row["served_by"] == "local"].append(evaluator(row["output"], outputs[row["request_id"]]))
        everything = scores[True] + scores[False]
        return Forecast.of_status(
            status,
            agreement=_mean(everything),
            local_agreement=_mean(scores[True]),
            remote_calls=status.requests - status.local - status.failed - status.copied,
            fine_tunes=max((version.version for version in status.versions), default=0),
        )

    async def _stay(self, keep_serving: bool | None, ui_url: str | None) -> None:
        interactive = sys.stdin.isatty() and stdout().is_terminal and not self._json
        if keep_serving is None and interactive:
            show(f"The server stays up for you to look around: {ui_url}  Enter ends it.")
            await _enter()
        elif keep_serving:
            note(f"serving until Ctrl-C: {ui_url}")
            await stop_signals().wait()


async def _enter() -> None:
    """Return when a line, or the end, comes in on stdin. No thread waits for it: Ctrl-C must end us at once."""
    pressed, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(sys.stdin, pressed.set)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin)


def _mean(scores: list[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None
