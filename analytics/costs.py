"""Cost per period and dimension, from the ledger: the one table behind every cost chart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analytics.filters import Filters, apply, period_start
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import ledger, unknown_costs
from analytics.ratios import share
from warehouse.errors import InputError
from warehouse.reader import Warehouse

BY = {
    name: name
    for name in (
        "category", "feature", "project", "team", "env", "user_tier", "model", "provider", "service", "account", "currency", "source",
        "ledger", "allocation",
    )
} | {"tier": "user_tier"}  # fmt: skip
"""What costs can be broken down by, and the ledger's column."""


def costs(warehouse: Warehouse, filters: Filters, by: Sequence[str] = ()) -> pd.DataFrame:
    """Cost per day, week or month (the filters' grain) and the dimensions `by`, on the filters' basis.

    Columns: period (its first day; weeks start on Monday, and a period at the edge holds the chosen days only), one column per dimension,
    cost (exact; None: nothing is known), currency, estimated_share (part that comes from traces and not from a bill), calls (traced),
    unpriced_calls, unknown_costs (billing lines, and calls where the traces are the ledger, whose cost is not known and not in `cost`).
    `ledger` is "bill" or "traces", `allocation` how a row came to its feature (see `analytics.ledger`).

    Rows: by period, then the dearest first, then by name; a missing dimension is None. Currencies stay apart, each in its own rows. The rows of
    a currency sum to its total, whatever `by`. What has neither a cost nor an unknown one is left out.

    Raises InputError for an unknown dimension.
    """
    names = _dimensions(by)
    rows = apply(ledger(warehouse), filters)
    rows = rows.mutate(
        **{name: rows[BY[name]] for name in names if name == "tier"}, period=period_start(rows.date, filters.grain)
    )
    amount = rows[filters.basis]
    keys = ["period", *names, *(() if "currency" in names else ("currency",))]
    sums = rows.group_by(keys).agg(
        cost=amount.sum(),
        estimated=amount.sum(where=rows.ledger == "traces"),
        calls=rows.calls.sum(),
        unpriced_calls=rows.unpriced_calls.sum(),
        unknown_costs=unknown_costs(rows, filters.basis).sum(),
    )
    answer = [
        row | {"estimated_share": share(row["estimated"] or 0, row["cost"])}
        for row in rows_of(warehouse, sums)
        if row["cost"] is not None or row["unknown_costs"]
    ]
    columns = ["period", *names, "cost", *(() if "currency" in names else ("currency",)), "estimated_share", "calls"]
    answer.sort(key=lambda row: (row["period"], *dearest_first(row, (*names, "currency"))))
    return frame_of(answer, [*columns, "unpriced_calls", "unknown_costs"])


def dearest_first(row: Row, names: Sequence[str]) -> tuple[object, ...]:
    """Sort key: the dearest first, what is not known last, equals by these names."""
    cost = row["cost"]
    return (cost is None, -(cost or 0), *(name_order(row[name]) for name in names))


def _dimensions(by: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in by if name not in BY]
    if unknown:
        raise InputError(f"costs cannot be broken down by {unknown[0]!r}: choose {', '.join(BY)}")
    return tuple(dict.fromkeys(by))
