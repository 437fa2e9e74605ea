"""The store's tables. Every lookup on the path of a request is by a unique key; no count scans rows."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from activities.store.columns import Json, Money, RowId, UtcTime

# Raised with every change of a table below, which is a module of `migrations.versions` too: an old store is upgraded
# when it is opened, a newer one refused, none is half understood.
SCHEMA = 6

metadata = MetaData()

schema = Table("schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

settings = Table(
    "settings",
    metadata,
    Column("digest", String(16), primary_key=True),
    Column("task", String(63), nullable=False),
    Column("settings", Text, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("task", String(63), nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("role", String(6), nullable=False),
    Column("input_hash", String(64), nullable=False),
    Column("admission", String(64), nullable=False),
    Column("state", String(8), nullable=False),
    Column("provider", String(63)),
    Column("model", String(200), nullable=False),
    Column("idempotency_key", String(64)),
    Column("upper_bound", Money),
    Column("answer", Text),
    Column("cost", Money),
    Column("error", Text),
    Column("example", String(7)),
    Column("served", Boolean, nullable=False),
    Column("degraded", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime),
    # Columns that came later are last, as they are in a store that was upgraded.
    Column("schema_version", Integer),
    Column("copy_of", String(200)),
    Column("rejected_text", Text),
    # Of the route: why it was taken, and how probable it was that the remote model is asked.
    Column("reason", String(16)),
    Column("propensity", Float),
    PrimaryKeyConstraint("task", "request_id", "role"),
)

# Only the calls in doubt: a handful of rows, however many calls there were.
Index(
    "calls_in_doubt",
    calls.c.task,
    sqlite_where=text("state = 'intent'"),
    postgresql_where=text("state = 'intent'"),
)

# What another request with the same input can be given: answers that were paid for, not copies of them.
_paid = text("role = 'remote' AND state = 'answered' AND copy_of IS NULL")
Index(
    "calls_by_input",
    calls.c.task,
    calls.c.input_hash,
    calls.c.schema_version,
    calls.c.settled_at,
    sqlite_where=_paid,
    postgresql_where=_paid,
)

# Of a remote and a local answer at the same moment, one is served: the database sees to it.
Index(
    "calls_served_once",
    calls.c.task,
    calls.c.request_id,
    unique=True,
    sqlite_where=text("served"),
    postgresql_where=text("served"),
)

Index("calls_by_age", calls.c.created_at)

examples = Table(
    "examples",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("task", String(63), nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("input_hash", String(64), nullable=False),
    Column("split", String(7), nullable=False),
    Column("input", Json, nullable=False),
    Column("output", Json, nullable=False),
    Column("provider", String(63), nullable=False),
    Column("model", String(200), nullable=False),
    Column("fair", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("prompt_version", String(12)),
    UniqueConstraint("task", "schema_version", "input_hash"),
    # A frozen data set is "id <= last_id": an id must never be given out twice, also after the newest row is erased.
    sqlite_autoincrement=True,
)

Index("examples_in_order", examples.c.task, examples.c.schema_version, examples.c.split, examples.c.id)

# Counters kept in the transaction that adds the example: a snapshot of a million examples reads one row.
datasets = Table(
    "datasets",
    metadata,
    Column("task", String(63), primary_key=True),
    Column("schema_version", Integer, primary_key=True, autoincrement=False),
    Column("last_id", RowId, nullable=False),
    Column("train", Integer, nullable=False),
    Column("holdout", Integer, nullable=False),
    Column("last_amendment", Integer, nullable=False, server_default="0"),
)

# What was learnt of examples later. Only ever added to: a frozen data set is also "number <= last_amendment".
amendments = Table(
    "amendments",
    metadata,
    Column("task", String(63), primary_key=True),
    Column("schema_version", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("example", RowId, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("output", Json),
    Column("created_at", UtcTime, nullable=False),
)

Index("amendments_by_example", amendments.c.task, amendments.c.schema_version, amendments.c.example)

comparisons = Table(
    "comparisons",
    metadata,
    Column("task", String(63), primary_key=True),
    Column("request_id", String(200), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("confidence", Float),
    Column("created_at", UtcTime, nullable=False),
    # What the local model said: only so can a label say later which of the two was right.
    Column("local", Json),
)

Index("comparisons_by_age", comparisons.c.created_at)

# What was sent to a provider's account lately, by all workers: one row for each account, see `apprentice.pace`.
paces = Table(
    "paces",
    metadata,
    Column("account", String(300), primary_key=True),
    Column("state", Text, nullable=False),
)

# Two remote models on one input: how far they agree is how good a teacher can be.
opinions = Table(
    "opinions",
    metadata,
    Column("task", String(63), primary_key=True),
    Column("request_id", String(200), primary_key=True),
    Column("first", String(264), nullable=False),
    Column("second", String(264), nullable=False),
    Column("score", Float, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

# What people say of answers, and the requests that were drawn for them to look at (`audited`).
feedback = Table(
    "feedback",
    metadata,
    Column("task", String(63), primary_key=True),
    Column("request_id", String(200), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("audited", Boolean, nullable=False),
    Column("labelled_at", UtcTime),
    Column("output", Json),
    Column("correct", Boolean),
    Column("amends", Boolean, nullable=False),
    Column("teacher", String(264)),
    Column("served_score", Float),
    Column("teacher_score", Float),
    Column("local_score", Float),
    Column("agreement", Float),
    Column("created_at", UtcTime, nullable=False),
)

Index("feedback_by_age", feedback.c.created_at)

# Questions of batches that are collected or under way; gone once the task has heard what became of them.
batch_items = Table(
    "batch_items",
    metadata,
    Column("task", String(63), nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("batch", Integer, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("input_hash", String(64), nullable=False),
    Column("input", Json, nullable=False),
    Column("local", Text),
    Column("propensity", Float, nullable=False),
    Column("reserved", Money, nullable=False),
    Column("state", String(8), nullable=False),
    Column("provider_batch", String(200)),
    Column("cost", Money),
    Column("score", Float),
    Column("example", String(7)),
    Column("created_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("task", "request_id"),
)

Index("batch_items_by_batch", batch_items.c.task, batch_items.c.batch)
Index("batch_items_by_input", batch_items.c.task, batch_items.c.schema_version, batch_items.c.input_hash)
Index("batch_items_by_age", batch_items.c.created_at)

versions = Table(
    "versions",
    metadata,
    Column("task", String(63), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(8), nullable=False),
    Column("status", Text, nullable=False),
)
