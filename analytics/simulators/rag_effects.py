"""Retrieval along the chunks in a prompt: every prompt's plain input in whole tokens, summed by how long it is.

Prompts of u tokens, of which at most the context c is chunks, become u + min(u, c) x (ratio - 1) tokens, rounded. All prompts of one length change
alike, so that a table of what a token is worth by length and feature answers for any size and number of chunks, today's and new, exactly. Only how
that spreads over days and users, which a range is made of, is taken to be proportional to the tokens of chunks. A call that would move to another
context tier of its price keeps the price that it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.breakdown import Axes, Sums
from analytics.simulators.effect import Effect, features_chosen, money_at
from analytics.simulators.lever import EVERY_CALL, Selection
from analytics.simulators.rag import Rag, embedded_before
from analytics.simulators.situation import Situation
from analytics.simulators.slider import dollars_per_token, kept_for_good
from analytics.simulators.workload import EMBEDDING, LLM_API

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Prompts:
    """lengths: the distinct tokens of plain input; worth: USD per token [length, feature]; calls: how many (weighted) [feature]; asked: money of the
    calls that a reranker would see."""

    lengths: NDArray[np.int64]
    worth: Floats
    calls: Floats
    asked: Sums


@dataclass(frozen=True, eq=False)
class _Again:
    """What is embedded again: its cost, and how many calls (weighted) [feature]."""

    saved: Sums
    calls: Floats


def rag_effect(setting: Rag, situation: Situation) -> Effect:
    """The effect of chunks of any size and number, of a reranker, and of embedding only what changed.

    Raises ValueError for another embedding model or overlap: no page offers that, and the prepared sums cannot answer it.
    """
    if setting.embedding_model is not None or setting.embedding_ratio != 1 or setting.embeddings != EVERY_CALL:
        raise ValueError("how else documents are embedded is not in the prepared sums: replay this setting")
    axes, others = Axes.of(situation), setting.calls.of_any_feature()
    saved, saved_in, gone, changed = axes.nothing(), {}, None, 0.0
    if setting.only_changed:
        again = kept_for_good(situation, "embedded again", (), lambda: _embedded_again(situation))
        saved, saved_in, gone = again.saved, {EMBEDDING: again.saved.total}, again.calls
        changed += float(again.calls.sum())
    if setting.calls != EVERY_CALL:
        prompts = kept_for_good(situation, "prompt lengths", others, lambda: _prompts(others, situation))
        features = features_chosen(situation, setting.calls.feature)
        less = axes.nothing()
        if setting.context_ratio != 1:
            less += _shorter(setting, situation, prompts, features)
            changed += float(prompts.calls[features].sum())
        if setting.rerank_cost:
            less -= prompts.asked.of(features) * setting.rerank_cost
        saved += less
        saved_in[LLM_API] = less.total
    is_today = setting.context_ratio == 1 and not setting.rerank_cost and not setting.only_changed
    return Effect(setting, saved, saved_in, gone=gone, changed=changed, is_today=is_today)


def _shorter(setting: Rag, situation: Situation, prompts: _Prompts, features: NDArray[np.bool_]) -> Sums:
    """What other chunks save."""
    chunks = np.minimum(prompts.lengths, setting.context_today)
    tokens = np.rint(prompts.lengths + chunks * (setting.context_ratio - 1)) - prompts.lengths
    exact = -(tokens @ prompts.worth) * features
    others, context = setting.calls.of_any_feature(), setting.context_today
    spread = kept_for_good(
        situation, "chunks in prompts", (others, context), lambda: _chunks(others, context, situation)
    ).of(features)
    whole = spread.by_feature
    part = np.divide(exact, whole, out=np.zeros(len(exact)), where=whole != 0)
    return Sums(spread.by_day * part[:, None], spread.by_group * part[:, None])


def _carrying(others: Selection, situation: Situation) -> NDArray[np.int64]:
    """Places of the calls, of any feature, that may carry chunks and are repriced."""
    workload = situation.workload
    able = (
        others.mask(workload) & workload.active & ~workload.is_embedding & workload.has_usage & ~workload.is_cache_hit
    )
    return np.flatnonzero(able)


def _worth(situation: Situation, at: NDArray[np.int64]) -> Floats:
    return dollars_per_token(situation, at, ("input",))["input"]


def _prompts(others: Selection, situation: Situation) -> _Prompts:
    axes, workload = Axes.of(situation), situation.workload
    at = _carrying(others, situation)
    tokens = workload.uncached_input_tokens[at]
    lengths, place = _distinct(tokens)
    code = place * axes.features + axes.feature[at]
    worth = np.bincount(code, weights=_worth(situation, at), minlength=len(lengths) * axes.features)
    asked = np.flatnonzero(others.mask(workload) & workload.active & ~workload.is_embedding & ~workload.is_cache_hit)
    return _Prompts(
        lengths,
        worth.reshape(len(lengths), axes.features).astype(np.float64),
        axes.by_feature(workload.weight[at], at),
        axes.sums(workload.money[asked], asked),
    )


def _distinct(tokens: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct numbers, rising, and the place of each token count among them: by counting, where they are small."""
    highest = int(tokens.max(initial=0))
    if highest >= _FEW:
        lengths, place = np.unique(tokens, return_inverse=True)
        return lengths.astype(np.int64), place.astype(np.int64)
    there = np.bincount(tokens, minlength=highest + 1) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[tokens]


_FEW = 1 << 22


def _chunks(others: Selection, context: float, situation: Situation) -> Sums:
    """What the chunks in all prompts are worth today, at so many tokens of context."""
    at = _carrying(others, situation)
    tokens = np.minimum(situation.workload.uncached_input_tokens[at], context)
    return Axes.of(situation).sums(tokens * _worth(situation, at), at)


def _embedded_again(situation: Situation) -> _Again:
    axes, workload = Axes.of(situation), situation.workload
    at = np.flatnonzero(embedded_before(workload))
    return _Again(axes.sums(money_at(situation, at), at), axes.by_feature(workload.weight[at], at))
