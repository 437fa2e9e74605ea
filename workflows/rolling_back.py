"""An earlier version serves again: it answers newest hold-out examples first, then the brain switches to it.

Requests go on all the while; those in flight at the switch finish on the version that they began with.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities import contract
from apprentice.lifecycle import Lifecycle
from apprentice.messages import Action, RolledBack, Validation, ValidationRequest
from apprentice.rollback import EXAMPLES
from workflows import policies
from workflows.failures import named
from workflows.refusals import check_rollback


class RollingBack:
    """One at a time, for one task."""

    def __init__(self, brain: Lifecycle) -> None:
        self._brain = brain
        self._turn = asyncio.Lock()

    @property
    def under_way(self) -> bool:
        """Whether a version is being tried."""
        return self._turn.locked()

    async def to(self, wanted: int | None) -> list[Action]:
        """Roll back; what the brain asks for then. The version that serves already changes nothing.

        Raises `ApplicationError` of type NoSuchVersion or RollbackFailed; the task is as it was.
        """
        async with self._turn:
            state = self._brain.state
            version, left = check_rollback(state, wanted), state.version
            if left is None or version == left:
                return []
            validation = await self._tried(version)
            if state.version != left:
                raise _failed(
                    f"the version that serves has changed to {state.version} meanwhile; look, then order again"
                )
            check_rollback(state, version)
            done = RolledBack(version=version, left=left, validation=validation)
            actions = self._brain.observe(done, workflow.now())
            await self._record(left, version)
            return actions

    async def _tried(self, version: int) -> Validation:
        """How the version answers: that it does at all, and its first comparisons."""
        settings = self._brain.settings
        try:
            dataset = await workflow.execute_activity(
                contract.snapshot_dataset,
                args=[settings.name, settings.schema_version],
                start_to_close_timeout=policies.PERSIST_TIMEOUT,
                retry_policy=policies.ROLL_BACK,
                summary="freeze the data set",
            )
            return await workflow.execute_activity(
                contract.validate,
                ValidationRequest(
                    task=settings.name,
                    settings_digest=self._brain.digest,
                    dataset=dataset,
                    candidate=version,
                    incumbent=None,
                    window_size=settings.sampling.window_size,
                    newest=EXAMPLES,
                ),
                start_to_close_timeout=policies.ROLL_BACK_TIMEOUT,
                schedule_to_close_timeout=policies.ROLL_BACK_TIMEOUT,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=policies.ROLL_BACK,
                summary=f"roll back to version {version}",
            )
        except ActivityError as error:
            cause = named(error)
            why = f"{cause.type}: {cause.message}"
            raise _failed(
                f"version {version} cannot serve ({why}); version {self._brain.state.version} goes on"
            ) from None

    async def _record(self, *numbers: int) -> None:
        """Write down what became of the versions. It serves already: a store that is away must not undo that."""
        for one in self._brain.state.versions:
            if one.version not in numbers:
                continue
            try:
                await workflow.execute_activity(
                    contract.record_version,
                    args=[self._brain.settings.name, self._brain.digest, one],
                    start_to_close_timeout=policies.PERSIST_TIMEOUT,
                    retry_policy=policies.ROLL_BACK,
                    summary=f"version {one.version}: {one.state}",
                )
            except ActivityError as error:
                workflow.logger.warning("version %d is not recorded: %s", one.version, named(error).type)


def _failed(why: str) -> ApplicationError:
    return ApplicationError(why, type="RollbackFailed", non_retryable=True)
