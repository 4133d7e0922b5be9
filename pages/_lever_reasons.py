"""The tables behind a lever's figure, when they are asked for: a lever's own, the points of the curve, and the calls that change most.

They are no part of the sliders' fragment: the evidence replays the calls and asks the warehouse for their ids, which takes seconds with millions of
calls. What they show is the setting of the moment in which they were asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.simulators.effect import sampling_error
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import LeverPage, Outcome, Setting
from analytics.simulators.situation import Situation
from pages import _draw as draw
from pages._filters import current
from pages._lever_setting import at_the_sliders, current_setting
from pages._tables import Kind
from warehouse.errors import InputError

Risk = Callable[[Situation, Lever, Setting], tuple[float, str] | None]

EVIDENCE = {
    "call_id": draw.Column("Call", width=150),
    "started_at": draw.Column("At (UTC)", "time"),
    "feature": draw.Column("Feature", "tag"),
    "change": draw.Column("Change"),
    "model": draw.Column("Model"),
    "model_after": draw.Column("Model after"),
    "input_tokens": draw.Column("Input", "count"),
    "input_tokens_after": draw.Column("Input after", "count"),
    "output_tokens": draw.Column("Output", "count"),
    "output_tokens_after": draw.Column("Output after", "count"),
    "cost": draw.Column("Cost", "unit_money", help="As logged"),
    "cost_after": draw.Column("Cost after", "unit_money", help="Simulated, what the lever adds included"),
    "saving": draw.Column("Saving", "unit_money"),
}


@st.fragment
@draw.guarded
def reasons(page: LeverPage, risk: Risk | None) -> None:
    """A switch, and with it the tables of this lever at the setting of its sliders. `risk`: what the page knows of it beside the lever."""
    draw.section(
        "Behind the figure", "Points of the curve, and the calls that change most, at the setting of the sliders"
    )
    if not st.toggle("Show the tables", key=f"{page.key}_tables", bind="query-params"):
        return
    filters = current()
    period = f"{filters.start}-{filters.end}"
    try:
        situation, lever = at_the_sliders(page.kind.name, f"{page.key}_behind")
        setting = current_setting(page, situation)
        curve, outcome = page.curve(situation, setting), page.outcome(situation, setting)
    except InputError as error:
        draw.failure(error)
        return
    main = page.main(situation)
    st.caption(draw.plain(f"{main.label}: {setting[main.name]}"))
    _sample(situation, lever)
    _detail(page, situation, lever, period)
    known = risk is not None and risk(situation, lever, setting) is not None
    _points(page, curve, period, without_risk=known and all(risk is None for risk in curve["risk"]))
    if acts_on_calls(curve):
        with st.spinner("Replaying the calls …"):
            _evidence(page, outcome, period)


def _sample(situation: Situation, lever: Lever) -> None:
    """How far the saving could be off because not all calls are replayed, where they are too many."""
    workload = situation.workload
    if not workload.is_sample:
        return
    with st.spinner("Replaying the calls …"):
        error = sampling_error(situation, lever)
    held, all_of_them = formatting.count(len(workload)), formatting.count(workload.population)
    st.caption(
        draw.plain(
            f"A weighted sample of {held} of {all_of_them} calls is replayed: from that alone the saving has a standard error of "
            f"{formatting.usd(error)} a month."
        )
    )


def acts_on_calls(curve: pd.DataFrame) -> bool:
    """Whether any point changes calls; else the lever is one on resources alone."""
    return any(changed > 0 for changed in curve["changed_calls"])


def _detail(page: LeverPage, situation: Situation, lever: Lever, period: str) -> None:
    detail = page.detail(situation, lever)
    if detail is None or detail.frame.empty:
        return
    draw.section(detail.title, detail.note)
    columns = {
        name: draw.Column(label, cast("Kind", kind), help=words)
        for name, (label, kind, words) in detail.columns.items()
    }
    name = f"{page.key}-detail-{period}"
    draw.table(detail.frame, columns, key=f"{page.key}_detail", export=detail.frame, export_name=name, missing="–")


def _points(page: LeverPage, curve: pd.DataFrame, period: str, *, without_risk: bool) -> None:
    draw.section("Points of the curve", "USD per month, simulated; calls are those of the period")
    columns: dict[str, Any] = {
        "value": draw.Column(page.axis),
        "cost": draw.Column("Cost a month", "money"),
        "saving": draw.Column("Saving", "money"),
        "changed_calls": draw.Column(page.changed, "count"),
        "risk": draw.Column(page.risk, "share", help="–: not known without labelled samples"),
    }
    if not acts_on_calls(curve):
        del columns["changed_calls"]
    if without_risk:
        # What labels say is known for the setting; along the whole slider it stands in the page's own part.
        del columns["risk"]
    draw.table(
        curve,
        columns,
        key=f"{page.key}_curve",
        export=curve,
        export_name=f"{page.key}-curve-{period}",
        missing="–",
        rows_in_sight=8,
    )


def _evidence(page: LeverPage, outcome: Outcome, period: str) -> None:
    draw.section(
        "Evidence: the calls that change most", "At most 100; cost of one call in USD, as logged and as simulated"
    )
    frame = outcome.evidence()
    if frame.empty:
        st.caption("No call changes at this setting.")
        return
    if (frame["change"] == "cost").all() and not any(frame["saving"].fillna(0)):
        st.caption("Each call stays as it is: it only counts more often, or less.")
        return
    columns = dict(EVIDENCE)
    for name in ("model", "input_tokens", "output_tokens"):
        if frame[f"{name}_after"].equals(frame[name]) or (frame["change"] == "not made").all():
            del columns[f"{name}_after"]
    draw.table(
        frame,
        columns,
        key=f"{page.key}_evidence",
        export=frame,
        export_name=f"{page.key}-evidence-{period}",
        missing="–",
        rows_in_sight=10,
    )
