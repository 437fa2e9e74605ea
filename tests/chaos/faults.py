"""What can go wrong, one class for each kind: injected at a random moment, healed some seconds later."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.chaos.world import World
from tests.fakes.provider.faults import Fault as ProviderFault


class Fault(Protocol):
    """`seconds` is how long it lasts."""

    @property
    def name(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    async def inject(self, world: World) -> None: ...
    async def heal(self, world: World) -> None: ...


@dataclass(frozen=True)
class WorkerKilled:
    """kill -9 of one of the two workers; its successor comes after `seconds`."""

    which: int
    seconds: float
    name: str = "worker killed"

    async def inject(self, world: World) -> None:
        world.wanted -= 1
        world.kill_worker(self.which)

    async def heal(self, world: World) -> None:
        world.wanted += 1
        world.start_workers()


@dataclass(frozen=True)
class AllWorkersKilled:
    """kill -9 of both; nobody is there for `seconds`."""

    seconds: float
    name: str = "all workers killed"

    async def inject(self, world: World) -> None:
        world.wanted -= 2
        for _ in range(2):
            world.kill_worker(0)

    async def heal(self, world: World) -> None:
        world.wanted += 2
        world.start_workers()


@dataclass(frozen=True)
class WorkerFrozen:
    """One worker stops (SIGSTOP) and goes on later, with work that has long been given to another."""

    which: int
    seconds: float
    name: str = "worker frozen"

    async def inject(self, world: World) -> None:
        world.freeze_worker(self.which)

    async def heal(self, world: World) -> None:
        world.thaw()


@dataclass(frozen=True)
class ServerKilled:
    """kill -9 of Temporal; it is started again on its file after `seconds`."""

    seconds: float
    name: str = "server killed"

    async def inject(self, world: World) -> None:
        await world.kill_server()

    async def heal(self, world: World) -> None:
        await world.start_server()


@dataclass(frozen=True)
class StoreStopped:
    """Nobody can write to the store."""

    seconds: float
    name: str = "store stopped"

    async def inject(self, world: World) -> None:
        await world.store.stop()

    async def heal(self, world: World) -> None:
        await world.store.go_on()


@dataclass(frozen=True)
class StoreFull:
    """What the workers write to the store is refused."""

    seconds: float
    name: str = "store full"

    async def inject(self, world: World) -> None:
        await world.store.fill(world.pids)

    async def heal(self, world: World) -> None:
        await world.store.empty(world.pids)


@dataclass(frozen=True)
class ProviderFails:
    """The next calls at the remote model end in one of its own ways."""

    kind: ProviderFault
    calls: int
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"provider: {self.kind}"

    async def inject(self, world: World) -> None:
        world.provider.fail(self.kind, self.calls)

    async def heal(self, world: World) -> None:
        """The ordered calls are the fault; nothing is left of it."""


def _stopped(rng: random.Random) -> StoreStopped:
    # Mostly shorter than SQLite's own patience (10 s), sometimes longer than any.
    return StoreStopped(rng.uniform(11, 13) if rng.random() < 0.2 else rng.uniform(0.5, 4))


AROUND_US: tuple[tuple[int, Callable[[random.Random], Fault]], ...] = (
    (6, lambda rng: WorkerKilled(rng.randrange(2), rng.uniform(0, 4))),
    (2, lambda rng: AllWorkersKilled(rng.uniform(0, 2))),
    (2, lambda rng: WorkerFrozen(rng.randrange(2), rng.uniform(1, 12))),
    (3, lambda rng: ServerKilled(rng.uniform(0, 2))),
    (2, _stopped),
    (2, lambda rng: StoreFull(rng.uniform(0.5, 8))),
)
AT_THE_PROVIDER: tuple[ProviderFault, ...] = (
    "hang",
    "hang_unpaid",
    "error_500",
    "error_503",
    "rate_limited",
    "gateway_timeout",
    "malformed",
    "wrong_schema",
    "not_json_inside",
    "truncated",
    "truncated_json",
    "reset",
    "no_usage",
    "refusal",
    "cut_off",
)


def around_us(rng: random.Random, count: int) -> list[Fault]:
    """Faults of processes and of the store. Every kind comes up, in random order, once there is room for all."""
    weights, makers = [weight for weight, _ in AROUND_US], [make for _, make in AROUND_US]
    chosen = [*makers[:count], *rng.choices(makers, weights, k=max(0, count - len(makers)))]
    rng.shuffle(chosen)
    return [make(rng) for make in chosen]


def at_the_provider(rng: random.Random, count: int) -> list[Fault]:
    """Faults of the remote model, likewise."""
    kinds = [*rng.sample(AT_THE_PROVIDER, len(AT_THE_PROVIDER))][:count]
    kinds += rng.choices(AT_THE_PROVIDER, k=count - len(kinds))
    return [ProviderFails(kind, rng.randint(1, 3)) for kind in kinds]
