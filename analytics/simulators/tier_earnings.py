"""What calls earn beside what they cost: revenue that goes with calls that are dropped, that comes with more of them, and at other prices.

All rest on `analytics.margins.margins` of the same filters: cost as the ledger has it, revenue as it is tracked, both of the whole period.
Revenue is taken to go with calls: half of a tier's calls earn half of what it earns. Unknown revenue stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pandas as pd

from analytics.cost_kinds import FEATURE, UNTAGGED
from analytics.filters import Filters
from analytics.frames import name_order
from analytics.kept_findings import is_whole, kept_finding
from analytics.margins import margins
from analytics.ratios import per_unit
from analytics.simulators.lever import checked
from analytics.simulators.tier_switch import repriced_tier, repricer
from warehouse.errors import InputError
from warehouse.reader import Warehouse

STAKE_COLUMNS = (
    "feature", "user_tier", "calls", "cost_per_call", "revenue_per_call", "cost_change", "revenue_change", "result", "gross_margin", "note",
)  # fmt: skip
PRICE_COLUMNS = ("price_change", "leaving", "revenue", "cost", "result", "gross_margin")
CHANGES = tuple(percent / 100 for percent in range(-50, 105, 5))
"""Changes of a price that a curve shows."""


def margins_of(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """`analytics.margins.margins` of these filters, kept on disk where they choose nothing: as a server starts, to put its question together and to
    compile it takes 0.6 s of CPU. Raises as it does."""

    def find() -> pd.DataFrame:
        return margins(warehouse, filters)

    return kept_finding(warehouse, "margins", find, filters) if is_whole(filters) else find()


def with_calls(
    margins: pd.DataFrame, times: float, features: Sequence[str] = (), tiers: Sequence[str] = (), *, scale: float = 1.0
) -> pd.DataFrame:
    """What changes when the calls of these features and tiers (none named: all) happen `times` as often (0: not any more), by feature and tier.

    Columns: feature, user_tier, calls (of the period), cost_per_call and revenue_per_call (Decimal, today; None where not known), cost_change and
    revenue_change (Decimal, times `scale`; what is split over tiers by their calls, GPUs say, costs as today), result (revenue_change -
    cost_change: what is left over more than today), gross_margin (today), note. None where not known. The largest loss first. Unless features are
    named, calls without one (feature None) change with the others: they cost, and what they earn is not known.

    Raises InputError for a negative `times`.
    """
    checked(times, "how many times as often calls happen", 0, 1000)
    change, by = Decimal(repr(float(times))) - 1, Decimal(repr(float(scale)))
    rows = []
    for row in margins.to_dict("records"):
        if row["kind"] not in (FEATURE, UNTAGGED) or (features and row["feature"] not in features):
            continue
        if tiers and row["user_tier"] not in tiers:
            continue
        shared = row["shared_by_calls"] or Decimal(0)
        cost = None if row["cost"] is None else (row["cost"] - shared) * change * by
        revenue = None if row["revenue"] is None else row["revenue"] * change * by
        rows.append(
            {
                **{name: row[name] for name in ("feature", "user_tier", "calls", "gross_margin", "note")},
                "cost_per_call": per_unit(row["cost"], int(row["calls"])),
                "revenue_per_call": per_unit(row["revenue"], int(row["calls"])),
                "cost_change": cost,
                "revenue_change": revenue,
                "result": None if cost is None or revenue is None else revenue - cost,
            }
        )
    rows.sort(
        key=lambda row: (
            row["result"] is None,
            row["result"] or 0,
            name_order(row["feature"]),
            name_order(row["user_tier"]),
        )
    )
    return pd.DataFrame(rows, columns=list(STAKE_COLUMNS), dtype=object)


def total_of(frame: pd.DataFrame, column: str) -> Decimal | None:
    """Sum of a money column of `with_calls`; None where nothing in it is known."""
    known = [value for value in frame[column] if value is not None and not pd.isna(value)]
    return sum(known, Decimal(0)) if known else None


def price_curve(
    margins: pd.DataFrame,
    feature: str,
    user_tier: str | None,
    *,
    leaving_per_tenth: float,
    changes: Sequence[float] = CHANGES,
    scale: float = 1.0,
) -> pd.DataFrame:
    """Revenue and cost of a feature and tier at other prices, if for every 10 % that the price rises this share of the users leaves.

    leaving_per_tenth is an assumption of the reader's, no finding. Cheaper prices bring nobody. Columns: price_change (0.1: 10 % more), leaving
    (share), revenue, cost and result (Decimal, times `scale`; result: what is left over more than today), gross_margin. At 0 nothing changes.
    Raises InputError for a pair without cost or revenue and for settings out of range.
    """
    checked(leaving_per_tenth, "the share of the users that leave for every 10% of the price", 0, 1)
    by = Decimal(repr(float(scale)))
    reprice = repricer(margins, feature, user_tier)
    rows = []
    for change in changes:
        leaving = min(1.0, max(0.0, change) * 10 * leaving_per_tenth)
        found = reprice(change, leaving)
        if found.revenue is None or not found.revenue:
            raise InputError(
                f"{feature} earns nothing that is tracked for {user_tier or 'its users'}: there is no price to change"
            )
        assert found.new_revenue is not None  # noqa: S101 - it is known where today's is
        assert found.result is not None  # noqa: S101
        rows.append(
            {
                "price_change": change,
                "leaving": leaving,
                "revenue": found.new_revenue * by,
                "cost": found.new_cost * by,
                "result": found.result * by,
                "gross_margin": found.new_margin,
            }
        )
    return pd.DataFrame(rows, columns=list(PRICE_COLUMNS), dtype=object)


def price_range(
    margins: pd.DataFrame, feature: str, user_tier: str | None, *, few: float, many: float, scale: float = 1.0
) -> pd.DataFrame:
    """`price_curve` under both ends of an assumption: few or many users leave for every 10 % that the price rises.

    Columns: price_change, then every other one of `price_curve` with the ending `_few_leave` and again with `_many_leave`.
    """
    least, most = (
        price_curve(margins, feature, user_tier, leaving_per_tenth=each, scale=scale) for each in (few, many)
    )
    return least.merge(most, on="price_change", suffixes=("_few_leave", "_many_leave"))


def most_that_may_leave(
    margins: pd.DataFrame, feature: str, user_tier: str | None, price_change: float
) -> float | None:
    """Share of the users from which on a higher price earns no more than today's: R p / (R (1 + p) - c), with the revenue R, the price's change p
    and the cost c of the calls that leave with them. None where the calls cost more than they would earn: then every user who leaves is a gain.
    """
    checked(price_change, "the change of the price", 0, 100)
    all_leave = repriced_tier(margins, feature, user_tier, leaving=1.0)
    if all_leave.revenue is None:
        return None
    change = Decimal(repr(float(price_change)))
    left = all_leave.revenue * (1 + change) - all_leave.saving
    return None if left <= 0 else min(1.0, float(all_leave.revenue * change / left))
