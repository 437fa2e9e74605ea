"""What a worker runs: the workflows, and an implementation of every activity of `activities.contract`."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from activities.comparing import Compare, Scorer
from activities.feedback import RecordFeedback
from activities.local.ask import AskLocal
from activities.local.serving import LocalModels
from activities.notify.webhook import DeliverAlert
from activities.remote.ask import AskRemote
from activities.remote.asking import Teachers
from activities.remote.batches.asking import AskBatches
from activities.remote.pacing import Pacing
from activities.remote.second_opinion import SecondOpinion
from activities.store import Store
from activities.store.bookkeeping import Bookkeeping
from activities.store.registering import RegisterSettings
from activities.training.fine_tuning import FineTuning
from workflows import WORKFLOWS

__all__ = ["WORKFLOWS", "activities", "utc_now"]


def utc_now() -> datetime:
    """The clock of everything that is not a workflow."""
    return datetime.now(UTC)


def activities(store: Store, clock: Callable[[], datetime] = utc_now) -> list[Callable[..., Any]]:
    """All activities over one store; models and evaluators are shared between them."""
    models, scorer = LocalModels(), Scorer()
    teachers = Teachers(pacing=Pacing(store.paces, clock))
    fine_tuning, books = FineTuning(store, models, scorer), Bookkeeping(store, clock)
    batches = AskBatches(store, scorer, clock)
    return [
        RegisterSettings(store, clock).register_settings,
        books.spent,
        books.reconcile,
        AskRemote(store, clock, teachers).ask_remote,
        SecondOpinion(store, clock, teachers, scorer).second_opinion,
        batches.keep_questions,
        batches.known_inputs,
        batches.submit_batch,
        batches.look_batch,
        batches.cancel_batch,
        batches.collect_batch,
        batches.clear_batch,
        AskLocal(store, models, clock).ask_local,
        Compare(store, scorer, clock).compare,
        RecordFeedback(store, scorer, clock).record_feedback,
        fine_tuning.snapshot_dataset,
        fine_tuning.train,
        fine_tuning.validate,
        fine_tuning.record_version,
        DeliverAlert(store, os.environ).deliver_alert,
    ]
