"""How much of the figures rests on known facts: the line that stands beside every total."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from analytics.currency import require_one_currency
from analytics.filters import Filters, apply
from analytics.frames import Row, frame_of
from analytics.fx import bill_daily
from analytics.infrastructure import FILTER_COLUMNS
from analytics.ratios import share
from warehouse.reader import Warehouse
from warehouse.schema import DIMENSIONS

CALLS, LINES = "calls", "billing lines"
USAGE, PRICE = "usage reported", "price known"

COLUMNS = (
    "measure", "of", "covered", "total", "share", "unknown", "covered_cost", "total_cost", "cost_share", "currency",
)  # fmt: skip


def coverage(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """What share of the calls, and of the billing lines, in the period has usage, a price and each business dimension.

    Grain: one row per measure and what it is `of`: "calls" ("usage reported", "price known" and each dimension) and "billing lines" (each
    dimension as a tag). covered, total, unknown: numbers of calls or lines, unknown = total - covered; share = covered / total (None: nothing to
    cover). covered_cost, total_cost, cost_share: the same by cost in `currency`: of calls their traced cost, of lines their cost on the filters'
    basis. "usage reported" and "price known" have no cost share: what such a
    call without usage or price cost is not known.

    Raises InputError when the billing lines are in several currencies.
    """
    return frame_of([*_of_calls(warehouse, filters), *_of_lines(warehouse, filters)], COLUMNS)


def _of_calls(warehouse: Warehouse, filters: Filters) -> list[Row]:
    calls = apply(warehouse.table("calls_daily"), filters)
    priced = calls.calls - calls.unpriced_calls
    cost = calls.cost
    measures = {
        "total": calls.calls.sum(),
        "total_cost": cost.sum(),
        f"n_{USAGE}": calls.usage_calls.sum(),
        f"n_{PRICE}": priced.sum(),
    }
    for name in DIMENSIONS:
        measures[f"n_{name}"] = calls.calls.sum(where=calls[name].notnull())
        measures[f"c_{name}"] = cost.sum(where=calls[name].notnull())
    sums = warehouse.row(calls.agg(**measures))
    return [_row(name, CALLS, sums, "USD", by_cost=name not in (USAGE, PRICE)) for name in (USAGE, PRICE, *DIMENSIONS)]


def _of_lines(warehouse: Warehouse, filters: Filters) -> list[Row]:
    lines = apply(bill_daily(warehouse), filters, FILTER_COLUMNS)
    cost = lines[filters.basis]
    found = warehouse.arrow(lines.filter(cost.notnull()).select("currency").distinct()).to_pylist()
    currency = require_one_currency(row["currency"] for row in found)
    measures = {"total": lines.lines.sum(), "total_cost": cost.sum()}
    for name in DIMENSIONS:
        measures[f"n_{name}"] = lines.lines.sum(where=lines[name].notnull())
        measures[f"c_{name}"] = cost.sum(where=lines[name].notnull())
    sums = warehouse.row(lines.agg(**measures))
    return [_row(name, LINES, sums, currency, by_cost=True) for name in DIMENSIONS]


def _row(name: str, of: str, sums: Row, currency: str | None, *, by_cost: bool) -> Row:
    total, covered = int(sums["total"] or 0), int(sums[f"n_{name}"] or 0)
    row: Row = {
        "measure": name, "of": of, "covered": covered, "total": total, "unknown": total - covered, "share": share(covered, total),
        "currency": currency,
    }  # fmt: skip
    if by_cost and sums["total_cost"] is not None:
        known = sums[f"c_{name}"] or Decimal(0)
        row |= {"covered_cost": known, "total_cost": sums["total_cost"], "cost_share": share(known, sums["total_cost"])}
    return row
