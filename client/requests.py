"""A caller's input -> the request and its bytes, or one named error: whatever a program may hand over as an input."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from apprentice.messages import TaskRequest
from client.errors import InvalidInput
from workflows.burst import LARGEST_INPUT


def request_of(task: str, input: dict[str, Any], request_id: str, largest: int) -> tuple[TaskRequest, bytes]:
    """The request, and what it is as JSON. Raises InvalidInput.

    Text with a lone surrogate, numbers that are none, objects that contain themselves and nesting that no parser
    follows are no JSON: they would be changed, or refused by the worker, on their way.
    """
    try:
        request = TaskRequest(request_id=request_id, task=task, input=input)
        content = to_json(request)  # as the data converter does; NaN stays NaN, to be found
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"not a request: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (PydanticSerializationError, UnicodeEncodeError, ValueError, TypeError) as error:
        raise InvalidInput(f"the input is not JSON: {_why(error)}") from None
    except RecursionError:
        raise InvalidInput("the input is not JSON: nested too deep") from None
    if len(content) > largest:
        raise InvalidInput(f"the request is {len(content):,} bytes long; {largest:,} are the most{_hint(largest)}")
    try:
        from_json(content, allow_inf_nan=False, cache_strings=False)
    except ValueError as error:
        raise InvalidInput(f"the input is not JSON: {str(error).split(' at line ')[0]}") from None
    return request, content


def _why(error: Exception) -> str:
    text = str(error)
    if "surrogate" in text:
        return "a text in it is not valid Unicode (a lone surrogate)"
    if "Circular" in text:
        return "it contains itself, or is nested too deep"
    return "a value in it is of a type that JSON does not have"


def _hint(largest: int) -> str:
    if largest == LARGEST_INPUT:
        return "; with a configuration (config=, APPRENTICE_CONFIG) `temporal.max_payload` holds"
    return "; see `temporal.max_payload`"
