"""Reading `apprentice.yaml`: what it resolves to, and every error with its key and its line."""

import contextlib
import json
import re
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apprentice.config import ConfigError, load, load_temporal, parse
from apprentice.settings import SHARED_BUDGET, Config

ROOT = Path(__file__).parents[2]
TASK = """
  - name: {name}
    input_schema: {{text: str}}
    output_schema: {{category: [billing, shipping], priority: int, place: {{city: str}}, extra: dict}}
    evaluator: structured_match
"""
REMOTE = "remote: {provider: simulated, model: claude-sonnet-4-5}\n"

OLLAMA = "{backend: ollama, base_model: 'llama3.1:8b', fine_tune_backend: few_shot, "
LLAMA_CPP = "{backend: llama_cpp, base_model: base.gguf, fine_tune_backend: few_shot, "


def config(extra_task: str = "", extra: str = "", remote: str = REMOTE) -> Config:
    return parse(text(extra_task, extra, remote), "/etc/app/apprentice.yaml", {})


def text(extra_task: str = "", extra: str = "", remote: str = REMOTE) -> str:
    lines = "".join(f"    {line}\n" for line in extra_task.splitlines())
    return f"tasks:{TASK.format(name='tickets')}{lines}{remote}{extra}"


def errors(source: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(source, "a.yaml", environ)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return str(caught.value).splitlines()


def only_error(source: str, **environ: str) -> str:
    found = errors(source, **environ)
    assert len(found) == 1, found
    return found[0]


def test_the_example_in_the_repository_loads() -> None:
    example = load(ROOT / "apprentice.yaml", {})
    task = example.task("classify_ticket")
    assert task.remote.price is not None
    assert task.remote.price.input_per_million > 0
    assert example.budget is not None
    assert example.budget.daily == Decimal("10.00")
    assert task.local.model_dir == str(ROOT / "models")
    assert example.store.url == f"sqlite:///{ROOT}/apprentice.db"


def test_every_key_of_the_specification_is_known_and_both_its_variables_are_asked_for() -> None:
    source = """\
tasks:
- name: classify_ticket
  description: "Classify support tickets by category and priority"
  input_schema: {text: str, metadata: dict}
  output_schema: {category: str, priority: int, confidence: float}
  evaluator: structured_match # or: semantic_similarity, exact_match, custom
  match_fields: [category, priority] # for structured_match
  confidence_thresholds:
    phase1_to_phase2: 50
    phase2_to_phase3: 0.85
    coaching_trigger: 0.70
    emergency_threshold: 0.50
remote:
  provider: simulated
  model: claude-sonnet-4-5-20250929
  api_key_env: ANTHROPIC_API_KEY
  additional_providers:
  - provider: simulated
    model: gpt-4o
    api_key_env: OPENAI_API_KEY
local:
  backend: embedded
  base_model: llama3.1:8b
  fine_tune_backend: embedded
  fine_tune_batch_size: 100
  model_dir: ./models/
sampling: {decay_function: exponential, min_floor: 0.02, window_size: 100, trend_sensitivity: 0.05}
budget: {daily: 10.00, weekly: 50.00, monthly: 150.00, currency: USD}
"""
    task = parse(source, "a.yaml", {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}).task("classify_ticket")
    assert [extra.model for extra in task.remote.additional_providers] == ["gpt-4o"]
    assert all(extra.price is not None for extra in task.remote.additional_providers)
    assert len(errors(source)) == 2


def test_an_unknown_task_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="other"):
        config().task("other")


TWO = """\
remote:
  provider: simulated
  model: claude-sonnet-4-5
  additional_providers:
  - {{provider: simulated, model: gpt-4o, share: {0}}}
  - {{provider: simulated, model: gpt-4o-mini, share: {1}}}
"""


def test_shares_are_of_all_requests() -> None:
    task = config(remote=TWO.format(0.9, 0.1)).task("tickets")
    assert [extra.share for extra in task.remote.additional_providers] == [0.9, 0.1]
    said = only_error(text(remote=TWO.format(0.6, 0.5)))
    assert "additional_providers" in said
    assert "must not be above 1" in said
    assert "1.1" in said


