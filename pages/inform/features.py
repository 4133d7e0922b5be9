"""Features: where the cost of model calls goes, beside where the calls go; and inside one feature, down to its dearest calls."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from analytics.cost_kinds import FEATURE, UNTAGGED
from analytics.feature_detail import dearest_calls, feature_detail
from analytics.features import features, headline, outside_sentence
from analytics.filters import UNTAGGED as UNTAGGED_NAME
from analytics.filters import Filters
from pages import _draw as draw
from pages._data import answer, configuration
from pages._filters import current, describe
from pages._links import link
from pages._names import named
from pages._paired_bars import share_chart
from pages._provenance import how_obtained
from pages._rests_on import what_it_rests_on

BREAKDOWNS = {"Model": "model", "Tier": "user_tier", "Team": "team", "Day": "day", "Prompt": "prompt", "User": "user"}
MOST_CALLS = 100


def overall(filters: Filters, frame: pd.DataFrame, currency: str) -> list[int]:
    """The table of all features; answers with the selected row."""
    draw.section(
        "All features",
        f"{filters.basis.capitalize()} cost of model calls (LLM API and Embedding), {currency}. Select a row to look inside.",
    )
    columns = {
        "feature": draw.Column("Feature"),
        "cost": draw.Column("Cost", "money", currency=currency),
        "cost_share": draw.Column("Share of cost", "bar", width=115),
        "calls": draw.Column("Calls", "count", help="Traced calls, retries and cache answers included"),
        "call_share": draw.Column("Share of calls", "bar", width=115),
        "cost_per_call": draw.Column("Per call", "unit_money", currency=currency, help="Cost before credits / calls"),
        "infrastructure_cost": draw.Column(
            "Own infra",
            "money",
            currency=currency,
            help="Billing lines of other categories that are tagged with the feature, such as the GPUs that serve its model. Not in the cost.",
        ),
        "change": draw.Column("Change", "share", help="Cost against the period before; empty where nothing was before"),
        "trend": draw.Column("Daily cost", "trend", width="small"),
        "tokens_per_call": draw.Column("Tokens/call", "count", help="Tokens of all classes / calls"),
        "unpriced_calls": draw.Column("Unpriced", "count", help="Calls whose cost is not known, and not in the cost"),
    }  # fmt: skip
    selected = draw.table(
        frame.assign(feature=named(frame["feature"], frame["kind"])),
        columns,
        key="features_table",
        export_name=f"features-{filters.start}-{filters.end}",
        export=frame.drop(columns="trend"),
        missing="–",
        select="single-row",
    )
    sentence = answer(outside_sentence, filters)
    if sentence:
        st.caption(draw.plain(sentence))
        link("infrastructure", "Infrastructure")
    return selected


def chosen_feature(filters: Filters, frame: pd.DataFrame, selected: Sequence[int]) -> str | None:
    """Which feature to look into: the row just selected, else the one in the address, else the only one filtered for."""
    options = [
        str(name) if kind == FEATURE else UNTAGGED_NAME
        for name, kind in zip(frame["feature"], frame["kind"], strict=True)
        if kind in (FEATURE, UNTAGGED)
    ]
    picked = tuple(selected)
    if picked != st.session_state.get("_features_picked", ()):
        st.session_state["_features_picked"] = picked
        if picked and picked[0] < len(options):
            st.session_state["inside"] = options[picked[0]]
    filtered = dict(filters.where).get("feature", ())
    if (
        "inside" not in st.session_state
        and "inside" not in st.query_params
        and len(filtered) == 1
        and filtered[0] in options
    ):
        st.session_state["inside"] = filtered[0]
    choice = st.selectbox(
        "Look inside", options, index=None, key="inside", bind="query-params", placeholder="Choose a feature", width=320
    )
    return str(choice) if choice in options else None


def inside(filters: Filters, name: str, currency: str) -> None:
    """One feature by model, tier, team, day, prompt and user, and its dearest calls."""
    feature = None if name == UNTAGGED_NAME else name
    label = st.segmented_control(
        "By", list(BREAKDOWNS), default="Model", required=True, key="inside_by", width="content"
    )
    by = BREAKDOWNS[str(label)]
    frame = answer(feature_detail, filters, feature, by)
    traced = by in ("prompt", "user")
    basis = (
        "Cost as the traces say, USD: bills name neither prompts nor users"
        if traced
        else f"{filters.basis.capitalize()} cost, {currency}"
    )
    draw.section(f"{name} by {str(label).lower()}", basis)
    draw.table(
        frame if by == "day" else frame.assign(**{by: named(frame[by])}),
        {
            by: draw.Column(str(label), "date" if by == "day" else "text"),
            "cost": draw.Column("Cost", "money", currency="USD" if traced else currency),
            "share": draw.Column("Share", "bar"),
            "calls": draw.Column("Calls", "count"),
            "cost_per_call": draw.Column("Per call", "unit_money", currency="USD" if traced else currency),
            "unpriced_calls": draw.Column(
                "Unpriced", "count", help="Calls whose cost is not known, and not in the cost"
            ),
        },
        key=f"inside_{by}",
        export_name=f"{name}-by-{by}-{filters.start}-{filters.end}",
        export=frame,
        rows_in_sight=10,
    )
    calls = answer(dearest_calls, filters, feature, MOST_CALLS)
    draw.section(f"Dearest calls of {name}", f"The {MOST_CALLS} dearest, cost as traced in USD, times in UTC; no texts")
    draw.table(
        calls,
        {
            "started_at": draw.Column("Time (UTC)", "time"),
            "cost": draw.Column("Cost", "unit_money"),
            "model": draw.Column("Model"),
            "uncached_input_tokens": draw.Column(
                "Input", "count", help="Tokens neither read from nor written to a cache"
            ),
            "cache_read_tokens": draw.Column("Cache reads", "count"),
            "output_tokens": draw.Column("Output", "count", help="Tokens, without reasoning"),
            "reasoning_tokens": draw.Column("Reasoning", "count"),
            "user_tier": draw.Column("Tier"),
            "user_id": draw.Column("User"),
            "prompt_name": draw.Column("Prompt"),
            "finish_reason": draw.Column("Ended by"),
            "latency_ms": draw.Column("ms", "count", help="Latency, milliseconds"),
            "call_id": draw.Column("Call"),
        },
        key="inside_calls",
        export_name=f"{name}-dearest-calls-{filters.start}-{filters.end}",
        export=calls,
        missing="–",
        rows_in_sight=10,
    )


def page() -> None:
    """Ask for the features and draw them, then what is inside the chosen one."""
    filters = current()
    frame = answer(features, filters)
    if frame.empty:
        draw.empty_result("model calls")
        return
    currency = frame["currency"].iloc[0] or configuration().reporting_currency
    draw.headline(
        answer(headline, filters) or "No feature's cost is known in this period",
        "Where a feature's upper bar is the longer one, its calls are dearer than average: look there first. What runs on own GPUs costs "
        "nothing here: see the column Own infra of the table.",
        kicker=describe(filters),
    )
    what_it_rests_on(filters)
    share_chart(
        named(frame["feature"], frame["kind"]),
        ("Share of cost", list(frame["cost_share"])),
        ("Share of calls", list(frame["call_share"])),
        title="Cost beside calls",
        note=f"{filters.basis.capitalize()} cost of model calls, shares of the whole; days in {configuration().reporting_time_zone}",
        key="features_chart",
    )
    selected = overall(filters, frame, currency)
    name = chosen_feature(filters, frame, selected)
    if name:
        inside(filters, name, currency)
    how_obtained("features", filters)


page()
