"""`apprentice store migrate`, as a process."""

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from activities.store import Store
from tests.activities.store.conftest import make_call
from tests.postgres import PASSWORD


def config(folder: Path) -> Path:
    file = folder / "apprentice.yaml"
    file.write_text(
        "store: {url: 'sqlite:///store.db'}\n"
        "remote: {provider: simulated, model: gpt-4o-mini}\n"
        "tasks:\n"
        "  - name: tickets\n"
        "    input_schema: {text: str}\n"
        "    output_schema: {category: [a, b]}\n"
    )
    return file


async def apprentice(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "client.cli", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.slow
async def test_the_store_moves_to_postgresql_once_no_worker_uses_it(tmp_path: Path, postgres_url: str) -> None:
    file = config(tmp_path)
    migrate = ["--config", str(file), "store", "migrate", "--to", postgres_url]
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        await make_call("a").make(store)
        code, _, err = await apprentice(*migrate)
        assert code == 2
        assert "stop all workers first" in err

    code, out, err = await apprentice(*migrate, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["rows"]["calls"] == report["rows"]["examples"] == 1
    assert (report["settled"], report["unknown"]) == ("0.001", "0")
    assert report["from"] == f"sqlite:///{tmp_path}/store.db"
    async with await Store.open(postgres_url) as store:
        assert await store.journal.spend("tickets") == Decimal("0.001")

    code, out, err = await apprentice(*migrate)
    assert code == 2
    assert "is not empty" in err
    assert PASSWORD not in out + err + json.dumps(report)


async def test_a_target_that_cannot_be_is_named_by_its_option(tmp_path: Path) -> None:
    code, _, err = await apprentice("--config", str(config(tmp_path)), "store", "migrate", "--to", "nonsense")
    assert code == 2
    assert "--to is not a database URL" in err
