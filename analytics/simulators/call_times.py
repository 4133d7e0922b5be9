"""When calls that somebody names by their id began."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from warehouse.reader import Warehouse

_EPOCH = datetime(1970, 1, 1)


def call_times(warehouse: Warehouse, call_ids: Sequence[str]) -> dict[str, list[int]]:
    """Microseconds since 1970 (UTC) at which the calls of each id began, in order; an id that no call has is not among the keys.

    Two sources may use the same id, so that there can be several.
    """
    if not call_ids:
        return {}
    calls = warehouse.table("calls")
    found: dict[str, list[int]] = {}
    wanted = calls.filter(calls.call_id.isin(sorted(set(call_ids)))).select("call_id", "started_at")
    for row in warehouse.arrow(wanted.order_by("started_at")).to_pylist():
        found.setdefault(row["call_id"], []).append((row["started_at"] - _EPOCH) // timedelta(microseconds=1))
    return found
