"""What the command line prints: results on stdout, everything else on stderr; plain where it is no terminal."""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from client.cli.counts import counted

PLAIN_WIDTH = 200
PROBLEMS_SHOWN = 10


class Failed(Exception):
    """A command ends here, with this message and exit code (1 some requests failed, 2 usage, 3 no server)."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


@cache
def stdout() -> Console:
    """The console for results."""
    return _console(stderr=False)


@cache
def stderr() -> Console:
    """The console for progress, notes and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:  # a table in a pipe must not be folded to the 80 columns that nobody sees
        console = Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH, color_system=None)
    return console


def show(what: RenderableType) -> None:
    """Print a result. Text is never folded in a pipe."""
    stdout().print(what, soft_wrap=isinstance(what, str | Text), markup=False)


def note(text: str) -> None:
    """Tell the user something that is no result."""
    stderr().print(text, style="dim", markup=False, soft_wrap=True)


def note_problems(problems: Sequence[str]) -> None:
    """The first lines of a file that cannot be used, and how many more there are."""
    for problem in problems[:PROBLEMS_SHOWN]:
        note(f"  {problem}")
    if len(problems) > PROBLEMS_SHOWN:
        note(f"  and {counted(len(problems) - PROBLEMS_SHOWN, 'more line')} that cannot be used")


def complain(error: BaseException) -> None:
    """One error, on stderr."""
    message = Text("error: ", style="bold red").append(str(error) or type(error).__name__, style="not bold default")
    stderr().print(message, soft_wrap=True)


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON document on stdout: indented and coloured on a terminal, else on one line."""
    if stdout().is_terminal:
        stdout().print_json(json.dumps(value, ensure_ascii=False))
    else:
        print_line(value)


def print_line(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON document on one line of stdout."""
    # Bytes: a terminal or pipe of another encoding must not turn an answer into an error.
    sys.stdout.buffer.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()
