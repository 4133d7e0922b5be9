"""A semantic cache along its threshold: the calls that it answers at each threshold, summed. Prices of look-ups are factors of sums."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.breakdown import Axes, Sums
from analytics.simulators.effect import Effect
from analytics.simulators.semantic_cache import CacheHits, SemanticCache
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.vector_database import CATEGORY as VECTOR_DATABASE
from analytics.simulators.workload import EMBEDDING, LLM_API

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Answered:
    """saved: USD [threshold, feature, day or group] of the calls that are answered; calls: how many (weighted) [threshold, feature]; hits: what is
    known of them.

    asked: money of the calls that ask (a fee of 1 USD); embedded: millions of tokens x money of their texts; notes: what is left out.
    """

    saved: Sums
    calls: Floats
    hits: tuple[CacheHits, ...]
    asked: Sums
    embedded: Sums
    notes: tuple[str, ...]


def semantic_cache_effect(setting: SemanticCache, situation: Situation, thresholds: tuple[float, ...]) -> Effect:
    """The effect of a cache whose `threshold` is one of these of the slider. Raises InputError when no call carries what the matching needs."""
    if not setting.capacity:
        return Effect(setting, is_today=True)
    found, place = _answered(setting, situation, thresholds), thresholds.index(setting.threshold)
    embedding, look_ups = found.embedded * setting.embedding_price, found.asked * setting.lookup_fee
    served, hits = found.saved[place], found.hits[place]
    return Effect(
        setting,
        served - embedding - look_ups,
        {LLM_API: served.total, EMBEDDING: -embedding.total, VECTOR_DATABASE: -look_ups.total},
        gone=found.calls[place],
        changed=float(hits.hits),
        risk=hits.row()["false_hit_rate"],
        notes=found.notes,
    )


def hits_at(setting: SemanticCache, situation: Situation, thresholds: tuple[float, ...]) -> CacheHits:
    """What is known of the hits of this setting, without their money."""
    return _answered(setting, situation, thresholds).hits[thresholds.index(setting.threshold)]


def _answered(setting: SemanticCache, situation: Situation, thresholds: tuple[float, ...]) -> _Answered:
    others = replace(setting, threshold=1.0, embedding_price=0.0, lookup_fee=0.0)
    return kept_for_good(
        situation, "semantic-cache effects", (others, thresholds), lambda: _summed(others, situation, thresholds)
    )


def _summed(others: SemanticCache, situation: Situation, thresholds: tuple[float, ...]) -> _Answered:
    axes, workload = Axes.of(situation), situation.workload
    asked, tokens, notes = others.asked(situation)
    spent = np.nan_to_num(workload.cost) * workload.money
    saved: list[Sums] = []
    calls: list[Floats] = []
    hits = []
    before: NDArray[np.int64] | None = None
    for threshold in thresholds:
        cache = replace(others, threshold=threshold)
        at = cache.served(situation)
        # Where no text is kept, all thresholds find the same.
        is_same = before is not None and np.array_equal(at, before)
        saved.append(saved[-1] if is_same else axes.sums(spent[at], at))
        calls.append(calls[-1] if is_same else axes.by_feature(workload.weight[at], at))
        hits.append(cache.counted(situation))
        before = at
    return _Answered(
        Sums(np.stack([each.by_day for each in saved]), np.stack([each.by_group for each in saved])),
        np.stack(calls),
        tuple(hits),
        axes.sums(workload.money[asked], asked),
        axes.sums(tokens * workload.money[asked], asked),
        notes,
    )
