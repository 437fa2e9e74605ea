"""What pydantic cannot know about a task: that the names in it exist, and that what it needs is there.

Every check takes the task as far as it could be read and yields (path, words) for each problem.
"""

import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from apprentice import prices, prompts
from apprentice.config.errors import Path as KeyPath
from apprentice.config.errors import did_you_mean, unknown_name
from apprentice.evaluators import BUILDERS
from apprentice.evaluators.custom import PATH as CUSTOM_PATH
from apprentice.schema import Schema, SchemaError, compile_schema
from apprentice.settings import ProviderSettings, TaskSettings

Found = Iterator[tuple[KeyPath, str]]
USES_FIELDS = ("structured_match", "semantic_similarity")
SPEAKS_HTTP = ("anthropic", "openai", "google", "openai_compatible")
API_PATHS = ("/chat/completions", "/responses", "/messages")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
# A name in this style is shown when it is not set; anything else may be the secret itself, written in by mistake.
_CUSTOMARY = re.compile(r"[A-Z][A-Z0-9]{0,20}(_[A-Z0-9]{1,20}){1,6}")


@dataclass(frozen=True)
class Surroundings:
    """What a configuration is checked against: environment variables, and the folder that its paths start from."""

    environ: Mapping[str, str]
    folder: Path


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


def providers(task: TaskSettings, around: Surroundings) -> Found:
    """Every remote model has its key, its price and its traffic."""
    yield from _provider(task.remote, task.budget.currency, ("remote",), around)
    for index, extra in enumerate(task.remote.additional_providers):
        yield from _provider(extra, task.budget.currency, ("remote", "additional_providers", index), around)


def _provider(settings: ProviderSettings, currency: str, path: KeyPath, around: Surroundings) -> Found:
    yield from variable(settings.key_variable, (*path, "api_key_env"), around.environ)
    yield from _price(settings, currency, path)
    yield from _base_url(settings, path)
    yield from _rates(settings, path)
    if settings.idempotent and settings.provider != "openai_compatible":
        yield (*path, "idempotent"), f"has no effect with {settings.provider}; leave it out"
    if settings.provider == "recorded":
        if settings.traffic is None:
            yield path, "the provider `recorded` needs `traffic`, the file with the answers"
        elif not (around.folder / settings.traffic).is_file():
            yield (*path, "traffic"), f"there is no file {settings.traffic!r} (a relative path starts at the YAML file)"


def _rates(settings: ProviderSettings, path: KeyPath) -> Found:
    tokens = settings.rate_limits.tokens_per_minute
    if tokens is not None and tokens < settings.max_output_tokens:
        words = f"is below max_output_tokens, which is {settings.max_output_tokens}: no call would fit into a minute"
        yield (*path, "rate_limits", "tokens_per_minute"), words


def _base_url(settings: ProviderSettings, path: KeyPath) -> Found:
    if settings.provider not in SPEAKS_HTTP:
        if settings.base_url is not None:
            yield (*path, "base_url"), f"has no effect with {settings.provider}; leave it out"
        return
    if settings.base_url is None and settings.provider != "openai_compatible":
        return
    if settings.base_url is None:
        yield path, f"the provider `{settings.provider}` needs `base_url`, such as http://localhost:8000/v1"
        return
    yield from _address(settings.base_url, (*path, "base_url"), "http://localhost:8000/v1 or https://models.example/v1")


def _address(text: str, path: KeyPath, such_as: str) -> Found:
    try:
        url = urlsplit(text)
        whole = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        whole = False
    # None of these messages repeats the address: it may hold a secret that was written in by mistake.
    if not whole or any(char.isspace() or not char.isprintable() for char in text):
        yield path, f"expected an address such as {such_as}"
    elif "@" in url.netloc:
        yield path, "holds a user or password: name the key's environment variable in `api_key_env`"
    elif url.query or url.fragment:
        yield path, "must end before `?` and `#`: the API's own paths are put behind it"
    elif (ours := next((one for one in API_PATHS if url.path.rstrip("/").endswith(one)), None)) is not None:
        yield path, f"must end before {ours}, which is put behind it"


def _price(settings: ProviderSettings, currency: str, path: KeyPath) -> Found:
    if settings.price is not None:
        if not settings.price.model_fields_set:
            yield (*path, "price"), "states no price: set input_per_million and output_per_million (0 if it is free)"
    elif prices.price_of(settings) is None:
        near = prices.similar_models(settings.model)
        hint = f"; did you mean {' or '.join(near)}? If not," if near else ";"
        words = f"no price is known for {settings.model[:60]!r}{hint} state it under `price`"
        yield (*path, "model"), words
    elif currency != prices.LIST_CURRENCY:
        words = f"the price list is in {prices.LIST_CURRENCY}, the budget in {currency}: state the price under `price`"
        yield (*path, "model"), words


def local(task: TaskSettings, around: Surroundings) -> Found:
    """The local backend has what it needs, and nothing that it ignores."""
    settings = task.local
    backend = settings.backend
    if backend == "embedded":
        for name in ("base_url", "api_key_env"):
            if getattr(settings, name) is not None:
                yield ("local", name), "has no effect with the backend embedded; leave it out"
        if settings.fine_tune_backend != "embedded":
            yield ("local", "fine_tune_backend"), "the backend embedded is trained by embedded alone"
        return
    if not settings.base_model:
        yield ("local",), f"the backend {backend} needs `base_model`, as its server names it"
    if settings.fine_tune_backend == "embedded":
        words = f"embedded trains no model for the backend {backend}: set few_shot"
        yield ("local", "fine_tune_backend"), words
    if settings.base_url is not None:
        yield from _address(settings.base_url, ("local", "base_url"), "http://localhost:11434")
        if settings.base_url.rstrip("/").endswith(("/v1", "/api")):
            yield ("local", "base_url"), "must end before /v1 or /api, which is put behind it"
    yield from variable(settings.api_key_env, ("local", "api_key_env"), around.environ)


def alerts(task: TaskSettings, around: Surroundings) -> Found:
    """The variable that holds the webhook is set."""
    yield from variable(task.alerts.webhook_env, ("alerts", "webhook_env"), around.environ)


def variable(name: str | None, path: KeyPath, environ: Mapping[str, str]) -> Found:
    """The environment variable that is named here is set."""
    if name is None or environ.get(name):
        return
    if not _VARIABLE.fullmatch(name):
        yield path, "expected the NAME of an environment variable, never its value"
    elif _CUSTOMARY.fullmatch(name):
        yield path, f"the environment variable {name} is not set"
    else:
        yield path, "the environment variable named here is not set (is it a name, not the value itself?)"


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
    local,
    alerts,
    timezone,
)
