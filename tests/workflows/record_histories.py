"""Records histories of all workflows into the folder of this release, against a dev server, in about three minutes:

    .venv/bin/python -m tests.workflows.record_histories [NAME ...]

The folders of earlier releases stay as they are: workflows of theirs may still run somewhere, and have to go on. Record
this release's anew after a change of workflow code that was not meant to replay what ran before it, never to silence
`test_replay.py`. All data in them is invented.
"""

import asyncio
import base64
import gzip
import json
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, chdir
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter

from apprentice.messages import (
    ApplySettings,
    ForceRemote,
    Freeze,
    PauseCoaching,
    Reconcile,
    Resume,
    Retire,
    Retrain,
    Rollback,
    SetCaps,
)
from apprentice.prices import reservation
from apprentice.settings import BudgetSettings, TaskSettings
from client import Apprentice, ApprenticeError, BudgetExhausted
from tests.workflows.traffic import QUICK, clear_seed, send, settled, tickets
from workers.dev_server import dev_server
from workers.worker import worker
from workflows import BudgetWorkflow, TaskLifecycleWorkflow
from workflows.budget import BudgetStart
from workflows.ids import batch_id, fine_tune_id, lifecycle_id

HISTORIES = Path(__file__).parent / "histories"
FOLDER = HISTORIES / "0.4"
LARGEST_PLAIN = 200_000
ABSOLUTE = re.compile(rb'"/[^"]*?/(?=models/)')
IDENTITY = re.compile(r"\d+@")
PRICE = {"input_per_million": "3", "output_per_million": "15"}


@dataclass(frozen=True)
class Stage:
    """Where a scene plays: a server, with the current folder as the place for models and store."""

    client: Client
    name: str

    def settings(self, **overrides: Any) -> TaskSettings:
        """Of a task named after the scene; the same in every recording."""
        simulation = {"latency_seconds": 0.01, "seed": clear_seed(self.name)}
        remote = {"provider": "simulated", "model": "teacher", "price": PRICE, "simulation": simulation}
        return TaskSettings.model_validate(
            {
                "name": self.name,
                "input_schema": {"text": "str"},
                "output_schema": {"category": ["billing", "shipping", "account"]},
                "remote": remote,
                "local": {"model_dir": "models"},
            }
            | overrides
        )

    def remote(self, **simulation: float) -> dict[str, Any]:
        """The scene's teacher, behaving otherwise."""
        remote = self.settings().remote.model_dump(mode="json")
        return remote | {"simulation": remote["simulation"] | simulation}

    @asynccontextmanager
    async def playing(self, settings: TaskSettings) -> AsyncIterator[Apprentice]:
        """The task, applied, with a worker."""
        async with worker(self.client, f"sqlite:///{self.name}.db", self.name):
            apprentice = Apprentice(self.client, task_queue=self.name, concurrency=100)
            await apprentice.apply(settings)
            yield apprentice

    async def lifecycle(self, run_id: str | None = None) -> WorkflowHistory:
        """Of the task's newest run, or of that run."""
        return await self.client.get_workflow_handle(lifecycle_id(self.name), run_id=run_id).fetch_history()

    async def fine_tune(self, number: int = 1) -> WorkflowHistory:
        """Of a fine-tune that has ended."""
        handle = self.client.get_workflow_handle(fine_tune_id(self.name, number))
        await handle.result()
        return await handle.fetch_history()


Histories = dict[str, WorkflowHistory]


async def collecting(stage: Stage) -> Histories:
    """A few requests, one sent twice, one refused."""
    settings = stage.settings()
    async with stage.playing(settings) as apprentice:
        await send(apprentice, stage.name, tickets(8), at_once=3)
        for attempt in range(2):
            await apprentice.run(stage.name, {"text": "again"}, request_id="again", attempt=attempt)
        await _refused(apprentice.run(stage.name, {"text": "other"}, request_id="again", attempt=2))
        await _refused(apprentice.run(stage.name, {"texts": "no such field"}))
    return {"lifecycle": await stage.lifecycle()}


