"""All-in cost per feature: its direct cost plus its part of what is shared, by rules that anybody can read.

Direct is what a billing line or a traced call names the feature for. Everything else of the ledger is shared. A rule (see
`analytics.allocation_rules`) divides the shared costs that it selects by a driver; each day's amount is divided by the use of its
whole calendar month, inside the rule's days, so that a fee booked on the first is not the matter of that day's calls, and days
sum to any range. Parts sum to the amount to the last digit (`analytics.splitting`). What no rule selects, what a rule leaves over, and what
nobody used a driver for stays in the row "Unallocated", which is always shown.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pandas as pd

from analytics.allocation_rules import DRIVERS, AllocationRule, allocation_rules
from analytics.cost_kinds import FEATURE
from analytics.currency import require_one_currency
from analytics.drivers import Use, driver_use
from analytics.filters import UNTAGGED, Filters, apply
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import ledger
from analytics.ratios import per_unit, share
from analytics.shared_costs import Shared, shared_costs
from analytics.splitting import split
from warehouse.reader import Warehouse
from warehouse.schema import COST_CATEGORIES

UNALLOCATED = "unallocated"
"""Kind of the row that no feature owes."""

DIRECT, BY_TRACES, BY_RULE = "direct", "by traces", "by rule"

NO_RULE, REST, NO_USE = "no rule selects it", "left over by the fixed percent", "nobody used the driver"


def column_of(category: str) -> str:
    """The column of `all_in_costs` with what is allocated of a cost category."""
    return "allocated_" + category.lower().replace(" ", "_")


ALLOCATED_COLUMNS = {column_of(category): category for category in COST_CATEGORIES}

COLUMNS = (
    "feature", "kind", "direct", "allocated", "total", "currency", "total_share", "calls", "total_per_call", *ALLOCATED_COLUMNS,
)  # fmt: skip
DETAIL = (
    "feature", "how", "rule", "driver", "category", "service", "cost", "currency", "cost_share", "shared_cost", "share_of_shared", "note",
)  # fmt: skip


def all_in_costs(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """All-in cost of every feature over the period, on the filters' basis, the dearest first, and last what is unallocated.

    Grain: one row per feature (`kind` "feature"), and one with `feature` None (`kind` "unallocated"), which is always there when no feature is
    filtered for and there is any cost. direct: what names the feature; allocated: its part of shared costs, of which
    allocated_<category> are the parts by cost category; total = direct + allocated. In the row "unallocated" only `total` is known.
    All in `currency`; the totals sum to the ledger's total to the last digit. total_share: part of that sum. calls: traced calls;
    total_per_call = total / calls.

    Filters on anything but the feature narrow the costs, not the use by which they are divided.

    Raises InputError when the costs are in several currencies, or a rule cannot be used.
    """
    return all_in_costs_under(warehouse, filters, allocation_rules(warehouse))


def all_in_costs_under(warehouse: Warehouse, filters: Filters, rules: tuple[AllocationRule, ...]) -> pd.DataFrame:
    """`all_in_costs` under these rules instead of the present ones: to see what a change would do."""
    parts, currency, calls = _parts(warehouse, filters, rules)
    sums: dict[str | None, Row] = {}
    for part in parts:
        row = sums.setdefault(
            part.feature, {name: Decimal(0) for name in ("direct", "allocated", "total", *ALLOCATED_COLUMNS)}
        )
        row["total"] += part.cost
        if part.how == BY_RULE:
            row["allocated"] += part.cost
            row[column_of(part.category or "Unclassified")] += part.cost
        else:
            row["direct"] += part.cost
    chosen = _chosen(filters)
    if parts and (chosen is None or UNTAGGED in chosen):
        rest = sums.get(None, {"total": Decimal(0)})
        sums[None] = {"total": rest["total"]}
    whole = sum((row["total"] for row in sums.values()), Decimal(0))
    rows: list[Row] = []
    for feature, row in sums.items():
        count = calls.get(feature, 0)
        names = {
            "feature": feature,
            "kind": UNALLOCATED if feature is None else FEATURE,
            "currency": currency,
            "calls": count,
        }
        per_call = None if feature is None else per_unit(row["total"], count)
        rows.append(names | {"total_share": share(row["total"], whole), "total_per_call": per_call} | row)
    rows.sort(key=lambda row: (row["feature"] is None, -row["total"], name_order(row["feature"])))
    return frame_of(rows, COLUMNS)


def allocation_detail(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Where the all-in cost of every feature comes from: its direct costs, and its part of each shared cost with the rule and driver.

    Grain: feature (None: unallocated), how, rule, category and service; by feature, then the dearest first. how: "direct" (line or call names the
    feature), "by traces" (the provider's bill, split by traced cost), "by rule", or "unallocated". cost: in `currency`; the rows of a feature
    sum to its total in `all_in_costs`. cost_share: part of the feature's total. shared_cost: of rows by rule, the whole amount
    that the rule divides in this service; share_of_shared = cost / shared_cost. note: of unallocated rows, why no feature owes them.
    """
    parts, currency, _calls = _parts(warehouse, filters, allocation_rules(warehouse))
    drivers = {rule.name: DRIVERS[rule.driver] for rule in allocation_rules(warehouse)}
    sums: dict[tuple[str | None, ...], Decimal] = defaultdict(Decimal)
    shared: dict[tuple[str | None, ...], Decimal] = defaultdict(Decimal)
    totals: dict[str | None, Decimal] = defaultdict(Decimal)
    for part in parts:
        sums[(part.feature, part.how, part.rule, part.category, part.service, part.note)] += part.cost
        totals[part.feature] += part.cost
        if part.rule is not None:
            shared[(part.rule, part.category, part.service)] += part.cost
    if _chosen(filters) is not None:
        # The other features' parts were left out above, and with them the whole that a rule divides.
        every, _currency, _counts = _parts(warehouse, filters.without("feature"), allocation_rules(warehouse))
        shared = defaultdict(Decimal)
        for part in every:
            if part.rule is not None:
                shared[(part.rule, part.category, part.service)] += part.cost
    rows: list[Row] = []
    for (feature, how, rule, category, service, note), cost in sums.items():
        whole = shared[(rule, category, service)] if rule is not None else None
        names = {"feature": feature, "how": how, "rule": rule, "category": category, "service": service, "note": note}
        rows.append(
            names | {
                "driver": drivers.get(rule or ""), "cost": cost, "currency": currency, "cost_share": share(cost, totals[feature]),
                "shared_cost": whole, "share_of_shared": share(cost, whole),
            }
        )  # fmt: skip
    rows.sort(
        key=lambda row: (*name_order(row["feature"]), -row["cost"],
                         *(name_order(row[name]) for name in ("how", "rule", "category", "service", "note")))
    )  # fmt: skip
    return frame_of(rows, DETAIL)


