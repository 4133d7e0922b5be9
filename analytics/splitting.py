"""Splitting an amount so that the parts are the whole, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal, localcontext

LINE_PLACES = 12


def split(amount: Decimal, weights: Sequence[int | Decimal], places: int = LINE_PLACES) -> list[Decimal]:
    """`amount` in parts proportional to the weights, each with `places` digits after the point, summing exactly to it.

    Largest remainder: every part is cut off, and what is left goes digit by digit to the parts that lost most, among equals to the first. Digits of
    `amount` beyond `places` go to the first part of the largest weight.

    Raises ValueError when no weight is positive or one is negative.
    """
    if not weights or min(weights) < 0 or not sum(weights):
        raise ValueError("weights must not be negative, and one must be positive")
    unit = Decimal(1).scaleb(-places)
    with localcontext() as context:
        context.prec = 80
        whole = sum((Decimal(weight) for weight in weights), Decimal(0))
        exact = [amount * Decimal(weight) / whole for weight in weights]
        parts = [part.quantize(unit, rounding=ROUND_DOWN) for part in exact]
        left = amount - sum(parts, Decimal(0))
        step = unit if left > 0 else -unit
        by_loss = sorted(range(len(parts)), key=lambda at: (-abs(exact[at] - parts[at]), at))
        for at in by_loss[: int(abs(left) / unit)]:
            parts[at] += step
        largest = max(range(len(parts)), key=lambda at: (weights[at], -at))
        parts[largest] += amount - sum(parts, Decimal(0))
        return parts