async def phases(stage: Stage) -> Histories:
    """All three phases, with a promotion and a deferral; then the next run after continue-as-new."""
    local = stage.settings().local.model_dump(mode="json") | {"fine_tune_batch_size": 40}
    settings = stage.settings(**QUICK | {"local": local})
    async with stage.playing(settings) as apprentice:
        await send(apprentice, stage.name, tickets(60))
        await settled(apprentice, stage.name)
        await send(apprentice, stage.name, tickets(150, first=100))
        await send(apprentice, stage.name, [{"text": f"never seen before {n}"} for n in range(20)])
    return {"lifecycle": await stage.lifecycle(), "fine_tune_promoted": await stage.fine_tune()}


async def rollover(stage: Stage) -> Histories:
    """A run that ends by continue-as-new under load, with limits far below the real ones, and the run after it."""
    settings = stage.settings(confidence_thresholds={"phase1_to_phase2": 100_000})
    async with stage.playing(settings) as apprentice:
        handle = stage.client.get_workflow_handle(lifecycle_id(stage.name))
        first = (await handle.describe()).run_id
        number = 0
        while (await handle.describe()).run_id == first:
            await send(apprentice, stage.name, tickets(100, first=number), at_once=50)
            number += 100
        await send(apprentice, stage.name, tickets(20, first=number))
    return {"before": await stage.lifecycle(first), "after": await stage.lifecycle()}


async def budget(stage: Stage) -> Histories:
    """Exhausted without a local model, then raised, and exhausted with one."""
    room = reservation(stage.settings(), tickets(1)[0])
    settings = stage.settings(**QUICK, budget={"daily": str(room * 2), "timezone": "Europe/Berlin"})
    async with stage.playing(settings) as apprentice:
        for ticket in tickets(30):
            try:
                await apprentice.run(stage.name, ticket)
            except BudgetExhausted:
                break
        await apprentice.apply(settings.model_copy(update={"budget": stage.settings().budget}))
        await send(apprentice, stage.name, tickets(70, first=100))
        await settled(apprentice, stage.name)
        none = settings.budget.model_copy(update={"daily": Decimal(0)})
        await apprentice.apply(settings.model_copy(update={"budget": none}))
        await send(apprentice, stage.name, tickets(5, first=500))
    return {"lifecycle": await stage.lifecycle()}


async def orders(stage: Stage) -> Histories:
    """Each order as an update and as a signal, other settings, and a forced remote that ends by the clock."""
    settings = stage.settings()
    async with stage.playing(settings) as apprentice:
        await send(apprentice, stage.name, tickets(5))
        for order in (ForceRemote(until=datetime.now(UTC) + timedelta(hours=1)), Resume(), PauseCoaching()):
            await apprentice.operate(stage.name, order)
        handle = stage.client.get_workflow_handle(lifecycle_id(stage.name))
        await handle.signal(TaskLifecycleWorkflow.pause_coaching, PauseCoaching(paused=False))
        await handle.signal(TaskLifecycleWorkflow.force_remote, ForceRemote())
        await handle.signal(TaskLifecycleWorkflow.resume)
        await apprentice.operate(stage.name, ForceRemote(until=datetime.now(UTC) + timedelta(seconds=1)))
        await asyncio.sleep(1.5)
        evaluator = settings.model_copy(update={"evaluator": "structured_match"})
        await apprentice.apply(evaluator)
        other_schema = settings.model_copy(update={"input_schema": {"body": "str"}})
        await _refused(apprentice.apply(other_schema))
        await send(apprentice, stage.name, tickets(5, first=20))
    return {"lifecycle": await stage.lifecycle()}


async def failures(stage: Stage) -> Histories:
    """A teacher that fails now and then, then always: retries, and requests that fail in the end."""
    settings = stage.settings(remote=stage.remote(error_rate=0.3, seed=4))
    async with stage.playing(settings) as apprentice:
        await send(apprentice, stage.name, tickets(6))
        await apprentice.apply(stage.settings(remote=stage.remote(error_rate=1.0)))
        requests = [apprentice.run(stage.name, ticket) for ticket in tickets(6, first=50)]
        await asyncio.gather(*requests, return_exceptions=True)
        status = await apprentice.status(stage.name)
        assert 0 < status.failed < 12, "some have to fail, and some not"
    return {"lifecycle": await stage.lifecycle()}


