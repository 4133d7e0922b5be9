"""The page of one lever: its answer, its sliders, the cost along the main one, and the reasons to believe it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import LeverPage, Outcome, Setting, drawn_from, headline
from analytics.simulators.lever_pages import PAGES
from analytics.simulators.situation import Situation
from analytics.simulators.slider import SETTINGS, kept
from pages import _draw as draw
from pages import _situation
from pages._filters import current, describe
from pages._lever_controls import draw_control
from pages._lever_reasons import acts_on_calls, reasons
from pages._names import named
from pages._slider_chart import along, slider_chart
from warehouse.errors import InputError

Part = Callable[[Situation, Lever, Setting], None]


@dataclass(frozen=True)
class Own:
    """What one lever's page has beside the parts of every lever's page, at the setting of its sliders; each is looked up, never queried.

    before: drawn above the figures. below: drawn under what is assumed. risk: what is known of the risk (a share), in words; None: what the lever
    says.
    """

    before: Part | None = None
    below: Part | None = None
    risk: Callable[[Situation, Lever, Setting], tuple[float, str] | None] | None = None


NOTHING = Own()

FEATURES = {
    "feature": draw.Column("Feature"),
    "cost": draw.Column("Today", "money"),
    "cost_after": draw.Column("With this setting", "money"),
    "saving": draw.Column("Saving", "money"),
    "saving_share": draw.Column("Saving of its cost", "share"),
    "calls": draw.Column("Calls", "count", help="In the period"),
    "calls_after": draw.Column("Calls then", "count", help="Calls that are still made, of the period"),
}


def show(lever: str, own: Own = NOTHING) -> bool:
    """Draw the page of the lever of this name, with parts of its own. Answers whether there is anything to replay."""
    page = PAGES[lever]
    situation = _situation.situation_or_reason(page.lead)
    if situation is None:
        return False
    missing = page.missing(situation)
    if missing:
        draw.headline(f"There is nothing to replay for {page.what}", page.lead, kicker=describe(current()))
        st.info(draw.plain(missing), icon=":material/info:")
        return False
    _live(page, own)
    reasons(page, own.risk)
    return True


@st.fragment
@draw.guarded
def _live(page: LeverPage, own: Own) -> None:
    # The situation is looked up again: a fragment's arguments would be kept as long as the session is open.
    situation = _situation.situation()
    top = st.container()
    setting = _controls(page, situation)
    main = page.main(situation)
    try:
        with _waiting(page, situation, setting):
            curve = page.curve(situation, setting)
            outcome = page.outcome(situation, setting)
    except InputError as error:
        with top:
            draw.headline(f"This setting of {page.what} cannot be replayed", page.lead, kicker=describe(current()))
        draw.failure(error)
        return
    with top:
        draw.headline(
            headline(page, outcome, curve, setting),
            f"{page.lead} Amounts are USD per month, simulated, with {drawn_from(situation, outcome.waterfall.confidence)}.",
            kicker=describe(current()),
        )
    if own.before:
        own.before(situation, outcome.lever, setting)
    known = own.risk(situation, outcome.lever, setting) if own.risk else None
    _figures(page, situation, outcome, curve, setting, known)
    draw.section(
        f"Cost along the slider: {main.label.lower()}",
        "USD per month of all calls and resources in the filters, simulated; dashed: today",
    )
    others = tuple(sorted((name, value) for name, value in setting.items() if name != main.name))
    slider_chart(
        kept(situation, f"{page.key} page chart", others, lambda: along(curve), SETTINGS),
        chosen=setting[main.name],
        today=outcome.waterfall.today,
        axis=page.axis,
        slider=f"{page.key}_{main.name}",
        key=f"{page.key}_chart",
    )
    _notes(page, situation, outcome, setting, known)
    if own.below:
        own.below(situation, outcome.lever, setting)
    _by_feature(page, situation, setting, outcome)


def _waiting(page: LeverPage, situation: Situation, setting: Setting) -> AbstractContextManager[object]:
    """A spinner where something has to be prepared: not when the main slider alone has moved."""
    others = {name: value for name, value in setting.items() if name != page.main(situation).name}
    prepared = (situation.workload.stamp, others)
    known = st.session_state.get(f"_{page.key}_prepared") == prepared
    st.session_state[f"_{page.key}_prepared"] = prepared
    return nullcontext() if known else st.spinner("Replaying the calls …")


def _controls(page: LeverPage, situation: Situation) -> dict[str, Any]:
    setting: dict[str, Any] = {}
    controls = page.drawn(situation)
    with st.container(border=True):
        for control in controls:
            if control.main:
                setting[control.name] = draw_control(control, f"{page.key}_{control.name}")
        with st.grid(3, min_column_width=230):
            for control in controls:
                if not control.main:
                    setting[control.name] = draw_control(control, f"{page.key}_{control.name}")
    return setting


def _figures(
    page: LeverPage,
    situation: Situation,
    outcome: Outcome,
    curve: pd.DataFrame,
    setting: dict[str, Any],
    known: tuple[float, str] | None,
) -> None:
    replayed, step = outcome.waterfall, outcome.waterfall.steps[0]
    values, chosen = curve["value"].to_list(), setting[page.main(situation).name]
    here = values.index(chosen) if chosen in values else None
    risk, changed = None, step.changed
    if here is not None:
        risk, changed = curve["risk"].to_list()[here], curve["changed_calls"].to_list()[here]
    figures = [
        draw.Metric(
            "Today", formatting.usd(replayed.today), help="Cost a month of all calls and resources in the filters"
        ),
        draw.Metric("With this setting", formatting.usd(replayed.end), help="Simulated"),
        draw.Metric(
            "Saving",
            formatting.usd(replayed.saving),
            help=f"Per month, simulated; range {outcome.range_words}; {formatting.share(outcome.saving_share)} of today's cost",
        ),
    ]
    if acts_on_calls(curve):
        figures.append(draw.Metric(page.changed, formatting.count(round(changed)), help="In the period, not per month"))
    words = page.quality(situation, outcome.lever, setting)
    if known:
        risk, words = known
    draw.metric_row(
        [*figures, draw.Metric(page.risk, "not known" if risk is None else formatting.share(risk), help=words)]
    )


def _notes(
    page: LeverPage, situation: Situation, outcome: Outcome, setting: dict[str, Any], known: tuple[float, str] | None
) -> None:
    """Risk, assumptions and what is left out, in sentences."""
    words = known[1] if known else page.quality(situation, outcome.lever, setting)
    st.markdown(f"**{draw.plain(page.risk)}.** {draw.plain(words)}")
    sentences = list(dict.fromkeys([*outcome.lever.assumptions(), *outcome.waterfall.notes]))
    with st.container(gap="xsmall"):
        st.markdown("**What is assumed, and left out**")
        st.markdown("\n".join(f"- {draw.plain(sentence)}" for sentence in sentences))


def _by_feature(page: LeverPage, situation: Situation, setting: dict[str, Any], outcome: Outcome) -> None:
    filters = current()
    draw.section("By feature", "Features whose cost or calls change; USD per month, simulated")
    at = tuple(sorted(setting.items()))
    found = kept(situation, f"{page.key} page features", at, lambda: _features(outcome), SETTINGS)
    if found is None:
        st.caption("No feature's calls change at this setting.")
        return
    ready, frame = found
    draw.table(
        ready,
        key=f"{page.key}_features",
        export=frame,
        export_name=f"{page.key}-by-feature-{filters.start}-{filters.end}",
        missing="–",
    )


def _features(outcome: Outcome) -> tuple[draw.Prepared, pd.DataFrame] | None:
    """The table of features at one setting, ready for everybody who stands there, and the frame of its file; None: no feature changes."""
    frame = outcome.by_feature()
    if frame.empty:
        return None
    columns = dict(FEATURES)
    if (frame["calls"] == frame["calls_after"]).all():
        del columns["calls_after"]
    return draw.prepared(frame.assign(feature=named(frame["feature"], frame["kind"])), columns), frame
