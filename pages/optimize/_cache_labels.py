"""What a semantic cache's threshold is worth: pairs that would share an answer, and files of judged texts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.simulators.embedders import DEFAULT, load_embedder
from analytics.simulators.files_semantic_cache import THRESHOLDS, semantic_cache_file_curve
from analytics.simulators.labelled_file import read_labelled
from analytics.simulators.labelled_pairs import read_pairs, safe_threshold, threshold_table
from analytics.simulators.lever_pages import PAGES
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.semantic_cache_evidence import shared_answers
from analytics.simulators.text_normalisation import STEPS
from pages import _draw as draw
from pages import _palette, _situation
from pages._charts import mode
from pages._lever_setting import current_setting
from pages._people import ANALYST, may

_OPEN, _RESULT = "_cache_pairs", "_cache_file"


@st.fragment
@draw.guarded
def shared() -> None:
    """Questions of which one would get the other's answer, for who may see kept texts."""
    situation = _situation.situation()
    if not may(ANALYST) or not situation.workload.heavy.texts().names:
        return
    draw.section(
        "Read before believing: different questions that would share an answer",
        "The least alike first, at the setting of the sliders; normalised texts that the owner chose to keep",
    )
    page = PAGES[SemanticCache.name]
    with st.container(horizontal=True):
        if st.button("Show the pairs of this setting", icon=":material/compare_arrows:", key="cache_pairs_show"):
            st.session_state[_OPEN] = page.build(situation, current_setting(page, situation))
    lever: SemanticCache | None = st.session_state.get(_OPEN)
    if lever is None:
        return
    frame = shared_answers(lever, situation)
    if frame.empty:
        st.caption("No two different questions share an answer at this setting.")
        return
    st.caption(draw.plain(f"At similarity {lever.threshold:.2f}, by {lever.embedder}."))
    draw.table(
        frame.assign(same_answer=frame["same_answer"].map({True: "yes", False: "no"})),
        {
            "asked": draw.Column("Asked", width="large"),
            "answered_by": draw.Column("Answered as", width="large"),
            "similarity": draw.Column("Similarity", "share"),
            "hits": draw.Column("Calls", "count"),
            "same_answer": draw.Column("Same answer", help="Where calls carry an answer_id"),
            "feature": draw.Column("Feature", "tag"),
        },
        key="cache_pairs",
        # Kept texts are shown to who may see them, and never leave with a file.
        export=frame.drop(columns=["asked", "answered_by"]),
        export_name="cache-pairs",
        missing="–",
        rows_in_sight=10,
    )


@st.fragment
@draw.guarded
def judged_texts() -> None:
    """A file of judged texts: what every threshold would have found of it, and how much of that wrongly."""
    draw.section(
        "Hits and false hits on labelled texts",
        "A file with text_a, text_b and same (1 or 0), or with text and answer_id in the order of the calls (or with time). It is read and "
        "forgotten.",
    )
    left, right = st.columns([3, 2])
    file = left.file_uploader(
        "Labelled texts", type=["csv", "gz", "jsonl", "parquet"], key="cache_upload", label_visibility="collapsed"
    )
    step = right.selectbox("Normalised by", list(STEPS), index=1, key="cache_upload_step")
    if file is None:
        st.session_state.pop(_RESULT, None)
        return
    key = (file.file_id, step)
    known = st.session_state.get(_RESULT)
    if known is None or known[0] != key:
        with st.spinner("Comparing the texts …"), tempfile.TemporaryDirectory(prefix="percall-texts-") as folder:
            path = Path(folder) / Path(file.name).name
            path.write_bytes(file.getbuffer())
            known = (key, _read(path, step))
        st.session_state[_RESULT] = known
    frame, words, columns = known[1]
    st.markdown(draw.plain(words))
    _chart(frame)
    draw.table(frame, columns, key="cache_labelled", export=frame, export_name="cache-labelled-texts", missing="–")


def _read(path: Path, step: str) -> tuple[pd.DataFrame, str, dict[str, draw.Column]]:
    table = read_labelled(path, ())
    if {"text_a", "text_b"} <= set(table.columns):
        return _of_pairs(path, step)
    return _of_calls(path, step)


