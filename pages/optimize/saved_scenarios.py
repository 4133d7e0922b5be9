"""Saved scenarios: every one by name with its versions, and two to four of them side by side on the same days."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.simulators.compare_scenarios import (
    FEWEST,
    MOST,
    Compared,
    by_lever,
    compare,
    costs_by_category,
    headline,
    long_frame,
)
from analytics.simulators.saved_scenarios import (
    LONGEST_NAME,
    SavedScenario,
    delete_scenario,
    rename_scenario,
    saved_scenarios,
    scenario_versions,
    scenarios_frame,
)
from pages import _draw as draw
from pages import _palette, _situation
from pages._charts import mode
from pages._filters import current, describe
from pages._people import ANALYST, may, require
from pages._plan_keeping import SAVED, state
from pages._registry import PAGES_FOLDER, REGISTRY
from warehouse.errors import InputError, PercallError

COMPARE = "compare"
_DONE = "_scenario_done"


def page() -> None:
    """List, compare, rename and delete."""
    try:
        saved = saved_scenarios(state())
    except PercallError as error:
        draw.failure(error)
        return
    if not saved:
        draw.headline(
            "No scenario is saved yet",
            "Put levers together in the scenario planner and save them under a name; here they are listed and compared.",
            kicker=describe(current()),
        )
        _to_planner(None, "Scenario planner")
        return
    top = st.container()
    if sentence := st.session_state.pop(_DONE, None):
        st.success(draw.plain(sentence), icon=":material/check:")
    names = [each.name for each in saved]
    asked = [name for name in st.query_params.get_all(COMPARE) if name in names]
    chosen = st.multiselect(
        "Compare", names, default=(asked or names[:MOST] if len(names) >= FEWEST else [])[:MOST], max_selections=MOST, key="scenario_compare",
        help=f"{FEWEST} to {MOST} scenarios, replayed on the period and filters of the sidebar",
    )  # fmt: skip
    st.query_params[COMPARE] = chosen
    compared = _compared([each for name in chosen for each in saved if each.name == name])
    with top:
        draw.headline(
            headline(compared)
            if compared
            else f"{len(saved)} {'scenario is' if len(saved) == 1 else 'scenarios are'} saved",
            "All are replayed on the same calls and resources. USD per month, simulated, with ranges of 95%. The address keeps the choice.",
            kicker=describe(current()),
        )
    if compared:
        _side_by_side(compared)
    _list(saved)


def _compared(chosen: list[SavedScenario]) -> Compared | None:
    if len(chosen) < FEWEST:
        return None
    situation = _situation.situation_or_reason("Scenarios replay the calls and resources of the period.")
    if situation is None:
        return None
    try:
        with st.spinner("Replaying the scenarios …"):
            return compare(situation, [each.scenario for each in chosen])
    except InputError as error:
        draw.failure(error)
        return None


def _side_by_side(compared: Compared) -> None:
    period = f"{current().start}-{current().end}"
    draw.section(
        "Cost with each scenario",
        "USD per month by cost category; with a scenario: simulated; whiskers: range of the saving",
    )
    _chart(compared)
    draw.section("Lever by lever", "What each lever saves where it stands in the scenario, USD per month, simulated")
    frame = by_lever(compared)
    shown = pd.DataFrame({"lever": frame["lever"]})
    columns = {"lever": draw.Column("Lever", pinned=True, width="medium")}
    for place, name in enumerate(compared.names):
        shown[f"saved_{place}"] = frame[f"saved_{place}"]
        shown[f"range_{place}"] = [
            "" if low is None else f"{formatting.usd(low, digits=0)} to {formatting.usd(high, digits=0)}"
            for low, high in zip(frame[f"low_{place}"], frame[f"high_{place}"], strict=True)
        ]
        columns[f"saved_{place}"] = draw.Column(name, "money")
        columns[f"range_{place}"] = draw.Column("95% range", width=150, help=f"Of what the lever saves in {name}")
    draw.table(
        shown,
        columns,
        key="scenario_levers",
        export=lambda: long_frame(compared),
        export_name=f"scenarios-{period}",
        missing="not in it",
    )
    draw.section("By cost category", "USD per month; today: as it was")
    draw.table(
        costs_by_category(compared),
        {
            "category": draw.Column("Category"),
            "today": draw.Column("Today", "money"),
            **{f"cost_{place}": draw.Column(name, "money") for place, name in enumerate(compared.names)},
        },
        key="scenario_categories",
        export_name=f"scenarios-by-category-{period}",
    )


def _chart(compared: Compared) -> None:
    """One bar per scenario, and today's, stacked by cost category."""
    costs = costs_by_category(compared).iloc[:-1]
    bars = ["Today", *compared.names]
    amounts = {
        row["category"]: [row["today"], *(row[f"cost_{place}"] for place in range(len(compared.names)))]
        for row in costs.to_dict("records")
    }
    colours = _palette.category_colours(mode())
    ends = [compared.outcomes[0][1].today, *(outcome.end for _, outcome in compared.outcomes)]
    spans = [
        (0.0, 0.0),
        *((float(o.saving_high - o.saving), float(o.saving - o.saving_low)) for _, o in compared.outcomes),
    ]
    data: list[dict[str, Any]] = [
        {
            "type": "bar", "orientation": "h", "name": category, "y": bars, "x": [float(value) for value in values],
            "customdata": [formatting.to_the_cent(value) for value in values], "marker": {"color": colours[category]},
            "hovertemplate": f"{category}<br><b>%{{customdata}}</b><extra></extra>",
        }
        for category, values in amounts.items() if any(values)
    ]  # fmt: skip
    grey = _palette.NEUTRAL[mode()]
    whiskers = {
        "type": "data", "symmetric": False, "array": [low for _, low in spans], "arrayminus": [high for high, _ in spans], "color": grey,
        "thickness": 1.5, "width": 5,
    }  # fmt: skip
    common = {"type": "scatter", "y": bars, "showlegend": False, "hoverinfo": "skip"}
    data += [
        {**common, "mode": "markers", "x": [float(end) for end in ends], "marker": {"size": 1, "color": grey}, "error_x": whiskers},
        # Amounts stand behind the whiskers.
        {
            **common, "mode": "text", "x": [float(end) + low for end, (_, low) in zip(ends, spans, strict=True)],
            "text": [f"  {formatting.usd(end)}" for end in ends], "textposition": "middle right", "cliponaxis": False,
        },
    ]  # fmt: skip
    top = max((float(end) for end in ends), default=0.0)
    figure = {
        "data": data,
        "layout": {
            "barmode": "stack", "height": 90 + 44 * len(bars), "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "bargap": 0.35, "separators": ".,",
            "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal", "title": {"text": ""}},
            "xaxis": {"tickformat": "$,.3~s" if top >= 1000 else "$,.6~f", "range": [0, top * 1.25 or 1], "nticks": 5, "title": {"text": ""}},
            "yaxis": {"type": "category", "autorange": "reversed", "automargin": True, "showgrid": False, "title": {"text": ""}},
        },
    }  # fmt: skip
    words = "; ".join(f"{name} {formatting.usd(end)}" for name, end in zip(bars, ends, strict=True))
    st.plotly_chart(
        figure,
        key="scenario_chart",
        config={"displayModeBar": False, "responsive": True},
        alt=f"Cost a month by category: {words}.",
    )


