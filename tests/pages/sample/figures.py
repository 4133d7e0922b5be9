"""What the sample pages ask: small questions with answers that can be worked out by hand."""

from __future__ import annotations

import pandas as pd

from analytics.filters import Filters, apply
from warehouse.errors import InputError
from warehouse.reader import Warehouse

ASKED: list[str] = []
"""Snapshot ids in the order in which `daily_costs` was really computed."""


def daily_costs(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Cost per day and category: period, category, cost (exact, USD)."""
    ASKED.append(warehouse.snapshot_id)
    charges = apply(warehouse.table("charges_daily"), filters, {"category": "x_CostCategory"})
    grouped = charges.group_by(period=charges.date, category=charges.x_CostCategory)
    return warehouse.frame(grouped.agg(cost=charges[filters.basis].sum()).order_by("period", "category"))


def feature_calls(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Calls by feature: feature, calls, cost (exact, USD), cost_per_call, call_share."""
    calls = apply(warehouse.table("calls_daily"), filters)
    frame = warehouse.frame(calls.group_by("feature").agg(calls=calls.calls.sum(), cost=calls.cost.sum()))
    frame["cost_per_call"] = [
        None if cost is None else cost / n for cost, n in zip(frame.cost, frame.calls, strict=True)
    ]
    frame["call_share"] = frame.calls / frame.calls.sum()
    return frame.sort_values("feature", na_position="last", ignore_index=True)


def refused(warehouse: Warehouse) -> None:
    """Always refuses, in a sentence for people."""
    raise InputError("budget.csv, row 3: the amount 'abc' is not a number; write it as 1200.50")


def broken(warehouse: Warehouse) -> None:
    """Always fails with an error that is no sentence for people."""
    raise ZeroDivisionError("secret detail")
