"""Strict JSON: no duplicate keys, no NaN, no infinities; every error says where. Values are never quoted."""

import json
from typing import Any

from pydantic_core import from_json


class JsonError(ValueError):
    """The text is not JSON that we take; the message says why and where."""


def parse(text: str | bytes) -> Any:
    """The value. Raises JsonError."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        from_json(raw, allow_inf_nan=False, cache_strings=False)  # names line and column, also of NaN
        return json.loads(raw, object_pairs_hook=_unique, parse_float=_finite)
    except JsonError:
        raise
    except UnicodeEncodeError:
        raise JsonError("not valid JSON: it is not text in UTF-8") from None
    except ValueError as error:
        where = str(error).replace("at line 1 ", "at ") if b"\n" not in raw.strip() else str(error)
        raise JsonError(f"not valid JSON: {where}") from None
    except RecursionError:
        raise JsonError("not valid JSON: nested too deep") from None


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The value, which has to be an object. Raises JsonError."""
    value = parse(text)
    if not isinstance(value, dict):
        raise JsonError(f"expected a JSON object, got {_NAMES.get(type(value), 'something else')}")
    return value


_NAMES = {list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"not valid JSON: the key {key[:40]!r} is there twice")
            seen.add(key)
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError("not valid JSON: a number is too large")
    return value
