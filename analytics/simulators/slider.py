"""A lever's cost along one slider, prepared once, so that a move is a look-up."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.rates_table import CLASS_PLACE
from analytics.simulators.situation import Memo, Situation
from analytics.simulators.waterfall import cents
from warehouse.rates import INPUT_COLUMNS

Result = TypeVar("Result")
_KEPT = 3
_KEPT_BYTES = 2**29


@dataclass(frozen=True, eq=False)
class Slider:
    """today: USD of the window without the lever. saved: USD of the window that a value saves. changed: how many calls (weighted) it changes."""

    today: float
    scale_to_month: float
    saved: Callable[[float], float]
    changed: Callable[[float], float]

    def cost(self, value: float) -> float:
        """USD of the window at this value."""
        return self.today - self.saved(value)

    def frame(self, values: Sequence[float], *, today: float | None = None) -> pd.DataFrame:
        """One row per value, as `analytics.simulators.curve.curve` has them: value, cost and saving (Decimal, USD per month,
        simulated), changed_calls, is_today."""
        base = cents(self.today * self.scale_to_month)
        rows: list[dict[str, Any]] = []
        for value in values:
            cost = cents(self.cost(value) * self.scale_to_month)
            changed = self.changed(value)
            rows.append(
                {
                    "value": value,
                    "cost": cost,
                    "saving": base - cost,
                    "changed_calls": changed,
                    "is_today": value == today if today is not None else changed == 0,
                }
            )
        return pd.DataFrame(rows, columns=["value", "cost", "saving", "changed_calls", "is_today"], dtype=object)


def kept(situation: Situation, name: str, key: Hashable, make: Callable[[], Result]) -> Result:
    """What a lever prepared for one state of the calls, made once: as `situation.memo`, but of each name only the last few are kept.

    With millions of calls such a thing is hundreds of megabytes, and a scenario goes through dozens of states.
    """
    few: Memo = situation.memo.get(name, lambda: Memo(_KEPT, _KEPT_BYTES))
    return few.get((key, situation.workload.stamp, situation.rates), make)


def dollars_per_token(
    situation: Situation, at: NDArray[np.int64], kinds: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """What one token of each class (`PRICE_CLASSES`) is worth in the sums, for the calls at these places: USD of the window.

    The list price at the call's own time and size, times what the call cost relative to its list price, times `Workload.money`: a change of tokens at
    the same model changes the sum by just that, as long as it does not move the call to another context tier. 0 where the cost or the
    list price is not known, and where `Workload.change` changes nothing.
    """
    workload = situation.workload
    rates = situation.rates.of(workload.models, workload.names["processing"])
    listed = rates.priced(workload, at)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(listed > 0, workload.cost[at] / listed, 0.0) * workload.money[at]
    factor = np.where(np.isfinite(factor) & (workload.active & ~workload.is_cache_hit)[at], factor, 0.0)
    size = np.zeros(len(at), dtype=np.int64)
    for column in INPUT_COLUMNS:
        size += getattr(workload, column)[at]
    if not len(rates.units):
        return {kind: np.zeros(len(at)) for kind in kinds}
    rows = rates.rows(workload.model[at], workload.processing[at], workload.started_at[at], size)
    return {
        kind: np.nan_to_num(rates.units[:, CLASS_PLACE[kind]][rows]) * np.where(rows >= 0, factor, 0.0)
        for kind in kinds
    }


@dataclass(frozen=True, eq=False)
class Excess:
    """Sum of weight x max(0, value - limit) over many values, for any limit: two look-ups in cumulative sums by distinct value."""

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    products: NDArray[np.float64]

    @staticmethod
    def of(values: NDArray[np.int64], weights: NDArray[np.float64]) -> Excess:
        """Prepared for these values, whole numbers that are not negative."""
        if len(values) and values.max() < _FEW:
            distinct, place = np.arange(int(values.max()) + 1), values
        else:
            distinct, place = np.unique(values, return_inverse=True)
        sums = np.bincount(place, weights=weights, minlength=len(distinct)).astype(np.float64)
        return Excess(distinct.astype(np.float64), _from_the_end(sums), _from_the_end(sums * distinct))

    def over(self, limit: float) -> float:
        """The sum at this limit."""
        place = int(np.searchsorted(self.values, limit, side="right"))
        return float(self.products[place] - limit * self.weights[place]) if place < len(self.values) else 0.0

    def weight(self, limit: float) -> float:
        """Sum of the weights of all values above the limit."""
        return float(self.weights[int(np.searchsorted(self.values, limit, side="right"))])


def _from_the_end(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum from each place to the end; one more element than values, the last 0."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])


_FEW = 1 << 20
"""Up to so many distinct values are counted in a table instead of being sorted."""