def test_two_providers_are_two_accounts() -> None:
    twins = TWO.replace("gpt-4o-mini", "gpt-4o")
    said = only_error(text(remote=twins.format(0.1, 0.1)))
    assert "remote.additional_providers[1]: is the same account as remote.additional_providers[0]" in said
    main = TWO.replace("gpt-4o,", "claude-sonnet-4-5,")
    assert "additional_providers[0]: is the same account as remote;" in only_error(text(remote=main.format(0.1, 0.1)))
    place = (
        "{{provider: google, model: gpt-4o, price: {{per_request: 1}}, base_url: http://a, vertex: {{project: %s}}}}"
    )
    behind = "".join(f"  - {place % project}\n" for project in ("here-1", "there-1"))
    assert config(remote=TWO.replace("  - {{provider: simulated", behind + "  - {{provider: simulated", 1).format(0, 0))


def test_the_main_provider_has_no_share_of_its_own() -> None:
    said = only_error(text("remote: {share: 0.5}"))
    assert "remote.share" in said
    assert "additional_providers" in said


def test_a_second_opinion_needs_somebody_to_give_it() -> None:
    assert config("remote: {second_opinions: 0.1}", remote=TWO.format(0, 0)).task("tickets").remote.second_opinions
    assert "second_opinions" in only_error(text("remote: {second_opinions: 0.1}"))


# --- resolving -------------------------------------------------------------------------------------------------


def test_a_task_block_is_laid_over_the_top_level_key_by_key() -> None:
    task = config(
        "remote: {max_output_tokens: 9, simulation: {noise: 0.5}}\nsampling: {min_floor: 0.1}",
        "sampling: {window_size: 50}\n",
        "remote: {provider: simulated, model: claude-sonnet-4-5, simulation: {noise: 0.1, seed: 4}}\n",
    ).task("tickets")
    assert (task.remote.model, task.remote.max_output_tokens) == ("claude-sonnet-4-5", 9)
    assert (task.remote.simulation.noise, task.remote.simulation.seed) == (0.5, 4)
    assert (task.sampling.min_floor, task.sampling.window_size) == (0.1, 50)


