"""What can become of a call: the fates that a test orders."""

from typing import Literal, get_args

Fault = Literal[
    "hang",  # processed and billed, never answered
    "hang_unpaid",  # neither
    "reset",  # processed and billed, the connection is cut before the answer
    "truncated",  # half of the answer, then the connection is cut
    "truncated_json",  # half of the answer, as if it were all
    "error_500",
    "error_503",
    "rate_limited",  # 429 with Retry-After: 1
    "quota",  # 429 that says that the account is empty
    "wrong_key",  # 401
    "gateway_timeout",  # 504: processed and billed, nobody waited for it
    "malformed",  # 200, not JSON
    "not_a_completion",  # 200, JSON of another kind
    "wrong_schema",  # an answer that does not fit the schema
    "invalid_once",  # the same, and the call after it is good
    "not_json_inside",  # a completion whose text is not JSON
    "no_usage",  # a good answer that does not say what it cost
    "from_cache",  # a good answer; half of the input came from the provider's cache
    "with_reasoning",  # a good answer; the model thought before
    "refusal",
    "content_filter",
    "cut_off",  # longer than the limit
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
UNPAID: frozenset[Fault] = frozenset({"hang_unpaid", "error_500", "error_503", "rate_limited", "quota", "wrong_key"})