async def rejected(stage: Stage) -> Histories:
    """A candidate that cannot learn noise, then one by order."""
    schema = {"label": [f"class {n}" for n in range(12)]}
    settings = stage.settings(**QUICK, output_schema=schema, remote=stage.remote(noise=1.0, seed=3))
    async with stage.playing(settings) as apprentice:
        await send(apprentice, stage.name, tickets(60))
        assert (await settled(apprentice, stage.name)).versions[0].state == "rejected"
        await send(apprentice, stage.name, tickets(5, first=100))
        await apprentice.operate(stage.name, Retrain())
        await settled(apprentice, stage.name, 2)
    return {"lifecycle": await stage.lifecycle(), "fine_tune": await stage.fine_tune()}


async def failed(stage: Stage) -> Histories:
    """A training on damaged data; its alert has a webhook that is not set."""
    settings = stage.settings(**QUICK, alerts={"webhook_env": "APPRENTICE_NO_SUCH_WEBHOOK"})
    damage(Path("models", stage.name, "datasets"))
    async with stage.playing(settings) as apprentice:
        await send(apprentice, stage.name, tickets(60))
        assert (await settled(apprentice, stage.name)).versions[0].state == "failed"
        await asyncio.sleep(1)
    return {"lifecycle": await stage.lifecycle(), "fine_tune": await stage.fine_tune()}


async def shared(stage: Stage) -> Histories:
    """Two tasks under one budget: the same question at once, a full cap, a raised one, a freeze, one that retires."""
    teacher = stage.remote(latency_seconds=0.1) | {"price": {"per_request": "0.01"}}
    first = stage.settings(remote=teacher, shared_budget="caps")
    second = first.model_copy(update={"name": "second"})
    caps = BudgetSettings(daily=Decimal("0.12"))
    budget = await stage.client.start_workflow(
        BudgetWorkflow.run, BudgetStart(settings=caps), id="caps", task_queue=stage.name
    )
    async with stage.playing(first) as apprentice:
        await apprentice.apply(second)
        await send(apprentice, stage.name, [{"text": "the same"}] * 5)
        asked = [apprentice.run(name, ticket) for name in (stage.name, "second") for ticket in tickets(10)]
        await asyncio.gather(*asked, return_exceptions=True)
        await budget.execute_update(BudgetWorkflow.operate, SetCaps(daily=Decimal(1)))
        await asyncio.sleep(0.5)
        await send(apprentice, "second", tickets(3, first=50))
        await budget.execute_update(BudgetWorkflow.operate, Freeze())
        await asyncio.sleep(0.5)
        await _refused(apprentice.run("second", {"text": "frozen"}))
        await budget.execute_update(BudgetWorkflow.operate, Freeze(frozen=False))
        await apprentice.operate(stage.name, Retire())
        await stage.client.get_workflow_handle(lifecycle_id(stage.name)).result()
        await send(apprentice, "second", tickets(3, first=60))
    return {"lifecycle": await stage.lifecycle(), "budget": await budget.fetch_history()}


async def versions(stage: Stage) -> Histories:
    """Another schema while requests are under way, a call in doubt that is reconciled, a cap of the task's own."""
    settings = stage.settings(remote=stage.remote(latency_seconds=0.3))
    wider = settings.model_copy(update={"output_schema": {"category": "str", "urgent": "bool"}})
    slow = wider.remote.model_copy(update={"timeout_seconds": 0.1})
    async with stage.playing(settings) as apprentice:
        load = asyncio.create_task(send(apprentice, stage.name, tickets(10)))
        await asyncio.sleep(0.1)
        await apprentice.operate(stage.name, ApplySettings(settings=wider, new_version=True))
        await load
        await apprentice.operate(stage.name, SetCaps(daily=Decimal(1)))
        await apprentice.apply(wider.model_copy(update={"remote": slow}))
        await _refused(apprentice.run(stage.name, {"text": "in doubt"}, request_id="doubt"))
        await apprentice.operate(stage.name, Reconcile(request_id="doubt", cost=Decimal("0.001")))
    return {"lifecycle": await stage.lifecycle()}


