"""Where the Temporal SDK's native core writes its warnings: by itself to stdout, where results go."""

import logging
import time

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter


def forward_core_log() -> None:
    """Send them to Python's logging. Has no effect once a client of this process has connected."""
    logger = logging.getLogger("temporalio.core")
    logger.addFilter(OutageOnce())
    forwarding = LogForwardingConfig(logger=logger)
    logs = LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logs)), error_if_already_set=False)


class OutageOnce(logging.Filter):
    """Says in one plain line, once in a while, what the core says for every call that it repeats."""

    def __init__(self, seconds: float = 30.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._said = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to print the record; repeats of calls are reworded."""
        if "retried" not in record.getMessage():
            return True
        if time.monotonic() - self._said < self._seconds:
            return False
        self._said = time.monotonic()
        record.msg, record.args = "the Temporal server does not answer; going on as soon as it does", ()
        return True
