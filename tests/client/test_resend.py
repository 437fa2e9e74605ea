"""What passes by itself is waited for; what does not is said."""

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import WorkflowNotReadyFailure
from temporalio.service import RPCError, RPCStatusCode

from client.errors import ApprenticeError
from client.sending import no_task, resend


def refusal(status: RPCStatusCode, detail: Message | None = None) -> RPCError:
    """What the server answers."""
    packed = GrpcStatus(code=status)
    if detail is not None:
        packed.details.add().Pack(detail)
    return RPCError("refused", status, packed.SerializeToString())


NOT_READY = refusal(RPCStatusCode.FAILED_PRECONDITION, WorkflowNotReadyFailure())


@pytest.mark.parametrize("passing", [NOT_READY, refusal(RPCStatusCode.UNAVAILABLE)])
async def test_a_workflow_that_cannot_get_on_and_a_server_that_is_away_are_waited_for(passing: RPCError) -> None:
    errors = [passing, passing]

    async def send() -> str:
        if errors:
            raise errors.pop()
        return "answer"

    assert await resend(send, no_task("tickets")) == "answer"


async def test_any_other_refusal_is_said() -> None:
    async def send() -> str:
        raise refusal(RPCStatusCode.FAILED_PRECONDITION)

    with pytest.raises(ApprenticeError, match="refused"):
        await resend(send, no_task("tickets"))
