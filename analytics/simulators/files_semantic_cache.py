"""A semantic cache replayed over a file of prompts: `percall simulate semantic-cache --input FILE`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analytics.simulators.cache_replay import FOREVER, CacheReplay, Queries, graph_of
from analytics.simulators.embedders import DEFAULT, load_embedder
from analytics.simulators.labelled_file import read_labelled
from analytics.simulators.lever import checked
from analytics.simulators.near_duplicates import FLOOR, find_neighbours, no_neighbours
from analytics.simulators.text_normalisation import checked_step, normalised_texts
from analytics.simulators.wilson import wilson
from warehouse.errors import InputError

THRESHOLDS = (0.70, 0.75, 0.80, 0.85, 0.88, 0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0)
"""Points of a curve."""


def simulate_semantic_cache_file(
    path: Path | str,
    threshold: float = 0.92,
    normalize: str = "punctuation",
    ttl: float | None = None,
    capacity: int | None = None,
    *,
    embedder: str = DEFAULT,
) -> dict[str, Any]:
    """What a semantic cache would have answered of the prompts in the file, one entry per call.

    Columns of the file: text; answer_id (calls that may share an answer have the same; optional); time (ISO 8601 or seconds; optional); scope
    (optional: answers never cross it). With times, calls are replayed in their order and `ttl` is in seconds; without, the order of the file is the
    order of the calls and `ttl` counts calls. An answer serves calls up to and including `ttl` after it was stored; hits do not prolong it. With
    a `capacity` the least recently used answer goes. Only misses are stored. threshold: 0.5 to 1; 1 means equal texts alone.

    Result, ready for JSON: calls, hits, hit_rate, exact_hits (equal text after normalising), stored (misses), false_hits (both answers are
    labelled and differ), judged_hits, false_hit_rate (of judged hits), false_hit_interval (95 %, Wilson), rejected (rows without text or with a
    time that cannot be read), and the settings. Shares are between 0 and 1; None where nothing is labelled.

    Raises InputError for a setting out of range and a file that cannot be used.
    """
    checked(threshold, "the threshold", 0.5, 1)
    checked_step(normalize)
    if ttl is not None and not (ttl > 0):
        raise InputError(f"the life of an answer (ttl) must be more than 0, not {ttl:g}")
    if capacity is not None and capacity < 0:
        raise InputError(f"the capacity must not be negative, not {capacity}")
    calls = _read(path)
    life = calls.life(ttl)
    prepared = _Prepared(calls, normalize, embedder, threshold)
    return {
        "calls": len(calls),
        **prepared.found(threshold, life, capacity),
        "rejected": calls.rejected,
        "settings": {
            "threshold": threshold,
            "normalize": normalize,
            "ttl": ttl,
            "ttl_unit": "seconds" if calls.has_times else "calls",
            "capacity": capacity,
            "embedder": embedder,
        },
    }


def semantic_cache_file_curve(
    path: Path | str,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    normalize: str = "punctuation",
    ttl: float | None = None,
    capacity: int | None = None,
    embedder: str = DEFAULT,
) -> pd.DataFrame:
    """What a semantic cache would have answered of the prompts in the file at each threshold, rising: texts are compared once for all.

    Columns: threshold, calls, hits, hit_rate, judged_hits, false_hits, false_hit_rate (of judged hits; None without), false_low and false_high (95 %,
    Wilson). File and settings as in `simulate_semantic_cache_file`, whose figures these are. Raises InputError for thresholds outside 0.5 to 1.
    """
    for each in thresholds:
        checked(each, "the threshold", 0.5, 1)
    checked_step(normalize)
    calls = _read(path)
    prepared = _Prepared(calls, normalize, embedder, min(thresholds))
    rows = []
    for each in sorted(thresholds):
        found = prepared.found(each, calls.life(ttl), capacity)
        low, high = found["false_hit_interval"] or (None, None)
        names = ("hits", "hit_rate", "judged_hits", "false_hits", "false_hit_rate")
        row = {"threshold": each, "calls": len(calls), **{name: found[name] for name in names}}
        rows.append(row | {"false_low": low, "false_high": high})
    return pd.DataFrame(rows, dtype=object)


@dataclass(frozen=True, eq=False)
class _Calls:
    """The calls of a file in the order of their times. rejected: rows without text or with a time that cannot be read."""

    table: pd.DataFrame
    times: np.ndarray
    has_times: bool
    rejected: int

    def __len__(self) -> int:
        return len(self.table)

    def life(self, ttl: float | None) -> int:
        """A life in the unit of the times."""
        if ttl is None or math.isinf(ttl):
            return FOREVER
        return int(ttl * 1_000_000 if self.has_times else ttl)


def _read(path: Path | str) -> _Calls:
    table = read_labelled(path, ("text",))
    keep = table["text"].str.strip() != ""
    clock = None
    if "time" in table.columns:
        clock = _microseconds(table["time"])
        keep &= clock.notna()
    if not keep.any():
        raise InputError("no row of this file has a text and a time that can be read", file=str(path))
    rejected = int((~keep).sum())
    table = table[keep]
    times = np.arange(len(table)) if clock is None else clock[keep].to_numpy(dtype=np.int64)
    order = np.argsort(times, kind="stable")
    return _Calls(table.iloc[order], times[order], clock is not None, rejected)


class _Prepared:
    """The calls' texts, compared with each other from a lowest threshold on."""

    def __init__(self, calls: _Calls, normalize: str, embedder: str, lowest: float) -> None:
        table = calls.table
        texts = normalised_texts(table["text"].tolist(), normalize)
        number: dict[str, int] = {}
        self._codes = np.array([number.setdefault(text, len(number)) for text in texts], dtype=np.int64)
        # A text of which nothing is left is like no other, nor like itself.
        self._places = np.flatnonzero(np.array([bool(text) for text in texts]))
        scope = pd.factorize(table["scope"])[0] if "scope" in table.columns else np.zeros(len(table), dtype=np.int64)
        floor = min(lowest, FLOOR)
        neighbours = (
            no_neighbours(len(number), floor)
            if lowest >= 1
            else find_neighbours(list(number), load_embedder(embedder), floor)
        )
        places = self._places
        self._queries = Queries(self._codes[places], scope[places].astype(np.int64), calls.times[places])
        self._graph = graph_of(self._queries, neighbours)
        self._size = len(table)
        self._labels = table["answer_id"].str.strip().to_numpy(dtype=object) if "answer_id" in table.columns else None

    def found(self, threshold: float, life: int, capacity: int | None) -> dict[str, Any]:
        """The figures of one threshold."""
        cache = CacheReplay(self._queries, self._graph, ttl=life, capacity=capacity)
        source = cache.at(2.0 if threshold >= 1 else threshold)
        hit = source >= 0
        hits, answers = self._places[hit], self._places[source[hit]]
        labels = self._labels
        judged = np.zeros(len(hits), dtype=bool) if labels is None else (labels[hits] != "") & (labels[answers] != "")
        false = int((judged & (labels[hits] != labels[answers])).sum()) if labels is not None else None
        count = int(judged.sum())
        labelled = labels is not None and bool((labels != "").any())
        interval = wilson(false, count) if labelled and false is not None else None
        return {
            "hits": len(hits),
            "hit_rate": len(hits) / self._size,
            "exact_hits": int((self._codes[hits] == self._codes[answers]).sum()),
            "stored": self._size - len(hits),
            "false_hits": false if labelled else None,
            "judged_hits": count,
            "false_hit_rate": false / count if labelled and count and false is not None else None,
            "false_hit_interval": None if interval is None else list(interval),
        }


def _microseconds(column: pd.Series) -> pd.Series:
    """Times as microseconds; missing where they cannot be read. Numbers are seconds since any moment."""
    seconds = pd.to_numeric(column, errors="coerce")
    if seconds.notna().any():
        return (seconds.where(seconds.abs() < 1e12) * 1_000_000).round().astype("Int64")
    moments = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    micro = moments.dt.as_unit("us")
    return micro.astype("int64").astype("Int64").where(moments.notna())
