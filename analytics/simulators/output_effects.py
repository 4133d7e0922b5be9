"""Output limits along the limit: what lies above each limit of the slider, and what asking again costs, summed by the limits that cut a call.

With e limits of the slider below an answer of w tokens, each of these e cuts it, and limit c saves (w - c) x price per token: two sums per number e
answer for every limit. The part that is asked again is a factor of a third.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.breakdown import Axes, Sums
from analytics.simulators.effect import Effect, features_chosen, money_at
from analytics.simulators.output_limits import OutputLimits, wanted_tokens, was_cut
from analytics.simulators.situation import Situation
from analytics.simulators.slider import dollars_per_token, kept_for_good
from analytics.simulators.workload import EMBEDDING, LLM_API

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Cut:
    """By limit [limit, ...], of the calls that it cuts. tokens: their tokens x price per token, where reasoning is told apart; prices: the prices
    alone; again: what they cost; calls and judged: how many (weighted) [limit, feature], and how many of those that no limit cuts today.

    shape: what other instructions save before any limit; shape_embedding: what of it is of the category "Embedding" [feature]; answers: judged calls
    [feature] in all.
    """

    tokens: Sums
    prices: Sums
    again: Sums
    calls: Floats
    judged: Floats
    shape: Sums | None
    shape_embedding: Floats
    answers: Floats


def output_effect(setting: OutputLimits, situation: Situation, caps: tuple[float, ...]) -> Effect:
    """The effect of a limit whose `cap` is one of these limits of the slider, in rising order, the last infinite.

    Raises ValueError where repeats end with complete answers: no page offers that, and the tables cannot answer it.
    """
    if setting.end_repeats:
        raise ValueError("calls that repeat a cut answer are not in the prepared sums: replay this setting")
    cut = _cut(setting, situation, caps)
    features, place = features_chosen(situation, setting.calls.feature), caps.index(setting.cap)
    axes = Axes.of(situation)
    saved, saved_in, changed, risk = axes.nothing(), {EMBEDDING: 0.0}, 0.0, 0.0 if math.isinf(setting.cap) else None
    if cut.shape is not None:
        saved += cut.shape.of(features)
        saved_in[EMBEDDING] = float(cut.shape_embedding[features].sum())
    if math.isfinite(setting.cap):
        over = cut.tokens[place] - cut.prices[place] * math.floor(setting.cap) - cut.again[place] * setting.retry_share
        saved += over.of(features)
        changed = float(cut.calls[place][features].sum())
        answers = float(cut.answers[features].sum())
        risk = float(cut.judged[place][features].sum()) / answers if answers else None
    saved_in[LLM_API] = saved.total - saved_in[EMBEDDING]
    return Effect(
        setting, saved, saved_in, changed=changed, risk=risk, is_today=cut.shape is None and math.isinf(setting.cap)
    )


def _cut(setting: OutputLimits, situation: Situation, caps: tuple[float, ...]) -> _Cut:
    others = replace(setting, cap=math.inf, calls=setting.calls.of_any_feature(), retry_share=0.0)
    return kept_for_good(situation, "output effects", (others, caps), lambda: _summed(others, situation, caps))


def _summed(others: OutputLimits, situation: Situation, caps: tuple[float, ...]) -> _Cut:
    axes, before = Axes.of(situation), situation.workload
    chosen = others.touches(situation)
    shaped = others.shaped(situation, chosen)
    workload = shaped.workload
    shape, embedding = None, np.zeros(axes.features)
    if shaped is not situation:
        less = before.spent() - workload.spent()
        shape = axes.sums(less)
        embeds = np.flatnonzero(workload.is_embedding)
        embedding = axes.by_feature(less[embeds], embeds)
    wanted = wanted_tokens(workload)
    answered = chosen & workload.has_usage & ~workload.is_cache_hit & (wanted > 0)
    at = np.flatnonzero(answered)
    limits = [math.floor(cap) for cap in caps if math.isfinite(cap)]
    number = np.searchsorted(np.array(limits), wanted[at], side="left")
    is_cut_today = was_cut(workload)[at]
    judged = np.flatnonzero(~is_cut_today)
    dollars = dollars_per_token(shaped, at, ("output", "reasoning"))
    output, thought = dollars["output"], dollars["reasoning"] - dollars["output"]
    reasoning = workload.reasoning_tokens[at].astype(np.int64)
    again = np.where(is_cut_today, 0.0, money_at(shaped, at))
    tokens, prices = (_above(axes, values, at, number, limits) for values in (wanted[at] * output, output))
    some = np.flatnonzero((reasoning > 0) & (thought != 0))
    if len(some):
        of_thought = np.searchsorted(np.array(limits), reasoning[some], side="left")
        tokens += _above(axes, (reasoning * thought)[some], at[some], of_thought, limits)
        prices += _above(axes, thought[some], at[some], of_thought, limits)
    return _Cut(
        tokens,
        prices,
        _above(axes, again, at, number, limits),
        _calls_above(axes, workload.weight[at], at, number, limits),
        _calls_above(axes, workload.weight[at][judged], at[judged], number[judged], limits),
        shape,
        embedding,
        axes.by_feature(workload.weight[at][judged], at[judged]),
    )


def _above(axes: Axes, values: Floats, at: NDArray[np.int64], number: NDArray[np.int64], limits: list[int]) -> Sums:
    """Sums [limit, ...] of the calls that more than so many limits cut: limit number i cuts those with more than i."""
    sums = axes.sums(values, at, number, len(limits) + 1)
    return Sums(_from_the_end(sums.by_day)[1:], _from_the_end(sums.by_group)[1:])


def _calls_above(
    axes: Axes, weight: Floats, at: NDArray[np.int64], number: NDArray[np.int64], limits: list[int]
) -> Floats:
    return _from_the_end(axes.by_feature(weight, at, number, len(limits) + 1))[1:]


def _from_the_end(values: Floats) -> Floats:
    summed: Floats = np.cumsum(values[::-1], axis=0)[::-1]
    return summed
