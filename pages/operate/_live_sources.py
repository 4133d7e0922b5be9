"""Live sources on the page Data: where each stands, when it runs next, and the button that syncs them now, in the background."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from analytics import formatting
from connectors.live.registry import live_source
from connectors.live.secrets import Secrets
from connectors.live.settings import read_sources
from connectors.live.sync_records import FAILED, FINE, INCOMPLETE, INTERRUPTED, RUNNING, STOPPED, Run, SyncRecords
from connectors.live.syncing import is_running
from pages import _draw as draw
from pages import _states
from pages._data import configuration, store_path
from pages._people import ADMIN, may, require
from pages.operate._background_sync import BackgroundSync, last_sync, start_sync
from warehouse.store import Store

STATES = {
    FINE: "● fine",
    RUNNING: "◌ running",
    INCOMPLETE: "◐ incomplete",
    STOPPED: "◐ stopped",
    INTERRUPTED: "◐ interrupted",
    FAILED: "✕ failed",
}
NEVER, UNUSABLE = "○ never synced", "✕ cannot be used"


def rows(now: datetime) -> pd.DataFrame:
    """One row per configured source: name, title of its kind, state, when its last run ended and the next is due (UTC), rows, message."""
    usable, broken = read_sources(configuration(), Secrets())
    latest = SyncRecords(store_path()).latest()
    alive = is_running(Store(store_path()))
    found = [
        {"source": one.name, "kind": live_source(one.kind).TITLE, **_of_run(latest.get(one.name), now, alive)}
        for one in usable
    ]
    found += [
        {
            "source": one.name,
            "kind": one.kind or "–",
            **_of_run(None, now, alive),
            "state": UNUSABLE,
            "message": one.message.removeprefix(f"{configuration().path}, "),
        }
        for one in broken
    ]
    return pd.DataFrame(found)


def _of_run(run: Run | None, now: datetime, alive: bool) -> dict[str, object]:
    if run is None:
        return {
            "state": NEVER,
            "last_run": None,
            "next_run": None,
            "rows_kept": None,
            "rows_rejected": None,
            "message": "",
        }
    state = INTERRUPTED if run.state == RUNNING and not alive else run.state
    return {
        "state": STATES[state],
        "last_run": run.ended_at or run.started_at,
        "next_run": run.next_at if run.next_at is not None and run.next_at > now else None,
        "rows_kept": run.rows_kept,
        "rows_rejected": run.rows_rejected,
        "message": run.message,
    }


COLUMNS = {
    "source": draw.Column("Source", pinned=True),
    "state": draw.Column(
        "State",
        help="Fine: read to its end. Incomplete: files were refused. Stopped, interrupted: the next sync goes on. Failed: see the message.",
    ),
    "last_run": draw.Column("Last run (UTC)", "time"),
    "next_run": draw.Column(
        "Next run (UTC)", "time", help="Known while `percall sync --every` runs; a cron job's is not."
    ),
    "rows_kept": draw.Column("Rows stored", "count", help="By the last run"),
    "rows_rejected": draw.Column("Rejected", "count", help="By the last run"),
    "message": draw.Column("Message", width="large"),
    "kind": draw.Column("Kind"),
}


def live_sources() -> None:
    """The section: the sources with their last runs, and the button; one sentence where none is configured."""
    if not configuration().sources:
        st.caption(
            "No live source is connected: `percall sync` pulls bills and traces by itself once `percall.toml` names them, see "
            "`docs/how-to-connect.md`."
        )
        return
    frame = rows(datetime.now(UTC).replace(tzinfo=None))
    draw.section(
        "Live sources",
        "What percall sync pulls, with the last run of each; the dashboard stays readable while one runs.",
    )
    draw.table(frame, COLUMNS, key="live_sources", export=frame, export_name="live-sources", missing="–")
    running = last_sync()
    if running is not None and running.running:
        _watch()
    elif may(ADMIN):
        _offer(running)


def _offer(before: BackgroundSync | None) -> None:
    """The button, and what became of the sync that was started here last."""
    elsewhere = is_running(Store(store_path()))
    if elsewhere:
        st.caption("A sync that was started elsewhere is running; its rows appear when it has loaded them.")
    if st.button("Sync now", icon=":material/sync:", key="sync_now", disabled=elsewhere):
        start_sync(require(ADMIN, "sync the sources").name)
        st.rerun()
    if before is None:
        return
    failed = [one for one in before.finished if one.get("state") != FINE]
    kept = formatting.count(sum(int(one.get("rows_kept") or 0) for one in before.finished))
    if failed or not before.finished:
        told = "; ".join(f"{one['source']}: {one.get('message') or one.get('state')}" for one in failed)
        said = told or " ".join(before.messages[-3:]) or "it ended before it began; see the server's log"
        st.warning(draw.plain(f"{kept} rows were stored. {said}"), icon=":material/warning:")
    else:
        st.success(f"Synced: {kept} rows were stored.", icon=":material/check:")


@st.fragment(run_every=1.0)
@_states.guarded
def _watch() -> None:
    """How far the running sync is, drawn again every second; the whole page when it has ended."""
    sync = last_sync()
    if sync is None or not sync.running:
        st.rerun()
        return
    done = len(sync.finished)
    total = max(1, len(configuration().sources))
    share = min(1.0, (done + (sync.share or 0.0)) / total)
    st.progress(share, draw.plain(f"{sync.source}: {sync.message}" if sync.source else sync.message))
    if may(ADMIN) and st.button("Stop", icon=":material/stop:", key="sync_stop"):
        require(ADMIN, "stop the sync")
        sync.stop()


guarded_live_sources = _states.guarded(live_sources)
"""`live_sources`, whose failures are shown in its place."""
