"""What was earned: revenue and conversions, each from one place.

Revenue lies in the `revenue` table or on the calls themselves (`calls.revenue`), or in both, where the same dollar is told twice. So
in each calendar month the `revenue` table counts if it has an amount in that month, else the calls do; never both. Conversions
likewise. The decision looks at whole months of all features, so that it is the same for every period and filter, and days always
sum to their range.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from analytics.filters import Filters, apply
from analytics.fx import CALLS_CURRENCY, MONEY, in_reporting_currency
from warehouse.reader import Warehouse

COLUMNS = ("date", "feature", "user_tier", "currency", "revenue", "conversions")


def earned(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """Revenue and conversions of the period that pass the filters.

    Columns: date, feature, user_tier, currency (the reporting one where the day has an exchange rate), revenue (exact; NULL: not tracked),
    conversions (NULL: not tracked). A filter on what neither
    table knows (a service, a cost category) leaves no row.
    """
    table = warehouse.table("revenue")
    table = in_reporting_currency(warehouse, table.mutate(native_currency=table.currency), ("amount",))
    calls = warehouse.table("calls_daily")
    calls = calls.mutate(native_currency=ibis.literal(CALLS_CURRENCY), month=calls.date.truncate("M"))
    calls = in_reporting_currency(warehouse, calls, ("revenue",))
    money_months = _months(table.filter(table.amount.notnull()))
    conversion_months = _months(table.filter(table.conversions.notnull()))
    of_calls = apply(calls, filters)
    without_money = of_calls.filter(of_calls.revenue_calls > 0).anti_join(money_months, "month")
    without_conversions = of_calls.filter(of_calls.conversion_calls > 0).anti_join(conversion_months, "month")
    entries = apply(table, filters)
    return ibis.union(
        _columns(entries, entries.amount, entries.conversions),
        _columns(without_money, without_money.revenue, ibis.null("int64")),
        _columns(without_conversions, ibis.null(MONEY), without_conversions.conversions),
    )


def _months(table: ir.Table) -> ir.Table:
    return table.select(month=table.date.truncate("M")).distinct()


def _columns(table: ir.Table, revenue: ir.Value, conversions: ir.Value) -> ir.Table:
    return table.select(
        "date", "feature", "user_tier", "currency", revenue=revenue.cast(MONEY), conversions=conversions.cast("int64")
    )
