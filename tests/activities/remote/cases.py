"""What all providers are tested with: schemas with their answers, faults with the names that they get."""

from typing import Any

import pytest

from activities.remote.errors import (
    AuthFailed,
    ContentFiltered,
    ContentRefused,
    CutOff,
    InvalidAnswer,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RemoteError,
    TimedOut,
)
from tests.fakes.provider.faults import Fault

EVERYTHING: dict[str, Any] = {
    "category": ["billing", "shipping"],
    "priority": "int",
    "note": "str?",
    "tags": "list[str]",
    "nested": {"sure": "bool?", "share": "float"},
}
# Corner cases of schemas: what they ask for, and an answer of that kind.
SCHEMAS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "everything": (
        EVERYTHING,
        {"category": "billing", "priority": 2, "note": None, "tags": [], "nested": {"sure": None, "share": 0.5}},
    ),
    "optional": ({"note?": "str", "kind?": ["a", "b"]}, {"note": None, "kind": "b"}),
    "optional object": ({"where?": {"city": "str", "street?": "str"}}, {"where": {"city": "Ulm", "street": None}}),
    "deep": ({"a": {"b": {"c": {"d": "list[list[int]]"}}}}, {"a": {"b": {"c": {"d": [[1], []]}}}}),
    "enum": ({"size": [1, 2, 3], "sure": [True, False], "mixed": ["x", 1]}, {"size": 3, "sure": False, "mixed": 1}),
    "unicode": ({"größe": ["groß", "klein", "大"], "名前": "str"}, {"größe": "大", "名前": 'é "quoted" \\ \n 🙂'}),
    "free dict": ({"about": "dict"}, {"about": {"any": ["thing", {"at": None}]}}),
    "free list": ({"rows": "list"}, {"rows": [1, "two", {"three": 3}]}),
}
corner_cases = pytest.mark.parametrize("case", SCHEMAS)

WHAT_BECOMES_OF: dict[Fault, type[RemoteError]] = {
    "hang": TimedOut,
    "hang_unpaid": TimedOut,
    "reset": TimedOut,
    "truncated": TimedOut,
    "gateway_timeout": TimedOut,
    "error_500": Overloaded,
    "error_503": Overloaded,
    "rate_limited": RateLimited,
    "quota": QuotaExhausted,
    "wrong_key": AuthFailed,
    "malformed": InvalidAnswer,
    "truncated_json": InvalidAnswer,
    "not_a_completion": InvalidAnswer,
    "not_json_inside": InvalidAnswer,
    "cut_off": CutOff,
    "refusal": ContentRefused,
    "content_filter": ContentFiltered,
}
