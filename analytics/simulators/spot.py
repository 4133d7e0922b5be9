"""Spot capacity: how much longer work takes when it is interrupted and goes on from its last checkpoint, and what it then costs.

Interruptions come at random with a mean time `mean` between them (Poisson). A checkpoint takes `checkpoint`, a restart `restart`, and one is
written after every `every` of work; all in seconds. Time per work = mean x e^(restart / mean) x (e^((every + checkpoint) / mean) - 1) / every
(Daly 2006, eq. 20). Young (1974): every = sqrt(2 x checkpoint x mean).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import checked, lever
from analytics.simulators.situation import Situation
from warehouse.errors import InputError


def young(checkpoint: float, mean: float) -> float:
    """Work between checkpoints, first-order optimum."""
    return math.sqrt(2 * checkpoint * mean)


def daly(checkpoint: float, mean: float) -> float:
    """Work between checkpoints, Daly's higher-order optimum (2006, eq. 37)."""
    if checkpoint >= 2 * mean:
        return mean
    ratio = checkpoint / (2 * mean)
    return young(checkpoint, mean) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - checkpoint


def first_order_overhead(every: float, checkpoint: float, mean: float) -> float:
    """Lost time per work to first order: half an interval per interruption, and the checkpoints."""
    return every / (2 * mean) + checkpoint / every


def time_per_work(every: float, checkpoint: float, mean: float, restart: float = 0.0) -> float:
    """Expected time per unit of work, exactly; infinite where it overflows. Raises InputError for times that are not positive."""
    if not (every > 0 and mean > 0 and checkpoint >= 0 and restart >= 0):
        raise InputError("times between checkpoints and interruptions must be more than 0, and no time may be negative")
    try:
        return mean * math.exp(restart / mean) * math.expm1((every + checkpoint) / mean) / every
    except OverflowError:
        return math.inf


def best_interval(checkpoint: float, mean: float, restart: float = 0.0) -> float:
    """Work between checkpoints with the least `time_per_work`, by golden section (it has one minimum); restarts do not move it."""
    if not checkpoint > 0:
        raise InputError("with free checkpoints there is no best interval: write one always")
    low, high, golden = 1e-9 * mean, 20 * mean, (math.sqrt(5) - 1) / 2
    while high - low > 1e-9 * mean:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if time_per_work(left, checkpoint, mean, restart) < time_per_work(right, checkpoint, mean, restart):
            high = right
        else:
            low = left
    return (low + high) / 2


@dataclass(frozen=True)
class Replay:
    """A job on a trace of capacity, in the trace's unit: billed while it ran, finished so long after the start (None: not within the trace)."""

    billed: float
    finished: float | None
    interruptions: int


def replay(available: Sequence[tuple[float, float]], work: float, *, every: float, restart: float = 0.0) -> Replay:
    """A job of `work` on intervals (from, to) when capacity was there: each run restarts, then works; what was done since the last
    multiple of `every` is lost when the run ends. Checkpoints themselves take no time here."""
    checked(every, "the time between checkpoints", 1e-9, float("inf"))
    saved, billed, interruptions = 0.0, 0.0, 0
    for start, end in available:
        ready = start + restart
        if ready + (work - saved) <= end:
            return Replay(billed + restart + work - saved, ready + work - saved, interruptions)
        billed += end - start
        interruptions += 1
        saved += math.floor(max(0.0, end - ready) / every) * every
    return Replay(billed, None, interruptions)


def serving_cost(
    load: NDArray[np.float64], on_demand: float, ratio: float, *, floor: float = 0.0, extra: float = 0.0
) -> float:
    """USD of serving `load` replicas by hour, `floor` of them always on demand and the rest, with `extra` as a share on top, on spot."""
    checked(ratio, "the price of spot against on demand", 0, 1)
    fixed = np.minimum(load, floor)
    return float((fixed * on_demand + (load - fixed) * (1 + extra) * on_demand * ratio).sum())


@lever
@dataclass(frozen=True)
class Spot:
    """Resources of one category move to spot capacity and repeat what interruptions lose.

    price_ratio: spot price / price paid today (1: stay). hours_between: mean hours between interruptions. on_demand_share: part of the hours that
    stays on demand. Checkpoints at Daly's interval, or after `every_seconds` of work.
    """

    name: ClassVar[str] = "spot"
    title: ClassVar[str] = "Spot capacity"
    price_ratio: float = 1.0
    category: str = "GPU inference"
    resources: tuple[str, ...] = ()
    hours_between: float = 6.0
    checkpoint_seconds: float = 60.0
    restart_seconds: float = 300.0
    every_seconds: float | None = None
    on_demand_share: float = 0.0

    def __post_init__(self) -> None:
        checked(self.price_ratio, "the price of spot against today's", 0, 1)
        checked(self.hours_between, "the hours between interruptions", 0.01, 100_000)
        checked(self.checkpoint_seconds, "the seconds of a checkpoint", 0.001, 86_400)
        checked(self.restart_seconds, "the seconds of a restart", 0, 86_400)
        checked(self.on_demand_share, "the share that stays on demand", 0, 1)
        if self.every_seconds is not None:
            checked(self.every_seconds, "the seconds of work between checkpoints", 1, 10_000_000)

    @classmethod
    def neutral(cls) -> Spot:
        return cls()

    @property
    def every(self) -> float:
        """Seconds of work between checkpoints."""
        return self.every_seconds or daly(self.checkpoint_seconds, self.hours_between * 3600)

    @property
    def cost_ratio(self) -> float:
        """Cost afterwards against today's."""
        longer = time_per_work(self.every, self.checkpoint_seconds, self.hours_between * 3600, self.restart_seconds)
        return self.on_demand_share + (1 - self.on_demand_share) * self.price_ratio * longer

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return np.zeros(len(situation.workload), dtype=bool)

    def apply(self, situation: Situation) -> Situation:
        if self.price_ratio == 1:
            return situation
        ratio = self.cost_ratio
        if not math.isfinite(ratio):
            raise InputError("with interruptions so frequent the work never ends: choose shorter intervals")
        chosen = set(situation.infrastructure.matching(category=self.category))
        if self.resources:
            chosen = {line for line in chosen if line.resource in self.resources}
        if not chosen:
            raise InputError(f"no resource of the category {self.category!r} is paid for in this period")

        def change(line: CostLine) -> CostLine:
            return line.costing(line.cost * ratio) if line in chosen else line

        return situation.with_infrastructure(situation.infrastructure.mapped(change))

    def assumptions(self) -> list[str]:
        return [
            f"Interruptions come at random, one in {self.hours_between:g} hours; a checkpoint is written after every "
            f"{self.every / 60:.0f} minutes of work.",
            "Capacity is there whenever it is asked for; when it is not, the work ends later, which costs no money here.",
            "Today's price is the on-demand price.",
        ]
