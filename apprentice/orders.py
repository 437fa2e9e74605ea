"""What an operator's order does to the settings of a task."""

from apprentice.messages import ApplySettings, Order, SetCaps
from apprentice.settings import BudgetSettings, TaskSettings


def settings_after(order: Order, settings: TaskSettings) -> TaskSettings:
    """The settings that the task goes on with. Of another schema version only if the order asks for it."""
    match order:
        case ApplySettings(settings=wanted, new_version=new):
            least = settings.schema_version + 1 if new and changes_schema(settings, wanted) else settings.schema_version
            return wanted.model_copy(update={"schema_version": max(wanted.schema_version, least)})
        case SetCaps():
            return settings.model_copy(update={"budget": with_caps(settings.budget, order)})
        case _:
            return settings


def with_caps(budget: BudgetSettings, order: SetCaps) -> BudgetSettings:
    """The budget with those caps that the order sets."""
    caps = {name: getattr(order, name) for name in order.model_fields_set - {"type"}}
    return budget.model_copy(update=caps)


def changes_schema(ours: TaskSettings, theirs: TaskSettings) -> bool:
    """Whether examples of the one cannot teach the other."""
    return not same_schemas(ours, theirs) or theirs.schema_version > ours.schema_version


def same_schemas(ours: TaskSettings, theirs: TaskSettings) -> bool:
    """Whether both take and give the same fields."""
    return ours.input_schema == theirs.input_schema and ours.output_schema == theirs.output_schema


def known_version(settings: TaskSettings, known: list[TaskSettings]) -> int:
    """The schema version of settings that a task begins with, given all that it ever ran with.

    Schemas that it ran with keep their number; others get one that no schema had, so that examples never mix.
    """
    same = [old.schema_version for old in known if same_schemas(old, settings)]
    if same:
        return max(settings.schema_version, *same)
    used = [old.schema_version for old in known]
    return max(used) + 1 if settings.schema_version in used else settings.schema_version
