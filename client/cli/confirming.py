"""What is asked before something is done that cannot be undone, or costs."""

import sys

from rich.prompt import Confirm
from rich.text import Text

from client.cli.output import Failed, stderr


def confirm(question: str, nobody: str, refused: str) -> None:
    """Raises `Failed` (2): `nobody`, where nobody is there to answer, `refused`, if the answer is no."""
    if not sys.stdin.isatty():
        raise Failed(nobody)
    try:
        agreed = Confirm.ask(Text(question), default=False, console=stderr())
    except EOFError:
        agreed = False
    if not agreed:
        raise Failed(refused)
