"""Replaying a scenario: every lever in its place, and every lever alone, over the same calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.frames import frame_of
from analytics.simulators.bootstrap import CONFIDENCE, DRAWS, SEED, Range, intervals
from analytics.simulators.breakdown import Axes, Totals, totals_of
from analytics.simulators.evidence import changed_calls
from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.lever import Lever
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.to_the_cent import is_nothing, parts_in_cents, total_in_cents
from analytics.simulators.waterfall import Step, Waterfall


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
    axes = Axes.of(situation)
    totals = [today(situation), *(totals_of(state, axes) for state in states[1:])]
    alone = [states[1] if place == 0 else lever.apply(situation) for place, lever in enumerate(levers)]
    facts = [
        _facts(lever, states[place], states[place + 1], totals_alone.costs())
        for place, (lever, totals_alone) in enumerate(zip(levers, alone, strict=True))
    ]

    def evidence(place: int, limit: int = 100) -> pd.DataFrame:
        return changed_calls(states[place].workload, states[place + 1].workload, limit)

    return fall(
        situation,
        totals,
        facts,
        notes=states[-1].notes,
        evidence=evidence,
        draws=draws,
        seed=seed,
        confidence=confidence,
    )


@dataclass(frozen=True)
class Facts:
    """What a step of a waterfall says beside its totals: see `Step`. alone: USD of the window by category with this lever as the only one."""

    lever: Lever
    alone: dict[str, float]
    touched: float
    changed: float
    kept: int = 0
    sampling_error: float = 0.0


def today(situation: Situation) -> Totals:
    """The totals of a situation, worked out once."""
    key = ("today", situation.workload.stamp, id(situation.infrastructure))
    lasting = situation.memo.lasting

    def found() -> Totals:
        return totals_of(situation, Axes.of(situation))

    def make() -> Totals:
        if lasting is None or not lasting.is_of(situation):
            return found()
        kept = kept_for_good(situation, "today", (), lambda: replace(found(), infrastructure=Infrastructure()))
        # What an effect leaves as it is, it tells by whether the cost lines are these very ones.
        return replace(kept, infrastructure=situation.infrastructure)

    # The cost lines are kept beside the value, so that their id stays their own.
    return situation.memo.get(key, make)


def monthly_today(situation: Situation) -> Decimal:
    """USD per month without any lever, to the cent."""
    return total_in_cents(_monthly(today(situation).costs, situation.window.scale_to_month).values())


def fall(
    situation: Situation,
    totals: Sequence[Totals],
    facts: Sequence[Facts],
    *,
    notes: tuple[str, ...],
    evidence: Callable[..., pd.DataFrame],
    draws: int = DRAWS,
    seed: int = SEED,
    confidence: float = CONFIDENCE,
) -> Waterfall:
    """The waterfall of states whose totals are known: today's, and those after each lever in turn."""
    scale = situation.window.scale_to_month
    pairs = [*pairwise(totals)]
    if len(totals) != 2:
        pairs.append((totals[0], totals[-1]))
    ranges = [each.scaled(scale) for each in _ranges(pairs, totals[-1], draws, seed, confidence)]
    exact = [_monthly(each.costs, scale) for each in totals]
    costs = [parts_in_cents(exact[0])]
    for now, then in pairwise(exact):
        costs.append(parts_in_cents(then, before=now, before_in_cents=costs[-1]))
    steps = [
        Step(
            lever=fact.lever,
            costs=costs[place + 1],
            added=_sum(costs[place]) - _sum(costs[place + 1]),
            alone=_sum(costs[0])
            - _sum(parts_in_cents(_monthly(fact.alone, scale), before=exact[0], before_in_cents=costs[0])),
            added_range=ranges[place],
            touched=fact.touched,
            changed=fact.changed,
            kept=fact.kept,
            sampling_error=fact.sampling_error * scale,
        )
        for place, fact in enumerate(facts)
    ]
    return Waterfall(
        base=costs[0],
        steps=tuple(steps),
        saving_range=ranges[-2],
        end_range=ranges[-1],
        by_feature=_by_feature(situation, (totals[0], _sum(costs[0])), (totals[-1], _sum(costs[-1]))),
        notes=notes,
        confidence=confidence,
        window_days=situation.window.days,
        scale_to_month=scale,
        unknown_calls=_unknown_calls(situation),
        evidence=evidence,
    )


def total_saving(situation: Situation, levers: Sequence[Lever]) -> float:
    """USD per month that these levers save together, in this order."""
    after = situation
    for lever in levers:
        after = lever.apply(after)
    return (situation.total() - after.total()) * situation.window.scale_to_month


