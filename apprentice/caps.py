"""How the caps at the top level of `apprentice.yaml`, which hold for all tasks together, are shared among tasks."""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

MILLIONTH = Decimal("0.000001")


class CapsExceedTotal(ValueError):
    """The caps that tasks set for themselves add up to more than the cap for all tasks."""


def share_cap(total: Decimal | None, own: Sequence[Decimal | None]) -> list[Decimal | None]:
    """The cap of each task, given the cap of all and what each task set for itself (None: nothing).

    A task keeps the cap it set. What these leave of `total` is divided equally among the others, rounded down to a
    millionth, so the caps never add up to more than `total`. Without a total, tasks without a cap stay without.
    Raises CapsExceedTotal when the tasks' own caps do not fit.
    """
    if total is None:
        return list(own)
    left = total - sum((cap for cap in own if cap is not None), Decimal(0))
    if left < 0:
        raise CapsExceedTotal(f"the caps of the tasks add up to {total - left}, more than the {total} for all of them")
    without = sum(cap is None for cap in own)
    share = (left / without).quantize(MILLIONTH, ROUND_DOWN) if without > 1 else left
    return [share if cap is None else cap for cap in own]
