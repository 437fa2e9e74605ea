"""A folder with a configuration, on a server: where the command line is used as its users do."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.client.cli.conftest import command
from tests.conftest import DevEnv

CONFIG = """\
tasks:
  - name: {task}
    input_schema: {{text: str}}
    output_schema: {{category: [billing, shipping, account]}}
remote:
  provider: simulated
  model: teacher
  price: {{input_per_million: 3, output_per_million: 15}}
  simulation: {{latency_seconds: {latency}, latency_spread: 0}}
temporal: {{task_queue: {task}}}
"""


@dataclass(frozen=True)
class Place:
    """A folder with a configuration, a server, and the name of its task."""

    folder: Path
    environ: dict[str, str]
    task: str

    def cli(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*arguments),
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.cli("status", self.task, "--json").stdout)
        return status

    def write_requests(self, count: int) -> None:
        lines = (json.dumps({"input": {"text": f"ticket number {n}"}}) for n in range(count))
        (self.folder / "in.jsonl").write_text("\n".join(lines) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        text = (self.folder / "out.jsonl").read_text()
        return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def place_of(dev_env: DevEnv, folder: Path, latency: float) -> Place:
    task = f"cli_{uuid4().hex[:8]}"
    (folder / "apprentice.yaml").write_text(CONFIG.format(task=task, latency=latency))
    return Place(folder, os.environ | {"TEMPORAL_ADDRESS": dev_env.address}, task)


def eventually(check: Callable[[], bool], seconds: float = 30.0) -> None:
    give_up = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < give_up
        time.sleep(0.05)
