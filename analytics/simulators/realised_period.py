"""A period as a plan's account needs it: its calls in cells, and by category and day what is paid beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.lever import Lever
from analytics.simulators.realised_cells import Cells, Common, cells_of, joined
from analytics.simulators.situation import Situation
from analytics.simulators.workload import EMBEDDING, LLM_API

Floats = NDArray[np.float64]
Daily = dict[str, Floats]
"""USD by category, one per day."""


@dataclass(frozen=True, eq=False)
class Period:
    """Days as they were: calls in cells, and by category what is paid beside them a day (`resources`: what levers act on; `fixed`: credits and bills
    that no call explains). load: by day, requests of the GPUs' log and how busy they were, 0 to 1 (None: not logged)."""

    cells: Cells
    resources: Daily
    fixed: Daily
    load: tuple[Floats, Floats] | None

    @property
    def days(self) -> int:
        """Number of days."""
        return self.cells.days

    def between(self, first: int, last: int) -> Period:
        """The days from `first` to `last` (indices, inclusive) alone."""
        part = slice(first, last + 1)
        return Period(
            self.cells.between(first, last), {name: daily[part] for name, daily in self.resources.items()},
            {name: daily[part] for name, daily in self.fixed.items()},
            None if self.load is None else (self.load[0][part], self.load[1][part]),
        )  # fmt: skip

    def without(self, block: NDArray[np.int64]) -> Period:
        """The period without some days, as if it had been so much shorter."""
        kept = np.setdiff1d(np.arange(self.days), block)
        return Period(
            self.cells.without(block), {name: daily[kept] for name, daily in self.resources.items()},
            {name: daily[kept] for name, daily in self.fixed.items()},
            None if self.load is None else (self.load[0][kept], self.load[1][kept]),
        )  # fmt: skip


def period_of(situations: Sequence[Situation], levers: Sequence[Lever], common: Common) -> Period:
    """Situations that follow each other day by day as one period for `measure`, in the codes of `common`: those of both periods (`in_common`)."""
    models, processings, features = common
    parts = []
    for situation in situations:
        rates, days = situation.rates.of(models, processings), situation.window.days
        parts.append(
            Period(
                cells_of(situation.workload, levers, rates, features),
                _by_category(situation.infrastructure, True, days),
                _by_category(situation.infrastructure, False, days),
                _load(situation),
            )
        )
    loads = [part.load for part in parts if part.load is not None]
    load = (
        tuple(np.concatenate([each[place] for each in loads]) for place in (0, 1)) if len(loads) == len(parts) else None
    )
    return Period(
        joined([part.cells for part in parts]), _joined([part.resources for part in parts], parts),
        _joined([part.fixed for part in parts], parts), load,  # type: ignore[arg-type]
    )  # fmt: skip


def _joined(daily: Sequence[Daily], parts: Sequence[Period]) -> Daily:
    names = dict.fromkeys(name for each in daily for name in each)
    return {
        name: np.concatenate([each.get(name, np.zeros(part.days)) for each, part in zip(daily, parts, strict=True)])
        for name in names
    }


def capacity_factor(base: Period, actual: Period) -> float:
    """How much more the baseline's GPUs would have cost under the actual load: nothing until they would have been full, then in proportion.

    Where their load is not logged, 1: they are paid by the hour.
    """
    if base.load is None or actual.load is None:
        return 1.0
    before, busy, now = float(base.load[0].mean()), float(np.nanmean(base.load[1])), float(actual.load[0].mean())
    return max(1.0, now / before * busy) if before > 0 else 1.0


def daily_calls(cells: pd.DataFrame, days: int) -> Daily:
    """What cells cost, by category and day."""
    day, cost, embeds = (cells[name].to_numpy() for name in ("day", "cost", "embeds"))
    return {
        LLM_API: np.bincount(day[~embeds], weights=cost[~embeds], minlength=days).astype(np.float64),
        EMBEDDING: np.bincount(day[embeds], weights=cost[embeds], minlength=days).astype(np.float64),
    }


def totals(period: Period) -> dict[str, float]:
    """USD of the period by category."""
    sums = {name: float(daily.sum()) for name, daily in daily_calls(period.cells.frame, period.days).items()}
    for part in (period.resources, period.fixed):
        for name, daily in part.items():
            sums[name] = sums.get(name, 0.0) + float(daily.sum())
    return {name: cost for name, cost in sums.items() if cost or name == LLM_API}


def _by_category(infrastructure: Infrastructure, acted_on: bool, days: int) -> Daily:
    found: Daily = {}
    for line in infrastructure.lines:
        if (line.kind in {"resource", "what-if"}) == acted_on:
            found[line.category] = found.get(line.category, np.zeros(days)) + line.daily
    return found


def _load(situation: Situation) -> tuple[Floats, Floats] | None:
    table, days = situation.utilization, situation.window.days
    if table.empty or table["requests"].isna().all() or table["gpu_utilization"].isna().all():
        return None
    moments = table["hour"].to_numpy().astype("datetime64[us]").astype(np.int64)
    day = situation.window.day_index(moments)
    requests, busy = (table[name].astype(float).fillna(0.0).to_numpy() for name in ("requests", "gpu_utilization"))
    hours = np.bincount(day, minlength=days)
    sums = np.bincount(day, weights=busy, minlength=days)
    mean = np.divide(sums, hours, out=np.full(days, np.nan), where=hours > 0)
    return np.bincount(day, weights=requests, minlength=days).astype(np.float64), mean
