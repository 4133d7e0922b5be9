"""The page that a CFO opens: what it cost, how that changed, where the month is heading, and what one active user costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd

from analytics import formatting
from analytics.active_users import active_users
from analytics.costs import costs
from analytics.currency import require_one_currency
from analytics.earnings import earned
from analytics.features import dearest_share, has_data
from analytics.filters import Filters
from analytics.frames import rows_of
from analytics.freshness import complete_through
from analytics.period_names import days_in_month, is_calendar_month, month_name, name
from analytics.ratios import gross_margin, per_unit
from analytics.totals import totals
from warehouse.reader import Warehouse

MONTHS = 12
"""How many months `by_month` looks back."""


@dataclass(frozen=True)
class RunRate:
    """Where the cost of a month is heading: `amount`, and `how` it was obtained, in a sentence. None: not known.

    is_complete: every day of the month is in the data, so that the amount is its total and no projection.
    """

    amount: Decimal | None
    how: str
    is_complete: bool = False


@dataclass(frozen=True)
class Overview:
    """The figures of one period, on the filters' basis, in `currency`. None is "not known".

    total: the ledger's cost. previous_total: of the period before, named `previous_period` (None: the store has no data from its first day
    on). cost_per_average_dau: (total - credits) / average daily active users, the whole period's cost for each of them, not per day;
    average_dau over the days for which users are known, from `dau_source` ("activity", "callers" or both). gross_margin =
    (revenue - total) / revenue.
    `headline` and `coverage` say in words what the figures are and what they rest on. is_empty: neither a call nor a billing line.
    """

    period: str
    previous_period: str
    headline: str
    currency: str | None
    total: Decimal | None
    previous_total: Decimal | None
    run_rate: RunRate
    average_dau: float | None
    cost_per_average_dau: Decimal | None
    previous_cost_per_average_dau: Decimal | None
    dau_source: str | None
    revenue: Decimal | None
    gross_margin: float | None
    coverage: str
    is_empty: bool


def overview(warehouse: Warehouse, filters: Filters) -> Overview:
    """The overview of a period. Raises InputError when its amounts are in several currencies."""
    now = _totals(warehouse, filters)
    before = filters.previous()
    earlier = _totals(warehouse, before) if has_data(warehouse, before) else None
    previous_total = (earlier["ledger_cost"] or Decimal(0)) if earlier else None
    currency, total = now["currency"], now["ledger_cost"]
    if earlier and previous_total:
        require_one_currency([currency, earlier["currency"]])
    dau, per_user, source = _per_active_user(warehouse, filters, now)
    revenue = _revenue(warehouse, filters, currency)
    return Overview(
        period=name(filters),
        previous_period=name(before),
        headline=_headline(warehouse, filters, total, previous_total, currency or "USD"),
        currency=currency,
        total=total,
        previous_total=previous_total,
        run_rate=run_rate(warehouse, filters, total),
        average_dau=dau,
        cost_per_average_dau=per_user,
        previous_cost_per_average_dau=_per_active_user(warehouse, before, earlier)[1] if earlier else None,
        dau_source=source,
        revenue=revenue,
        gross_margin=gross_margin(revenue, total),
        coverage=coverage_sentence(now),
        is_empty=not now["rows"] and not now["calls"] and total is None,
    )


def by_month(warehouse: Warehouse, filters: Filters, currency: str) -> pd.DataFrame:
    """Cost of each of the last calendar months by category, whatever the filters' period: where the chosen one stands among the others.

    Grain: one row per month and category (columns of `analytics.costs.costs`) of the twelve months up to the newest with data, in `currency`
    alone and on the filters' basis. The newest month may lack days, and so may the one in which the data begin. Empty without data.
    """
    first, last = warehouse.span() or (filters.start, filters.end)
    month = last.year * 12 + last.month - MONTHS
    start = max(first, date(month // 12, month % 12 + 1, 1))
    frame = costs(warehouse, replace(filters, start=start, end=last, grain="month"), ("category",))
    return frame[frame["currency"] == currency].reset_index(drop=True)


def run_rate(warehouse: Warehouse, filters: Filters, total: Decimal | None) -> RunRate:
    """What the calendar month of the period will have cost at its end, if the days to come cost what its complete days did.

    Cost of the complete days / their number x days of the month. A month whose last day is in the data has its own total; a period that is no
    month, nor the part of one since its first day, has none.
    """
    start, end, span = filters.start, filters.end, warehouse.span()
    days = days_in_month(start)
    last = start.replace(day=days)
    if span is None or start.day != 1 or end > last:
        return RunRate(None, "Only for a calendar month, or the part of one since its first day.")
    complete = _last_complete_day(warehouse, span[1])
    if is_calendar_month(filters) and complete >= last:
        return RunRate(total, "The month is complete: this is its total.", is_complete=True)
    until = min(end, complete)
    if until < start:
        return RunRate(None, f"No day of {month_name(start)} is complete yet.")
    part = _totals(warehouse, replace(filters, end=until))
    so_far, number = part["ledger_cost"], (until - start).days + 1
    one = (
        f"{formatting.money(so_far, part['currency'] or 'USD')} in {number} complete {'day' if number == 1 else 'days'}"
    )
    return RunRate(per_unit(None if so_far is None else so_far * days, number), f"{one} / {number} × {days} days.")


def rests_on(warehouse: Warehouse, filters: Filters) -> str:
    """What the totals of these filters rest on, for every page that shows one: bill or traces, final or not, usage, prices and tags."""
    row = _totals(warehouse, filters)
    sentence = coverage_sentence(row)
    if row["usage_share"] is not None and row["usage_share"] < 1:
        sentence += f" {formatting.share(row['usage_share'])} of calls report their tokens."
    return sentence


def coverage_sentence(row: dict[str, Any]) -> str:
    """What the total of a row of `totals` rests on, in sentences."""
    if row["ledger_cost"] is None:
        return "No cost is known in this period."
    # By the amounts: beside a credit, which is negative, a part may be larger than the whole.
    cost, estimated, final, calls = (
        row["ledger_cost"],
        row["estimated_cost"],
        row["final_cost"],
        formatting.count(row["calls"]),
    )
    has_bill = bool(cost != estimated or final or row["credits"])
    # Calls of nothing are no bill; lines of nothing are one.
    costs_nothing = not has_bill and not estimated and not row["rows"]
    if costs_nothing:
        sentences = ["Everything whose cost is known was free."]
    elif not has_bill and estimated:
        sentences = ["All of it is estimated from traces: no bill covers this period."]
    elif not estimated:
        sentences = ["All of it comes from bills."]
    elif 0 < estimated < cost:
        part = row["estimated_share"]
        sentences = [
            f"{formatting.share(1 - part)} of it comes from bills, {formatting.share(part)} is estimated from traces."
        ]
    else:
        sentences = [
            f"{formatting.money(estimated, row['currency'])} is estimated from traces; bills and their credits are the rest."
        ]
    if has_bill or not (estimated or costs_nothing):
        sentences.append(
            "None of it is invoiced yet, so it may change."
            if not final
            else "All bills are invoiced."
            if final + estimated == cost
            else f"{formatting.share(row['final_share'])} is invoiced; the rest may change."
            if 0 < final < cost
            else "Not all of it is invoiced; the rest may change."
        )
    if row["unpriced_calls"]:
        one = row["unpriced_calls"] == 1
        sentences.append(
            f"{formatting.count(row['unpriced_calls'])} of {calls} calls {'has' if one else 'have'} no known price."
        )
    if row["feature_share"] is not None:
        sentences.append(f"{formatting.share(row['feature_share'])} of calls name their feature.")
    return " ".join(sentences)


def _headline(
    warehouse: Warehouse, filters: Filters, total: Decimal | None, previous: Decimal | None, currency: str
) -> str:
    if total is None:
        return f"What {name(filters)} cost is not known"
    sentence = f"{name(filters)} cost {formatting.money(total, currency)}"
    compared = formatting.compared(total, previous, name(filters.previous()))
    if compared and filters.days == 1:
        compared = compared.replace(" in ", " on ", 1)
    if compared:
        sentence += f", {compared}"
    dearest = dearest_share(warehouse, filters)
    return f"{sentence}; {dearest}" if dearest else sentence


def _totals(warehouse: Warehouse, filters: Filters) -> dict[str, Any]:
    return {str(column): values.iloc[0] for column, values in totals(warehouse, filters).items()}


def _per_active_user(
    warehouse: Warehouse, filters: Filters, now: dict[str, Any]
) -> tuple[float | None, Decimal | None, str | None]:
    """Average daily active users, the period's cost (before credits) for each of them, and where they are known from."""
    daily = active_users(warehouse, filters, "day")
    user_days, days = sum(users.user_days for users in daily.values()), sum(users.days for users in daily.values())
    if not user_days:
        return None, None, None
    gross = None if now["ledger_cost"] is None else (now["ledger_cost"] - now["credits"]) * days
    sources = " and ".join(sorted({users.source for users in daily.values()}))
    return user_days / days, per_unit(gross, user_days), sources


def _revenue(warehouse: Warehouse, filters: Filters, currency: str | None) -> Decimal | None:
    """What was earned in the period; None when nobody tracks it. Raises InputError when it is in another currency than the cost."""
    rows = earned(warehouse, filters)
    sums = rows.group_by("currency").agg(revenue=rows.revenue.sum())
    found = [row for row in rows_of(warehouse, sums) if row["revenue"] is not None]
    require_one_currency([currency, *(row["currency"] for row in found)])
    return found[0]["revenue"] if found else None


def _last_complete_day(warehouse: Warehouse, last_day: date) -> date:
    """The last day that every source had delivered in full when it was last read, at most the last day with data."""
    return min([last_day, *complete_through(warehouse).values()])
