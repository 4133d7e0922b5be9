"""The audit log: who did what and when, in entries that are only ever added.

Loads, syncs, sign-ins, shared links (made, opened, refused, revoked) and back-ups write entries here. Changes of rules, plans and notes are
documents (`warehouse.state`), whose versions with author and reason are kept anyway: `analytics.audit` shows both as one log.

Every entry carries a digest of itself and the entry before it, so that a changed or removed entry shows (`AuditLog.damaged`); only entries
cut off at the end would not.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warehouse.errors import StoreError
from warehouse.load_report import LoadReport
from warehouse.state_file import StateFile

LOADED = "data loaded"
SYNCED = "source synced"
SIGNED_IN, SIGNED_OUT, SIGN_IN_REFUSED, NOT_ALLOWED = "signed in", "signed out", "sign-in refused", "not allowed"
SHARE_CREATED, SHARE_OPENED, SHARE_REFUSED, SHARE_REVOKED = "link made", "link opened", "link refused", "link revoked"
BACKED_UP, RESTORED = "backed up", "restored"

_TABLES = """
    CREATE TABLE IF NOT EXISTS audit (
        entry INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, address TEXT, action TEXT NOT NULL,
        subject TEXT NOT NULL, detail TEXT NOT NULL, once TEXT UNIQUE, digest TEXT NOT NULL);
    CREATE TRIGGER IF NOT EXISTS audit_is_never_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never changed'); END;
    CREATE TRIGGER IF NOT EXISTS audit_is_never_shortened BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never removed'); END;
"""

_actor: ContextVar[str | None] = ContextVar("actor", default=None)


def actor() -> str:
    """Who acts now: the person that `acting_as` names, else the user of this machine, at the command line."""
    named = _actor.get()
    if named:
        return named
    try:
        return f"{getpass.getuser()} (command line)"
    except (OSError, KeyError):
        return "command line"


@contextlib.contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Whatever the block writes to the audit log was done by this person."""
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


@dataclass(frozen=True)
class Entry:
    """One entry. `at` is UTC; `address` is the network address that a request came from, where there was one."""

    entry: int
    at: datetime
    who: str
    address: str | None
    action: str
    subject: str
    detail: dict[str, Any]


class AuditLog(StateFile):
    """The audit log of one store."""

    TABLES = _TABLES

    def record(
        self,
        action: str,
        subject: str,
        *,
        who: str | None = None,
        address: str | None = None,
        once: str | None = None,
        **detail: Any,
    ) -> None:
        """Add an entry; `who` is `actor()` unless it is given. With `once`, only if no entry was added under this key yet.

        Raises StoreError when the file cannot be written.
        """
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        text = json.dumps(detail, ensure_ascii=False, sort_keys=True, default=str)
        values = (now, who or actor(), address, action, subject, text, once)
        with self.writing() as connection:
            if once and connection.execute("SELECT 1 FROM audit WHERE once = ?", (once,)).fetchone():
                return
            last = connection.execute("SELECT digest FROM audit ORDER BY entry DESC LIMIT 1").fetchone()
            connection.execute(
                "INSERT INTO audit (at, who, address, action, subject, detail, once, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, _digest(last[0] if last else "", values)),
            )

    def entries(self) -> list[Entry]:
        """All entries, the oldest first."""
        rows = self.read("SELECT entry, at, who, address, action, subject, detail FROM audit ORDER BY entry")
        return [
            Entry(number, datetime.fromisoformat(at), who, address, action, subject, json.loads(detail))
            for number, at, who, address, action, subject, detail in rows
        ]

    def damaged(self) -> int | None:
        """Number of the first entry that is not what was written, or before which one is missing; None when all are sound."""
        before = ""
        rows = self.read(
            "SELECT entry, at, who, address, action, subject, detail, once, digest FROM audit ORDER BY entry"
        )
        for expected, (number, *values, digest) in enumerate(rows, start=1):
            if number != expected or digest != _digest(before, tuple(values)):
                return int(number)
            before = digest
        return None


def note_load(store: Path, snapshot_id: str, reports: Sequence[LoadReport]) -> None:
    """Write down that a load published a snapshot. The load stands even if this cannot be written: it is in the table `loads` too."""
    stored = [report for report in reports if report.rows_kept]
    try:
        AuditLog(store).record(
            LOADED, snapshot_id, kinds=sorted({report.kind for report in reports}), files=len({report.file for report in reports}),
            rows=sum(report.rows_kept for report in stored), rejected=sum(report.rows_rejected for report in reports),
        )  # fmt: skip
    except StoreError as error:
        logging.getLogger("percall").warning("%s: the load was stored, and is not in the audit log", error)


def _digest(before: str, values: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *values], ensure_ascii=False).encode()).hexdigest()
