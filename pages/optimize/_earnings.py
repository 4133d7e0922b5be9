"""What calls earn, beside a lever that makes fewer or more of them, and other prices for a tier."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import Setting
from analytics.simulators.situation import Situation
from analytics.simulators.slider import SETTINGS, kept
from analytics.simulators.tier_earnings import margins_of, most_that_may_leave, price_range, total_of, with_calls
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.volume import Volume
from pages import _draw as draw
from pages import _palette, _situation
from pages._charts import mode
from pages._data import answer
from pages._filters import current

ALL_TIERS = "All tiers"

STAKES = {
    "feature": draw.Column("Feature", "tag"),
    "user_tier": draw.Column("Tier", "tag"),
    "calls": draw.Column("Calls", "count", help="In the period"),
    "cost_per_call": draw.Column("Cost per call", "unit_money", help="Today, all in"),
    "revenue_per_call": draw.Column("Revenue per call", "unit_money", help="Today"),
    "cost_change": draw.Column("Change of cost", "money"),
    "revenue_change": draw.Column("Change of revenue", "money"),
    "result": draw.Column("Left over more", "money"),
    "gross_margin": draw.Column("Margin today", "share"),
    "note": draw.Column("Note"),
}
PRICES = {
    "price_change": draw.Column("Price", "share", help="Compared with today"),
    "leaving_few_leave": draw.Column("Leave: few", "share"),
    "result_few_leave": draw.Column("Left over more", "money"),
    "gross_margin_few_leave": draw.Column("Margin", "share"),
    "leaving_many_leave": draw.Column("Leave: many", "share"),
    "result_many_leave": draw.Column("Left over more", "money"),
    "gross_margin_many_leave": draw.Column("Margin", "share"),
}
RESULTS = ("result_few_leave", "result_many_leave")
"""What is left over more, under both ends of the assumption about users who leave."""


def _changes(situation: Situation, lever: Lever) -> pd.DataFrame:
    """What the lever changes in cost and revenue, by feature and tier, USD per month."""
    return _stakes(situation, lever)[0]


def _stakes(situation: Situation, lever: Lever) -> tuple[pd.DataFrame, draw.Prepared]:
    """`_changes`, worked out once for everybody at this setting, with the table of it."""
    times = lever.times if isinstance(lever, Volume) else 1 - cast("SwitchOff", lever).share
    calls = cast("Volume | SwitchOff", lever).calls
    of_period = answer(margins_of, current())

    def make() -> tuple[pd.DataFrame, draw.Prepared]:
        found = with_calls(of_period, times, calls.feature, calls.user_tier, scale=situation.window.scale_to_month)
        return found, draw.prepared(found, STAKES)

    return kept(situation, "earnings", (times, calls.feature, calls.user_tier), make, SETTINGS)


def lost(situation: Situation, lever: Lever, _setting: Setting) -> tuple[float, str] | None:
    """Share of all tracked revenue that goes with calls that are dropped; None where no revenue of theirs is tracked."""
    if lever == SwitchOff.neutral():
        return 0.0, "Nothing is switched off."
    frame = answer(margins_of, current())
    every = sum((row for row in frame["revenue"] if row is not None), Decimal(0))
    gone = total_of(_changes(situation, lever), "revenue_change")
    if gone is None or not every:
        return None
    amount, scale = -gone, Decimal(repr(situation.window.scale_to_month))
    share = float(amount / (every * scale))
    return share, (
        f"These calls earn {formatting.usd(amount)} a month, {formatting.share(share)} of all revenue that is tracked; it is lost with them, "
        "if nobody pays for something else instead."
    )


def beside(situation: Situation, lever: Lever, _setting: Setting) -> None:
    """The section of the page: cost and revenue that change, and what is left over."""
    if lever == lever.neutral():
        return
    frame, ready = _stakes(situation, lever)
    if frame.empty:
        return
    is_growth = isinstance(lever, Volume)
    draw.section(
        "What the calls earn" if is_growth else "Saving against lost revenue",
        "By feature and tier; USD per month. Cost as the ledger has it, revenue as it is tracked and as if it went with calls; GPUs and "
        "databases cost as today",
    )
    cost, revenue, result = (total_of(frame, name) for name in ("cost_change", "revenue_change", "result"))
    unknown = int(frame["revenue_change"].isna().sum())
    sign = 1 if is_growth else -1
    draw.metric_row(
        [
            draw.Metric("More cost" if is_growth else "Saving", formatting.usd(None if cost is None else sign * cost)),
            draw.Metric("More revenue" if is_growth else "Revenue lost", formatting.usd(None if revenue is None else sign * revenue)),
            draw.Metric(
                "Left over more than today", formatting.usd(result, plus=True), help="Where both are known: the change of revenue less that of cost"
            ),
        ]
    )  # fmt: skip
    if unknown:
        st.caption(f"The revenue of {unknown} of {len(frame)} rows is not tracked: they are in no sum of revenue.")
    filters = current()
    draw.table(
        ready,
        key="earnings",
        export=frame,
        export_name=f"earnings-{filters.start}-{filters.end}",
        missing="–",
        rows_in_sight=10,
    )


@st.fragment
@draw.guarded
def other_prices() -> None:
    """Another price for a tier, instead of switching it off."""
    frame = answer(margins_of, current())
    paying = frame[(frame["kind"] == "feature") & frame["cost"].notna()]
    paying = paying[[not pd.isna(each) and bool(each) for each in paying["revenue"]]]
    if paying.empty:
        return
    draw.section(
        "Or another price",
        "What a feature would leave over at other prices for a tier; USD per month. How many users leave is your assumption: nothing in the data "
        "says it",
    )
    situation = _situation.situation()
    with st.grid(4, min_column_width=200):
        features = sorted(set(paying["feature"]))
        chosen_above = [each for each in st.session_state.get("off_features") or () if each in features]
        feature = st.selectbox(
            "Feature", features, index=features.index(chosen_above[0]) if chosen_above else 0, key="price_feature", bind="query-params"
        )  # fmt: skip
        tiers = sorted(str(each) for each in paying.loc[paying["feature"] == feature, "user_tier"].dropna())
        above = [each for each in st.session_state.get("off_tiers") or () if each in tiers]
        tier = st.selectbox("Tier", [*tiers, ALL_TIERS], index=tiers.index(above[0]) if above else 0, key="price_tier")
        low = st.number_input(
            "Assumed: few leave (%)", 0.0, 100.0, 1.0, 0.5, key="price_low", help="Of the users, for every 10% more"
        )
        high = st.number_input(
            "Assumed: many leave (%)", 0.0, 100.0, 5.0, 0.5, key="price_high", help="Of the users, for every 10% more"
        )
    change = st.slider("Price, compared with today (%)", -50, 100, 20, 5, key="price_change", format="%+d%%")
    low, high = sorted((low, high))
    chosen = None if tier == ALL_TIERS else tier
    prices, ready = kept(
        situation,
        "other prices",
        (feature, chosen, low, high),
        lambda: _other(frame, feature, chosen, (low, high), situation.window.scale_to_month),
        SETTINGS,
    )
    place = next(place for place, value in enumerate(prices["price_change"]) if abs(value - change / 100) < 1e-9)
    few, many = (formatting.usd(prices[name].to_list()[place], plus=True) for name in RESULTS)
    st.markdown(
        draw.plain(
            f"At {change:+d}% for {feature}, {tier}: between {many} and {few} a month left over more than today, if {low:g}% to {high:g}% of "
            f"the users leave for every 10% more. {_break_even(frame, feature, chosen, change)}"
        )
    )
    _chart(prices, (low, high), change)
    draw.table(
        ready,
        key="price_table",
        export=prices,
        export_name=f"prices-{feature}-{tier}",
        missing="–",
        rows_in_sight=6,
    )
    st.markdown(
        "- Revenue is users times price: each who stays pays the new price and calls as often as today; each who leaves takes the calls along.\n"
        "- A lower price brings nobody here, so that it can only cost. What new users would bring is not in the data.\n"
        "- GPUs and databases cost as today."
    )


def _other(
    of_period: pd.DataFrame, feature: str, tier: str | None, leaving: tuple[float, float], scale: float
) -> tuple[pd.DataFrame, draw.Prepared]:
    """Other prices for a feature and tier if few and if many users leave (%), for everybody who asks, and the table of them."""
    few, many = leaving
    found = price_range(of_period, feature, tier, few=few / 100, many=many / 100, scale=scale)
    return found, draw.prepared(found, PRICES)


def _break_even(frame: pd.DataFrame, feature: str, tier: str | None, change: int) -> str:
    if change <= 0:
        return ""
    most = most_that_may_leave(frame, feature, tier, change / 100)
    if most is None:
        return "Its calls cost more than they would earn: everybody who leaves is a gain."
    return f"It pays as long as no more than {formatting.share(most)} of the users leave."


def _chart(prices: pd.DataFrame, leaving: tuple[float, float], change: int) -> None:
    colours, grey = _palette.SERIES[mode()], _palette.NEUTRAL[mode()]
    values = [f"{value:+.0%}" if value else "today" for value in prices["price_change"]]
    series: list[dict[str, Any]] = [
        {
            "name": f"{share:g}% leave per 10%", "type": "line", "showSymbol": False, "data": [round(float(each), 2) for each in prices[name]],
            "itemStyle": {"color": colour}, "lineStyle": {"color": colour, "width": 2.5, "type": kind},
        }
        for name, share, colour, kind in zip(RESULTS, leaving, colours, ("solid", "dashed"), strict=False)
    ]  # fmt: skip
    here = "today" if change == 0 else f"{change:+d}%"
    series[0]["markLine"] = {
        "symbol": "none", "label": {"show": False}, "lineStyle": {"color": grey, "type": "dotted"}, "data": [{"xAxis": here}],
    }  # fmt: skip
    spec: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 48, "bottom": 28, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemGap": 16},
        "tooltip": {"trigger": "axis", "valueFormatter": "dollar"},
        "xAxis": {
            "type": "category", "data": values, "name": "Price, compared with today", "nameLocation": "middle", "nameGap": 30,
            "axisLabel": {"hideOverlap": True},
        },
        "yAxis": {"type": "value", "splitNumber": 4, "name": "USD", "nameTextStyle": {"align": "right"}},
        "series": series,
    }  # fmt: skip
    ends = [formatting.usd(prices[name].iloc[-1], plus=True) for name in RESULTS]
    st.echarts_chart(
        spec,
        key="price_chart",
        height=280,
        alt=f"What is left over more than today, by price: at twice the price {ends[1]} to {ends[0]} a month.",
    )
