"""Anomalies: what costs more or less than it should, with the cause in words, and what was made of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.anomalies import flagged_days, ordinary
from analytics.anomalies_drivers import Dimension
from analytics.anomalies_episodes import Episode, episodes
from analytics.anomalies_explanation import Explanation, calls_behind, explain_episode
from analytics.anomalies_robust import SENSITIVITY
from analytics.anomalies_states import Flag, flags, history
from analytics.anomalies_words import headline, series_name
from analytics.filters import Filters
from analytics.period_names import during
from pages import _draw as draw
from pages._data import answer, configuration, span, warehouse
from pages._filters import current, describe
from pages._links import link
from pages.operate._anomaly_actions import actions, last_action
from pages.operate._anomaly_chart import anomaly_chart
from pages.operate._expected_events import expected

DETECTORS = {"Default": "default", "20% rule": "rule", "Both": "both"}
DIRECTIONS = {"Dearer": ("up",), "Cheaper": ("down",), "Both ways": ("up", "down")}
MOST_CARDS = 5
"""Open anomalies that are told in full, with their cause; the others stand in the table."""
AROUND = (42, 14)
"""Days before and after an anomaly in its chart."""


def controls() -> tuple[str, float, tuple[str, ...]]:
    """Detector, sensitivity and directions."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        ways = st.segmented_control(
            "Show", list(DIRECTIONS), default="Dearer", required=True, key="anomaly_ways", bind="query-params"
        )
        detector = st.segmented_control(
            "Detector", list(DETECTORS), default="Default", required=True, key="detector", bind="query-params",
            help="Default: against the weekday and the level of the last weeks, slow growth and new costs. 20% rule: more than 20% above the "
            "average of the seven days before, which cries wolf on every Monday.",
        )  # fmt: skip
        sensitivity = st.slider(
            "Sensitivity", 5.0, 10.0, SENSITIVITY, 0.5, key="sensitivity", bind="query-params", width=200,
            help="How many usual spreads a day must be off, for the default detector: 5 tells more, 10 less.",
        )  # fmt: skip
    return DETECTORS.get(str(detector), "default"), float(sensitivity), DIRECTIONS.get(str(ways), ("up",))


def sentence(found: list[Flag], filters: Filters) -> str:
    """The page's answer."""
    waiting = [flag for flag in found if flag.status == "open"]
    if not waiting:
        return (
            f"Nothing odd is open {during(filters)}"
            if not found
            else f"All {len(found)} anomalies {during(filters)} are taken care of"
        )
    worst = waiting[0].episode.told_by
    text = headline(worst.series, worst.days, worst.expected, worst.actual, worst.currency)
    return text if len(waiting) == 1 else f"{len(waiting)} open anomalies {during(filters)}: {text}"


def label(episode: Episode) -> str:
    """An anomaly's name in a list."""
    told = episode.told_by
    sign = formatting.money(told.excess, told.currency or "USD", plus=True)
    return f"{series_name(told.series)} {sign}, {told.first_day.day} {told.first_day:%b}"


def shown_in(episode: Episode) -> str:
    """How long, how sure, and where else it shows."""
    told = episode.told_by
    others = [series_name(name) for name in (episode.series, *episode.also) if name != told.series]
    days = f"{len(told.days)} flagged {'day' if len(told.days) == 1 else 'days'}"
    parts = [
        told.kind,
        days,
        "still going on" if episode.is_ongoing else f"ended {told.last_day.day} {told.last_day:%b}",
    ]
    if told.confidence == "low":
        parts.append("low confidence: less than four weeks of history")
    if others:
        parts.append(
            f"also shows in {', '.join(others[:4])}{f' and {len(others) - 4} more' if len(others) > 4 else ''}"
        )
    return " · ".join(parts)


def cards(waiting: list[Flag], filters: Filters) -> None:
    """The most urgent open anomalies, each with its cause."""
    for flag in waiting[:MOST_CARDS]:
        told = flag.episode.told_by
        with st.container(border=True, gap="xsmall"):
            icon = "trending_up" if told.direction == "up" else "trending_down"
            st.markdown(f":material/{icon}: **{draw.plain(answer(explain_episode, flag.episode, filters).sentence)}.**")
            st.caption(
                draw.plain(
                    shown_in(flag.episode) + (" · more than doubled since it was acknowledged" if flag.doubled else "")
                )
            )
            st.button(
                "Look into it",
                key=f"look_{flag.episode.key}",
                type="tertiary",
                on_click=_choose,
                args=(label(flag.episode),),
            )


