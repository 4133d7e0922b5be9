"""Retrieval: smaller and fewer chunks in the prompt, another embedding model, and not embedding again what did not change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.rates_table import CLASS_PLACE
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from analytics.simulators.window import EPOCH
from analytics.simulators.workload import EMBEDDING, LLM_API, Workload
from warehouse.errors import InputError


@lever
@dataclass(frozen=True)
class Rag:
    """Chunks of chunk_tokens, top_k of them in each prompt; `..._today`: what they are now. calls: which calls carry retrieved chunks.

    overlap: part of a chunk that repeats the one before. embedding_model: what embeds from now on (None: as today). only_changed: an input that the
    same model embedded before, within the period, is not embedded again. rerank_cost: USD that a reranker adds to each of the calls. embeddings:
    which of the embedding calls the last three are for. untraced: what the bill charges for embedding and no call explains (a notebook beside the
    gateway) goes to `embedding_model` too, at its price relative to that of the billed model.
    """

    name: ClassVar[str] = "rag"
    title: ClassVar[str] = "Retrieval"
    chunk_tokens: float = 512.0
    top_k: int = 5
    overlap: float = 0.125
    chunk_tokens_today: float = 512.0
    top_k_today: int = 5
    overlap_today: float = 0.125
    calls: Selection = EVERY_CALL
    embedding_model: str | None = None
    only_changed: bool = False
    rerank_cost: float = 0.0
    embeddings: Selection = EVERY_CALL
    untraced: bool = False

    def __post_init__(self) -> None:
        for chunk, number, overlap in (
            (self.chunk_tokens, self.top_k, self.overlap),
            (self.chunk_tokens_today, self.top_k_today, self.overlap_today),
        ):
            checked(chunk, "the tokens of a chunk", 1, 1_000_000)
            checked(number, "the number of chunks in a prompt", 0, 1_000)
            checked(overlap, "the overlap of chunks", 0, 0.9)
        checked(self.rerank_cost, "what a reranker costs per call", 0, 1_000)
        if self.top_k_today == 0 and self.top_k:
            raise InputError("prompts without chunks today cannot be replayed with chunks: say how many they carry now")
        if (self.context_ratio != 1 or self.rerank_cost) and self.calls == EVERY_CALL:
            raise InputError("choose the calls that carry retrieved chunks, by feature for instance")
        if self.untraced and self.embedding_model is None:
            raise InputError("say which embedding model takes over what no call explains")

    @classmethod
    def neutral(cls) -> Rag:
        return cls()

    @property
    def context_today(self) -> float:
        """Tokens of the chunks in a prompt now."""
        return self.chunk_tokens_today * self.top_k_today

    @property
    def context(self) -> float:
        """Tokens of the chunks in a prompt with this lever."""
        return self.chunk_tokens * self.top_k

    @property
    def context_ratio(self) -> float:
        """The new context relative to today's."""
        return self.context / self.context_today if self.context_today else 1.0

    @property
    def embedding_ratio(self) -> float:
        """Embedded tokens relative to today's: each text token is embedded 1 / (1 - overlap) times."""
        return (1 - self.overlap_today) / (1 - self.overlap)

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        workload = situation.workload
        touched = np.zeros(len(workload), dtype=bool)
        if self.context_ratio != 1 or self.rerank_cost:
            touched |= self.carry_chunks(workload)
        if self.embedding_ratio != 1 or self.embedding_model is not None or self.only_changed:
            touched |= self.embed(workload)
        return touched

    def carry_chunks(self, workload: Workload) -> NDArray[np.bool_]:
        """Mask of the chosen calls, as far as they are no embedding calls."""
        return self.calls.mask(workload) & workload.active & ~workload.is_embedding

    def embed(self, workload: Workload) -> NDArray[np.bool_]:
        """Mask of the chosen embedding calls."""
        return self.embeddings.mask(workload) & workload.active & workload.is_embedding

    def apply(self, situation: Situation) -> Situation:
        workload = situation.workload
        if self.only_changed:
            situation = situation.vanish(self.embed(workload) & embedded_before(workload))
        if self.embedding_ratio != 1:
            tokens = situation.workload.uncached_input_tokens * self.embedding_ratio
            situation = situation.change(self.embed(situation.workload), uncached_input_tokens=tokens)
        if self.embedding_model is not None:
            situation, code = situation.with_model(self.embedding_model)
            situation = situation.change(self.embed(situation.workload), model=code)
            if self.untraced:
                situation = _untraced_moved(situation, code)
        if self.context_ratio != 1:
            tokens = situation.workload.uncached_input_tokens + _context(situation.workload, self) * (
                self.context_ratio - 1
            )
            situation = situation.change(self.carry_chunks(situation.workload), uncached_input_tokens=tokens)
        if self.rerank_cost:
            workload = situation.workload
            asked = self.carry_chunks(workload) & ~workload.is_cache_hit
            situation = situation.with_workload(workload.add_overhead("reranker", LLM_API, self.rerank_cost, asked))
        return situation

    def assumptions(self) -> list[str]:
        sentences = ["Quality is not modelled: whether the answers are still right needs an evaluation of your own."]
        if self.context_ratio != 1:
            sentences.append(
                f"Each of these calls carries {self.context_today:,.0f} tokens of chunks today (or all of its plain input, where that is less) "
                f"and would carry {self.context:,.0f}; answers stay as long as they are."
            )
            sentences.append("Chunks come after what is read from prompt caches.")
        if self.embedding_model is not None or self.embedding_ratio != 1:
            sentences.append(
                "Embedding the present documents once more, and the size of the vector database, are not in these figures."
            )
        if self.untraced:
            sentences.append("Embedding that is billed and in no call moves too, though nobody logged what it is for.")
        if self.only_changed:
            sentences.append(
                "An input with the same hash, embedded before by the same model in this period, has its vector already."
            )
        return sentences


