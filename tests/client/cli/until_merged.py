"""The command line, with stand-ins for activities that the worker does not have yet: `spent` and `reconcile`."""

import sys
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from apprentice.messages import Reconcile, SpentQuery


@activity.defn
async def spent(query: SpentQuery) -> dict[str, dict[str, Any]]:
    return {}


@activity.defn
async def reconcile(task: str, order: Reconcile) -> None:
    raise ApplicationError(f"{task} has no call {order.request_id}", type="NoSuchCall", non_retryable=True)


def complete_worker() -> None:
    import workers.worker
    from workers.registration import activities

    names = {"spent": spent, "reconcile": reconcile}

    def all_activities(*arguments: Any) -> list[Any]:
        found = activities(*arguments)
        there = {one.__name__ for one in found}
        return [*found, *(one for name, one in names.items() if name not in there)]

    setattr(workers.worker, "activities", all_activities)  # noqa: B010


if __name__ == "__main__":
    if {"worker", "up"} & set(sys.argv):
        complete_worker()
    from client.cli.app import main

    main()
