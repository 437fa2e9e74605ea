"""What a request was answered, by whom: read for those who say later what was right."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select

from activities.store.calls import rows_of, served
from activities.store.records import CallState
from activities.store.tables import comparisons
from apprentice.messages import Answer, Source


class Answers(NamedTuple):
    """What a request was answered: what was served, what each model said. `schema_version` None is not known.

    `teacher_name` is provider and model, with a space between.
    """

    input_hash: str
    schema_version: int | None
    served: Answer
    teacher: dict[str, Any] | None
    teacher_name: str | None
    local: dict[str, Any] | None


_compared = select(comparisons.c.local).where(
    comparisons.c.task == bindparam("task"), comparisons.c.request_id == bindparam("request_id")
)


def answers_to(connection: Connection, task: str, request_id: str) -> Answers | None:
    """None if it was not answered, or is forgotten."""
    rows = rows_of(connection, task, request_id)
    final = served(rows)
    if final is None:
        return None
    answers = {row.role: Answer.model_validate_json(row.answer) for row in rows if row.state == CallState.ANSWERED}
    remote = next((row for row in rows if row.role == Source.REMOTE.value), None)
    beside = connection.execute(_compared, {"task": task, "request_id": request_id}).scalar_one_or_none()
    local = answers[Source.LOCAL.value].output if Source.LOCAL.value in answers else beside
    teacher = answers.get(Source.REMOTE.value)
    return Answers(
        input_hash=final.input_hash,
        schema_version=None if remote is None else remote.schema_version,
        served=final.answer,
        teacher=None if teacher is None else teacher.output,
        teacher_name=None
        if remote is None or teacher is None
        else f"{teacher.provider or remote.provider} {teacher.model}",
        local=local,
    )
