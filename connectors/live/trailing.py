"""From which moment a source is read on: sources whose rows may arrive or change late are read again for some days back, and merged by id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.live.source import Option, Window

REREAD = Option(
    "reread_days",
    "days before the last sync that are read again, because rows arrive and change late",
    "2",
    default=2,
    form="number",
)
HISTORY = Option(
    "history_days",
    "days back that the first sync reads, unless --since says otherwise",
    "30",
    default=30,
    form="number",
)


def utc(moment: datetime) -> datetime:
    """A moment as UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def begin(position: Mapping[str, Any], window: Window, options: Mapping[str, Any]) -> datetime:
    """The first moment to read (UTC): what was asked for; else `reread_days` before where the last sync ended; else `history_days` ago.

    `position["read_until"]` says where, as ISO 8601. Never after `window.now`.
    """
    now = utc(window.now)
    if window.since is not None:
        return min(utc(window.since), now)
    if read := position.get("read_until"):
        return min(utc(datetime.fromisoformat(str(read))), now) - timedelta(days=max(0, options["reread_days"]))
    return now - timedelta(days=max(0, options["history_days"]))


def why(position: Mapping[str, Any], window: Window, options: Mapping[str, Any]) -> str:
    """The reason for `begin`, in words."""
    if window.since is not None:
        return "since the given moment"
    if position.get("read_until"):
        return f"since the last sync, and {options['reread_days']:g} days before it again for what came late"
    return f"first sync: {options['history_days']:g} days back"


def share(moment: datetime, first: datetime, last: datetime) -> float | None:
    """How much of the time from `first` to `last` is done at `moment`, between 0 and 1; None where there is none."""
    whole = (last - first).total_seconds()
    return min(1.0, max(0.0, (moment - first).total_seconds() / whole)) if whole > 0 else None
