"""Does the bill agree with the traces, and if not, why: the provider's invoice beside what the traced calls cost.

Compared are the bill's lines for model usage (categories "LLM API" and "Embedding") and the traced calls of the same provider and model, on the days
that the bill covers. The gap is taken apart as far as causes can be shown, day by day; the rest is called unexplained.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd

from analytics.currency import require_one_currency
from analytics.filters import FILTERABLE, Filters, apply, first_day
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.infrastructure import FILTER_COLUMNS
from analytics.ledger import MODEL_CATEGORIES, traced_calls
from analytics.ratios import share
from warehouse.reader import Warehouse

CAUSES = ("missing_calls", "unpriced", "credits", "adjustments", "unexplained")

COLUMNS = (
    "provider", "model", "period", "estimated", "billed", "gap", *CAUSES, "gap_share", "currency", "calls", "unpriced_calls", "not_billed",
)  # fmt: skip


def reconciliation(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Traces' estimate beside the bill by provider, model and period, the oldest period first, then the largest bill.

    Grain: provider, model and period (its first day, of the filters' grain); money in `currency`. `model` is None for a provider whose bill
    names no model in the chosen days: then all its models are compared together. Of the filters the period, provider, model and
    currency apply: a bill knows no features.

    estimated: known cost of the traced calls on days that the bill covers. billed: the bill's lines for model usage on the filters' basis, net
    of credits. gap = billed - estimated = the sum of the causes, exactly:
    missing_calls: billed usage of days on which not one call of the model was traced (calls past the gateway);
    unpriced: billed usage of days on which calls were traced but none has a price; credits; adjustments: taxes and corrections;
    unexplained: the rest. gap_share = gap / billed.
    Where no bill covers the provider, billed, gap and causes are None and estimated is the known cost of all its calls. not_billed: elsewhere, the
    known cost of calls on days that the bill does not cover (yet), which no comparison can include; estimated and not_billed sum to
    the cost of all calls. calls, unpriced_calls: traced calls, and those of them without a price.

    Raises InputError when the bills are in another currency than the traces (USD).
    """
    filters = filters.without(*(name for name in FILTERABLE if name not in ("provider", "model", "currency")))
    bill = rows_of(warehouse, _bill(warehouse, filters))
    calls = rows_of(warehouse, _calls(warehouse, filters))
    require_one_currency([*(row["currency"] for row in bill), *("USD" for _ in calls[:1])])
    named = {row["provider"] for row in bill if row["model"] is not None}
    unnamed = {row["provider"] for row in bill} - named
    sides: dict[tuple[str | None, str | None, date], _Side] = defaultdict(_Side)
    traced: dict[tuple[str | None, str | None], dict[date, Row]] = defaultdict(dict)
    for row in calls:
        model = None if row["provider"] in unnamed else row["model"]
        side = sides[(row["provider"], model, first_day(row["date"], filters.grain))]
        side.calls += row["calls"]
        side.unpriced_calls += row["unpriced_calls"]
        if not row["is_covered"]:
            side.not_billed = _plus(side.not_billed, row["cost"])
            continue
        side.is_covered = True
        side.estimated = _plus(side.estimated, row["cost"])
        day = traced[(row["provider"], model)].setdefault(row["date"], {"calls": 0, "unpriced_calls": 0})
        day["calls"] += row["calls"]
        day["unpriced_calls"] += row["unpriced_calls"]
    for row in bill:
        side = sides[(row["provider"], row["model"], first_day(row["date"], filters.grain))]
        side.billed = _plus(side.billed, row["amount"])
        side.currency = row["currency"]
        cause = _cause(row, traced[(row["provider"], row["model"])], row["provider"] in named)
        if cause:
            side.causes[cause] += row["amount"]
    rows = [_row(*key, side) for key, side in sides.items()]
    rows.sort(key=lambda row: (row["period"], row["billed"] is None, -(row["billed"] or row["not_billed"] or 0),
                               name_order(row["provider"]), name_order(row["model"])))  # fmt: skip
    return frame_of(rows, COLUMNS)


@dataclass
class _Side:
    """What is summed for one row."""

    estimated: Decimal | None = None
    billed: Decimal | None = None
    not_billed: Decimal | None = None
    calls: int = 0
    unpriced_calls: int = 0
    currency: str = "USD"
    is_covered: bool = False
    causes: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def _plus(known: Decimal | None, amount: Decimal | None) -> Decimal | None:
    return known if amount is None else amount if known is None else known + amount


def _bill(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """Known amounts of model usage by day, provider, model and charge category."""
    lines = apply(warehouse.table("charges_daily"), filters, FILTER_COLUMNS)
    lines = lines.filter(lines.x_CostCategory.isin(MODEL_CATEGORIES), lines[filters.basis].notnull())
    keys = {"model": lines.x_Model, "currency": lines.BillingCurrency, "category": lines.ChargeCategory}
    last = ibis.greatest(lines.date, lines.covered_to)
    return lines.group_by("date", "provider", last=lines.whole_days.ifelse(last, lines.date), **keys).agg(
        amount=lines[filters.basis].sum()
    )


def _calls(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """Traced calls by provider, model and the day by which the bill that covers them was cut."""
    calls = traced_calls(warehouse)
    calls = calls.mutate(date=calls.covered_utc_date.ifelse(calls.utc_date, calls.date), currency=ibis.literal("USD"))
    calls = apply(calls, filters)
    return calls.group_by(["date", "provider", "model", "is_covered"]).agg(
        cost=calls.cost.sum(),
        calls=calls.calls.sum().cast("int64"),
        unpriced_calls=calls.unpriced_calls.sum().cast("int64"),
    )


def _cause(line: Row, traced: dict[date, Row], names_models: bool) -> str | None:
    """Why a billed amount stands in the gap; None when traced calls stand against it, or nothing can be said."""
    if line["category"] == "Credit":
        return "credits"
    if line["category"] in ("Tax", "Adjustment"):
        return "adjustments"
    if line["model"] is None and names_models:
        return None
    days = (line["last"] - line["date"]).days + 1
    found = [traced[day] for day in (line["date"] + timedelta(days=n) for n in range(days)) if day in traced]
    if not found:
        return "missing_calls"
    return "unpriced" if all(day["calls"] == day["unpriced_calls"] for day in found) else None


def _row(provider: str | None, model: str | None, period: date, side: _Side) -> Row:
    row: Row = {
        "provider": provider, "model": model, "period": period, "estimated": side.estimated, "billed": side.billed,
        "currency": side.currency, "calls": side.calls, "unpriced_calls": side.unpriced_calls, "not_billed": side.not_billed,
    }  # fmt: skip
    if side.billed is None and not side.is_covered:
        return row | {"estimated": side.not_billed, "not_billed": None}
    # A covered model that the bill does not name was billed nothing.
    billed = side.billed or Decimal(0)
    gap = billed - (side.estimated or Decimal(0))
    causes = {name: side.causes[name] for name in CAUSES[:-1]}
    causes["unexplained"] = gap - sum(causes.values(), Decimal(0))
    return row | {"billed": billed, "gap": gap, "gap_share": share(gap, billed)} | causes
