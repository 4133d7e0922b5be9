"""Levers that act on a share of some calls, drawn by lot: batches, a feature switched off, an own model. A larger share keeps the calls it had.

Each call is given the first step of the slider that reaches it; what all of them change is summed by step once, and a position is the sum of
the steps up to it. Measured at ten million calls: docs/benchmarks-sliders.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.batch import SALT as BATCH_SALT
from analytics.simulators.batch import Batch, batch_plan, can_wait, no_batch_price
from analytics.simulators.breakdown import Axes, Sums
from analytics.simulators.effect import Effect, features_chosen, money_at
from analytics.simulators.lever import EVERY_CALL, Selection
from analytics.simulators.self_host import SALT as SELF_HOST_SALT
from analytics.simulators.self_host import SelfHost, hour_of_calls, tokens_per_second, window_hours
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.tier_switch import SALT as OFF_SALT
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.workload import EMBEDDING, LLM_API

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Up to each step: saved [step, feature, day or group], embedding [step, feature] (what of it is of the category "Embedding"), calls [step,
    feature] (weighted)."""

    saved: Sums
    embedding: Floats
    calls: Floats

    def effect(self, step: int, features: NDArray[np.bool_]) -> tuple[Sums, dict[str, float], Floats]:
        """Saved, saved by category, and the calls by feature at this step, of the chosen features."""
        saved = self.saved[step].of(features)
        embedding = float(self.embedding[step][features].sum())
        return saved, {LLM_API: saved.total - embedding, EMBEDDING: embedding}, self.calls[step] * features


def _steps(draws: Floats, shares: Sequence[float]) -> NDArray[np.int64]:
    """The first step whose share reaches each draw; len(shares): none does. A call is chosen when its draw is below the share."""
    found: NDArray[np.int64] = np.searchsorted(np.asarray(shares), draws, side="right")
    return found


def _drawn(situation: Situation, at: Places, saved: Floats, step: NDArray[np.int64], steps: int) -> _Drawn:
    axes, workload = Axes.of(situation), situation.workload
    reached = step < steps
    if not reached.all():
        at, saved, step = at[reached], saved[reached], step[reached]
    embeds = np.flatnonzero(workload.is_embedding[at])
    return _Drawn(
        axes.sums(saved, at, step, steps).cumulated(),
        np.cumsum(axes.by_feature(saved[embeds], at[embeds], step[embeds], steps), axis=0),
        np.cumsum(axes.by_feature(workload.weight[at], at, step, steps), axis=0),
    )


# Batches


@dataclass(frozen=True, eq=False)
class _Batches:
    """drawn: what waiting calls save. unpriced: [feature, model], calls that could wait and have no batch price."""

    drawn: _Drawn
    unpriced: NDArray[np.int64]


def batch_effect(setting: Batch, situation: Situation, shares: tuple[float, ...]) -> Effect:
    """The effect of a batch setting whose `share` is one of these shares of the slider, in rising order."""
    whole = replace(setting, share=1.0, calls=setting.calls.of_any_feature())
    found = kept_for_good(situation, "batch effects", (whole, shares), lambda: _batches(whole, situation, shares))
    features = features_chosen(situation, setting.calls.feature)
    saved, saved_in, calls = found.drawn.effect(shares.index(setting.share), features)
    models = np.flatnonzero(found.unpriced[features].any(axis=0))
    names = sorted({situation.workload.models[model][1] or "an unknown model" for model in models})
    return Effect(
        setting,
        saved,
        saved_in,
        changed=float(calls.sum()),
        risk=0.0,
        notes=(no_batch_price(names),) if names and setting.share else (),
        is_today=setting.share == 0,
    )


def _batches(whole: Batch, situation: Situation, shares: tuple[float, ...]) -> _Batches:
    workload = situation.workload
    able, _ = batch_plan(whole, situation)
    at = np.flatnonzero(able)
    after = whole.apply(situation).workload
    saved = money_at(situation, at) - np.nan_to_num(after.cost[at]) * after.money[at]
    waiting = can_wait(workload, follow_up_hours=whole.follow_up_hours, with_users=whole.with_users)
    missing = np.flatnonzero(waiting & ~able)
    pair = Axes.of(situation).feature[missing].astype(np.int64) * len(workload.models) + workload.model[missing]
    unpriced = np.bincount(pair, minlength=Axes.of(situation).features * len(workload.models))
    return _Batches(
        _drawn(situation, at, saved, _steps(workload.draws(BATCH_SALT)[at], shares), len(shares)),
        unpriced.reshape(-1, len(workload.models)),
    )


