import multiprocessing
import os
import time
from pathlib import Path

import pytest

from workers import temporal_binary
from workers.temporal_binary import NoTemporalError, build, download, find_binary, only_one, server_version

NOTHING = "import time; time.sleep(60)"
ARRIVES_SLOWLY = """
import pathlib, sys, time
part = pathlib.Path(sys.argv[1], "temporal-sdk.part")
for line in ("#!/bin/sh\\n", "sleep 0.01\\n", "echo temporal version 9 '(Server 9.9.9)'\\n"):
    with part.open("a") as file:
        file.write(line)
    time.sleep(0.7)
part.chmod(0o755)
part.rename(part.with_suffix(""))
time.sleep(60)  # as the SDK's server would
"""


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, an empty cache, no Go, no download. Gives the folder."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(temporal_binary, "download", refuse)
    monkeypatch.setattr(temporal_binary, "build", refuse)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def refuse(cache: Path, say: object) -> Path:
    raise NoTemporalError("nothing to be had")


def fake_cli(path: Path, server: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'temporal version 1.0.0 (Server {server}, UI 2.0.0)'\n")
    path.chmod(0o755)
    return path


def quiet(line: str) -> None:
    pass


def test_temporal_on_path_is_used(bare_machine: Path) -> None:
    on_path = fake_cli(bare_machine / "temporal", "1.30.2")
    assert find_binary() == on_path


def test_a_server_that_is_too_old_is_passed_over_for_the_cached_one(bare_machine: Path, tmp_path: Path) -> None:
    fake_cli(bare_machine / "temporal", "1.9.0")
    cached = fake_cli(temporal_binary.built_path(tmp_path / "cache" / "apprentice"), "1.32.0")
    assert find_binary() == cached


def test_what_does_not_run_is_passed_over(bare_machine: Path, tmp_path: Path) -> None:
    (bare_machine / "temporal").write_text("#!/bin/sh\nexit 1\n")
    (bare_machine / "temporal").chmod(0o755)
    cached = fake_cli(temporal_binary.downloaded_path(tmp_path / "cache" / "apprentice"), "1.31.0")
    assert find_binary() == cached


def test_without_any_server_the_error_says_what_to_do(bare_machine: Path) -> None:
    with pytest.raises(NoTemporalError, match=r"nothing to be had.*PATH.*TEMPORAL_ADDRESS.*Go"):
        find_binary(say=quiet)


def test_building_comes_after_a_failed_download(
    bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(cache: Path, say: object) -> Path:
        return fake_cli(temporal_binary.built_path(cache), "1.32.0")

    monkeypatch.setattr(temporal_binary, "build", make)
    assert find_binary(say=quiet) == temporal_binary.built_path(tmp_path / "cache" / "apprentice")


def test_the_real_server_tells_its_version(temporal_binary: Path) -> None:
    version = server_version(temporal_binary)
    assert version is not None
    assert version >= (1, 29)


def test_a_download_that_stalls_is_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(NoTemporalError, match="could not download"):
        download(tmp_path, quiet, NOTHING, stall_seconds=0.5)
    assert time.monotonic() - started < 5
    assert list(tmp_path.iterdir()) == []


def test_a_slow_download_is_not_given_up_while_it_grows(tmp_path: Path) -> None:
    lines: list[str] = []
    binary = download(tmp_path, lines.append, ARRIVES_SLOWLY, stall_seconds=1.5)
    assert server_version(binary) == (9, 9)
    assert list(tmp_path.iterdir()) == [binary]
    assert lines == ["downloading the server (once)"]


def test_building_needs_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(NoTemporalError, match="checkout"):
        build(tmp_path, quiet, source=tmp_path)


def test_a_failed_build_tells_what_go_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho 'go: module lookup disabled' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(NoTemporalError, match="module lookup disabled"):
        build(cache, quiet)
    assert list(cache.iterdir()) == []


def test_the_version_we_build_is_the_one_the_module_pins() -> None:
    pinned = (temporal_binary.SOURCE / "go.mod").read_text()
    assert f"github.com/temporalio/cli v{temporal_binary.CLI_VERSION}\n" in pinned


def hold(lock: Path, log: Path) -> None:
    with only_one(lock, quiet):
        with log.open("a") as file:
            file.write("in\n")
        time.sleep(0.3)
        with log.open("a") as file:
            file.write("out\n")


def test_two_processes_fetch_one_after_the_other(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    children = [spawn.Process(target=hold, args=(tmp_path / "lock", tmp_path / "log")) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert (tmp_path / "log").read_text().split() == ["in", "out", "in", "out"]
