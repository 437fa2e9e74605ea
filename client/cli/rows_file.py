"""The output of `batch`: rows are appended as answers come, and put in order when all are there.

So the file is the record of what is done: a rerun, also after kill -9, keeps every answer that is in it.
"""

import fcntl
import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from client.cli.output import Failed
from client.cli.rows import PREFIX, Row, read_row


class RowsFile:
    """The file, open and locked. What an earlier run left: `answers` (request id -> offset), how many of them were
    `local`, and what they `cost`.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file = path, file
        self.answers: dict[str, int] = {}
        self.local, self.cost = 0, Decimal(0)
        self._end = 0
        self._read()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises `Failed` (2): it cannot be written, is in use, or holds something else."""
        path = path.resolve()
        if path.exists() and not path.is_file():
            raise Failed(f"--output {path} is not a regular file")
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "rb+")
        except OSError as error:
            raise Failed(f"cannot write {path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise Failed(f"another batch is writing {path}") from None
        return cls(path, file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, row: bytes) -> int:
        """Write one row, at once; its offset."""
        offset = self._end
        self._file.seek(offset)
        self._file.write(row)
        self._file.flush()
        self._end += len(row)
        return offset

    def arrange(self, offsets: Iterable[int]) -> None:
        """Replace the file, in one step, by one with the rows at these offsets in this order."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with draft.open("wb") as ordered:
                for offset in offsets:
                    self._file.seek(offset)
                    ordered.write(self._file.readline())
                ordered.flush()
                os.fsync(ordered.fileno())
                os.fchmod(ordered.fileno(), os.fstat(self._file.fileno()).st_mode & 0o777)
            draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)

    def _read(self) -> None:
        for number, raw in enumerate(self._file, start=1):
            row = read_row(raw)
            if row is not None:
                self._keep(row)
            elif raw.endswith(b"\n") or not _is_half_a_row(raw):
                raise Failed(
                    f"{self.path}:{number}: this is no row that `apprentice batch` wrote; choose another --output"
                )
            else:
                break
            self._end += len(raw)
            if not raw.endswith(b"\n"):
                self.append(b"\n")
        self._file.truncate(self._end)

    def _keep(self, row: Row) -> None:
        if row.answered and row.request_id not in self.answers:
            self.answers[row.request_id] = self._end
            self.local += row.local
            self.cost += row.cost


def _is_half_a_row(raw: bytes) -> bool:
    """Whether this is what a writer left that was killed in the middle of a line."""
    return raw.startswith(PREFIX) or PREFIX.startswith(raw)