def test_another_provider_replaces_the_whole_remote_block(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("")
    source = text(
        "remote: {provider: recorded, model: gpt-4o, traffic: t.jsonl}", "", REMOTE[:-2] + ", timeout_seconds: 7}\n"
    )
    task = parse(source, str(tmp_path / "a.yaml"), {}).task("tickets")
    assert task.remote.timeout_seconds == 60.0
    assert task.remote.traffic == str(tmp_path / "t.jsonl")


def test_another_model_does_not_inherit_the_price_of_the_first() -> None:
    remote = "remote: {provider: simulated, model: ours, price: {input_per_million: 0.5}}\n"
    task = config("remote: {model: gpt-4o}", remote=remote).task("tickets")
    assert task.remote.price is not None
    assert task.remote.price.input_per_million == Decimal("2.5")


def test_money_is_exactly_what_is_written() -> None:
    digits = "0.1234567890123456789012345"
    task = config(f"budget: {{daily: {digits}, weekly: 10.00, monthly: 10}}").task("tickets")
    assert str(task.budget.daily) == digits
    assert str(task.budget.weekly) == "10.00"
    assert task.budget.monthly == Decimal(10)


def test_durations_are_read_in_plain_units() -> None:
    task = config("local: {retrain_every: 1d 6h, training_timeout: PT2H}").task("tickets")
    assert task.local.retrain_every == timedelta(hours=30)
    assert task.local.training_timeout == timedelta(hours=2)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///a.db", "sqlite:////etc/app/a.db"),
        ("sqlite+aiosqlite:///../a.db?timeout=3", "sqlite+aiosqlite:////etc/a.db?timeout=3"),
        ("sqlite:////var/a.db", "sqlite:////var/a.db"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_sqlite_files_start_from_the_folder_of_the_yaml(url: str, resolved: str) -> None:
    assert config(extra=f"store: {{url: '{url}'}}\n").store.url == resolved


def test_words_that_yaml_1_1_takes_for_booleans_stay_text() -> None:
    source = text().replace("[billing, shipping]", "[yes, no, on, 1:30]")
    assert parse(source, "a.yaml", {}).task("tickets").output_schema["category"] == ["yes", "no", "on", "1:30"]


def test_anchors_and_merge_keys_are_expanded() -> None:
    task = config("sampling: &s {min_floor: 0.1}\nbudget: {}\nlocal: {}", "sampling: {<<: *s, window_size: 40}\n").task(
        "tickets"
    )
    assert (task.sampling.min_floor, task.sampling.window_size) == (0.1, 40)


def test_the_loaded_configuration_survives_json() -> None:
    loaded = config(extra="budget: {daily: 0.10}\n")
    assert Config.model_validate_json(loaded.model_dump_json()) == loaded


# --- caps ------------------------------------------------------------------------------------------------------


def test_top_level_caps_are_for_all_tasks_together_and_each_draws_from_them() -> None:
    tasks = "".join(TASK.format(name=name) for name in ("a", "b"))
    budget = "{daily: 10, weekly: 20, timezone: Europe/Berlin, on_exhausted: reject, coaching_share: 0.5}"
    loaded = parse(
        f"tasks:{tasks}    budget: {{daily: 40, coaching_share: 1}}\n{REMOTE}budget: {budget}\n", "a.yaml", {}
    )
    assert loaded.budget is not None
    assert (loaded.budget.daily, loaded.budget.weekly) == (Decimal(10), Decimal(20))
    assert [task.shared_budget for task in loaded.tasks] == [SHARED_BUDGET] * 2
    a, b = (task.budget for task in loaded.tasks)
    assert [(a.daily, a.weekly), (b.daily, b.weekly)] == [(None, None), (Decimal(40), None)]
    assert (a.timezone, a.on_exhausted, a.coaching_share) == ("Europe/Berlin", "reject", 0.5)
    assert (b.timezone, b.on_exhausted, b.coaching_share) == ("Europe/Berlin", "reject", 1.0)


@pytest.mark.parametrize("extra", ["", "budget: {on_exhausted: reject}\n", "budget: {daily: null}\n"])
def test_without_a_cap_at_the_top_level_there_is_no_budget_to_draw_from(extra: str) -> None:
    assert config("budget: {daily: 3}", extra).task("tickets").shared_budget is None


def test_a_task_alone_has_the_smaller_of_its_own_caps_and_those_of_all() -> None:
    loaded = config("budget: {daily: 4, weekly: 50, monthly: 60}", "budget: {daily: 10, weekly: 20}\n")
    alone = loaded.alone("tickets")
    assert (alone.budget.daily, alone.budget.weekly, alone.budget.monthly) == (Decimal(4), Decimal(20), Decimal(60))
    assert alone.shared_budget is None
    assert config("budget: {daily: 4}").alone("tickets").budget.daily == Decimal(4)


def test_the_budget_to_draw_from_cannot_be_set_by_hand() -> None:
    assert only_error(text("shared_budget: another-workflow")) == (
        "a.yaml:6: tasks[0].shared_budget: cannot be set: it follows from the rest of the file"
    )


def test_a_cache_for_all_tasks_can_be_switched_off_for_one() -> None:
    assert config(extra="cache: {ttl: 1h}\n").task("tickets").cache.ttl == timedelta(hours=1)
    assert config("cache: {ttl: null}", "cache: {ttl: 1h}\n").task("tickets").cache.ttl is None
    assert config().task("tickets").cache.ttl is None


def test_a_task_cannot_count_in_another_currency_than_a_shared_cap() -> None:
    source = text("budget: {currency: EUR}\nremote: {price: {input_per_million: 1}}", "budget: {daily: 10}\n")
    assert "a.yaml:6: tasks[0].budget.currency" in only_error(source)


# --- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("matchfields: [priority]", "a.yaml:6: tasks[0].matchfields: unknown key; did you mean `match_fields`?"),
        ("min_floor: 0.1", "tasks[0].min_floor: unknown key; it belongs under `sampling`"),
        ("sampling:\n  min_flor: 0.1", "a.yaml:7: tasks[0].sampling.min_flor: unknown key; did you mean `min_floor`?"),
        ("sampling: {window_size: '50'}", "tasks[0].sampling.window_size: expected a whole number, got text"),
        ("sampling: {window_size: true}", "expected a whole number, got true or false"),
        ("sampling: {window_size: 30.5}", "expected a whole number, got a number with a fraction"),
        ("sampling: {min_floor: .inf}", "tasks[0].sampling.min_floor: expected a number, got text"),
        (
            "sampling: {decay_function: expnential}",
            "did you mean `exponential`? (there are: linear, exponential, step)",
        ),
        ("sampling: 3", "a.yaml:6: tasks[0].sampling: expected a mapping, got a whole number"),
        ("budget: {daily: ten}", "a.yaml:6: tasks[0].budget.daily: "),
        ("budget: {daily: true}", "a.yaml:6: tasks[0].budget.daily: "),
        ("budget: {daily: -1}", "tasks[0].budget.daily: must be greater than or equal to 0"),
        ("budget: {timezone: Berlin}", "did you mean `Europe/Berlin`?"),
        ("budget: {timezone: ../../etc/passwd}", "tasks[0].budget.timezone: "),
        ("budget: {on_exhausted: rejct}", "did you mean `reject`? (there are: local, reject)"),
        ("budget: {coaching_share: 1.5}", "tasks[0].budget.coaching_share: must be less than or equal to 1"),
        ("budget: {coaching_shar: 1}", "a.yaml:6: tasks[0].budget.coaching_shar: unknown key; did you mean `coaching_"),
        ("on_exhausted: reject", "tasks[0].on_exhausted: unknown key; it belongs under `budget`"),
        ("cache: {ttl: soon}", "a.yaml:6: tasks[0].cache.ttl: expected a duration such as 7d"),
        ("cache: {tll: 1h}", "a.yaml:6: tasks[0].cache.tll: unknown key; did you mean `ttl`?"),
        ("cache: 1h", "a.yaml:6: tasks[0].cache: expected a mapping, got text"),
        ("budget: {currency: usd}", "tasks[0].budget.currency: must be three capital letters such as USD"),
        (
            "local: {backend: embeded}",
            "unknown value 'embeded'; did you mean `embedded`?",
        ),
        ("local: {retrain_every: soon}", "expected a duration such as 7d"),
        ("local: {retrain_every: 0d}", "tasks[0].local.retrain_every: must be greater than"),
        (
            "remote: {provider: simulatd}",
            "tasks[0].remote.provider: unknown value 'simulatd'; did you mean `simulated`?",
        ),
        (
            "remote: {model: claude-sonet-4-5}",
            "no price is known for 'claude-sonet-4-5'; did you mean claude-sonnet-4-5",
        ),
        ("remote: {price: {}}", "tasks[0].remote.price: states no price"),
        ("remote: {provider: recorded, model: gpt-4o}", "tasks[0].remote: the provider `recorded` needs `traffic`"),
        (
            "remote: {provider: recorded, model: gpt-4o, traffic: no.jsonl}",
            "remote.traffic: there is no file 'no.jsonl'",
        ),
        (
            "remote: {provider: openai_compatible, model: gpt-4o}",
            "remote: the provider `openai_compatible` needs `base_",
        ),
        (
            "remote: {provider: openai_compatible, model: gpt-4o, base_url: 'localhost:8000'}",
            "remote.base_url: expected an address",
        ),
        (
            "remote: {provider: openai_compatible, model: gpt-4o, base_url: 'http://:80'}",
            "remote.base_url: expected an address",
        ),
        (
            "remote: {provider: openai_compatible, model: gpt-4o, base_url: 'http://me:secret@host/v1'}",
            "remote.base_url: holds a user or password",
        ),
        (
            "remote: {provider: openai_compatible, model: gpt-4o, base_url: 'http://host/v1?key=1'}",
            "remote.base_url: must end before",
        ),
        (
            "remote: {provider: openai_compatible, model: gpt-4o, base_url: 'http://host/v1', batch: true}",
            "tasks[0].remote.batch: the provider openai_compatible has no batch API",
        ),
        (
            "remote: {batch: true}\nallowance: {remote_calls: 100}",
            "tasks[0].remote.batch: does not go with an `allowance`",
        ),
        ("remote: {batch_every: 0s}", "tasks[0].remote.batch_every: must be greater than"),
        ("remote: {batch_size: 0}", "tasks[0].remote.batch_size: must be greater than"),
        ("remote: {base_url: 'http://host/v1'}", "remote.base_url: has no effect with simulated"),
        ("remote: {idempotent: true}", "remote.idempotent: has no effect with simulated"),
        ("remote: {additional_providers: [{provider: simulated}]}", "remote.additional_providers[0].model: is missing"),
        ("budget: {currency: EUR}", "the price list is in USD, the budget in EUR"),
        (
            "match_fields: [category, priorty]",
            "tasks[0].match_fields[1]: output_schema has no field `priorty`; did you mean",
        ),
        ("match_fields: [place.town]", "output_schema has no field `place.town`"),
        ("match_fields: [category, category]", "tasks[0].match_fields[1]: `category` is listed twice"),
        (
            "evaluator_options: {weights: {prio: 1}}",
            "tasks[0].evaluator_options.weights.prio: output_schema has no field",
        ),
        ("evaluator_options: {weights: {priority: 0}}", "weights.priority: must be greater than 0"),
        (
            "evaluator_options: {numeric_tolerance: {prio: 1}}",
            "evaluator_options.numeric_tolerance.prio: output_schema has",
        ),
        (
            "evaluator_options: {numeric_tolerance: x}",
            "evaluator_options.numeric_tolerance: expected a number not below 0",
        ),
        ("confidence_thresholds: {phase1_to_phase2: 0}", "phase1_to_phase2: must be greater than or equal to 1"),
    ],
)
def test_each_mistake_in_a_task_gets_one_clear_error(task: str, expected: str) -> None:
    assert expected in only_error(text(task))


