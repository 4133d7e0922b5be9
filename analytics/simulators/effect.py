"""What a lever does at one position of its slider, in sums that were prepared: a move of the slider goes through no call.

A lever's page prepares, once for a state of the calls, tables of what its steps change (`Sums`); an `Effect` is read from them. What is made of
it here equals `run_scenario.run` of the lever as the only one, but for the last digits of sums that are added in another order; evidence is
replayed when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.breakdown import Axes, Sums, Totals
from analytics.simulators.evidence import changed_calls
from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.lever import Lever
from analytics.simulators.run_scenario import Facts, fall, today
from analytics.simulators.situation import Situation
from analytics.simulators.waterfall import Waterfall
from analytics.simulators.workload import LLM_API

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Effect:
    """One lever at one position. USD of the window.

    saved: what the calls cost less, overheads that the lever adds taken off; None: no call changes. saved_in: the same by cost category; empty: all
    of it is of the category "LLM API". gone: [feature], calls (weighted) that are no longer made. changed: calls (weighted) that change. risk: a
    share, None: not known. infrastructure: the cost lines afterwards; None: as today.
    """

    lever: Lever
    saved: Sums | None = None
    saved_in: Mapping[str, float] = field(default_factory=dict)
    gone: Floats | None = None
    changed: float = 0.0
    risk: float | None = None
    infrastructure: Infrastructure | None = None
    notes: tuple[str, ...] = ()
    is_today: bool = False


Effects = Callable[[str], Effect]
"""From a step of the main slider to what the lever does there."""


def costs(situation: Situation, effect: Effect) -> dict[str, float]:
    """USD of the window at this position by cost category."""
    return _costs(today(situation), effect)


def cost(situation: Situation, effect: Effect) -> float:
    """USD of the window at this position."""
    return sum(costs(situation, effect).values())


def outcome(situation: Situation, effect: Effect) -> Waterfall:
    """The waterfall of the lever as the only one, with its range."""
    before = today(situation)
    after = _after(before, effect)
    # The lever alone: an outcome may be kept longer than the tables that its effect was read from.
    lever = effect.lever

    def evidence(_place: int, limit: int = 100) -> pd.DataFrame:
        return changed_calls(situation.workload, lever.apply(situation).workload, limit)

    facts = Facts(
        lever=effect.lever,
        alone=after.costs,
        touched=effect.changed,
        changed=effect.changed,
        # Of a sample it is not in the sums: `sampling_error` replays for it.
        sampling_error=math.nan if situation.workload.is_sample else 0.0,
    )
    notes = tuple(dict.fromkeys((*situation.notes, *effect.notes)))
    return fall(situation, (before, after), (facts,), notes=notes, evidence=evidence)


def sampling_error(situation: Situation, lever: Lever) -> float:
    """Standard error of what the lever saves, USD per month, from replaying a sample of the calls; 0 where all are replayed. A whole replay."""
    workload = situation.workload
    if not workload.is_sample:
        return 0.0
    after = lever.apply(situation).workload
    return workload.sampling_error(workload.spent() - after.spent()) * situation.window.scale_to_month


def _after(before: Totals, effect: Effect) -> Totals:
    infrastructure = effect.infrastructure or before.infrastructure
    daily, by_group, feature_cost = before.daily, before.by_group, before.feature_cost
    if effect.saved is not None:
        daily = daily - effect.saved.by_day.sum(axis=0)
        by_group = by_group - effect.saved.by_group.sum(axis=0)
        feature_cost = feature_cost - effect.saved.by_feature
    if infrastructure is not before.infrastructure:
        daily = daily + _daily(infrastructure, len(daily)) - _daily(before.infrastructure, len(daily))
    return Totals(
        costs=_costs(before, effect),
        daily=daily,
        by_group=by_group,
        feature_cost=feature_cost,
        feature_calls=before.feature_calls if effect.gone is None else before.feature_calls - effect.gone,
        infrastructure=infrastructure,
    )


def _costs(before: Totals, effect: Effect) -> dict[str, float]:
    costs = dict(before.costs)
    saved_in = effect.saved_in or ({LLM_API: effect.saved.total} if effect.saved is not None else {})
    for category, saved in saved_in.items():
        if saved:
            costs[category] = costs.get(category, 0.0) - saved
    if effect.infrastructure is not None and effect.infrastructure is not before.infrastructure:
        for sign, lines in ((-1, before.infrastructure.lines), (1, effect.infrastructure.lines)):
            for line in lines:
                costs[line.category] = costs.get(line.category, 0.0) + sign * line.cost
        # What the lines of a category no longer cost leaves the last digits of sums behind.
        left = {line.category for line in effect.infrastructure.lines}
        for line in before.infrastructure.lines:
            if line.category not in left and abs(costs[line.category]) < _DUST:
                del costs[line.category]
    return costs


_DUST = 1e-6


def _daily(infrastructure: Infrastructure, days: int) -> Floats:
    total = np.zeros(days)
    for line in infrastructure.lines:
        total = total + line.daily
    return total


def features_chosen(situation: Situation, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Mask [feature] of the tables for the features of these names; all when there are none. Raises InputError for a name that no call has."""
    axes = Axes.of(situation)
    if not names:
        return np.ones(axes.features, dtype=bool)
    mask = np.zeros(axes.features, dtype=bool)
    mask[[situation.workload.code("feature", name) + 1 for name in names]] = True
    return mask


def money_at(situation: Situation, at: NDArray[np.int64]) -> Floats:
    """USD of the window that the calls at these places cost now, overheads left out; 0 where it is not known."""
    workload = situation.workload
    return np.nan_to_num(workload.cost[at]) * workload.money[at]
