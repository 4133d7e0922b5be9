"""What is worth telling now: anomalies, budgets, sources and plans, as the pages and exports show them, each against what was told before.

An anomaly is told when it is found, again when its excess has doubled, and once more when it has ended. A budget is told at 50, 75, 90 and
100 % and when the forecast says that it will be exceeded, each once a month. A source is told when a sync failed or nothing new came, and when
it works again. A plan is told when it falls behind, and when it is on track again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from analytics import formatting
from analytics.alert_settings import ANOMALIES, BUDGETS, PLANS, SOURCES, AlertSettings
from analytics.anomalies_episodes import GAP_DAYS, Episode
from analytics.anomalies_explanation import explain_episode
from analytics.anomalies_states import open_flags
from analytics.anomalies_words import headline
from analytics.budgets import budget_status
from analytics.frames import Row
from analytics.freshness import late_sources
from analytics.simulators.plan_tracking import PlanSummary, plan_summaries
from connectors.live.sync_records import FAILED, INCOMPLETE, SyncRecords
from operations.alerting.message import Alert
from warehouse.errors import InputError
from warehouse.outbox import Told
from warehouse.reader import Warehouse

DOUBLED = 2
REASONS = 3
NEW_WITHIN = timedelta(days=7)
"""An anomaly that ended longer ago, before it could be told, is history: it is on the page, but alarms nobody."""

_BREACHES = {"likely": "is likely to be exceeded", "certain": "will be exceeded"}


@dataclass(frozen=True)
class News:
    """One alert with what is to be remembered of having told it; `ended`: the subject is closed."""

    alert: Alert
    told: Mapping[str, Any]
    ended: bool = False


def news(
    warehouse: Warehouse, settings: AlertSettings, told: Mapping[str, Told], now: datetime, topics: frozenset[str]
) -> list[News]:
    """Everything that people were not told yet, of these topics; `now` is UTC.

    A topic that cannot be judged (a budget in another currency, costs in two) is told as that, and keeps the others from nobody.
    """
    span = warehouse.span()
    today = now.astimezone(warehouse.configuration.zone).date()
    ways: dict[str, Callable[[date], Iterator[News]]] = {
        ANOMALIES: lambda newest: _anomalies(warehouse, settings, told, newest),
        BUDGETS: lambda _newest: _budgets(warehouse, settings, told),
        SOURCES: lambda _newest: _sources(warehouse, settings, told, today),
        PLANS: lambda newest: _plans(warehouse, settings, told, newest),
    }
    found: list[News] = []
    for topic, way in ways.items():
        if topic not in topics or (span is None and topic != SOURCES):
            continue
        problem = ""
        try:
            found += list(way(span[1] if span else today))
        except InputError as error:
            problem = str(error)
        found += _judgement(settings, told, topic, problem, now)
    return found


def _judgement(
    settings: AlertSettings, told: Mapping[str, Told], topic: str, problem: str, now: datetime
) -> Iterator[News]:
    """That a topic cannot be judged, and that it can be again."""
    subject = f"no judgement:{topic}"
    before = told.get(subject)
    known = before.body["problem"] if before is not None and before.ended_at is None else ""
    if problem == known:
        return
    title = f"Nothing can be told about {topic}" if problem else f"There is news about {topic} again"
    alert = Alert(
        topic, subject, f"{now:%Y-%m-%dT%H:%M:%S}", title, (problem,) if problem else (), link=_link(settings, "data"), resolved=not problem
    )  # fmt: skip
    yield News(alert, {"problem": problem}, ended=not problem)


def _anomalies(warehouse: Warehouse, settings: AlertSettings, told: Mapping[str, Told], newest: date) -> Iterator[News]:
    flagged = open_flags(warehouse, detector=settings.detector, minimum=settings.minimum)
    open_now = _once([flag.episode for flag in flagged])
    matched: set[str] = set()
    for episode in open_now:
        before = next((one for one in told.values() if _same(one, episode)), None)
        if before is not None:
            matched.add(before.subject)
        if before is None:
            if newest - episode.last_day <= NEW_WITHIN:
                yield _anomaly(warehouse, settings, f"{ANOMALIES}:{episode.key}", "open", episode)
        elif before.ended_at is None and abs(episode.excess) >= DOUBLED * abs(Decimal(before.body["excess"])):
            yield _anomaly(warehouse, settings, before.subject, f"{abs(episode.excess):.0f}", episode)
        elif before.ended_at is None and not episode.is_ongoing and (newest - episode.last_day).days > GAP_DAYS:
            yield _over(settings, before)
    for subject, before in told.items():
        is_open = before.ended_at is None and subject.startswith(f"{ANOMALIES}:")
        if is_open and subject not in matched:
            # Acknowledged, expected, or corrected by later data: somebody knows, or there is nothing to know any more.
            yield _over(settings, before)


def _once(episodes: Sequence[Episode]) -> list[Episode]:
    """Each event once, where both detectors found it: as the default one tells it, which knows weekdays and growth."""
    found = [episode for episode in episodes if not episode.rule]
    known = {(series, one.direction, day) for one in found for series in (one.series, *one.also) for day in one.days}
    return found + [
        episode
        for episode in episodes
        if episode.rule and not any((episode.series, episode.direction, day) in known for day in episode.days)
    ]


def _same(told: Told, episode: Episode) -> bool:
    """Whether what was told is about this event: late data may move its first day."""
    if not told.subject.startswith(f"{ANOMALIES}:") or told.body["fingerprint"] != episode.fingerprint:
        return False
    near = timedelta(days=GAP_DAYS)
    first, last = date.fromisoformat(told.body["first_day"]), date.fromisoformat(told.body["last_day"])
    return first - near <= episode.last_day and episode.first_day <= last + near


def _anomaly(warehouse: Warehouse, settings: AlertSettings, subject: str, event: str, episode: Episode) -> News:
    explained = explain_episode(warehouse, episode)
    reasons = [
        f"{formatting.money(one.amount, episode.currency or 'USD', plus=True)}: {one.words}"
        for one in explained.reasons[:REASONS]
        if one.amount * explained.excess > 0
    ]
    also = [f"It shows in {len(episode.also)} other series too."] if episode.also else []
    if event != "open":
        also.append("The excess has more than doubled since you were told.")
    alert = Alert(
        ANOMALIES, subject, event, explained.sentence, (*reasons, *also), format(episode.excess, "f"), episode.currency,
        _link(settings, "anomalies"),
    )  # fmt: skip
    remembered = {
        "fingerprint": episode.fingerprint, "first_day": episode.first_day.isoformat(), "last_day": episode.last_day.isoformat(),
        "excess": format(episode.excess, "f"),
        "title": headline(episode.series, episode.days, episode.expected, episode.actual, episode.currency),
    }  # fmt: skip
    return News(alert, remembered)


def _over(settings: AlertSettings, before: Told) -> News:
    alert = Alert(
        ANOMALIES, before.subject, "resolved", f"Over: {before.body['title']}",
        ("Its cost is back to what is expected, or somebody has taken care of it.",),
        link=_link(settings, "anomalies"), resolved=True,
    )  # fmt: skip
    return News(alert, before.body, ended=True)


def _budgets(warehouse: Warehouse, settings: AlertSettings, told: Mapping[str, Told]) -> Iterator[News]:
    for row in budget_status(warehouse).to_dict("records"):
        subject = f"{BUDGETS}:{row['budget']} {row['month']:%Y-%m}"
        before = told.get(subject)
        reached = before.body["reached"] if before else 0
        breach = before.body["breach"] if before else ""
        remembered = {"reached": max(reached, int(row["reached"])), "breach": breach}
        is_new_breach = row["breach"] in _BREACHES and row["breach"] != breach and breach != "certain"
        if is_new_breach:
            remembered["breach"] = row["breach"]
        if row["reached"] > reached:
            # One message, also where a month begins with a budget that is spent already: the highest mark counts.
            title = f"Budget {row['budget']}: {row['reached']}% of {_money(row, 'amount')} is spent"
            if row["breach"] == "over":
                title = f"Budget {row['budget']} is exceeded: {_money(row, 'spent')} of {_money(row, 'amount')}"
            yield News(_budget(settings, row, subject, str(row["reached"]), title), remembered)
        elif is_new_breach:
            title = (
                f"Budget {row['budget']} {_BREACHES[row['breach']]}: {_money(row, 'amount')} for {row['month']:%B %Y}"
            )
            yield News(_budget(settings, row, subject, row["breach"], title), remembered)


def _budget(settings: AlertSettings, row: Mapping[Any, Any], subject: str, event: str, title: str) -> Alert:
    month = f"{row['month']:%B}"
    complete = f"complete until {row['through']:%-d %B}" if row["through"] else f"no day of {month} is complete yet"
    lines = [f"{_money(row, 'spent')} is known so far, {complete}; {row['days_left']} days of it are left."]
    if row["forecast"] is not None:
        span = ""
        if row["forecast_low"] is not None and row["forecast_high"] is not None:
            span = f" ({_money(row, 'forecast_low')} to {_money(row, 'forecast_high')})"
        lines.append(f"The month is heading for {_money(row, 'forecast')}{span}.")
    if row["owner"]:
        lines.append(f"Owner: {row['owner']}.")
    return Alert(
        BUDGETS, subject, event, title, tuple(lines), format(row["spent"], "f") if row["spent"] is not None else None, row["currency"],
        _link(settings, "budgets"),
    )  # fmt: skip


def _money(row: Mapping[Any, Any] | Row, name: str) -> str:
    return formatting.money(row[name], row["currency"])


def _sources(warehouse: Warehouse, settings: AlertSettings, told: Mapping[str, Told], today: date) -> Iterator[News]:
    wrong: dict[str, tuple[str, str, str]] = {}
    for run in SyncRecords(warehouse.store.path).latest().values():
        if run.state == FAILED:
            wrong[run.source] = (f"Source {run.source} could not be read", run.message, f"run {run.run}")
        elif run.state == INCOMPLETE:
            wrong[run.source] = (
                f"Source {run.source} brought files that could not be used",
                run.message,
                f"run {run.run}",
            )
    for source, day in late_sources(warehouse, today):
        words = f"Its newest day is {day:%-d %B %Y}; figures since then are not complete."
        wrong.setdefault(source, (f"Source {source} has brought nothing new", words, f"since {day}"))
    for source, (title, words, episode) in wrong.items():
        subject = f"{SOURCES}:{source}"
        before = told.get(subject)
        if before is None or before.ended_at is not None:
            alert = Alert(SOURCES, subject, episode, title, (words,) if words else (), link=_link(settings, "data"))
            yield News(alert, {"title": title, "event": episode})
    for subject, before in told.items():
        source = subject.removeprefix(f"{SOURCES}:")
        if subject.startswith(f"{SOURCES}:") and before.ended_at is None and source not in wrong:
            event = f"works again, {before.body['event']}"
            alert = Alert(
                SOURCES, subject, event, f"Source {source} works again", link=_link(settings, "data"), resolved=True
            )
            yield News(alert, before.body, ended=True)


def _plans(warehouse: Warehouse, settings: AlertSettings, told: Mapping[str, Told], newest: date) -> Iterator[News]:
    for summary in plan_summaries(warehouse, newest):
        subject = f"{PLANS}:{summary.name}"
        before = told.get(subject)
        is_told = before is not None and before.ended_at is None
        if summary.status == "behind" and not is_told:
            yield _plan(settings, summary, subject, f"behind on {newest}", f"Plan {summary.name} is behind")
        elif summary.status in ("on track", "ahead") and is_told:
            item = _plan(settings, summary, subject, f"on track on {newest}", f"Plan {summary.name} is on track again")
            yield News(replace(item.alert, resolved=True), item.told, ended=True)


def _plan(settings: AlertSettings, summary: PlanSummary, subject: str, event: str, title: str) -> News:
    lines = [summary.sentence]
    if summary.lagging:
        lines.append(f"Levers behind: {', '.join(summary.lagging)}.")
    if summary.owner:
        lines.append(f"Owner: {summary.owner}.")
    return News(Alert(PLANS, subject, event, title, tuple(lines), link=_link(settings, "plans")), {"event": event})


def _link(settings: AlertSettings, page: str, **parameters: str) -> str | None:
    if settings.base_url is None:
        return None
    return f"{settings.base_url}/{page}" + (f"?{urlencode(parameters)}" if parameters else "")
