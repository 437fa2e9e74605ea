"""What `status` says of the remote models."""

from io import StringIO

from rich.console import Console

from apprentice.lifecycle import Lifecycle
from apprentice.messages import Interval, TaskStatus, Troubled
from client.cli.status_view import detail, line
from tests.apprentice.brain import T0, task_settings


def status(**more: object) -> TaskStatus:
    return Lifecycle(task_settings()).status(T0).model_copy(update=more)


def drawn(of: TaskStatus) -> str:
    stream = StringIO()
    Console(file=stream, width=200).print(detail(of))
    return stream.getvalue()


def test_how_far_teachers_agree_is_said_with_its_interval() -> None:
    agree = Interval(mean=0.934, low=0.88, high=0.966, n=1112)
    assert "teachers" not in drawn(status())
    said = drawn(status(teachers_agree=agree))
    assert "teachers" in said
    assert "agree 0.93, between 0.88 and 0.97, over 1,112 second opinions" in said


def test_a_remote_model_in_trouble_is_named_with_its_error() -> None:
    one = Troubled(provider="openai", model="gpt", error="AuthFailed", message="HTTP 401", since=T0)
    assert "in_trouble" not in line(status())
    assert "in_trouble=1" in line(status(troubled=[one]))
    assert "openai gpt since 2026-03-02T12:00:00Z, AuthFailed: HTTP 401" in drawn(status(troubled=[one]))
