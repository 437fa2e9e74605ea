"""Signals that nobody could carry out are dropped: they stay in the history, so that a failing one fails for ever.

The SDK drops a signal whose payload it cannot decode. One with a surplus argument it hands on, without types; the
handler's TypeError would then hold up the whole workflow. Updates need none of this: their callers are told.
"""

import inspect

from temporalio import workflow
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class TolerantSignals(Interceptor):
    """For the worker, and for whoever replays its histories."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """See base class."""
        return _TolerantInbound


class _TolerantInbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:
        handler = workflow.get_signal_handler(input.signal)
        if handler is not None:
            try:
                inspect.signature(handler).bind(*input.args)
            except TypeError:
                workflow.logger.warning("signal %s came with %d arguments; dropped", input.signal, len(input.args))
                return
        await super().handle_signal(input)
