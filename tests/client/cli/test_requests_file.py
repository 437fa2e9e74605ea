import json
import os
import threading
from pathlib import Path

import pytest

from client.cli.output import Failed
from client.cli.requests_file import RequestsFile, read_line


def write(folder: Path, *lines: object) -> Path:
    path = folder / "in.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_a_line_is_a_request_or_the_bare_input() -> None:
    assert read_line("t", 1, b'{"input": {"text": "x"}, "output": {"a": 1}}').input == {"text": "x"}
    assert read_line("t", 1, b'{"text": "x"}').input == {"text": "x"}
    assert read_line("t", 1, b'{"input": "x"}').input == {"input": "x"}


def test_a_given_request_id_is_kept() -> None:
    assert read_line("t", 1, b'{"input": {"a": 1}, "request_id": "mine"}').request_id == "mine"


@pytest.mark.parametrize("given", ["", "x" * 201, 5, None, ["a"]])
def test_a_request_id_that_cannot_be_one_is_a_problem_of_its_line(given: object) -> None:
    line = read_line("t", 7, json.dumps({"input": {"a": 1}, "request_id": given}).encode())
    assert line.input is None
    assert "request_id" in (line.problem or "")


def test_an_id_follows_from_task_place_and_text() -> None:
    same = read_line("t", 3, b'{"a": 1}')
    assert same.request_id == read_line("t", 3, b'{"a": 1}\r\n').request_id
    others = [read_line("u", 3, b'{"a": 1}'), read_line("t", 4, b'{"a": 1}'), read_line("t", 3, b'{"a": 2}')]
    assert len({same.request_id, *(other.request_id for other in others)}) == 4


def test_blank_lines_are_no_requests_but_count_as_lines(tmp_path: Path) -> None:
    requests = RequestsFile.open("t", write(tmp_path, {"a": 1}, "", "   ", {"a": 2}))
    assert [(line.number, line.input) for line in requests] == [(1, {"a": 1}), (4, {"a": 2})]


def test_a_bad_line_is_a_problem_of_its_own(tmp_path: Path) -> None:
    requests = RequestsFile.open("t", write(tmp_path, {"a": 1}, "{oops", {"a": 2}))
    assert [line.problem is None for line in requests] == [True, False, True]


def test_two_requests_cannot_share_an_id(tmp_path: Path) -> None:
    one, two = {"input": {"a": 1}, "request_id": "x"}, {"input": {"a": 2}, "request_id": "x"}
    first, second = RequestsFile.open("t", write(tmp_path, one, two))
    assert first.problem is None
    assert second.problem == "request_id was used before, in line 1"
    assert second.request_id != "x"


def test_lines_are_found_whatever_the_order_they_are_read_in(tmp_path: Path) -> None:
    requests = RequestsFile.open("t", write(tmp_path, *({"text": "ä" * n} for n in range(50))))
    assert [requests[index].input for index in (49, 0, 25)] == [{"text": "ä" * n} for n in (49, 0, 25)]


def test_a_last_line_without_a_newline_is_a_request(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}')
    assert [line.input for line in RequestsFile.open("t", path)] == [{"a": 1}, {"a": 2}]


def test_a_pipe_is_read_as_well(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=('{"a": 1}\n{"a": 2}\n',))
    writer.start()
    assert [line.input for line in RequestsFile.open("t", pipe)] == [{"a": 1}, {"a": 2}]
    writer.join()


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="cannot read") as caught:
        RequestsFile.open("t", tmp_path / "none")
    assert caught.value.code == 2
