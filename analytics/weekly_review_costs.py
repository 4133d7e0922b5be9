"""The sections of a weekly review about cost: the week's figures, what changed, features that trend, and pairs that cost more than they earn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from analytics import formatting
from analytics.costs import costs
from analytics.currency import require_one_currency
from analytics.filters import UNTAGGED, Filters
from analytics.forecast import forecast
from analytics.margins import margins
from analytics.overview import Overview, overview
from analytics.period_names import month_name
from analytics.ratios import share
from analytics.snapshot_report import Column, Figure
from analytics.weekly_review_model import Section, table
from analytics.weekly_review_week import DAYS, Week, WeekDays, days_of
from analytics.why_changed import WORDS, change, why_changed
from warehouse.reader import Warehouse

WEEKS = 8
"""Weeks in a feature's trend, the reviewed one included."""
USUAL_WEEKS = 4
"""A feature's usual week is the mean of so many weeks before."""
RISE = Decimal("1.2")
"""A week of more than so many usual weeks trends up."""
RISING_WEEKS = 3
"""So many weeks in a row, each dearer than the one before, trend up however slowly."""
WORTH_SAYING = Decimal("0.01")
"""A change of less than this part of the week's cost is no trend worth a meeting's time."""
MOST_ROWS = 8

_UP = {"rising": "is rising", "climbing": "climbs week after week", "new": "is new"}

SHARED = "(no feature)"


