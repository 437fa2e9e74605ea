"""The short run of `make chaos`: everything breaks for a minute, then the books are held against each other."""

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(600)]


async def test_nothing_is_lost_paid_twice_or_overspent_while_everything_breaks(tmp_path: Path) -> None:
    report = await run(Plan(seed=20, faults=20, gap=1.5, events_a_run=1500), tmp_path)
    print(report.model_dump_json(indent=1, include={"faults", "requests", "errors", "journal", "recovery"}))
    assert report.violations == []
    assert sum(report.faults.values()) == 20
    assert report.cap_raised >= 1, "the cap was never reached"
    assert report.runs > 1, "the workflow never rolled over"
