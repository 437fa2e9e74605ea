"""The typed search attributes that make tasks findable in the Web UI. None of them holds personal data."""

import asyncio

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

SEARCH_ATTRIBUTES = {
    "ApprenticeTask": "Keyword",
    "ApprenticePhase": "Int",
    "ApprenticeCorrelation": "Double",
    "ApprenticeSamplingRate": "Double",
    "ApprenticeModelVersion": "Int",
}
"""Name -> type, as Temporal spells it."""
_VALUE_TYPES = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    "Double": IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
}


class SearchAttributesError(RuntimeError):
    """The server lacks search attributes, or has them with another type; the message says how to add them."""


async def search_attributes(client: Client) -> list[str]:
    """Register what the client's namespace lacks, wait until it is known, and return the new names, sorted.

    Raises SearchAttributesError where this may not be done from here (Temporal Cloud) or a name has another type.
    """
    known = await known_search_attributes(client)
    if wrong := sorted(name for name in SEARCH_ATTRIBUTES.keys() & known if known[name] != SEARCH_ATTRIBUTES[name]):
        raise SearchAttributesError(
            f"search attributes of another type in namespace {client.namespace}: "
            + ", ".join(f"{name} is {known[name]}, needed {SEARCH_ATTRIBUTES[name]}" for name in wrong)
        )
    missing = sorted(SEARCH_ATTRIBUTES.keys() - known)
    if missing:
        await _add(client, missing)
    return missing


async def known_search_attributes(client: Client) -> dict[str, str]:
    """Name -> type of every custom search attribute of the client's namespace."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    spelled = {value: name for name, value in _VALUE_TYPES.items()}
    return {name: spelled.get(value, str(value)) for name, value in answer.custom_attributes.items()}


async def _add(client: Client, missing: list[str]) -> None:
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={name: _VALUE_TYPES[SEARCH_ATTRIBUTES[name]] for name in missing}
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as problem:
        if problem.status is not RPCStatusCode.ALREADY_EXISTS:
            wanted = ", ".join(f"{name} ({SEARCH_ATTRIBUTES[name]})" for name in missing)
            raise SearchAttributesError(
                f"namespace {client.namespace} lacks search attributes and does not let us add them "
                f"({problem.message}). Add these in its settings: {wanted}"
            ) from problem
    for _ in range(100):  # the server's caches learn of them within seconds
        if not set(missing) - (await known_search_attributes(client)).keys():
            return
        await asyncio.sleep(0.1)
    raise SearchAttributesError(f"namespace {client.namespace} did not take up {', '.join(missing)} within 10 s")
