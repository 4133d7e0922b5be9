"""All-in costs in short: the sentence above the table, the parts of its chart, what other rules would change, and the lines behind a part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from analytics import formatting
from analytics.allocation import ALLOCATED_COLUMNS, UNALLOCATED, all_in_costs, all_in_costs_under
from analytics.allocation_rules import AllocationRule, allocation_rules
from analytics.cost_kinds import FEATURE
from analytics.filters import UNTAGGED, Filters
from analytics.frames import Row, frame_of, name_order
from analytics.infrastructure import charge_sums
from analytics.period_names import during
from analytics.ratios import is_part, share
from warehouse.reader import Warehouse

DIRECT_PART, UNALLOCATED_PART = "Direct", "Unallocated"

PART_COLUMNS = ("feature", "kind", "part", "cost", "currency")
CHANGE_COLUMNS = ("feature", "kind", "before", "after", "change", "currency")


@dataclass(frozen=True)
class AllocationSummary:
    """All-in costs of a period in `currency`: total = direct + allocated + unallocated.

    dearest: the feature of the largest all-in cost, with its direct cost, its part of shared costs, and its share of the total; None where no
    feature costs anything. rules: how many allocation rules there are.
    """

    currency: str | None
    total: Decimal
    direct: Decimal
    allocated: Decimal
    unallocated: Decimal
    unallocated_share: float | None
    dearest: str | None
    dearest_total: Decimal
    dearest_share: float | None
    rules: int


def allocation_summary(warehouse: Warehouse, filters: Filters) -> AllocationSummary:
    """All-in costs in short. Raises what `all_in_costs` raises."""
    rows = _rows(all_in_costs(warehouse, filters))
    features = [row for row in rows if row["kind"] == FEATURE]
    total = _sum(rows, "total")
    unallocated = _sum([row for row in rows if row["kind"] == UNALLOCATED], "total")
    top = features[0] if features and features[0]["total"] else None
    return AllocationSummary(
        currency=rows[0]["currency"] if rows else None,
        total=total,
        direct=_sum(features, "direct"),
        allocated=_sum(features, "allocated"),
        unallocated=unallocated,
        unallocated_share=share(unallocated, total),
        dearest=top["feature"] if top else None,
        dearest_total=top["total"] if top else Decimal(0),
        dearest_share=top["total_share"] if top else None,
        rules=len(allocation_rules(warehouse)),
    )


def headline(warehouse: Warehouse, filters: Filters) -> str:
    """What the dearest feature costs all in, and what no feature owes, in a sentence."""
    short = allocation_summary(warehouse, filters)
    code = short.currency or warehouse.configuration.reporting_currency
    total, rest = formatting.money(short.total, code), formatting.money(short.unallocated, code)
    if short.dearest is None:
        return f"None of the {total} spent {during(filters)} is owed by a feature"
    first = (
        f"All in, {short.dearest} costs {formatting.money(short.dearest_total, code)} {during(filters)}, "
        f"{formatting.share(short.dearest_share)} of {total}"
        if is_part(short.dearest_share)
        # A credit makes the whole less than its part.
        else f"All in, {short.dearest} costs {formatting.money(short.dearest_total, code)} {during(filters)}, and everything {total}"
    )
    if not short.unallocated:
        return f"{first}; every dollar has a feature" if code == "USD" else f"{first}; all of it has a feature"
    if not is_part(short.unallocated_share):
        return f"{first}; {rest} is owed by no feature"
    return f"{first}; {rest} ({formatting.share(short.unallocated_share)}) is owed by no feature"


def all_in_parts(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """All-in costs as the parts of a bar: one row per feature (None: unallocated) and part with a cost.

    Columns: feature, kind, part ("Direct", the cost category of what is allocated, "Unallocated"), cost, currency. Features in the order of
    `all_in_costs`.
    """
    parts: list[Row] = []
    for row in _rows(all_in_costs(warehouse, filters)):
        names = {name: row[name] for name in ("feature", "kind", "currency")}
        amounts = {UNALLOCATED_PART: row["total"]}
        if row["kind"] == FEATURE:
            amounts = {DIRECT_PART: row["direct"]} | {part: row[name] for name, part in ALLOCATED_COLUMNS.items()}
        parts += [names | {"part": part, "cost": cost} for part, cost in amounts.items() if cost]
    return frame_of(parts, PART_COLUMNS)


def all_in_change(warehouse: Warehouse, filters: Filters, rules: tuple[AllocationRule, ...]) -> pd.DataFrame:
    """What each feature would cost all in under other allocation rules, the largest change first; nothing is stored.

    Columns: feature (None: unallocated), kind, before, after, change = after - before, currency. The changes sum to 0.
    """
    now, then = (
        {row["feature"]: row for row in _rows(frame)}
        for frame in (all_in_costs(warehouse, filters), all_in_costs_under(warehouse, filters, rules))
    )
    rows: list[Row] = []
    for feature in {**now, **then}:
        before, after = (side[feature]["total"] if feature in side else Decimal(0) for side in (now, then))
        known = now.get(feature) or then[feature]
        names = {"feature": feature, "kind": known["kind"], "currency": known["currency"]}
        rows.append(names | {"before": before, "after": after, "change": after - before})
    rows.sort(key=lambda row: (-abs(row["change"]), name_order(row["feature"])))
    return frame_of(rows, CHANGE_COLUMNS)


def shared_lines(warehouse: Warehouse, filters: Filters, category: str | None, service: str | None) -> pd.DataFrame:
    """The billing lines behind a shared cost: those of a category and service that name no feature, by account and resource.

    Columns as in `analytics.infrastructure.charge_sums`, in the currencies of the bill.
    """
    narrowed = filters.only("feature", UNTAGGED).only("category", category or UNTAGGED)
    return charge_sums(warehouse, narrowed.only("service", service or UNTAGGED), ("account", "resource"))


def _rows(frame: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _sum(rows: Sequence[Row], name: str) -> Decimal:
    return sum((row[name] for row in rows), Decimal(0))