# A feature switched off


def switch_off_effect(setting: SwitchOff, situation: Situation, shares: tuple[float, ...]) -> Effect:
    """The effect of switching off by feature and tier, whose `share` is one of these shares of the slider, in rising order."""
    if setting.calls == EVERY_CALL:
        return Effect(setting, is_today=True)
    others = setting.calls.of_any_feature()
    drawn = kept_for_good(situation, "switch-off effects", (others, shares), lambda: _off(others, situation, shares))
    features = features_chosen(situation, setting.calls.feature)
    saved, saved_in, calls = drawn.effect(shares.index(setting.share), features)
    return Effect(setting, saved, saved_in, gone=calls, changed=float(calls.sum()), is_today=setting.share == 0)


def _off(others: Selection, situation: Situation, shares: tuple[float, ...]) -> _Drawn:
    workload = situation.workload
    at = np.flatnonzero(others.mask(workload) & workload.active)
    saved = workload.spent()[at]
    return _drawn(situation, at, saved, _steps(workload.draws(OFF_SALT)[at], shares), len(shares))


# An own model


@dataclass(frozen=True, eq=False)
class _OwnModel:
    """drawn: what served calls no longer cost. tokens_in and tokens_out: up to each step, tokens (weighted) [step, feature, hour of the window]."""

    drawn: _Drawn
    tokens_in: Floats
    tokens_out: Floats


def self_host_effect(setting: SelfHost, situation: Situation, shares: tuple[float, ...]) -> Effect:
    """The effect of an own model whose `share` is one of these shares of the slider, in rising order. Raises InputError when it does not fit."""
    if setting.share == 0:
        return Effect(setting, is_today=True)
    found, step = _prepared_own_model(setting, situation, shares), shares.index(setting.share)
    work = own_model_work(setting, situation, shares)
    saved, saved_in, calls = found.drawn.effect(step, features_chosen(situation, setting.calls.feature))
    if not calls.any():
        return Effect(setting)
    line = setting.line(situation, work)
    return Effect(
        setting, saved, saved_in, changed=float(calls.sum()), infrastructure=situation.infrastructure.adding(line)
    )


def own_model_work(setting: SelfHost, situation: Situation, shares: tuple[float, ...]) -> Floats:
    """Seconds of one replica in every hour of the window, of an own model as in `self_host_effect`. Raises InputError when it does not fit."""
    found, step = _prepared_own_model(setting, situation, shares), shares.index(setting.share)
    features = features_chosen(situation, setting.calls.feature)
    prefill, decode = tokens_per_second(setting)
    read, written = (table[step][features].sum(axis=0) for table in (found.tokens_in, found.tokens_out))
    work: Floats = read / prefill + written / decode
    return work


def _prepared_own_model(setting: SelfHost, situation: Situation, shares: tuple[float, ...]) -> _OwnModel:
    others = setting.calls.of_any_feature()
    return kept_for_good(
        situation, "self-host effects", (others, shares), lambda: _own_model(others, situation, shares)
    )


def _own_model(others: Selection, situation: Situation, shares: tuple[float, ...]) -> _OwnModel:
    workload, axes = situation.workload, Axes.of(situation)
    at = np.flatnonzero(SelfHost(calls=others).touches(situation))
    step = _steps(workload.draws(SELF_HOST_SALT)[at], shares)
    hours = len(window_hours(situation))
    reached = step < len(shares)
    at, step = at[reached], step[reached]
    place = hour_of_calls(situation, at)
    code = (step * axes.features + axes.feature[at]) * hours + place
    size = len(shares) * axes.features * hours
    weight = workload.weight[at]

    def by_hour(tokens: NDArray[np.integer]) -> Floats:
        table = np.bincount(code, weights=tokens[at] * weight, minlength=size).astype(np.float64)
        summed: Floats = np.cumsum(table.reshape(len(shares), axes.features, hours), axis=0)
        return summed

    drawn = _drawn(situation, at, money_at(situation, at), step, len(shares))
    return _OwnModel(drawn, by_hour(workload.input_tokens), by_hour(workload.output_tokens))
