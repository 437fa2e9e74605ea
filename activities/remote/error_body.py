"""What the body of a refusal says, whatever the provider's way to say it.

    OpenAI      {"error": {"code": "insufficient_quota", "type": ..., "param": "temperature", "message": ...}}
    Anthropic   {"type": "error", "error": {"type": "billing_error", "details": {"error_code": ...}, "message": ...}}
    Google      {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [ErrorInfo, QuotaFailure, RetryInfo,
                ...], "message": ...}}

A message is looked at for words that we know, where the codes do not tell enough; nothing of it is kept.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
_OUT_OF_CREDIT = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_too_low",
    "billing_error",
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
    "BILLING_DISABLED",
}
# Anthropic's empty account and its limits that the user set are a 400 like any other; Google's prepaid credit is a 429.
_NO_CREDIT_WORDS = re.compile(
    r"credit balance is too low|reached your specified (\w+ )*usage limits|prepayment credits|spending cap"
)
_REFUSED_CONTENT = {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "invalid_prompt"}
_BAD_KEY = {"API_KEY_INVALID", "API_KEY_EXPIRED", "CREDENTIALS_MISSING"}
# Parameters whose setting has another name.
_SETTINGS = {
    "max_tokens": "max_output_tokens",
    "reasoning.effort": "reasoning_effort",
    "response_format": "output_schema",
    "text.format.schema": "output_schema",
}
# Who names no parameter mentions it in the message.
_MENTIONED = {
    "temperature": "temperature",
    "effort": "reasoning_effort",
    "thinking": "reasoning_effort",
    "max_tokens": "max_output_tokens",
    "maxoutputtokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "schema": "output_schema",
}
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


class ErrorBody(NamedTuple):
    """`code` is the provider's own word, `setting` the one of ours that it refuses, `retry_after` is in seconds."""

    code: str | None = None
    out_of_credit: bool = False
    bad_key: bool = False
    refused_content: bool = False
    setting: str | None = None
    retry_after: float | None = None


def read(content: bytes) -> ErrorBody:
    """What is in the body of a response that is no answer; nothing if it is none that we know."""
    try:
        error = json.loads(content)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ErrorBody()
    if not isinstance(error, dict):
        return ErrorBody()
    details = list(_details(error))
    code = next(_codes(error, details), None)
    message = str(error.get("message"))
    spent = code in _OUT_OF_CREDIT or _NO_CREDIT_WORDS.search(message) or _for_today(details)
    return ErrorBody(
        code=code,
        out_of_credit=bool(spent),
        bad_key=code in _BAD_KEY,
        refused_content=code in _REFUSED_CONTENT,
        setting=_setting(error, message),
        retry_after=_delay(details),
    )


def _details(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    found = error.get("details")
    yield from (one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict))


def _codes(error: dict[str, Any], details: list[dict[str, Any]]) -> Iterator[str]:
    """All that look like one, the one that tells most first."""
    said = [one.get(name) for one in details for name in ("error_code", "reason")]
    said += [error.get(name) for name in ("code", "status", "type")]
    yield from (one for one in said if isinstance(one, str) and _CODE.fullmatch(one))


def _for_today(details: list[dict[str, Any]]) -> bool:
    """Whether a quota of a day is used up: Google names a delay of seconds even then."""
    return any("PerDay" in str(one.get("violations")) for one in details)


def _delay(details: list[dict[str, Any]]) -> float | None:
    found = [_SECONDS.fullmatch(str(one.get("retryDelay"))) for one in details]
    return next((float(one[1]) for one in found if one), None)


def _setting(error: dict[str, Any], message: str) -> str | None:
    named = error.get("param")
    if isinstance(named, str) and _CODE.fullmatch(named):
        return _SETTINGS.get(named, named)
    lower = message.lower()
    return next((setting for word, setting in _MENTIONED.items() if word in lower), None)
