"""What one unit of business costs: an active user, a call, a conversion; and what is left of a dollar earned.

Two costs per daily active user (DAU) are in use and both are given:

* `cost_per_dau` = cost / days / average DAU: what an active user costs on a day he or she comes;
* `cost_per_average_dau` = cost / average DAU: the whole period's cost for each daily active user, e.g. $94 a month.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from analytics.active_users import WHOLE, ActiveUsers, active_users, period_of
from analytics.currency import require_one_currency
from analytics.earnings import earned
from analytics.filters import Filters, apply, first_day
from analytics.frames import Row, frame_of, rows_of
from analytics.ledger import ledger, unknown_costs
from analytics.ratios import gross_margin, per_unit, share
from warehouse.reader import Warehouse

COLUMNS = (
    "period", "cost", "currency", "dau", "cost_per_dau", "cost_per_average_dau", "mau", "cost_per_mau", "calls", "cost_per_call",
    "conversions", "cost_per_conversion", "revenue", "gross_margin", "credits", "cost_before_credits", "estimated_share", "unpriced_calls",
    "unknown_costs", "days", "dau_days", "dau_source",
)  # fmt: skip


def unit_economics(warehouse: Warehouse, filters: Filters, net_of_credits: bool = False) -> pd.DataFrame:
    """Cost per active user, call and conversion, and gross margin, by period.

    Grain: one row per day, week or month (`period` is its first day; the filters' grain) with a cost, an active user or revenue,
    oldest first. `days` are the days of the period up to the last cost in the store. Money is in `currency`, on the filters' basis.

    cost: the ledger's cost of the period, as in every other view (None: not known). credits: promotional and other credits within it (0 or
    negative). Unit costs use `cost_before_credits` = cost - credits, because a credit runs out while users stay; with `net_of_credits` they
    use `cost`. gross_margin = (revenue - cost) / revenue.

    dau: average over the period's days of each day's distinct active users; `dau_days` says for how many of its `days` they are known and
    `dau_source` whether from recorded "activity" or from "callers". cost_per_dau: per active user and day. cost_per_average_dau: cost of the
    period / dau. mau: distinct users of the calendar month in which the period starts, as far as it lies in the chosen days; None where only
    counts are known. cost_per_mau: of whole periods of grain month only, since a day's cost over a month's users means nothing.
    estimated_share: part of the cost that comes from traces and not from a bill. unpriced_calls: calls whose cost is not known.
    unknown_costs: costs that `cost` lacks: unpriced calls where the traces are the ledger, and billing lines without this basis.

    Raises InputError when the costs or revenues are in several currencies.
    """
    return frame_of(_economics(warehouse, filters, filters.grain, net_of_credits), COLUMNS)


def whole_period(warehouse: Warehouse, filters: Filters, net_of_credits: bool = False) -> dict[str, Any]:
    """The figures of `unit_economics` for all days of the filters as one period; empty when nothing is known of them.

    `mau` is the number of distinct users over these days, and cost_per_mau the cost for each of them: a cost per monthly active user where
    the days are a month.

    Raises InputError when the costs or revenues are in several currencies.
    """
    return next(iter(_economics(warehouse, filters, WHOLE, net_of_credits)), {})


def _economics(warehouse: Warehouse, filters: Filters, grain: str, net_of_credits: bool) -> list[Row]:
    costs, earnings = _costs(warehouse, filters, grain), _earnings(warehouse, filters, grain)
    currency = require_one_currency(row["currency"] for row in (*costs, *earnings) if row["has_money"])
    users = active_users(warehouse, filters, grain)
    months = users if grain in ("month", WHOLE) else active_users(warehouse, filters, "month")
    cost_of, earned_in = _by_period(costs), _by_period(earnings)
    days = _days_with_costs(warehouse, filters, grain)
    rows: list[Row] = []
    for period in sorted({*cost_of, *earned_in, *users}):
        cost, income, people = cost_of.get(period, {}), earned_in.get(period, {}), users.get(period)
        month = months.get(period if grain == WHOLE else first_day(period, "month"))
        amounts = _amounts(cost, income, net_of_credits) | {"currency": currency}
        base = amounts["cost"] if net_of_credits else amounts["cost_before_credits"]
        per_person = _per_person(base, days[period], people, month, grain)
        rows.append({"period": period, "days": days[period]} | amounts | per_person)
    return rows


def _days_with_costs(warehouse: Warehouse, filters: Filters, grain: str) -> Counter[date]:
    """Days of each period, of those between the first and the last cost in the store: days to come cost nothing yet."""
    first, last = warehouse.span() or (filters.end, filters.start)
    first, last = max(first, filters.start), min(last, filters.end)
    every = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return Counter(filters.start if grain == WHOLE else first_day(day, grain) for day in every)


def _costs(warehouse: Warehouse, filters: Filters, grain: str) -> list[Row]:
    rows = apply(ledger(warehouse), filters)
    rows = rows.mutate(period=period_of(rows, filters, grain))
    amount = rows[filters.basis]
    sums = rows.group_by(["period", "currency"]).agg(
        cost=amount.sum(),
        unknown_costs=unknown_costs(rows, filters.basis).sum(),
        estimated=amount.sum(where=rows.ledger == "traces"),
        credits=amount.sum(where=rows.is_credit),
        calls=rows.calls.sum().cast("int64"),
        unpriced_calls=rows.unpriced_calls.sum().cast("int64"),
        has_money=rows[filters.basis].notnull().any(),
    )
    return rows_of(warehouse, sums.order_by(["period", "currency"]))


def _earnings(warehouse: Warehouse, filters: Filters, grain: str) -> list[Row]:
    rows = earned(warehouse, filters)
    rows = rows.mutate(period=period_of(rows, filters, grain))
    sums = rows.group_by(["period", "currency"]).agg(
        revenue=rows.revenue.sum(), conversions=rows.conversions.sum(), has_money=rows.revenue.notnull().any()
    )
    return rows_of(warehouse, sums.order_by(["period", "currency"]))


def _by_period(rows: list[Row]) -> dict[date, Row]:
    """Rows of one period put together: beside the one currency with money there may be rows without any."""
    answer: dict[date, Row] = {}
    for row in rows:
        into = answer.setdefault(row["period"], {})
        for name, value in row.items():
            if name in ("period", "currency", "has_money") or value is None:
                continue
            into[name] = into[name] + value if name in into else value
    return answer


def _amounts(cost: Row, income: Row, net_of_credits: bool) -> Row:
    """What does not depend on people."""
    net: Decimal | None = cost.get("cost")
    credits = cost.get("credits") or Decimal(0)
    gross = None if net is None else net - credits
    base = net if net_of_credits else gross
    revenue, conversions, calls = income.get("revenue"), income.get("conversions"), cost.get("calls", 0)
    return {
        "cost": net,
        "credits": None if net is None else credits,
        "cost_before_credits": gross,
        "calls": calls,
        "cost_per_call": per_unit(base, calls),
        "conversions": conversions,
        "cost_per_conversion": per_unit(base, conversions),
        "revenue": revenue,
        "gross_margin": gross_margin(revenue, net),
        "estimated_share": share(cost.get("estimated") or Decimal(0), net),
        "unpriced_calls": cost.get("unpriced_calls", 0),
        "unknown_costs": cost.get("unknown_costs", 0),
    }


def _per_person(
    base: Decimal | None, days: int, people: ActiveUsers | None, month: ActiveUsers | None, grain: str
) -> Row:
    """Costs per active user. The average over known days is taken exactly: cost x known days / users summed over them."""
    average = None
    if people and people.user_days:
        average = per_unit(None if base is None else base * people.days, people.user_days)
    mau = month.monthly if month else None
    return {
        "dau": people.user_days / people.days if people else None,
        "cost_per_average_dau": average,
        "cost_per_dau": per_unit(average, days),
        "mau": mau,
        "cost_per_mau": per_unit(base, mau) if grain in ("month", WHOLE) else None,
        "dau_days": people.days if people else 0,
        "dau_source": people.source if people else None,
    }
