"""Does the bill agree with the traces, and if not, why: the provider's invoice beside what the traced calls cost.

Compared are the bill's lines for model usage (categories "LLM API" and "Embedding") and the traced calls of the same provider and model, on the days
that the bill covers. The gap is taken apart day by day as far as causes can be shown (`analytics.reconciliation_causes` has the formulas); the rest
is called unexplained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd

from analytics.currency import require_one_currency
from analytics.filters import FILTERABLE, Filters, apply, first_day
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import traced_calls
from analytics.ratios import share
from analytics.reconciliation_causes import Cell, Day, explain
from analytics.reconciliation_sides import (
    COLUMNS_OF_CLASS,
    Model,
    Prices,
    bill_lines,
    reported_tokens,
    traced_tokens,
    whole_months,
)
from warehouse.reader import Warehouse

CAUSES = (
    "missing_calls", "unpriced", "token_class", "batch_or_tier", "price_date", "day_boundary", "retries_failures", "credits",
    "adjustments", "unexplained",
)  # fmt: skip

COLUMNS = (
    "provider", "model", "period", "estimated", "billed", "gap", *CAUSES, "gap_share", "currency", "calls", "unpriced_calls", "not_billed",
)  # fmt: skip

_PLACES = Decimal("0.000000000001")


def reconciliation(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Traces' estimate beside the bill by provider, model and period, the oldest period first, then the largest bill.

    Grain: provider, model and period (its first day, of the filters' grain); money in `currency`. `model` is None for a provider whose bill
    names no model in the chosen days: then all its models are compared together. Of the filters the period, provider, model and
    currency apply: a bill knows no features.

    estimated: known cost of the traced calls on days that the bill covers. billed: the bill's lines for model usage on the filters' basis, net
    of credits. gap = billed - estimated = the sum of the causes, exactly:
    missing_calls: billed usage that was never traced (calls past the gateway); unpriced: calls that were traced without a known cost;
    token_class: tokens that the bill counts in another class than the traces; batch_or_tier: in another processing or context tier, or at
    its price; price_date: at the price of another time; day_boundary: on the day before or after; retries_failures: failed calls
    that were traced with a cost and not billed; credits; adjustments: taxes and corrections; unexplained: the rest.
    A day's lines are taken apart by tokens where every one names a model and direction and the price of a token is known (from the
    line, a usage report or the books); else a day without a traced call is missing_calls, one without a priced call unpriced.

    gap_share = gap / billed. Where no bill covers the provider, billed, gap and causes are None and estimated is the known cost of all its
    calls. not_billed: elsewhere, the known cost of calls on days that the bill does not cover (yet), which no comparison can include;
    estimated and not_billed sum to the cost of all calls. calls, unpriced_calls: traced calls, and those of them without a price.

    Raises InputError when the bills are in another currency than the traces (USD), and a day has no exchange rate.
    """
    filters = filters.without(*(name for name in FILTERABLE if name not in ("provider", "model", "currency")))
    first, last = whole_months(filters)
    # Causes are worked out over whole months, so that a day's do not depend on the period that was asked for.
    wide = replace(filters, start=first, end=last)
    chosen = range(filters.start.toordinal(), filters.end.toordinal() + 1)
    all_lines = bill_lines(warehouse, wide)
    bill = [row for row in all_lines if row["date"].toordinal() in chosen]
    calls = rows_of(warehouse, _calls(warehouse, wide))
    require_one_currency([*(row["currency"] for row in bill), *("USD" for _ in calls[:1])])
    named = {row["provider"] for row in bill if row["model"] is not None}
    unnamed = {row["provider"] for row in bill} - named
    sides: dict[tuple[str | None, str | None, date], _Side] = defaultdict(_Side)
    traced: dict[Model, dict[date, Row]] = defaultdict(dict)
    for row in calls:
        model = None if row["provider"] in unnamed else row["model"]
        if row["is_covered"]:
            nothing: Row = {"calls": 0, "unpriced_calls": 0, "cost": Decimal(0)}
            day = traced[(row["provider"], model)].setdefault(row["date"], nothing)
            for name in nothing:
                day[name] += row[name] or 0
        if row["date"].toordinal() not in chosen:
            continue
        side = sides[(row["provider"], model, first_day(row["date"], filters.grain))]
        side.calls += row["calls"]
        side.unpriced_calls += row["unpriced_calls"]
        if not row["is_covered"]:
            side.not_billed = _plus(side.not_billed, row["cost"])
            continue
        side.is_covered = True
        side.estimated = _plus(side.estimated, row["cost"])
    detailed = _detailed(warehouse, wide, [row for row in all_lines if row["provider"] in named], traced, named)
    for (model_key, day_key), causes in detailed.items():
        if day_key.toordinal() in chosen:
            side = sides[(*model_key, first_day(day_key, filters.grain))]
            for cause, amount in causes.items():
                side.causes[cause] += amount.quantize(_PLACES)
    for row in bill:
        model_key = (row["provider"], row["model"])
        side = sides[(*model_key, first_day(row["date"], filters.grain))]
        side.billed = _plus(side.billed, row["amount"])
        side.currency = row["currency"]
        if _is_usage(row) and (model_key, row["date"]) in detailed:
            continue
        cause_name = _cause(row, traced[model_key], row["provider"] in named)
        if cause_name:
            side.causes[cause_name] += row["amount"]
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


