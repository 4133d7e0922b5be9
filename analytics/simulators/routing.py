"""Model routing: calls whose prompt looks easy go to a cheaper model.

For every call that may be routed, with strong cost c_s (as logged) and weak cost c_w (the target's price for the same call, tokens scaled):

    bill(t) = sum over score >= t of c_s  +  sum over score < t of [(1 + retries) c_w + escalation c_s]  +  router for all of them

so that a weak answer pays while escalation < 1 - (1 + retries) c_w / c_s. Shares of calls are no shares of money: easy calls are short. What
routing does to quality is not in the log; show `analytics.simulators.routing_quality` of a labelled sample beside every saving.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.complexity import SOURCES, example_complexity, expected_work, logged_complexity
from analytics.simulators.embedders import DEFAULT, load_embedder
from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.rates_table import find_model
from analytics.simulators.situation import Situation
from analytics.simulators.workload import LLM_API, Workload
from warehouse.errors import InputError
from warehouse.pricing import NO_OUTPUT_OPERATIONS
from warehouse.rates import INPUT_COLUMNS

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@lever
@dataclass(frozen=True)
class ModelRouting:
    """Calls with a score below `threshold` go to the model `to`.

    to: provider/model, None: no routing. score: where the scores are from (`analytics.simulators.complexity`): "auto" takes the examples where
    both kinds are given and texts are kept, else logged labels, else expected work. escalation: share of weak calls that are asked of the strong
    model too; retries: share that is asked of the weak model twice. router_fee: USD per scored call; router_price: USD per 1,000,000 input
    tokens of it. tokenizer_ratio and output_ratio: the target's tokens per token of today's model. cache_kept: share of today's prompt cache
    reads that the target reads from its cache too. simple, hard: example prompts.
    """

    name: ClassVar[str] = "model-routing"
    title: ClassVar[str] = "Model routing"

    to: str | None = None
    threshold: float = 0.5
    calls: Selection = EVERY_CALL
    score: str = "auto"
    escalation: float = 0.05
    retries: float = 0.0
    router_fee: float = 0.0
    router_price: float = 0.0
    tokenizer_ratio: float = 1.0
    output_ratio: float = 1.0
    cache_kept: float = 1.0
    simple: tuple[str, ...] = ()
    hard: tuple[str, ...] = ()
    embedder: str = DEFAULT

    def __post_init__(self) -> None:
        if math.isnan(self.threshold):
            raise InputError("the threshold must be a number")
        if self.score not in SOURCES:
            raise InputError(f"calls are scored by {', '.join(SOURCES)}, not by {self.score!r}")
        checked(self.escalation, "the share of escalated calls", 0, 1)
        checked(self.retries, "the share of retried calls", 0, 1)
        checked(self.router_fee, "the router's fee per call", 0, 1)
        checked(self.router_price, "the router's price per million tokens", 0, 1000)
        checked(self.tokenizer_ratio, "the ratio of the tokenizers", 0.1, 10)
        checked(self.output_ratio, "the ratio of the output lengths", 0.05, 20)
        checked(self.cache_kept, "the share of cache reads that stay", 0, 1)

    @classmethod
    def neutral(cls) -> ModelRouting:
        """No target: nothing is routed."""
        return cls()

    def touches(self, situation: Situation) -> Mask:
        """Calls that have a score and are not on the target yet."""
        if self.to is None:
            return np.zeros(len(situation.workload), dtype=bool)
        return np.isfinite(self.scores(situation))

    def apply(self, situation: Situation) -> Situation:
        """Raises InputError when the target has no price, and when the scores asked for are nowhere."""
        if self.to is None:
            return situation
        scores = self.scores(situation)
        scored = np.isfinite(scores)
        priced, code = situation.with_model(self.to)
        weak = scored & (scores < self.threshold)
        after = priced.change(weak, model=code, **self.tokens_after(situation.workload))
        workload, before = after.workload, situation.workload
        if self.retries or self.escalation:
            second = self.retries * _known(workload.cost) + self.escalation * _known(before.cost)
            workload = workload.add_overhead("escalations and retries", LLM_API, second, weak)
        workload = workload.add_overhead("router", LLM_API, self._router(before), scored)
        return situation if workload.stamp == before.stamp else after.with_workload(workload)

    def assumptions(self) -> list[str]:
        """See `Lever`."""
        output = "as long answers as" if self.output_ratio == 1 else f"{self.output_ratio:g} times the output tokens of"
        cached = f"{self.cache_kept:.0%} of today's prompt cache reads stay cache reads"
        return [
            f"The target writes {output} today's model, and counts {self.tokenizer_ratio:g} input tokens for one of today's.",
            f"{self.escalation:.0%} of the routed calls are asked of today's model as well, {self.retries:.0%} of the target twice.",
            f"Caches belong to one model: {cached} on the target.",
            "What routing does to quality is not in the log: bound it with labelled samples.",
        ]

    def scores(self, situation: Situation) -> Floats:
        """The score of each call that may be routed; NaN for all others. Prepared once."""
        key = (self.name, "scores", situation.workload.stamp, self.calls, self.to, self._source(situation))
        examples = (self.simple, self.hard, self.embedder)
        return situation.memo.get((*key, examples), lambda: self._scores(situation))

    def _source(self, situation: Situation) -> str:
        if self.score != "auto":
            return self.score
        if self.simple and self.hard and situation.workload.heavy.texts().names:
            return "examples"
        is_logged = situation.memo.get(
            (self.name, "is logged"), lambda: bool(np.isfinite(situation.workload.heavy.numbers("complexity")).any())
        )
        return "logged" if is_logged else "work"

    def _scores(self, situation: Situation) -> Floats:
        workload, source = situation.workload, self._source(situation)
        may = self.calls.mask(workload) & workload.active & ~workload.is_cache_hit & workload.has_usage
        may &= ~_without_output(workload)
        target = {self.to, find_model(str(self.to))}
        same = [n for n, pair in enumerate(workload.models) if target & {pair, pair[1], f"{pair[0]}/{pair[1]}"}]
        may &= ~np.isin(workload.model, same)
        if source == "logged":
            found = logged_complexity(workload)
            if not np.isfinite(found).any():
                raise InputError("no call of this period carries the label complexity: score by work, or by examples")
        elif source == "examples":
            if not workload.heavy.texts().names:
                raise InputError("no texts of these calls are kept: score by work, or by the logged complexity")
            found = example_complexity(workload, self.simple, self.hard, load_embedder(self.embedder))
        else:
            found = expected_work(workload, may)
        return np.where(may & np.isfinite(found), found, np.nan)

    def tokens_after(self, workload: Workload) -> dict[str, Any]:
        """Token counts that change when calls go to the target, by column, one per call of the workload; empty: they stay."""
        new: dict[str, Any] = {}
        if self.tokenizer_ratio != 1:
            new |= {name: getattr(workload, name) * self.tokenizer_ratio for name in INPUT_COLUMNS}
        if self.output_ratio != 1:
            for name in ("output_tokens", "reasoning_tokens"):
                new[name] = getattr(workload, name) * self.output_ratio
        if self.cache_kept != 1:
            read = np.asarray(new.get("cache_read_tokens", workload.cache_read_tokens))
            kept = np.rint(read * self.cache_kept)
            plain = np.asarray(new.get("uncached_input_tokens", workload.uncached_input_tokens))
            new |= {"cache_read_tokens": kept, "uncached_input_tokens": plain + (read - kept)}
        return new

    def _router(self, workload: Workload) -> Floats:
        if not self.router_price:
            return np.broadcast_to(np.float64(self.router_fee), len(workload))
        return np.asarray(self.router_fee + workload.input_tokens * (self.router_price / 1_000_000))


def _without_output(workload: Workload) -> Mask:
    codes = [n for n, name in enumerate(workload.names["operation"]) if name in NO_OUTPUT_OPERATIONS]
    return np.isin(workload.operation, codes) | workload.is_embedding


def _known(cost: Floats) -> Floats:
    return np.where(np.isnan(cost), 0.0, cost)
