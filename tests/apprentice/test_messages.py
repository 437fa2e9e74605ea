"""Messages on the wire."""

from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from apprentice.messages import Order, SetCaps
from apprentice.orders import with_caps
from apprentice.settings import BudgetSettings

ORDER: TypeAdapter[Order] = TypeAdapter(Order)


@pytest.mark.parametrize(
    ("order", "daily", "weekly"),
    [
        (SetCaps(daily=Decimal(20)), Decimal(20), Decimal(50)),
        (SetCaps(daily=None), None, Decimal(50)),
        (SetCaps(), Decimal(10), Decimal(50)),
    ],
)
def test_caps_that_an_order_does_not_name_stay_also_after_the_wire(
    order: SetCaps, daily: Decimal | None, weekly: Decimal | None
) -> None:
    received = ORDER.validate_json(ORDER.dump_json(order))
    assert isinstance(received, SetCaps)
    budget = with_caps(BudgetSettings(daily=Decimal(10), weekly=Decimal(50)), received)
    assert (budget.daily, budget.weekly) == (daily, weekly)
