"""`apprentice unknown`: what the store knows of calls in doubt."""

import asyncio
import json
from pathlib import Path

from activities.store import Store
from tests.activities.store.conftest import NOW, make_call
from tests.client.cli.conftest import Cli

CONFIG = """\
tasks:
  - {name: tickets, input_schema: {text: str}, output_schema: {category: str}}
  - {name: letters, input_schema: {text: str}, output_schema: {category: str}}
remote: {provider: simulated, model: teacher, price: {input_per_million: 1}}
store: {url: "sqlite:///store.db"}
"""


async def test_calls_in_doubt_are_listed_with_what_they_may_have_cost(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "apprentice.yaml").write_text(CONFIG)
    async with await Store.open(f"sqlite:///{tmp_path}/store.db") as store:
        await make_call("answered").make(store)
        await store.journal.intend(make_call("in doubt").intent, NOW)
        shown = await asyncio.to_thread(cli, "unknown")  # beside a worker that has the store open, too
    assert shown.returncode == 0, shown.stderr
    assert "r-in doubt" in shown.stdout
    assert "0.0100 USD" in shown.stdout
    assert "answered" not in shown.stdout
    assert "apprentice reconcile TASK REQUEST_ID --cost" in shown.stderr
    (call,) = json.loads(cli("unknown", "tickets", "--json").stdout)["calls"]
    assert (call["task"], call["request_id"], call["upper_bound"]) == ("tickets", "r-in doubt", "0.01")
    assert cli("unknown", "letters").stdout == "no call of unknown outcome\n"
    assert "did you mean `tickets`?" in cli("unknown", "ticket").stderr
