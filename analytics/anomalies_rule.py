"""The rule "more than 20 % above the average of the previous seven days", exactly as a team says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from analytics.anomalies_robust import Flags, Floats
from analytics.ratios import UNIT_PLACES

WINDOW = 7
KIND = "20 % rule"


@dataclass(frozen=True)
class Flag:
    """One value that the rule flags: its position, the average before it, itself, and the difference."""

    position: int
    expected: Decimal
    actual: Decimal
    excess: Decimal


def twenty_percent_rule(values: Sequence[Decimal | int | None]) -> list[Flag]:
    """The values that are more than 20 % above the average of the seven before them, in their order.

    A value counts only when all seven before it are known (None: not known). Compared exactly, without rounding: value > 1.2 x sum / 7 is 35 x
    value > 6 x sum. An average below zero (credits) has no "20 % above" and flags nothing.
    """
    flags = []
    for position in range(WINDOW, len(values)):
        value, before = values[position], values[position - WINDOW : position]
        known = [Decimal(amount) for amount in before if amount is not None]
        if value is None or len(known) < WINDOW:
            continue
        actual, total = Decimal(value), sum(known, Decimal(0))
        if total >= 0 and 35 * actual > 6 * total:
            expected = (total / WINDOW).quantize(UNIT_PLACES)
            flags.append(Flag(position, expected, actual, actual - expected))
    return flags


def candidates(costs: Floats) -> Flags:
    """Days of (series, days) that the rule may flag: all that it does, and those too close to its edge for binary fractions to say."""
    known = np.cumsum(np.pad(~np.isnan(costs), ((0, 0), (1, 0))), axis=1)
    sums = np.cumsum(np.pad(np.nan_to_num(costs), ((0, 0), (1, 0))), axis=1)
    found = np.zeros(costs.shape, dtype=bool)
    if costs.shape[1] > WINDOW:
        before = sums[:, WINDOW:-1] - sums[:, : -WINDOW - 1]
        all_known = known[:, WINDOW:-1] - known[:, : -WINDOW - 1] == WINDOW
        near = 1e-9 * (1 + np.abs(sums).max(axis=1, keepdims=True))
        found[:, WINDOW:] = all_known & (35 * np.nan_to_num(costs[:, WINDOW:], nan=-np.inf) > 6 * before - near)
    return found
