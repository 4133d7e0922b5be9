"""Exchange rates: amounts of other currencies in the reporting one, by the rate of their day, in one place for all views.

The rate of a day is the one of `fx_rates` for that date, else the latest of the seven days before (weekends, holidays). Between two
currencies the rate as given counts first, then the inverse of the opposite one, then the product of two rates of the same date through a
third currency; derived rates are rounded to the twelfth digit after the point. Where there is none, the amount stays in its own currency, and sums
across currencies are refused (`analytics.currency`). Native amounts stay in the billing lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from warehouse.reader import Warehouse

MONEY = "decimal(38, 12)"
DAYS_BACK = 7
CALLS_CURRENCY = "USD"
"""Currency of the cost of calls: prices are in it."""


def bill_daily(warehouse: Warehouse, into: str | None = None) -> ir.Table:
    """`charges_daily` with all costs in the reporting currency (or `into`) where a rate is known.

    Further columns: `currency` (of the amounts) and `native_currency` (of the bill). `BillingCurrency` stays what the bill says.
    """
    charges = warehouse.table("charges_daily")
    return in_currency(
        warehouse,
        charges.mutate(native_currency=charges.BillingCurrency),
        ("billed", "effective", "list", "contracted"),
        into or warehouse.configuration.reporting_currency,
    )


def traced_daily(warehouse: Warehouse, into: str | None = None) -> ir.Table:
    """`calls_daily` with `amount`, the known cost in the reporting currency (or `into`) where a rate is known, and its `currency`; `cost` stays in
    USD.
    """
    calls = warehouse.table("calls_daily")
    calls = calls.mutate(amount=calls.cost.cast(MONEY), native_currency=ibis.literal(CALLS_CURRENCY))
    return in_currency(warehouse, calls, ("amount",), into or warehouse.configuration.reporting_currency)


def in_reporting_currency(warehouse: Warehouse, rows: ir.Table, amounts: Sequence[str]) -> ir.Table:
    """Rows with columns `date` and `native_currency`: their amounts converted, and `currency` with the currency they are then in."""
    return in_currency(warehouse, rows, amounts, warehouse.configuration.reporting_currency)


def in_currency(warehouse: Warehouse, rows: ir.Table, amounts: Sequence[str], into: str) -> ir.Table:
    """`in_reporting_currency` for another currency: for what is compared with prices, which are in CALLS_CURRENCY."""
    if not _is_needed(warehouse, into):
        return rows.mutate(currency=rows.native_currency)
    rates = daily_rates(warehouse, into)
    rates = rates.select(rate_day=rates.date, rate_of=rates.currency, rate=rates.rate)
    joined = rows.left_join(rates, [rows.date == rates.rate_day, rows.native_currency == rates.rate_of])
    known = joined.rate.notnull()
    return joined.mutate(
        currency=known.ifelse(ibis.literal(into), joined.native_currency),
        **{
            name: known.ifelse((joined[name].cast(MONEY) * joined.rate).cast(MONEY), joined[name].cast(MONEY))
            for name in amounts
        },
    ).drop("rate_day", "rate_of", "rate")


def daily_rates(warehouse: Warehouse, into: str | None = None) -> ir.Table:
    """The rate into a currency (default: the reporting one) of every other currency on every day on which the store has amounts in it.

    Grain: date and currency. Columns: rate (units of `into` for one), rate_date (the date that it was published for), source. Days
    without a rate are missing.
    """
    into = into or warehouse.configuration.reporting_currency
    name = f"fx_daily_{into}"
    if warehouse.has_table(name):
        return warehouse.table(name)
    needed, rates = _needed(warehouse, into), _rates_into(warehouse, into)
    pairs = needed.inner_join(
        rates,
        [
            needed.currency == rates.rate_currency,
            rates.rate_date <= needed.date,
            rates.rate_date >= needed.date - ibis.interval(days=DAYS_BACK),
        ],
    )
    best = ibis.window(
        group_by=[pairs.date, pairs.currency],
        order_by=[ibis.desc(pairs.rate_date), pairs.steps, pairs.source, pairs.rate],
    )
    ranked = pairs.mutate(position=ibis.row_number().over(best))
    return warehouse.materialise(
        name, ranked.filter(ranked.position == 0).select("date", "currency", "rate", "rate_date", "source")
    )


def _is_needed(warehouse: Warehouse, into: str) -> bool:
    """Whether any amount of the store can be converted."""

    def look() -> bool:
        if not warehouse.row(warehouse.table("fx_rates").agg(n=ibis._.count()))["n"]:
            return False
        rates = daily_rates(warehouse, into)
        return bool(warehouse.row(rates.agg(n=rates.count()))["n"])

    return warehouse.once(f"rates into {into}", look)


def _needed(warehouse: Warehouse, into: str) -> ir.Table:
    """Days and currencies with amounts that are not in this currency."""
    charges, revenue = warehouse.table("charges_daily"), warehouse.table("revenue")
    calls = warehouse.table("calls_daily")
    found = ibis.union(
        charges.select("date", currency=charges.BillingCurrency),
        revenue.select("date", "currency"),
        calls.select("date", currency=ibis.literal(CALLS_CURRENCY)),
        distinct=True,
    )
    return found.filter(found.currency != into)


def _rates_into(warehouse: Warehouse, into: str) -> ir.Table:
    """Every rate into this currency, given or derived; `steps` orders them on one date: given, inverse, through a third currency."""
    given = warehouse.table("fx_rates")
    given = given.filter(given.rate > 0)
    legs = ibis.union(
        given.select("date", "from_currency", "to_currency", "rate", "source", steps=ibis.literal(0, "int64")),
        given.select(
            "date", from_currency=given.to_currency, to_currency=given.from_currency,
            rate=(1 / given.rate.cast("float64")).cast(MONEY), source=given.source, steps=ibis.literal(1, "int64"),
        ),
    )  # fmt: skip
    last = legs.filter(legs.to_currency == into)
    first = legs.filter(legs.to_currency != into, legs.from_currency != into)
    first = first.select(
        first_date=first.date, first_from=first.from_currency, first_to=first.to_currency, first_rate=first.rate,
        first_steps=first.steps,
    )  # fmt: skip
    through = last.inner_join(first, [last.date == first.first_date, last.from_currency == first.first_to])
    return ibis.union(
        last.select(rate_date=last.date, rate_currency=last.from_currency, rate=last.rate, source=last.source, steps=last.steps),
        through.select(
            rate_date=through.date, rate_currency=through.first_from, rate=(through.first_rate * through.rate).cast(MONEY),
            source=through.source, steps=(through.steps + through.first_steps + 2).cast("int64"),
        ),
    )  # fmt: skip
