"""What a worker says of an activity that failed."""

import logging

from temporalio.exceptions import ApplicationError

from activities.local.model import ServerDown
from client.cli.activity_log import OneLine


def record(error: Exception) -> logging.LogRecord:
    made = logging.LogRecord(
        "temporalio.activity", logging.WARNING, "", 1, "Completing activity as failed", (), (type(error), error, None)
    )
    made.temporal_activity = {"activity_type": "ask_remote", "workflow_id": "apprentice/sort", "attempt": 2}
    return made


def test_an_error_raised_on_purpose_is_one_line() -> None:
    failed = record(ApplicationError("no connection to models.example", type="Unreachable"))
    assert OneLine().filter(failed)
    expected = "ask_remote of apprentice/sort failed, attempt 2: Unreachable: no connection to models.example"
    assert (failed.getMessage(), failed.exc_info) == (expected, None)


def test_a_model_server_that_is_away_is_one_line() -> None:
    failed = record(ServerDown("Ollama at http://localhost:11434 gave no answer within 9 s"))
    assert OneLine().filter(failed)
    assert failed.getMessage().endswith(
        "attempt 2: ServerDown: Ollama at http://localhost:11434 gave no answer within 9 s"
    )
    assert failed.exc_info is None


def test_a_bug_keeps_its_traceback() -> None:
    bug = record(KeyError("a"))
    assert OneLine().filter(bug)
    assert bug.exc_info is not None
    assert bug.getMessage() == "Completing activity as failed"
