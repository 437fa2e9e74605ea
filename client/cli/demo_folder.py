"""Where a demo keeps everything it has: `.apprentice/demo/` in the current folder.

apprentice.yaml   the configuration, to be read and changed       traffic.jsonl   the requests
temporal.db       the server's state                              answers.jsonl   a row for each answer so far
apprentice.db     the store                                       models-…/       the trained versions
"""

import fcntl
import json
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from apprentice.simulation import Recorded
from client.cli.output import Failed
from client.cli.traffic import read_traffic

FOLDER = Path(".apprentice") / "demo"
MARKER = ".apprentice-demo"
HEAD = """\
# What `apprentice demo` ran with. `apprentice validate --config FILE` explains a mistake in it, and
# `apprentice demo --resume` goes on with it. Nothing here needs a key: the answers come from traffic.jsonl.
"""


class DemoFolder:
    """The files of one demo; only a folder with our marker is ever removed."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.config = self.path / "apprentice.yaml"
        self.traffic = self.path / "traffic.jsonl"
        self.answers = self.path / "answers.jsonl"
        self.database = self.path / "temporal.db"
        self.log = self.path / "demo.log"

    @property
    def complete(self) -> bool:
        """Whether a demo began here: the marker is written last."""
        return (self.path / MARKER).is_file()

    def renew(self, configuration: dict[str, Any], requests: Iterable[Recorded]) -> None:
        """Start afresh with these requests; what an earlier demo left is removed.

        Raises `Failed` (2) for a folder that is not ours or cannot be written.
        """
        try:
            self._remove()
            self.path.mkdir(parents=True)
            with self.traffic.open("w", encoding="utf-8") as lines:
                lines.writelines(_line(request) for request in requests)
            text = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=100)
            self.config.write_text(HEAD + text, encoding="utf-8")
            (self.path / MARKER).write_text("made by `apprentice demo`, which may remove this folder\n")
        except OSError as error:
            raise Failed(f"cannot write {error.filename or self.path}: {error.strerror}") from None

    def requests(self, task: str) -> list[Recorded]:
        """The demo's requests. Raises `Failed` (2) if the file was damaged."""
        return list(read_traffic(task, self.traffic).values())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ours alone as long as this lasts; the kernel lets go of it if we are killed. Raises `Failed` (2)."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failed(f"another demo is running in {self.path}") from None
            yield

    def _remove(self) -> None:
        if not self.path.exists():
            return
        if not self.complete and any(self.path.iterdir()) and not self._is_half_made():
            raise Failed(f"{self.path} was not made by `apprentice demo`; move it away, or run the demo elsewhere")
        # The server of a demo that was killed needs a moment to end.
        from workers.dev_server import lock_db

        lock_db(self.database).close()
        shutil.rmtree(self.path)

    def _is_half_made(self) -> bool:
        """Whether there is nothing but what a demo writes before its marker."""
        return {file.name for file in self.path.iterdir()} <= {self.traffic.name, self.config.name}


def models_folder() -> str:
    """A new name each time: a training process that outlived its killed demo must not write into the next one's."""
    return f"./models-{time.time_ns() // 1_000_000:x}/"


def _line(request: Recorded) -> str:
    row = {"request_id": request.request_id, "input": request.input, "output": request.output}
    return json.dumps(row, ensure_ascii=False) + "\n"
