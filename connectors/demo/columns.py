"""Calls while they are being made: one numpy array per property, all of one length.

Codes are indices into the story's lists; -1 stands for NULL. Times are microseconds since the first day's midnight, money is ticks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]

SUCCESS, FAILURE = 0, 1
STANDARD, BATCH = 0, 1
STOP, LENGTH = 0, 1
CHAT, EMBEDDINGS, RERANK = 0, 1, 2

FIELDS: dict[str, tuple[type[np.generic], int]] = {
    "time": (np.int64, 0),
    "feature": (np.int8, -1),
    "tier": (np.int8, -1),
    "user": (np.int32, -1),
    "session": (np.int64, -1),
    "trace": (np.int64, -1),
    "model": (np.int8, 0),
    "operation": (np.int8, CHAT),
    "processing": (np.int8, STANDARD),
    "status": (np.int8, SUCCESS),
    "input": (np.int64, -1),  # all input tokens, those read from a prompt cache included
    "cached": (np.int64, 0),
    "output": (np.int64, -1),
    "complexity": (np.int8, -1),  # hundredths, as the gateway's router scores the prompt
    "content": (np.uint64, 0),  # hash of the whole input
    "question": (np.int64, -1),  # answer number, searches only
    "phrase": (np.int64, -1),  # text number, searches only
    "blocks": (np.int16, 0),  # whole prefix blocks that are hashed
    "max_tokens": (np.int32, -1),
    "finish": (np.int8, STOP),
    "stream": (np.bool_, 0),
    "hit": (np.bool_, 0),
    "converted": (np.int8, -1),
    "version": (np.int8, 1),
    "owned": (np.bool_, 1),  # somebody's name stands on it: project and team are set
    "job": (np.int8, -1),
}


def rows(count: int, **given: Any) -> Columns:
    """`count` calls with the properties given, all others at their default."""
    unknown = set(given) - set(FIELDS)
    if unknown:
        raise KeyError(f"no such property of a call: {sorted(unknown)}")
    return {
        name: np.full(count, default, dtype=kind)
        if name not in given
        else np.broadcast_to(np.asarray(given[name]), count).astype(kind)
        for name, (kind, default) in FIELDS.items()
    }


def join(parts: Iterable[Columns]) -> Columns:
    """All calls of all parts."""
    found = list(parts)
    return {name: np.concatenate([part[name] for part in found]) for name in FIELDS}


def take(calls: Columns, which: NDArray[Any]) -> Columns:
    """The calls at these places, or where a mask is true."""
    return {name: values[which] for name, values in calls.items()}


def size(calls: Columns) -> int:
    """How many calls."""
    return len(calls["time"])
