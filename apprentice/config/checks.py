"""What pydantic cannot know about a task: that the names in it exist, and that what it needs is there.

Every check takes the task as far as it could be read and yields (path, words) for each problem.
"""

import zoneinfo
from collections.abc import Callable

from apprentice import prompts
from apprentice.config.errors import Path as KeyPath
from apprentice.config.errors import did_you_mean, unknown_name
from apprentice.config.local_checks import local, server_command
from apprentice.config.remote_checks import accounts, batch, providers, shares
from apprentice.config.surroundings import Found, Surroundings, variable
from apprentice.evaluators import BUILDERS
from apprentice.evaluators.custom import PATH as CUSTOM_PATH
from apprentice.schema import Schema, SchemaError, compile_schema
from apprentice.settings import TaskSettings

USES_FIELDS = ("structured_match", "semantic_similarity")


def check(task: TaskSettings, around: Surroundings) -> Found:
    """All problems of one task."""
    for one in CHECKS:
        yield from one(task, around)


def samples(task: TaskSettings, around: Surroundings) -> Found:
    """The window can hold the comparisons that a conclusion needs."""
    needed, room = task.confidence_thresholds.min_samples, task.sampling.window_size
    if needed > room:
        yield ("confidence_thresholds", "min_samples"), f"must not be above sampling.window_size, which is {room}"


def schemas(task: TaskSettings, around: Surroundings) -> Found:
    """Both schemas are well formed."""
    for name in ("input_schema", "output_schema"):
        try:
            compile_schema(getattr(task, name), name)
        except SchemaError as error:
            for path, words in error.problems:
                yield (name, *(path.split(".") if path else ())), words


def prompt(task: TaskSettings, around: Surroundings) -> Found:
    """The templates can be read and know all their names, the examples fit the schemas."""
    try:
        yield from ((("prompt", *path), words) for path, words in prompts.problems(task))
    except SchemaError:
        return


def evaluator(task: TaskSettings, around: Surroundings) -> Found:
    """The evaluator exists, and has what it needs and nothing that it ignores."""
    options = task.evaluator_options
    if task.evaluator not in BUILDERS:
        yield ("evaluator",), unknown_name(task.evaluator, sorted(BUILDERS), "evaluator")
        return
    if task.evaluator == "custom" and not (options.path and CUSTOM_PATH.fullmatch(options.path)):
        yield ("evaluator_options", "path"), "custom needs the function to call, as `package.module:function`"
    if task.evaluator not in USES_FIELDS and task.match_fields:
        yield ("match_fields",), f"has no effect with {task.evaluator}; use structured_match or leave it out"


def compared_fields(task: TaskSettings, around: Surroundings) -> Found:
    """Every field that is matched, weighted or given a tolerance is in the output schema."""
    try:
        schema = compile_schema(task.output_schema, "output_schema")
    except SchemaError:
        return
    options = task.evaluator_options
    for index, name in enumerate(task.match_fields):
        yield from _known_field(schema, name, ("match_fields", index))
        if name in task.match_fields[:index]:
            yield ("match_fields", index), f"`{name}` is listed twice"
    for name in options.weights:
        yield from _known_field(schema, name, ("evaluator_options", "weights", name))
        if task.match_fields and name not in task.match_fields:
            yield ("evaluator_options", "weights", name), "has a weight but is not in match_fields"
    if isinstance(options.numeric_tolerance, dict):
        for name in options.numeric_tolerance:
            yield from _known_field(schema, name, ("evaluator_options", "numeric_tolerance", name))


def _known_field(schema: Schema, name: str, path: KeyPath) -> Found:
    if not schema.has(name):
        hint = did_you_mean(name, schema.paths)
        yield path, f"output_schema has no field `{name[:60]}`{hint} (there are: {', '.join(schema.paths)})"


def alerts(task: TaskSettings, around: Surroundings) -> Found:
    """The variable that holds the webhook is set."""
    yield from variable(task.alerts.webhook_env, ("alerts", "webhook_env"), around.environ)


def timezone(task: TaskSettings, around: Surroundings) -> Found:
    """The budget's time zone is one that this machine knows."""
    name = task.budget.timezone
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = did_you_mean(name, sorted(zoneinfo.available_timezones())) or _zone_by_city(name)
        yield ("budget", "timezone"), f"{name[:60]!r} is not an IANA time zone such as Europe/Berlin{near}"


def _zone_by_city(name: str) -> str:
    cities = {zone.rpartition("/")[2].lower(): zone for zone in sorted(zoneinfo.available_timezones())}
    zone = cities.get(name.replace(" ", "_").lower())
    return f"; did you mean `{zone}`?" if zone else ""


CHECKS: tuple[Callable[[TaskSettings, Surroundings], Found], ...] = (
    samples,
    schemas,
    prompt,
    evaluator,
    compared_fields,
    providers,
    batch,
    local,
    server_command,
    shares,
    accounts,
    alerts,
    timezone,
)
