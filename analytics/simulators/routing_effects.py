"""Model routing along its share: every scored call's cost with today's model and with the target, summed by the step that routes it.

What is asked of both models, or twice, and the router's fee are factors of these sums: their controls go through no call either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.breakdown import Axes, Sums
from analytics.simulators.effect import Effect, money_at
from analytics.simulators.routing import ModelRouting
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Routed:
    """thresholds: of each share. strong and weak: USD [step, feature, day or group] of the calls routed up to each step, today and at the target;
    scored: money of all scored calls (what a fee of 1 USD would add); calls: routed calls (weighted) up to each step."""

    thresholds: tuple[float, ...]
    strong: Sums
    weak: Sums
    scored: Sums
    calls: Floats


def routing_lever(setting: ModelRouting, situation: Situation, share: float, shares: tuple[float, ...]) -> ModelRouting:
    """The setting with the threshold that routes `share`, one of the slider's shares, of the scored calls. Raises InputError as its `apply`."""
    if setting.to is None or share == 0:
        return ModelRouting.neutral()
    return replace(setting, threshold=_routed(setting, situation, shares).thresholds[shares.index(share)])


def routing_effect(setting: ModelRouting, situation: Situation, share: float, shares: tuple[float, ...]) -> Effect:
    """The effect of routing `share`, one of these shares of the slider, in rising order; `setting` has any threshold.

    Raises ValueError for a router that is paid by the token: no page offers that, and the prepared sums cannot answer it.
    """
    if setting.router_price:
        raise ValueError("a router's price per token is not in the prepared sums: replay this setting")
    lever = routing_lever(setting, situation, share, shares)
    if lever.to is None:
        return Effect(lever, is_today=share == 0)
    found, step = _routed(setting, situation, shares), shares.index(share)
    strong, weak = found.strong[step], found.weak[step]
    saved = strong * (1 - setting.escalation) - weak * (1 + setting.retries)
    if setting.router_fee:
        saved -= found.scored * setting.router_fee
    return Effect(lever, saved, changed=float(found.calls[step]))


def _routed(setting: ModelRouting, situation: Situation, shares: tuple[float, ...]) -> _Routed:
    whole = replace(setting, threshold=math.inf, escalation=0.0, retries=0.0, router_fee=0.0)
    return kept_for_good(situation, "routing effects", (whole, shares), lambda: _summed(whole, situation, shares))


def _summed(whole: ModelRouting, situation: Situation, shares: tuple[float, ...]) -> _Routed:
    axes, workload = Axes.of(situation), situation.workload
    scores = whole.scores(situation)
    at = np.flatnonzero(np.isfinite(scores))
    scores, weight = scores[at], workload.weight[at]
    thresholds = thresholds_for(scores, weight, shares)
    step = np.searchsorted(thresholds, scores, side="right")
    after = whole.apply(situation).workload
    steps = len(shares) + 1
    weak = np.nan_to_num(after.cost[at]) * after.money[at]
    return _Routed(
        tuple(thresholds),
        axes.sums(money_at(situation, at), at, step, steps).cumulated(),
        axes.sums(weak, at, step, steps).cumulated(),
        axes.sums(workload.money[at], at),
        np.cumsum(np.bincount(step, weights=weight, minlength=steps)),
    )


def thresholds_for(scores: Floats, weight: Floats, shares: tuple[float, ...]) -> list[float]:
    """For each share the highest threshold below which at most this share of the calls (weighted) scores. -inf for a share of 0, inf for 1, and
    for all where nothing is scored."""
    distinct, place = np.unique(scores, return_inverse=True)
    below = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=weight, minlength=len(distinct)))])
    thresholds = [*distinct.tolist(), math.inf]
    found = []
    for share in shares:
        fits = np.flatnonzero(below <= share * below[-1] * (1 + 1e-12))
        found.append(-math.inf if share == 0 and len(distinct) else float(thresholds[int(fits[-1])]))
    return found
