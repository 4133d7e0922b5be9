"""What a product pays beside its calls: GPUs, the vector database, storage; and what bills charge for models that no call explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import InputError


@dataclass(frozen=True, eq=False)
class CostLine:
    """One resource's cost in the window: `daily` is USD by day (float64, one per day of the window).

    hours: what it ran in the window (None: not known). kind: "resource"; "not traced" (a provider's bill for models that no call explains);
    "credit"; or "what-if" (put there by a lever). feature: whose it is, where the bill says. model: the model that a line "not traced" charges for,
    where the bill says.
    """

    category: str
    service: str
    resource: str | None
    daily: NDArray[np.float64]
    hours: float | None = None
    provider: str | None = None
    feature: str | None = None
    kind: str = "resource"
    model: str | None = None

    @cached_property
    def cost(self) -> float:
        """USD of the window."""
        return float(self.daily.sum())

    def costing(self, cost: float, hours: float | None = None) -> CostLine:
        """The same line at another cost of the window, spread over the days as before (evenly, where there was none)."""
        if not np.isfinite(cost):
            raise InputError(f"the new cost of {self.service} is not a number")
        if cost == self.cost:
            return self if hours in (None, self.hours) else replace(self, hours=hours)
        whole = self.cost
        daily = self.daily * (cost / whole) if whole else np.full(len(self.daily), cost / len(self.daily))
        return replace(self, daily=daily, hours=self.hours if hours is None else hours)


@dataclass(frozen=True, eq=False)
class Infrastructure:
    """The cost lines of a situation. Levers replace lines; what they do not touch stays."""

    lines: tuple[CostLine, ...] = ()

    def matching(
        self, category: str | None = None, resource: str | None = None, service: str | None = None
    ) -> tuple[CostLine, ...]:
        """Lines of kind "resource" or "what-if" of this category, resource and service (None: any)."""
        return tuple(
            line
            for line in self.lines
            if line.kind in {"resource", "what-if"}
            and category in (None, line.category) and resource in (None, line.resource) and service in (None, line.service)
        )  # fmt: skip

    def cost(self, category: str | None = None) -> float:
        """USD of the window, of one category or of all."""
        return float(sum(line.cost for line in self.lines if category in (None, line.category)))

    def mapped(self, change: Callable[[CostLine], CostLine | None]) -> Infrastructure:
        """Every line put through `change`; None leaves the line out. The same object when nothing changed."""
        changed = [change(line) for line in self.lines]
        if all(new is old for new, old in zip(changed, self.lines, strict=True)):
            return self
        return Infrastructure(tuple(line for line in changed if line is not None))

    def adding(self, line: CostLine) -> Infrastructure:
        """With one more line (a lever's: kind "what-if")."""
        return Infrastructure((*self.lines, line))
