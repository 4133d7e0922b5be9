"""What labelled samples say of a routing setting: the risk, the curve of quality over cost, and how many labels are missing."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from analytics import formatting
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import Setting, share_of
from analytics.simulators.lever_pages import PAGES
from analytics.simulators.routing import ModelRouting
from analytics.simulators.routing_labels import Judged, Risk, judged_calls, labels_for
from analytics.simulators.situation import Situation
from pages import _draw as draw
from pages._data import warehouse
from pages._quality_chart import quality_chart

SAMPLE = "_routing_sample"
"""Key of the session's own sample of prompts: `FileSample`."""

PRECISIONS = (0.05, 0.02)


@dataclass(frozen=True, eq=False)
class FileSample:
    """Prompts of a file that this session judged its router on; kept for the session alone."""

    name: str
    score: str
    judged: Judged


def known_risk(situation: Situation, lever: Lever, setting: Setting) -> tuple[float, str] | None:
    """Share of answers that get worse at this setting, from labelled calls, else from the session's file; None without labels."""
    found = _judged(situation, lever, setting)
    if found is None:
        return None
    judged, source = found
    risk = _at(judged, source, lever, setting)
    low, high = risk.interval
    share, span = formatting.share(risk.worse_share), f"{formatting.share(low)} to {formatting.share(high)}"
    better = f", {formatting.share(risk.better / risk.labels)} better" if risk.better else ""
    return risk.worse_share, (
        f"{share} of all answers get worse{better} (95%: {span}), judged by {_source_words(source, risk.labels)}."
    )


def quality_below(situation: Situation, lever: Lever, setting: Setting) -> None:
    """The section of the page."""
    found = _judged(situation, lever, setting)
    if found is None:
        draw.section("Quality", "What routing does to answers is not in the log")
        st.caption(
            "No call is labelled for this target yet. Judge some below, or give a file of judgements: then this place shows quality over cost, "
            "and the risk "
            "of every setting."
        )
        return
    judged, source = found
    risk = _at(judged, source, lever, setting)
    draw.section(
        f"Quality, from {_source_words(source, risk.labels)}",
        "Mean quality of all calls; the router's line against drawing lots. Up and to the left is better.",
    )
    _figures(judged, risk)
    by_cost = judged.curve.cost is not None
    if by_cost:
        options = ["Cost", "Share of calls"]
        chosen = st.segmented_control("Along", options, default=options[0], required=True, key="routing_along")
        by_cost = chosen == options[0]
    quality_chart(judged, risk, by_cost=by_cost, key="routing_quality_chart")
    st.markdown("\n".join(f"- {draw.plain(each)}" for each in _sentences(judged, source, risk)))


def _judged(situation: Situation, lever: Lever, setting: Setting) -> tuple[Judged, FileSample | None] | None:
    target = setting["to"]
    if not target:
        return None
    # Only where nothing is routed is the lever without a target; its threshold does not count.
    whole = (
        lever
        if lever != ModelRouting.neutral()
        else PAGES[ModelRouting.name].build(situation, {**setting, "share": "100%"})
    )
    assert isinstance(whole, ModelRouting)  # noqa: S101 - the page of this lever builds it
    judged = judged_calls(whole, situation, labels_for(warehouse().state, target))
    if judged is not None:
        return judged, None
    sample: FileSample | None = st.session_state.get(SAMPLE)
    return None if sample is None else (sample.judged, sample)


def _at(judged: Judged, source: FileSample | None, lever: Lever, setting: Setting) -> Risk:
    share = share_of(setting)
    if source is None and isinstance(lever, ModelRouting) and lever.to is not None:
        return judged.at(lever.threshold)
    # Prompts of a file have scores of their own: the same share of them is routed.
    return judged.at(judged.threshold_for(1 - share) if source else float("-inf"))


def _source_words(source: FileSample | None, count: int) -> str:
    return f"{count:,} labelled calls" if source is None else f"{count:,} prompts of {source.name}"


def _figures(judged: Judged, risk: Risk) -> None:
    low, high = risk.interval
    curve = judged.curve
    area = "no gap" if curve.apgr is None else f"{curve.apgr:.3f}"
    span = "" if judged.interval is None else f"; 95%: {judged.interval[0]:.3f} to {judged.interval[1]:.3f}"
    draw.metric_row(
        [
            draw.Metric(
                "Answers that get worse",
                formatting.share(risk.worse_share),
                help=f"Of all calls; 95%: {formatting.share(low)} to {formatting.share(high)} (Wilson)",
            ),
            draw.Metric(
                "Of the gap recovered",
                "no gap" if risk.pgr is None else formatting.share(risk.pgr),
                help="PGR: (quality of the mix - the target's) / (today's - the target's)",
            ),
            draw.Metric("APGR", area, help=f"Area under PGR over the share of calls on today's model; drawing lots: 0.5{span}"),
            *(
                draw.Metric(
                    f"CPT({level:.0%})",
                    formatting.share(curve.cpt(level)) if curve.cpt(level) is not None else "no gap",
                    help=f"Smallest share of calls on today's model that recovers {level:.0%} of the gap; drawing lots needs {level:.0%}",
                )
                for level in (0.5, 0.8)
            ),
        ]
    )  # fmt: skip


def _sentences(judged: Judged, source: FileSample | None, risk: Risk) -> list[str]:
    missing = [
        f"{formatting.count(risk.more_labels(each))} more for ±{100 * each:g} points"
        for each in PRECISIONS
        if risk.more_labels(each)
    ]
    sentences = [
        f"How sure: with these labels the share that gets worse lies within the range named above; {', '.join(missing)}."
        if missing
        else "How sure: the share that gets worse is known to ±2 points."
    ]
    if judged.interval is not None and judged.interval[0] <= 0.5:
        sentences.append("On this sample the router cannot be told from drawing lots.")
    if judged.curve.apgr is None:
        sentences.append(
            "Today's model is no better than the target on this sample: there is no gap to recover, so APGR and CPT say nothing."
        )
    if judged.outside:
        sentences.append(
            f"{judged.outside:,} more labels are of calls outside these filters, or of calls that the router does not score."
        )
    if source is not None:
        by = "their length, longer stays" if source.score == "length" else "nearness to prompts that the target failed"
        sentences.append(
            f"Prompts of the file are scored by {by}, not as the calls are: the same share of them is routed."
        )
    sentences.append(
        "Judged on the calls that the threshold is chosen on, a router flatters itself: keep some labels for a last check. Escalations are left out."
    )
    return sentences
