"""Which of a task's remote models is asked for a request, and who after it. Pure: a request's id is its coin."""

import hashlib

from apprentice.settings import ProviderSettings, RemoteSettings

SALT = "apprentice teachers"


def order(remote: RemoteSettings, request_id: str) -> list[ProviderSettings]:
    """All providers, in the order in which they are asked for this request.

    Additional providers are first for their `share` of the requests, the main one for the rest; the others follow as
    in the configuration. The same for every attempt at a request: one that a provider may have been paid for is not
    put to another.
    """
    coin = _coin(request_id)
    first: ProviderSettings = remote
    for extra in remote.additional_providers:
        if coin < extra.share:
            first = extra
            break
        coin -= extra.share
    return [first, *(provider for provider in remote.providers if provider is not first)]


def account(provider: ProviderSettings) -> str:
    """Names whom a call goes to and who pays it: two tasks with the same one share its limits and its outages.

    It is in the idempotency keys of calls that may be in doubt: with another name they are nobody's. A key's variable
    is named, never its value.
    """
    vertex = provider.vertex
    places = (provider.base_url, f"{vertex.project}/{vertex.location}" if vertex else None)
    where = " ".join(place for place in places if place)
    return f"{provider.provider} {provider.model} {where} {provider.key_variable or ''}".rstrip()


def _coin(request_id: str) -> float:
    """In [0, 1), as even as the hash."""
    digest = hashlib.sha256(f"{SALT}\n{request_id}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
