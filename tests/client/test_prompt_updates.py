"""An update that meets a rollover is sent again at once; everything else is left to the SDK's patience."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause as Cause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from client.prompt_updates import PAUSES, with_prompt_updates
from tests.conftest import DevEnv


def exhausted(cause: "Cause.ValueType") -> RPCError:
    """What the server answers when something is exhausted."""
    status = GrpcStatus(code=RPCStatusCode.RESOURCE_EXHAUSTED)
    status.details.add().Pack(ResourceExhaustedFailure(cause=cause))
    return RPCError("refused", RPCStatusCode.RESOURCE_EXHAUSTED, status.SerializeToString())


CLOSING = exhausted(Cause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW)
RATE_LIMIT = exhausted(Cause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT)
GONE = RPCError("no connection", RPCStatusCode.UNAVAILABLE, b"")


class Wire(ServiceClient):
    """A connection that refuses with these errors, in turn, then answers; `patient` is who was to retry."""

    def __init__(self, *errors: RPCError) -> None:
        super().__init__(ConnectConfig(target_host="nowhere"))
        self.errors, self.patient = list(errors), list[bool]()

    @property
    def worker_service_client(self) -> Any:
        raise NotImplementedError

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        raise NotImplementedError

    def update_api_key(self, api_key: str | None) -> None:
        raise NotImplementedError

    async def _rpc_call[R: Message](
        self,
        rpc: str,
        req: Message,
        resp_type: Callable[[], R],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,  # noqa: ASYNC109 - the signature is the SDK's
    ) -> R:
        self.patient.append(retry)
        if self.errors:
            raise self.errors.pop(0)
        return resp_type()


async def send(wire: Wire, retry: bool = True) -> UpdateWorkflowExecutionResponse:
    service = with_prompt_updates(Client(wire)).workflow_service
    return await service.update_workflow_execution(UpdateWorkflowExecutionRequest(), retry=retry)


async def test_a_workflow_that_is_closing_is_asked_again_without_the_sdks_pause() -> None:
    wire = Wire(CLOSING, CLOSING)
    await send(wire)
    assert wire.patient == [False, False, False]


@pytest.mark.parametrize("error", [RATE_LIMIT, GONE])
async def test_a_limit_or_an_outage_is_left_to_the_sdk(error: RPCError) -> None:
    wire = Wire(error)
    await send(wire)
    assert wire.patient == [False, True]


async def test_a_workflow_that_stays_busy_is_left_to_the_sdk_too() -> None:
    wire = Wire(*[CLOSING] * len(PAUSES))
    await send(wire)
    assert wire.patient == [False] * len(PAUSES) + [True]


async def test_who_wants_no_retry_gets_none() -> None:
    wire = Wire(CLOSING)
    with pytest.raises(RPCError):
        await send(wire, retry=False)
    assert wire.patient == [False]


async def test_the_connection_and_the_rest_of_the_client_stay_the_same(dev_env: DevEnv) -> None:
    prompt = with_prompt_updates(dev_env.client)
    assert prompt.data_converter is dev_env.client.data_converter
    assert prompt.service_client.config is dev_env.client.service_client.config
    assert await prompt.service_client.check_health()
