"""A semantic cache replayed over a file of prompts: `percall simulate semantic-cache --input FILE`."""

from __future__ import annotations

import math
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
    table = read_labelled(path, ("text",))
    keep = table["text"].str.strip() != ""
    clock = None
    if "time" in table.columns:
        clock = _microseconds(table["time"])
        keep &= clock.notna()
    rejected = int((~keep).sum())
    if not keep.any():
        raise InputError("no row of this file has a text and a time that can be read", file=str(path))
    table = table[keep]
    times = np.arange(len(table)) if clock is None else clock[keep].to_numpy(dtype=np.int64)
    order = np.argsort(times, kind="stable")
    table, times = table.iloc[order], times[order]
    life = FOREVER if ttl is None or math.isinf(ttl) else int(ttl if clock is None else ttl * 1_000_000)
    found = _found(table, times, threshold, normalize, life, capacity, embedder)
    return {
        "calls": len(table),
        **found,
        "rejected": rejected,
        "settings": {
            "threshold": threshold,
            "normalize": normalize,
            "ttl": ttl,
            "ttl_unit": "calls" if clock is None else "seconds",
            "capacity": capacity,
            "embedder": embedder,
        },
    }


def _found(
    table: pd.DataFrame,
    times: np.ndarray,
    threshold: float,
    normalize: str,
    life: int,
    capacity: int | None,
    embedder: str,
) -> dict[str, Any]:
    model = load_embedder(embedder)
    texts = normalised_texts(table["text"].tolist(), normalize)
    number: dict[str, int] = {}
    codes = np.array([number.setdefault(text, len(number)) for text in texts], dtype=np.int64)
    # A text of which nothing is left is like no other, nor like itself.
    places = np.flatnonzero(np.array([bool(text) for text in texts]))
    scope = pd.factorize(table["scope"])[0] if "scope" in table.columns else np.zeros(len(table), dtype=np.int64)
    floor = min(threshold, FLOOR)
    exact = threshold >= 1
    neighbours = no_neighbours(len(number), floor) if exact else find_neighbours(list(number), model, floor)
    queries = Queries(codes[places], scope[places].astype(np.int64), times[places])
    cache = CacheReplay(queries, graph_of(queries, neighbours), ttl=life, capacity=capacity)
    source = cache.at(2.0 if exact else threshold)
    hit = source >= 0
    hits, answers = places[hit], places[source[hit]]
    labels = table["answer_id"].str.strip().to_numpy(dtype=object) if "answer_id" in table.columns else None
    judged = np.zeros(len(hits), dtype=bool) if labels is None else (labels[hits] != "") & (labels[answers] != "")
    false = int((judged & (labels[hits] != labels[answers])).sum()) if labels is not None else None
    count = int(judged.sum())
    labelled = labels is not None and bool((labels != "").any())
    interval = wilson(false, count) if labelled and false is not None else None
    return {
        "hits": len(hits),
        "hit_rate": len(hits) / len(table),
        "exact_hits": int((codes[hits] == codes[answers]).sum()),
        "stored": len(table) - len(hits),
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
