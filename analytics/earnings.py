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
from warehouse.schema import DIMENSIONS

_KEPT = ("date", *DIMENSIONS, "provider", "model", "source", "currency", "native_currency")

COLUMNS = ("date", "feature", "user_tier", "currency", "revenue", "conversions")


def earned(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """Revenue and conversions of the period that pass the filters.

    Columns: date, feature, user_tier, currency (the reporting one where the day has an exchange rate), revenue (exact; NULL: not tracked),
    conversions (NULL: not tracked). A filter on what neither
    table knows (a service, a cost category) leaves no row.
    """
    entries = apply(_recorded(warehouse), filters)
    calls = apply(_of_calls(warehouse), filters)
    return ibis.union(
        _columns(entries, entries.amount, entries.conversions), _columns(calls, calls.revenue, calls.conversions)
    )


def _recorded(warehouse: Warehouse) -> ir.Table:
    """The table `revenue` in the reporting currency."""
    table = warehouse.table("revenue")
    return in_reporting_currency(warehouse, table.mutate(native_currency=table.currency), ("amount",))


def _of_calls(warehouse: Warehouse) -> ir.Table:
    """Revenue and conversions of the calls in the months of which they count, by day and what can be filtered by.

    Computed once per open snapshot: with both joins in each question it took 11 ms to say and 15 ms to answer, three times on one page.
    """
    if warehouse.has_table("earned_on_calls"):
        return warehouse.table("earned_on_calls")
    table = _recorded(warehouse)
    calls = warehouse.table("calls_daily")
    calls = calls.mutate(native_currency=ibis.literal(CALLS_CURRENCY), month=calls.date.truncate("M"))
    calls = in_reporting_currency(warehouse, calls, ("revenue",))
    money = calls.filter(calls.revenue_calls > 0).anti_join(_months(table.filter(table.amount.notnull())), "month")
    conversions = calls.filter(calls.conversion_calls > 0)
    conversions = conversions.anti_join(_months(table.filter(table.conversions.notnull())), "month")
    rows = ibis.union(
        money.select(*_KEPT, revenue=money.revenue.cast(MONEY), conversions=ibis.null("int64")),
        conversions.select(
            *_KEPT, revenue=ibis.null(MONEY), conversions=conversions.conversions.cast("decimal(38, 0)").cast("int64")
        ),
    )
    return warehouse.materialise("earned_on_calls", rows)


def _months(table: ir.Table) -> ir.Table:
    return table.select(month=table.date.truncate("M")).distinct()


def _columns(table: ir.Table, revenue: ir.Value, conversions: ir.Value) -> ir.Table:
    return table.select(
        "date", "feature", "user_tier", "currency", revenue=revenue.cast(MONEY), conversions=conversions.cast("int64")
    )
