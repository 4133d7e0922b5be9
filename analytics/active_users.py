"""Who used the product: daily and monthly active users.

People come from `activity`: distinct user ids per day, plus counts where a day tells only how many. In a period for which nobody recorded
activity, the distinct users among the callers stand in, marked "callers". A filter on a feature, project or model narrows
the cost, never the people: the cost of one feature per active user is then a part of the whole cost per active user, and the features'
parts sum to it. Only a filter on the user tier narrows the people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from analytics.filters import Filters, apply, first_day, period_start
from analytics.frames import rows_of
from warehouse.callers import NAME as TABLE
from warehouse.reader import Warehouse

ACTIVITY, CALLERS = "activity", "callers"
WHOLE = "whole"
"""Grain of a period without inner steps: all days of the filters."""


@dataclass(frozen=True)
class ActiveUsers:
    """Active users of a period.

    `user_days` sums the daily users over `days` days for which they are known; their quotient is the average DAU. `monthly` is
    the number of distinct users over the period's days, None where only counts are known. `source` is "activity" or "callers".
    """

    user_days: int
    days: int
    monthly: int | None
    source: str


def people(filters: Filters) -> Filters:
    """The filters that say which people are meant: the period and the user tier."""
    return replace(filters, where=tuple(item for item in filters.where if item[0] == "user_tier"))


def active_users(warehouse: Warehouse, filters: Filters, grain: str) -> dict[date, ActiveUsers]:
    """Active users of each period of this grain with anybody known, by the period's first day.

    Grain "whole" takes all days of the filters as one period, which starts with them.
    """
    chosen = people(filters)
    found: dict[date, ActiveUsers] = {}
    if warehouse.once("activity", lambda: _any_activity(warehouse)):
        activity = warehouse.table("activity")
        # A row without user id tells how many came, not who.
        activity = activity.filter(activity.user_id.notnull() | activity.active_users.notnull())
        recorded = activity.mutate(anonymous=activity.user_id.isnull().ifelse(activity.active_users, 0))
        found = _collect(warehouse, apply(recorded, chosen), chosen, grain, ACTIVITY)
    if _periods(filters, grain) <= found.keys():
        return found
    counted = _counted(warehouse, chosen, grain)
    if counted is None:
        callers = warehouse.table("user_days").mutate(anonymous=ibis.literal(0, "int64"))
        counted = _collect(warehouse, apply(callers, chosen), chosen, grain, CALLERS)
    return counted | found


def _any_activity(warehouse: Warehouse) -> bool:
    """Whether anybody's activity was ever recorded: most stores tell users by their calls alone."""
    activity = warehouse.table("activity")
    return bool(warehouse.row(activity.agg(n=activity.count()))["n"])


def _counted(warehouse: Warehouse, filters: Filters, grain: str) -> dict[date, ActiveUsers] | None:
    """Callers from the small table `callers` (see `warehouse.callers`), which tells any days of one month; None where it cannot tell: there is
    none, several tiers are chosen at once, or a period reaches over the end of a month."""
    tiers = [value for _, values in filters.where for value in values]
    months = {first_day(filters.start, "month"), first_day(filters.end, "month")}
    within = grain in ("day", "month") or len(months) == 1
    if not within or len(tiers) > 1 or not warehouse.has_table(TABLE):
        return None
    table = warehouse.table(TABLE)
    table = apply(table.filter(table.any_tier == (not tiers)), filters)
    begin = ibis.greatest(period_of(table, filters, grain), ibis.date(filters.start.isoformat()))
    is_first = table.previous.isnull() | (table.previous < begin)
    sums = table.group_by(period=period_of(table, filters, grain)).agg(
        user_days=table.users.sum().cast("int64"),
        days=table.date.nunique(),
        users=table.users.sum(where=is_first).cast("int64"),
    )
    return {
        row["period"]: ActiveUsers(row["user_days"], row["days"], row["users"], CALLERS)
        for row in rows_of(warehouse, sums.order_by("period"))
    }


def _periods(filters: Filters, grain: str) -> set[date]:
    """First days of all periods of the filters; of grain "whole" the first day of the filters."""
    if grain == WHOLE:
        return {filters.start}
    days = (filters.end - filters.start).days
    return {first_day(filters.start + timedelta(days=day), grain) for day in range(days + 1)}


def period_of(table: ir.Table, filters: Filters, grain: str) -> ir.DateValue:
    """First day of the period that each row's `date` lies in; of grain "whole" the first day of the filters."""
    return ibis.date(filters.start.isoformat()) if grain == WHOLE else period_start(table.date, grain)


def _collect(
    warehouse: Warehouse, table: ir.Table, filters: Filters, grain: str, source: str
) -> dict[date, ActiveUsers]:
    if grain == "day":
        return _daily(warehouse, table, source)
    table = table.mutate(period=period_of(table, filters, grain))
    daily = table.group_by(["period", "date"]).agg(
        users=(table.user_id.nunique() + table.anonymous.sum().fill_null(0)).cast("int64")
    )
    sums = daily.group_by("period").agg(user_days=daily.users.sum().cast("int64"), days=daily.count())
    distinct = table.group_by("period").agg(named=table.user_id.nunique(), nameless=(table.user_id.isnull()).any())
    people_of = {row["period"]: row for row in rows_of(warehouse, distinct)}
    return {
        row["period"]: ActiveUsers(
            row["user_days"],
            row["days"],
            None if people_of[row["period"]]["nameless"] else people_of[row["period"]]["named"],
            source,
        )
        for row in rows_of(warehouse, sums.order_by("period"))
    }


def _daily(warehouse: Warehouse, table: ir.Table, source: str) -> dict[date, ActiveUsers]:
    """One pass where each period is a day: the day's users are those of the period."""
    users = table.group_by("date").agg(
        named=table.user_id.nunique(), anonymous=table.anonymous.sum().fill_null(0).cast("int64"),
        nameless=table.user_id.isnull().any(),
    )  # fmt: skip
    return {
        row["date"]: ActiveUsers(row["named"] + row["anonymous"], 1, None if row["nameless"] else row["named"], source)
        for row in rows_of(warehouse, users.order_by("date"))
    }
