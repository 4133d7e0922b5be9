"""All tests on many series at once: which days of which series are flagged, as what, and against what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analytics.anomalies_robust import SENSITIVITY, STEP_MEMORY, Flags, Floats, robust, stepped
from analytics.anomalies_young import mostly_zero, new_costs, young

Direction = Literal["up", "down"]

SPIKE, DROP, STEP, LEAK, NEW = "spike", "drop", "step", "leak", "new cost"
KINDS = (SPIKE, DROP, STEP, LEAK, NEW)
"""A day that stands out above or below; the third such day in a row and those after it; slow growth; a cost that was not there before."""

STEP_FROM = 3


@dataclass(frozen=True)
class Hit:
    """One flagged day of one series, by their positions. z: how many usual spreads away (None: too little history to say)."""

    series: int
    day: int
    kind: str
    direction: Direction
    expected: float
    z: float | None
    confidence: Literal["high", "low"]


@dataclass(frozen=True)
class Band:
    """What is ordinary for each series and day: the expected cost, and how low and how high a day may be without being flagged; NaN: not known."""

    expected: Floats
    low: Floats
    high: Floats


def detect(
    costs: Floats, *, sensitivity: float = SENSITIVITY, first: int = 0, sporadic: Flags | None = None
) -> tuple[list[Hit], Band]:
    """Flagged days from position `first` on, by series and day, and the band of ordinary days.

    `costs` is (series, days), one column for each calendar day; NaN: not known (or partial, or before the series' first day). A day has
    one flag at most: what stands out in eight weeks of history, else what does in a short one, else a new cost, else slow growth. The
    verdict on a day depends on earlier days alone, whatever `first` is. Slow growth is not told once more where a step has told it.
    `sensitivity`: usual spreads from which a day is flagged, 5 to 10. `sporadic` (default: none) marks series that come and go by nature, such as
    users: only a day dearer than all before it is flagged there.
    """
    zero = mostly_zero(costs)
    if sporadic is not None:
        zero |= sporadic[:, None]
    found = robust(costs, sensitivity=sensitivity, first=first, testable=~zero)
    young_up, young_down, young_expected = young(np.where(zero, np.nan, costs), max(0, first - STEP_MEMORY))
    store_days = np.concatenate([[0], np.cumsum(~np.isnan(costs).all(axis=0))[:-1]])
    new, new_expected = new_costs(costs, _largest(costs), store_days, zero)
    young_up, young_down = young_up & ~new, young_down & ~new
    up, down = found.up | young_up, found.down | young_down
    leak = found.leak & ~stepped(up | new)
    judged = found.judged
    expected = np.where(new, new_expected, np.where(young_up | young_down, young_expected, judged.expected))
    hits = []
    for row, day in _positions(up | down | new | leak, first):
        direction: Direction = "down" if down[row, day] else "up"
        low_confidence = bool(young_up[row, day] or young_down[row, day])
        if up[row, day] or down[row, day]:
            long = _run(up if up[row, day] else down, row, day) >= STEP_FROM
            kind = STEP if long else SPIKE if up[row, day] else DROP
            z, against = judged.z[row, day], expected[row, day]
        elif new[row, day]:
            kind, z, against = NEW, np.nan, expected[row, day]
        else:
            kind, z, against = LEAK, judged.leak_z[row, day], judged.leak_expected[row, day]
        hits.append(
            Hit(
                row, day, kind, direction, float(against), None if low_confidence or np.isnan(z) else float(z),
                "low" if low_confidence else "high",
            )
        )  # fmt: skip
    width = np.exp(sensitivity * judged.spread)
    return hits, Band(judged.expected, judged.expected / width, judged.expected * width)


def _positions(flags: Flags, first: int) -> Iterator[tuple[int, int]]:
    for row, day in np.argwhere(flags[:, first:]):
        yield int(row), int(day) + first


def _largest(costs: Floats) -> Floats:
    """The series that costs most, by day: the whole that others are parts of, or the best that is known of it."""
    if not len(costs):
        return np.zeros(costs.shape[1])
    return np.asarray(np.nan_to_num(costs[np.argmax(np.nansum(costs, axis=1))]))


def _run(flags: Flags, row: int, day: int) -> int:
    """How many days in a row up to this one are flagged."""
    length = 0
    while day - length >= 0 and flags[row, day - length]:
        length += 1
    return length
