"""Replaying a scenario: every lever in its place, and every lever alone, over the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import frame_of
from analytics.simulators.bootstrap import CONFIDENCE, DRAWS, SEED, Range, intervals, user_groups
from analytics.simulators.evidence import changed_calls
from analytics.simulators.lever import Lever
from analytics.simulators.situation import Situation
from analytics.simulators.waterfall import Step, Waterfall, cents

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Parts:
    """A situation's money, USD of the window, by what is resampled: by day all of it, by group of users the calls' part."""

    daily: Floats
    by_group: Floats


def run(
    situation: Situation,
    levers: Sequence[Lever],
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    confidence: float = CONFIDENCE,
) -> Waterfall:
    """The waterfall of these levers in this order. Raises InputError when a lever cannot act on the situation."""
    states = [situation]
    for lever in levers:
        states.append(lever.apply(states[-1]))
    groups, number = user_groups(situation.workload.user)
    parts = [_parts(state, groups, number) for state in states]
    alone = [states[1] if place == 0 else lever.apply(situation) for place, lever in enumerate(levers)]
    costs, costs_alone = [_in_cents(state) for state in states], [_in_cents(state) for state in alone]
    pairs = [*pairwise(parts), (parts[0], parts[-1])]
    ranges = _ranges([_minus(before, after) for before, after in pairs] + [parts[-1]], draws, seed, confidence)
    scale = situation.window.scale_to_month
    ranges = [each.scaled(scale) for each in ranges]
    steps = [
        _step(lever, (states[place], states[place + 1]), _sum(costs[0]) - _sum(costs_alone[place]), ranges[place])
        for place, lever in enumerate(levers)
    ]

    def evidence(place: int, limit: int = 100) -> pd.DataFrame:
        return changed_calls(states[place].workload, states[place + 1].workload, limit)

    return Waterfall(
        base=costs[0],
        steps=tuple(steps),
        saving_range=ranges[-2],
        end_range=ranges[-1],
        by_feature=_by_feature(states),
        notes=states[-1].notes,
        confidence=confidence,
        window_days=situation.window.days,
        scale_to_month=scale,
        unknown_calls=situation.workload.unknown_calls,
        evidence=evidence,
    )


def total_saving(situation: Situation, levers: Sequence[Lever]) -> float:
    """USD per month that these levers save together, in this order."""
    after = situation
    for lever in levers:
        after = lever.apply(after)
    return (situation.total() - after.total()) * situation.window.scale_to_month


def _parts(state: Situation, groups: NDArray[np.int64], number: int) -> _Parts:
    spent = state.workload.spent()
    daily = state.workload.by_day(spent)
    for line in state.infrastructure.lines:
        daily = daily + line.daily
    by_group = np.bincount(groups + 1, weights=spent, minlength=number + 1)[1:].astype(np.float64)
    return _Parts(daily, by_group)


def _minus(before: _Parts, after: _Parts) -> _Parts:
    return _Parts(before.daily - after.daily, before.by_group - after.by_group)


def _ranges(parts: list[_Parts], draws: int, seed: int, confidence: float) -> list[Range]:
    daily = np.array([each.daily for each in parts])
    by_group = np.array([each.by_group for each in parts])
    fixed = [float(each.daily.sum() - each.by_group.sum()) for each in parts]
    return intervals(daily, by_group if by_group.shape[1] else None, fixed, confidence, draws=draws, seed=seed)


def _in_cents(state: Situation) -> dict[str, Decimal]:
    return {name: cents(cost) for name, cost in state.monthly().items()}


def _sum(costs: dict[str, Decimal]) -> Decimal:
    return sum(costs.values(), Decimal(0))


def _step(lever: Lever, states: tuple[Situation, Situation], alone: Decimal, added_range: Range) -> Step:
    before, after = states
    old, new = before.workload, after.workload
    costs = _in_cents(after)
    changed = new.weight[new.changed_since(old)].sum() if new is not old else 0
    saved = old.spent() - new.spent() if new.is_sample else np.zeros(len(new))
    return Step(
        lever=lever,
        costs=costs,
        added=_sum(_in_cents(before)) - _sum(costs),
        alone=alone,
        added_range=added_range,
        touched=float(old.weight[lever.touches(before)].sum()),
        changed=float(changed),
        kept=new.kept_calls - old.kept_calls,
        sampling_error=old.sampling_error(saved) * before.window.scale_to_month,
    )


def _by_feature(states: list[Situation]) -> pd.DataFrame:
    """Cost by feature, without and with all levers, USD per month: calls, and cost lines that are tagged with the feature.

    Columns: feature, kind, calls, calls_after (weighted, of the window), cost, cost_after, saving. kind: "feature", "untagged" (calls that name
    none), and, last, "shared" (cost lines that name none).
    """
    first, last = states[0], states[-1]
    scale = first.window.scale_to_month
    rows: list[tuple[Any, ...]] = []
    sums = [state.workload.by_code("feature", state.workload.spent()) for state in (first, last)]
    counts = [
        state.workload.by_code("feature", np.where(state.workload.active, state.workload.weight, 0.0))
        for state in (first, last)
    ]
    tagged: list[dict[str | None, float]] = [{}, {}]
    for found, state in zip(tagged, (first, last), strict=True):
        for line in state.infrastructure.lines:
            found[line.feature] = found.get(line.feature, 0.0) + line.cost
    for feature in dict.fromkeys([*sums[0], *(name for found in tagged for name in found if name)]):
        own = [sums[i].get(feature, 0.0) + (tagged[i].get(feature, 0.0) if feature else 0.0) for i in (0, 1)]
        rows.append((feature, "feature" if feature else "untagged", *(c.get(feature, 0.0) for c in counts), *own))
    rows.sort(key=lambda row: -row[4])
    rows.append((None, "shared", 0.0, 0.0, *(found.get(None, 0.0) for found in tagged)))
    names = ("feature", "kind", "calls", "calls_after", "cost", "cost_after")
    records = [dict(zip(names, row, strict=True)) for row in rows]
    for record in records:
        record["cost"], record["cost_after"] = (cents(record[name] * scale) for name in ("cost", "cost_after"))
        record["saving"] = record["cost"] - record["cost_after"]
    return frame_of(records, (*names, "saving"))
