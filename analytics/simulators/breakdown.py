"""Sums of what calls cost, along all that a what-if shows of them: by feature and day, and by feature and group of users.

Millions of calls become two small tables. A range over days and users, a breakdown by feature and a headline are then worked out from the
tables alone, and tables of several amounts can be added and scaled instead of going through the calls again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.bootstrap import user_groups
from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.workload import Workload

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sums:
    """by_day: USD [..., feature, day of the window]; by_group: the same USD [..., feature, group of users]. Place 0 of the features: calls that name
    none; place 0 of the groups: calls whose user is not known. Axes before these are those of `Axes.sums`.
    """

    by_day: Floats
    by_group: Floats

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.by_day + other.by_day, self.by_group + other.by_group)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.by_day - other.by_day, self.by_group - other.by_group)

    def __mul__(self, factor: float) -> Sums:
        return Sums(self.by_day * factor, self.by_group * factor)

    def __getitem__(self, place: Any) -> Sums:
        """The tables at a place of the axes before features."""
        return Sums(self.by_day[place], self.by_group[place])

    def cumulated(self) -> Sums:
        """At each step, the sums up to and with it."""
        return Sums(np.cumsum(self.by_day, axis=0), np.cumsum(self.by_group, axis=0))

    def of(self, features: NDArray[np.bool_]) -> Sums:
        """The same tables with 0 for all other features."""
        return Sums(self.by_day * features[:, None], self.by_group * features[:, None])

    @property
    def by_feature(self) -> Floats:
        """USD [..., feature]."""
        sums: Floats = self.by_day.sum(axis=-1)
        return sums

    @property
    def total(self) -> float:
        """USD of all."""
        return float(self.by_day.sum())


@dataclass(frozen=True, eq=False)
class Axes:
    """Where each call is counted (int32): `by_day` = feature x days + day, `by_group` = feature x groups + group, with 0 for what is not known.

    The places of the calls are worked out when something is counted: sums that were prepared only need to know how many there are.
    """

    features: int
    days: int
    groups: int
    workload: Workload

    @staticmethod
    def of(situation: Situation) -> Axes:
        """The axes of these calls, prepared once: the same in all states of them."""

        def make() -> Axes:
            workload = situation.workload
            groups = kept_for_good(situation, "groups of users", (), lambda: user_groups(workload.user)[1])
            return Axes(len(workload.names["feature"]) + 1, workload.window.days, groups + 1, workload)

        return situation.memo.get(("axes",), make)

    @cached_property
    def feature(self) -> NDArray[np.int32]:
        """Feature of each call, from 1 on; 0: it names none."""
        return self.workload.feature.astype(np.int32) + np.int32(1)

    @cached_property
    def by_day(self) -> NDArray[np.int32]:
        """Place of each call in a table of features and days."""
        return self.feature * np.int32(self.days) + self.workload.day.astype(np.int32)

    @cached_property
    def by_group(self) -> NDArray[np.int32]:
        """Place of each call in a table of features and groups of users."""
        groups, _ = user_groups(self.workload.user)
        return self.feature * np.int32(self.groups) + (groups.astype(np.int32) + np.int32(1))

    def sums(
        self, values: Floats, at: NDArray[np.int64] | None = None, step: NDArray[Any] | None = None, steps: int = 1
    ) -> Sums:
        """Sums of an amount per call, of the calls at the places `at` (None: all); with `step`, a number below `steps` for each, apart by it."""
        shape = () if step is None else (steps,)
        return Sums(
            _counted(self.by_day, self.features * self.days, values, at, step, steps).reshape(
                *shape, self.features, self.days
            ),
            _counted(self.by_group, self.features * self.groups, values, at, step, steps).reshape(
                *shape, self.features, self.groups
            ),
        )

    def by_feature(
        self, values: Floats, at: NDArray[np.int64] | None = None, step: NDArray[Any] | None = None, steps: int = 1
    ) -> Floats:
        """Sums [feature] or [step, feature] of an amount per call, which need not be money."""
        shape = (self.features,) if step is None else (steps, self.features)
        return _counted(self.feature, self.features, values, at, step, steps).reshape(shape)

    def nothing(self, *shape: int) -> Sums:
        """Tables of zeros."""
        return Sums(np.zeros((*shape, self.features, self.days)), np.zeros((*shape, self.features, self.groups)))


def _counted(
    codes: NDArray[np.int32],
    size: int,
    values: Floats,
    at: NDArray[np.int64] | None,
    step: NDArray[Any] | None,
    steps: int,
) -> Floats:
    place = (codes if at is None else codes[at]).astype(np.intp)
    if step is not None:
        place += np.multiply(step, size, dtype=np.intp)
    found: Floats = np.bincount(place, weights=values, minlength=size * steps).astype(np.float64)
    return found


@dataclass(frozen=True, eq=False)
class Totals:
    """A state of the calls and cost lines, USD of the window.

    costs: by cost category. daily: [day], all of it; by_group: [group of users], the calls' part. feature_cost and feature_calls: [feature], of calls
    alone, the latter weighted, as many as are still made.
    """

    costs: dict[str, float]
    daily: Floats
    by_group: Floats
    feature_cost: Floats
    feature_calls: Floats
    infrastructure: Infrastructure


def totals_of(state: Situation, axes: Axes) -> Totals:
    """The totals of any state of the calls that the axes are of."""
    workload = state.workload
    sums = axes.sums(workload.spent())
    daily = sums.by_day.sum(axis=0)
    for line in state.infrastructure.lines:
        daily = daily + line.daily
    return Totals(
        costs=state.costs(),
        daily=daily,
        by_group=sums.by_group.sum(axis=0),
        feature_cost=sums.by_feature,
        feature_calls=axes.by_feature(np.where(workload.active, workload.weight, 0.0)),
        infrastructure=state.infrastructure,
    )