def _untraced_moved(situation: Situation, code: int) -> Situation:
    """Embedding that is billed and in no call, at the model `code`: each line times the new input price by that of the billed model, in the middle
    of the period. Raises InputError for a line whose own price, or model, is not known."""
    window = situation.window
    middle = EPOCH + timedelta(microseconds=int(window.midnights[0] + window.midnights[-1]) // 2)
    place = CLASS_PLACE["input"]
    target = situation.rates.units_at(code, at=middle)[place]

    def moved(line: CostLine) -> CostLine:
        if line.kind != "not traced" or line.category != EMBEDDING:
            return line
        known = situation.rates.of(((line.provider, line.model),), ("standard",)) if line.model else None
        price = known.units_at(0, at=middle)[place] if known is not None else math.nan
        if target == 0:
            return line.costing(0.0)
        if not price > 0:
            raise InputError(
                f"what the bill charges for embedding and no call explains ({line.service}) names no model with a known price: leave it as it is "
                "(untraced = false)"
            )
        return line.costing(line.cost * float(target / price))

    return situation.with_infrastructure(situation.infrastructure.mapped(moved))


def _context(workload: Workload, setting: Rag) -> NDArray[np.float64]:
    """Tokens of chunks in each call: what is said, at most the plain input."""
    return np.minimum(workload.uncached_input_tokens, setting.context_today)


def embedded_before(workload: Workload) -> NDArray[np.bool_]:
    """Mask of embedding calls whose whole input the same model embedded earlier in the period. Calls without an input hash are never among them."""
    key = workload.heavy.keys("input_hash")
    at = np.flatnonzero(
        workload.is_embedding & workload.active & workload.has_usage & ~workload.is_cache_hit & (key > 0)
    )
    at = at[np.lexsort((key[at], workload.model[at]))]
    again = (key[at][1:] == key[at][:-1]) & (workload.model[at][1:] == workload.model[at][:-1])
    mask = np.zeros(len(workload), dtype=bool)
    mask[at[1:][again]] = True
    return mask


def embedding_waste(situation: Situation) -> pd.DataFrame:
    """What was embedded again without a change, by feature and job (label "job"), the dearest first.

    Columns: feature, job (None: not said), model, calls, tokens, cost (Decimal, USD per month), repeated_calls, repeated_tokens, wasted (Decimal,
    USD per month), waste_share (of the tokens), unknown_calls (without an input hash: nothing can be said about them). Calls and tokens are
    weighted.
    """
    workload = situation.workload
    counted = np.flatnonzero(workload.is_embedding & workload.active & ~workload.is_cache_hit)
    jobs = workload.heavy.coded("label:job")
    columns = (
        "feature", "job", "model", "calls", "tokens", "cost", "repeated_calls", "repeated_tokens", "wasted", "waste_share", "unknown_calls",
    )  # fmt: skip
    if not len(counted):
        return pd.DataFrame(columns=list(columns), dtype=object)
    again, spent, scale = embedded_before(workload), workload.spent(), situation.window.scale_to_month
    unknown = workload.heavy.keys("input_hash") == 0
    groups = np.stack([workload.feature[counted], jobs.codes[counted], workload.model[counted]], axis=1)
    kinds, number = np.unique(groups, axis=0, return_inverse=True)
    rows: list[dict[str, Any]] = []
    for place, (feature, job, model) in enumerate(kinds):
        at = counted[number.reshape(-1) == place]
        weight, tokens = workload.weight[at], workload.input_tokens[at]
        whole, repeated = float((tokens * weight).sum()), float((tokens * weight)[again[at]].sum())
        rows.append(
            {
                "feature": workload.names["feature"][feature] if feature >= 0 else None,
                "job": jobs.names[job] if job >= 0 else None,
                "model": workload.models[model][1],
                "calls": float(weight.sum()),
                "tokens": whole,
                "cost": cents(float(spent[at].sum()) * scale),
                "repeated_calls": float(weight[again[at]].sum()),
                "repeated_tokens": repeated,
                "wasted": cents(float(spent[at][again[at]].sum()) * scale),
                "waste_share": repeated / whole if whole else None,
                "unknown_calls": float(weight[unknown[at]].sum()),
            }
        )
    rows.sort(key=lambda row: -row["wasted"])
    return pd.DataFrame(rows, columns=list(columns), dtype=object)
