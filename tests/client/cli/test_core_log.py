"""What the SDK's core repeats for every call is said once."""

import logging

from client.cli.core_log import OutageOnce


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("temporalio.core", logging.WARNING, "core", 1, message, (), None)


def test_an_outage_is_said_once_in_plain_words() -> None:
    once = OutageOnce()
    first = record("gRPC call poll_update retried 5 times: Unavailable")
    assert once.filter(first)
    assert first.getMessage() == "the Temporal server does not answer; going on as soon as it does"
    assert not once.filter(record("gRPC call poll_update retried 6 times: Unavailable"))


def test_any_other_warning_is_left_as_it_is() -> None:
    other = record("something else")
    assert OutageOnce().filter(other)
    assert other.getMessage() == "something else"
