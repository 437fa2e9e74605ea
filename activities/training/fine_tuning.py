"""The activities of a fine-tune: freeze the data set, train, validate on the hold-out set, record the verdict."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.comparing import Scorer
from activities.heartbeat import Heartbeater
from activities.local.familiarity import read_profile
from activities.local.model import ModelUnavailable, version_dir
from activities.local.serving import LocalModels
from activities.store import Store
from activities.training import rehearsal
from activities.training.holdout import HoldOut
from activities.training.registry import TRAINING_RUNNERS
from apprentice import prompts
from apprentice.duplicates import Sketch, Twins, sketch
from apprentice.evaluators import EvaluatorError
from apprentice.messages import (
    Comparison,
    DatasetRef,
    Split,
    TrainingJob,
    TrainingRequest,
    TrainingStatus,
    Validation,
    ValidationRequest,
    VersionStatus,
)
from apprentice.settings import TaskSettings
from apprentice.validation import summarise

POLL_SECONDS = 0.2
LONGEST_POLL_SECONDS = 10.0
BREATH = 20
"""Examples looked at before requests have their turn on the loop: about a millisecond."""


class FineTuning:
    """Each activity can run again: a snapshot is a number, a training job is adopted, a verdict overwrites itself."""

    def __init__(self, store: Store, models: LocalModels, scorer: Scorer) -> None:
        self._store = store
        self._models = models
        self._holdout = HoldOut(store, models, scorer)

    @activity.defn(name="snapshot_dataset")
    async def snapshot_dataset(self, task: str, schema_version: int, settings_digest: str | None = None) -> DatasetRef:
        """A workflow that began under an earlier release does not say under which settings."""
        quality = None if settings_digest is None else (await self._store.settings.get(settings_digest)).quality
        leaves_out = quality is not None and quality.disputed == "leave_out"
        return await self._store.examples.snapshot(task, schema_version, leave_out_disputed=leaves_out)

    @activity.defn(name="train")
    async def train(self, request: TrainingRequest) -> TrainingJob:
        """Non-retryable error: TrainingFailed."""
        settings = await self._store.settings.get(request.settings_digest)
        runner = TRAINING_RUNNERS[settings.local.fine_tune_backend]()
        async with Heartbeater():
            job = await runner.start(request, settings, await self._dataset(request, settings))
            pause = POLL_SECONDS
            while not job.status.finished:
                await asyncio.sleep(pause)
                pause = min(LONGEST_POLL_SECONDS, pause * 1.2)
                job = await runner.poll(job, settings)
        if job.status is not TrainingStatus.SUCCEEDED:
            raise ApplicationError(job.error or str(job.status), type="TrainingFailed", non_retryable=True)
        return job.model_copy(update={"prompt_version": prompts.version(settings)})

    @activity.defn(name="validate")
    async def validate(self, request: ValidationRequest) -> Validation:
        """Non-retryable errors: ModelUnavailable, when the candidate cannot be loaded; EvaluatorError."""
        settings = await self._store.settings.get(request.settings_digest)
        try:
            async with Heartbeater():
                candidate = await self._holdout.comparisons(settings, request, request.candidate)
                incumbent: list[Comparison] = []
                if request.incumbent is not None:
                    with suppress(ModelUnavailable):  # an incumbent that is lost defends nothing
                        incumbent = await self._holdout.comparisons(settings, request, request.incumbent)
        except (ModelUnavailable, EvaluatorError) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        folder = version_dir(settings, request.candidate)
        told = await asyncio.to_thread(rehearsal.read, folder)
        profile = await asyncio.to_thread(read_profile, folder)
        summary = summarise(candidate, incumbent, request.window_size)
        return summary.model_copy(update={"rehearsal": told, "classes": profile.classes if profile else ""})

    @activity.defn(name="record_version")
    async def record_version(self, task: str, settings_digest: str, version: VersionStatus) -> None:
        if version.state == "promoted":
            settings = await self._store.settings.get(settings_digest)
            await self._models.of(settings).load(version.version)
        await self._store.versions.put(task, version)

    async def _dataset(self, request: TrainingRequest, settings: TaskSettings) -> Path:
        """The training part as a file beside the models; the hold-out part never leaves the store.

        Nor does it hold anything that is too much like a hold-out input.
        """
        file = Path(settings.local.model_dir) / request.task / "datasets" / f"{_name(request.dataset)}.jsonl"
        if not file.exists():
            await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
            keeps = await self._apart(request.dataset)
            export = self._store.examples.export
            await export(request.dataset, Split.TRAIN, file, lambda input: keeps(sketch(input)))
        return file

    async def _apart(self, ref: DatasetRef) -> Callable[[Sketch], bool]:
        """What tells which inputs of a frozen data set may be trained on. All its sketches are in memory meanwhile."""
        held, training = Twins(), list[Sketch]()
        async for page in self._store.examples.held_out(ref):
            await asyncio.to_thread(held.take, page)
        async for example in self._store.examples.read(ref, Split.TRAIN):
            training.append(sketch(example.input))
            if len(training) % BREATH == 0:
                await asyncio.sleep(0)
        return await asyncio.to_thread(held.apart, training)


def _name(dataset: DatasetRef) -> str:
    """Other names for other contents: a file that is there is not written again."""
    amended = f"-{dataset.last_amendment}" if dataset.last_amendment else ""
    return f"{dataset.last_id}{amended}{'-undisputed' if dataset.leaves_out_disputed else ''}"
