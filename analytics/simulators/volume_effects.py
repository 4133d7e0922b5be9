"""More or fewer calls of the same kind: what the chosen calls cost, times how often they are made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.breakdown import Axes, Sums
from analytics.simulators.effect import Effect, features_chosen
from analytics.simulators.lever import Selection
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.volume import Volume
from analytics.simulators.workload import EMBEDDING, LLM_API

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Calls:
    """What calls cost; what of it is of the category "Embedding", and how many calls (weighted) there are [feature]."""

    spent: Sums
    embedding: Floats
    calls: Floats


def volume_effect(setting: Volume, situation: Situation) -> Effect:
    """The effect of calls, chosen by feature and other columns, that happen `times` as often."""
    if setting.times == 1:
        return Effect(setting, risk=0.0, is_today=True)
    others = replace(setting.calls, feature=())
    found = kept_for_good(situation, "volume effects", others, lambda: _summed(others, situation))
    features, less = features_chosen(situation, setting.calls.feature), 1 - setting.times
    if setting.steady_features:
        features &= ~features_chosen(situation, setting.steady_features)
    saved, embedding = found.spent.of(features) * less, float(found.embedding[features].sum()) * less
    calls = found.calls * features
    saved_in = {LLM_API: saved.total - embedding, EMBEDDING: embedding}
    return Effect(setting, saved, saved_in, gone=calls * less, changed=float(calls.sum()), risk=0.0)


def _summed(others: Selection, situation: Situation) -> _Calls:
    axes, workload = Axes.of(situation), situation.workload
    at = np.flatnonzero(others.mask(workload) & workload.active)
    spent = workload.spent()[at]
    embeds = np.flatnonzero(workload.is_embedding[at])
    return _Calls(
        axes.sums(spent, at), axes.by_feature(spent[embeds], at[embeds]), axes.by_feature(workload.weight[at], at)
    )