async def batches(stage: Stage) -> Histories:
    """Examples that nobody waits for, in two batches; a training on them."""
    remote = stage.remote(latency_seconds=0, batch_seconds=0.3) | {"batch": True, "batch_size": 40, "batch_every": "1s"}
    async with stage.playing(stage.settings(remote=remote)) as apprentice:
        await apprentice.backfill(stage.name, tickets(70))
        await settled(apprentice, stage.name)
    batch = stage.client.get_workflow_handle(batch_id(stage.name, 1))
    return {"lifecycle": await stage.lifecycle(), "batch": await batch.fetch_history()}


async def teachers(stage: Stage) -> Histories:
    """A provider that always fails, another that answers, second opinions; a rollback; a local model that is gone."""
    first = stage.remote(latency_seconds=0, error_rate=1.0)
    other = {"provider": "simulated", "model": "other", "price": PRICE, "simulation": {"latency_seconds": 0}}
    remote = first | {"additional_providers": [other], "second_opinions": 0.1}
    async with stage.playing(stage.settings(remote=remote)) as apprentice:
        await send(apprentice, stage.name, tickets(70))
        await settled(apprentice, stage.name)
        await apprentice.operate(stage.name, Retrain())
        await settled(apprentice, stage.name, fine_tunes=2)
        await apprentice.operate(stage.name, Rollback(to=1))
        await send(apprentice, stage.name, tickets(30, first=100))
    shutil.move("models", "away")
    async with stage.playing(stage.settings(remote=remote)) as apprentice:
        await send(apprentice, stage.name, tickets(10, first=200))
    return {"lifecycle": await stage.lifecycle()}


def damage(folder: Path) -> None:
    """Put data sets there that no training can read; the workflow takes them for its own."""
    folder.mkdir(parents=True)
    for last_id in range(55, 66):
        (folder / f"{last_id}.jsonl").write_text("{not json\n")


SCENES: dict[str, Callable[[Stage], Awaitable[Histories]]] = {
    scene.__name__: scene
    for scene in (
        collecting,
        phases,
        rollover,
        budget,
        orders,
        failures,
        rejected,
        failed,
        shared,
        versions,
        batches,
        teachers,
    )
}


async def _refused(request: Awaitable[Any]) -> None:
    try:
        await request
    except ApprenticeError:
        return
    raise AssertionError("this should have been refused")


def write(name: str, history: WorkflowHistory) -> Path:
    """As JSON, compressed if it is large; the same history gives the same bytes."""
    content = {"workflow_id": history.workflow_id, "history": _anonymous(json.loads(history.to_json()))}
    text = json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
    for old in FOLDER.glob(f"{name}.json*"):
        old.unlink()
    if len(text) <= LARGEST_PLAIN:
        file = FOLDER / f"{name}.json"
        file.write_bytes(text + b"\n")
    else:
        file = FOLDER / f"{name}.json.gz"
        file.write_bytes(gzip.compress(text, mtime=0))
    return file


def _anonymous(value: Any) -> Any:
    """Without what tells of the machine that recorded it: stack traces, worker identities (`pid@host`), folders."""
    match value:
        case {"metadata": _, "data": str(data)}:
            return value | {"data": base64.b64encode(ABSOLUTE.sub(b'"', base64.b64decode(data))).decode()}
        case dict():
            return {key: _anonymous(item) for key, item in value.items() if key != "stackTrace"}
        case list():
            return [_anonymous(item) for item in value]
        case str() if IDENTITY.match(value):
            return "recorder"
    return value


def text_of(file: Path) -> str:
    """What `write` wrote, as JSON."""
    content = file.read_bytes()
    return (gzip.decompress(content) if file.suffix == ".gz" else content).decode()


def read(file: Path) -> WorkflowHistory:
    """What `write` wrote."""
    content = json.loads(text_of(file))
    return WorkflowHistory.from_json(content["workflow_id"], content["history"])


async def record(names: list[str]) -> None:
    """Play the scenes, all if no names are given, and write down what happened."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with dev_server(fresh=True) as server:
        client = await Client.connect(server.address, data_converter=pydantic_data_converter)
        for name in names or SCENES:
            with tempfile.TemporaryDirectory() as folder, chdir(folder):
                histories = await SCENES[name](Stage(client, name))
            for part, history in histories.items():
                file = write(f"{name}_{part}", history)
                print(f"{file.name}: {len(history.events)} events, {file.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:]))
