"""Shared costs: what the ledger holds that names no feature, each amount with the allocation rule that takes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from analytics.allocation_rules import AllocationRule
from analytics.currency import require_one_currency
from analytics.filters import Filters, apply
from analytics.frames import Row, name_order, rows_of
from analytics.fx import in_reporting_currency
from analytics.infrastructure import FILTER_COLUMNS
from analytics.ledger import MODEL_CATEGORIES, MONEY, ledger
from warehouse.reader import Warehouse

_LEDGER = {name: (name,) for name in ("category", "service", "account", "provider", "model", "project", "team", "env")}
_LINES: Mapping[str, tuple[str, ...]] = _LEDGER | {
    "category": ("x_CostCategory",),
    "service": ("ServiceName",),
    "model": ("x_Model",),
    "account": ("BillingAccountId", "SubAccountId", "SubAccountName"),
    "resource": ("ResourceId", "ResourceName"),
}
_LINE_AMOUNT = {"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost"}


class Shared(NamedTuple):
    """An amount of one day that names no feature, and the rule that takes it (None: no rule does)."""

    date: date
    category: str | None
    service: str | None
    rule: str | None
    amount: Decimal


def shared_costs(
    warehouse: Warehouse, filters: Filters, rules: Sequence[AllocationRule]
) -> tuple[list[Shared], str | None]:
    """The known costs of the period that name no feature, by day, category, service and rule, in a fixed order, and their currency.

    They sum to the ledger's rows without a feature. Filters apply, except one on the feature. Rules that select an account or a resource see single
    billing lines (payer, member account and its name; resource id and name), others the ledger.

    Raises InputError when the costs are in several currencies.
    """
    filters = filters.without("feature")
    rows = apply(ledger(warehouse), filters)
    rows = rows.filter(rows.feature.isnull(), rows[filters.basis].notnull())
    by_line = any(field in ("account", "resource") for rule in rules for field, _pattern in rule.select)
    is_line = (rows.ledger == "bill") & (rows.allocation == "direct")
    found = _ruled(warehouse, rows.filter(~is_line) if by_line else rows, rules, _LEDGER, filters.basis)
    if by_line:
        whole = _ruled(warehouse, rows.filter(is_line), (), _LEDGER, filters.basis)
        found += _rounded_alike(_lines(warehouse, filters, rules), whole)
    currency = require_one_currency(row["currency"] for row in found)
    shared = [Shared(row["date"], row["category"], row["service"], row["rule"], row["amount"]) for row in found]
    shared.sort(key=lambda one: (one.date, name_order(one.category), name_order(one.service), name_order(one.rule)))
    return shared, currency


def _lines(warehouse: Warehouse, filters: Filters, rules: Sequence[AllocationRule]) -> list[Row]:
    """Billing lines of infrastructure that name no feature, by rule."""
    lines = warehouse.table("charge_lines")
    lines = lines.mutate(native_currency=lines.BillingCurrency, amount=lines[_LINE_AMOUNT[filters.basis]])
    lines = apply(in_reporting_currency(warehouse, lines, ("amount",)), filters, FILTER_COLUMNS)
    is_model_use = lines.x_CostCategory.isin(MODEL_CATEGORIES).fill_null(False)
    lines = lines.filter(lines.feature.isnull(), lines.amount.notnull(), ~is_model_use)
    return _ruled(warehouse, lines, rules, _LINES, "amount")


def _ruled(
    warehouse: Warehouse,
    rows: ir.Table,
    rules: Sequence[AllocationRule],
    fields: Mapping[str, tuple[str, ...]],
    amount: str,
) -> list[Row]:
    """Sums by day, category, service, currency and the first rule that matches."""
    cases = [(_matches(rows, rule, fields), ibis.literal(rule.name)) for rule in rules]
    rows = rows.mutate(
        rule=ibis.cases(*cases, else_=ibis.null("string")) if cases else ibis.null("string"),
        category=rows[fields["category"][0]],
        service=rows[fields["service"][0]],
    )
    keys = ["date", "category", "service", "currency", "rule"]
    return rows_of(warehouse, rows.group_by(keys).agg(amount=rows[amount].sum().cast(MONEY)))


def _matches(rows: ir.Table, rule: AllocationRule, fields: Mapping[str, tuple[str, ...]]) -> ir.BooleanValue:
    condition: ir.BooleanValue = ibis.literal(True)
    if rule.valid_from:
        condition = condition & (rows.date >= ibis.date(rule.valid_from.isoformat()))
    if rule.valid_to:
        condition = condition & (rows.date <= ibis.date(rule.valid_to.isoformat()))
    for field, pattern in rule.select:
        found: ir.BooleanValue = ibis.literal(False)
        for column in fields.get(field, ()):
            found = found | rows[column].re_search(f"(?i){pattern}").fill_null(False)
        condition = condition & found
    return condition


def _rounded_alike(parts: list[Row], whole: list[Row]) -> list[Row]:
    """Parts whose sums are the ledger's: converted line by line instead of day by day, the last digit may differ, and goes to the largest."""
    keys = ("date", "category", "service", "currency")
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for part in parts:
        groups[tuple(part[key] for key in keys)].append(part)
    for row in whole:
        group = groups[tuple(row[key] for key in keys)]
        largest = max(group, key=lambda part: (abs(part["amount"]), part["rule"] or ""))
        largest["amount"] += row["amount"] - sum((part["amount"] for part in group), Decimal(0))
    return parts
