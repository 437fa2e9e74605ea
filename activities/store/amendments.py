"""What was learnt of an example after it was made: a label, or that another teacher said otherwise.

Examples never change, and nor does a data set that was frozen: amendments are added, numbered in the order in which
they are committed, and a snapshot knows up to which number they count. They are part of the data set: retention does
not delete them. Of an example's labels the newest holds, and it goes before any dispute: it is nearer to the truth than
two models are.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from activities.store.tables import amendments, datasets, examples
from apprentice.messages import Split


class Kind(StrEnum):
    """LABEL: the right output, or None where the teacher's is known to be wrong and no more. UNSAID takes it back.

    DISPUTED: another teacher said otherwise. Neither has an output.
    """

    LABEL = "label"
    UNSAID = "unsaid"
    DISPUTED = "disputed"


_LABELS = [Kind.LABEL.value, Kind.UNSAID.value]


class ExampleKey(NamedTuple):
    """Where an example is found; there may be none."""

    task: str
    schema_version: int
    input_hash: str


@dataclass(frozen=True, slots=True)
class Amended:
    """All that is known of one example."""

    labelled: bool = False
    output: dict[str, Any] | None = None
    disputed: bool = False

    def keeps(self, split: Split, *, leaves_out_disputed: bool) -> bool:
        """Whether the example is in its part of the data set.

        A hold-out example stays where teachers disagree: leaving out what is hard would make the exam easy.
        """
        if self.labelled:
            return self.output is not None
        return not (self.disputed and leaves_out_disputed and split is Split.TRAIN)


UNKNOWN = Amended()
"""What is known of most examples."""


class Frozen(NamedTuple):
    """The amendments that a snapshot knows."""

    task: str
    schema_version: int
    last_amendment: int


_key: dict[str, BindParameter[Any]] = {"task": bindparam("task"), "schema_version": bindparam("schema_version")}
_of_dataset = (datasets.c.task == _key["task"]) & (datasets.c.schema_version == _key["schema_version"])
_locked = select(datasets.c.last_amendment).where(_of_dataset).with_for_update()
_example = select(examples.c.id).where(
    examples.c.task == _key["task"],
    examples.c.schema_version == _key["schema_version"],
    examples.c.input_hash == bindparam("input_hash"),
)
_taught = select(examples.c.output).where(
    examples.c.task == _key["task"],
    examples.c.schema_version == _key["schema_version"],
    examples.c.input_hash == bindparam("input_hash"),
)
_same = (amendments.c.task == _key["task"]) & (amendments.c.schema_version == _key["schema_version"])
_newest = (
    select(amendments.c.kind, amendments.c.output)
    .where(
        _same,
        amendments.c.example == bindparam("example"),
        amendments.c.kind.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(amendments.c.number.desc())
    .limit(1)
)
_counted = (
    update(datasets)
    .where(datasets.c.task == bindparam("of_task"), datasets.c.schema_version == bindparam("of_schema"))
    .values(last_amendment=bindparam("number"))
)
_known = _same & (amendments.c.number <= bindparam("last_amendment"))
_of_page = (
    select(amendments.c.example, amendments.c.kind, amendments.c.output)
    .where(_known, amendments.c.example >= bindparam("first"), amendments.c.example <= bindparam("last"))
    .order_by(amendments.c.number)
)
_without_content = (
    select(amendments.c.example, amendments.c.kind, amendments.c.output.is_(None).label("empty"), examples.c.split)
    .join(examples, examples.c.id == amendments.c.example)
    .where(_known)
    .order_by(amendments.c.number)
)


def amend(connection: Connection, key: ExampleKey, kind: Kind, output: dict[str, Any] | None, now: datetime) -> None:
    """Add it, within the caller's transaction, unless it says what is known already, or there is no such example."""
    where = {"task": key.task, "schema_version": key.schema_version}
    # As with examples: whoever holds the counter's row commits before the next one gets a number.
    last = connection.execute(_locked, where).scalar_one_or_none()
    example = connection.execute(_example, where | {"input_hash": key.input_hash}).scalar_one_or_none()
    if last is None or example is None:
        return
    kinds = [kind.value] if kind is Kind.DISPUTED else _LABELS
    newest = connection.execute(_newest, where | {"example": example, "kinds": kinds}).one_or_none()
    known = (Kind.UNSAID.value, None) if newest is None and kind is Kind.UNSAID else newest
    if known is not None and tuple(known) == (kind.value, output):
        return
    row = {"number": last + 1, "example": example, "kind": kind.value, "output": output, "created_at": now}
    connection.execute(insert(amendments), where | row)
    connection.execute(_counted, {"of_task": key.task, "of_schema": key.schema_version, "number": last + 1})


def taught(connection: Connection, key: ExampleKey) -> dict[str, Any] | None:
    """What the teacher said to this input, for an example; None where there is none."""
    found: dict[str, Any] | None = connection.execute(_taught, key._asdict()).scalar_one_or_none()
    return found


def between(connection: Connection, frozen: Frozen, first: int, last: int) -> dict[int, Amended]:
    """What is known of the examples with these numbers, `first` and `last` included; nothing of most."""
    if not frozen.last_amendment:
        return {}
    rows = connection.execute(_of_page, frozen._asdict() | {"first": first, "last": last})
    known: dict[int, Amended] = {}
    for row in rows:
        known[row.example] = _after(known.get(row.example, Amended()), Kind(row.kind), row.output)
    return known


def left_out(connection: Connection, frozen: Frozen, *, leaves_out_disputed: bool) -> dict[Split, int]:
    """How many examples are in neither part. Reads all amendments of the data set, without their content."""
    count = dict.fromkeys(Split, 0)
    if not frozen.last_amendment:
        return count
    known: dict[int, tuple[Split, Amended]] = {}
    for row in connection.execute(_without_content, frozen._asdict()):
        before = known[row.example][1] if row.example in known else Amended()
        after = _after(before, Kind(row.kind), None if row.empty else {})
        known[row.example] = (Split(row.split), after)
    for split, amended in known.values():
        count[split] += not amended.keeps(split, leaves_out_disputed=leaves_out_disputed)
    return count


def _after(known: Amended, kind: Kind, output: dict[str, Any] | None) -> Amended:
    if kind is Kind.DISPUTED:
        return Amended(known.labelled, known.output, disputed=True)
    return Amended(labelled=kind is Kind.LABEL, output=output, disputed=known.disputed)
