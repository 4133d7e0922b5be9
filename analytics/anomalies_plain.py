"""Flags on plain daily series from a file: for costs that lie elsewhere, and for measuring the detectors on labelled data."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import pandas as pd

from analytics.anomalies import COLUMNS, DEFAULT, require_detector, rows_of_panel
from analytics.anomalies_robust import SENSITIVITY
from analytics.anomalies_series import Panel
from analytics.frames import frame_of
from warehouse.errors import InputError

NEEDED = ("date", "cost")
SERIES = "series"
THE_SERIES = "cost"
"""Name of the series of a file that names none."""

OPEN_DAYS = 2
"""Days at the end of a file that may not be complete: too low a cost there says nothing."""


@dataclass(frozen=True)
class PlainSeries:
    """Daily costs by series and day; `rejected` says which rows could not be read, and why."""

    costs: dict[str, dict[date, Decimal]]
    rejected: tuple[str, ...]


def read_plain_series(path: Path) -> PlainSeries:
    """Read a CSV file (plain or .gz) with the columns series (optional), date (YYYY-MM-DD) and cost; other columns are ignored.

    Several rows of one series and day are added up. A row that cannot be read is left out and named in `rejected`. Raises InputError for a file
    that cannot be read, lacks a column or has no usable row.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise InputError(f"cannot be read: {error}", file=str(path)) from error
    reader = csv.DictReader(io.StringIO(text))
    names = {name.strip().lower(): name for name in reader.fieldnames or [] if name}
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(
            f"there is no column {missing[0]!r}; needed are series, date and cost", file=str(path), column=missing[0]
        )
    costs: dict[str, dict[date, Decimal]] = {}
    rejected: list[str] = []
    for number, row in enumerate(reader, start=1):
        day_text, cost_text = (row[names[name]] or "" for name in NEEDED)
        try:
            day, cost = date.fromisoformat(day_text.strip()[:10]), Decimal(cost_text.strip())
        except (ValueError, InvalidOperation):
            rejected.append(
                f"{path}, row {number}: {day_text!r} is no date, or {cost_text!r} no cost; the row is left out"
            )
            continue
        if not cost.is_finite():
            rejected.append(f"{path}, row {number}: {cost_text!r} is no cost; the row is left out")
            continue
        name = (row[names[SERIES]] or "").strip() if SERIES in names else THE_SERIES
        days = costs.setdefault(name or THE_SERIES, {})
        days[day] = days.get(day, Decimal(0)) + cost
    if not costs:
        raise InputError("no row has a date and a cost", file=str(path))
    return PlainSeries(costs, tuple(rejected))


def plain_flags(
    costs: dict[str, dict[date, Decimal]], detector: str = DEFAULT, sensitivity: float = SENSITIVITY, *, open_days: int = OPEN_DAYS
) -> pd.DataFrame:  # fmt: skip
    """Flags on plain series, with the columns of `analytics.anomalies`, by series and day; `currency` is None.

    A day without a row is not known, and no day without cost. On the last `open_days` days of a series nothing is flagged as too low: they may not be
    complete. Raises InputError for another detector or sensitivity.
    """
    require_detector(detector, sensitivity)
    rows = rows_of_panel(_panel(costs), 0, detector, sensitivity)
    ends = {name: max(days) - timedelta(days=open_days) for name, days in costs.items()}
    rows = [row for row in rows if row["direction"] == "up" or row["date"] <= ends[row["series"]]]
    rows.sort(key=lambda row: (row["series"], row["date"], row["kind"]))
    return frame_of(rows, COLUMNS)


def _panel(costs: dict[str, dict[date, Decimal]]) -> Panel:
    first, last = min(map(min, costs.values())), max(map(max, costs.values()))
    days = tuple(first + timedelta(days=number) for number in range((last - first).days + 1))
    names = tuple(sorted(costs))
    values = np.array([[_float(costs[name].get(day)) for day in days] for name in names])
    exact = {
        (row, (day - first).days): (cost, cost) for row, name in enumerate(names) for day, cost in costs[name].items()
    }
    return Panel(names, (None,) * len(names), days, values, values, exact)


def _float(cost: Decimal | None) -> float:
    return np.nan if cost is None else float(cost)