def _choose(chosen: str) -> None:
    st.session_state["anomaly"] = chosen


def drill(found: list[Flag], filters: Filters, today: date) -> None:
    """One anomaly in full: chart, causes, drivers, calls, actions and history."""
    by_label = {label(flag.episode): flag for flag in found}
    draw.section("Look into one")
    chosen = str(
        st.selectbox(
            "Anomaly", list(by_label), key="anomaly", bind="query-params", width=520, label_visibility="collapsed"
        )
    )
    flag = by_label.get(chosen, found[0])
    episode, told = flag.episode, flag.episode.told_by
    why = answer(explain_episode, episode, filters)
    st.markdown(f"**{draw.plain(why.sentence)}.**")
    st.caption(draw.plain(f"{shown_in(episode)} · {status_words(flag)}"))
    first, last = span()
    around = replace(
        filters,
        start=max(first, told.first_day - timedelta(days=AROUND[0])),
        end=min(last, told.last_day + timedelta(days=AROUND[1])),
    )
    frame = answer(ordinary, around, told.series)
    if not frame.empty:
        anomaly_chart(frame, set(told.days), told.currency or "USD", key="anomaly_chart")
    actions(flag, today)
    causes(why)
    drivers(why.dimensions, told.currency or "USD")
    calls(told, filters)
    feature = told.series.removeprefix("feature:") if told.series.startswith("feature:") else None
    if feature:
        link("features", f"All of {feature}", feature=feature)
    link("why-changed", "Why did the whole period change?")
    past(episode)


def status_words(flag: Flag) -> str:
    """What was made of it, by whom and when."""
    if flag.by is None:
        return "open"
    at = f" on {flag.at:%Y-%m-%d %H:%M} UTC" if flag.at else ""
    until = f" until {flag.until}" if flag.until and flag.status == "snoozed" else ""
    return f"{flag.status}{until}, by {flag.by}{at}{f': {flag.note}' if flag.note else ''}"


def causes(why: Explanation) -> None:
    """The parts of the excess."""
    currency = why.currency or "USD"
    against = f"against {why.compared_with[0]} to {why.compared_with[1]}" if why.compared_with else "nothing before"
    draw.section("By cause", f"{currency}; {against}, in the amount that was expected. The parts sum to the excess.")
    frame = pd.DataFrame(
        {
            "cause": [reason.driver.capitalize() for reason in why.reasons],
            "amount": pd.Series([reason.amount for reason in why.reasons], dtype=object),
            "words": [reason.words for reason in why.reasons],
        }
    )
    columns = {
        "cause": draw.Column("Cause"),
        "amount": draw.Column("Amount", "money", currency=currency),
        "words": draw.Column("Because", width="large"),
    }
    draw.table(
        frame, columns, key="anomaly_causes", export_name=f"anomaly-{why.series}-{why.days[0]}-causes", rows_in_sight=8
    )


def drivers(dimensions: tuple[Dimension, ...], currency: str) -> None:
    """The values that drive it."""
    draw.section(
        "Who and what drives it",
        "Values that explain the excess, the most surprising first; users and prompts as traced, USD",
    )
    rows = [(dimension.name, driver) for dimension in dimensions for driver in dimension.drivers]
    if not rows:
        st.caption("No single value stands out.")
        return
    frame = pd.DataFrame(
        {
            "dimension": [name.replace("_", " ").capitalize() for name, _driver in rows],
            "value": [driver.value for _name, driver in rows],
            "excess": pd.Series([driver.excess for _name, driver in rows], dtype=object),
            "power": [driver.power for _name, driver in rows],
            "actual": pd.Series([driver.actual for _name, driver in rows], dtype=object),
        }
    )
    columns = {
        "dimension": draw.Column("Dimension"),
        "value": draw.Column("Value"),
        "excess": draw.Column("Excess", "money", currency=currency),
        "power": draw.Column(
            "Explains", "share", help="Part of the whole excess; above 100% where others moved the other way"
        ),
        "actual": draw.Column("Cost", "money", currency=currency),
    }
    draw.table(frame, columns, key="anomaly_drivers", export_name="anomaly-drivers", rows_in_sight=8)