@dataclass(frozen=True)
class _Part:
    """A piece of the ledger's total: what one feature (None: nobody) owes of one category and service, and how it came to it."""

    feature: str | None
    how: str
    rule: str | None
    category: str | None
    service: str | None
    cost: Decimal
    note: str | None = None


def _parts(
    warehouse: Warehouse, filters: Filters, rules: tuple[AllocationRule, ...]
) -> tuple[list[_Part], str | None, dict[str | None, int]]:
    """All pieces, their currency, and traced calls by feature."""
    direct, currency, calls = _direct(warehouse, filters)
    shared, shared_currency = shared_costs(warehouse, filters, rules)
    currency = require_one_currency([currency, shared_currency])
    chosen = _chosen(filters)
    divided = _divided(warehouse, shared, rules, filters.basis)
    kept = [part for part in divided if chosen is None or (part.feature or UNTAGGED) in chosen]
    return direct + kept, currency, calls


def _chosen(filters: Filters) -> tuple[str, ...] | None:
    """The features that are filtered for; None: all."""
    return dict(filters.where).get("feature")


def _direct(warehouse: Warehouse, filters: Filters) -> tuple[list[_Part], str | None, dict[str | None, int]]:
    rows = apply(ledger(warehouse), filters)
    sums = rows.group_by(["feature", "allocation", "category", "service", "currency"]).agg(
        cost=rows[filters.basis].sum(), calls=rows.calls.sum().cast("int64")
    )
    found = rows_of(warehouse, sums)
    calls: dict[str | None, int] = defaultdict(int)
    for row in found:
        calls[row["feature"]] += row["calls"] or 0
    named = [row for row in found if row["feature"] is not None and row["cost"] is not None]
    currency = require_one_currency(row["currency"] for row in named)
    parts = [
        _Part(
            row["feature"], BY_TRACES if row["allocation"] == "by traces" else DIRECT, None, row["category"], row["service"], row["cost"]
        )
        for row in named
    ]  # fmt: skip
    return parts, currency, dict(calls)


