"""Amounts rounded to cents so that the parts that are shown add up to the total that is shown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)

CENT = Decimal("0.01")

_DUST = 1e-6
"""USD that sums in another order leave behind where nothing is left."""


def cents(amount: float | Decimal) -> Decimal:
    """USD rounded to cents, halves to even."""
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(float(amount)))
    return exact.quantize(CENT, rounding=ROUND_HALF_EVEN)


def is_nothing(amount: float) -> bool:
    """Whether an amount is 0, but for the last digits of sums."""
    return abs(amount) < _DUST


def total_in_cents(parts: Iterable[float]) -> Decimal:
    """The sum of these parts, rounded once."""
    return cents(sum((Decimal(repr(float(amount))) for amount in parts), Decimal(0)))


def parts_in_cents(
    parts: Mapping[Name, float],
    total: Decimal | None = None,
    *,
    before: Mapping[Name, float] | None = None,
    before_in_cents: Mapping[Name, Decimal] | None = None,
) -> dict[Name, Decimal]:
    """Each part in cents, less than a cent from what it is, so that they add up to `total` (None: their sum, rounded once).

    Cents that rounding each part by itself leaves over or lacks are made up by the parts that it moved furthest the other way (the method of the
    largest remainder). A part that is the same as in `before` keeps the cents that it had there: nothing seems to be saved where nothing changes.
    Where a `total` is given that is not the parts' own, or few parts may move, a part may be more than a cent off.
    """
    exact = {name: Decimal(repr(float(amount))) for name, amount in parts.items()}
    rounded = {name: cents(amount) for name, amount in exact.items()}
    kept = before_in_cents if before is not None and before_in_cents is not None else {}
    same = {name for name in parts if name in kept and before is not None and before.get(name) == parts[name]}
    rounded |= {name: kept[name] for name in same}
    changed = [name for name in parts if name not in same]
    # Nothing costs no cent, unless there is nothing else that changes.
    free = [name for name in changed if not is_nothing(parts[name])] or changed
    if not free:
        return rounded
    wanted = cents(sum(exact.values(), Decimal(0))) if total is None else total
    missing = int((wanted - sum(rounded.values(), Decimal(0))) / CENT)
    if missing:
        step = CENT if missing > 0 else -CENT
        # Those that rounding took most from come first where cents are missing, those that it gave most to where there are too many.
        free.sort(key=lambda name: (rounded[name] - exact[name]) * step)
        for place in range(abs(missing)):
            rounded[free[place % len(free)]] += step
    return rounded
