"""Quotients that say None instead of dividing by nothing: costs per unit, shares, margins."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

UNIT_PLACES = Decimal("0.000000000001")
"""Costs per unit keep twelve digits after the point, as billing lines do."""


def per_unit(cost: Decimal | None, units: int | Decimal | None) -> Decimal | None:
    """`cost` / `units`, to twelve digits after the point; None when either is not known or there are no units."""
    if cost is None or units is None or units <= 0:
        return None
    with localcontext() as context:
        context.prec = 60
        return (cost / Decimal(units)).quantize(UNIT_PLACES, rounding=ROUND_HALF_EVEN)


def share(part: Decimal | int | None, whole: Decimal | int | None) -> float | None:
    """`part` / `whole` as a number; None when either is not known or the whole is 0."""
    if part is None or whole is None or whole == 0:
        return None
    # Plus 0: nothing of a negative whole is 0, not -0.
    return float(Decimal(part) / Decimal(whole)) + 0.0


def is_part(share_of_whole: float | None) -> bool:
    """Whether a share can be told as a part of its whole: beside a credit that lies elsewhere it may be above 1, or below 0."""
    return share_of_whole is not None and 0 <= share_of_whole <= 1


def gross_margin(revenue: Decimal | None, cost: Decimal | None) -> float | None:
    """(revenue - cost) / revenue, at most 1 and below 0 where it costs more than it earns.

    None when either is not known, and when nothing was earned: a loss has no margin that could be compared with others.
    """
    if revenue is None or cost is None or revenue <= 0:
        return None
    return float((revenue - cost) / revenue)
