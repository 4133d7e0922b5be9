"""What changed against the period before, by cost category and by feature: parts that sum to the whole difference."""

from __future__ import annotations

from decimal import Decimal

import ibis
import pandas as pd

from analytics.cost_kinds import cost_kind
from analytics.currency import require_one_currency
from analytics.features import has_data
from analytics.filters import Filters, apply
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import ledger
from analytics.ratios import share
from warehouse.errors import InputError
from warehouse.reader import Warehouse

COLUMNS = ("name", "kind", "previous_cost", "cost", "difference", "change", "currency")


def changes(warehouse: Warehouse, filters: Filters, by: str) -> pd.DataFrame:
    """The ledger's cost of the period and of the one before, by "category" or "feature", the largest difference first.

    Columns: name (category or feature; None: names no feature), kind (by feature: feature, untagged, not traced, or shared
    infrastructure; by category: "category"), previous_cost, cost, difference (exact; the rows sum to the whole difference), change =
    difference / previous_cost (None: nothing before), currency. What costs nothing in a period has 0 there. Empty when the store has no data
    from the first day of the period before on.

    Raises InputError for another `by`, and when the costs are in several currencies.
    """
    if by not in ("category", "feature"):
        raise InputError(f"changes cannot be broken down by {by!r}: choose category or feature")
    if not has_data(warehouse, filters.previous()):
        return frame_of([], COLUMNS)
    now, before = _sums(warehouse, filters, by), _sums(warehouse, filters.previous(), by)
    currency = require_one_currency(row["currency"] for row in (*now, *before))
    costs, previous = _by_key(now), _by_key(before)
    rows: list[Row] = []
    for kind, name in {**costs, **previous}:
        cost, earlier = costs.get((kind, name), Decimal(0)), previous.get((kind, name), Decimal(0))
        if cost == earlier == 0:
            continue
        rows.append({
            "name": name, "kind": kind, "previous_cost": earlier, "cost": cost, "difference": cost - earlier,
            "change": share(cost - earlier, earlier), "currency": currency,
        })  # fmt: skip
    rows.sort(key=lambda row: (-abs(row["difference"]), row["kind"], name_order(row["name"])))
    return frame_of(rows, COLUMNS)


def _sums(warehouse: Warehouse, filters: Filters, by: str) -> list[Row]:
    rows = apply(ledger(warehouse), filters)
    kind = cost_kind(rows) if by == "feature" else ibis.literal("category")
    sums = rows.group_by(kind=kind, name=rows[by], currency=rows.currency).agg(cost=rows[filters.basis].sum())
    return [row for row in rows_of(warehouse, sums) if row["cost"] is not None]


def _by_key(rows: list[Row]) -> dict[tuple[str, str | None], Decimal]:
    return {(row["kind"], row["name"]): row["cost"] for row in rows}
