"""What the Web UI tells about a task: current details and search attributes. No personal data is ever in them."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from apprentice.lifecycle import Lifecycle
from apprentice.messages import TaskStatus

TASK = SearchAttributeKey.for_keyword("ApprenticeTask")
PHASE = SearchAttributeKey.for_int("ApprenticePhase")
CORRELATION = SearchAttributeKey.for_float("ApprenticeCorrelation")
SAMPLING_RATE = SearchAttributeKey.for_float("ApprenticeSamplingRate")
MODEL_VERSION = SearchAttributeKey.for_int("ApprenticeModelVersion")

REQUESTS_A_CHAPTER = 50


class Story:
    """Keeps the Web UI up to date: at every change of phase, version or rate, else once in 50 requests."""

    def __init__(self) -> None:
        self._told: tuple[object, ...] | None = None
        self._attributes: dict[str, object] = {}

    def note(self, brain: Lifecycle) -> None:
        """Tell the story if it has changed enough."""
        state = brain.state
        chapter = (state.phase, state.version, state.rate, state.training, state.requests // REQUESTS_A_CHAPTER)
        if chapter != self._told:
            self._told = chapter
            self.tell(brain)

    def tell(self, brain: Lifecycle) -> None:
        """Write the details, and the search attributes that changed (each upsert is an event in the history)."""
        status = brain.status(workflow.now())
        workflow.set_current_details(details(status))
        values = attributes(status)
        changed: list[SearchAttributeUpdate[Any]] = [
            update for update in values if self._attributes.get(update.key.name) != update.value
        ]
        if changed:
            self._attributes |= {update.key.name: update.value for update in changed}
            workflow.upsert_search_attributes(changed)


def attributes(status: TaskStatus) -> list[SearchAttributeUpdate[Any]]:
    """Typed search attributes; the correlation to two digits, so that noise writes no events."""
    correlation = None if status.correlation is None else round(status.correlation.mean, 2)
    return [
        TASK.value_set(status.task),
        PHASE.value_set(int(status.phase)),
        SAMPLING_RATE.value_set(round(status.sampling_rate, 3)),
        *([] if correlation is None else [CORRELATION.value_set(correlation)]),
        *([] if status.version is None else [MODEL_VERSION.value_set(status.version)]),
    ]


def details(status: TaskStatus) -> str:
    """The task in a few lines of Markdown."""
    lines = [
        f"### {status.task}: phase {int(status.phase)} {status.phase.name.lower()}",
        status.explanation,
        "",
        f"- requests: {status.requests}, served locally: {status.local_share:.0%}, failed: {status.failed}",
        f"- examples: {status.examples}, of which held out: {status.holdout}",
        f"- spent: {status.spend:.4f} {status.currency}, all remote: {status.all_remote:.4f} {status.currency}",
        *([f"- local compute: {status.local_cost:.4f} {status.currency}"] if status.local_cost else []),
        *(f"- {cap.period} cap: {cap.settled + cap.reserved} of {cap.cap} {status.currency}" for cap in status.caps),
        *(f"- version {v.version}: {v.state}, {v.reason}" for v in status.versions[-5:]),
        *(f"- {alert.at:%Y-%m-%d %H:%M} {alert.kind}: {alert.message}" for alert in status.alerts[-5:]),
    ]
    return "\n".join(lines)
