"""What a report says, as a document and as a picture."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from apprentice.messages import DaySpend, HistoryPoint, Interval, Lease, Phase, TaskStatus, Unknown
from client.cli.demo_view import per_million
from client.cli.report import as_document
from client.cli.report_view import recent_local_shares, report_of
from client.cli.status_view import line
from tests.client.cli.conftest import Cli

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def status(**more: Any) -> TaskStatus:
    base: dict[str, Any] = {
        **dict.fromkeys(("requests", "local", "deferred", "degraded", "failed", "examples", "holdout"), 0),
        **dict.fromkeys(("correlation", "trend", "version", "training", "forced_until")),
        **{key: [] for key in ("caps", "days", "versions", "alerts")},
    }
    fixed = {"task": "sort", "phase": Phase.COLLECTING, "explanation": "collecting", "at": NOW, "currency": "USD"}
    money = {"spend": Decimal(0), "all_remote": Decimal(0)}
    flags = {"forced_remote": False, "coaching_paused": False, "sampling_rate": 1.0}
    return TaskStatus(**(base | fixed | money | flags | more))


def points(count: int = 60) -> list[HistoryPoint]:
    """Half of the time all remote, then all local."""
    half = count // 2
    return [
        HistoryPoint(
            at=NOW + timedelta(minutes=n),
            requests=10 * (n + 1),
            phase=Phase.COACHING if n < half else Phase.AUTONOMOUS,
            correlation=n / count,
            low=0.0,
            high=1.0,
            sampling_rate=1.0 if n < half else 0.02,
            local=10 * max(0, n + 1 - half),
            spend=Decimal(min(n + 1, half)),
            all_remote=Decimal(n + 1),
        )
        for n in range(count)
    ]


def grown() -> TaskStatus:
    days = [
        DaySpend(day=f"2026-03-0{n}", requests=300, local=100 * n, spend=Decimal(30 - 10 * n), all_remote=Decimal(30))
        for n in (1, 2, 3)
    ]
    interval = Interval(mean=0.93, low=0.88, high=0.96, n=100)
    totals = {"requests": 900, "local": 600, "spend": Decimal(30), "all_remote": Decimal(90)}
    return status(phase=Phase.AUTONOMOUS, correlation=interval, days=days, version=2, **totals)


def drawn(of: TaskStatus, history: list[HistoryPoint], *, width: int = 100, encoding: str = "utf-8") -> str:
    stream = StringIO()
    Console(file=stream, width=width).print(report_of(of, history, width=width, encoding=encoding))
    return stream.getvalue()


def test_the_document_has_status_savings_and_history() -> None:
    found = as_document((grown(), points(3)))
    assert found["task"] == "sort"
    assert found["savings"] == {
        "spend": "30",
        "all_remote": "90",
        "saved": "60",
        "copies": "0",
        "local_cost": "0",
        "share": pytest.approx(2 / 3),
        "currency": "USD",
    }
    assert [point["requests"] for point in found["history"]] == [10, 20, 30]
    assert found["correlation"]["mean"] == 0.93


def test_the_picture_shows_savings_correlation_and_every_day() -> None:
    text = drawn(grown(), points())
    for words in ("30.00 USD instead of 90.00 USD: 67% saved", "0.93", "2026-03-01", "2026-03-03", "sampling rate"):
        assert words in text


@pytest.mark.parametrize("width", [20, 60, 100, 250])
def test_no_curve_is_wider_than_the_terminal(width: int) -> None:
    curve = [line for line in drawn(grown(), points(), width=width).splitlines() if "sampling rate" in line]
    assert curve
    assert all(len(line) <= width for line in curve)


def test_without_unicode_the_curves_are_ascii() -> None:
    lines = drawn(grown(), points(), encoding="ascii").splitlines()
    curve = [line for line in lines if "sampling rate" in line or "local share" in line]
    assert len(curve) == 2
    assert all(line.isascii() for line in curve)


def test_what_copied_answers_saved_is_said_where_there_are_any() -> None:
    copied = grown().model_copy(update={"copied": 100})
    assert "100 requests got another's answer, which saved 15.00 USD" in drawn(copied, [])
    assert as_document((copied, []))["savings"]["copies"] == "15.000000000"
    assert "another's answer" not in drawn(grown(), [])


def test_what_operators_have_to_know_is_said_and_nothing_of_it_where_all_is_well() -> None:
    lease = Lease(day="2026-03-04", until=NOW, limit=Decimal("1.5"), settled=Decimal("0.25"))
    troubled = status(
        frozen=True, unknown=Unknown(calls=2, upper_bound=Decimal("0.5")), schema_version=3, copied=7, lease=lease
    )
    text = drawn(troubled, [])
    for words in (
        "no paid call is made until `budget unfreeze sort`",
        "2 calls, counted as spent at most: 0.5000 USD; see `apprentice unknown`",
        "version 3",
        "7 answers of other requests with the same input",
        "0.25 spent of 1.5 USD granted today",
    ):
        assert words in text
    assert line(troubled).endswith("copied=7 unknown=2 frozen")
    assert not any(word in drawn(status(), []) for word in ("frozen", "unknown", "schema", "copied", "granted"))


def test_a_task_that_has_just_begun_has_a_report() -> None:
    assert "collecting" in drawn(status(), [])


def test_the_local_share_is_that_of_the_time_between_two_points() -> None:
    assert recent_local_shares(points(4)) == [0.0, 0.0, 1.0, 1.0]


def test_a_million_requests_are_projected_from_the_newest_fifth() -> None:
    assert per_million(points()) == 0
    assert per_million(points()[:30]) == 100_000
    assert per_million([]) is None


def test_no_server_is_exit_code_3(cli: Cli) -> None:
    done = cli("report", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert done.returncode == 3
    assert "apprentice up" in done.stderr
