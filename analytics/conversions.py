"""Which costs were converted at which exchange rates, from which source: what stands beside every total in a converted currency."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from analytics.filters import Filters, apply
from analytics.frames import frame_of, rows_of
from analytics.fx import CALLS_CURRENCY, MONEY, daily_rates
from analytics.ledger import traced_calls
from analytics.totals import CHARGE_COLUMNS
from warehouse.reader import Warehouse

COLUMNS = (
    "currency", "reporting_currency", "days", "days_without_rate", "first_missing", "native_effective", "effective", "lowest_rate",
    "highest_rate", "latest_rate_date", "sources",
)  # fmt: skip


def fx(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """The conversions of the period: costs of the ledger in other currencies than the reporting one, and the rates used.

    Grain: one row per currency, in the order of their codes; empty when every cost is in the reporting currency. days: days with costs in it;
    days_without_rate and first_missing: those that could not be converted, and the first of them; native_effective: effective cost as
    billed or estimated, of all these days; effective: the same in the reporting currency (None: a rate is missing); lowest_rate,
    highest_rate: units of the reporting currency for one; latest_rate_date: the newest date of a rate used; sources: where they come from.
    """
    reporting = warehouse.configuration.reporting_currency
    if not warehouse.once("other currencies", lambda: _other_currencies(warehouse)):
        return frame_of([], COLUMNS)
    native = ibis.union(_billed(warehouse, filters), _estimated(warehouse, filters))
    native = native.filter(native.native_currency != reporting, native.cost.notnull())
    by_day = native.group_by(["date", "native_currency"]).agg(native_effective=native.cost.sum().cast(MONEY))
    rates = daily_rates(warehouse)
    rates = rates.select(
        rate_day=rates.date, rate_of=rates.currency, rate=rates.rate, rate_date=rates.rate_date, source=rates.source
    )
    days = by_day.left_join(rates, [by_day.date == rates.rate_day, by_day.native_currency == rates.rate_of])
    missing = days.rate.isnull()
    sums = days.group_by(currency=days.native_currency).agg(
        days=days.count(),
        days_without_rate=missing.sum().cast("int64"),
        first_missing=days.date.min(where=missing),
        native_effective=days.native_effective.sum().cast(MONEY),
        effective=(days.native_effective * days.rate).cast(MONEY).sum().cast(MONEY),
        lowest_rate=days.rate.min(),
        highest_rate=days.rate.max(),
        latest_rate_date=days.rate_date.max(),
        sources=days.source.collect(),
    )
    rows = rows_of(warehouse, sums)
    for row in rows:
        row["reporting_currency"] = reporting
        row["sources"] = ", ".join(sorted({source for source in row["sources"] or () if source})) or None
        if row["days_without_rate"]:
            row["effective"] = None
    rows.sort(key=lambda row: row["currency"])
    return frame_of(rows, COLUMNS)


def _other_currencies(warehouse: Warehouse) -> bool:
    """Whether any cost of the store is in another currency than the reporting one: every page asks, and most stores have one currency."""
    reporting = warehouse.configuration.reporting_currency
    lines = warehouse.table("charges_daily")
    others = lines.filter(lines.BillingCurrency != reporting)
    return reporting != CALLS_CURRENCY or bool(warehouse.row(others.agg(n=others.count()))["n"])


def note(warehouse: Warehouse, filters: Filters) -> str | None:
    """The conversions of the period in a sentence, with their source; None when nothing was converted."""
    sentences = []
    for row in fx(warehouse, filters).to_dict("records"):
        pair = f"{row['currency']} to {row['reporting_currency']}"
        missing = row["days_without_rate"]
        if missing == row["days"]:
            sentences.append(f"No exchange rate for {pair}: amounts in {row['currency']} stay as they are.")
            continue
        lowest, highest = (f"{row[name].normalize():f}" for name in ("lowest_rate", "highest_rate"))
        span = lowest if lowest == highest else f"{lowest} to {highest}"
        text = f"{pair} at the rate of the day ({span}; source: {row['sources'] or 'not given'})"
        if missing:
            text += f"; {missing} of {row['days']} days have no rate, the first {row['first_missing']}"
        sentences.append(f"{text}.")
    return " ".join(sentences) or None


def _billed(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """Effective costs of the bills, by day and currency."""
    lines = apply(warehouse.table("charges_daily"), filters, CHARGE_COLUMNS)
    return lines.select("date", native_currency=lines.BillingCurrency, cost=lines.effective.cast(MONEY))


def _estimated(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """Costs of the calls that no bill covers, by day."""
    calls = traced_calls(warehouse)
    calls = calls.mutate(native_currency=ibis.literal(CALLS_CURRENCY), currency=ibis.literal(CALLS_CURRENCY))
    calls = apply(calls.filter(~calls.is_covered), filters, {"account": "billing_account_id"})
    return calls.select("date", "native_currency", cost=calls.cost.cast(MONEY))
