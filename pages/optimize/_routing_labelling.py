"""Judging logged calls on the page, and files of judgements."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from analytics.simulators.call_times import call_times
from analytics.simulators.files_routing import SCORES
from analytics.simulators.files_routing_labels import CALL, QUALITIES, Judgements, read_judgements
from analytics.simulators.lever_page import Setting
from analytics.simulators.lever_pages import PAGES
from analytics.simulators.routing import ModelRouting
from analytics.simulators.routing_labels import (
    KIND,
    Label,
    calls_to_label,
    labels_for,
    remove_labels,
    save_labels,
)
from analytics.simulators.situation import Situation
from pages import _draw as draw
from pages import _situation
from pages._data import warehouse
from pages._lever_setting import current_setting
from pages._people import ANALYST, may, require
from pages.optimize._routing_quality import SAMPLE, FileSample

_OPEN, _FILE, _DONE, _ROUND = "_routing_labelling", "_routing_file", "_routing_done", "_routing_round"
VERDICT = "verdict"


@st.fragment
@draw.guarded
def labelling() -> None:
    """The section of the page: for who may judge."""
    if not may(ANALYST):
        return
    draw.section(
        "Labels",
        "Ask the target the same prompt, and say whether its answer is the same, worse or better. Labels are kept with their author; texts are not.",
    )
    done = st.session_state.pop(_DONE, None)
    if done:
        st.success(draw.plain(done), icon=":material/check:")
    situation = _situation.situation()
    setting = current_setting(PAGES[ModelRouting.name], situation)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Judge logged calls", icon=":material/rate_review:", key="routing_judge"):
            st.session_state[_OPEN] = setting
    with draw.guard():
        opened: Setting | None = st.session_state.get(_OPEN)
        if opened is not None:
            _judge(situation, opened)
    with draw.guard():
        _file(str(setting["to"] or ""))
    with draw.guard():
        _kept(str(setting["to"] or ""))


def _judge(situation: Situation, setting: Setting) -> None:
    target = setting["to"]
    if not target:
        st.info("Choose a target model first: a label says what its answer is like.", icon=":material/info:")
        return
    lever = PAGES[ModelRouting.name].build(situation, {**setting, "share": "100%"})
    assert isinstance(lever, ModelRouting)  # noqa: S101 - the page of this lever builds it
    labels = labels_for(warehouse().state, target)
    frame = calls_to_label(lever, situation, labels, with_texts=True)
    if frame.empty:
        st.info("Every call that can be routed to this target has a label.", icon=":material/check:")
        return
    st.caption(
        draw.plain(
            f"For {target}: {len(frame)} calls, drawn evenly over features and scores, the easiest first. Leave out none that you would rather "
            f"not judge: "
            "a choice would bias the result."
        )
    )
    shown = frame.drop(columns=["place"]).assign(**{VERDICT: None})
    if frame["text"].isna().all():
        shown = shown.drop(columns=["text"])
    edited = st.data_editor(
        shown[[VERDICT, *(name for name in shown if name != VERDICT)]],
        hide_index=True,
        disabled=[str(name) for name in shown if name != VERDICT],
        column_config={
            VERDICT: st.column_config.SelectboxColumn(
                "Target's answer is", options=list(QUALITIES), pinned=True, help="Compared with the answer that was logged"
            ),
            "call_id": st.column_config.TextColumn("Call", width=150),
            "started_at": st.column_config.DatetimeColumn("At (UTC)", format="YYYY-MM-DD HH:mm:ss"),
            "feature": "Feature",
            "model": "Model",
            "score": st.column_config.NumberColumn("Score", format="%.3f", help="Higher is harder"),
            "input_tokens": st.column_config.NumberColumn("Input", format="%,d"),
            "output_tokens": st.column_config.NumberColumn("Output", format="%,d"),
            "cost": st.column_config.NumberColumn("Cost", format="$%.5f"),
            "text": st.column_config.TextColumn("Prompt, normalised", width="large"),
        },
        placeholder="–",
        key=f"routing_editor_{target}_{len(labels)}_{st.session_state.get(_ROUND, 0)}",
        alt=f"Table of {len(frame)} calls to judge",
    )  # fmt: skip
    said = edited[edited[VERDICT].isin(list(QUALITIES))]
    with st.container(horizontal=True):
        if st.button(
            f"Save {len(said)} labels" if len(said) != 1 else "Save one label",
            type="primary", icon=":material/check:", key="routing_save", disabled=said.empty,
        ):  # fmt: skip
            _save(target, [_label(row) for row in said.to_dict("records")])
        if st.button("Close", key="routing_close", type="tertiary"):
            st.session_state.pop(_OPEN, None)
            st.rerun(scope="fragment")


def _label(row: Mapping[Any, Any]) -> Label:
    strong, weak = QUALITIES[row[VERDICT]]
    at = pd.Timestamp(row["started_at"])
    return Label(str(row["call_id"]), int(at.value // 1000), strong, weak)


def _save(target: str, labels: list[Label]) -> None:
    person = require(ANALYST, "label calls")
    count = save_labels(warehouse().state, target, labels, author=person.name)
    st.session_state[_DONE] = f"{count} {'label' if count == 1 else 'labels'} for {target} saved."
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state.pop(_FILE, None)
    st.rerun()


def _file(target: str) -> None:
    """A file of judgements: of calls, which become labels, or of prompts, which this session's router is judged on."""
    file = st.file_uploader(
        "Or a file of judgements",
        type=["csv", "gz", "jsonl", "parquet"],
        key=f"routing_upload_{st.session_state.get(_ROUND, 0)}",
        help="Columns: call_id or prompt; and strong_correct and weak_correct (1 or 0), or quality (same, worse, better). Prompts are read and "
        "forgotten.",
    )
    if file is None:
        if st.session_state.pop(SAMPLE, None) is not None:
            st.rerun()
        return
    known = st.session_state.get(_FILE)
    if known is None or known[0] != file.file_id:
        with tempfile.TemporaryDirectory(prefix="percall-labels-") as folder:
            path = Path(folder) / Path(file.name).name
            path.write_bytes(file.getbuffer())
            known = (file.file_id, read_judgements(path))
        st.session_state[_FILE] = known
    found: Judgements = known[1]
    st.caption(draw.plain(_counted(file.name, found)))
    if found.by == CALL:
        _calls_of_file(target, found)
        return
    score = st.segmented_control(
        "Prompts are scored by", list(SCORES), default=SCORES[0], required=True, key="routing_file_score",
        help="length: longer prompts stay with today's model. embedding: those near to prompts that the target failed, each half judged by the "
        "other.",
    )  # fmt: skip
    before: FileSample | None = st.session_state.get(SAMPLE)
    if before is None or (before.name, before.score) != (file.name, score):
        with st.spinner("Judging the router …"):
            st.session_state[SAMPLE] = FileSample(file.name, str(score), found.judged_prompts(str(score)))
        st.rerun()


