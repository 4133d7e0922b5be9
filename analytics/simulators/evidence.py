"""Which of the calls a lever changes, and how: the reason to believe its number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analytics.simulators.workload import Workload

LIMIT = 100
COLUMNS = (
    "call", "call_id", "started_at", "feature", "user_tier", "change", "model", "model_after", "processing", "processing_after",
    "input_tokens", "input_tokens_after", "output_tokens", "output_tokens_after", "cost", "cost_after", "saving",
)  # fmt: skip


def changed_calls(before: Workload, after: Workload, limit: int = LIMIT) -> pd.DataFrame:
    """The calls that differ between two states of the same calls, those with the largest change of cost first, at most `limit`.

    Columns: call (place in the workload, for `Workload.heavy`), call_id (as the source wrote it), started_at (UTC), feature, user_tier (None: not
    said), change ("not made", or what differs), model, processing, tokens before and after, cost before and after in USD as logged and as
    simulated (overheads included), saving (the difference; None where the cost is not known).
    """
    places = np.flatnonzero(after.changed_since(before))
    cost, cost_after = _with_overheads(before)[places], _with_overheads(after)[places]
    saving = cost - cost_after
    size = np.where(np.isnan(saving), -1.0, np.abs(saving))
    if len(places) > limit:
        keep = np.argpartition(-size, limit)[:limit]
        places, cost, cost_after, saving, size = (values[keep] for values in (places, cost, cost_after, saving, size))
    order = np.lexsort((places, -size))
    rows = [_row(before, after, int(places[at]), float(cost[at]), float(cost_after[at])) for at in order]
    for row, call_id in zip(rows, before.heavy.call_ids(places[order]), strict=True):
        row["call_id"] = call_id
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def _with_overheads(workload: Workload) -> np.ndarray:
    total = workload.cost.copy()
    for overhead in workload.overheads:
        total += overhead.per_call
    return total


def _row(before: Workload, after: Workload, call: int, cost: float, cost_after: float) -> dict[str, Any]:
    known = not np.isnan(cost) and not np.isnan(cost_after)
    pair = before, after
    models = [each.models[int(each.model[call])][1] for each in pair]
    kinds = [_name(each, "processing", call) for each in pair]
    inputs = [_input(each, call) for each in pair]
    outputs = [int(each.output_tokens[call]) + int(each.reasoning_tokens[call]) for each in pair]
    differences = (
        ("model", models), ("processing", kinds), ("input", inputs), ("output", outputs),
        ("cached input", [int(each.cache_read_tokens[call]) for each in pair]),
    )  # fmt: skip
    words = [name for name, (old, new) in differences if old != new]
    gone = bool(before.active[call]) and not bool(after.active[call])
    return {
        "call": call,
        "started_at": pd.Timestamp(int(before.started_at[call]), unit="us"),
        "feature": _name(before, "feature", call),
        "user_tier": _name(before, "user_tier", call),
        "change": "not made" if gone else ", ".join(words) or "cost",
        "model": models[0],
        "model_after": None if gone else models[1],
        "processing": kinds[0],
        "processing_after": None if gone else kinds[1],
        "input_tokens": inputs[0],
        "input_tokens_after": 0 if gone else inputs[1],
        "output_tokens": outputs[0],
        "output_tokens_after": 0 if gone else outputs[1],
        "cost": None if np.isnan(cost) else cost,
        "cost_after": None if np.isnan(cost_after) else cost_after,
        "saving": cost - cost_after if known else None,
    }


def _input(workload: Workload, call: int) -> int:
    names = (
        "uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "audio_input_tokens",
    )  # fmt: skip
    return sum(int(getattr(workload, name)[call]) for name in names)


def _name(workload: Workload, column: str, call: int) -> str | None:
    code = int(getattr(workload, column)[call])
    return workload.names[column][code] if code >= 0 else None
