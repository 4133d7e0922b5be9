"""Adding files from the browser: what each file is and would do, and only then the load."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from analytics import formatting
from connectors.intake import FilePreview, load_paths, preview
from connectors.plain import template, template_kinds
from pages import _draw as draw
from pages import _states
from pages._data import configuration, has_data, store_path, warehouse
from pages._people import ADMIN, may, require
from warehouse.audit import acting_as
from warehouse.load_report import LoadReport
from warehouse.store import Store

_ROUND, _PREVIEWS, _REPORTS = "_upload_round", "_upload_previews", "_upload_reports"

OVERLAP = {
    "Compare, and refuse what is unclear": "ask",
    "Replace the whole period": "replace",
    "Add to what is there": "add",
}
"""What to do with a file that covers a period already loaded."""


def upload() -> None:
    """The area for files, the preview of those in it, the button that loads them, and what became of the last ones; for who may load."""
    if not may(ADMIN):
        return
    draw.section(
        "Add files",
        "Bills (FOCUS, AWS CUR, Google Cloud export), traces (LiteLLM, Langfuse, OpenTelemetry), activity, revenue, utilisation, prices. "
        "The kind is found from the content; nothing is stored before you press Load.",
    )
    files = st.file_uploader(
        "Files",
        accept_multiple_files=True,
        key=f"upload_{st.session_state.get(_ROUND, 0)}",
        label_visibility="collapsed",
    )
    _templates()
    if not files:
        _last_reports()
        return
    st.session_state.pop(_REPORTS, None)
    previews = _previews(files)
    for number, one in enumerate(previews):
        _show(one, number)
    if not any(one.rows_kept for one in previews):
        st.caption("None of these files has a row that could be loaded.")
        return
    overlap = st.selectbox(
        "Where a period is already loaded",
        list(OVERLAP),
        key="upload_overlap",
        help="Compare: a newer version of a period replaces it, a further part is added, and what could be either is refused with a reason.",
    )
    if has_data() and warehouse().is_demo:
        st.caption("Your own data take the place of the demo company.")
    if st.button("Load", type="primary", icon=":material/upload:", key="upload_load"):
        _load(files, OVERLAP[overlap])


def _templates() -> None:
    """Example files of the plain kinds, to fill in."""
    with st.expander("Templates", icon=":material/table_view:"):
        st.caption("A header and two example rows each; `docs/data-dictionary.md` says what every column means.")
        with st.container(horizontal=True):
            for kind in template_kinds():
                st.download_button(
                    f"{kind}.csv",
                    data=template(kind),
                    file_name=f"{kind}.csv",
                    mime="text/csv; charset=utf-8",
                    key=f"template_{kind}",
                    type="tertiary",
                    icon=":material/download:",
                    on_click="ignore",
                )


def _written(files: Sequence[Any], folder: Path) -> list[Path]:
    """The uploaded files on disk, each in a folder of its own, because names may repeat."""
    paths = []
    for number, file in enumerate(files):
        path = folder / str(number) / Path(file.name).name
        path.parent.mkdir()
        path.write_bytes(file.getbuffer())
        paths.append(path)
    return paths


def _previews(files: Sequence[Any]) -> list[FilePreview]:
    """Previews of the files, read once for as long as the same files lie there."""
    key = tuple(file.file_id for file in files)
    known, previews = st.session_state.get(_PREVIEWS, (None, []))
    if known != key:
        with st.spinner("Reading the files"), tempfile.TemporaryDirectory(prefix="percall-upload-") as folder:
            previews = preview(_written(files, Path(folder)), configuration())
        st.session_state[_PREVIEWS] = (key, previews)
    return list(previews)


def _load(files: Sequence[Any], on_overlap: str) -> None:
    """Load the files, remember what became of them, and run the page again on the new snapshot."""
    person = require(ADMIN, "load data")
    bar = st.progress(0.0, "Loading")

    def show(message: str, part: float) -> None:
        bar.progress(min(1.0, max(0.0, part)), message)

    with tempfile.TemporaryDirectory(prefix="percall-upload-") as folder, acting_as(person.name):
        paths = _written(files, Path(folder))
        reports = load_paths(Store(store_path()), configuration(), paths, on_overlap=on_overlap, progress=show)
    st.session_state[_REPORTS] = reports
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state.pop(_PREVIEWS, None)
    st.rerun()


def _show(one: FilePreview, number: int) -> None:
    """One file before it is loaded."""
    with st.container(border=True, gap="small"):
        rejected = f", {formatting.count(one.rows_rejected)} rejected" if one.rows_rejected else ""
        what = f"{one.kind or 'unknown kind'} · {formatting.count(one.rows_kept)} rows can be loaded{rejected}"
        st.markdown(f"**{draw.plain(one.name)}**  \n{draw.plain(what)}")
        if one.problem:
            st.error(draw.plain(one.problem), icon=":material/error:")
        for warning in one.warnings:
            st.warning(draw.plain(warning), icon=":material/warning:")
        if one.partitions:
            columns = {
                "partition": draw.Column("Period or part"),
                "rows": draw.Column("Rows", "count"),
                "billed": draw.Column("Billed", "money", "Of calls: the cost that the source reported"),
                "effective": draw.Column("Effective", "money"),
                "currency": draw.Column("Currency"),
            }
            frame = pd.DataFrame(one.partitions)
            draw.table(
                frame,
                columns,
                key=f"upload_parts_{number}",
                export_name=f"preview-{one.name}",
                missing="–",
                rows_in_sight=6,
            )
        if one.rejects:
            frame = pd.DataFrame(one.rejects, columns=["row", "column", "reason"])
            columns = {
                "row": draw.Column("Row", "count"),
                "column": draw.Column("Column"),
                "reason": draw.Column("Reason", width="large"),
            }
            draw.table(
                frame,
                columns,
                key=f"upload_rejects_{number}",
                export_name=f"rejects-{one.name}",
                missing="–",
                rows_in_sight=6,
            )
        if one.head:
            with st.expander(f"First rows and {len(one.columns)} columns"):
                st.dataframe(
                    pd.DataFrame([{k: _short(v) for k, v in row.items()} for row in one.head[:5]]), hide_index=True
                )


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _last_reports() -> None:
    """What became of the files loaded last in this session."""
    reports: list[LoadReport] | None = st.session_state.get(_REPORTS)
    if not reports:
        return
    kept = formatting.count(sum(report.rows_kept for report in reports))
    refused = [report for report in reports if report.status == "refused"]
    if refused:
        st.warning(
            draw.plain(f"{kept} rows were stored; {len(refused)} files or parts were refused: see the messages."),
            icon=":material/warning:",
        )
    else:
        st.success(f"Done: {kept} rows were stored.", icon=":material/check:")
    frame = pd.DataFrame([{name: getattr(report, name) for name in _REPORT_COLUMNS} for report in reports])
    draw.table(frame, _REPORT_COLUMNS, key="upload_reports", export_name="load-reports", missing="–", rows_in_sight=8)


_REPORT_COLUMNS = {
    "file": draw.Column("File"),
    "partition": draw.Column("Period or part"),
    "status": draw.Column("Status"),
    "rows_kept": draw.Column("Rows stored", "count"),
    "rows_rejected": draw.Column("Rejected", "count"),
    "rows_duplicate": draw.Column("Known already", "count"),
    "billed": draw.Column("Billed", "money"),
    "effective": draw.Column("Effective", "money"),
    "message": draw.Column("Message", width="large"),
}

guarded_upload = _states.guarded(upload)
"""`upload`, whose failures are shown in its place."""
