"""Simpler tests, told with less confidence: for series without enough history for a weekday profile, and for costs that are new."""

from __future__ import annotations

import numpy as np

from analytics.anomalies_robust import LEAST_AMOUNT, LEAST_HISTORY, WINDOW, Flags, Floats, least_excess

LEAST_DAYS = 7
"""Known days before the first that is judged: one of each weekday."""
FACTOR = 1.4
"""A day stands out that is so many times as dear as the dearest of its references."""

NEW_DAYS = 7
"""So long a cost is new."""
QUIET_DAYS = 28
"""A cost is new when there was none on so many days before it began."""
LEAST_STORE_DAYS = 14
"""Where the store itself is younger, everything would be new."""
NEW_SHARE = 0.001
"""A new cost of less than this part of all cost of 30 days is not worth telling."""

ZERO_SHARE = 0.3
"""A series with so many days without cost has no level that a day could be compared with."""
SPORADIC_FACTOR = 1.5


def mostly_zero(costs: Floats) -> Flags:
    """Days before which at least 30 % of the known days of eight weeks cost nothing."""
    known = _sums_before(~np.isnan(costs), WINDOW)
    zero = _sums_before(np.nan_to_num(costs, nan=1.0) <= 0, WINDOW)
    return (known > 0) & (zero >= ZERO_SHARE * np.maximum(known, 1))


def young(costs: Floats, first: int = 0) -> tuple[Flags, Flags, Floats]:
    """Days that stand out in series that are known for 7 to 27 days: (up, down, expected).

    References are the day before, the mean of the seven days before, and the mean of the same weekday in up to four weeks. A day is up when it
    is 1.4 times the dearest of them, down when the cheapest is 1.4 times it; expected is that reference. Days that stand out are no references,
    for a week: then what they cost is the new level.
    """
    series, days = costs.shape
    least = least_excess(costs)
    up, down = np.zeros((2, series, days), dtype=bool)
    expected = np.full((series, days), np.nan)
    known = _sums_before(~np.isnan(costs), WINDOW)
    few = (known >= LEAST_DAYS) & (known < LEAST_HISTORY) & ~np.isnan(costs)
    history = costs.copy()
    # A series is young for three weeks at most, so that starting so much earlier leaves no trace of where the loop began.
    for day in range(max(LEAST_DAYS, first - LEAST_HISTORY), days):
        rows = np.flatnonzero(few[:, day])
        if not len(rows):
            continue
        low, high = _references(history[rows], day)
        today, enough = costs[rows, day], least[rows, day]
        above = (today > FACTOR * high) & (today - high >= enough)
        below = (low > FACTOR * today) & (low - today >= enough)
        up[rows, day], down[rows, day] = above, below
        expected[rows, day] = np.where(above, high, np.where(below, low, np.nan))
        told = np.where(above[:, None], up[rows, day - NEW_DAYS : day], down[rows, day - NEW_DAYS : day]).all(axis=1)
        history[rows[(above | below) & ~told], day] = np.nan
    return up, down, expected


def _references(past: Floats, day: int) -> tuple[Floats, Floats]:
    """The cheapest and the dearest reference of a day; NaN where there is only one."""
    weekdays = past[:, [day - 7 * week for week in range(1, 5) if day >= 7 * week]]
    references = np.stack([past[:, day - 1], _mean(past[:, day - 7 : day]), _mean(weekdays)], axis=1)
    counted = np.sum(~np.isnan(references), axis=1) > 1
    low = np.where(np.isnan(references), np.inf, references).min(axis=1)
    high = np.where(np.isnan(references), -np.inf, references).max(axis=1)
    return np.where(counted, low, np.nan), np.where(counted, high, np.nan)


def new_costs(costs: Floats, total: Floats, store_days: Floats, sporadic: Flags) -> tuple[Flags, Floats]:
    """Days on which a series costs what it did not before: (flags, expected).

    A cost is new for seven days when there was none on the 28 days before it began, and more than 5 and 0.1 % of the whole 30-day cost
    (`total`, one value per day) is spent. Where a series is `sporadic`, such as one that mostly costs nothing, a day stands out that is
    1.5 times as dear as the dearest of the 28 days before. `store_days` counts the days with any data before each day.
    """
    spent = np.nan_to_num(costs)
    least = np.maximum(LEAST_AMOUNT, NEW_SHARE * _sums_before(np.nan_to_num(total)[None, :], 30)[0])
    lately = _sums_before(spent > 0, NEW_DAYS - 1)
    before = _sums_before(spent > 0, NEW_DAYS - 1 + QUIET_DAYS) - lately
    began = (before == 0) & (spent > 0)
    old_enough = store_days - np.where(lately > 0, NEW_DAYS - 1, 0) >= LEAST_STORE_DAYS
    new = began & old_enough & (spent >= least)
    dearest = _most_before(spent, QUIET_DAYS)
    known = _sums_before(~np.isnan(costs), WINDOW)
    dear = sporadic & (known >= LEAST_DAYS) & (before + lately > 0) & ~new
    dear &= (spent > SPORADIC_FACTOR * dearest) & (spent - dearest >= np.maximum(least_excess(costs), least))
    return new | dear, np.where(dear, dearest, 0.0)


def _sums_before(values: Flags | Floats, days: int) -> Floats:
    """Sum of the `days` columns before each column."""
    sums = np.cumsum(np.pad(values.astype(np.float64), ((0, 0), (days + 1, 0))), axis=1)
    return sums[:, days:-1] - sums[:, : -days - 1]


def _most_before(values: Floats, days: int) -> Floats:
    padded = np.pad(values, ((0, 0), (days, 0)))[:, :-1]
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, days, axis=1).max(axis=-1))


def _mean(values: Floats) -> Floats:
    """Mean over the last axis of what is known; NaN where nothing is."""
    known = np.sum(~np.isnan(values), axis=-1)
    return np.where(known > 0, np.nansum(values, axis=-1) / np.maximum(known, 1), np.nan)