def _list(saved: list[SavedScenario]) -> None:
    draw.section("All saved scenarios", "The latest first; times in UTC")
    draw.table(
        scenarios_frame(state(), saved),
        {
            "name": draw.Column("Name", pinned=True),
            "levers": draw.Column("Levers", width="large"),
            "first_day": draw.Column("Saved for", "date"),
            "last_day": draw.Column("to", "date"),
            "saved_at": draw.Column("Saved", "time"),
            "author": draw.Column("By"),
            "versions": draw.Column("Versions", "count"),
            "reason": draw.Column("Reason"),
        },
        key="scenario_list",
        export_name="saved-scenarios",
        missing="",
    )
    name = str(st.selectbox("Scenario", [each.name for each in saved], key="scenario_one", width=320))
    with st.container(horizontal=True, vertical_alignment="center"):
        _to_planner(name, f"Open {name} in the planner")
        if may(ANALYST):
            _change(name)
    with st.expander(f"Versions of {name}", icon=":material/history:"):
        for version in scenario_versions(state(), name):
            st.markdown(
                draw.plain(f"{version.saved_at:%Y-%m-%d %H:%M} UTC, {version.author}: {version.name}")
                + (f". {draw.plain(version.reason)}" if version.reason else "")
            )
            st.code(version.scenario.toml(), language="toml")


def _change(name: str) -> None:
    with st.popover("Rename", icon=":material/edit:"):
        new = st.text_input("New name", name, key=f"scenario_new_{name}", max_chars=LONGEST_NAME)
        if st.button("Rename", key="scenario_rename", type="primary"):
            with draw.guard():
                person = require(ANALYST, "rename a scenario")
                rename_scenario(state(), name, new, author=person.name)
                st.session_state[_DONE] = f"{name} is called {' '.join(new.split())} now."
                st.rerun()
    with st.popover("Delete", icon=":material/delete:"):
        st.caption("Plans made of it stay as they are, and its versions stay in the store's history.")
        if st.button(f"Delete {draw.plain(name)}", key="scenario_delete", type="primary"):
            with draw.guard():
                person = require(ANALYST, "delete a scenario")
                delete_scenario(state(), name, author=person.name)
                st.session_state[_DONE] = f"{name} is deleted."
                st.rerun()


def _to_planner(name: str | None, label: str) -> None:
    entry = next(each for each in REGISTRY if each.url_path == "scenario-planner")
    st.page_link(
        str(entry.script.relative_to(PAGES_FOLDER)), label=draw.plain(label), icon=":material/arrow_forward:",
        query_params={SAVED: name} if name else None,
    )  # fmt: skip


page()
