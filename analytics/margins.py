"""Which feature, for which users, earns more than it costs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from analytics.cost_kinds import FEATURE, NOT_TRACED, SHARED, UNTAGGED, cost_kind
from analytics.currency import require_one_currency
from analytics.earnings import earned
from analytics.filters import Filters, apply
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import ledger
from analytics.ratios import gross_margin, per_unit
from analytics.splitting import split
from warehouse.reader import Warehouse

COLUMNS = (
    "feature", "user_tier", "kind", "calls", "cost", "currency", "revenue", "gross_margin", "profitable", "note", "cost_per_call",
    "revenue_per_call", "saving_if_off", "shared_by_calls", "unpriced_calls", "days",
)  # fmt: skip

ALONE = "revenue alone"
"""Kind of a row that has revenue and no cost; the others are those of `analytics.cost_kinds`."""

_Key = tuple[str, str | None, str | None]
"""Kind, feature, tier."""


def margins(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Cost, revenue and gross margin of each feature and user tier over the whole period, the dearest first.

    cost: from the ledger, on the filters' basis: model calls and billing lines that carry the feature's tag. Lines of a feature that name
    no tier (its GPU, say) are split over the feature's tiers by their calls; `shared_by_calls` is that part of the cost. Costs
    sum to the ledger's total: what no feature owes has `feature` None and says in `kind` what it is: "untagged" (calls without a
    feature), "not traced" (billed model usage without any traced call), "shared" (infrastructure whose lines name no
    feature). `kind` "revenue alone" is revenue that names no feature, or a feature and tier without any cost.

    revenue: see `analytics.earnings`. A tier without revenue earns 0 when its feature's revenue is tracked by tier, else its revenue
    is not known (None). Where a feature's calls name no tier at all, its revenue stands in one row without tier.
    gross_margin = (revenue - cost) / revenue. profitable: revenue above cost; None where either is not known. `note` says why a margin
    is missing or a cost incomplete.

    saving_if_off = cost - revenue where that is positive: what would be left over if the pair were switched off, over the
    period's `days`, and if nobody's behaviour elsewhere changed.

    Raises InputError when costs or revenues are in several currencies.
    """
    costs, incomes = _costs(warehouse, filters), _incomes(warehouse, filters)
    currency = require_one_currency(row["currency"] for row in (*costs, *incomes) if row["has_money"])
    sums = _by_key(costs)
    tiers = _tiers_with_calls(sums)
    for feature, weights in tiers.items():
        _share_out(sums, feature, weights)
    revenue_of = _revenues(incomes, tiers, {feature for kind, feature, _tier in sums if kind == FEATURE})
    tracked = {feature for feature, tier in revenue_of if tier is not None}
    for feature, tier in revenue_of:
        if (FEATURE, feature, tier) not in sums:
            sums[(ALONE, feature, tier)] = _Sums()
    rows: list[Row] = []
    for (kind, feature, tier), sum_ in sums.items():
        revenue = revenue_of.get((feature, tier)) if kind in (FEATURE, ALONE) else None
        if kind == FEATURE and revenue is None and feature in tracked and tier is not None:
            revenue = Decimal(0)
        names = {"feature": feature, "user_tier": tier, "kind": kind, "currency": currency, "days": filters.days}
        rows.append(names | _judgement(kind, sum_, revenue))
    rows.sort(key=lambda row: (row["cost"] is None, -(row["cost"] or 0), row["kind"] != FEATURE,
                               name_order(row["feature"]), name_order(row["user_tier"]), row["kind"]))  # fmt: skip
    return frame_of(rows, COLUMNS)


@dataclass
class _Sums:
    """What is summed for one row. `cost` None: not known."""

    cost: Decimal | None = None
    calls: int = 0
    unpriced_calls: int = 0
    shared_by_calls: Decimal = Decimal(0)

    def add(self, cost: Decimal | None) -> None:
        if cost is not None:
            self.cost = cost if self.cost is None else self.cost + cost


def _costs(warehouse: Warehouse, filters: Filters) -> list[Row]:
    rows = apply(ledger(warehouse), filters)
    is_line = (rows.ledger == "bill") & (rows.allocation == "direct")
    rows = rows.mutate(kind=cost_kind(rows), is_line=is_line)
    sums = rows.group_by(["kind", "feature", "user_tier", "is_line", "currency"]).agg(
        cost=rows[filters.basis].sum(),
        calls=rows.calls.sum().cast("int64"),
        unpriced_calls=rows.unpriced_calls.sum().cast("int64"),
        has_money=rows[filters.basis].notnull().any(),
    )
    return rows_of(warehouse, sums)


def _incomes(warehouse: Warehouse, filters: Filters) -> list[Row]:
    rows = earned(warehouse, filters)
    sums = rows.group_by(["feature", "user_tier", "currency"]).agg(
        revenue=rows.revenue.sum(), has_money=rows.revenue.notnull().any()
    )
    return [row for row in rows_of(warehouse, sums) if row["has_money"]]


_LINES_OF = "lines of"
"""Kind, while summing, of a feature's billing lines that name no tier."""


