"""The sections of a weekly review about what wants care: anomalies, waste, untagged cost, budgets, plans and restatements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from analytics import formatting
from analytics.anomalies import BOTH
from analytics.anomalies_episodes import Episode, episodes
from analytics.anomalies_explanation import explain_episode
from analytics.anomalies_states import DAYS as LOOK_BACK
from analytics.anomalies_states import Flag, flags
from analytics.anomalies_words import series_name
from analytics.budgets import budget_status
from analytics.filters import Filters
from analytics.restated import headline as restated_headline
from analytics.restated import restated_by_source
from analytics.simulators.plan_tracking import PlanSummary, plan_summaries
from analytics.snapshot_report import Column
from analytics.tag_coverage import tag_summary, untagged_by_owner
from analytics.waste import waste_report
from analytics.weekly_review_model import Section, table
from analytics.weekly_review_week import Week, days_of
from warehouse.reader import Warehouse

MOST_EXPLAINED = 3
MOST_ROWS = 8
WORTH_SAYING = Decimal(5)
"""Less than this excess by the 20 % rule alone is no minute of a meeting, in the currency of the costs."""
UNTAGGED_WORTH_IT = 0.05
"""Less untagged cost than this part of the whole is left alone, unless it grows."""
LOST_COVERAGE = 0.01


def anomalies(warehouse: Warehouse, week: Week, today: date) -> Section:
    """What costs more or less than it should and nobody has taken care of, with the reason in words."""
    days = days_of(warehouse, week)
    span = warehouse.span() or (days.now.start, days.now.end)
    # Four weeks: what began before the week and is still open belongs to the meeting too, as alerts look as far back.
    period = Filters(max(span[0], days.now.end - timedelta(days=LOOK_BACK - 1)), days.now.end)
    both = flags(episodes(warehouse, period, BOTH), warehouse.state, today)
    found = [flag for flag in both if not flag.episode.rule]
    waiting = [flag for flag in found if flag.status == "open"]
    dearer = [flag for flag in waiting if flag.episode.direction == "up"]
    how = (
        f"Of the {LOOK_BACK} days to the week's last: days that leave their weekday and level by far, one event told once. Open: nobody acknowledged,"
        " snoozed or expected it. Plus is dearer."
    )
    others = len(found) - len(waiting)
    more = [f"{others} more {'is' if others == 1 else 'are'} acknowledged, snoozed or expected."] if others else []
    more += _by_the_rule(both, days.now)
    if not waiting:
        sentence = (
            "No anomaly is open"
            if found
            else f"Nothing odd in the {LOOK_BACK} days to {days.now.end.day} {days.now.end:%B}"
        )
        return Section("anomalies", "Anomalies", sentence, how, "anomalies", points=tuple(more))
    told = [*dearer, *(flag for flag in waiting if flag.episode.direction == "down")]
    points = [f"{explain_episode(warehouse, flag.episode, period).sentence}." for flag in told[:MOST_EXPLAINED]]
    columns = (
        Column("what", "What"), Column("first_day", "From"), Column("last_day", "To"), Column("kind", "Kind"),
        Column("excess", "Excess", "money"), Column("expected", "Expected", "money"), Column("in_week", "In this week"),
    )  # fmt: skip
    currency = told[0].episode.currency or warehouse.configuration.reporting_currency
    drawn, left_out = table("anomalies", currency, columns, (_anomaly(flag, days.now) for flag in told), MOST_ROWS)
    return Section(
        "anomalies", "Anomalies", _anomalies_sentence(dearer, waiting, currency), how, "anomalies", "look" if dearer else "fine",
        points=(*points, *more), table=drawn, left_out=left_out, currency=currency,
    )  # fmt: skip


def _by_the_rule(both: Sequence[Flag], week: Filters) -> list[str]:
    """What the 20 % rule alone flagged in the week, the largest first: people may have been alerted to it."""
    events = [flag.episode for flag in both if not flag.episode.rule]
    known = {
        (series, event.direction, day)
        for event in events
        for series in (event.series, event.told_by.series, *event.also)
        for day in event.days
    }
    alone = [
        flag.episode.told_by
        for flag in both
        if flag.episode.rule
        and flag.status == "open"
        and flag.episode.direction == "up"
        and flag.episode.told_by.excess >= WORTH_SAYING
        and any(week.start <= day <= week.end for day in flag.episode.days)
        and not any(
            (series, "up", day) in known
            for series in (flag.episode.series, flag.episode.told_by.series)
            for day in flag.episode.days
        )
    ]
    if not alone:
        return []
    alone.sort(key=lambda event: (-event.excess, event.series))
    said = []
    for event in alone[:MOST_EXPLAINED]:
        amount = formatting.money(event.excess, event.currency or "USD", plus=True)
        said.append(f"{series_name(event.series)} {amount} from {event.first_day.day} {event.first_day:%B}")
    rest = f" and {len(alone) - MOST_EXPLAINED} more" if len(alone) > MOST_EXPLAINED else ""
    return [f"The 20% rule alone also flags {', '.join(said)}{rest}: within what these weekdays usually vary."]


def _anomaly(flag: Flag, week: Filters) -> dict[str, object]:
    told: Episode = flag.episode.told_by
    inside = any(week.start <= day <= week.end for day in flag.episode.days)
    return {
        "what": series_name(told.series), "first_day": told.first_day, "last_day": told.last_day, "kind": told.kind, "excess": told.excess,
        "expected": told.expected, "in_week": "yes" if inside else "before it",
    }  # fmt: skip


def _anomalies_sentence(dearer: Sequence[Flag], waiting: Sequence[Flag], currency: str) -> str:
    cheaper = len(waiting) - len(dearer)
    if not dearer:
        return f"Nothing is dearer than it should be; {cheaper} open {'event is' if cheaper == 1 else 'events are'} cheaper"
    excess = sum((flag.episode.told_by.excess for flag in dearer), Decimal(0))
    text = f"{len(dearer)} open {'anomaly' if len(dearer) == 1 else 'anomalies'}, {formatting.money(excess, currency)} more than expected"
    return f"{text}; {cheaper} cheaper" if cheaper else text


def waste(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001 - every section takes the day
    """What was paid for and not needed."""
    report = waste_report(warehouse, days_of(warehouse, week).now)
    how = "Found in the week's calls and hours, per calendar month. Findings may claim the same dollar; the sentence counts each once."
    if report.findings.empty:
        return Section("waste", "Waste", report.summary.headline, how, "waste")
    columns = (
        Column("title", "What"), Column("subject", "Where"), Column("waste_per_month", "A month", "money"), Column("certainty", "Certainty"),
        Column("fix", "What ends it"),
    )  # fmt: skip
    rows = report.findings.to_dict("records")
    currency = next((row["currency"] for row in rows if row["currency"]), warehouse.configuration.reporting_currency)
    drawn, left_out = table("waste", f"{currency} a calendar month", columns, rows, MOST_ROWS)
    return Section(
        "waste",
        "Waste",
        report.summary.headline,
        how,
        "waste",
        "look",
        table=drawn,
        left_out=left_out,
        currency=currency,
    )


def untagged(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001
    """What costs money and does not say for whom."""
    days = days_of(warehouse, week)
    found = tag_summary(warehouse, days.now)
    currency = found.currency or warehouse.configuration.reporting_currency
    required = ", ".join(warehouse.configuration.required_tags)
    how = f"Part of the cost that carries every required tag ({required}), and who can add what is missing. Calls count as traced."
    if found.share is None:
        return Section("untagged", "Cost without tags", "The week has no cost to tag", how, "tags", "empty")
    before = tag_summary(warehouse, days.earlier).share if days.compares else None
    missing = found.untagged_cost or Decimal(0)
    sentence = f"{formatting.share(found.share)} of the cost carries every required tag"
    if missing:
        sentence += f"; {formatting.money(missing, currency)} lacks one or more"
    points = []
    if before is not None:
        moved = (found.share - before) * 100
        points.append(
            f"As in {days.against}."
            if abs(moved) < 0.1
            else f"{abs(moved):.1f} points {'more' if moved > 0 else 'less'} than in {days.against}."
        )
    columns = (
        Column("owner", "Who"), Column("cost", "Cost without", "money"), Column("missing", "Missing"), Column("largest", "Most of it"),
        Column("fix", "What to do"),
    )  # fmt: skip
    rows = [
        row | {"owner": row["owner"] or "(nobody known)"}
        for row in untagged_by_owner(warehouse, days.now).to_dict("records")
    ]
    drawn, left_out = table("untagged", f"{currency} in the week", columns, rows, MOST_ROWS)
    wanted = found.share <= 1 - UNTAGGED_WORTH_IT or (before is not None and before - found.share >= LOST_COVERAGE)
    return Section(
        "untagged", "Cost without tags", sentence, how, "tags", "look" if wanted else "fine", points=tuple(points), table=drawn,
        left_out=left_out, currency=currency,
    )  # fmt: skip


def budgets(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001
    """Where every budget of the month stands on the week's last day."""
    day = days_of(warehouse, week).now.end
    how = "Of the calendar month of the week's last day, as it looked on that day; later data are not used."
    rows = budget_status(warehouse, day).to_dict("records")
    if not rows:
        return Section(
            "budgets", "Budgets", "No budget is set for this month", how, "budgets", "empty",
            points=("A budget says what a feature, a team or everything may cost a month: set one on the page Budgets, or in percall.toml.",),
        )  # fmt: skip
    trouble = [row for row in rows if row["breach"] in ("over", "certain", "likely")]
    columns = (
        Column("budget", "Budget"), Column("amount", "A month", "money"), Column("spent", "Spent", "money"),
        Column("spent_share", "Of it", "share"), Column("forecast", "Month's end", "money"), Column("state", "State"), Column("owner", "Owner"),
    )  # fmt: skip
    currency = str(rows[0]["currency"])
    drawn, left_out = table("budgets", f"{currency}, {day:%B %Y}", columns, rows)
    names = ", ".join(f"{row['budget']} ({row['state']})" for row in trouble)
    if trouble:
        sentence = f"{len(trouble)} of {len(rows)} budgets {'is' if len(trouble) == 1 else 'are'} in trouble: {names}"
    else:
        possible = sum(row["breach"] == "possible" for row in rows)
        sentence = f"{'The budget holds' if len(rows) == 1 else f'All {len(rows)} budgets hold'} so far"
        sentence += f"; {possible} may still be exceeded" if possible else ""
    return Section(
        "budgets",
        "Budgets",
        sentence,
        how,
        "budgets",
        "look" if trouble else "fine",
        table=drawn,
        left_out=left_out,
        currency=currency,
    )


