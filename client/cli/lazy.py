"""Commands that are imported when they are run, and the one place where errors become exit codes.

Without this `apprentice --help` would import every command with all that it needs, for a list of names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from client.cli.output import Failed, complain

# By qualified name of the class or of one of its bases: none of these modules has to be imported for that.
EXIT_CODES = {
    "client.errors.NoServer": 3,
    "workers.dev_server.DevServerError": 3,
    "workers.temporal_binary.NoTemporalError": 3,
    "client.errors.UnknownTask": 2,
    "client.errors.NoBudget": 2,
    "client.errors.InvalidInput": 2,
    "client.errors.InvalidLabel": 2,
    "client.errors.UnknownRequest": 2,
    "client.errors.OrderRefused": 2,
    "apprentice.config.errors.ConfigError": 2,
    "workers.search_attributes.SearchAttributesError": 2,
    "activities.store.errors.StoreError": 2,
    "client.errors.PayloadUnreadable": 2,
    "client.payloads.keyring.NoCipher": 2,
    "client.payloads.bucket.NoBucket": 2,
    "client.errors.ApprenticeError": 1,
}


class LazyCommand(TyperCommand):
    """A name and a line of help; `module` has the function, with its parameters, under the same name, or a group."""

    def __init__(self, name: str, module: str, help: str) -> None:
        super().__init__(name, help=help)
        self.module = module

    def load(self) -> TyperCommand | TyperGroup:
        """The real command."""
        name = self.name or ""
        real = getattr(import_module(self.module), name.replace("-", "_"))
        if isinstance(real, typer.Typer):
            app = real
        else:
            app = typer.Typer(add_completion=False)
            app.command(name)(real)
        command = get_command(app)
        assert isinstance(command, TyperCommand | TyperGroup)
        return command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The real command's context: from here on it takes this one's place."""
        return self.load().make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """All commands; what goes wrong in one of them is one message on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        with exit_codes():
            return super().invoke(ctx)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Errors made on purpose leave with their exit code; all others are bugs and keep their traceback."""
    try:
        yield
    except Failed as failed:
        complain(failed)
        raise typer.Exit(failed.code) from None
    except Exception as error:
        one = only(error)
        code = exit_code(one)
        if code is None:
            raise
        complain(one)
        raise typer.Exit(code) from None


def only(error: BaseException) -> BaseException:
    """The first error in (nested) groups of them: what a task group raises."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def exit_code(error: BaseException) -> int | None:
    """The exit code of a named error; None for a bug."""
    if isinstance(error, Failed):
        return error.code
    for kind in type(error).__mro__:
        if (code := EXIT_CODES.get(f"{kind.__module__}.{kind.__qualname__}")) is not None:
            return code
    return None
