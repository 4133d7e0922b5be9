"""More calls than fit: a sample stratified by day, feature and model, with weights, whose costs are exact per stratum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from analytics.frames import rows_of
from analytics.simulators.workload import Workload
from warehouse.reader import Warehouse

LEAST = 30
"""Calls a day that are expected, on average, of each feature and model; all of them, where there are fewer."""

_STEPS = 2**30


@dataclass(frozen=True)
class Sampling:
    """Which share of each feature's and model's calls is drawn, and what each stratum holds in truth.

    shares: by (feature, provider, model). strata: by (date, feature, provider, model): number of calls, and their known cost in USD.
    """

    shares: dict[tuple[str | None, str | None, str | None], float]
    strata: dict[tuple[date, str | None, str | None, str | None], tuple[int, float]]

    def drawn(self, calls: ir.Table) -> ir.Table:
        """The calls of the sample: those whose hashed id falls below their share; the same ones every time."""
        usual = min(self.shares.values())
        branches = []
        for (feature, provider, model), share in self.shares.items():
            if share != usual:
                names = ((calls.feature, feature), (calls.provider, provider), (calls.model, model))
                same = [column.isnull() if name is None else column == name for column, name in names]
                branches.append((same[0] & same[1] & same[2], int(share * _STEPS)))
        steps = ibis.cases(*branches, else_=int(usual * _STEPS)) if branches else ibis.literal(int(usual * _STEPS))
        number = calls.call_id.hash() & ibis.literal(_STEPS - 1, "int64")
        return calls.filter((number < steps).fill_null(False))


def plan_sample(warehouse: Warehouse, counted: ir.Table, limit: int) -> Sampling:
    """How to draw about `limit` of the calls that `counted` (rows of `calls_daily`) counts."""
    rows = rows_of(
        warehouse,
        counted.group_by("date", "feature", "provider", "model").agg(
            calls=counted.calls.sum().cast("int64"), cost=counted.cost.sum().cast("float64")
        ),
    )
    population = sum(row["calls"] for row in rows)
    groups: dict[Any, list[int]] = {}
    for row in rows:
        groups.setdefault((row["feature"], row["provider"], row["model"]), []).append(row["calls"])
    even = limit / population
    least = {group: min(1.0, LEAST * len(days) / max(sum(days), 1)) for group, days in groups.items()}
    # Small groups take more than their part; the large ones give it back, down to a quarter of theirs.
    taken = sum(sum(groups[group]) * share for group, share in least.items() if share > even)
    rest = sum(sum(groups[group]) for group, share in least.items() if share <= even)
    usual = min(even, max(even / 4, (limit - taken) / rest)) if rest else even
    shares = {group: max(usual, share) for group, share in least.items()}
    strata = {
        (row["date"], row["feature"], row["provider"], row["model"]): (row["calls"], row["cost"] or 0.0) for row in rows
    }
    return Sampling(shares, strata)


@dataclass(frozen=True, eq=False)
class Calibration:
    """stratum: of each call (int32). weight and money: of the calls of each stratum. population: calls that the sample stands for."""

    stratum: NDArray[np.int32]
    weight: NDArray[np.float64]
    money: NDArray[np.float64]
    population: int


def calibrated(workload: Workload, calibration: Calibration) -> Workload:
    """The sample with its weights."""
    return replace(
        workload,
        weight=calibration.weight[calibration.stratum],
        money=calibration.money[calibration.stratum],
        stratum=calibration.stratum,
        population=calibration.population,
    )


def calibrate(workload: Workload, sampling: Sampling, population: int) -> Calibration:
    """The weights of a sample: each stratum's calls are counted as often as it has calls, and its cost is the stratum's own.

    A stratum of which nothing was drawn goes, with its calls and cost, to the same feature and model on the other days.
    """
    features, models = [*workload.names["feature"], None], workload.models
    days = workload.window.days
    group = workload.feature.astype(np.int64) % len(features) * len(models) + workload.model
    code = group * days + workload.day
    held, stratum = np.unique(code, return_inverse=True)
    drawn = np.bincount(stratum).astype(np.float64)
    cost = np.bincount(stratum, weights=np.nan_to_num(workload.cost, nan=0.0))
    truth_calls, truth_cost = np.zeros(len(held)), np.zeros(len(held))
    place = {int(value): position for position, value in enumerate(held)}
    feature_code = {name: position for position, name in enumerate(features)}
    for (day, feature, provider, model), (calls, known) in sampling.strata.items():
        index = (day - workload.window.first).days
        if feature not in feature_code or (provider, model) not in models:
            continue
        group_code = feature_code[feature] * len(models) + models.index((provider, model))
        at = place.get(group_code * days + index)
        targets = (
            [at]
            if at is not None
            else [place[v] for v in range(group_code * days, (group_code + 1) * days) if v in place]
        )
        for target in targets:
            truth_calls[target] += calls / len(targets)
            truth_cost[target] += known / len(targets)
    weight = truth_calls / drawn
    money = np.divide(truth_cost, cost, out=weight.copy(), where=cost > 0)
    return Calibration(stratum.astype(np.int32), weight, money, population)
