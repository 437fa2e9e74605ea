"""Refusals as the providers write them, and what becomes of them."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.remote import error_body
from activities.remote.errors import (
    AuthFailed,
    InvalidRequest,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RemoteError,
    TimedOut,
)
from activities.remote.http import refusal

SECRET = "card broken"


def anthropic(kind: str, message: str = SECRET, **details: str) -> dict[str, Any]:
    about = {"type": kind, "message": message} | ({"details": details} if details else {})
    return {"type": "error", "error": about, "request_id": "req_1"}


def google(code: int, status: str, *details: dict[str, Any], message: str = SECRET) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def rpc(kind: str, **about: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}"} | about


EMPTY = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."
LIMITED = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
QUOTA_OF_A_MINUTE = rpc("QuotaFailure", violations=[{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}])
QUOTA_OF_A_DAY = rpc("QuotaFailure", violations=[{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}])


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, anthropic("authentication_error"), AuthFailed, "authentication_error"),
        (403, anthropic("permission_error"), AuthFailed, "permission_error"),
        (402, anthropic("billing_error"), QuotaExhausted, "billing_error"),
        (400, anthropic("invalid_request_error", EMPTY), QuotaExhausted, "invalid_request_error"),
        (400, anthropic("invalid_request_error", LIMITED), QuotaExhausted, "invalid_request_error"),
        (400, anthropic("invalid_request_error"), InvalidRequest, "invalid_request_error"),
        (400, anthropic("invalid_request_error", "`temperature` is deprecated"), InvalidRequest, "`temperature`"),
        (
            400,
            anthropic("invalid_request_error", "no support of the effort parameter"),
            InvalidRequest,
            "reasoning_eff",
        ),
        (404, anthropic("not_found_error"), InvalidRequest, "check `model`"),
        (429, anthropic("rate_limit_error"), RateLimited, "rate_limit_error"),
        (429, anthropic("rate_limit_error", error_code="ramp_limit_exceeded"), RateLimited, "ramp_limit_exceeded"),
        (
            429,
            anthropic("rate_limit_error", error_code="enforced_spend_limit_reached"),
            QuotaExhausted,
            "enforced_spend",
        ),
        (500, anthropic("api_error"), Overloaded, "api_error"),
        (504, anthropic("timeout_error"), TimedOut, "timeout_error"),
        (529, anthropic("overloaded_error"), Overloaded, "overloaded_error"),
        (400, google(400, "INVALID_ARGUMENT"), InvalidRequest, "INVALID_ARGUMENT"),
        (400, google(400, "INVALID_ARGUMENT", message="bad responseJsonSchema"), InvalidRequest, "`output_schema`"),
        (
            400,
            google(400, "INVALID_ARGUMENT", rpc("ErrorInfo", reason="API_KEY_INVALID")),
            AuthFailed,
            "API_KEY_INVALID",
        ),
        (400, google(400, "FAILED_PRECONDITION"), InvalidRequest, "FAILED_PRECONDITION"),
        (401, google(401, "UNAUTHENTICATED"), AuthFailed, "UNAUTHENTICATED"),
        (403, google(403, "PERMISSION_DENIED"), AuthFailed, "PERMISSION_DENIED"),
        (403, google(403, "PERMISSION_DENIED", rpc("ErrorInfo", reason="BILLING_DISABLED")), QuotaExhausted, "BILLING"),
        (404, google(404, "NOT_FOUND"), InvalidRequest, "check `model`"),
        (429, google(429, "RESOURCE_EXHAUSTED", QUOTA_OF_A_MINUTE), RateLimited, "RESOURCE_EXHAUSTED"),
        (429, google(429, "RESOURCE_EXHAUSTED", QUOTA_OF_A_DAY), QuotaExhausted, "RESOURCE_EXHAUSTED"),
        (
            429,
            google(429, "RESOURCE_EXHAUSTED", message="Your prepayment credits are depleted"),
            QuotaExhausted,
            "RESOU",
        ),
        (500, google(500, "INTERNAL"), Overloaded, "INTERNAL"),
        (503, google(503, "UNAVAILABLE"), Overloaded, "UNAVAILABLE"),
        (504, google(504, "DEADLINE_EXCEEDED"), TimedOut, "DEADLINE_EXCEEDED"),
    ],
)
def test_a_refusal_has_its_name_and_quotes_nothing(
    status: int, body: dict[str, Any], kind: type[RemoteError], said: str
) -> None:
    error = refusal("model 'm'", httpx.Response(status), json.dumps(body).encode())
    assert type(error) is kind
    assert said in str(error)
    assert SECRET not in str(error)
    assert body["error"]["message"] not in str(error)


@pytest.mark.parametrize(("written", "seconds"), [("12.5s", 12.5), ("0s", 0.0), ("soon", None), (None, None)])
def test_google_says_in_the_body_how_long_to_wait(written: str | None, seconds: float | None) -> None:
    body = google(429, "RESOURCE_EXHAUSTED", QUOTA_OF_A_MINUTE, rpc("RetryInfo", retryDelay=written))
    error = refusal("model 'm'", httpx.Response(429), json.dumps(body).encode())
    assert (type(error), error.retry_after) == (RateLimited, seconds)


def test_a_header_that_says_how_long_to_wait_goes_first() -> None:
    body = google(503, "UNAVAILABLE", rpc("RetryInfo", retryDelay="12s"))
    error = refusal("model 'm'", httpx.Response(503, headers={"Retry-After": "3"}), json.dumps(body).encode())
    assert error.retry_after == 3.0


NAMES = st.sampled_from(
    ["error", "code", "type", "status", "details", "violations", "quotaId", "retryDelay", "message"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(ANYTHING, st.sampled_from([400, 401, 404, 429, 500, 504]))
def test_whatever_the_body_is_there_is_a_name_for_it(error: Any, status: int) -> None:
    for body in (error, {"error": error}):
        found = error_body.read(json.dumps(body).encode())
        assert found.code is None or len(found.code) <= 61
        assert isinstance(refusal("m", httpx.Response(status), json.dumps(body).encode()), RemoteError)
