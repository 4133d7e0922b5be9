"""Cost along the life of a prompt cache: exact, and a look-up once the gaps are sorted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.prompt_cache import CACHED_COLUMNS, PreparedCache, PromptCache, prepared
from analytics.simulators.prompt_cache_rules import CacheRule
from analytics.simulators.situation import Situation
from analytics.simulators.slider import Slider, dollars_per_token, kept

_HOUR = 3_600_000_000


def prompt_cache_slider(setting: PromptCache, situation: Situation) -> Slider:
    """Cost of the window along `ttl` (seconds), all else as in `setting`: the same figures as `PromptCache.apply` for every value.

    changed: the calls (weighted) that take part, whatever the life.
    """
    neutral = replace(setting, ttl=None)
    return kept(situation, "prompt-cache slider", neutral, lambda: _slider(setting, situation))


@dataclass(frozen=True, eq=False)
class _OfRule:
    """The calls under one rule: cost of their input without any read, by what a write is billed as, and what reads take off."""

    rule: CacheRule
    gaps: NDArray[np.int64]
    nothing_read: dict[str, float]
    off: dict[str, NDArray[np.float64]]
    uncached: float
    tokens: NDArray[np.float64]
    token_time: NDArray[np.float64]

    def cost(self, ttl: float) -> float:
        life, kind = self.rule.life(ttl)
        if life < 0:
            return self.uncached
        place = int(np.searchsorted(self.gaps, life, side="right"))
        stored = 0.0
        if self.rule.storage:
            beyond = self.tokens[-1] - self.tokens[place]
            stored = (self.token_time[place] + beyond * life) * self.rule.storage / 1e6 / _HOUR
        return self.nothing_read[kind] - float(self.off[kind][place]) + stored


def _slider(setting: PromptCache, situation: Situation) -> Slider:
    workload = situation.workload
    found = prepared(setting, situation)
    at = np.flatnonzero(found.touched)
    dollars = dollars_per_token(situation, at, tuple(CACHED_COLUMNS))
    now = sum(float((dollars[kind] * getattr(workload, column)[at]).sum()) for kind, column in CACHED_COLUMNS.items())
    parts = [_of_rule(found, situation, at, dollars, place) for place in np.unique(found.rule[at])]
    calls = float(workload.weight[at].sum())
    return Slider(
        situation.total(),
        situation.window.scale_to_month,
        lambda ttl: now - sum(part.cost(ttl) for part in parts),
        lambda _ttl: calls,
    )


def _of_rule(
    found: PreparedCache,
    situation: Situation,
    at: NDArray[np.int64],
    dollars: dict[str, NDArray[np.float64]],
    place: int,
) -> _OfRule:
    workload, rule = situation.workload, found.rules[place]
    of_rule = found.rule[at] == place
    position = np.full(len(workload), -1, dtype=np.int64)
    position[at] = np.arange(len(at))
    runs = np.flatnonzero(found.rule[found.runs.call] == place)
    runs = runs[np.argsort(found.runs.gap[runs], kind="stable")]
    calls, gaps = found.runs.call[runs], found.runs.gap[runs]
    where, tokens = position[calls], found.run_tokens[runs].astype(np.float64)
    whole = (workload.input_tokens - workload.audio_input_tokens)[at]
    full = found.full[at]
    price = dollars["input"]
    uncached = float((price * whole)[of_rule].sum())
    kinds = sorted({"input", *rule.writes})
    nothing = {kind: float((price * (whole - full) + dollars[kind] * full)[of_rule].sum()) for kind in kinds}
    off = {kind: _sums((dollars[kind] - dollars["cache_read"])[where] * tokens) for kind in kinds}
    money = tokens * workload.money[calls] if rule.storage else tokens[:0]
    known = gaps[: len(money)].astype(np.float64)
    return _OfRule(rule, gaps, nothing, off, uncached, _sums(money), _sums(money * known))


def _sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])
