"""Prompt caching along the life of a prefix: what calls would cost at every life of the slider, summed at once.

Under one provider's rule a call costs what it would without any read, less what its reads take off. A part of a prefix is read at every life that
is at least its gap; so the parts are summed by the first life of the slider that reaches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.breakdown import Axes, Sums
from analytics.simulators.effect import Effect, features_chosen
from analytics.simulators.prompt_cache import CACHED_COLUMNS, HOUR, PreparedCache, PromptCache, prepared
from analytics.simulators.situation import Situation
from analytics.simulators.slider import dollars_per_token, kept_for_good
from analytics.simulators.workload import EMBEDDING, LLM_API

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Lives:
    """saved: USD [life, feature, day or group]; embedding: what of it is of the category "Embedding" [life, feature]; calls: that take part [feature]
    (weighted)."""

    saved: Sums
    embedding: Floats
    calls: Floats


def prompt_cache_effect(setting: PromptCache, situation: Situation, lives: tuple[float, ...]) -> Effect:
    """The effect of a prompt cache whose `ttl` is None or one of these lives of the slider (seconds), in rising order."""
    if setting.ttl is None:
        return Effect(setting, risk=0.0, is_today=True)
    others = replace(setting, ttl=None, calls=setting.calls.of_any_feature())
    found = kept_for_good(situation, "prompt-cache effects", (others, lives), lambda: _summed(others, situation, lives))
    features, place = features_chosen(situation, setting.calls.feature), lives.index(setting.ttl)
    saved, embedding = found.saved[place].of(features), float(found.embedding[place][features].sum())
    saved_in = {LLM_API: saved.total - embedding, EMBEDDING: embedding}
    return Effect(setting, saved, saved_in, changed=float(found.calls[features].sum()), risk=0.0)


def _summed(others: PromptCache, situation: Situation, lives: tuple[float, ...]) -> _Lives:
    axes, workload = Axes.of(situation), situation.workload
    found = prepared(others, situation)
    at = np.flatnonzero(found.touched)
    dollars = dollars_per_token(situation, at, tuple(CACHED_COLUMNS))
    embeds = workload.is_embedding[at]
    saved, embedding = axes.nothing(len(lives)), np.zeros((len(lives), axes.features))
    for is_embedding in (False, True):
        for rule in np.unique(found.rule[at]):
            mine = np.flatnonzero((found.rule[at] == rule) & (embeds == is_embedding))
            if not len(mine):
                continue
            part = _of_rule(found, situation, int(rule), at[mine], {k: d[mine] for k, d in dollars.items()}, lives)
            saved += part
            if is_embedding:
                embedding += part.by_feature
    return _Lives(saved, embedding, axes.by_feature(workload.weight[at], at))


def _of_rule(
    found: PreparedCache,
    situation: Situation,
    place: int,
    at: Places,
    dollars: dict[str, Floats],
    lives: Sequence[float],
) -> Sums:
    """What these calls of one rule save at each life [life, ...]."""
    axes, workload, rule = Axes.of(situation), situation.workload, found.rules[place]
    whole = (workload.input_tokens - workload.audio_input_tokens)[at]
    now = sum(dollars[kind] * getattr(workload, column)[at] for kind, column in CACHED_COLUMNS.items())
    ends, kinds = zip(*(rule.life(life) for life in lives), strict=True)
    full = found.full[at]
    off, stored = _reads(
        found, situation, place, at, dollars, ends, {k for k, end in zip(kinds, ends, strict=True) if end >= 0}
    )
    # What is saved before any read, by what a write is billed as.
    before = {kind: axes.sums(now - dollars["input"] * (whole - full) - dollars[kind] * full, at) for kind in off}
    uncached = axes.sums(now - dollars["input"] * whole, at)
    saved = []
    for step, (end, kind) in enumerate(zip(ends, kinds, strict=True)):
        if end < 0:
            saved.append(uncached)
            continue
        one = before[kind] + off[kind][step]
        saved.append(one if stored is None else one - stored[step])
    return Sums(np.stack([each.by_day for each in saved]), np.stack([each.by_group for each in saved]))


def _reads(
    found: PreparedCache,
    situation: Situation,
    place: int,
    at: Places,
    dollars: dict[str, Floats],
    ends: Sequence[int],
    kinds: set[str],
) -> tuple[dict[str, Sums], Sums | None]:
    """What reads take off at each life, by what a write is billed as; and what keeping the prefixes costs (None: nothing)."""
    axes, workload, rule = Axes.of(situation), situation.workload, found.rules[place]
    position = np.full(len(workload), -1, dtype=np.int32)
    position[at] = np.arange(len(at), dtype=np.int32)
    of_call = position[found.runs.call]
    runs = np.flatnonzero(of_call >= 0)
    where, calls, gaps = of_call[runs], found.runs.call[runs].astype(np.int64), found.runs.gap[runs]
    tokens = found.run_tokens[runs].astype(np.float64)
    # Lives grow along the slider, and so do their ends under a rule: the first that reaches a gap is the first not below it.
    step = np.searchsorted(np.maximum.accumulate(np.array(ends)), gaps, side="left")
    steps = len(ends) + 1
    read = dollars["cache_read"][where]
    off = {kind: axes.sums((dollars[kind][where] - read) * tokens, calls, step, steps).cumulated() for kind in kinds}
    if not rule.storage:
        return off, None
    price = rule.storage / 1e6 / HOUR
    money = tokens * workload.money[calls] * price
    reached = step < len(ends)
    used = axes.sums((money * gaps)[reached], calls[reached], step[reached], steps).cumulated()
    within = axes.sums(money, calls, step, steps).cumulated()
    beyond = within[-1]
    held = []
    for number, end in enumerate(ends):
        held.append(used[number] + (beyond - within[number]) * max(float(end), 0.0))
    return off, Sums(np.stack([each.by_day for each in held]), np.stack([each.by_group for each in held]))