def _by_key(costs: list[Row]) -> dict[_Key, _Sums]:
    sums: dict[_Key, _Sums] = defaultdict(_Sums)
    for row in costs:
        apart = row["kind"] == FEATURE and row["user_tier"] is None and row["is_line"]
        into = sums[(_LINES_OF if apart else row["kind"], row["feature"], row["user_tier"])]
        into.add(row["cost"])
        into.calls += row["calls"]
        into.unpriced_calls += row["unpriced_calls"]
    return dict(sums)


def _tiers_with_calls(sums: dict[_Key, _Sums]) -> dict[str | None, dict[str | None, int]]:
    """Calls by tier of every feature, in the order of the tiers' names; a feature whose calls name no tier has none."""
    tiers: dict[str | None, dict[str | None, int]] = {}
    for kind, feature, tier in sorted(sums, key=lambda key: (name_order(key[1]), name_order(key[2]))):
        if kind in (FEATURE, _LINES_OF):
            of_feature = tiers.setdefault(feature, {})
            if tier is not None and sums[(kind, feature, tier)].calls:
                of_feature[tier] = sums[(kind, feature, tier)].calls
    return tiers


def _share_out(sums: dict[_Key, _Sums], feature: str | None, weights: dict[str | None, int]) -> None:
    """Put a feature's lines without tier on its tiers, by calls; on the row without tier when no call names one."""
    lines = sums.pop((_LINES_OF, feature, None), None)
    if lines is None or lines.cost is None:
        return
    if not weights:
        sums.setdefault((FEATURE, feature, None), _Sums()).add(lines.cost)
        return
    for tier, part in zip(weights, split(lines.cost, list(weights.values())), strict=True):
        into = sums[(FEATURE, feature, tier)]
        into.add(part)
        into.shared_by_calls += part


def _revenues(
    incomes: list[Row], tiers: dict[str | None, dict[str | None, int]], features: set[str | None]
) -> dict[tuple[str | None, str | None], Decimal]:
    """Revenue by feature and tier; without tier for features whose costs name none."""
    revenue_of: dict[tuple[str | None, str | None], Decimal] = defaultdict(Decimal)
    for row in incomes:
        feature = row["feature"]
        tierless = feature in features and not tiers.get(feature)
        revenue_of[(feature, None if tierless else row["user_tier"])] += row["revenue"]
    return dict(revenue_of)


def _judgement(kind: str, sums: _Sums, revenue: Decimal | None) -> Row:
    """Figures, verdict and note of one row."""
    cost = sums.cost
    notes = []
    if kind in (UNTAGGED, SHARED, NOT_TRACED):
        notes.append("names no feature")
    elif revenue is None:
        notes.append("revenue not tracked")
    elif revenue == 0:
        notes.append("no revenue")
    if cost is None:
        notes.append("cost not known")
    elif sums.unpriced_calls:
        notes.append(f"{sums.unpriced_calls} calls without a price")
    profitable = None if revenue is None or cost is None else revenue > cost
    return {
        "calls": sums.calls,
        "cost": cost,
        "revenue": revenue,
        "gross_margin": gross_margin(revenue, cost),
        "profitable": profitable,
        "note": ", ".join(notes) or None,
        "cost_per_call": per_unit(cost, sums.calls),
        "revenue_per_call": per_unit(revenue, sums.calls),
        "saving_if_off": _loss(cost, revenue) if kind == FEATURE else None,
        "shared_by_calls": sums.shared_by_calls,
        "unpriced_calls": sums.unpriced_calls,
    }


def _loss(cost: Decimal | None, revenue: Decimal | None) -> Decimal | None:
    return cost - revenue if cost is not None and revenue is not None and cost > revenue else None


@dataclass(frozen=True)
class MarginSummary:
    """What the margins of a period say in short. Amounts in `currency`.

    pairs: feature and tier pairs with a verdict; loss_makers: those that cost more than they earn; saving: the sum of their
    `saving_if_off`. worst: the row of the largest saving among pairs that do earn something (None: no such pair).
    unattributed: cost that no feature owes.
    """

    currency: str | None
    pairs: int
    loss_makers: int
    saving: Decimal
    worst: Row | None
    unattributed: Decimal


def summary(warehouse: Warehouse, filters: Filters) -> MarginSummary:
    """The margins of the period in short. Raises InputError when costs or revenues are in several currencies."""
    frame = margins(warehouse, filters)
    rows: list[Row] = [dict(zip(COLUMNS, values, strict=True)) for values in frame.itertuples(index=False)]
    losing = [row for row in rows if row["saving_if_off"] is not None]
    earning = [row for row in losing if row["revenue"]]
    return MarginSummary(
        currency=rows[0]["currency"] if rows else None,
        pairs=sum(1 for row in rows if row["kind"] == FEATURE and row["profitable"] is not None),
        loss_makers=len(losing),
        saving=sum((row["saving_if_off"] for row in losing), Decimal(0)),
        worst=max(earning, key=lambda row: row["saving_if_off"], default=None),
        unattributed=sum((row["cost"] for row in rows if row["feature"] is None and row["cost"]), Decimal(0)),
    )