def _of_pairs(path: Path, step: str) -> tuple[pd.DataFrame, str, dict[str, draw.Column]]:
    pairs, embedder = read_pairs(path), load_embedder(DEFAULT)
    frame = threshold_table(
        pairs.left, pairs.right, pairs.same, thresholds=THRESHOLDS, normalize=step, embedder=embedder
    )
    frame["hit_rate"] = [each / len(pairs) for each in frame["pairs"]]
    frame["false_hit_rate"] = [None if each is None else 1 - each for each in frame["precision"]]
    safe, apart = safe_threshold(frame), pairs.separation(step, embedder)
    words = f"{len(pairs):,} judged pairs, {int(pairs.same.sum()):,} of them the same"
    words += f"; {pairs.rejected:,} rows left out. " if pairs.rejected else ". "
    if apart is not None:
        words += (
            f"A pair that is the same is more alike than one that is not in {apart:.0%} of cases (drawing lots: 50%). "
        )
    words += (
        f"From {safe:.2f} on at least 99% of what is taken for the same is."
        if safe is not None
        else "At no threshold is 99% of what is taken for the same the same."
    )
    return (
        frame,
        words,
        {
            "threshold": draw.Column("Threshold", "share"),
            "pairs": draw.Column("Taken for the same", "count"),
            "same": draw.Column("Are the same", "count"),
            "precision": draw.Column("Right", "share"),
            "low": draw.Column("from", "share", help="95%, Wilson"),
            "high": draw.Column("to", "share"),
            "recall": draw.Column("Of all that are the same", "share"),
        },
    )


def _of_calls(path: Path, step: str) -> tuple[pd.DataFrame, str, dict[str, draw.Column]]:
    frame = semantic_cache_file_curve(path, normalize=step)
    calls, labelled = int(frame["calls"].iloc[0]), bool(frame["false_hit_rate"].notna().any())
    best = frame.iloc[0]
    words = f"{calls:,} calls, replayed in order; at {best['threshold']:.2f}, {formatting.share(best['hit_rate'])} are answered from the cache. "
    words += (
        "A false hit has another answer_id than the text whose answer it gets."
        if labelled
        else "Without answer_id false hits are not known."
    )
    return (
        frame,
        words,
        {
            "threshold": draw.Column("Threshold", "share"),
            "hits": draw.Column("Hits", "count"),
            "hit_rate": draw.Column("Of all calls", "share"),
            "judged_hits": draw.Column("Judged", "count", help="Hits where both texts have an answer_id"),
            "false_hits": draw.Column("False", "count"),
            "false_hit_rate": draw.Column("False of judged", "share"),
            "false_low": draw.Column("from", "share", help="95%, Wilson"),
            "false_high": draw.Column("to", "share"),
        },
    )


def _chart(frame: pd.DataFrame) -> None:
    shown = frame.sort_values("threshold")
    colours = _palette.SERIES[mode()]
    series: list[dict[str, Any]] = []
    for name, column, colour in (
        ("Hits", "hit_rate", colours[0]),
        ("False hits, of hits", "false_hit_rate", colours[1]),
    ):
        values = [None if value is None or pd.isna(value) else round(100 * float(value), 3) for value in shown[column]]
        if any(value is not None for value in values):
            series.append(
                {"name": name, "type": "line", "data": values, "itemStyle": {"color": colour}, "lineStyle": {"color": colour, "width": 2.5}}
            )  # fmt: skip
    spec: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 30, "bottom": 28, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemGap": 16},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category", "data": [f"{each:.2f}" for each in shown["threshold"]], "name": "Threshold", "nameLocation": "middle", "nameGap": 30,
            "axisLabel": {"hideOverlap": True},
        },
        "yAxis": {"type": "value", "axisLabel": {"formatter": "{value}%"}},
        "series": series,
    }  # fmt: skip
    first, last = shown.iloc[0], shown.iloc[-1]
    st.echarts_chart(
        spec,
        key="cache_labelled_chart",
        height=280,
        alt=f"Hits from {formatting.share(first['hit_rate'])} at {first['threshold']:.2f} to {formatting.share(last['hit_rate'])} at "
        f"{last['threshold']:.2f}",
    )
