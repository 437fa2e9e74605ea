"""From the text of `apprentice.yaml` to a Config: each block, each task, then what concerns them all."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from apprentice.config.completion import complete, complete_store, complete_temporal
from apprentice.config.drafts import read_task
from apprentice.config.errors import ConfigError, did_you_mean, in_words, problem_at
from apprentice.config.merging import SECTIONS
from apprentice.config.sharing import distinct_names, drawing, one_currency
from apprentice.config.store_checks import check_store
from apprentice.config.surroundings import Surroundings
from apprentice.config.temporal_checks import check_temporal
from apprentice.config.yaml_source import Node, Problem, SourceError, read
from apprentice.settings import (
    AlertSettings,
    BudgetSettings,
    CacheSettings,
    Config,
    LocalSettings,
    QualitySettings,
    RemoteSettings,
    SamplingSettings,
    Settings,
    StoreSettings,
    TemporalSettings,
)

TOP_LEVEL: dict[str, type[Settings]] = {
    "remote": RemoteSettings,
    "local": LocalSettings,
    "quality": QualitySettings,
    "sampling": SamplingSettings,
    "budget": BudgetSettings,
    "cache": CacheSettings,
    "alerts": AlertSettings,
    "store": StoreSettings,
    "temporal": TemporalSettings,
}


def load(path: Path, environ: Mapping[str, str], change: Callable[[Node], Node] | None = None) -> Config:
    """The configuration in a file. Raises ConfigError: all that is wrong with it, or that it cannot be read.

    `change` is what to make of the tree of the file before it is checked.
    """
    return parse(_text(path), str(path), environ, change)


def load_temporal(path: Path, environ: Mapping[str, str]) -> TemporalSettings:
    """The block `temporal` of a file alone: a client has none of the other keys. Raises ConfigError."""
    try:
        root = read(_text(path), str(path))
    except SourceError as error:
        raise ConfigError(error.problems) from None
    problems: list[Problem] = []
    settings = _temporal(root, dict(_blocks(root, str(path), problems)), environ, str(path), problems)
    ours = [problem for problem in problems if problem.key.partition(".")[0] in ("", "temporal")]
    if ours:
        raise ConfigError(ours)
    return settings


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        words = "there is no such file; `apprentice init` writes one"
        raise ConfigError([Problem(str(path), 1, "", words)]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, "", f"cannot read it: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(path), 1, "", "is not text in UTF-8")]) from None


def parse(text: str, source: str, environ: Mapping[str, str], change: Callable[[Node], Node] | None = None) -> Config:
    """The configuration in `text`. `source` names it in errors; relative paths start from the folder of `source`.

    `environ` is asked only whether variables that the configuration names are there. Raises ConfigError.
    """
    try:
        root = read(text, source)
    except SourceError as error:
        raise ConfigError(error.problems) from None
    root = change(root) if change else root
    folder = Path(source).absolute().parent
    problems: list[Problem] = []
    blocks = dict(_blocks(root, source, problems))
    drafts = [read_task(node, root, source, Surroundings(environ, folder), problems) for node in _tasks(root)]
    problems += distinct_names(root, drafts, source)
    budget = cast(BudgetSettings | None, blocks.get("budget"))
    problems += one_currency(drafts, budget, source)
    store = cast(StoreSettings, blocks.get("store", StoreSettings()))
    problems += [problem_at(source, root, ("store", *path), words) for path, words in check_store(store)]
    temporal = _temporal(root, blocks, environ, source, problems)
    if problems:
        raise ConfigError(problems)
    return Config(
        tasks=[complete(draft.settings, folder) for draft in drawing(drafts, budget) if draft.settings is not None],
        budget=budget,
        store=complete_store(store, folder),
        temporal=temporal,
    )


def _temporal(
    root: Node, blocks: Mapping[str, Settings], environ: Mapping[str, str], source: str, problems: list[Problem]
) -> TemporalSettings:
    settings = cast(TemporalSettings, blocks.get("temporal", TemporalSettings()))
    for path, words in check_temporal(settings, environ):
        problems.append(problem_at(source, root, ("temporal", *path), words))
    return complete_temporal(settings, Path(source).absolute().parent)


def _blocks(root: Node, source: str, problems: list[Problem]) -> Iterator[tuple[str, Settings]]:
    """The top-level blocks by themselves. One of a task's blocks may be incomplete here: tasks can add to it."""
    if not isinstance(root.value, dict):
        problems.append(Problem(source, root.line, "", "expected a mapping with `tasks`"))
        return
    known = ["tasks", *TOP_LEVEL]
    for key in root.mapping.keys() - set(known):
        words = f"unknown key{did_you_mean(key, known) or f' (there are: {", ".join(known)})'}"
        problems.append(problem_at(source, root, (key,), words))
    for key, model in TOP_LEVEL.items():
        if key not in root.mapping:
            continue
        try:
            yield key, model.model_validate(root.mapping[key].plain(), strict=True)
        except ValidationError as error:
            for path, kind, words in in_words(error, model, root.mapping[key]):
                if kind != "missing" or key not in SECTIONS:
                    problems.append(problem_at(source, root.mapping[key], path, words))


def _tasks(root: Node) -> list[Node]:
    return root.mapping["tasks"].items if "tasks" in root.mapping else []
