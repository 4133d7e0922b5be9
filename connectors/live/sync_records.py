"""What syncs leave behind: up to where each source was read, and what became of every run.

It is people's own state (`warehouse.state_file`): losing it means at worst to read everything once more. No secret is ever written here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from warehouse.state_file import StateFile

RUNNING, FINE, INCOMPLETE, FAILED, STOPPED, INTERRUPTED = (
    "running",
    "fine",
    "incomplete",
    "failed",
    "stopped",
    "interrupted",
)
"""States of a run: incomplete means that files were refused, stopped that a person ended it, interrupted that its process died."""

KEPT_RUNS = 200
"""So many past runs of each source are kept."""

_TABLES = """
    CREATE TABLE IF NOT EXISTS sync_positions (
        source TEXT PRIMARY KEY, kind TEXT NOT NULL, position TEXT NOT NULL, saved_at TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS sync_runs (
        run INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, kind TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT,
        state TEXT NOT NULL, rows_kept INTEGER NOT NULL DEFAULT 0, rows_rejected INTEGER NOT NULL DEFAULT 0,
        batches INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '', next_at TEXT);
    CREATE INDEX IF NOT EXISTS sync_runs_by_source ON sync_runs (source, run);
"""


@dataclass(frozen=True)
class Run:
    """One sync of one source. Times are UTC; `ended_at` None: it runs, or its process died. `next_at`: when the process that ran it runs
    again, where it does."""

    run: int
    source: str
    kind: str
    started_at: datetime
    ended_at: datetime | None
    state: str
    rows_kept: int
    rows_rejected: int
    batches: int
    message: str
    next_at: datetime | None


class SyncRecords(StateFile):
    """Positions and runs of the sources of one store."""

    TABLES = _TABLES

    def position(self, source: str, kind: str) -> dict[str, Any]:
        """Up to where a source was read; empty before its first sync, and when the name stood for a source of another kind."""
        rows = self.read("SELECT position FROM sync_positions WHERE source = ? AND kind = ?", (source, kind))
        return dict(json.loads(rows[0][0])) if rows else {}

    def save_position(self, source: str, kind: str, position: dict[str, Any]) -> None:
        """Remember up to where a source was read. Raises StoreError when it cannot be written."""
        text = json.dumps(position, ensure_ascii=False, sort_keys=True)
        with self.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO sync_positions VALUES (?, ?, ?, ?)", (source, kind, text, _now())
            )

    def start(self, source: str, kind: str) -> int:
        """Write down that a run begins; answers with its number."""
        with self.writing() as connection:
            cursor = connection.execute(
                "INSERT INTO sync_runs (source, kind, started_at, state) VALUES (?, ?, ?, ?)",
                (source, kind, _now(), RUNNING),
            )
            return int(cursor.lastrowid or 0)

    def end(
        self,
        run: int,
        state: str,
        *,
        rows_kept: int,
        rows_rejected: int,
        batches: int,
        message: str,
        next_at: datetime | None,
    ) -> None:
        """Write down what became of a run, and forget the oldest ones of its source."""
        with self.writing() as connection:
            connection.execute(
                """UPDATE sync_runs SET ended_at = ?, state = ?, rows_kept = ?, rows_rejected = ?, batches = ?, message = ?, next_at = ?
                   WHERE run = ?""",
                (_now(), state, rows_kept, rows_rejected, batches, message, _text(next_at), run),
            )
            connection.execute(
                """DELETE FROM sync_runs WHERE source = (SELECT source FROM sync_runs WHERE run = ?) AND run NOT IN (
                       SELECT run FROM sync_runs WHERE source = (SELECT source FROM sync_runs WHERE run = ?) ORDER BY run DESC LIMIT ?)""",
                (run, run, KEPT_RUNS),
            )

    def close_abandoned(self) -> None:
        """Mark runs whose process died. Only who holds the lock of the syncs may ask for it: then no run is alive."""
        if self.read("SELECT 1 FROM sync_runs WHERE state = ? LIMIT 1", (RUNNING,)):
            with self.writing() as connection:
                connection.execute(
                    "UPDATE sync_runs SET state = ?, message = ? WHERE state = ?",
                    (INTERRUPTED, "its process ended before it did; what it had loaded is kept, the next sync goes on from there", RUNNING),
                )  # fmt: skip

    def latest(self) -> dict[str, Run]:
        """The last run of every source."""
        rows = self.read(
            f"SELECT {_COLUMNS} FROM sync_runs WHERE run IN (SELECT max(run) FROM sync_runs GROUP BY source)"
        )
        return {run.source: run for run in map(_run, rows)}

    def last_success(self) -> dict[str, datetime]:
        """When each source was last read to its end (UTC)."""
        rows = self.read(
            "SELECT source, max(ended_at) FROM sync_runs WHERE state IN (?, ?) GROUP BY source", (FINE, INCOMPLETE)
        )
        return {source: datetime.fromisoformat(at) for source, at in rows if at}

    def runs(self, source: str, most: int = 20) -> list[Run]:
        """The runs of a source, the newest first."""
        return [
            _run(row)
            for row in self.read(
                f"SELECT {_COLUMNS} FROM sync_runs WHERE source = ? ORDER BY run DESC LIMIT ?", (source, most)
            )
        ]


_COLUMNS = "run, source, kind, started_at, ended_at, state, rows_kept, rows_rejected, batches, message, next_at"


def _run(row: tuple[Any, ...]) -> Run:
    run, source, kind, started, ended, state, kept, rejected, batches, message, next_at = row
    return Run(
        run, source, kind, datetime.fromisoformat(started), _moment(ended), state, kept, rejected, batches, message, _moment(next_at)
    )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
