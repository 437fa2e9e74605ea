from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.messages import Source
from client.cli.output import Failed
from client.cli.rows import answered_row, failed_row
from client.cli.rows_file import RowsFile


def answer(request_id: str, source: Source = Source.REMOTE, cost: str = "0.1") -> bytes:
    return answered_row(request_id, {"a": request_id}, source, degraded=False, cost=Decimal(cost))


def test_rows_of_an_earlier_run_are_known(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(answer("a") + failed_row("b", 2, "TimedOut", "") + answer("c", Source.LOCAL, "0") + answer("b"))
    with RowsFile.open(path) as rows:
        assert set(rows.answers) == {"a", "b", "c"}
        assert (rows.local, rows.cost) == (1, Decimal("0.2"))


def test_a_failed_row_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(failed_row("b", 2, "TimedOut", ""))
    with RowsFile.open(path) as rows:
        assert not rows.answers


@given(st.data())
def test_a_writer_killed_at_any_byte_costs_at_most_the_last_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "out.jsonl"
    written = [answer("a"), answer("ä" * 3), answer("c", Source.LOCAL)]
    whole = b"".join(written)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    with RowsFile.open(path) as rows:
        complete = sum(cut >= len(b"".join(written[: n + 1])) - 1 for n in range(3))  # the newline may be missing
        assert len(rows.answers) == complete
        rows.append(answer("next"))
    with RowsFile.open(path) as rows:
        assert len(rows.answers) == complete + 1


@pytest.mark.parametrize(
    "content", [b"hello", b"hello\n", b'{"input": {}, "output": {}}\n', b"{broken\n" + answer("a")]
)
def test_a_file_of_somebody_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(Failed, match=r"out.jsonl:1: .*choose another --output"):
        RowsFile.open(path)
    assert path.read_bytes() == content


def test_rows_are_put_in_order_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.touch(mode=0o640)
    with RowsFile.open(path) as rows:
        second, first = rows.append(answer("b")), rows.append(answer("a"))
        rows.append(failed_row("a", 1, "TimedOut", "superseded"))
        rows.arrange([first, second])
    assert path.read_bytes() == answer("a") + answer("b")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]


def test_two_batches_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with RowsFile.open(path), pytest.raises(Failed, match="another batch is writing"):
        RowsFile.open(path)


@pytest.mark.parametrize("name", ["", "none/out.jsonl"])
def test_what_cannot_be_written_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(Failed) as caught:
        RowsFile.open(tmp_path / name)
    assert caught.value.code == 2
