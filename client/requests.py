"""A caller's input -> the request and its bytes, or one named error: whatever a program may hand over as an input."""

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from apprentice.messages import TaskRequest
from apprentice.storable import why_not_storable
from client.errors import InvalidInput
from workflows.burst import LARGEST_INPUT


def request_of(
    task: str, input: dict[str, Any], request_id: str, largest: int, what: str = "input"
) -> tuple[TaskRequest, bytes]:
    """The request, and what it is as JSON; `what` errors call its content. Raises InvalidInput.

    Text with a lone surrogate, numbers that are none, objects that contain themselves and nesting that no parser
    follows are no JSON: they would be changed, or refused by the worker, on their way.
    """
    try:
        # NaN would become null, and a lone surrogate in a key another key: this encoder is the one that minds.
        json.dumps(input, allow_nan=False, ensure_ascii=False, default=_other).encode()
        request = TaskRequest(request_id=request_id, task=task, input=input)
        content = to_json(request)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"not a request: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (PydanticSerializationError, UnicodeEncodeError, ValueError, TypeError) as error:
        raise InvalidInput(f"the {what} is not JSON: {_why(error)}") from None
    except RecursionError:
        raise InvalidInput(f"the {what} is not JSON: nested too deep") from None
    if why := why_not_storable(content, what):
        raise InvalidInput(why)
    if len(content) > largest:
        raise InvalidInput(f"the request is {len(content):,} bytes long; {largest:,} are the most{_hint(largest)}")
    try:
        from_json(content, allow_inf_nan=False, cache_strings=False)
    except ValueError as error:
        raise InvalidInput(f"the {what} is not JSON: {str(error).split(' at line ')[0]}") from None
    return request, content


def _other(value: object) -> None:
    """What only pydantic can write (a date, a model) is looked at when it has been written."""


def _why(error: Exception) -> str:
    text = str(error)
    if "Out of range float" in text:
        return "a number in it is NaN or infinite"
    if "surrogate" in text:
        return "a text in it is not valid Unicode (a lone surrogate)"
    if "ircular" in text:
        return "it contains itself, or is nested too deep"
    return "a value in it is of a type that JSON does not have"


def _hint(largest: int) -> str:
    if largest == LARGEST_INPUT:
        return "; with a configuration (config=, APPRENTICE_CONFIG) `temporal.max_payload` holds"
    return "; see `temporal.max_payload`"