def calls(told: Episode, filters: Filters) -> None:
    """The evidence."""
    with st.expander(
        "The dearest calls behind it", icon=":material/list:", on_change="rerun", key="anomaly_calls_open"
    ) as opened:
        if not opened.open:
            return
        frame = answer(calls_behind, told.series, told.days, filters)
        if frame.empty:
            st.caption("No traced call lies behind it: it is infrastructure, or billed without traces.")
            return
        columns = {
            "started_at": draw.Column("At (UTC)", "time"),
            "model": draw.Column("Model"),
            "user_id": draw.Column("User"),
            "prompt_name": draw.Column("Prompt"),
            "uncached_input_tokens": draw.Column("Input", "count"),
            "output_tokens": draw.Column("Output", "count"),
            "cost": draw.Column("Cost", "unit_money"),
            "status": draw.Column("Status"),
            "call_id": draw.Column("Call"),
            "trace_id": draw.Column("Trace"),
        }
        draw.table(
            frame,
            columns,
            key="anomaly_calls",
            export=frame,
            export_name=f"anomaly-calls-{told.first_day}",
            rows_in_sight=8,
            missing="–",
        )


def past(episode: Episode) -> None:
    """What was made of it, version by version."""
    documents = history(warehouse().state, episode)
    if not documents:
        return
    lines = [
        f"{document.saved_at:%Y-%m-%d %H:%M} UTC, {document.author}: {(document.body or {}).get('status', 'removed')}"
        + (f" – {document.reason}" if document.reason else "")
        for document in reversed(documents)
    ]
    with st.expander(f"History: {len(lines)}", icon=":material/history:"):
        for line in lines:
            st.markdown(draw.plain(line))


def everything(found: list[Flag], filters: Filters, detector: str, sensitivity: float) -> None:
    """All anomalies of the period with their status, and the flagged days as a file."""
    draw.section(
        f"All anomalies {during(filters)}: {len(found)}",
        "One row per event, whatever it shows in; the excess over its flagged days",
    )
    frame = pd.DataFrame(
        {
            "what": [series_name(flag.episode.told_by.series) for flag in found],
            "first_day": [flag.episode.told_by.first_day for flag in found],
            "last_day": [flag.episode.told_by.last_day for flag in found],
            "kind": [flag.episode.told_by.kind for flag in found],
            "excess": pd.Series([flag.episode.told_by.excess for flag in found], dtype=object),
            "actual": pd.Series([flag.episode.told_by.actual for flag in found], dtype=object),
            "expected": pd.Series([flag.episode.told_by.expected for flag in found], dtype=object),
            "status": [flag.status for flag in found],
            "by": [flag.by for flag in found],
            "note": [flag.note or None for flag in found],
        }
    )
    currency = found[0].episode.currency or "USD"
    columns = {
        "what": draw.Column("What", pinned=True),
        "first_day": draw.Column("From", "date"),
        "last_day": draw.Column("To", "date"),
        "kind": draw.Column("Kind"),
        "excess": draw.Column("Excess", "money", currency=currency),
        "actual": draw.Column("Cost", "money", currency=currency),
        "expected": draw.Column("Expected", "money", currency=currency),
        "status": draw.Column("Status"),
        "by": draw.Column("By"),
        "note": draw.Column("Note"),
    }
    draw.table(
        frame, columns, key="anomaly_all", export=lambda: answer(flagged_days, filters, detector, sensitivity),
        export_name=f"anomalies-{filters.start}-{filters.end}", missing="–", rows_in_sight=10,
    )  # fmt: skip
    st.caption("The file holds every flagged day of every series, as `percall anomalies --days` prints it.")


def page() -> None:
    """Ask for the anomalies and draw them: what is open first."""
    filters = current()
    last_action()
    today = datetime.now(configuration().zone).date()
    place = st.container()
    detector, sensitivity, directions = controls()
    found = [
        flag
        for flag in flags(answer(episodes, filters, detector, sensitivity), warehouse().state, today)
        if flag.episode.direction in directions
    ]
    with place:
        draw.headline(
            sentence(found, filters),
            "One event is told once, however many series it shows in. Days that are not complete are never flagged; a day is judged by "
            "earlier days alone.",
            kicker=describe(filters),
        )
    if found:
        cards([flag for flag in found if flag.status == "open"], filters)
        drill(found, filters, today)
        everything(found, filters, detector, sensitivity)
    else:
        st.caption(
            "No day of this period stands out with these settings. Choose another period, the other direction or a lower sensitivity."
        )
    expected(today)


page()