def _is_usage(line: Row) -> bool:
    return line["category"] not in ("Credit", "Tax", "Adjustment")


def _detailed(
    warehouse: Warehouse,
    filters: Filters,
    bill: Sequence[Row],
    traced: Mapping[Model, Mapping[date, Row]],
    named: set[str | None],
) -> dict[tuple[Model, date], dict[str, Decimal]]:
    """Causes by model and day, of the days whose lines can be taken apart by tokens."""
    usage = [row for row in bill if _is_usage(row) and row["model"] is not None]
    models = {(row["provider"], row["model"]) for row in usage}
    models |= {model for model in traced if model[0] in named and model[1] is not None}
    if not models:
        return {}
    prices, reports = Prices(warehouse, models), reported_tokens(warehouse, filters)
    tokens: dict[Model, dict[date, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in traced_tokens(warehouse, filters):
        tokens[(row["provider"], row["model"])][row["day"]].append(row)
    lines: dict[Model, dict[date, list[Row]]] = defaultdict(lambda: defaultdict(list))
    coarse: set[tuple[Model, date]] = set()
    for row in usage:
        model = (row["provider"], row["model"])
        lines[model][row["date"]].append(row)
        if row["token_class"] is None or row["last"] != row["date"]:
            days = (row["last"] - row["date"]).days + 1
            coarse.update((model, row["date"] + timedelta(days=n)) for n in range(days))
    found: dict[tuple[Model, date], dict[str, Decimal]] = {}
    for model in models:
        days_of = {}
        for day in lines[model].keys() | traced.get(model, {}).keys():
            facts = traced.get(model, {}).get(day)
            if (model, day) in coarse or (facts and facts["calls"] == facts["unpriced_calls"]):
                continue
            cost = facts["cost"] if facts else Decimal(0)
            one = _day(model, day, lines[model][day], tokens[model][day], cost, prices, reports.get((model, day), {}))
            if one.is_usable:
                days_of[day] = one
        found |= {((model[0], model[1]), day): causes for day, causes in explain(days_of).items()}
    return found


def _day(
    model: Model,
    day: date,
    lines: Iterable[Row],
    tokens: Iterable[Row],
    cost: Decimal,
    prices: Prices,
    reported: Mapping[tuple[str, str], Decimal],
) -> Day:
    cells: dict[tuple[str, str], Cell] = defaultdict(Cell)
    for line in lines:
        cell = cells[(line["token_class"], line["processing"])]
        cell.amount += line["amount"]
        told = line["tokens"]
        cell.billed_tokens = None if cell.billed_tokens is None or told is None else cell.billed_tokens + told
    for key, cell in cells.items():
        if cell.billed_tokens is None:
            # A usage report of the provider says what a bill without quantities does not.
            cell.billed_tokens = reported.get(key) or None
    known: dict[tuple[str, str], int] = defaultdict(int)
    for row in tokens:
        for kind, columns in COLUMNS_OF_CLASS.items():
            count = sum(row[name] for name in columns)
            if not count:
                continue
            cell = cells[(kind, row["processing"])]
            if not row["known"]:
                cell.unpriced_tokens += count
                continue
            cell.traced_tokens += count
            cell.failed_tokens += count if row["failed"] else 0
            for name in columns:
                known[(row["processing"], name)] += row[name]
    for (kind, processing), cell in cells.items():
        _set_prices(cell, model, day, kind, processing, known, prices)
    by_traces = dict(known)
    if prices.has_tiers(model):
        # Daily sums do not tell which calls were long: what the traces recorded is taken as it is.
        return Day(dict(cells), cost)
    return Day(dict(cells), cost, prices.at(model, by_traces, day), tuple(prices.at_others(model, by_traces, day)))


def _set_prices(
    cell: Cell,
    model: Model,
    day: date,
    kind: str,
    processing: str,
    known: Mapping[tuple[str, str], int],
    prices: Prices,
) -> None:
    """The book's price of a class: that of its columns, weighed by what was traced in each."""
    columns = [name for name in COLUMNS_OF_CLASS[kind] if known.get((processing, name))]
    if not columns:
        columns = [COLUMNS_OF_CLASS[kind][0]]
    each = [prices.price(model, processing, name, day) for name in columns]
    weights = [Decimal(known.get((processing, name)) or 1) for name in columns]
    if all(price is not None for price in each):
        whole = sum(
            (price * weight for price, weight in zip(each, weights, strict=True) if price is not None), Decimal(0)
        )
        cell.price = each[0] if len(each) == 1 else whole / sum(weights)
    cell.other_prices = tuple(prices.others(model, processing, columns[0], day))


def _cause(line: Row, traced: Mapping[date, Row], names_models: bool) -> str | None:
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
