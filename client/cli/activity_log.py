"""How a worker's log tells of an activity that failed with an error of ours: in one line, as the caller hears it."""

import logging

from temporalio.exceptions import ApplicationError

from activities.local.model import LocalError


def shorten_activity_log() -> None:
    """An unreachable provider is tried again and again: a traceback for each attempt would hide what matters."""
    logging.getLogger("temporalio.activity").addFilter(OneLine())


class OneLine(logging.Filter):
    """Takes the traceback from errors that were raised on purpose; any other exception keeps its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: nothing is left out but the traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ApplicationError | LocalError):
            about = getattr(record, "temporal_activity", {})
            what = about.get("activity_type", "activity"), about.get("workflow_id", "-"), about.get("attempt", 1)
            # A `LocalError` reaches the log by itself where its activity is to be tried again.
            said = f"{type(error).__name__}: {error}" if isinstance(error, LocalError) else error
            record.msg, record.args = "%s of %s failed, attempt %s: %s", (*what, said)
            record.exc_info = None
        return True
