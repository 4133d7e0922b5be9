"""Whether the replay of a prompt cache can be believed, which models it leaves out, and which prefixes are worth marking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.prompt_cache import PreparedCache, PromptCache, prepared
from analytics.simulators.prompt_cache_formulas import break_even_reads
from analytics.simulators.prompt_cache_rules import cacheable, rule_of_calls
from analytics.simulators.rates_table import CLASS_PLACE
from analytics.simulators.situation import Situation
from analytics.simulators.slider import dollars_per_token
from analytics.simulators.to_the_cent import cents

CALIBRATED_WITHIN = 0.05
"""Largest error of the replayed cache reads against the logged ones that still counts as calibrated."""


@dataclass(frozen=True)
class Calibration:
    """Cached tokens that the log has and that the replay finds, over the same calls; None where the log has none.

    error: (replayed - logged) / logged.
    """

    logged: int
    replayed: int
    calls: int

    @property
    def error(self) -> float | None:
        """Relative error of the replay; None where nothing is logged."""
        return (self.replayed - self.logged) / self.logged if self.logged else None

    @property
    def is_calibrated(self) -> bool:
        """Whether the replay is within `CALIBRATED_WITHIN` of the log."""
        return self.error is not None and abs(self.error) <= CALIBRATED_WITHIN

    @property
    def words(self) -> str:
        """The sentence that a page shows."""
        if self.error is None:
            return "Not calibrated: no call with a known prefix read from a prompt cache in this period."
        if self.is_calibrated:
            within = f"Calibrated within {abs(self.error):.1%}"
            return f"{within}: the replay finds {self.replayed:,} of the {self.logged:,} tokens that were read from caches."
        return f"Not calibrated: the replay finds {self.replayed:,} tokens where {self.logged:,} were read from caches ({self.error:+.0%})."


def calibration(setting: PromptCache, situation: Situation, ttl: float | None = None) -> Calibration:
    """The replay with the providers' shortest lives (or `ttl` seconds) against the cache reads in the log.

    Compared are the calls of each model from its first to its last logged read: before, its cache may not have been in use. Use it on
    a situation that no lever changed.
    """
    workload = situation.workload
    found = prepared(replace(setting, calls=PromptCache.neutral().calls), situation)
    at = np.flatnonzero(found.touched)
    logged = workload.cache_read_tokens[at]
    compared = np.zeros(len(at), dtype=bool)
    for model in np.unique(workload.model[at[logged > 0]]):
        mine = workload.model[at] == model
        times = workload.started_at[at[mine & (logged > 0)]]
        compared |= mine & (workload.started_at[at] >= times[0]) & (workload.started_at[at] <= times[-1])
    replayed = found.read(1e-6 if ttl is None else ttl)[at]
    return Calibration(int(logged[compared].sum()), int(replayed[compared].sum()), int(compared.sum()))


def cache_models(setting: PromptCache, situation: Situation) -> pd.DataFrame:
    """One row per model that was called, the dearest first: what its prompt cache is like, and whether the lever acts on it.

    Columns: provider, model, calls, cost (Decimal, USD per month), scheme, minimum_tokens, shortest_life, longest_life (seconds), write_times and
    read_times (price of a write with the shortest life and of a read, in prices of plain input), break_even_reads (reads per write from which it
    pays), acting_calls (weighted), left_out (a sentence, or None), source.
    """
    workload = situation.workload
    found = prepared(setting, situation)
    rules = rule_of_calls(found.rules, workload.models, workload.model, workload.started_at, objects=setting.objects)
    spent = workload.spent()
    rows: list[dict[str, Any]] = []
    for code, (provider, model) in enumerate(workload.models):
        mine = (workload.model == code) & workload.active
        if not mine.any():
            continue
        last = int(np.flatnonzero(mine)[-1])
        rule = found.rules[rules[last]] if rules[last] >= 0 else None
        units = _units(situation, last)
        read = units["cache_read"] / units["input"] if units["input"] > 0 else None
        write = units[rule.writes[0]] / units["input"] if rule and units["input"] > 0 else None
        acting = float(workload.weight[mine & found.touched].sum())
        left_out = None
        if rule is None:
            left_out = "no rule says how this model's prompt cache works"
        elif read is None or not read < 1:
            left_out = "the price books have no lower price for its cache reads"
        elif not acting:
            left_out = f"no call has a known prefix of at least {rule.minimum_tokens:,} tokens"
        rows.append(
            {
                "provider": provider,
                "model": model,
                "calls": float(workload.weight[mine].sum()),
                "cost": cents(float(spent[mine].sum()) * situation.window.scale_to_month),
                "scheme": rule.scheme if rule else None,
                "minimum_tokens": rule.minimum_tokens if rule else None,
                "shortest_life": rule.lives[0] if rule else None,
                "longest_life": rule.lives[-1] if rule else None,
                "write_times": write,
                "read_times": read,
                "break_even_reads": break_even_reads(write, read) if write is not None and read is not None else None,
                "acting_calls": acting,
                "left_out": left_out,
                "source": rule.source if rule else None,
            }
        )
    rows.sort(key=lambda row: -row["cost"])
    columns = (
        "provider", "model", "calls", "cost", "scheme", "minimum_tokens", "shortest_life", "longest_life", "write_times", "read_times",
        "break_even_reads", "acting_calls", "left_out", "source",
    )  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns), dtype=object)


def _units(situation: Situation, call: int) -> dict[str, float]:
    workload = situation.workload
    rates = situation.rates.of(workload.models, workload.names["processing"])
    at = np.array([call])
    row = rates.rows(workload.model[at], workload.processing[at], workload.started_at[at], workload.input_tokens[at])[0]
    kinds = ("input", "cache_read", "cache_write_5m", "cache_write_1h")
    if row < 0 or not len(rates.units):
        return dict.fromkeys(kinds, 0.0)
    return {kind: float(np.nan_to_num(rates.units[row, CLASS_PLACE[kind]])) for kind in kinds}


def prefixes_to_mark(setting: PromptCache, situation: Situation, limit: int = 20) -> pd.DataFrame:
    """The prefixes that are worth marking, the one that saves most first, at the setting's `ttl` (None: the shortest lives).

    A prefix is the beginning of a prompt up to where the prompts of several calls part. Each row is what caching up to there alone would
    save: rows of one model must not be added when one prefix begins with another.

    Columns: provider, model, feature (of most calls), prompt_name, prefix (hexadecimal, its hash in the log), tokens, calls, reads, writes
    (weighted), hit_share, saving (Decimal, USD per month, simulated; against sending the prefix as plain input), example (place of a call).
    """
    found = prepared(setting, situation)
    ttl = 1e-6 if setting.ttl is None else setting.ttl
    rows = []
    for call, count in _candidates(found, limit * 4):
        row = _mark(found, situation, call, count, ttl)
        if row["saving"] > 0:
            rows.append(row)
    rows.sort(key=lambda row: -row["saving"])
    columns = (
        "provider", "model", "feature", "prompt_name", "prefix", "tokens", "calls", "reads", "writes", "hit_share", "saving", "example",
    )  # fmt: skip
    return pd.DataFrame(rows[:limit], columns=list(columns), dtype=object)


def _candidates(found: PreparedCache, limit: int) -> list[tuple[int, int]]:
    """Prefixes as (a call, number of blocks): the ends of runs, those first that carry most tokens of all calls."""
    runs = found.runs
    known = found.prefixes.blocks.lengths[runs.call] > 0
    call, last = runs.call[known], runs.first[known] + runs.count[known]
    if not len(call):
        return []
    blocks = found.prefixes.blocks
    ends = blocks.values[blocks.offsets[call] + last - 1]
    hashes, example, uses = np.unique(ends, return_index=True, return_counts=True)
    tokens = last[example] * found.prefixes.block_tokens[call[example]]
    best = np.argsort(-(tokens * uses), kind="stable")[: min(limit, len(hashes))]
    return [(int(call[example[place]]), int(last[example[place]])) for place in best]


def _mark(found: PreparedCache, situation: Situation, call: int, count: int, ttl: float) -> dict[str, Any]:
    workload, blocks = situation.workload, found.prefixes.blocks
    model, rule = int(workload.model[call]), found.rules[int(found.rule[call])]
    value = blocks.values[blocks.offsets[call] + count - 1]
    able = np.flatnonzero(found.touched & (workload.model == model) & (blocks.lengths >= count))
    at = able[blocks.values[blocks.offsets[able] + count - 1] == value]
    life, kind = rule.life(ttl)
    gaps = np.diff(workload.started_at[at], prepend=np.iinfo(np.int64).min // 2)
    hit = gaps <= life
    hit[0] = False
    tokens = int(
        cacheable(np.floor(count * float(found.prefixes.block_tokens[call])), rule.minimum_tokens, rule.grain_tokens)
    )
    dollars = dollars_per_token(situation, at, ("input", "cache_read", kind))
    saved = np.where(hit, dollars["input"] - dollars["cache_read"], dollars["input"] - dollars[kind]).sum() * tokens
    weight = workload.weight[at]
    prompt = workload.heavy.coded("prompt_name")
    provider, name = workload.models[model]
    return {
        "provider": provider,
        "model": name,
        "feature": _most(workload.feature[at], workload.names["feature"]),
        "prompt_name": _most(prompt.codes[at], prompt.names),
        "prefix": f"{int(value):016x}",
        "tokens": tokens,
        "calls": float(weight.sum()),
        "reads": float(weight[hit].sum()),
        "writes": float(weight[~hit].sum()),
        "hit_share": float(weight[hit].sum() / weight.sum()),
        "saving": cents(float(saved) * situation.window.scale_to_month),
        "example": call,
    }


def _most(codes: NDArray[Any], names: tuple[str, ...]) -> str | None:
    counts = np.bincount(codes.astype(np.int64) + 1, minlength=len(names) + 1)
    place = int(counts.argmax())
    return names[place - 1] if place else None
