"""`FineTuneWorkflow`: snapshot, train, validate on the hold-out set, promote or reject, tell the parent."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from apprentice.messages import (
        DatasetRef,
        FineTuneOutcome,
        FineTuneRequest,
        TrainingJob,
        TrainingRequest,
        Validation,
        ValidationRequest,
    )
    from apprentice.promotion import judge, verdict
    from workflows import policies
    from workflows.ids import lifecycle_id


@workflow.defn
class FineTuneWorkflow:
    """One candidate version. Every step is idempotent, so a restarted worker goes on where the last one was."""

    @workflow.init
    def __init__(self, request: FineTuneRequest) -> None:
        self.request = request
        self.step = "starting"

    @workflow.run
    async def run(self, request: FineTuneRequest) -> FineTuneOutcome:
        try:
            dataset = await self._snapshot()
            job = await self._train(dataset)
            validation = await self._validate(dataset)
            promoted, reason = judge(validation, request.promotion_threshold, insist=request.insist)
            outcome = FineTuneOutcome(
                number=request.number,
                promoted=promoted,
                reason=reason,
                train=dataset.train,
                holdout=dataset.holdout,
                left_out=dataset.left_out,
                validation=validation,
                prompt_version=job.prompt_version,
            )
            await self._record(outcome)
        except ActivityError as error:
            reason = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause or error)
            outcome = FineTuneOutcome(number=request.number, promoted=False, reason=f"{self.step}: {reason}")
            await self._record(outcome)
        await self._report(outcome)
        return outcome

    @workflow.query
    def progress(self) -> str:
        """Which step is under way."""
        return self.step

    def _at(self, step: str) -> None:
        self.step = step
        workflow.set_current_details(
            f"version {self.request.number} of {self.request.task}: {step} ({self.request.reason})"
        )

    async def _snapshot(self) -> DatasetRef:
        self._at("snapshot")
        return await workflow.execute_activity(
            contract.snapshot_dataset,
            args=[self.request.task, self.request.schema_version, self.request.settings_digest],
            start_to_close_timeout=policies.PERSIST_TIMEOUT,
            retry_policy=policies.PERSIST,
            summary="freeze the data set",
        )

    async def _train(self, dataset: DatasetRef) -> TrainingJob:
        self._at(f"training on {dataset.train} examples")
        return await workflow.execute_activity(
            contract.train,
            TrainingRequest(
                task=self.request.task,
                version=self.request.number,
                settings_digest=self.request.settings_digest,
                dataset=dataset,
            ),
            start_to_close_timeout=self.request.training_timeout,
            schedule_to_close_timeout=self.request.training_timeout,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policies.TRAIN,
            summary=f"train version {self.request.number} on {dataset.train} examples",
        )

    async def _validate(self, dataset: DatasetRef) -> Validation:
        self._at(f"validating on {dataset.holdout} hold-out examples")
        return await workflow.execute_activity(
            contract.validate,
            ValidationRequest(
                task=self.request.task,
                settings_digest=self.request.settings_digest,
                dataset=dataset,
                candidate=self.request.number,
                incumbent=self.request.incumbent,
                window_size=self.request.window_size,
            ),
            start_to_close_timeout=policies.VALIDATE_TIMEOUT,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policies.PERSIST,
            summary="validate on the hold-out set",
        )

    async def _record(self, outcome: FineTuneOutcome) -> None:
        self._at("promoting" if outcome.promoted else "recording")
        version = verdict(outcome, workflow.now())
        await workflow.execute_activity(
            contract.record_version,
            args=[self.request.task, self.request.settings_digest, version],
            start_to_close_timeout=policies.PERSIST_TIMEOUT,
            retry_policy=policies.PERSIST,
            summary=f"{version.state}: {outcome.reason}",
        )

    async def _report(self, outcome: FineTuneOutcome) -> None:
        self._at(f"done, {'promoted' if outcome.promoted else 'not promoted'}: {outcome.reason}")
        parent = workflow.get_external_workflow_handle(lifecycle_id(self.request.task))
        await parent.signal("fine_tuned", outcome)
