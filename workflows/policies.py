"""How activities are retried and how long they may take, in one place."""

from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from temporalio.common import RetryPolicy

from activities import contract
from apprentice.pace import PATIENCE
from apprentice.settings import RemoteSettings

# A caller is waiting: a handful of quick attempts. Rate limits bring their own delay (next_retry_delay).
ASK = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=20),
    maximum_attempts=contract.ATTEMPTS,
)

# A local model that fails twice is out: the remote model is there for that.
ASK_LOCAL = RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=2)

# A second opinion can be done without; its second attempt is for a worker that died.
OPINION = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=2)

# The store and the disk come back; nothing is lost by waiting for them.
PERSIST = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30))

# A training job that failed for a reason of its own fails again; what is retried is a worker that died.
TRAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5), maximum_attempts=20)

# Nobody waits for a batch, and a provider that is away comes back; the caller says for how long.
BATCH = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))
# An operator waits for a rollback, and the version that serves goes on meanwhile.
ROLL_BACK = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=3)
ROLL_BACK_TIMEOUT = timedelta(minutes=5)

# A receiver may be down for a day.
NOTIFY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10))
NOTIFY_FOR = timedelta(hours=24)

# All attempts at one remote call together, as a multiple of the time-out of one: a caller waits for them, and so does
# a rollover.
ATTEMPTS_IN_ALL = 3

# Under rate limits of ours a call may wait so long for its turn besides. Not longer: a rollover waits for it too, and
# who has more to do than the limit allows learns it by an error.
QUEUE = timedelta(minutes=5)
# Besides what the providers may take: the store, and the way there and back.
AROUND = timedelta(seconds=5)

HEARTBEAT = timedelta(seconds=5)
# After a kill -9 of its worker a call is missed this soon, not only at its time-out. A false alarm costs nothing: the
# local model is asked again.
LOCAL_HEARTBEAT = timedelta(seconds=3)
PERSIST_TIMEOUT = timedelta(seconds=30)
VALIDATE_TIMEOUT = timedelta(minutes=30)


class Asking(NamedTuple):
    """How long one attempt at a remote call may take, how long all of them, and how they are retried."""

    attempt: timedelta
    all: timedelta
    retry: RetryPolicy


def asking(remote: RemoteSettings) -> Asking:
    """Each provider may take its whole time-out before the next one is asked.

    Where rate limits are set, a call waits for its turn, and waiting is no attempt: the activity counts those.
    """
    attempt = timedelta(seconds=sum(provider.timeout_seconds for provider in remote.providers)) + AROUND
    limits = [provider.rate_limits for provider in remote.providers]
    limited = sum(1 for each in limits if each.requests_per_minute or each.tokens_per_minute)
    if not limited:
        return Asking(attempt, ATTEMPTS_IN_ALL * attempt, ASK)
    patient = attempt + limited * timedelta(seconds=PATIENCE)
    return Asking(patient, ATTEMPTS_IN_ALL * patient + QUEUE, replace(ASK, maximum_attempts=0))
