"""One admitted request on its way through the models: what the `submit` update does.

Remote and local run side by side. The remote answer is served whenever there is one; the local one is served when
the route says so and it is sure enough. Every failure ends as one named `ApplicationError`: any other exception in
an update handler would wedge the workflow.

No local activities, though they would save a round trip: they resolve in the order in which they end, and replay in
the order in which they began, so that concurrent updates that use them do not replay (measured with temporalio
1.35; sdk-python issue 1578).
"""

import asyncio
from datetime import timedelta
from decimal import Decimal

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError

from activities import contract
from apprentice.accounting import BudgetExhausted
from apprentice.lifecycle import Lifecycle
from apprentice.messages import (
    Action,
    CompareCall,
    LocalCall,
    RemoteCall,
    Reply,
    RequestOutcome,
    Route,
    RouteReason,
    Source,
    TaskRequest,
    TaskResult,
    Trace,
)
from workflows import policies
from workflows.burst import Burst

# Refusals before anything was sent to a model.
NEVER_ASKED = {"RequestIdReused", "SettingsUnknown"}

# Asks the store, which looks into the journal before anything else. There is no version 0 to answer in its place.
REMEMBERED = Route(remote=False, local=True, reason=RouteReason.BUDGET, version=0)


class Serving:
    """Serves one request with a task's brain. `actions` is what the brain asked for in the end."""

    def __init__(self, brain: Lifecycle, request: TaskRequest, digest: str, burst: Burst) -> None:
        self.brain = brain
        self.request = request
        self.digest = digest
        self.burst = burst
        self.actions: list[Action] = []
        self._admission = str(workflow.uuid4())
        self._lost = Decimal(0)

    async def run(self) -> TaskResult:
        """Raises `ApplicationError` of type BudgetExhausted, or of the remote model's error."""
        try:
            route = self.brain.admit(self.request, workflow.random().random(), workflow.now())
        except BudgetExhausted as error:
            known = await self._remembered()
            if known is None:
                raise self._refused(error, None) from None
            return await self._finish(REMEMBERED, None, known)
        remote, local = await asyncio.gather(self._remote(route), self._local(route))
        if not route.remote:
            route, remote, local = await self._without_remote(route, local)
        elif isinstance(remote, ApplicationError):
            route, local = await self._without_answer(route, remote, local)
            remote = None
        assert not isinstance(remote, ApplicationError)
        return await self._finish(route, remote, local if isinstance(local, Reply) else None)

    async def _remembered(self) -> Reply | None:
        """What the request was answered before: a full cap takes back no answer that was given."""
        if not workflow.patched("remembered-when-exhausted"):
            return None
        reply = await self._local(REMEMBERED)
        return reply if isinstance(reply, Reply) and reply.replayed else None

    async def _without_remote(
        self, route: Route, local: Reply | ApplicationError | None
    ) -> tuple[Route, Reply | None, Reply | ApplicationError | None]:
        """The local model was to serve: it did, or it was too unsure, or it failed."""
        failed = not isinstance(local, Reply)
        if isinstance(local, Reply):
            unsure = not local.replayed and (local.answer.confidence or 0.0) < route.defer_below
            if not unsure:
                return route, None, local
        reason = RouteReason.LOCAL_FAILED if failed else RouteReason.DEFERRED
        try:
            second = self.brain.defer(self.request, route, reason, workflow.now())
        except BudgetExhausted as error:  # pragma: no cover - there is a version, so defer never raises today
            raise self._refused(error, route) from None
        if second.remote:
            answer = await self._remote(second)
            if isinstance(answer, Reply):
                return second, answer, local
        if isinstance(local, ApplicationError):
            raise self._failed(second, local)
        second = second.model_copy(update={"remote": False, "degraded": True})
        return second, None, await self._serve_locally(second)

    async def _without_answer(
        self, route: Route, error: ApplicationError, local: Reply | ApplicationError | None
    ) -> tuple[Route, Reply]:
        """The remote model was to serve and failed: the local answer stands in, if there is one."""
        if not isinstance(local, Reply):
            raise self._failed(route, error)
        route = route.model_copy(update={"remote": False, "degraded": True})
        return route, await self._serve_locally(route)

    async def _serve_locally(self, route: Route) -> Reply:
        """Ask again for an answer that was not final, so that the store remembers it as the one served."""
        reply = await self._local(route)
        if isinstance(reply, Reply):
            return reply
        raise self._failed(route, reply or ApplicationError("no local answer", type="ModelUnavailable"))

    async def _finish(self, route: Route, remote: Reply | None, local: Reply | None) -> TaskResult:
        served = remote or local
        assert served is not None
        replayed = served.replayed
        await self.burst.wait(2 * len(served.model_dump_json().encode()))
        score = None
        if remote and local and not replayed and not local.replayed:
            score = await self._compare(route, remote, local)
        outcome = RequestOutcome(
            request_id=self.request.request_id,
            route=route,
            remote=remote.answer if remote else None,
            local=local.answer if local else None,
            score=score,
            example=served.example,
            replayed=replayed,
            lost=self._lost,
        )
        self.actions = self.brain.observe(outcome, workflow.now())
        answer = served.answer
        return TaskResult(
            output=answer.output,
            request_id=self.request.request_id,
            degraded=served.degraded if replayed else answer.source is Source.LOCAL and route.degraded,
            trace=Trace(
                served_by=answer.source,
                phase=self.brain.state.phase,
                reason=route.reason,
                model=answer.model,
                version=answer.version,
                confidence=answer.confidence,
                score=score,
                propensity=route.propensity,
                cost=answer.cost,
                replayed=replayed,
            ),
        )

    async def _remote(self, route: Route) -> Reply | ApplicationError | None:
        if not route.remote:
            return None
        settings = self.brain.settings
        call = RemoteCall(
            request=self.request,
            admission=self._admission,
            settings_digest=self.digest,
            schema_version=settings.schema_version,
            reserved=route.reserved,
            fair=route.fair,
        )
        await self.burst.wait(len(call.model_dump_json().encode()))
        timeout = timedelta(seconds=settings.remote.timeout_seconds + 5)
        try:
            return await workflow.execute_activity(
                contract.ask_remote,
                call,
                start_to_close_timeout=timeout,
                schedule_to_close_timeout=policies.ATTEMPTS_IN_ALL * timeout,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=policies.ASK,
                summary=f"{settings.remote.model}: {route.reason}",
            )
        except ActivityError as error:
            self._lost += _charged(error, route.reserved)
            return _cause(error)

    async def _local(self, route: Route) -> Reply | ApplicationError | None:
        if not route.local or route.version is None:
            return None
        settings = self.brain.settings
        call = LocalCall(
            request=self.request,
            admission=self._admission,
            settings_digest=self.digest,
            version=route.version,
            serves=not route.remote,
            defer_below=0.0 if route.degraded else route.defer_below,
            degraded=route.degraded,
        )
        timeout = timedelta(seconds=settings.local.timeout_seconds)
        await self.burst.wait(len(call.model_dump_json().encode()))
        try:
            return await workflow.execute_activity(
                contract.ask_local,
                call,
                start_to_close_timeout=timeout,
                retry_policy=policies.ASK_LOCAL,
                summary=f"version {route.version}",
            )
        except ActivityError as error:
            return _cause(error)

    async def _compare(self, route: Route, remote: Reply, local: Reply) -> float | None:
        """The score; None if the evaluator failed, which must not cost the caller the answer."""
        settings = self.brain.settings
        call = CompareCall(
            request_id=self.request.request_id,
            task=self.request.task,
            settings_digest=self.digest,
            local=local.answer,
            remote=remote.answer,
            propensity=route.chance_of_comparison(local.answer.confidence),
        )
        await self.burst.wait(len(call.model_dump_json().encode()))
        try:
            return await workflow.execute_activity(
                contract.compare,
                call,
                start_to_close_timeout=policies.PERSIST_TIMEOUT,
                retry_policy=policies.ASK,
                summary=settings.evaluator,
            )
        except ActivityError as error:
            workflow.logger.warning("no score for request %s: %s", self.request.request_id, _cause(error).type)
            return None

    def _refused(self, error: BudgetExhausted, route: Route | None) -> ApplicationError:
        resets = error.resets.isoformat() if error.resets else None
        return self._failed(route, ApplicationError(str(error), resets, type="BudgetExhausted", non_retryable=True))

    def _failed(self, route: Route | None, error: ApplicationError) -> ApplicationError:
        """Account for the failure; the error to raise."""
        outcome = RequestOutcome(
            request_id=self.request.request_id,
            route=route,
            error=error.type or "ApplicationError",
            lost=self._lost,
        )
        self.actions = self.brain.observe(outcome, workflow.now())
        return error


def _charged(error: ActivityError, reserved: Decimal) -> Decimal:
    """What a failed call has to be counted at: the activity says, else nobody knows and it is the upper bound."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return reserved
    if cause.type in NEVER_ASKED:
        return Decimal(0)
    for detail in cause.details:
        if isinstance(detail, dict) and "charged" in detail:
            return Decimal(detail["charged"])
    return reserved


def _cause(error: ActivityError) -> ApplicationError:
    """The error behind a failed activity, always by name."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return ApplicationError(cause.message, *cause.details, type=cause.type or "ActivityFailed", non_retryable=True)
    if isinstance(cause, TimeoutError):
        return ApplicationError("no answer in time", type="TimedOut", non_retryable=True)
    return ApplicationError(str(cause or error), type="ActivityFailed", non_retryable=True)
