"""Days that cost more or less than they should: the table behind pages, exports and alerts."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from analytics.anomalies_detect import Band, Hit, detect
from analytics.anomalies_robust import SENSITIVITY
from analytics.anomalies_rule import KIND, Flag, candidates, twenty_percent_rule
from analytics.anomalies_series import Panel, panel
from analytics.filters import Filters
from analytics.frames import Row, frame_of
from analytics.kept_findings import is_whole, kept_finding
from analytics.ratios import UNIT_PLACES
from warehouse.errors import InputError
from warehouse.reader import Warehouse

__all__ = ["BOTH", "COLUMNS", "DEFAULT", "KIND", "RULE", "Flag", "anomalies", "flagged_days", "twenty_percent_rule"]

COLUMNS = (
    "series", "date", "kind", "direction", "expected", "actual", "excess", "currency", "confidence",
)  # fmt: skip

DEFAULT, RULE, BOTH = "default", "rule", "both"
"""Detectors: the robust one with weekdays and slow growth, the 20 % rule, or the flags of both."""


def anomalies(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Days of the period that the 20 % rule or the default detector flags, the newest first, then the largest excess.

    Grain: one row per series, day and detector. `series` is "total", "category:GPU inference", "feature:search", "feature:(untagged)",
    "model:gpt-4o", "service:...", "project:...", "team:...", "env:...", "user_tier:..." or "user:..."; values are the ledger's daily cost in
    `currency` on the filters' basis (of users: the traced cost of their calls).

    `kind` is "20 % rule" (more than 20 % above the average of the seven days before, which may lie before the period; after credits; always
    "up"), or what the default detector says (before credits): "spike" and "drop" (stands out from its weekday and the level of the last
    weeks), "step" (from the third such day in a row on), "leak" (slow growth over weeks) and "new cost". direction: "up" or "down".
    excess = actual - expected, negative for "down". confidence: "low" where the series has less than four weeks of history.

    A series starts with its first day in the store; later days without cost count as 0 when the store has any cost that day. Days that a
    source has not completed yet (see `analytics.freshness`) are neither flagged nor part of what is expected. The flags of a day depend on
    earlier days alone, so that they are the same whatever period is asked for.

    Raises InputError when the costs are in several currencies.
    """
    return flagged_days(warehouse, filters, BOTH)


def flagged_days(
    warehouse: Warehouse, filters: Filters, detector: str = DEFAULT, sensitivity: float = SENSITIVITY
) -> pd.DataFrame:
    """`anomalies` of one detector ("default", "rule") or "both", at a sensitivity of 5 (tells more) to 10 (tells less).

    Raises InputError for another detector or sensitivity, and when the costs are in several currencies.
    """
    require_detector(detector, sensitivity)
    found = panel(warehouse, filters)
    rows = [] if found is None else rows_of_panel(found, found.position(filters.start), detector, sensitivity)
    rows.sort(key=lambda row: (-row["date"].toordinal(), -abs(row["excess"]), row["series"], row["kind"]))
    return frame_of(rows, COLUMNS)


def require_detector(detector: str, sensitivity: float) -> None:
    """Raises InputError for a detector that does not exist or a sensitivity that makes no sense."""
    if detector not in (DEFAULT, RULE, BOTH):
        raise InputError(f"there is no detector {detector!r}: choose {DEFAULT}, {RULE} or {BOTH}")
    if not 2 <= sensitivity <= 50:
        raise InputError(f"a sensitivity of {sensitivity:g} usual spreads cannot be used: choose 5 (tells more) to 10")


def rows_of_panel(found: Panel, first: int, detector: str, sensitivity: float) -> list[Row]:
    """Rows of `anomalies`, in no particular order, for the days of a panel from position `first` on."""
    rows: list[Row] = []
    if detector in (DEFAULT, BOTH):
        hits, _ = detect(found.costs, sensitivity=sensitivity, first=first, sporadic=found.sporadic)
        rows += [_default_row(found, hit) for hit in hits]
    if detector in (RULE, BOTH):
        rows += _rule_rows(found, first)
    return rows


def ordinary(warehouse: Warehouse, filters: Filters, series: str, sensitivity: float = SENSITIVITY) -> pd.DataFrame:
    """One series day by day beside what is ordinary: for the chart with the expected band.

    Columns: date, actual (exact; None: not known or not complete), expected, low, high (floats; None: too little history). A day outside low and
    high is `sensitivity` usual spreads off. Grain: every day of the period. Empty when the store has no such series.

    Raises InputError when the costs are in several currencies.
    """

    def find() -> pd.DataFrame:
        return _ordinary(warehouse, filters, series, sensitivity)

    if sensitivity != SENSITIVITY or not is_whole(filters):
        return find()
    return kept_finding(warehouse, "ordinary", find, filters, series)


def _ordinary(warehouse: Warehouse, filters: Filters, series: str, sensitivity: float) -> pd.DataFrame:
    found = panel(warehouse, filters, series)
    if found is None or not found.names:
        return frame_of([], ("date", "actual", "expected", "low", "high"))
    first = found.position(filters.start)
    _, band = detect(found.costs, sensitivity=sensitivity, first=first, sporadic=found.sporadic)
    return frame_of((_ordinary_row(found, band, day) for day in range(first, len(found.days))), (
        "date", "actual", "expected", "low", "high"
    ))  # fmt: skip


def _ordinary_row(found: Panel, band: Band, day: int) -> Row:
    known = not np.isnan(found.costs[0, day])
    sides = {"expected": band.expected[0, day], "low": band.low[0, day], "high": band.high[0, day]}
    return {"date": found.days[day], "actual": found.cost(0, day) if known else None} | {
        name: None if np.isnan(value) else float(value) for name, value in sides.items()
    }


def _default_row(found: Panel, hit: Hit) -> Row:
    actual, expected = found.cost(hit.series, hit.day), Decimal(repr(hit.expected)).quantize(UNIT_PLACES)
    return {
        "series": found.names[hit.series], "date": found.days[hit.day], "kind": hit.kind, "direction": hit.direction,
        "expected": expected, "actual": actual, "excess": actual - expected, "currency": found.currencies[hit.series],
        "confidence": hit.confidence,
    }  # fmt: skip


def _rule_rows(found: Panel, first: int) -> list[Row]:
    flags = candidates(found.net)
    flags[:, :first] = False
    # Users come and go: 20 % more than last week is nothing to tell of a single one.
    flags[found.sporadic] = False
    return [
        {
            "series": found.names[series], "date": found.days[day], "kind": KIND, "direction": "up", "expected": flag.expected,
            "actual": flag.actual, "excess": flag.excess, "currency": found.currencies[series], "confidence": "high",
        }
        for series, day in np.argwhere(flags).tolist()
        for flag in twenty_percent_rule([found.net_cost(series, one) for one in range(day - 7, day + 1)])
    ]  # fmt: skip
