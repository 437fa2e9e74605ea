"""One admitted request on its way through the models: what the `submit` update does.

Remote and local run side by side. The remote answer is served whenever there is one; the local one is served when
the route says so and it is sure enough. Every failure ends as one named `ApplicationError`: any other exception in
an update handler would wedge the workflow.

No local activities, though they would save a round trip: they resolve in the order in which they end, and replay in
the order in which they began, so that concurrent updates that use them do not replay (measured with temporalio
1.35; sdk-python issue 1578).
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities import contract
from apprentice import opinions
from apprentice.accounting import BudgetExhausted
from apprentice.datasets import input_hash
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
    Trouble,
)
from workflows import policies
from workflows.burst import Burst
from workflows.failures import PAID, charged, made, named, troubles
from workflows.sharing import Sharing
from workflows.till import Till

# Of a request that gets the answer of another.
COPY = Route(remote=True, local=False, reason=RouteReason.SHARED)

# Asks the store, which looks into the journal before anything else. There is no version 0 to answer in its place.
REMEMBERED = Route(remote=False, local=True, reason=RouteReason.BUDGET, version=0)


class Serving:
    """Serves one request with a task's brain. `actions` is what the brain asked for in the end.

    Without `sharing` (in runs begun by 0.1.0) nobody waits for room under a cap or for another's answer.
    """

    def __init__(
        self, brain: Lifecycle, request: TaskRequest, digest: str, burst: Burst, till: Till, sharing: Sharing | None
    ) -> None:
        self.brain = brain
        self.request = request
        self.digest = digest
        self.burst = burst
        self.till = till
        self.sharing = sharing
        self.actions: list[Action] = []
        self._admission = str(workflow.uuid4())
        self._input_hash = input_hash(request.input) if sharing else ""
        self._lost = self._in_doubt = Decimal(0)
        self._made = False
        self._troubles: list[Trouble] = []
        self._local_error: str | None = None

    async def run(self) -> TaskResult:
        """Raises `ApplicationError` of type BudgetExhausted, or of the remote model's error."""
        try:
            return await self._run()
        finally:
            self._stop_leading(answered=False)

    async def _run(self) -> TaskResult:
        coin = workflow.random().random()
        if self.brain.policy(coin, workflow.now()).remote and (copy := await self._others_answer()):
            return await self._finish(COPY, copy, None)
        try:
            route = await self._funded(
                lambda patient: self.brain.admit(self.request, coin, workflow.now(), patient=patient)
            )
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
        if self.sharing is None:
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
        if copy := await self._others_answer():
            return COPY, copy, None
        try:
            second = await self._funded(
                lambda patient: self.brain.defer(self.request, route, reason, workflow.now(), patient=patient)
            )
        except BudgetExhausted as error:
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
        size = len(served.model_dump_json().encode())
        await self.burst.wait(size, size)
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
            copied=served.copied,
            lost=self._lost,
            in_doubt=self._in_doubt,
            made=self._made,
            troubles=self._troubles,
            local_error=self._local_error,
        )
        self.actions = [*self.brain.observe(outcome, workflow.now()), *self._second_opinion(outcome)]
        answer = served.answer
        if route.later and route.reason is RouteReason.SPOT_CHECK and local is served and not replayed:
            self.actions += self.brain.ask_later(self.request, answer, route, workflow.now())
        return TaskResult(
            output=answer.output,
            request_id=self.request.request_id,
            degraded=served.degraded if replayed else answer.source is Source.LOCAL and route.short(answer.confidence),
            trace=Trace(
                served_by=answer.source,
                phase=self.brain.state.phase,
                reason=route.reason,
                model=answer.model,
                version=answer.version,
                confidence=answer.confidence,
                score=score,
                propensity=route.propensity,
                cost=answer.cost if answer.source is Source.REMOTE else Decimal(0),
                replayed=replayed,
                copied=served.copied,
            ),
        )

    def _second_opinion(self, outcome: RequestOutcome) -> list[Action]:
        """Another remote model is asked too, for some requests; not by the caller, who has the answer by then."""
        if not opinions.possible(self.brain.settings):
            return []
        coin = workflow.random().random()
        return self.brain.second_opinion(self.request, outcome, self._admission, coin, workflow.now())

    async def _funded(self, attempt: Callable[[bool], Route]) -> Route:
        """The route, when there is room for it or none is to be expected. Raises `BudgetExhausted`."""
        if self.sharing is None:
            return attempt(False)
        return await self.till.fund(lambda: attempt(True))

    async def _others_answer(self) -> Reply | None:
        """The answer that another request with the same input gets just now; None if this one has to ask."""
        if self.sharing is None:
            return None
        leader = await self.sharing.follow(self._input_hash, self.request.request_id)
        copy = await self._remote(COPY, leader) if leader else None
        return copy if isinstance(copy, Reply) else None

    def _stop_leading(self, *, answered: bool) -> None:
        if self.sharing is not None:
            self.sharing.done(self._input_hash, self.request.request_id, answered=answered)

    async def _remote(self, route: Route, copy_of: str | None = None) -> Reply | ApplicationError | None:
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
            copy_of=copy_of,
            reason=route.reason,
            propensity=route.propensity,
        )
        await self.burst.wait(len(call.model_dump_json().encode()))
        asking = policies.asking(settings.remote)
        try:
            reply = await workflow.execute_activity(
                contract.ask_remote,
                call,
                start_to_close_timeout=asking.attempt,
                schedule_to_close_timeout=asking.all,
                heartbeat_timeout=policies.HEARTBEAT,
                retry_policy=asking.retry,
                summary=f"{settings.remote.model}: {route.reason}",
            )
        except ActivityError as error:
            cause, cost = named(error), charged(error, route.reserved)
            self._lost += cost
            self._made |= made(error, route.reserved)
            self._in_doubt += Decimal(0) if cause.type in PAID else cost
            self._troubles += troubles(cause)
            return cause
        self._troubles += reply.troubles
        self._stop_leading(answered=True)
        return reply

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
            reason=route.reason,
            propensity=route.propensity,
            proven=route.proven,
        )
        timeout = timedelta(seconds=settings.local.timeout_seconds)
        await self.burst.wait(len(call.model_dump_json().encode()))
        try:
            reply = await workflow.execute_activity(
                contract.ask_local,
                call,
                start_to_close_timeout=timeout,
                heartbeat_timeout=policies.LOCAL_HEARTBEAT,
                retry_policy=policies.ASK_LOCAL,
                summary=f"version {route.version}",
            )
        except ActivityError as error:
            cause = named(error)
            self._local_error = None if route is REMEMBERED else cause.type
            return cause
        self._local_error = None
        return reply

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
            workflow.logger.warning("no score for request %s: %s", self.request.request_id, named(error).type)
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
            in_doubt=self._in_doubt,
            made=self._made,
            troubles=self._troubles,
            local_error=self._local_error,
        )
        self.actions = self.brain.observe(outcome, workflow.now())
        return error
