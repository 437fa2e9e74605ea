"""The model behind the fake: what it says to what it was asked."""

import json
from typing import Any

from activities.remote.rule import words_of
from tests.fakes.provider.api import Asked, Said, Stop, tokens
from tests.fakes.provider.faults import Fault
from tests.fakes.rule_by_json_schema import answer

REASONING_TOKENS = 64
_STOPS: dict[Fault, Stop] = {"refusal": "refused", "content_filter": "filtered", "cut_off": "cut_off"}


def say(asked: Asked, fault: Fault | None, ordered: dict[str, Any] | None) -> Said:
    """The rule's answer to the user's last message, or the ordered one; spoilt where the fault is in the answer."""
    output = _by_rule(asked) if ordered is None else ordered
    if fault in ("wrong_schema", "invalid_once"):
        output = {name: {"not": "what was asked for"} for name in output}
    text: str | None = json.dumps(output, ensure_ascii=False)
    match fault:
        case "not_json_inside":
            text = f"Of course! Here is what you asked for: {text}"
        case "refusal" | "content_filter":
            text = None
        case "cut_off":
            text = (text or "")[:-3]
    reasoning = min(REASONING_TOKENS, asked.max_tokens // 2) if fault == "with_reasoning" else 0
    return Said(
        text=text,
        stop=_STOPS.get(fault, "done") if fault else "done",
        input_tokens=asked.prompt_tokens,
        output_tokens=min(tokens(text or "") + 1 + reasoning, asked.max_tokens),
        cached_tokens=asked.prompt_tokens // 2 if fault == "from_cache" else 0,
        reasoning_tokens=reasoning,
    )


def _by_rule(asked: Asked) -> dict[str, Any]:
    try:
        words = words_of(json.loads(asked.text))
    except ValueError:  # a template of the user's, or a second try
        words = words_of(asked.text)
    found: dict[str, Any] = answer(asked.schema or {"type": "object"}, words)
    return found
