"""What a task refuses: settings that it could not work with, those of another task, versions that cannot serve."""

from temporalio.exceptions import ApplicationError

from apprentice import prompts
from apprentice.budget import Budget, Ledger
from apprentice.calendar import Calendar
from apprentice.evaluators import BUILDERS
from apprentice.orders import changes_schema
from apprentice.prices import known
from apprentice.rollback import NoSuchVersion, target
from apprentice.schema import SchemaError, compile_schema
from apprentice.settings import BudgetSettings, TaskSettings
from apprentice.state import LifecycleState


def check_settings(settings: TaskSettings) -> None:
    """Raises `ApplicationError` of type SettingsRefused for settings that would fail with every request.

    `apprentice validate` says more, and where; this is what a workflow cannot do without, as a handler that fails with
    any other exception holds up the whole task.
    """
    try:
        compile_schema(settings.input_schema, settings.name)
        compile_schema(settings.output_schema, settings.name)
        Budget(settings.budget, Ledger())
        for _, words in prompts.problems(settings):
            raise ValueError(words)
        for provider in settings.remote.providers:
            known(provider)
        if settings.evaluator not in BUILDERS:
            raise ValueError(f"no evaluator {settings.evaluator!r}; there are {sorted(BUILDERS)}")
    except (SchemaError, ValueError, KeyError, OSError) as error:
        raise _refusal("SettingsRefused", f"{settings.name} cannot run with these settings: {error}") from None


def check_change(ours: TaskSettings, theirs: TaskSettings, *, new_version: bool = False) -> None:
    """Raises `ApplicationError` of type SettingsRefused or SchemaChanged."""
    if ours.name != theirs.name:
        raise _refusal("SettingsRefused", f"these are the settings of {theirs.name}, this is {ours.name}")
    if changes_schema(ours, theirs) and not new_version:
        message = (
            f"the schemas of {ours.name} differ from those it runs with (schema version {ours.schema_version}), and "
            "its examples cannot teach them. `apprentice apply --new-version` starts a new schema version: the task "
            "learns from the beginning, the old examples are kept apart"
        )
        raise _refusal("SchemaChanged", message)
    check_settings(theirs)


def check_rollback(state: LifecycleState, to: int | None) -> int:
    """The version that would serve. Raises `ApplicationError` of type NoSuchVersion."""
    try:
        return target(state, to)
    except NoSuchVersion as error:
        raise _refusal("NoSuchVersion", str(error)) from None


def check_budget(settings: BudgetSettings) -> None:
    """Raises `ApplicationError` of type SettingsRefused."""
    try:
        Calendar(settings.timezone)
    except (ValueError, KeyError, OSError):
        raise _refusal("SettingsRefused", f"there is no time zone {settings.timezone[:60]!r}") from None


def _refusal(kind: str, message: str) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)