@pytest.mark.parametrize(
    ("thresholds", "key"),
    [
        ("phase2_to_phase3: 0.6", "phase2_to_phase3"),
        ("phase2_to_phase3: 1.0", "phase2_to_phase3"),
        ("emergency_threshold: 0.75", "emergency_threshold"),
    ],
)
def test_thresholds_out_of_order_name_the_key_and_its_line(thresholds: str, key: str) -> None:
    found = only_error(text(f"confidence_thresholds:\n  min_samples: 30\n  {thresholds}"))
    assert found.startswith(f"a.yaml:8: tasks[0].confidence_thresholds.{key}: thresholds out of order: need ")


def test_more_samples_than_the_window_holds_are_refused() -> None:
    found = only_error(text("confidence_thresholds: {min_samples: 200}"))
    assert found == "a.yaml:6: tasks[0].confidence_thresholds.min_samples: " + (
        "must not be above sampling.window_size, which is 100"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "structured_match",
            "structred_match",
            "a.yaml:5: tasks[0].evaluator: unknown evaluator 'structred_match'; did you",
        ),
        ("structured_match", "custom", "tasks[0].evaluator_options.path: custom needs the function to call"),
        (
            "{text: str}",
            "{text: string}",
            "a.yaml:3: tasks[0].input_schema.text: unknown type 'string'; did you mean str?",
        ),
        ("priority: int", "priority: [1, 1]", "a.yaml:4: tasks[0].output_schema.priority: a literal is listed twice"),
        ("priority: int", "priority: [1.5]", "a.yaml:4: tasks[0].output_schema.priority: a literal is text"),
        ("{text: str}", "{}", "a.yaml:3: tasks[0].input_schema: needs at least one field"),
        ("{text: str}", "str", "a.yaml:3: tasks[0].input_schema: expected a mapping, got text"),
        ("name: tickets", "name: Tick-ets", "a.yaml:2: tasks[0].name: must be lower-case letters"),
        ("remote:", "remotes: 3\nremote:", "a.yaml:6: remotes: unknown key; did you mean `remote`?"),
        ("evaluator: s", "evaluator: 3 #", "a.yaml:5: tasks[0].evaluator: expected text, got a whole number"),
    ],
)
def test_each_mistake_elsewhere_gets_one_clear_error(old: str, new: str, expected: str) -> None:
    assert expected in only_error(text().replace(old, new, 1))


def test_fields_for_matching_are_refused_where_they_have_no_effect() -> None:
    source = text("match_fields: [category]").replace("structured_match", "exact_match")
    assert "tasks[0].match_fields: has no effect with exact_match" in only_error(source)


def test_fields_inside_of_objects_and_free_objects_can_be_matched() -> None:
    assert config("match_fields: [place.city, extra.anything.at.all]").task("tickets").match_fields


def test_all_problems_are_reported_at_once_in_the_order_of_lines() -> None:
    source = text("schema_version: 0\nevaluator_options: {path: 5}\nsampling: {min_flor: 1}", "bugdet: {}\nstore: 5\n")
    source = source.replace("structured_match", "exct_match").replace("{text: str}", "{text: string}")
    assert [line.split(" ")[1] for line in errors(source)] == [
        "tasks[0].input_schema.text:",
        "tasks[0].evaluator:",
        "tasks[0].schema_version:",
        "tasks[0].evaluator_options.path:",
        "tasks[0].sampling.min_flor:",
        "bugdet:",
        "store:",
    ]


def test_a_mistake_at_the_top_level_is_reported_once_for_any_number_of_tasks() -> None:
    tasks = "".join(TASK.format(name=name) for name in ("a", "b", "c"))
    assert "sampling.min_flor" in only_error(f"tasks:{tasks}{REMOTE}sampling: {{min_flor: 1}}\n")


def test_a_mistake_in_a_block_that_every_task_replaces_is_still_reported() -> None:
    source = text("remote: {provider: simulated, model: gpt-4o}", "", "remote: {provider: recorded, modle: x}\n")
    assert "a.yaml:7: remote.modle: unknown key; did you mean `model`?" in only_error(source)


def test_tasks_of_the_same_name_are_an_error() -> None:
    source = f"tasks:{TASK.format(name='a')}{TASK.format(name='a')}{REMOTE}"
    assert only_error(source) == "a.yaml:7: tasks[1].name: there is already a task 'a'"


@pytest.mark.parametrize(
    "source", ["tasks: []", "[]", "5", "tasks: {}", "{}", "remote: {provider: simulated, model: gpt-4o}"]
)
def test_no_tasks_is_an_error(source: str) -> None:
    assert len(errors(source)) == 1


def test_what_is_required_is_asked_for() -> None:
    assert errors("tasks: [{}, 5]") == [
        "a.yaml:1: tasks[0].input_schema: is missing",
        "a.yaml:1: tasks[0].name: is missing",
        "a.yaml:1: tasks[0].output_schema: is missing",
        "a.yaml:1: tasks[0].remote: is missing",
        "a.yaml:1: tasks[1]: expected a mapping, got a whole number",
    ]


# --- secrets ---------------------------------------------------------------------------------------------------


def test_a_missing_environment_variable_is_named() -> None:
    source = text("remote: {api_key_env: ANTHROPIC_API_KEY}\nalerts: {webhook_env: ALERT_URL}")
    assert errors(source) == [
        "a.yaml:6: tasks[0].remote.api_key_env: the environment variable ANTHROPIC_API_KEY is not set",
        "a.yaml:7: tasks[0].alerts.webhook_env: the environment variable ALERT_URL is not set",
    ]
    assert "ALERT_URL" in only_error(source, ANTHROPIC_API_KEY="k")
    assert parse(source, "a.yaml", {"ANTHROPIC_API_KEY": "k", "ALERT_URL": "https://x"})


@pytest.mark.parametrize("secret", ["sk-ant-api03-s3cr3t", "AKIAIOSFODNN7EXAMPLE", "https://hooks.example/T0/s3cr3t"])
def test_a_secret_written_in_place_of_a_name_is_not_repeated(secret: str) -> None:
    source = text(f"remote: {{api_key_env: '{secret}', api_key: '{secret}', max_output_tokens: '{secret}'}}")
    found = errors(source)
    assert len(found) == 3
    assert secret not in "\n".join(found)


def test_a_secret_in_broken_yaml_is_not_repeated() -> None:
    assert "s3cr3t" not in only_error("remote: {api_key_env: 's3cr3t")


# --- YAML ------------------------------------------------------------------------------------------------------


def test_a_duplicate_key_is_an_error_with_both_lines() -> None:
    assert only_error("remote: {}\ntasks: []\nremote: {}\n") == (
        "a.yaml:3: remote: duplicate key, first used in line 1"
    )


def test_aliases_that_stand_for_more_than_memory_holds_are_refused_at_once() -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    begun = time.perf_counter()
    assert "once aliases are expanded" in only_error(laughs)
    assert time.perf_counter() - begun < 20


@pytest.mark.parametrize(
    "source",
    [
        "a: &a [*a]",
        "a: &a {<<: *a}",
        "[" * 3000,
        "a: !!python/object:os.system x",
        "a: b: c",
        "a: \x01",
        "",
        "? [1]\n: 2",
    ],
)
def test_yaml_that_is_no_configuration_is_a_config_error(source: str) -> None:
    assert errors(source)[0].startswith("a.yaml:1: ")


def test_a_file_that_is_not_there_or_not_text_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; `apprentice init`"):
        load(tmp_path / "a.yaml", {})
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "a.yaml", {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("name", "input_schema", "output_schema", "evaluator", "match_fields", "evaluator_options", "remote", "budget")


@given(st.dictionaries(st.sampled_from(KEYS), json_values, min_size=1))
def test_whatever_a_task_holds_it_loads_or_is_a_config_error(values: dict[str, object]) -> None:
    lines = {key: json.dumps(value, ensure_ascii=True) for key, value in values.items()}
    source = "tasks:\n  - schema_version: 1\n" + "".join(f"    {key}: {value}\n" for key, value in lines.items())
    with contextlib.suppress(ConfigError):
        assert parse(source + REMOTE, "a.yaml", {}).tasks[0].name == values["name"]


# --- how payloads travel ---------------------------------------------------------------------------------------

KEY = "A" * 43 + "="


def test_payload_settings_are_read_and_a_storage_folder_is_made_absolute() -> None:
    block = "temporal: {payload_storage: kept/here, max_payload: 512KiB, payload_retention: 7d}\n"
    temporal = config(extra=block).temporal
    assert temporal.payload_storage == "/etc/app/kept/here"
    assert (temporal.max_payload, temporal.payload_retention) == (512 * 1024, timedelta(days=7))
    assert config().temporal.payload_storage == "/etc/app/.apprentice/payloads"
    bucket = "temporal: {payload_storage: s3://bucket/prefix, payload_endpoint: http://localhost:9000}\n"
    assert config(extra=bucket).temporal.payload_storage == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("encryption_key_env: PAYLOAD_KEY", "temporal.encryption_key_env: the environment variable PAYLOAD_KEY is not"),
        ("encryption_key_env: SHORT_KEY", "temporal.encryption_key_env: .* key 1 has 3 bytes, not 32"),
        ("encryption_key_env: ODD_KEY", "temporal.encryption_key_env: .* key 2 is not base64"),
        ("codec_token_env: SHORT_KEY", "temporal.codec_token_env: the token must have at least 16"),
        ("payload_storage: ftp://host/folder", "temporal.payload_storage: unknown storage 'ftp'"),
        ("payload_storage: s3:///prefix", "temporal.payload_storage: names no bucket"),
        ("payload_endpoint: http://localhost:9000", "temporal.payload_endpoint: has no effect"),
        ("max_payload: 1 GiB", "temporal.max_payload: must be less than or equal to 8192KiB"),
        ("payload_retention: 0d", "temporal.payload_retention: must be greater than 0d"),
        ("payload_endpoint: storage", "temporal.payload_endpoint: expected an address such as https://"),
        ('task_queue: ""', "temporal.task_queue: must not be empty"),
        ("max_payload: much", "temporal.max_payload: .*512KiB"),
        ("encrypt: true", "temporal.encrypt: unknown key"),
    ],
)
def test_a_mistake_in_the_block_temporal_is_named_with_its_line(block: str, words: str) -> None:
    source = text(extra=f"temporal:\n  {block}\n")
    line = source.count("\n")
    error = only_error(source, SHORT_KEY="YWJj", ODD_KEY=f"{KEY},hello!")
    assert error.startswith(f"a.yaml:{line}: ")
    assert re.search(words, error), error
    assert KEY not in error
    assert "hello" not in error


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ann:secret@host/x", "expected the address of a database, such as sqlite:///apprentice.db or"),
        ("apprentice.db", "expected the address of a database"),
        ("sqlite://apprentice.db", "names no file; write it like sqlite:///apprentice.db"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://ann:secret@host", "names no database; write it like postgresql://user@host/database"),
    ],
)
def test_a_store_that_cannot_be_one_is_refused_before_anything_is_started(url: str, words: str) -> None:
    error = only_error(text(extra=f'store: {{url: "{url}"}}\n'))
    assert f"store.url: {words}" in error
    assert "secret" not in error


@pytest.mark.parametrize(
    "url", ["sqlite:////folder/a.db", "postgresql://ann@host/x", "postgresql+psycopg:///x?host=/run", "postgres://h/x"]
)
def test_every_address_that_a_store_takes_is_valid(url: str) -> None:
    assert config(extra=f"store: {{url: '{url}'}}\n").store.url == url


@pytest.mark.parametrize("end", ["/chat/completions", "/responses", "/messages"])
def test_an_endpoint_in_place_of_a_base_url_is_refused(end: str) -> None:
    remote = f"remote: {{provider: openai_compatible, model: gpt-4o-mini, base_url: http://h/v1{end}}}\n"
    assert f"remote.base_url: must end before {end}" in only_error(text(remote=remote))


