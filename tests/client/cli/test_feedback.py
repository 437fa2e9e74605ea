"""`apprentice feedback` against a real server: one label, a file of them, a fair sample."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.cli.conftest import Cli
from tests.client.cli.place import Place, place_of
from tests.conftest import DevEnv

SECRET = "the text of a customer"


@pytest.fixture(scope="module")
def place(dev_env: DevEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = place_of(dev_env, tmp_path_factory.mktemp("place"), latency=0)
    worker = place.start("worker")
    assert worker.stdout is not None
    assert "Ctrl-C stops it" in worker.stdout.readline()
    assert place.cli("apply").returncode == 0
    requests = [json.dumps({"request_id": f"r-{n}", "input": {"text": f"{SECRET} {n}"}}) for n in range(20)]
    (place.folder / "in.jsonl").write_text("\n".join(requests))
    assert place.cli("batch", place.task, "in.jsonl", "--output", "out.jsonl").returncode == 0
    yield place
    worker.send_signal(signal.SIGTERM)
    _, errors = worker.communicate(timeout=30)
    assert (worker.returncode, "Traceback" in errors, SECRET in errors) == (0, False, False)


def answer(place: Place, request_id: str) -> str:
    [found] = [row["output"]["category"] for row in place.rows() if row["request_id"] == request_id]
    return str(found)


def test_one_answer_is_corrected(place: Place) -> None:
    right = "billing" if answer(place, "r-0") != "billing" else "account"
    done = place.cli("feedback", place.task, "r-0", "--correct", json.dumps({"category": right}))
    assert done.returncode == 0, done.stderr
    assert "r-0 is labelled; the teacher scored 0.00, its example teaches this from now on" in done.stdout
    verdict = json.loads(place.cli("feedback", place.task, "r-0", "--right", "--json").stdout)
    assert (verdict["teacher"], verdict["corrected"], verdict["error"]) == (1.0, False, None)
    assert json.loads(place.cli("feedback", place.task, "r-0", "--wrong", "--json").stdout)["teacher"] == 0.0


def test_what_cannot_be_taken_is_named_and_is_bad_usage(place: Place) -> None:
    cases = [
        (("r-404", "--right"), "'r-404'"),
        (("r-0", "--correct", '{"category": "SECRET"}'), "category"),
        (("r-0", "--correct", "{category: x}"), "--correct: not valid JSON"),
        (("r-0", "--correct", "[1]"), "--correct: expected a JSON object"),
        (("r-0", "--correct", "@nowhere.json"), "cannot read nowhere.json"),
        (("--from", "nowhere.jsonl"), "cannot read nowhere.jsonl"),
    ]
    for arguments, words in cases:
        done = place.cli("feedback", place.task, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert words in done.stderr
        assert "SECRET" not in done.stderr
        assert "Traceback" not in done.stderr


def test_a_file_is_taken_as_far_as_it_can_be(place: Place) -> None:
    lines = [
        '{"request_id": "r-1", "right": false}',
        '{"request_id": "r-1", "right": true, "note": "on second thoughts"}',
        '{"request_id": "r-2", "output": {"category": "billing"}, "right": null}',
        '{"request_id": "r-3", "output": null, "right": null}',
        "",
        '{"request_id": "r-404", "right": true}',
        '{"request_id": "r-4", "output": {"category": "billing"}, "right": true}',
        '{"request_id": "r-5", "right": "yes"}',
        '{"right": true}',
        "no JSON",
        '{"request_id": "r-6", "output": {"category": "SECRET"}}',
        '{"request_id": "r-7", "output": {"category": "SECRET\\u0000"}}',
    ]
    (place.folder / "labels.jsonl").write_text("\n".join(lines))
    done = place.cli("feedback", place.task, "--from", "labels.jsonl", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert (said["labelled"], said["empty"], said["refused"]) == (2, 1, 7)
    assert [problem.split(":")[0] for problem in said["problems"]] == [f"line {n}" for n in (7, 8, 9, 10, 12, 6, 11)]
    assert "SECRET" not in done.stdout + done.stderr


def test_a_fair_sample_is_drawn_filled_in_and_tells_how_right_the_teacher_is(place: Place) -> None:
    drawn = place.cli("feedback", place.task, "--sample", "10", "--output", "sample.jsonl")
    assert drawn.returncode == 0, drawn.stderr
    assert f"apprentice feedback {place.task} --from sample.jsonl" in drawn.stdout
    file = place.folder / "sample.jsonl"
    assert file.stat().st_mode & 0o077 == 0  # it holds what customers wrote
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len({row["request_id"] for row in rows}) == 10
    for row in rows:
        assert row["input"] == {"text": f"{SECRET} {row['request_id'][2:]}"}
        assert row["answer"] == {"category": answer(place, row["request_id"])}
    again = place.cli("feedback", place.task, "--sample", "10", "--output", "sample.jsonl")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    for number, row in enumerate(rows):
        row |= {"output": None, "right": number >= 2}
    file.write_text("\n".join(map(json.dumps, rows)))
    done = place.cli("feedback", place.task, "--from", "sample.jsonl")
    assert done.returncode == 0, done.stderr
    assert "10 labelled, 0 examples corrected, 0 without a label" in done.stdout
    gold = place.status()["gold"]
    assert (gold["drawn"], gold["labelled"], gold["teacher"]["n"]) == (10, 10, 10)
    assert gold["teacher"]["mean"] == pytest.approx(0.8)
    for command in ("status", "report"):
        shown = place.cli(command, place.task).stdout
        assert "0.80, 95% between 0.49 and 0.94, of 10 answers drawn at random" in shown
        assert "all of 10 requests drawn at random" in shown


def test_the_local_model_alone_has_answered_nothing_yet(place: Place) -> None:
    asked = ("feedback", place.task, "--sample", "5", "--of", "local", "--output", "local.jsonl", "--json")
    drawn = json.loads(place.cli(*asked).stdout)
    assert (drawn["drawn"], drawn["without_input"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give one of REQUEST_ID, --from"),
        (("r-1",), "give one of --correct, --right, --wrong"),
        (("r-1", "--right", "--wrong"), "give one of --correct, --right, --wrong"),
        (("--right",), "give one of REQUEST_ID"),
        (("r-1", "--right", "--from", "x.jsonl"), "give one of REQUEST_ID"),
        (("--from", "x.jsonl", "--right"), "give one of --correct, --right, --wrong"),
        (("--sample", "3"), "--output FILE.jsonl go together"),
        (("--sample", "3", "--output", "x.jsonl"), "apprentice.yaml"),
    ],
)
def test_one_thing_is_asked_for_at_a_time(cli: Cli, arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = cli("feedback", "tickets", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []
