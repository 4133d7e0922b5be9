"""Days that cost more or less than the weekday and the level of the last weeks explain: the default detector, for many series at once.

Everything is worked out on logarithms, because costs grow and vary by factors. A day is judged by the 56 days before it and by nothing after
it, so that its verdict never depends on the period that somebody looks at, nor on data that came later for other days. Method and thresholds:
a weekday profile by medians, the level of the last 14 days, the spread by the median absolute deviation; a second test for slow growth
against a Theil-Sen line. All are medians, so that single days do not move them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WINDOW = 56
LEAST_HISTORY = 28
"""Known days of a series below which a weekday profile would be guesswork: see `analytics.anomalies_young`."""
LEVEL_DAYS = 14
SCALE_DAYS = 42
SCALE_FLOOR = 0.04
SENSITIVITY = 7.0
"""Usual spreads from which a day is flagged; 5 tells more, 10 less."""
LEAST_UPLIFT = 0.10
LEAST_AMOUNT = 5.0
"""Differences below five dollars (or what else the costs are in) a day are nobody's morning."""

MONTHLY_Z = 5.0
MONTHLY_LIKENESS = 0.6
STEP_DAYS = 3
STEP_MEMORY = 42

LEAK_DAYS = 7
LEAK_GAP = 14
LEAK_LINE = 28
LEAK_Z = 4.0
LEAK_SCALE_FLOOR = 0.03
LEAK_UPLIFT = 0.25
SLOPES = (-0.004, 0.006)
"""Growth per day that counts as ordinary: a line through a leak must not become its own excuse."""

SMALLEST = 1e-6
"""What a day without cost counts as, on the logarithmic scale."""


@dataclass(frozen=True)
class Judged:
    """What is expected of each series and day; arrays of (series, days), NaN where there is too little history or the day is not known.

    expected, z: of the day against weekday and level, z in units of the usual spread. leak_expected, leak_z, leak_uplift: of the last seven
    days' level against the line through the weeks before; leak_expected is of the day itself, leak_uplift a part of it (0.25: a quarter more).
    spread: the usual one, on the logarithmic scale, so that expected x exp(+-sensitivity x spread) is the band of ordinary days.
    """

    expected: Floats
    z: Floats
    spread: Floats
    leak_expected: Floats
    leak_z: Floats
    leak_uplift: Floats


@dataclass(frozen=True)
class Found:
    """What is flagged: arrays of (series, days). up and down: the day stands out; leak: slow growth. `judged` says against what."""

    up: Flags
    down: Flags
    leak: Flags
    judged: Judged


def robust(costs: Floats, *, sensitivity: float = SENSITIVITY, first: int = 0, testable: Flags | None = None) -> Found:
    """The days from position `first` on that stand out, and those on which cost has been growing for weeks.

    `costs` is (series, days), one column for every calendar day without a gap; NaN: not known, or the series did not exist yet. Days without
    cost are 0. `testable` (default: all) says which days of which series may be flagged: series that are mostly zero need another test.

    A day stands out when it lies `sensitivity` usual spreads from what is expected, by at least 10 %, and by at least `least_excess`.
    Days that stand out do not count as history for later ones, so that one spike does not hide the next and a step stays flagged for about
    two weeks, until it is the new level. A rise like the one of the same time last month is a monthly charge and no news.
    """
    usable = np.ones(costs.shape, dtype=bool) if testable is None else testable
    least = least_excess(costs)
    alone = judge(costs, first=max(0, first - WINDOW - STEP_MEMORY))
    up, down = _stands_out(costs, alone, least, sensitivity)
    history = np.where((up | down) & usable, np.nan, costs)
    judged = judge(costs, first=max(0, first - STEP_MEMORY), history=history)
    up, down = _stands_out(costs, judged, least, sensitivity)
    up &= usable & ~_as_last_month(costs, judged)
    excess = costs - judged.leak_expected
    leak = (judged.leak_z >= LEAK_Z) & (judged.leak_uplift >= LEAK_UPLIFT) & (excess >= least) & usable
    leak &= excess >= LEAK_UPLIFT * judged.leak_expected
    return Found(up, down & usable, leak, judged)


def least_excess(costs: Floats) -> Floats:
    """The smallest difference worth telling, per series and day: 5, or 1 % of what the series cost in the 30 days before."""
    known = np.nan_to_num(costs)
    sums = np.cumsum(np.pad(known, ((0, 0), (31, 0))), axis=1)
    return np.maximum(LEAST_AMOUNT, 0.01 * (sums[:, 30:-1] - sums[:, :-31]))


def _stands_out(costs: Floats, judged: Judged, least: Floats, sensitivity: float) -> tuple[Flags, Flags]:
    excess = costs - judged.expected
    enough = (np.abs(excess) >= LEAST_UPLIFT * judged.expected) & (np.abs(excess) >= least)
    return enough & (judged.z >= sensitivity), enough & (judged.z <= -sensitivity)


def _as_last_month(costs: Floats, judged: Judged) -> Flags:
    """Days whose excess is much like one of four weeks to a month before."""
    excess = costs - judged.expected
    found = np.zeros(costs.shape, dtype=bool)
    for days in range(28, 32):
        before, unusual = excess[:, :-days], judged.z[:, :-days] >= MONTHLY_Z
        found[:, days:] |= unusual & (before >= MONTHLY_LIKENESS * excess[:, days:])
    return found


def stepped(up: Flags) -> Flags:
    """Days in whose last six weeks at least three days stood out: a step, whose rise the slow test would only tell again."""
    count = np.cumsum(np.pad(up.astype(np.int64), ((0, 0), (STEP_MEMORY, 0))), axis=1)
    return np.asarray(count[:, STEP_MEMORY:] - count[:, :-STEP_MEMORY] >= STEP_DAYS)


def median(values: Floats) -> Floats:
    """Median over the last axis of what is known (not NaN); NaN where nothing is. Much quicker than `numpy.nanmedian` on short rows."""
    ordered = np.sort(values, axis=-1)
    known = np.sum(~np.isnan(values), axis=-1)
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    high = np.minimum(high, values.shape[-1] - 1)
    middle = np.take_along_axis(ordered, np.stack([low, high], axis=-1), axis=-1)
    return np.where(known > 0, middle.mean(axis=-1), np.nan)


def judge(costs: Floats, *, first: int = 0, history: Floats | None = None) -> Judged:
    """Judge the days of `costs` from position `first` on, each by the 56 days of `history` (default: `costs`) before it."""
    series, days = costs.shape
    logs = np.log(np.maximum(costs, SMALLEST))
    past = logs if history is None else np.log(np.maximum(history, SMALLEST))
    found = Judged(*(np.full((series, days), np.nan) for _ in range(6)))
    padded = np.concatenate([np.full((series, WINDOW), np.nan), past], axis=1)
    for day in range(max(first, LEAST_HISTORY), days):
        _judge_day(found, day, padded[:, day : day + WINDOW], logs[:, day])
    return found


def _judge_day(found: Judged, day: int, window: Floats, today: Floats) -> None:
    """One day of all series; `window` holds the 56 days before it."""
    enough = np.sum(~np.isnan(window), axis=1) >= LEAST_HISTORY
    season = _season(window)
    flat = window - season[:, np.arange(WINDOW) % 7]
    level = median(flat[:, -LEVEL_DAYS:])
    spread = 1.4826 * _absolute_deviation(flat)
    # The window is eight whole weeks, so the day itself falls on the weekday of the window's first day.
    expected = season[:, 0] + level
    found.expected[:, day] = np.where(enough, np.exp(expected), np.nan)
    found.z[:, day] = np.where(enough, (today - expected) / np.maximum(spread, SCALE_FLOOR), np.nan)
    found.spread[:, day] = np.where(enough, np.maximum(spread, SCALE_FLOOR), np.nan)
    _judge_leak(found, day, flat, today - season[:, 0], season[:, 0], spread, enough)


def _season(window: Floats) -> Floats:
    """The weekday profile: median distance of each weekday from the running level, the seven centred on their median."""
    edges = np.full((window.shape[0], 3), np.nan)
    running = median(
        np.lib.stride_tricks.sliding_window_view(np.concatenate([edges, window, edges], axis=1), 7, axis=1)
    )
    distance = (window - running).reshape(window.shape[0], WINDOW // 7, 7)
    profile = median(np.swapaxes(distance, 1, 2))
    profile = profile - median(profile)[:, None]
    return np.nan_to_num(profile)


def _absolute_deviation(flat: Floats) -> Floats:
    """Median absolute distance of the last 42 days from the median of each one's last seven."""
    trailing = median(np.lib.stride_tricks.sliding_window_view(flat, 7, axis=1))
    rest = (flat[:, 6:] - trailing)[:, -SCALE_DAYS:]
    return median(np.abs(rest - median(rest)[:, None]))


def _judge_leak(
    found: Judged, day: int, flat: Floats, today: Floats, season: Floats, spread: Floats, enough: Flags
) -> None:
    """The level of the last seven days against a line through the 28 days that end 14 days earlier."""
    last = median(np.concatenate([flat[:, -(LEAK_DAYS - 1) :], today[:, None]], axis=1))
    end = WINDOW - LEAK_GAP + 1
    line = flat[:, end - LEAK_LINE : end]
    half = LEAK_LINE // 2
    slope = np.clip(median((line[:, half:] - line[:, :half]) / half), *SLOPES)
    position = np.arange(LEAK_LINE)
    start = median(line - slope[:, None] * position)
    ahead = start + slope * (LEAK_LINE - 1 + LEAK_GAP - LEAK_DAYS // 2)
    known = enough & (np.sum(~np.isnan(line), axis=1) >= half) & ~np.isnan(today)
    now = start + slope * (LEAK_LINE - 1 + LEAK_GAP)
    found.leak_expected[:, day] = np.where(known, np.exp(now + season), np.nan)
    found.leak_uplift[:, day] = np.where(known, np.exp(last - ahead) - 1, np.nan)
    found.leak_z[:, day] = np.where(known, (last - ahead) / np.maximum(spread, LEAK_SCALE_FLOOR), np.nan)
