"""`apprentice init`: a first configuration."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape
from rich.prompt import Prompt
from rich.text import Text

from apprentice.config import parse
from apprentice.config.errors import unknown_name
from apprentice.config.yaml_source import SourceError, read
from apprentice.init_template import SERVERS, InitAnswers, render
from apprentice.schema import compile_schema
from apprentice.settings import CUSTOMARY_KEYS, TASK_NAME, LocalSettings, ProviderSettings
from client.cli import options
from client.cli.amounts import parse_cap
from client.cli.output import Failed, note, show, stderr

PROVIDERS: tuple[str, ...] = get_args(ProviderSettings.model_fields["provider"].annotation)
BACKENDS: tuple[str, ...] = get_args(LocalSettings.model_fields["backend"].annotation)
# A good model of each provider to begin with.
MODELS = {"openai": "gpt-4.1", "google": "gemini-2.5-flash"}
MODEL = "claude-sonnet-4-5"
BASE_MODELS = {"ollama": "llama3.1:8b", "vllm": "Qwen/Qwen2.5-7B-Instruct", "llama_cpp": "qwen2.5-7b-instruct"}
LOCAL_SERVER = "http://localhost:8000/v1"
FIELDS_HELP = escape(
    "name: type, ...; types: str, int, float, bool, list[str], [one, of, these], a ? makes it optional"
)

_BARE = re.compile(r"""(?<!["'\w])((?:list|optional)\[[\w\[\]]*\]\??|\w+\?)""")


def init(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Default: --config.")] = None,
    name: Annotated[str | None, typer.Option(help="The task's name.")] = None,
    description: Annotated[str | None, typer.Option(help="What the task is, for people and models.")] = None,
    input_fields: Annotated[str | None, typer.Option(metavar="FIELDS", help=FIELDS_HELP)] = None,
    output_fields: Annotated[str | None, typer.Option(metavar="FIELDS", help=FIELDS_HELP)] = None,
    provider: Annotated[str | None, typer.Option(help=f"The remote model's provider: {', '.join(PROVIDERS)}.")] = None,
    model: Annotated[str | None, typer.Option(help="The remote model.")] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="What stands before /chat/completions, for `openai_compatible`.")
    ] = None,
    traffic: Annotated[str | None, typer.Option(metavar="JSONL", help="Recorded traffic, for `recorded`.")] = None,
    local: Annotated[str | None, typer.Option(help=f"What serves the local model: {', '.join(BACKENDS)}.")] = None,
    base_model: Annotated[str | None, typer.Option(help="The model that this server has.")] = None,
    daily_cap: Annotated[str | None, typer.Option(metavar="AMOUNT", help="Most to spend a day, or none.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: defaults for what is not given.")] = False,
    config: options.Config = options.DEFAULT_CONFIG,
) -> None:
    """Write a commented configuration; asks for what is not given. Never overwrites a file."""
    path = file or config
    if path.exists():
        raise _exists(path)
    answer = Interview(ask=not yes)
    task = answer("name of the task", name, "classify_ticket", _name)
    about = answer("what the task is", description, "Classify support tickets by category and priority", str)
    inputs = answer("input fields", input_fields, "text: str", _fields)
    outputs = answer("output fields", output_fields, "category: [billing, shipping, account], priority: int", _fields)
    remote = answer("provider of the remote model", provider, "simulated", _one_of(PROVIDERS, "provider"))
    backend = answer("what serves the local model", local, "embedded", _one_of(BACKENDS, "backend"))
    answers = InitAnswers(
        name=task,
        description=about,
        input_fields=inputs,
        output_fields=outputs,
        provider=remote,
        model=answer("remote model", model, MODELS.get(remote, MODEL), str),
        base_url=answer("its address", base_url, LOCAL_SERVER, str) if remote == "openai_compatible" else base_url,
        traffic=answer("recorded traffic", traffic, "traffic.jsonl", str) if remote == "recorded" else traffic,
        backend=backend,
        base_model=answer("its model", base_model, BASE_MODELS[backend], str) if backend in SERVERS else base_model,
        daily_cap=answer("most to spend a day in USD, or none", daily_cap, "10.00", _cap),
    )
    _write(path, answers)


class Interview:
    """Settles one answer after the other: the option, else what is asked for, else the default."""

    def __init__(self, *, ask: bool) -> None:
        self._asks = ask

    def __call__[T](self, question: str, given: str | None, default: str, check: Callable[[str], T]) -> T:
        """The answer as `check` turns it. Raises `Failed` (2) for a wrong option, or when nobody answers."""
        if given is None and self._asks:
            return self._ask(question, default, check)
        try:
            return check(default if given is None else given)
        except ValueError as error:
            raise Failed(f"{question}: {error}") from None

    def _ask[T](self, question: str, default: str, check: Callable[[str], T]) -> T:
        while True:
            try:
                text = Prompt.ask(Text(question), default=default, console=stderr())
            except EOFError:
                raise Failed("nobody answers; `--yes` takes the defaults, `--help` lists the options") from None
            try:
                return check(text.strip())
            except ValueError as error:
                stderr().print(Text(str(error), style="red"))


def _one_of(names: tuple[str, ...], what: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in names:
            raise ValueError(unknown_name(text, list(names), what))
        return text

    return check


def _name(text: str) -> str:
    if not re.fullmatch(TASK_NAME, text):
        raise ValueError("expected lower-case letters, digits and `_`, starting with a letter, at most 63")
    return text


def _fields(text: str) -> Mapping[str, Any]:
    """Fields as in the YAML file; braces may be left out, and the quotes that `?` and `list[str]` need in braces.

    Raises ValueError.
    """
    written = _BARE.sub(r'"\1"', text if text.startswith("{") else "{" + text + "}")
    try:
        fields = read(written, "fields").plain()
    except SourceError as error:
        raise ValueError("; ".join(problem.words for problem in error.problems)) from None
    if not isinstance(fields, dict):
        raise ValueError(f"expected {FIELDS_HELP}")
    compile_schema(fields)
    return fields


def _cap(text: str) -> str | None:
    """As text, so that the file says what was typed."""
    cap = parse_cap(text)
    return None if cap is None else f"{cap:f}"


def _exists(path: Path) -> Failed:
    return Failed(f"{path} exists already and is left as it is; name another file or move it away")


def _write(path: Path, answers: InitAnswers) -> None:
    """Write what validates, or nothing. The key may come later: the file only names it."""
    text, key = render(answers), answers.api_key_env or CUSTOMARY_KEYS.get(answers.provider)
    parse(text, str(path), {**os.environ, **({key: "to come"} if key else {})})
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise Failed(f"cannot write {path}: {error.strerror}") from None
    option = "" if path == options.DEFAULT_CONFIG else f"-c {path} "
    show(f"wrote {path}; `apprentice {option}up` starts it")
    if key and not os.environ.get(key):
        note(f"put the provider's key into the environment variable {key}; `apprentice {option}doctor` tries it")
