"""Money as one types it."""

from decimal import Decimal, InvalidOperation

# A slip of the keyboard (1e999) is no amount, and no table has room for it.
LARGEST = Decimal(10) ** 12


def parse_amount(text: str) -> Decimal:
    """An exact amount of at least 0. Raises ValueError."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"expected an amount such as 10.00, got {text[:40]!r}") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"expected an amount of at least 0, got {text[:40]!r}")
    if amount > LARGEST:
        raise ValueError(f"expected an amount of at most {LARGEST:,}, got {text[:40]!r}")
    return amount


def parse_cap(text: str) -> Decimal | None:
    """An amount; None for `none`, which is no cap. Raises ValueError."""
    if text.strip().lower() in ("none", "no", ""):
        return None
    try:
        return parse_amount(text)
    except ValueError as error:
        raise ValueError(f"{error}; `none` is no cap") from None