def _divided(
    warehouse: Warehouse, shared: Sequence[Shared], rules: tuple[AllocationRule, ...], basis: str
) -> list[_Part]:
    """The shared costs by feature."""
    by_name = {rule.name: rule for rule in rules}
    weights = _Weights(warehouse, by_name, shared, basis)
    sums: dict[tuple[str | None, str | None, str | None, str | None, str | None], Decimal] = defaultdict(Decimal)
    for one in shared:
        rule = by_name.get(one.rule or "")
        if rule is None:
            sums[(None, None, one.category, one.service, NO_RULE)] += one.amount
            continue
        features, of_month, rest = weights.of(rule, one.date)
        if not features:
            sums[(None, rule.name, one.category, one.service, NO_USE)] += one.amount
            continue
        for feature, part in zip((*features, None), split(one.amount, [*of_month, rest]), strict=True):
            sums[(feature, rule.name, one.category, one.service, None if feature else REST)] += part
    return [
        _Part(feature, BY_RULE if feature else UNALLOCATED, rule_name, category, service, cost, note)
        for (feature, rule_name, category, service, note), cost in sums.items()
        if cost or note not in (None, REST)
    ]


class _Weights:
    """By what a rule divides the costs of a month: the features, their weights, and the weight of what nobody owes."""

    def __init__(
        self, warehouse: Warehouse, rules: dict[str, AllocationRule], shared: Sequence[Shared], basis: str
    ) -> None:
        self._known: dict[tuple[str, int, int], tuple[tuple[str, ...], list[Decimal], Decimal]] = {}
        self._use: dict[str, Use] = {}
        wanted = {rules[one.rule].driver for one in shared if one.rule in rules} - {"percent"}
        if wanted:
            days = [one.date for one in shared]
            last = max(days)
            first, end = min(days).replace(day=1), last.replace(day=calendar.monthrange(last.year, last.month)[1])
            self._use = {driver: driver_use(warehouse, driver, first, end, basis) for driver in sorted(wanted)}

    def of(self, rule: AllocationRule, day: date) -> tuple[tuple[str, ...], list[Decimal], Decimal]:
        """Features in the order of their names, without those of no weight. None at all: nobody used the driver."""
        key = (rule.name, day.year, day.month)
        if key not in self._known:
            self._known[key] = self._of_month(rule, day.year, day.month)
        return self._known[key]

    def _of_month(self, rule: AllocationRule, year: int, month: int) -> tuple[tuple[str, ...], list[Decimal], Decimal]:
        if rule.driver == "percent":
            parts = dict(rule.percent)
            return tuple(parts), list(parts.values()), 100 - sum(parts.values(), Decimal(0))
        used: dict[str, Decimal] = defaultdict(Decimal)
        for number in range(1, calendar.monthrange(year, month)[1] + 1):
            day = date(year, month, number)
            if rule.holds_on(day):
                for feature, amount in self._use[rule.driver].get(day, {}).items():
                    if not rule.targets or feature in rule.targets:
                        used[feature] += amount
        features = tuple(sorted(feature for feature, amount in used.items() if amount > 0))
        return features, [used[feature] for feature in features], Decimal(0)
