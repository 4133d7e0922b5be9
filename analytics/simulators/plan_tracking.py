"""Plans against what happened: each plan's account from the warehouse, as rows of the view `plans` and as sentences for the weekly review."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics import formatting
from analytics.active_users import ACTIVITY, WHOLE, active_users
from analytics.filters import Filters
from analytics.frames import frame_of
from analytics.freshness import freshness
from analytics.simulators.adopted_plans import Plan, plans
from analytics.simulators.build_situation import build_situation
from analytics.simulators.plan_overlaps import overlap_note, overlapping
from analytics.simulators.realised import Realised, measure
from analytics.simulators.realised_cells import in_common
from analytics.simulators.realised_period import Period, period_of
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.to_the_cent import CENT
from warehouse.errors import InputError
from warehouse.reader import Warehouse

STALE_DAYS = 14
"""A source whose newest day lies further back than this behind the newest of all does not hold up the others."""

ZERO = Decimal("0.00")

COLUMNS = (
    "plan", "standing", "owner", "start", "first_day", "last_day", "days", "kind", "lever", "title", "planned_month", "planned",
    "expected", "realised", "realised_low", "realised_high", "realised_month", "status", "reason",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tracked:
    """A plan with its baseline and its days so far, ready to be accounted for any of these days. overlap: what to know of other plans that act on
    the same cost on these days (None: there are none)."""

    plan: Plan
    base: Period
    actual: Period
    growth_of: dict[int, tuple[str, ...]]
    warehouse: Warehouse
    notes: tuple[str, ...]
    overlap: str | None

    @property
    def first(self) -> date:
        """First tracked day."""
        return self.actual.cells.window.first

    @property
    def last(self) -> date:
        """Last complete day that is tracked."""
        return self.actual.cells.window.last

    def account(self, first: date | None = None, last: date | None = None) -> Realised:
        """The account of the plan's days from `first` to `last` (default: all so far). Raises InputError when none of them is tracked."""
        start, end = max(first or self.first, self.first), min(last or self.last, self.last)
        if end < start:
            raise InputError(f"the plan {self.plan.name!r} has no complete day between {first} and {last}")
        low, high = (start - self.first).days, (end - self.first).days
        actual = self.actual.between(low, high)
        growth = {
            place: grown
            for place, tiers in self.growth_of.items()
            if (grown := _growth(self.warehouse, self.plan.baseline, start, end, tiers)) is not None
        }
        return measure(self.plan, self.base, actual, growth=growth, notes=self.notes)


def last_complete_day(warehouse: Warehouse) -> date | None:
    """The newest day that every source which still delivers tells in full; None where nothing was loaded."""
    frame = freshness(warehouse, Filters(date(1970, 1, 1), date(1970, 1, 1)))
    known = frame[frame["complete_through"].notna()]
    if known.empty:
        return None
    newest = max(frame["last_day"])
    live = [
        row["complete_through"] for row in known.to_dict("records") if (newest - row["last_day"]).days <= STALE_DAYS
    ]
    return min(live) if live else None


def track(warehouse: Warehouse, plan: Plan, as_of: date | None = None) -> Tracked:
    """Read a plan's baseline and its complete days up to `as_of`.

    Raises InputError when no day of the plan is complete yet, and when the baseline's days hold nothing any more.
    """
    complete = last_complete_day(warehouse)
    last = min(day for day in (plan.end, as_of, complete) if day is not None) if complete else None
    if last is None or last < plan.start:
        raise InputError(
            f"the plan {plan.name!r} starts on {plan.start}, and no day from then on is complete yet: it is tracked from the day after"
        )
    # Month by month, as invoices are: what the calls of a month stand for is what its invoice says.
    before = build_situation(warehouse, plan.baseline)
    since = [
        build_situation(warehouse, replace(plan.baseline, start=first, end=end))
        for first, end in _months(plan.start, last)
    ]
    levers = plan.scenario.enabled
    notes = [note for each in since for note in each.notes if "cost of" not in note]
    restated = sum(before.monthly().values()) - float(sum(plan.base.values(), ZERO))
    if abs(restated) >= 0.01 * max(len(plan.base), 1):
        difference = formatting.usd(Decimal(repr(restated)).quantize(CENT), plus=True)
        notes.append(
            f"The baseline is told differently now than when the plan was adopted: {difference} a month. What was planned stays; what is realised is "
            "measured by the baseline as it is now."
        )
    overlap = overlap_note(overlapping(plan, plans(warehouse.state), last))
    if overlap:
        notes.insert(0, f"{overlap}.")
    tiers = {place: lever.calls.user_tier for place, lever in enumerate(levers) if isinstance(lever, SwitchOff)}
    common = in_common([each.workload for each in (before, *since)])
    return Tracked(
        plan, period_of([before], levers, common), period_of(since, levers, common), tiers, warehouse,
        tuple(dict.fromkeys(notes)), overlap,
    )  # fmt: skip