def plans(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001
    """What adopted plans save against what they were to save."""
    day = days_of(warehouse, week).now.end
    how = "Pace of the newest complete days, at most 28, as USD a month with its range; planned: as adopted. Growth is no saving."
    found = plan_summaries(warehouse, day)
    if not found:
        return Section(
            "plans", "Plans", "No plan is running", how, "plans", "empty",
            points=("Adopt a saved scenario as a plan: what it really saves is then told here every week.",),
        )  # fmt: skip
    behind = [plan for plan in found if plan.status in ("behind", "no evidence")]
    columns = (
        Column("plan", "Plan"), Column("since", "Since"), Column("planned", "Planned", "money"), Column("pace", "Saves", "money"),
        Column("range", "Range"), Column("status", "Status"), Column("lagging", "Levers behind"), Column("owner", "Owner"),
    )  # fmt: skip
    drawn, left_out = table("plans", "USD a month", columns, (_plan(plan) for plan in found))
    sentence = f"{len(behind)} of {len(found)} plans {'saves' if len(behind) == 1 else 'save'} less than planned"
    if not behind:
        early = sum(plan.status == "too early" for plan in found)
        sentence = f"{'The plan is' if len(found) == 1 else f'All {len(found)} plans are'} on track"
        if early:
            sentence = f"{early} of {len(found)} {'plan is' if len(found) == 1 else 'plans are'} too young to judge"
    return Section(
        "plans", "Plans", sentence, how, "plans", "look" if behind else "fine",
        points=tuple(f"{plan.sentence}." for plan in found), table=drawn, left_out=left_out, currency="USD",
    )  # fmt: skip


def _plan(plan: PlanSummary) -> dict[str, object]:
    span = (
        f"{formatting.usd(plan.pace_low)} to {formatting.usd(plan.pace_high)}"
        if plan.pace_low is not None and plan.pace_high is not None
        else None
    )
    return {
        "plan": plan.name, "since": plan.start, "planned": plan.planned, "pace": plan.pace, "range": span, "status": plan.status,
        "lagging": ", ".join(plan.lagging) or None, "owner": plan.owner or None,
    }  # fmt: skip


def restatements(warehouse: Warehouse, week: Week, today: date) -> Section:  # noqa: ARG001
    """Which past days are told differently than before the week."""
    filters = days_of(warehouse, week).now
    how = "Days whose cost a later load, price or rule changed, since the week's Monday (UTC). Told once, so that no old figure surprises."
    frame = restated_by_source(warehouse, filters, week.start)
    sentence = restated_headline(warehouse, filters, week.start)
    if frame.empty:
        return Section("restatements", "Restatements", sentence, how, "restatements")
    columns = (
        Column("source", "Source"), Column("feature", "Feature"), Column("reason", "Reason"), Column("change", "Change", "money"),
        Column("days", "Days", "count"), Column("first_day", "From"), Column("last_day", "To"),
    )  # fmt: skip
    rows = frame.to_dict("records")
    currency = str(rows[0]["currency"])
    drawn, left_out = table("restatements", f"{currency}, effective cost now less before", columns, rows, MOST_ROWS)
    return Section(
        "restatements",
        "Restatements",
        sentence,
        how,
        "restatements",
        "fine",
        table=drawn,
        left_out=left_out,
        currency=currency,
    )
