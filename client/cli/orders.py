"""`apprentice force-remote`, `pause-coaching`, `retrain`, `rollback`, `reconcile`: an operator's orders."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from apprentice.messages import ForceRemote, Order, PauseCoaching, Reconcile, Resume, Retrain, Rollback, TaskStatus
from client.cli import options
from client.cli.amounts import parse_amount
from client.cli.connecting import SILENCE_SECONDS, answered, connected, hinting
from client.cli.counts import counted
from client.cli.output import Failed, note, print_json, show
from client.cli.requests_file import LONGEST_ID
from client.cli.status import as_json
from client.cli.times import parse_duration, parse_time, time_after

# A model server takes seconds for each of the hold-out examples; the task itself gives a rollback up after 5 minutes.
ROLLBACK_SECONDS = 330.0


def force_remote(
    task: options.Task,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="ISO 8601; UTC unless it says otherwise.")] = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Such as 45m, 2h, 1d12h.")] = None,
    off: Annotated[bool, typer.Option("--off", help="End it.")] = False,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Send everything to the remote model, within budget: until --until, for --for, or until --off."""
    if sum([until is not None, duration is not None, off]) > 1:
        raise Failed("--until, --for and --off exclude each other; give one of them")
    order = Resume() if off else ForceRemote(until=_end(until, duration, datetime.now(UTC)))
    _report(_give(task, order, address), json)


def pause_coaching(
    task: options.Task,
    off: Annotated[bool, typer.Option("--off", help="Go on with it.")] = False,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Stop spot checks and fine-tunes, until --off. Quality is not watched meanwhile."""
    _report(_give(task, PauseCoaching(paused=not off), address), json)


def retrain(task: options.Task, json: options.Json = False, address: options.Address = None) -> None:
    """Start a fine-tune now, if none is running."""
    status = _give(task, Retrain(), address)
    if status.training is None:
        raise Failed(f"no fine-tune was started: {status.explanation}", 1)
    _report(status, json)


def rollback(
    task: options.Task,
    to: Annotated[
        int | None, typer.Option("--to", metavar="VERSION", min=1, help="Default: the version that served before.")
    ] = None,
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Let an earlier version serve again. It answers hold-out examples first; no request waits or fails meanwhile.

    The version that is left is rejected: only another rollback brings it back. A fine-tune that is running goes on, and
    a version that it makes is promoted if it passes on the hold-out examples; `pause-coaching` starts no more of them.
    """
    status = _give(task, Rollback(to=to), address, ROLLBACK_SECONDS)
    if json:
        print_json(as_json(status))
        return
    how = next((f" ({one.reason})" for one in status.versions if one.version == status.version), "")
    show(f"{task}: version {status.version}{how}. {status.explanation}")
    if status.training is not None:
        note(f"fine-tune {status.training} is running and may be promoted when it ends")


def reconcile(
    task: options.Task,
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="Of the call, as `unknown` lists it.")],
    cost: Annotated[str, typer.Option(metavar="AMOUNT", help="What the provider billed; 0: it was never made.")],
    json: options.Json = False,
    address: options.Address = None,
) -> None:
    """Settle a call of unknown outcome: until then it counts as spent at its upper bound."""
    if not 1 <= len(request_id) <= LONGEST_ID:
        raise Failed(f"REQUEST_ID: expected 1 to {LONGEST_ID} characters")
    try:
        order = Reconcile(request_id=request_id, cost=parse_amount(cost))
    except ValueError as error:
        raise Failed(f"--cost: {error}") from None
    status = _give(task, order, address)
    if json:
        print_json(as_json(status))
    else:
        left = f"{counted(status.unknown.calls, 'call')} of unknown outcome left"
        show(f"{task}: {request_id} is settled at {order.cost:f} {status.currency}; {left}")


def _end(until: str | None, duration: str | None, now: datetime) -> datetime | None:
    try:
        if until is not None:
            return parse_time(until, now)
        return time_after(parse_duration(duration), now) if duration is not None else None
    except ValueError as error:
        raise Failed(f"{'--until' if until is not None else '--for'}: {error}") from None


def _give(task: str, order: Order, address: str | None, seconds: float = SILENCE_SECONDS) -> TaskStatus:
    async def give() -> TaskStatus:
        async with connected(address, task) as apprentice, hinting():
            return await answered(apprentice.operate(task, order), seconds)

    return asyncio.run(give())


def _report(status: TaskStatus, json: bool) -> None:
    if json:
        print_json(as_json(status))
    else:
        training = "" if status.training is None else f"; fine-tune {status.training} is running"
        show(f"{status.task}: {status.explanation}{training}")