def _months(first: date, last: date) -> list[tuple[date, date]]:
    """The days from first to last, cut at the ends of months."""
    parts = []
    while first <= last:
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        parts.append((first, min(last, following - timedelta(days=1))))
        first = following
    return parts


def plan_account(warehouse: Warehouse, name: str, as_of: date | None = None) -> Realised:
    """The account of one plan since its start. Raises InputError as `track`, and for an unknown plan."""
    return track(warehouse, _named(warehouse, name), as_of).account()


def plans_view(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Every plan against what happened in the period, as far as it is the plan's: the view `plans`.

    Grain: plan and kind of row. kind: "lever" (one row each, in order), "volume", "prices", "not explained", "total" (of all levers). Columns: plan,
    standing, owner, start, first_day, last_day and days (complete days of the period), kind, lever, title, planned_month (USD per month, as adopted),
    planned (of these days), expected (at the actual volume), realised with realised_low and realised_high (95 %), realised_month (per month of the
    baseline's length), status, reason. Money is Decimal in USD; None where nothing is tracked. Totals of plans that act on the same cost hold
    the same dollars, as their reason says: they do not add up. A plan without a complete day in the period has a
    total alone, with the reason; so has a withdrawn one. Filters other than the period do not apply: a plan has its own.
    """
    rows: list[dict[str, object]] = []
    for plan in plans(warehouse.state):
        head = {"plan": plan.name, "standing": plan.standing, "owner": plan.owner or None, "start": plan.start}
        if plan.standing == "withdrawn":
            rows.append({**head, **_total_row(plan, None, plan.reason or "withdrawn")})
            continue
        try:
            tracked = track(warehouse, plan, filters.end)
            account = tracked.account(filters.start, filters.end)
        except InputError as error:
            rows.append({**head, **_total_row(plan, None, str(error))})
            continue
        span = {"first_day": account.first, "last_day": account.last, "days": account.days}
        rows += [{**head, **span, **row} for row in account_rows(account)]
        rows[-1]["reason"] = tracked.overlap
    return frame_of([dict.fromkeys(COLUMNS) | row for row in rows], COLUMNS)


def account_rows(account: Realised) -> list[dict[str, object]]:
    """The rows of one account, from kind on: levers, what is no lever's, and the total, whose parts all rows before it are."""
    plan, days = account.plan, account.days
    rows: list[dict[str, object]] = [
        {
            "kind": "lever", "lever": row.name, "title": row.title, "planned_month": planned.added, "planned": row.planned,
            "expected": row.expected, "realised": row.realised if row.status not in ("growth", "not measured") else None,
            "realised_low": row.low if row.status not in ("growth", "not measured") else None,
            "realised_high": row.high if row.status not in ("growth", "not measured") else None,
            "realised_month": _per_month(plan, row.realised, days) if row.status not in ("growth", "not measured") else None,
            "status": row.status, "reason": row.reason or None,
        }
        for row, planned in zip(account.levers, plan.planned, strict=True)
    ]  # fmt: skip
    for kind, title, amounts in (
        ("volume", "Volume: more or fewer requests", account.volume),
        ("prices", "Prices and discounts", account.prices),
        ("not explained", "Not explained", account.residual),
    ):
        amount = sum(amounts.values(), ZERO)
        rows.append(
            {"kind": kind, "title": title, "realised": amount, "realised_month": _per_month(plan, amount, days)}
        )
    rows.append(_total_row(plan, account, None))
    return rows


def _total_row(plan: Plan, account: Realised | None, reason: str | None) -> dict[str, object]:
    saving = sum((each.added for each in plan.planned if each.name != "volume"), ZERO)
    row: dict[str, object] = {"kind": "total", "title": "All levers", "planned_month": saving, "reason": reason}
    if account is None:
        return {**row, "status": plan.standing if plan.standing != "running" else "too early"}
    return {
        **row, "planned": account.planned, "expected": account.expected, "realised": account.realised, "realised_low": account.low,
        "realised_high": account.high, "realised_month": _per_month(plan, account.realised, account.days), "status": account.status,
    }  # fmt: skip


@dataclass(frozen=True)
class PlanSummary:
    """One running plan in short. pace: USD per month of its newest complete days (up to 28), with its range; None: nothing is tracked yet.

    planned: USD per month, of levers that save. realised: USD since the start. lagging: titles of the levers that are behind or show nothing.
    """

    name: str
    owner: str
    start: date
    last_day: date | None
    days: int
    planned: Decimal
    realised: Decimal | None
    pace: Decimal | None
    pace_low: Decimal | None
    pace_high: Decimal | None
    status: str
    lagging: tuple[str, ...]
    sentence: str


PACE_DAYS = 28
"""The newest complete days by which a plan's pace is judged: whole weeks, and no start-up."""


def plan_summaries(warehouse: Warehouse, as_of: date) -> tuple[PlanSummary, ...]:
    """Every plan that runs on `as_of`, in short, the latest start first: for the weekly review."""
    found = []
    for plan in plans(warehouse.state):
        if plan.standing == "withdrawn" or plan.start > as_of or (plan.end is not None and plan.end < as_of):
            continue
        found.append(_summary(warehouse, plan, as_of))
    return tuple(found)


def _summary(warehouse: Warehouse, plan: Plan, as_of: date) -> PlanSummary:
    planned = sum((each.added for each in plan.planned if each.name != "volume"), ZERO)
    try:
        tracked = track(warehouse, plan, as_of)
        whole = tracked.account()
        recent = tracked.account(tracked.last - timedelta(days=PACE_DAYS - 1))
    except InputError as error:
        return PlanSummary(
            plan.name, plan.owner, plan.start, None, 0, planned, None, None, None, None, "too early", (), str(error)
        )
    pace, low, high = (_per_month(plan, amount, recent.days) for amount in (recent.realised, recent.low, recent.high))
    lagging = tuple(row.title for row in recent.levers if row.status in ("behind", "no evidence"))
    sentence = pace_sentence(plan, recent)
    if tracked.overlap:
        sentence = f"{sentence}; {tracked.overlap}"
    return PlanSummary(
        plan.name, plan.owner, plan.start, tracked.last, whole.days, planned, whole.realised, pace, low, high, recent.status,
        lagging, sentence,
    )  # fmt: skip


def pace_sentence(plan: Plan, account: Realised) -> str:
    """What a plan saves in these days against what it was to save, in a sentence."""
    pace, low, high, expected = (
        formatting.usd(_per_month(plan, amount, account.days))
        for amount in (account.realised, account.low, account.high, account.expected)
    )
    if account.status == "too early":
        days = "day" if account.days == 1 else "days"
        return f"{plan.name}: {account.days} complete {days} since {plan.start}, too early to tell"
    words = {
        "on track": "as planned",
        "ahead": "more than planned",
        "behind": "less than planned",
        "no evidence": "nothing shows yet that it saves",
    }
    return f"{plan.name} saves {pace} a month ({low} to {high}) of {expected} expected at this volume: {words.get(account.status, account.status)}"


def per_month(plan: Plan, amount: Decimal, days: int) -> Decimal:
    """USD of so many days as USD per month of the baseline's length, in cents."""
    return _per_month(plan, amount, days)


def _per_month(plan: Plan, amount: Decimal, days: int) -> Decimal:
    month_days = Decimal(repr(plan.scale_to_month)) * plan.window_days
    return (amount * month_days / days).quantize(CENT)


def _growth(
    warehouse: Warehouse, baseline: Filters, first: date, last: date, tiers: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """Active people of each day relative to the baseline's mean; a day without a record has the mean of the others. None where activity is not
    recorded for both periods: callers would fall with the calls."""
    where = (("user_tier", tiers),) if tiers else ()
    before = active_users(warehouse, Filters(baseline.start, baseline.end, where), WHOLE).get(baseline.start)
    daily = active_users(warehouse, Filters(first, last, where), "day")
    if before is None or before.source != ACTIVITY or not before.user_days:
        return None
    found = np.full((last - first).days + 1, np.nan)
    for day, people in daily.items():
        if people.source == ACTIVITY:
            found[(day - first).days] = people.user_days / (before.user_days / before.days)
    known = ~np.isnan(found)
    return np.where(known, found, found[known].mean()) if known.any() else None


def _named(warehouse: Warehouse, name: str) -> Plan:
    for plan in plans(warehouse.state):
        if plan.name == name:
            return plan
    raise InputError(f"there is no plan {name!r}")
