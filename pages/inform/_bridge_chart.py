"""The bridge from one period's cost to another's: one bar per driver, from the first total to the second."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate

from analytics import formatting
from analytics.why_changed import Change
from pages._bridge_bars import Bar, bridge_bars


def bridge_chart(found: Change, before: str, after: str, *, key: str) -> None:
    """Draw both totals and the parts between them; every bar's end is the next one's beginning. `before`, `after`: the periods' names."""
    currency = found.currency or "USD"
    amounts = [amount for _driver, amount in found.parts]
    starts = accumulate(amounts, initial=found.before)
    bars = [_total(before, found.before, currency)]
    for (driver, amount), start in zip(found.parts, starts, strict=False):
        bars.append(
            Bar(
                driver.capitalize(), float(start), float(amount), "more" if amount > 0 else "less",
                formatting.money(amount, currency, plus=True), formatting.to_the_cent(amount, currency),
            )
        )  # fmt: skip
    bars.append(_total(after, found.after, currency))
    bridge_bars(bars, currency=currency, key=key, alt=describe(found, before, after))


def _total(name: str, amount: Decimal, currency: str) -> Bar:
    return Bar(
        name,
        0.0,
        float(amount),
        "total",
        formatting.money(amount, currency),
        formatting.to_the_cent(amount, currency),
    )


def describe(found: Change, before: str, after: str) -> str:
    """The chart in words."""
    currency = found.currency or "USD"
    parts = [f"{driver} {formatting.money(amount, currency, plus=True)}" for driver, amount in found.parts]
    return (
        f"Bridge from {formatting.money(found.before, currency)} in {before} to {formatting.money(found.after, currency)} in {after}: "
        f"{', '.join(parts) or 'no difference'}."
    )


def largest(found: Change) -> tuple[str, Decimal] | None:
    """The driver that moved most in the direction of the whole difference."""
    same_way = [part for part in found.parts if part[1] * found.difference > 0]
    return max(same_way, key=lambda part: abs(part[1]), default=None)
