"""One run: a load, a plan of faults from a seed, and the audit at the end."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from apprentice.messages import Source, TaskStatus
from apprentice.settings import SHARED_BUDGET, BudgetSettings, TaskSettings
from client import errors
from tests.chaos import audit
from tests.chaos.faults import Fault, around_us, at_the_provider
from tests.chaos.load import Load
from tests.chaos.report import Report, recovery, silences
from tests.chaos.stores import PostgresStore, SqliteStore, StoreUnderTest
from tests.chaos.watch import Watch
from tests.chaos.world import World, world
from workflows import WORKFLOWS
from workflows.ids import lifecycle_id

# Of all faults; the others are the provider's.
SHARE_AROUND_US = 0.45
SETTLE_SECONDS = 150.0
SAY_EVERY = 20
# Of the faults around us the next one waits until callers are answered again, so that recovery can be measured; the
# others fall into it.
SHARE_ALONE, RECOVERY_SECONDS = 0.8, 20.0
FIRST_CAP, CAP_STEP = Decimal("0.10"), Decimal("0.10")


@dataclass(frozen=True)
class Plan:
    """`events_a_run` None leaves the workflow its own limit. Times in seconds."""

    seed: int
    faults: int
    store: str = "sqlite"
    callers: int = 12
    think: float = 0.15
    gap: float = 2.5
    events_a_run: int | None = None
    idempotent: bool = False


@dataclass
class Struck:
    """When which fault began (monotonic)."""

    say: Callable[[str], None]
    moments: list[tuple[str, float]] = field(default_factory=list)
    timeline: list[tuple[float, str]] = field(default_factory=list)

    async def strike(
        self, faults: list[Fault], world: World, rng: random.Random, gap: float, load: Load | None = None
    ) -> None:
        """One after the other, at random moments; with a load, mostly not before it was answered again."""
        for fault in faults:
            await asyncio.sleep(rng.uniform(0.2, 2 * gap - 0.2))
            self.moments.append((fault.name, time.monotonic()))
            if len(self.moments) % SAY_EVERY == 0:
                self.say(f"{len(self.moments)} faults")
            self.timeline.append((time.monotonic(), fault.name))
            await fault.inject(world)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                await fault.heal(world)
                self.timeline.append((time.monotonic(), f"{fault.name}: healed"))
            if load is not None and rng.random() < SHARE_ALONE:
                await load.heard(RECOVERY_SECONDS)


async def run(plan: Plan, folder: Path, say: Callable[[str], None] = lambda words: None) -> Report:
    """Everything happens in `folder`; `say` is told how far it is."""
    began = time.monotonic()
    rng = random.Random(plan.seed)
    ours = round(plan.faults * SHARE_AROUND_US)
    near, far = around_us(rng, ours), at_the_provider(rng, plan.faults - ours)
    settings = task_settings(folder, plan)
    struck = Struck(say)
    async with world(
        folder,
        _store(plan.store, folder),
        settings,
        BudgetSettings(monthly=FIRST_CAP),
        latency=0.15,
        events_a_run=plan.events_a_run,
        idempotent=plan.idempotent,
    ) as stage:
        load = Load(stage.apprentice, stage.task, random.Random(rng.random()))
        watch = Watch(stage, FIRST_CAP, CAP_STEP)
        looking = [asyncio.create_task(one) for one in (watch.look(), watch.look_at_budget(), watch.raise_caps(load))]
        looking.append(asyncio.create_task(watch.force_remote(random.Random(rng.random()))))
        loading = asyncio.create_task(load.run(plan.callers, plan.think))
        await asyncio.sleep(3)
        # So that both kinds last about as long; a recovery takes some seconds.
        mean = sum(fault.seconds + plan.gap + 2 for fault in near) / max(1, len(far))
        async with asyncio.TaskGroup() as striking:
            striking.create_task(struck.strike(near, stage, random.Random(rng.random()), plan.gap, load))
            striking.create_task(struck.strike(far, stage, random.Random(rng.random()), max(0.3, mean)))
        await asyncio.sleep(5)
        stage.provider.heal()
        load.stopping = True
        say(f"{len(load.sent):,} sendings; collecting what is owed")
        await loading
        await load.collect()
        status = await settled(stage)
        for task in looking:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        unreplayable = await replays(stage)
        if status is None:
            status = watch.last
            unreplayable.append("the task no longer tells its status")
        assert status is not None, "the task never told its status"
        watch.note(status)
        # What callers got, beside the journal and the logs: to find out what led to a violation.
        rows = (json.dumps(asdict(sent), default=str) for sent in load.sent)
        await asyncio.to_thread((folder / "sent.jsonl").write_text, "\n".join(rows))
        journal = await audit.journal_of(stage.store.url, stage.task)
        books = audit.Books(load.ends(), journal, stage.provider.bill(), status, watch.caps, plan.idempotent)
        return report(plan, began, struck, load, watch, books, stage, unreplayable)


async def settled(stage: World) -> TaskStatus | None:
    """The status once nothing is reserved and nothing is trained, or after SETTLE_SECONDS; None if nobody answers."""
    status = None
    with suppress(TimeoutError, errors.ApprenticeError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while status is None or list(audit.stuck(status)):
                status = await stage.apprentice.status(stage.task)
                await asyncio.sleep(0.5)
    return status


async def replays(stage: World) -> list[str]:
    """Violations: what the current run of the workflow has recorded is what its code does again."""
    handle = stage.apprentice.client.get_workflow_handle(lifecycle_id(stage.task))
    replayer = Replayer(
        workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=UnsandboxedWorkflowRunner()
    )
    result = await replayer.replay_workflow(await handle.fetch_history(), raise_on_replay_failure=False)
    return [f"the history does not replay: {result.replay_failure}"] if result.replay_failure else []


def task_settings(folder: Path, plan: Plan) -> TaskSettings:
    """A ticket task that is quick to learn, with a cap that is soon reached."""
    return TaskSettings.model_validate(
        {
            "name": "tickets",
            "input_schema": {"text": "str"},
            "output_schema": {"category": ["billing", "shipping", "account"]},
            "evaluator": "exact_match",
            "confidence_thresholds": {"phase1_to_phase2": 60},
            "sampling": {"window_size": 50, "trend_sensitivity": 0.01},
            # What binds is the cap for all tasks; the task's own is there to be looked at.
            "budget": {"monthly": 1000},
            "shared_budget": SHARED_BUDGET,
            "remote": {
                "provider": "openai_compatible",
                "base_url": "http://127.0.0.1:9/v1",
                "model": "teacher",
                "price": {"input_per_million": "3", "output_per_million": "15"},
                "max_output_tokens": 64,
                "timeout_seconds": 3,
                "idempotent": plan.idempotent,
            },
            "local": {"model_dir": str(folder / "models")},
        }
    )


def report(
    plan: Plan,
    began: float,
    struck: Struck,
    load: Load,
    watch: Watch,
    books: audit.Books,
    stage: World,
    found: list[str],
) -> Report:
    """All that is to be said of a run."""
    ends = books.ends.values()
    answered = [next(end for end in one if end.output) for one in ends if any(end.output for end in one)]
    failed = [one[-1].error for one in ends if not any(end.output for end in one)]
    replies = sorted(sent.ended for sent in load.sent if sent.error != "DeadlineExceeded")
    violations = [*(f"a cap was passed: {words}" for words in watch.overspent), *audit.audit(books), *found]
    return Report(
        seed=plan.seed,
        store=plan.store,
        seconds=time.monotonic() - began,
        faults=Counter(name for name, _ in struck.moments),
        requests=len(books.ends),
        sendings=len(load.sent),
        answers=len(answered),
        local=sum(end.source is Source.LOCAL for end in answered),
        degraded=sum(end.degraded for end in answered),
        errors=Counter(str(error) for error in failed),
        lost=sum(all(end.error == "DeadlineExceeded" for end in one) for one in ends),
        paid_calls=sum(books.paid.values()),
        journal=Counter(row.state for row in books.remote),
        paid_twice=sum(times > 1 for times in books.paid.values()),
        billed=books.billed,
        journaled=books.journaled,
        counted=books.status.spend,
        cap_first=watch.caps[0][1],
        cap_last=watch.caps[-1][1],
        cap_raised=len(watch.caps) - 1,
        looks=watch.looks,
        overspent=len(watch.overspent),
        phases=sorted(watch.phases),
        runs=len(watch.runs),
        versions=[f"{version.version} {version.state}" for version in books.status.versions],
        worker_exits=stage.exits,
        silences=silences(began, struck.timeline, replies),
        recovery=recovery([moment for moment in struck.moments if not moment[0].startswith("provider")], replies),
        violations=violations,
    )


def _store(name: str, folder: Path) -> StoreUnderTest:
    return PostgresStore() if name == "postgres" else SqliteStore(folder)
