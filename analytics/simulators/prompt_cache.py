"""Prompt caching: what providers' prompt caches would read and write if prefixes stayed warm for so long.

Every call finds the longest prefix that an earlier call of the same provider and model sent within the life; that much is billed as cache read, the
rest of the cacheable prefix as a write, everything else as plain input. Rules by provider and date: `prompt_cache_rules`. Prices of reads
and writes are those of the price books.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.prefixes import Prefixes, prefixes_of, prompt_groups
from analytics.simulators.prompt_cache_gaps import NEVER, Runs, prefix_gaps
from analytics.simulators.prompt_cache_rules import CacheRule, cacheable, read_rules, rule_of_calls
from analytics.simulators.rates_table import CLASS_PLACE
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept
from analytics.simulators.workload import EMBEDDING, LLM_API

CACHED_COLUMNS = {
    "input": "uncached_input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write_5m": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
}
"""Token classes that the lever shifts tokens between, and their columns."""

HOUR = 3_600_000_000


@lever
@dataclass(frozen=True)
class PromptCache:
    """ttl: seconds that a prefix stays warm after its last use (inf: as long as the provider keeps it; 0: no prompt cache at all; None: as logged).

    most_tokens: only so much of each prompt is cached (the system prompt, say). minimum_tokens, block_tokens: instead of the provider's rule and of
    what is found from the calls. stable_share: for calls without fingerprints of their prefix, the part of their input that is taken to be the
    same in all calls of one feature, prompt and version. objects: caches that are paid for by the hour, where a provider sells them.
    """

    name: ClassVar[str] = "prompt-cache"
    title: ClassVar[str] = "Prompt caching"
    ttl: float | None = None
    calls: Selection = EVERY_CALL
    most_tokens: float = math.inf
    minimum_tokens: int | None = None
    block_tokens: float | None = None
    stable_share: float = 0.0
    objects: bool = False

    def __post_init__(self) -> None:
        if self.ttl is not None:
            checked(self.ttl, "the seconds that a prefix stays warm", 0, math.inf)
        checked(self.most_tokens, "the tokens that are cached at most", 0, math.inf)
        checked(self.stable_share, "the stable share of the input", 0, 0.95)
        if self.minimum_tokens is not None:
            checked(self.minimum_tokens, "the shortest prefix", 1, 10_000_000)
        if self.block_tokens is not None:
            checked(self.block_tokens, "the tokens of a block", 1, 10_000_000)

    @classmethod
    def neutral(cls) -> PromptCache:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return prepared(self, situation).touched

    def apply(self, situation: Situation) -> Situation:
        if self.ttl is None:
            return situation
        found = prepared(self, situation)
        if not found.touched.any():
            return situation
        after = situation.change(found.touched, **found.tokens(situation, self.ttl))
        stored = found.storage(self.ttl)
        if stored is None:
            return after
        workload = after.workload
        for category, chosen in ((LLM_API, ~workload.is_embedding), (EMBEDDING, workload.is_embedding)):
            workload = workload.add_overhead("cache storage", category, np.where(chosen, stored, 0.0))
        return after.with_workload(workload)

    def assumptions(self) -> list[str]:
        sentences = [
            "A prefix stays in the cache for its whole life after each use; no cache is full, and all calls of a provider and model share one.",
            "A prefix can be read from the moment on when the first call with it begins.",
            "What a read and a write cost is in the price books; a model without a price for reads stays as it is.",
            "Calls in a batch, and calls without fingerprints of their prompt's beginning, stay as they are.",
        ]
        if self.stable_share > 0:
            sentences[-1] = "Calls in a batch stay as they are."
            sentences.append(
                f"Calls without fingerprints share {self.stable_share:.0%} of their input with every other call of the same feature and prompt."
            )
        return sentences


@dataclass(frozen=True, eq=False)
class PreparedCache:
    """The calls that take part, and how long ago each part of their prefix was last sent.

    touched: mask. rule: index into `rules` per call. full: tokens of each call that the cache keeps. runs: with `tokens`, what of each run counts, in
    whole grains and from the minimum on.
    """

    touched: NDArray[np.bool_]
    rules: tuple[CacheRule, ...]
    rule: NDArray[np.int16]
    full: NDArray[np.int64]
    prefixes: Prefixes
    runs: Runs
    run_tokens: NDArray[np.int64]

    def read(self, ttl: float) -> NDArray[np.int64]:
        """Tokens of each call that are found in the cache."""
        lives = np.array([rule.life(ttl)[0] for rule in self.rules], dtype=np.int64)
        found = self.runs.gap <= lives[self.rule[self.runs.call]]
        calls, tokens = self.runs.call[found], self.run_tokens[found]
        return np.bincount(calls, weights=tokens, minlength=len(self.full)).astype(np.int64)

    def tokens(self, situation: Situation, ttl: float) -> dict[str, NDArray[np.int64]]:
        """Token counts by column, as `Workload.change` takes them."""
        workload = situation.workload
        read = self.read(ttl)
        written = {name: np.zeros(len(read), dtype=np.int64) for name in ("cache_write_5m", "cache_write_1h")}
        for place, rule in enumerate(self.rules):
            kind = rule.life(ttl)[1]
            if kind != "input":
                here = self.touched & (self.rule == place)
                written[kind][here] = (self.full - read)[here]
        plain = workload.input_tokens - workload.audio_input_tokens - read - sum(written.values())
        return {
            CACHED_COLUMNS[kind]: values for kind, values in {"input": plain, "cache_read": read, **written}.items()
        }

    def storage(self, ttl: float) -> NDArray[np.float64] | None:
        """USD per call of what is kept: each part from its use before on, for its life at most; None where no rule charges for it."""
        if ttl <= 0 or not any(rule.storage for rule in self.rules):
            return None
        lives = np.array([rule.life(ttl)[0] for rule in self.rules], dtype=np.int64)
        prices = np.array([rule.storage / 1e6 / HOUR for rule in self.rules])
        rule = self.rule[self.runs.call]
        cost = np.minimum(self.runs.gap, lives[rule]) * self.run_tokens * prices[rule]
        stored: NDArray[np.float64] = np.bincount(self.runs.call, weights=cost, minlength=len(self.full)).astype(
            np.float64
        )
        return stored


def prepared(setting: PromptCache, situation: Situation) -> PreparedCache:
    """What does not depend on the life, made once for each state of the calls and kept."""
    return kept(situation, PromptCache.name, replace(setting, ttl=None), lambda: _prepare(setting, situation))


def _prepare(setting: PromptCache, situation: Situation) -> PreparedCache:
    workload = situation.workload
    rules = read_rules()
    if setting.minimum_tokens is not None:
        rules = tuple(replace(rule, minimum_tokens=setting.minimum_tokens) for rule in rules)
    rule = rule_of_calls(rules, workload.models, workload.model, workload.started_at, objects=setting.objects)
    batch = workload.code("processing", "batch") if "batch" in workload.names["processing"] else -1
    able = (rule >= 0) & workload.active & workload.has_usage & ~workload.is_cache_hit & (workload.processing != batch)
    text_tokens = workload.input_tokens - workload.audio_input_tokens
    most = np.minimum(text_tokens, np.int64(min(setting.most_tokens, 2**31)))
    minimum, grain = (
        np.array([getattr(each, name) for each in rules])[rule] for name in ("minimum_tokens", "grain_tokens")
    )
    prefixes = prefixes_of(workload, setting.block_tokens)
    counts = np.where(able, prefixes.counts(most), 0)
    full = cacheable(np.floor(counts * prefixes.block_tokens.astype(np.float64)), minimum, grain)
    counts[full == 0] = 0
    runs = prefix_gaps(
        np.where(counts > 0, workload.model, -1).astype(np.int32), workload.started_at, prefixes.blocks, counts
    )
    size = prefixes.block_tokens[runs.call].astype(np.float64)
    ends, starts = (np.floor(blocks * size) for blocks in (runs.first + runs.count, runs.first))
    limits = minimum[runs.call], grain[runs.call]
    tokens = cacheable(ends, *limits) - cacheable(starts, *limits)
    if setting.stable_share > 0:
        share = able & (prefixes.block_tokens == 0) & ~_logged(situation)
        guessed = cacheable(np.minimum(most, np.floor(text_tokens * setting.stable_share)), minimum, grain)
        guessed[~share] = 0
        more = _same_prompt(situation, guessed)
        runs, tokens = _joined(runs, tokens, more, guessed)
        full = full + np.where(guessed > 0, guessed, 0)
    # All calls that use a prefix keep it warm; only the chosen ones, where a read costs less than plain input, are billed anew.
    touched = (full > 0) & setting.calls.mask(workload) & _reads_are_cheaper(situation, text_tokens)
    billed = touched[runs.call]
    runs = Runs(runs.call[billed], runs.gap[billed], runs.first[billed], runs.count[billed])
    return PreparedCache(touched, rules, rule, np.where(touched, full, 0), prefixes, runs, tokens[billed])


def _logged(situation: Situation) -> NDArray[np.bool_]:
    """Calls whose use of a prompt cache is in the log: no guess is better."""
    workload = situation.workload
    return (workload.cache_read_tokens + workload.cache_write_5m_tokens + workload.cache_write_1h_tokens) > 0


def _same_prompt(situation: Situation, tokens: NDArray[np.int64]) -> Runs:
    """One run for each call with a guessed prefix: since the call before of the same model and prompt."""
    workload = situation.workload
    group = prompt_groups(workload).astype(np.int64) * len(workload.models) + workload.model
    tokens[group < 0] = 0
    at = np.flatnonzero(tokens > 0)
    at = at[np.argsort(group[at], kind="stable")]
    gap = np.full(len(at), NEVER, dtype=np.int64)
    same = group[at][1:] == group[at][:-1]
    gap[1:][same] = np.diff(workload.started_at[at])[same]
    return Runs(at.astype(np.int32), gap, np.zeros(len(at), dtype=np.int32), np.ones(len(at), dtype=np.int32))


def _joined(
    runs: Runs, tokens: NDArray[np.int64], more: Runs, guessed: NDArray[np.int64]
) -> tuple[Runs, NDArray[np.int64]]:
    names = ("call", "gap", "first", "count")
    call, gap, first, count = (np.concatenate([getattr(runs, name), getattr(more, name)]) for name in names)
    return Runs(call, gap, first, count), np.concatenate([tokens, guessed[more.call]])


def _reads_are_cheaper(situation: Situation, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    workload = situation.workload
    rates = situation.rates.of(workload.models, workload.names["processing"])
    if not len(rates.units):
        return np.zeros(len(workload), dtype=bool)
    row = rates.rows(workload.model, workload.processing, workload.started_at, tokens + workload.audio_input_tokens)
    cheaper = rates.units[:, CLASS_PLACE["cache_read"]] < rates.units[:, CLASS_PLACE["input"]]
    return (row >= 0) & cheaper[row]