def figures(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001 - every section takes the day
    """What the week cost, against the week before; per active user; and where the month is heading."""
    days = days_of(warehouse, week)
    now = overview(warehouse, days.now)
    before = overview(warehouse, days.earlier) if days.compares else None
    currency = now.currency or warehouse.configuration.reporting_currency
    shown = [_figure("Cost", now.total, before.total if before else None, currency, days)]
    if now.cost_per_average_dau is not None:
        earlier = before.cost_per_average_dau if before else None
        shown.append(
            _figure(
                "Cost per average DAU",
                now.cost_per_average_dau,
                earlier,
                currency,
                days,
                "over the whole week",
            )
        )
    if now.average_dau is not None:
        note = (
            formatting.delta(now.average_dau, before.average_dau, days.against) if before and before.average_dau else ""
        )
        shown.append(Figure("Average daily active users", formatting.count(round(now.average_dau)), note))
    if now.revenue is not None:
        margin = f"gross margin {formatting.share(now.gross_margin)}" if now.gross_margin is not None else ""
        shown.append(Figure("Revenue", formatting.money(now.revenue, currency), margin))
    shown.append(_month_end(warehouse, days.now.end, currency))
    return Section(
        "figures", "The week", week_sentence(now, before, days, currency),
        "Effective cost: what the use of these days cost, with discounts and prepayments spread over the time that they cover.",
        page="overview", figures=tuple(shown), points=(now.coverage, *days.missing), currency=currency,
    )  # fmt: skip


def week_sentence(now: Overview, before: Overview | None, days: WeekDays, currency: str) -> str:
    """`The week cost $2,067, 7.2% less than the week before`."""
    whole = "The week" if days.is_whole else f"{days.now.days} {'day' if days.now.days == 1 else 'days'} of the week"
    if now.total is None:
        return f"What {whole[0].lower()}{whole[1:]} cost is not known"
    text = f"{whole} cost {formatting.money(now.total, currency)}"
    if before is None or before.total is None:
        return f"{text}; there is no week before to compare it with"
    change_ = formatting.compared(now.total, before.total, days.against)
    return f"{text}, {change_.replace(' in the ', ' the ')}" if change_ else text


def changed(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001
    """Why the week cost more or less than the one before, as parts that sum to the difference."""
    days = days_of(warehouse, week)
    title, page = "What changed", "why-changed"
    how = "Each driver's part of the difference, all else fairly shared (Shapley values): the parts sum to it to the last digit. Plus is dearer."
    if not days.compares or costs(warehouse, days.earlier)["cost"].isna().all():
        return Section("changed", title, "There is no week before to compare this one with", how, page, "empty")
    found = change(warehouse, days.now, days.earlier)
    currency = found.currency or warehouse.configuration.reporting_currency
    detail = why_changed(warehouse, days.now, days.earlier).to_dict("records")
    points = [
        f"{formatting.money(row['amount'], currency, plus=True)}: {row['feature'] or _rest(row['kind'])}, {row['driver']}"
        + (f" on {row['detail']}" if row["detail"] else "")
        for row in detail[:3]
    ]
    largest_first = sorted(found.parts, key=lambda part: -abs(part[1]))
    rows = [
        {"driver": driver.capitalize(), "amount": amount, "means": WORDS[driver]} for driver, amount in largest_first
    ]
    if rows:
        ends = f"From {formatting.money(found.before, currency)} to {formatting.money(found.after, currency)}"
        rows.append({"driver": "Difference", "amount": found.difference, "means": ends})
    columns = (Column("driver", "Driver"), Column("amount", "Part", "money"), Column("means", "What it is"))
    drawn, left_out = table("changed", f"{currency}, against {days.against}", columns, rows)
    return Section(
        "changed", title, _changed_sentence(found.difference, found.parts, currency, days), how, page, "fine",
        points=tuple(points), table=drawn, left_out=left_out, currency=currency,
    )  # fmt: skip


def features(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001
    """Which features cost what, and which trend up."""
    days = days_of(warehouse, week)
    rows, currency = feature_rows(warehouse, days)
    rising = [row for row in rows if row["trend"] in _UP]
    how = (
        f"A feature trends up when it costs over {formatting.share(RISE - 1)} more than its usual week (the mean of the {USUAL_WEEKS} weeks before), "
        f"or more than it and more in each of {RISING_WEEKS} weeks in a row, by at least {formatting.share(WORTH_SAYING)} of the whole. "
        "Cost is all that names the feature."
    )
    if not days.is_whole:
        how += f" Of every week the same {days.now.days} days."
    if not rows:
        return Section("features", "Features", "No cost names a feature in this week", how, "features", "empty")
    columns = (
        Column("feature", "Feature"),
        Column("cost", "This week", "money"),
        Column("before", "Week before", "money"),
        Column("change", "Change", "share"),
        Column("usual", "Usual week", "money", f"Mean of the {USUAL_WEEKS} weeks before"),
        Column("calls", "Calls", "count"),
        Column("trend", "Trend"),
    )
    drawn, left_out = table("features", f"{currency}; the rows sum to the week's cost", columns, rows)
    said = [
        f"{row['feature']} {_UP[row['trend']]}: {formatting.money(row['cost'], currency)}"
        + (f", {formatting.change(row['cost'], row['usual'])} against its usual week" if row["usual"] else "")
        for row in rising
    ]
    sentence = said[0] if len(said) == 1 else "No feature is trending up"
    if len(rising) > 1:
        sentence = f"{len(rising)} features are trending up: {', '.join(row['feature'] for row in rising)}"
    return Section(
        "features", "Features", sentence, how, "features", "look" if rising else "fine", points=tuple(said) if len(said) > 1 else (),
        table=drawn, left_out=left_out, trends=tuple(tuple(row["weeks"]) for row in rows), currency=currency,
    )  # fmt: skip


def feature_rows(warehouse: Warehouse, days: WeekDays) -> tuple[list[dict[str, Any]], str]:
    """One row per feature, the dearest first, last what names none; with the currency. The rows sum to the ledger's cost of the days.

    feature, cost, calls, before, change (to the week before), usual (mean of the weeks before), weeks (costs of `WEEKS` weeks, the oldest first),
    trend ("rising": well above its usual week; "climbing": slowly, week after week; "falling", "new", "steady"). None: no data then. Of every
    week the same weekdays count.
    """
    span = warehouse.span() or (days.now.start, days.now.end)
    begin = days.now.start - timedelta(days=DAYS * (WEEKS - 1))
    frame = costs(warehouse, Filters(begin, days.now.end), ("feature",))
    frame = frame[frame["cost"].notna()]
    currency = require_one_currency(frame["currency"]) or warehouse.configuration.reporting_currency
    sums: dict[str | None, list[Decimal]] = {}
    calls: dict[str | None, int] = {}
    for period, feature, cost, number in zip(
        *(frame[name] for name in ("period", "feature", "cost", "calls")), strict=True
    ):
        back, weekday = divmod((period - begin).days, DAYS)
        if weekday >= days.now.days:
            continue
        sums.setdefault(feature, [Decimal(0)] * WEEKS)[back] += cost
        if back == WEEKS - 1:
            calls[feature] = calls.get(feature, 0) + (number or 0)
    known = [begin + timedelta(days=DAYS * back) >= span[0] for back in range(WEEKS)]
    whole = sum((values[-1] for values in sums.values()), Decimal(0))
    rows = [
        _feature_row(feature, values, known, whole) | {"calls": calls.get(feature, 0)}
        for feature, values in sums.items()
        if values[-1] or (known[-2] and values[-2])
    ]
    rows.sort(key=lambda row: (row["feature"] == SHARED, -row["cost"], row["feature"]))
    return rows, currency


def _feature_row(feature: str | None, values: list[Decimal], known: list[bool], whole: Decimal) -> dict[str, Any]:
    weeks = [value if is_known else None for value, is_known in zip(values, known, strict=True)]
    cost, before = values[-1], weeks[-2]
    past = [value for value in weeks[-1 - USUAL_WEEKS : -1] if value is not None]
    usual = (sum(past, Decimal(0)) / len(past)).quantize(Decimal("0.01")) if past else None
    return {
        "feature": SHARED if feature is None else feature, "cost": cost, "before": before,
        "change": share(cost - before, before) if before else None, "usual": usual, "weeks": weeks,
        "trend": _trend(weeks, cost, usual, whole),
    }  # fmt: skip


def _trend(weeks: list[Decimal | None], cost: Decimal, usual: Decimal | None, whole: Decimal) -> str:
    known = [value for value in weeks if value is not None]
    least = WORTH_SAYING * whole
    if usual is None:
        return "steady"
    if not any(known[:-1]):
        return "new" if cost >= least else "steady"
    last = known[-1 - RISING_WEEKS :]
    climbs = len(last) > RISING_WEEKS and all(later > sooner for sooner, later in pairwise(last))
    if cost > RISE * usual and cost - usual >= least:
        return "rising"
    if climbs and cost > usual and last[-1] - last[0] >= least:
        return "climbing"
    return "falling" if usual > RISE * cost and usual - cost >= least else "steady"


def losses(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001
    """Feature and tier pairs that cost more than they earn."""
    days = days_of(warehouse, week)
    rows = margins(warehouse, days.now).to_dict("records")
    currency = next((row["currency"] for row in rows if row["currency"]), warehouse.configuration.reporting_currency)
    judged = [row for row in rows if row["profitable"] is not None and row["kind"] == "feature"]
    losing = sorted(
        (row for row in rows if row["saving_if_off"] is not None),
        key=lambda row: (-row["saving_if_off"], str(row["feature"]), str(row["user_tier"])),
    )
    how = (
        "Revenue less cost of each feature and user tier, as attributed. A free tier without revenue may be meant to cost; a paying one is not. "
        "What would be left over if the pair were switched off, and nobody's behaviour elsewhere changed."
    )
    title, page = "Features that lose money", "unit-economics"
    if not judged:
        return Section(
            "losses", title, "Nothing can be said about profit: no revenue is loaded for any feature", how, page, "empty",
            points=("Load revenue by feature and tier with `percall load revenue.csv`, or send it with each call.",),
        )  # fmt: skip
    if not losing:
        return Section("losses", title, f"All {len(judged)} feature and tier pairs earn more than they cost", how, page)
    whole = sum((row["saving_if_off"] for row in losing), Decimal(0))
    earning = [row for row in losing if row["revenue"]]
    points = [
        f"{row['feature']} for {row['user_tier'] or 'all tiers'} earned {formatting.money(row['revenue'], currency)} and cost "
        f"{formatting.money(row['cost'], currency)}: {_per_call(row, currency)}."
        for row in earning[:3]
    ]  # fmt: skip
    if unearning := [row for row in losing if not row["revenue"]]:
        amount = sum((row["saving_if_off"] for row in unearning), Decimal(0))
        points.append(
            f"{len(unearning)} of them {'earns' if len(unearning) == 1 else 'earn'} nothing and cost {formatting.money(amount, currency)}: is that "
            "what free use is worth?"
        )
    columns = (
        Column("feature", "Feature"), Column("user_tier", "Tier"), Column("calls", "Calls", "count"), Column("cost", "Cost", "money"),
        Column("revenue", "Revenue", "money"), Column("gross_margin", "Margin", "share"), Column("saving_if_off", "Loss", "money"),
    )  # fmt: skip
    named = [row | {"feature": row["feature"] or UNTAGGED, "user_tier": row["user_tier"] or UNTAGGED} for row in losing]
    drawn, left_out = table("losses", f"{currency} in the week", columns, named, MOST_ROWS)
    sentence = f"{len(losing)} of {len(judged)} feature and tier pairs cost more than they earn, by {formatting.money(whole, currency)} in the week"
    return Section(
        "losses",
        title,
        sentence,
        how,
        page,
        "look",
        points=tuple(points),
        table=drawn,
        left_out=left_out,
        currency=currency,
    )


def _per_call(row: Mapping[Any, Any], currency: str) -> str:
    if row["cost_per_call"] is None or row["revenue_per_call"] is None:
        return "more than it earns"
    return f"{formatting.money(row['cost_per_call'], currency)} a call against {formatting.money(row['revenue_per_call'], currency)} earned"


def _figure(
    label: str, now: Decimal | None, before: Decimal | None, currency: str, days: WeekDays, note: str = ""
) -> Figure:
    compared = (
        formatting.delta(now, before, days.against) if days.compares and before is not None and now is not None else ""
    )
    return Figure(label, formatting.money(now, currency), "; ".join(part for part in (compared, note) if part))


def _month_end(warehouse: Warehouse, day: date, currency: str) -> Figure:
    found = forecast(warehouse, Filters(day.replace(day=1), day), day)
    month = month_name(day)
    if found.is_complete:
        return Figure(f"All of {month}", formatting.money(found.amount, currency), "the month is complete")
    if found.amount is None:
        return Figure(
            f"{month} so far", formatting.money(found.spent, currency), "too little history to project its end"
        )
    span = ""
    if found.low is not None and found.high is not None:
        span = f", {formatting.money(found.low, currency)} to {formatting.money(found.high, currency)}"
    return Figure(
        f"{month} is heading for",
        formatting.money(found.amount, currency),
        f"{formatting.money(found.spent, currency)} so far{span}",
    )


def _changed_sentence(
    difference: Decimal, parts: tuple[tuple[str, Decimal], ...], currency: str, days: WeekDays
) -> str:
    if not difference:
        return f"The cost is the same as in {days.against}"
    text = f"{formatting.money(abs(difference), currency)} {'more' if difference > 0 else 'less'} than {days.against}"
    driver, amount = max((part for part in parts if part[1] * difference > 0), key=lambda part: abs(part[1]))
    return f"{text}; the most of it is {driver}, {formatting.money(amount, currency, plus=True)}"


def _rest(kind: str) -> str:
    return {"shared": "shared infrastructure", "not traced": "billed, not traced"}.get(kind, "calls without a feature")
