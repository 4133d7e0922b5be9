"""The totals of a period: what the bill says, what the calls cost, and what counts; each beside what it does not know."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from analytics.currency import require_one_currency
from analytics.filters import Filters, apply
from analytics.frames import Row, frame_of, rows_of
from analytics.fx import bill_daily
from analytics.ledger import MONEY, call_category, ledger, unknown_costs
from analytics.ratios import share
from warehouse.reader import Warehouse

COLUMNS = (
    "rows", "billed", "effective", "list", "currency", "calls", "call_cost", "reported_call_cost", "priced_call_cost", "unpriced_calls",
    "basis", "ledger_cost", "estimated_cost", "final_cost", "credits", "unknown_costs", "effective_unknown", "list_unknown",
    "usage_share", "priced_share", "feature_share", "estimated_share", "final_share",
)  # fmt: skip

CHARGE_COLUMNS = {
    "category": "x_CostCategory",
    "service": "ServiceName",
    "account": "BillingAccountId",
    "model": "x_Model",
    "source": "x_Source",
    "currency": "BillingCurrency",
}
"""Where billing lines keep a filter's dimension."""


def totals(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Billed, effective and list totals, calls and their cost, and the ledger's total, of the whole period.

    Grain: one row. All money is in `currency`, except that of calls, which is always USD.

    Of the bill: rows (billing lines; detail lines that repeat another's cost do not count), billed, effective, list (sums of what is known;
    None: nothing is), effective_unknown and list_unknown (lines without that cost).

    Of the traces: calls, call_cost (sum of the known costs), reported_call_cost (as the sources computed it), priced_call_cost (tokens x price
    of the time), unpriced_calls (calls whose cost is not known, and not in call_cost).

    Of the ledger, every dollar once, on `basis`: ledger_cost = estimated_cost (from the traces, where no bill covers them) + what the bills say,
    of which final_cost lies on invoices and `credits` (0 or negative) were granted; unknown_costs counts billing lines and calls whose cost
    is not known, and not in ledger_cost.

    Coverage, numbers between 0 and 1 (None: of nothing): usage_share, priced_share and feature_share are the shares of calls that report tokens,
    have a known cost and name a feature; estimated_share and final_share are shares of ledger_cost, which may lie above 1 where `credits`
    of the rest, which are negative, make the whole less than its part.

    Raises InputError when the amounts are in several currencies.
    """
    lines, calls, counted = _bill(warehouse, filters), _calls(warehouse, filters), _ledger(warehouse, filters)
    with_money = [row["currency"] for row in (*lines, *counted) if row["has_money"]]
    currency = require_one_currency(with_money) or ("USD" if calls["calls"] else None)
    bill, entries = _one(lines, currency), _one(counted, currency)
    cost = entries.get("ledger_cost")
    row: Row = {
        "rows": 0,
        **{name: value for name, value in bill.items() if name not in ("currency", "has_money")},
        "currency": currency,
        **{name: value for name, value in calls.items() if name not in ("usage_calls", "feature_calls")},
        "basis": filters.basis,
        "ledger_cost": cost,
        **{name: entries.get(name) for name in ("estimated_cost", "final_cost", "credits")},
        **{name: bill.get(name, 0) for name in ("effective_unknown", "list_unknown")},
        "unknown_costs": sum(entry["unknown_costs"] for entry in counted),
        "usage_share": share(calls["usage_calls"], calls["calls"]),
        "priced_share": share(calls["calls"] - calls["unpriced_calls"], calls["calls"]),
        "feature_share": share(calls["feature_calls"], calls["calls"]),
        "estimated_share": share(entries.get("estimated_cost"), cost),
        "final_share": share(entries.get("final_cost"), cost),
    }
    return frame_of([row], COLUMNS)


def filtered_calls(warehouse: Warehouse, filters: Filters) -> ir.Table:
    """Rows of `calls_daily` that pass the filters, with the ledger's `category` and `currency`."""
    calls = warehouse.table("calls_daily")
    calls = calls.mutate(category=call_category(calls), currency=ibis.literal("USD"))
    return apply(calls, filters, {"account": "billing_account_id"})


def _bill(warehouse: Warehouse, filters: Filters) -> list[Row]:
    lines = apply(bill_daily(warehouse), filters, CHARGE_COLUMNS)
    sums = lines.group_by("currency").agg(
        rows=lines.lines.sum(),
        **{name: lines[name].sum().cast(MONEY) for name in ("billed", "effective", "list")},
        **{name: lines[name].sum() for name in ("effective_unknown", "list_unknown")},
        has_money=(lines.billed.notnull() | lines.effective.notnull() | lines.list.notnull()).any(),
    )
    return rows_of(warehouse, sums)


def _calls(warehouse: Warehouse, filters: Filters) -> Row:
    calls = filtered_calls(warehouse, filters)
    sums = calls.agg(
        calls=calls.calls.sum().fill_null(0),
        call_cost=calls.cost.sum(),
        reported_call_cost=calls.reported_cost.sum(),
        priced_call_cost=calls.priced_cost.sum(),
        unpriced_calls=calls.unpriced_calls.sum().fill_null(0),
        usage_calls=calls.usage_calls.sum().fill_null(0),
        feature_calls=calls.calls.sum(where=calls.feature.notnull()).fill_null(0),
    )
    row: dict[str, Any] = warehouse.row(sums)
    return row


def _ledger(warehouse: Warehouse, filters: Filters) -> list[Row]:
    rows = apply(ledger(warehouse), filters)
    amount = rows[filters.basis]
    nothing = ibis.literal(0).cast(MONEY)
    sums = rows.group_by("currency").agg(
        ledger_cost=amount.sum(),
        estimated_cost=amount.sum(where=rows.ledger == "traces").fill_null(nothing),
        final_cost=amount.sum(where=rows.is_final).fill_null(nothing),
        credits=amount.sum(where=rows.is_credit).fill_null(nothing),
        unknown_costs=unknown_costs(rows, filters.basis).sum(),
        has_money=amount.notnull().any(),
    )
    return rows_of(warehouse, sums)


def _one(rows: list[Row], currency: str | None) -> Row:
    """The row of the currency, or the only one without money."""
    return next((row for row in rows if row["currency"] == currency and row["has_money"]), {})
