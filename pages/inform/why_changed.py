"""Why did cost change: the bridge between any two periods, by driver and by feature."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.filters import Filters
from analytics.period_names import during, name
from analytics.why_changed import COLUMNS, DRIVERS, WORDS, Change, by_feature, change, why_changed
from pages import _draw as draw
from pages import _periods
from pages._data import answer, configuration, span
from pages._filters import current, describe
from pages._names import named
from pages._rests_on import what_it_rests_on
from pages.inform._bridge_chart import bridge_chart, largest

BEFORE = "The period before"


def earlier_period(filters: Filters) -> Filters:
    """The period to compare with, as its control and the address say it."""
    presets = _periods.presets(span())
    choice = str(
        st.selectbox(
            "Compare with", [BEFORE, *presets, _periods.CUSTOM], key="against", bind="query-params", width=260,
            help="The period before is the calendar month before a whole month, else as many days just before.",
        )
    )  # fmt: skip
    if choice in presets:
        return replace(filters, start=presets[choice][0], end=presets[choice][1])
    before = filters.previous()
    if choice != _periods.CUSTOM:
        return before
    first, last = span()
    value = (min(max(before.start, first), last), min(max(before.end, first), last))
    chosen = st.date_input(
        "Compared from – to", value=value, min_value=first, max_value=last, key="against_dates", format="YYYY-MM-DD", bind="query-params"
    )  # fmt: skip
    days = [day for day in (chosen if isinstance(chosen, tuple) else (chosen,)) if isinstance(day, date)]
    return replace(filters, start=min(days), end=max(days)) if days else before


def sentence(found: Change, filters: Filters, earlier: Filters) -> str:
    """The page's answer."""
    currency = found.currency or configuration().reporting_currency
    period = during(filters)
    if not found.difference:
        return f"Cost was the same {period} as {during(earlier)}: {formatting.money(found.after, currency)}"
    word = "more" if found.difference > 0 else "less"
    text = f"Cost was {formatting.money(abs(found.difference), currency)} {word} {period} than {during(earlier)}"
    part = largest(found)
    return f"{text}; the most of it is {part[0]}, {formatting.money(part[1], currency, plus=True)}" if part else text


def features(frame: pd.DataFrame, currency: str, export_name: str) -> None:
    """One row per feature, one column per driver."""
    table = by_feature(frame)
    draw.section("By feature", f"{currency}; a row's drivers sum to its difference, the rows to the whole difference")
    drivers = [driver for driver in DRIVERS if driver in table.columns]
    draw.table(
        table.assign(feature=named(table["feature"], table["kind"])),
        {
            "feature": draw.Column("Feature", pinned=True),
            "difference": draw.Column("Difference", "money", currency=currency),
            **{
                driver: draw.Column(driver.capitalize(), "money", help=WORDS[driver], currency=currency)
                for driver in drivers
            },
        },
        key="why_features",
        export=table,
        export_name=f"{export_name}-by-feature",
    )


def parts(frame: pd.DataFrame, currency: str, export_name: str) -> None:
    """Every part, by feature, driver and model or category."""
    draw.section("Every part", f"{currency}; of model calls by model, of infrastructure by category")
    draw.table(
        frame.assign(feature=named(frame["feature"], frame["kind"])),
        {
            "feature": draw.Column("Feature", pinned=True),
            "driver": draw.Column("Driver"),
            "detail": draw.Column("Model or category"),
            "amount": draw.Column("Amount", "money", currency=currency),
        },
        key="why_parts",
        export=frame[list(COLUMNS)],
        export_name=export_name,
        missing="–",
        rows_in_sight=10,
    )


def page() -> None:
    """Ask for the parts and draw them."""
    filters = current()
    earlier = earlier_period(filters)
    if (earlier.start, earlier.end) == (filters.start, filters.end):
        st.info("Both periods are the same: choose another one to compare with.", icon=":material/compare_arrows:")
        return
    found = answer(change, filters, earlier)
    if not found.before and not found.after:
        draw.empty_result()
        return
    currency = found.currency or configuration().reporting_currency
    draw.headline(
        sentence(found, filters, earlier),
        "Each bar is what one driver alone added or took off; the bars sum to the difference to the last digit. Drivers of model calls are fair "
        "shares (Shapley values), so that no order of changes is privileged.",
        kicker=f"{describe(filters)} · against {name(earlier)}",
    )
    first = span()[0]
    if earlier.start < first:
        st.warning(
            draw.plain(f"The data begin on {first}: days before it are missing from {name(earlier)}."),
            icon=":material/event_busy:",
        )
    what_it_rests_on(filters)
    draw.section(
        f"From {name(earlier)} to {name(filters)}",
        f"{filters.basis.capitalize()} cost, {currency}, days in {configuration().reporting_time_zone}",
    )
    bridge_chart(found, name(earlier), name(filters), key="why_bridge")
    with st.expander("What each driver means"):
        for driver, _amount in found.parts:
            st.markdown(f"**{driver.capitalize()}**: {draw.plain(WORDS[driver])}.")
    frame = answer(why_changed, filters, earlier)
    export_name = f"why-changed-{earlier.start}-{earlier.end}-to-{filters.start}-{filters.end}"
    features(frame, currency, export_name)
    parts(frame, currency, export_name)


page()
