"""The audit log as a table: who did what and when, loads, links, sign-ins, and every change of people's own documents."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analytics.filters import Filters
from analytics.frames import frame_of
from warehouse.audit import AuditLog
from warehouse.reader import Warehouse

COLUMNS = ("at", "who", "action", "subject", "detail", "address")


def audit(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:  # noqa: ARG001 - every view takes filters
    """Every entry, the newest first: at (UTC), who, action, subject (a link's id, a snapshot, a rule's name), detail, address (of the network,
    where a request came from one).

    Entries of the audit log (`warehouse.audit`) and versions of documents (rules, plans, notes: `warehouse.state`, whose reason is the detail).
    The period does not apply, and neither do the rules' revisions: the log is of today, whatever snapshot is looked at.
    """
    rows: list[dict[str, Any]] = [
        {
            "at": entry.at,
            "who": entry.who,
            "action": entry.action,
            "subject": entry.subject,
            "detail": ", ".join(f"{key}: {_text(value)}" for key, value in entry.detail.items()),
            "address": entry.address,
        }
        for entry in AuditLog(warehouse.store.path).entries()
    ]
    rows += [
        {
            "at": document.saved_at,
            "who": document.author,
            "action": f"{document.kind} {'removed' if document.body is None else 'saved'}",
            "subject": document.name,
            "detail": document.reason,
            "address": None,
        }
        for document in warehouse.state.everything()
    ]
    rows.sort(key=lambda row: row["at"], reverse=True)
    return frame_of(rows, COLUMNS)


def _text(value: object) -> str:
    return ", ".join(str(part) for part in value) if isinstance(value, list) else str(value)