def test_a_client_reads_the_block_temporal_alone(tmp_path: Path) -> None:
    path = tmp_path / "apprentice.yaml"
    path.write_text("tasks: 7\nremote: {api_key_env: NOT_SET}\ntemporal: {encryption_key_env: PAYLOAD_KEY}\n")
    assert load_temporal(path, {"PAYLOAD_KEY": KEY}).encryption_key_env == "PAYLOAD_KEY"
    with pytest.raises(ConfigError, match="PAYLOAD_KEY is not set"):
        load_temporal(path, {})
    with pytest.raises(ConfigError, match="no such file"):
        load_temporal(tmp_path / "other.yaml", {})


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("{backend: ollama, fine_tune_backend: few_shot}", "local: the backend ollama needs `base_model`"),
        ("{backend: vllm, base_model: m}", "local.fine_tune_backend: embedded trains no model for the backend vllm"),
        ("{fine_tune_backend: few_shot}", "local.fine_tune_backend: the backend embedded is trained by embedded alone"),
        ("{base_url: 'http://localhost:11434'}", "local.base_url: has no effect with the backend embedded"),
        ("{api_key_env: HOME}", "local.api_key_env: has no effect with the backend embedded"),
        (OLLAMA + "base_url: 'http://me:secret@host'}", "local.base_url: holds a user or password"),
        (OLLAMA + "base_url: 'localhost:11434'}", "local.base_url: expected an address such as http://localhost:11434"),
        (OLLAMA + "base_url: 'http://localhost:11434/v1'}", "local.base_url: must end before /v1 or /api"),
        (OLLAMA + "api_key_env: SERVER_KEY}", "local.api_key_env: the environment variable SERVER_KEY is not set"),
        (OLLAMA + "server_command: [ollama]}", "local.server_command: has no effect with the backend ollama"),
        (LLAMA_CPP + "server_command: [x, '{model}']}", "local.server_command: needs {port}, as in [llama-server,"),
        (LLAMA_CPP + "server_command: [x, '{port}']}", "local.server_command: needs {model}, as in [llama-server,"),
        (
            LLAMA_CPP + "server_command: [x, '{model}', '{port}', '{lora}']}",
            "local.server_command: there is no place {lora} (there are: {model}, {adapter}, {port})",
        ),
    ],
)
def test_a_local_server_has_what_it_needs_and_nothing_that_it_ignores(local: str, expected: str) -> None:
    assert expected in only_error(text(f"local: {local}"))


def test_a_base_model_that_is_a_file_is_relative_to_the_yaml_file_and_a_name_stays() -> None:
    command = "server_command: [llama-server, -m, '{model}', --json, '{\"a\": 1}', --port, '{port}']"
    task = config(f"local: {LLAMA_CPP} {command}}}").task("tickets")
    assert task.local.base_model == "/etc/app/base.gguf"
    named = config(f"local: {LLAMA_CPP.replace('base.gguf', 'llama3')}}}").task("tickets")
    assert named.local.base_model == "llama3"


def test_a_local_server_is_five_lines() -> None:
    task = config(f"local: {OLLAMA} base_url: 'http://gpu:11434/'}}").tasks[0]
    assert (task.local.backend, task.local.base_model) == ("ollama", "llama3.1:8b")


# --- prompts and rates -----------------------------------------------------------------------------------------


def test_a_prompt_is_checked_at_its_line() -> None:
    prompt = """prompt:
  system: "{{ input }}"
  template: |
    {{ task }}
    {{ input.txt }}
  examples:
    - input: {text: a}
      output: {category: billing, priority: 1, place: {city: a}, extra: {}}
    - input: {text: 3}
      output: {category: billing, priority: 1, place: {city: 4}, extra: {}}"""
    found = errors(text(prompt))
    assert [one.split(": ", 2)[:2] for one in found] == [
        ["a.yaml:7", "tasks[0].prompt.system"],
        ["a.yaml:8", "tasks[0].prompt.template"],
        ["a.yaml:14", "tasks[0].prompt.examples[1].input"],
        ["a.yaml:15", "tasks[0].prompt.examples[1].output"],
    ]
    assert "there is no {{ input }}" in found[0]
    assert "line 2: input_schema has no field `txt`; did you mean `text`?" in found[1]
    assert "text: expected text" in found[2]
    assert "place.city: expected text" in found[3]


def test_a_prompt_that_fits_its_schemas_loads_also_beside_schemas_that_do_not() -> None:
    assert config("prompt: {template: '{{ input.text }}'}").task("tickets").prompt.template == "{{ input.text }}"
    broken = text("prompt: {template: '{{ input.text }}'}").replace("text: str", "text: strr")
    assert "unknown type" in only_error(broken)


def test_a_rate_limit_that_no_call_fits_into_is_an_error() -> None:
    limited = REMOTE.replace("}", ", rate_limits: {requests_per_minute: 5, tokens_per_minute: 511}}")
    assert "rate_limits.tokens_per_minute: is below max_output_tokens, which is 512" in only_error(text(remote=limited))
    assert config(remote=limited.replace("511", "512")).task("tickets").remote.rate_limits.requests_per_minute == 5
