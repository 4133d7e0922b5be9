"""Scenario planner: levers in order, replayed one after the other on the same calls, so that no dollar is saved twice."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from analytics import formatting
from analytics.simulators.plan_paper import scenario_blocks, scenario_pdf
from analytics.simulators.plan_results import by_category, fair_shares, interaction_sentence, plan_headline, steps
from analytics.simulators.run_scenario import monthly_today
from analytics.simulators.scenario import Scenario
from analytics.simulators.shapley import EXACT_UP_TO
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept
from analytics.simulators.waterfall import Waterfall
from analytics.snapshot_report_pages import plan_answer
from pages import _data, _plan_editor, _plan_keeping, _situation
from pages import _draw as draw
from pages._filters import current, describe
from pages._names import named
from pages._paper import draw_blocks, print_styles
from pages._people import ANALYST, may
from pages._share import offer_answer
from pages._tables import file_name
from pages._waterfall_chart import waterfall_chart
from warehouse.errors import InputError

PRINT = "print"
_RUN = "_plan_run"


def page() -> None:
    """Edit the plan, run it, and show what it saves."""
    situation = _situation.situation_or_reason("Levers replay the calls and resources of the period.")
    if situation is None:
        return
    called = _plan_keeping.open_by_address()
    if st.query_params.get(PRINT) and _printed(situation):
        return
    top = st.container()
    if not len(situation.workload):
        st.info(
            "No call of this period passes the filters: levers on resources act (GPUs, spot, commitments, the vector database), those on calls find "
            "nothing to change.",
            icon=":material/info:",
        )
    _plan_keeping.told()
    _plan_keeping.open_bar()
    opened = called or (st.session_state.get(_RUN) is None and _plan_editor.PARAMETER in st.query_params)
    plan, sound = _plan_editor.edit(situation)
    address = plan.address()
    buttons = st.container(horizontal=True)
    with buttons:
        run = st.button(
            "Run the plan",
            type="primary",
            icon=":material/play_arrow:",
            key="plan_go",
            disabled=not (sound and plan.enabled),
        )
        st.download_button(
            "Scenario file", plan.toml(), "scenario.toml", "application/toml", key="plan_toml", icon=":material/download:", on_click="ignore",
            disabled=not plan.levers, help="For percall simulate scenario.toml",
        )  # fmt: skip
        _plan_keeping.save_form(plan)
    if run or (opened and sound and plan.enabled):
        st.session_state[_RUN] = address
    outcome: Waterfall | None = None
    if sound and plan.enabled and st.session_state.get(_RUN) == address:
        with st.spinner("Replaying the plan …"):
            outcome = _run(situation, plan)
    if outcome:
        with buttons:
            _plan_keeping.adopt_form(situation, plan, outcome)
            _paper(plan, outcome)
    with top:
        draw.headline(
            plan_headline(outcome) if outcome else _waiting(situation, plan),
            "Levers act in this order on the same calls; each saves only what those before it left. USD per month, simulated, with the 95% range. "
            "The address keeps the plan.",
            kicker=describe(current()),
        )
    if outcome:
        found = outcome
        offer_answer(
            "scenario-planner", "Share this plan", lambda: plan_answer(plan.name, found, tuple(plan.assumptions()))
        )
        _show(situation, plan, outcome)


def _run(situation: Situation, plan: Scenario) -> Waterfall | None:
    """The plan replayed; None, with the reason, where a lever cannot act on this period."""
    try:
        return kept(situation, "planner", plan.enabled, lambda: plan.run(situation))
    except InputError as error:
        draw.failure(error)
        return None


def _paper(plan: Scenario, outcome: Waterfall) -> None:
    """The plan as a file, for who may export, and as a page to print."""
    about, demo = describe(current()), _data.warehouse().is_demo
    if may(ANALYST):
        st.download_button(
            "PDF", lambda: scenario_pdf(plan, outcome, about, demo=demo), f"{file_name(plan.name)}.pdf", "application/pdf", key="plan_pdf",
            icon=":material/picture_as_pdf:", on_click="ignore",
        )  # fmt: skip
    st.button("Print view", icon=":material/print:", key="plan_print", on_click=_set_print, args=(True,))


def _set_print(on: bool) -> None:
    if on:
        st.query_params[PRINT] = "1"
    elif PRINT in st.query_params:
        del st.query_params[PRINT]


def _printed(situation: Situation) -> bool:
    """The plan as one column that prints well; False where there is no plan to print."""
    plan = _plan_editor.plan()
    outcome = _run(situation, plan) if plan.enabled else None
    if outcome is None:
        return False
    # The address keeps the plan here too, for whoever reloads or sends it.
    st.query_params[_plan_editor.PARAMETER] = plan.address()
    st.session_state[_RUN] = plan.address()
    with st.container(horizontal=True, key="paper_controls"):
        st.button(
            "Back to the planner", icon=":material/arrow_back:", key="plan_back", on_click=_set_print, args=(False,)
        )
        st.caption("Print it with the browser: A4, without the dashboard around it.", width="stretch")
    print_styles()
    source = "Synthetic data of the demo company. " if _data.warehouse().is_demo else ""
    st.markdown(f"# {draw.plain(plan.name)}", anchors=False)
    st.caption(draw.plain(f"{describe(current())}. {source}USD per month, simulated; ranges of 95%."))
    draw_blocks(
        scenario_blocks(plan, outcome), lambda _block: waterfall_chart(outcome, steps(outcome), key="plan_paper_chart")
    )
    return True


def _waiting(situation: Situation, plan: Scenario) -> str:
    today = formatting.usd(monthly_today(situation))
    if not plan.enabled:
        return f"The plan has no lever yet: {today} a month, as today"
    number = len(plan.enabled)
    return f"The plan of {number} {'lever' if number == 1 else 'levers'} is not run yet; today's calls and resources cost {today} a month"


def _show(situation: Situation, plan: Scenario, outcome: Waterfall) -> None:
    filters = current()
    period = f"{filters.start}-{filters.end}"
    frame = steps(outcome)
    draw.section("From today to the plan", "USD per month, simulated; whiskers: 95% range of what is saved")
    waterfall_chart(outcome, frame, key="plan_waterfall")
    st.markdown(draw.plain(interaction_sentence(outcome)))
    draw.section(
        "Lever by lever",
        "Added here: saved after the levers before it; alone: as the only one; USD per month, simulated",
    )
    draw.table(
        frame,
        {
            "step": draw.Column("Step", "count", width="small"),
            "title": draw.Column("Lever"),
            "added": draw.Column("Added here", "money"),
            "added_low": draw.Column("From", "money", help="Lower end of the 95% range"),
            "added_high": draw.Column("To", "money", help="Upper end of the 95% range"),
            "alone": draw.Column("Alone", "money"),
            "interaction": draw.Column("Difference", "money", help="Added here minus alone"),
            "total": draw.Column("Cost after it", "money"),
            "changed_calls": draw.Column(
                "Calls changed", "count", help="In the period; calls that the lever only charges for count too"
            ),
        },
        key="plan_steps",
        export=outcome.frame(),
        export_name=f"plan-{period}",
    )
    _shapley(situation, plan, outcome.saving)
    draw.section("By cost category", "USD per month; with the plan: simulated")
    amounts = {
        "cost": draw.Column("Today", "money"),
        "cost_after": draw.Column("With the plan", "money"),
        "saving": draw.Column("Saving", "money"),
    }
    draw.table(
        by_category(outcome),
        {"category": draw.Column("Category"), **amounts},
        key="plan_categories",
        export_name=f"plan-by-category-{period}",
    )
    features = outcome.by_feature
    draw.section(
        "By feature", "Calls, and resources that are tagged with the feature; USD per month; with the plan: simulated"
    )
    draw.table(
        features.assign(feature=named(features["feature"], features["kind"])),
        {
            "feature": draw.Column("Feature"),
            **amounts,
            "calls": draw.Column("Calls", "count", help="In the period"),
            "calls_after": draw.Column("Calls still made", "count"),
        },
        key="plan_features",
        export=features,
        export_name=f"plan-by-feature-{period}",
    )
    st.markdown("**What is assumed, and left out**")
    st.markdown(
        "\n".join(f"- {draw.plain(sentence)}" for sentence in dict.fromkeys([*plan.assumptions(), *outcome.notes]))
    )


def _shapley(situation: Situation, plan: Scenario, saving: Decimal) -> None:
    """Each lever's fair part, on request: all combinations are replayed."""
    if not 2 <= len(plan.enabled) <= EXACT_UP_TO:
        return
    if not st.toggle(
        "Fair shares, whatever the order", key="plan_shapley",
        help="Shapley: every combination of the levers is replayed, which takes a while; a lever's share is its mean over all orders.",
    ):  # fmt: skip
        return
    with st.spinner("Replaying every combination …"):
        shares = kept(situation, "planner shapley", plan.enabled, lambda: plan.shapley(situation))
    draw.table(
        fair_shares(shares, saving),
        {"title": draw.Column("Lever"), "share": draw.Column("Fair share a month", "money")},
        key="plan_shares",
        export_name="plan-fair-shares",
    )


page()