def _counted(name: str, found: Judgements) -> str:
    what = "calls" if found.by == CALL else "prompts"
    words = f"{name}: {len(found):,} judged {what}"
    if found.rejected:
        words += f"; {found.rejected:,} rows left out ({found.reject})"
    if found.repeated:
        words += f"; {found.repeated:,} rows judge a call again and do not count"
    return f"{words}."


def _calls_of_file(target: str, found: Judgements) -> None:
    if not target:
        st.info("Choose a target model first: the labels are for it.", icon=":material/info:")
        return
    labels, lost = found.labels(call_times(warehouse(), found.keys))
    if lost:
        st.caption(
            draw.plain(
                f"{len(lost):,} ids are those of no call, or of several: {', '.join(lost[:3])}{' …' if len(lost) > 3 else ''}"
            )
        )
    if labels and st.button(
        f"Keep {len(labels):,} labels for {draw.plain(target)}",
        type="primary",
        icon=":material/check:",
        key="routing_keep",
    ):
        _save(target, list(labels))


def _kept(target: str) -> None:
    """The labels that are kept for the target, to be exported or removed."""
    documents = [each for each in warehouse().state.documents(KIND) if (each.body or {}).get("target") == target]
    if not documents:
        return
    frame = pd.DataFrame(
        [
            {
                "call_id": (each.body or {})["call_id"],
                "started_at": pd.Timestamp(int((each.body or {})["started_at"]), unit="us"),
                "strong_correct": (each.body or {})["strong"],
                "weak_correct": (each.body or {})["weak"],
                "author": each.author,
                "saved_at": each.saved_at,
            }
            for each in reversed(documents)
        ]
    )
    with st.expander(f"{len(documents):,} labels for {draw.plain(target)}"):
        draw.table(
            frame,
            {
                "call_id": draw.Column("Call", width=150),
                "started_at": draw.Column("At (UTC)", "time"),
                "strong_correct": draw.Column("Today's answer", "number", help="Quality: 1 right, 0 wrong"),
                "weak_correct": draw.Column("Target's answer", "number"),
                "author": draw.Column("By"),
                "saved_at": draw.Column("Saved (UTC)", "time"),
            },
            key="routing_labels_kept",
            export=frame,
            export_name=f"routing-labels-{target}",
            rows_in_sight=8,
        )
        if st.button("Remove them all", key="routing_remove", type="tertiary", icon=":material/delete:"):
            person = require(ANALYST, "remove labels")
            count = remove_labels(warehouse().state, target, author=person.name)
            st.session_state[_DONE] = f"{count} labels removed; their versions stay in the history."
            st.rerun()
