"""What a version's training said of it is taken as it was written, or not at all."""

from pathlib import Path

import pytest

from activities.training import rehearsal


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rehearsal.write(tmp_path, [(1.0, 0.912345), (0.0, 0.5)])
    assert rehearsal.read(tmp_path) == [(1.0, 0.9123), (0.0, 0.5)]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[[1, 2, 3]]", "[[NaN, 1]]", "[[1e999, 0]]", "[[5, 1]]", f"[[{10**400}, 0]]", "[" * 10**5, "\xff"],
)
def test_a_damaged_file_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / rehearsal.FILE).write_text(text, encoding="latin-1")
    assert rehearsal.read(tmp_path) == []
    assert rehearsal.read(tmp_path / "missing") == []
