"""The commented `apprentice.yaml` that `apprentice init` writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from apprentice import thinking
from apprentice.schema_types import read_type
from apprentice.settings import ProviderSettings


@dataclass(frozen=True)
class InitAnswers:
    """What `init` asks. The fields are in the schema mini-language, as YAML gives it: `{category: [a, b]}`.

    `traffic` is the file for the provider `recorded`, `base_url` the address for
    `openai_compatible`; `api_key_env` names an environment variable; without a
    `daily_cap` (text, so that it stays exact) there is no cap. `base_model` is what the
    server named by `backend` has; the embedded model has none.
    """

    name: str
    description: str
    input_fields: Mapping[str, Any]
    output_fields: Mapping[str, Any]
    provider: str = "simulated"
    model: str = "claude-sonnet-4-5"
    api_key_env: str | None = None
    traffic: str | None = None
    base_url: str | None = None
    daily_cap: str | None = "10.00"
    match_fields: tuple[str, ...] = field(default=())
    backend: str = "embedded"
    base_model: str | None = None
    local_url: str | None = None


def render(answers: InitAnswers) -> str:
    """A commented configuration for one task, valid if the answers are.

    Raises SchemaError if the fields are malformed; `apprentice.config.parse` finds everything else.
    """
    read_type(dict(answers.input_fields))
    read_type(dict(answers.output_fields))
    matched = list(answers.match_fields or (name.removesuffix("?") for name in answers.output_fields))
    return _TEMPLATE.format(
        name=_yaml(answers.name),
        description=_yaml(answers.description),
        input_schema=_yaml(dict(answers.input_fields)),
        output_schema=_yaml(dict(answers.output_fields)),
        match_fields=_yaml(matched),
        provider=answers.provider,
        model=_yaml(answers.model),
        api_key=_line("api_key_env", answers.api_key_env, "ANTHROPIC_API_KEY", "the NAME of a variable, never the key"),
        base_url=_line(
            "base_url", answers.base_url, "http://localhost:8000/v1", "what stands before /chat/completions"
        ),
        traffic=_line("traffic", answers.traffic, "traffic.jsonl", 'rows of {"input": ..., "output": ...}'),
        room=_room(answers),
        local=_local(answers),
        daily=f"daily: {answers.daily_cap}" if answers.daily_cap else "# daily: 10.00",
    )


class _Dumper(yaml.SafeDumper):
    """Quotes all text, so that `no`, `1e3` and `~` stay text whoever reads them."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _yaml(value: object) -> str:
    """`value` on one line of YAML."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, width=2**30, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _line(key: str, value: str | None, example: str, comment: str) -> str:
    return f"{key}: {_yaml(value)}" if value is not None else f"# {key}: {example}  # {comment}"


def _room(answers: InitAnswers) -> str:
    """The line that leaves a model that thinks unasked room for its thoughts."""
    # Unchecked: a name that is none is found when the file is loaded.
    asked = ProviderSettings.model_construct(provider="simulated", model=answers.model)
    asked = asked.model_copy(update={"provider": answers.provider})
    if thinking.problem(asked) is None:
        return "# max_output_tokens: 512"
    return f"max_output_tokens: {thinking.ROOM_TO_THINK}       # thoughts are counted, too; or set reasoning_effort"


def _local(answers: InitAnswers) -> str:
    """The lines that say which model learns and how."""
    if answers.backend == "embedded":
        return "backend: embedded              # scikit-learn, on this machine; or ollama, vllm, llama_cpp"
    lines = [
        f"backend: {answers.backend}",
        f"base_model: {_yaml(answers.base_model)}",
        _line("base_url", answers.local_url, SERVERS[answers.backend], "where the server listens"),
        "fine_tune_backend: few_shot    # the base model is shown the most telling examples",
    ]
    return "\n  ".join(lines)


SERVERS = {
    "ollama": "http://localhost:11434",
    "vllm": "http://localhost:8000",
    "llama_cpp": "http://localhost:8080",
}

_TEMPLATE = """\
# Apprentice's configuration. `apprentice validate` checks it; `apprentice up` starts it.

tasks:
  - name: {name}
    description: {description}

    # Types: str, int, float, bool, dict, list, list[T], T? (may be missing), [a, b] (one of these), {{nested: str}}.
    # When a schema changes, `apprentice apply --new-version` starts a new one: old examples are kept apart.
    schema_version: 1
    input_schema: {input_schema}
    output_schema: {output_schema}

    # How a local answer is scored against the remote one, 0 to 1:
    # structured_match, exact_match, semantic_similarity (extra `semantic`) or custom (a function of yours).
    evaluator: structured_match
    match_fields: {match_fields}
    # evaluator_options: {{weights: {{a: 2}}, numeric_tolerance: 0, ignore_case: false, lists_as_sets: false}}

    confidence_thresholds:
      phase1_to_phase2: 50       # examples before the local model is first trained and tried
      phase2_to_phase3: 0.85     # agreement that what is served locally is proven to reach
      coaching_trigger: 0.70     # a proven fall to below this: back to the remote model
      emergency_threshold: 0.50  # correlation proven below this: back to the remote model

# The model that answers first and teaches: anthropic, openai, google, openai_compatible (any server that speaks Chat
# Completions); `simulated` answers by itself, `recorded` from logged traffic.
remote:
  provider: {provider}
  model: {model}
  {base_url}
  {api_key}
  {traffic}
  # price: {{input_per_million: 3.00, output_per_million: 15.00}}  # for a model that the public list lacks
  {room}

# The model that learns.
local:
  {local}
  fine_tune_batch_size: 100      # new examples that start a training
  model_dir: ./models/

# How often the local model is checked once it serves.
sampling:
  decay_function: exponential    # or linear, step
  min_floor: 0.02                # never check less than this share of requests
  window_size: 100               # newest comparisons that are kept
  trend_sensitivity: 0.05        # change of the proof that moves the rate

# Caps on what all tasks together may spend. A task's own `budget` has caps of its own besides.
budget:
  {daily}
  # weekly: 50.00
  # monthly: 150.00
  currency: USD
  # timezone: Europe/Berlin      # where days, weeks and months begin; UTC if not said
  # on_exhausted: reject         # no room for a remote answer: fail; the default is that the local model stands in
  # coaching_share: 0.9          # of a cap; the rest is kept for requests that only the remote model can answer

# cache: {{ttl: 1h}}               # an input answered lately is answered the same, without a new call

# store: {{url: sqlite:///apprentice.db}}
# alerts: {{webhook_env: APPRENTICE_WEBHOOK}}
# temporal:
#   task_queue: apprentice
#   encryption_key_env: APPRENTICE_PAYLOAD_KEYS  # encrypts what Temporal keeps; a key, or several: new,old
#   # python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())" makes one
"""
