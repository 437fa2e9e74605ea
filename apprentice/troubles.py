"""Remote models that cannot answer: who they are, and what operators are told of them, once. Pure."""

from datetime import datetime, timedelta

from apprentice.messages import Trouble, Troubled
from apprentice.settings import RemoteSettings
from apprentice.state import clipped

type Model = tuple[str, str]

# What does not pass by itself within one request's attempts. (`CircuitOpen`: Overloaded and the like, time after time.)
NOTEWORTHY = frozenset({"AuthFailed", "QuotaExhausted", "InvalidRequest", "CircuitOpen"})
KEPT = 10
# A provider may refuse some requests as invalid and answer the others: that is told once in this time.
OF_SINGLE_REQUESTS = "InvalidRequest"
QUIET = timedelta(hours=1)


def note(
    troubled: list[Troubled], failed: list[Trouble], answered: Model | None, now: datetime
) -> tuple[list[Troubled], list[str]]:
    """Who is in trouble, or was so lately, after a request; and what to tell of it.

    `failed` could not answer it; `answered` is the provider and the model that did.
    """
    told: list[str] = []
    troubled = [one for one in troubled if one.over is None or now - one.over < QUIET]
    for trouble in failed:
        if trouble.error in NOTEWORTHY:
            troubled, words = _failed(troubled, trouble, now)
            told += words
    # One that failed and answered within a request is two with the same name: which of them is in trouble, stays so.
    if answered is not None and answered not in {(one.provider, one.model) for one in failed}:
        troubled, words = _answered(troubled, answered, now)
        told += words
    return troubled[-KEPT:], told


def present(troubled: list[Troubled]) -> list[Troubled]:
    """Those that are in trouble now."""
    return [one for one in troubled if one.over is None]


def configured(troubled: list[Troubled], remote: RemoteSettings) -> list[Troubled]:
    """Those that are still asked, under these settings."""
    asked = {(provider.provider, provider.model) for provider in remote.providers}
    return [one for one in troubled if (one.provider, one.model) in asked]


def _failed(troubled: list[Troubled], trouble: Trouble, now: datetime) -> tuple[list[Troubled], list[str]]:
    known = next((one for one in troubled if (one.provider, one.model) == (trouble.provider, trouble.model)), None)
    if known is not None and known.over is None:
        return troubled, []
    message = clipped(trouble.message)
    one = Troubled(provider=trouble.provider, model=trouble.model, error=trouble.error, message=message, since=now)
    others = [other for other in troubled if other is not known]
    if known is not None and known.error == trouble.error == OF_SINGLE_REQUESTS:
        return [*others, one.model_copy(update={"quiet": True})], []
    return [*others, one], [f"a remote model cannot answer, {trouble.error}: {trouble.message}"]


def _answered(troubled: list[Troubled], model: Model, now: datetime) -> tuple[list[Troubled], list[str]]:
    known = next((one for one in present(troubled) if (one.provider, one.model) == model), None)
    if known is None:
        return troubled, []
    others = [other for other in troubled if other is not known]
    if known.error == OF_SINGLE_REQUESTS:
        others.append(known.model_copy(update={"over": now}))
    back = (
        f"{known.provider} model {known.model!r} answers again ({known.error} since {known.since:%Y-%m-%d %H:%M} UTC)"
    )
    return others, [] if known.quiet else [back]
