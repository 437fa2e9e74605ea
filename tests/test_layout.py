"""The import contracts of pyproject.toml hold, and would be noticed if they did not."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("apprentice", "activities", "workflows", "workers", "client")
CLOCKS_AND_COINS = {
    "datetime.now",
    "datetime.utcnow",
    "date.today",
    "time.time",
    "time.monotonic",
    "time.perf_counter",
    "os.urandom",
    "uuid.uuid4",
    *(f"random.{name}" for name in ("random", "randint", "choice", "choices", "shuffle", "sample", "uniform", "gauss")),
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, to break."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_one_way() -> None:
    report = lint_imports(ROOT)
    assert report.returncode == 0, report.stdout


@pytest.mark.parametrize(
    ("where", "line", "contract"),
    [
        ("apprentice", "import activities.contract", "Imports point one way"),
        ("activities", "import workflows", "Imports point one way"),
        ("workflows", "import workers.dev_server", "Imports point one way"),
        ("workers", "import client", "Imports point one way"),
        ("workflows", "import activities.store", "A workflow knows an activity's name"),
        ("apprentice", "import sqlite3", "The core has no I/O"),
        ("apprentice", "import httpx", "The core has no I/O"),
    ],
)
def test_an_import_that_points_the_other_way_is_noticed(copy: Path, where: str, line: str, contract: str) -> None:
    (copy / where / "planted.py").write_text(f"{line}\n")
    report = lint_imports(copy)
    assert report.returncode == 1
    broken = [text for text in report.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(text.startswith(contract) for text in broken), report.stdout


def calls_to_clocks_and_coins(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in CLOCKS_AND_COINS:
            yield f"line {node.lineno}: {name}"


def test_the_core_has_no_clock_and_no_coin_of_its_own() -> None:
    found = {
        str(file.relative_to(ROOT)): calls
        for file in (ROOT / "apprentice").rglob("*.py")
        if (calls := list(calls_to_clocks_and_coins(file.read_text())))
    }
    assert found == {}


def test_a_clock_in_the_core_would_be_noticed() -> None:
    assert list(calls_to_clocks_and_coins("import time\nnow = time.time()")) == ["line 2: time.time"]
    assert list(calls_to_clocks_and_coins("def f(random):\n    return random.random()")) == ["line 2: random.random"]
    assert list(calls_to_clocks_and_coins("def f(rng):\n    return rng.random()")) == []
