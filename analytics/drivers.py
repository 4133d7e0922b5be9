"""Drivers: how much of something each feature used, by which shared costs are divided."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from functools import reduce

import ibis

from analytics.frames import Row, rows_of
from analytics.ledger import ledger
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

Use = dict[date, dict[str, Decimal]]
"""Use by day and feature."""

HOUR = 3600


def driver_use(warehouse: Warehouse, driver: str, first: date, last: date, basis: str) -> Use:
    """How much every feature used on each day from `first` to `last`, both inclusive.

    tokens: of all classes, of the calls that report them. calls: traced calls, retries and cache answers included. cost: the feature's own
    cost in the ledger on this basis; below zero counts as none. gpu_seconds: GPUs x utilization x 3,600 for every logged hour
    (days in UTC; an hour without a measured utilization counts whole) that names the feature; hours that name only a model go to the
    features that called that model on that day, by tokens.
    """
    if driver == "gpu_seconds":
        return _gpu_seconds(warehouse, first, last)
    if driver == "cost":
        rows = ledger(warehouse)
        measure = rows[basis].sum()
    else:
        rows = warehouse.table("calls_daily")
        measure = (
            rows.calls.sum()
            if driver == "calls"
            else reduce(lambda left, right: left + right, (rows[name].sum().fill_null(0) for name in TOKEN_CLASSES))
        )
    rows = rows.filter(rows.feature.notnull(), rows.date.between(_day(first), _day(last)))
    use: Use = defaultdict(dict)
    for row in rows_of(warehouse, rows.group_by(["date", "feature"]).agg(used=measure)):
        if row["used"] is not None and row["used"] > 0:
            use[row["date"]][row["feature"]] = Decimal(row["used"])
    return use


def _gpu_seconds(warehouse: Warehouse, first: date, last: date) -> Use:
    hours = warehouse.table("utilization")
    hours = hours.mutate(
        date=hours.hour.date(),
        busy=hours.gpu_count.fill_null(1) * hours.gpu_utilization.fill_null(1.0) * HOUR,
    )
    hours = hours.filter(hours.date.between(_day(first), _day(last)))
    use: Use = defaultdict(lambda: defaultdict(Decimal))
    unnamed: list[Row] = []
    for row in rows_of(warehouse, hours.group_by(["date", "feature", "model"]).agg(busy=hours.busy.sum())):
        if row["feature"] is not None:
            use[row["date"]][row["feature"]] += _seconds(row["busy"])
        elif row["model"] is not None:
            unnamed.append(row)
    if unnamed:
        callers = _tokens_by_model(warehouse, first, last)
        for row in unnamed:
            tokens = callers.get((row["date"], row["model"]), {})
            whole = sum(tokens.values())
            for feature, count in tokens.items():
                use[row["date"]][feature] += _seconds(row["busy"] * count / whole)
    return use


def _tokens_by_model(warehouse: Warehouse, first: date, last: date) -> dict[tuple[date, str], dict[str, int]]:
    """Tokens by day and model of each feature that called it."""
    calls = warehouse.table("calls_daily")
    calls = calls.filter(calls.feature.notnull(), calls.date.between(_day(first), _day(last)))
    tokens = reduce(lambda left, right: left + right, (calls[name].sum().fill_null(0) for name in TOKEN_CLASSES))
    found: dict[tuple[date, str], dict[str, int]] = defaultdict(dict)
    for row in rows_of(warehouse, calls.group_by(["date", "model", "feature"]).agg(tokens=tokens)):
        if row["tokens"]:
            found[(row["date"], row["model"])][row["feature"]] = int(row["tokens"])
    return found


def _seconds(measured: float) -> Decimal:
    """Whole milliseconds: what is measured has no more digits, and weights must not depend on the order of a sum."""
    return Decimal(round(measured * 1000)) / 1000


def _day(day: date) -> ibis.expr.types.DateScalar:
    return ibis.date(day.isoformat())
