"""What HTTP responses mean, and what is read from them."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from activities.remote.errors import (
    AuthFailed,
    ContentFiltered,
    InvalidRequest,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    RemoteError,
    TimedOut,
)
from activities.remote.http import refusal, retry_after


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"{}", InvalidRequest),
        (400, b'{"error": {"code": "content_filter", "message": "card broken"}}', ContentFiltered),
        (401, b'{"error": {"code": "invalid_api_key", "message": "sk-12345 is wrong"}}', AuthFailed),
        (402, b"", QuotaExhausted),
        (404, b"[]", InvalidRequest),
        (408, b"", TimedOut),
        (409, b"", Overloaded),
        (301, b"", InvalidRequest),
        (429, b'{"error": "a text"}', RateLimited),
        (502, b"<html>", TimedOut),
        (529, b"", Overloaded),
    ],
)
def test_a_status_has_its_name(status: int, body: bytes, kind: type[RemoteError]) -> None:
    error = refusal("model 'm'", httpx.Response(status), body)
    assert type(error) is kind
    assert "sk-12345" not in str(error)
    assert "broken" not in str(error)


def test_who_sent_no_key_is_told_where_one_is_named() -> None:
    def said(keyless: bool) -> str:
        return str(refusal("model 'm'", httpx.Response(401), b"", keyless=keyless))

    assert "api_key_env" in said(True)
    assert "api_key_env" not in said(False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "-7"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_a_delay_is_read_or_left_alone(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx.Headers(headers)) == seconds


def test_a_delay_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < (retry_after(httpx.Headers({"retry-after": later})) or 0) <= 100


def openai_error(status: int, **about: Any) -> RemoteError:
    error = {"message": "secret", "type": "invalid_request_error", "param": None, "code": None} | about
    return refusal("openai model 'm'", httpx.Response(status), json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("status", "about", "kind"),
    [
        (401, {"code": "invalid_api_key"}, AuthFailed),
        (401, {"code": "account_deactivated"}, AuthFailed),
        (403, {"code": "unsupported_country_region_territory"}, AuthFailed),
        (404, {"code": "model_not_found"}, InvalidRequest),
        (429, {"code": "rate_limit_exceeded", "type": "tokens"}, RateLimited),
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, QuotaExhausted),
        (400, {"code": "billing_hard_limit_reached"}, QuotaExhausted),
        (400, {"code": "invalid_prompt"}, ContentFiltered),
        (400, {"code": "context_length_exceeded", "param": "input"}, InvalidRequest),
        (500, {"type": "server_error"}, Overloaded),
        (503, {"type": "service_unavailable_error", "code": "slow_down"}, Overloaded),
    ],
)
def test_openais_errors_have_their_names(status: int, about: dict[str, Any], kind: type[RemoteError]) -> None:
    error = openai_error(status, **about)
    assert type(error) is kind
    assert str(about.get("code") or about["type"]) in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"param": "temperature"}, "refuses `temperature`"),
        ({"param": "temperature", "code": "unsupported_parameter"}, "unsupported_parameter: it refuses `temperature`"),
        ({"param": "reasoning.effort", "code": "unsupported_value"}, "refuses `reasoning_effort`"),
        ({"param": "max_tokens", "code": "unsupported_parameter"}, "refuses `max_output_tokens`"),
        ({"param": "text.format.schema", "code": "invalid_json_schema"}, "refuses `output_schema`"),
    ],
)
def test_a_setting_that_a_model_refuses_is_named_as_in_the_configuration(about: dict[str, Any], words: str) -> None:
    assert words in str(openai_error(400, **about))


def test_a_parameter_that_could_be_data_is_not_repeated() -> None:
    assert "card" not in str(openai_error(400, param="my card number is 1"))
    assert "model_not_found: it knows no such model" in str(openai_error(404, code="model_not_found", param="model"))