def _ranges(pairs: list[tuple[Totals, Totals]], last: Totals, draws: int, seed: int, confidence: float) -> list[Range]:
    """The ranges of what each pair saves, and, last, of the cost at the end. Calls whose user is not known stand behind no user."""
    parts = [(before.daily - after.daily, before.by_group - after.by_group) for before, after in pairs]
    parts.append((last.daily, last.by_group))
    daily = np.array([by_day for by_day, _ in parts])
    by_user = np.array([by_group[1:] for _, by_group in parts])
    fixed = [float(by_day.sum() - by_group[1:].sum()) for by_day, by_group in parts]
    return intervals(daily, by_user if by_user.shape[1] else None, fixed, confidence, draws=draws, seed=seed)


def _unknown_calls(situation: Situation) -> float:
    return kept_for_good(situation, "unknown calls", (), lambda: situation.workload.unknown_calls)


def _monthly(costs: dict[str, float], scale: float) -> dict[str, float]:
    return {name: cost * scale for name, cost in costs.items()}


def _sum(costs: dict[str, Decimal]) -> Decimal:
    return sum(costs.values(), Decimal(0))


def _facts(lever: Lever, before: Situation, after: Situation, alone: dict[str, float]) -> Facts:
    old, new = before.workload, after.workload
    changed = new.weight[new.changed_since(old)].sum() if new is not old else 0
    error = old.sampling_error(old.spent() - new.spent()) if new.is_sample else 0.0
    return Facts(
        lever=lever,
        alone=alone,
        touched=float(old.weight[lever.touches(before)].sum()),
        changed=float(changed),
        kept=new.kept_calls - old.kept_calls,
        sampling_error=error,
    )


def _by_feature(situation: Situation, first: tuple[Totals, Decimal], last: tuple[Totals, Decimal]) -> pd.DataFrame:
    """Cost by feature, without and with all levers, USD per month: calls, and cost lines that are tagged with the feature. Each of the two states
    comes with its cost per month, to which its features add up.

    Columns: feature, kind, calls, calls_after (weighted, of the window), cost, cost_after, saving. kind: "feature", "untagged" (calls that name
    none), and, last, "shared" (cost lines that name none).
    """
    scale = situation.window.scale_to_month
    names: list[str | None] = [None, *situation.workload.names["feature"]]
    called = {names[place]: place for place in np.flatnonzero(_calls_by_feature(situation))}
    states = first[0], last[0]
    tagged: list[dict[str | None, float]] = [{}, {}]
    for found, totals in zip(tagged, states, strict=True):
        for line in totals.infrastructure.lines:
            found[line.feature] = found.get(line.feature, 0.0) + line.cost
    rows: list[tuple[Any, ...]] = []
    for feature in dict.fromkeys([*called, *(name for found in tagged for name in found if name)]):
        place = called.get(feature)
        calls, own = [0.0, 0.0], [0.0, 0.0]
        for number, totals in enumerate(states):
            if place is not None:
                calls[number], own[number] = float(totals.feature_calls[place]), float(totals.feature_cost[place])
            own[number] += tagged[number].get(feature, 0.0) if feature else 0.0
        rows.append((feature, "feature" if feature else "untagged", *calls, *own))
    rows.sort(key=lambda row: -row[4])
    rows.append((None, "shared", 0.0, 0.0, *(found.get(None, 0.0) for found in tagged)))
    columns = ("feature", "kind", "calls", "calls_after", "cost", "cost_after")
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    before, after = ({number: row[column] * scale for number, row in enumerate(rows)} for column in (4, 5))
    if any(before[row] != after[row] and is_nothing(after[row]) for row in before):
        # The cent that is left over is made up by what changes. Where that is nothing afterwards, by what it costs today: it saves just that.
        cost_after = parts_in_cents(after, last[1])
        cost = parts_in_cents(before, first[1], before=after, before_in_cents=cost_after)
    else:
        cost = parts_in_cents(before, first[1])
        cost_after = parts_in_cents(after, last[1], before=before, before_in_cents=cost)
    for number, record in enumerate(records):
        record.update(cost=cost[number], cost_after=cost_after[number], saving=cost[number] - cost_after[number])
    return frame_of(records, (*columns, "saving"))


def _calls_by_feature(situation: Situation) -> NDArray[np.float64]:
    """Number of calls held by feature, vanished ones included: what a row stands for."""

    def count() -> NDArray[np.float64]:
        axes = Axes.of(situation)
        return axes.by_feature(np.broadcast_to(np.float64(1), len(situation.workload)))

    return situation.memo.get(("calls by feature",), lambda: kept_for_good(situation, "calls by feature", (), count))
