"""What a scenario does, lever by lever: cost after each, what each saves, alone and where it stands, and how sure that is.

All money is simulated, USD per month, rounded to cents. Total costs are rounded once, and their parts, by category and by feature, so that they
add up to them (`to_the_cent`); savings are differences of rounded costs, so that today's cost minus what the levers add up to is the cost at the
end, to the cent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from analytics.simulators.bootstrap import Range
from analytics.simulators.lever import Lever
from analytics.simulators.to_the_cent import cents

LABEL = "simulated"


@dataclass(frozen=True)
class Step:
    """One lever in its place.

    costs: USD per month by cost category after it. added: what it saves here, after the levers before it. alone: what it would save as the only
    one. touched, changed: calls (weighted, of the window) that it may change, and that it does. kept: calls that had to keep their
    logged cost, because their model has no list price. sampling_error: standard error of `added` from sampling (0: all calls are replayed).
    """

    lever: Lever
    costs: dict[str, Decimal]
    added: Decimal
    alone: Decimal
    added_range: Range
    touched: float
    changed: float
    kept: int
    sampling_error: float

    @property
    def total(self) -> Decimal:
        """USD per month after this lever."""
        return sum(self.costs.values(), Decimal(0))

    @property
    def added_low(self) -> Decimal:
        """Lower end of the range of `added`, in cents; never above it."""
        return min(cents(self.added_range.low), self.added)

    @property
    def added_high(self) -> Decimal:
        """Upper end of the range of `added`, in cents; never below it, nor above what is paid before this lever (of the days drawn some months
        cost more than today's, and would save more)."""
        return max(min(cents(self.added_range.high), self.total + self.added), self.added)


@dataclass(frozen=True)
class Waterfall:
    """A scenario's outcome. `evidence(place, limit)` lists the calls that the lever at `place` changes most."""

    base: dict[str, Decimal]
    steps: tuple[Step, ...]
    saving_range: Range
    end_range: Range
    by_feature: pd.DataFrame
    notes: tuple[str, ...]
    confidence: float
    window_days: int
    scale_to_month: float
    unknown_calls: float
    evidence: Callable[..., pd.DataFrame]

    @property
    def today(self) -> Decimal:
        """USD per month without any lever."""
        return sum(self.base.values(), Decimal(0))

    @property
    def end(self) -> Decimal:
        """USD per month with all levers."""
        return self.steps[-1].total if self.steps else self.today

    @property
    def end_costs(self) -> dict[str, Decimal]:
        """USD per month by cost category with all levers."""
        return self.steps[-1].costs if self.steps else self.base

    @property
    def saving(self) -> Decimal:
        """USD per month that all levers together save; negative: they cost more than they save."""
        return self.today - self.end

    @property
    def saving_low(self) -> Decimal:
        """Lower end of the range of `saving`, in cents."""
        return min(cents(self.saving_range.low), self.saving)

    @property
    def saving_high(self) -> Decimal:
        """Upper end of the range of `saving`, in cents; like `Step.added_high` never above what is paid today."""
        return max(min(cents(self.saving_range.high), self.today), self.saving)

    @property
    def alone_sum(self) -> Decimal:
        """The savings of each lever as the only one, added up: what the scenario does not save."""
        return sum((step.alone for step in self.steps), Decimal(0))

    @property
    def interaction(self) -> Decimal:
        """saving - alone_sum: negative where levers act on the same money, positive where one makes room for another."""
        return self.saving - self.alone_sum

    @property
    def categories(self) -> tuple[str, ...]:
        """All cost categories, the dearest today first."""
        names = dict.fromkeys([*self.base, *(name for step in self.steps for name in step.costs)])
        return tuple(sorted(names, key=lambda name: -self.base.get(name, Decimal(0))))

    def frame(self) -> pd.DataFrame:
        """One row for today and one per lever, in order.

        Columns: step (0: today), lever, title, total, added, added_low, added_high, alone, interaction (added - alone), touched_calls,
        changed_calls, kept_calls, basis ("simulated"; today: "actual"), and a column of USD per month for each category. Money is Decimal.
        """
        rows: list[dict[str, Any]] = [self._row(0, None, self.base)]
        rows += [self._row(place, step, step.costs) for place, step in enumerate(self.steps, 1)]
        return pd.DataFrame(rows, dtype=object)

    def _row(self, place: int, step: Step | None, costs: dict[str, Decimal]) -> dict[str, Any]:
        by_category = {name: costs.get(name, Decimal("0.00")) for name in self.categories}
        return {
            "step": place,
            "lever": step.lever.name if step else None,
            "title": step.lever.title if step else "Today",
            "total": sum(costs.values(), Decimal(0)),
            "added": step.added if step else None,
            "added_low": step.added_low if step else None,
            "added_high": step.added_high if step else None,
            "alone": step.alone if step else None,
            "interaction": step.added - step.alone if step else None,
            "touched_calls": step.touched if step else None,
            "changed_calls": step.changed if step else None,
            "kept_calls": step.kept if step else None,
            "basis": LABEL if step else "actual",
            **by_category,
        }

    def record(self) -> dict[str, Any]:
        """The whole outcome as plain values for JSON: money as exact decimal strings, shares as numbers."""
        return {
            "basis": LABEL,
            "currency": "USD",
            "per": "month",
            "window_days": self.window_days,
            "scale_to_month": self.scale_to_month,
            "confidence": self.confidence,
            "today": {"total": str(self.today), "by_category": _words(self.base)},
            "steps": [
                {
                    "lever": step.lever.name,
                    "title": step.lever.title,
                    "total": str(step.total),
                    "by_category": _words(step.costs),
                    "added": str(step.added),
                    "added_low": str(step.added_low),
                    "added_high": str(step.added_high),
                    "alone": str(step.alone),
                    "touched_calls": step.touched,
                    "changed_calls": step.changed,
                    "kept_calls": step.kept,
                    "sampling_error": step.sampling_error,
                    "assumptions": step.lever.assumptions(),
                }
                for step in self.steps
            ],
            "end": {"total": str(self.end), "by_category": _words(self.end_costs)},
            "saving": str(self.saving),
            "saving_low": str(self.saving_low),
            "saving_high": str(self.saving_high),
            "saving_share": float(self.saving / self.today) if self.today else None,
            "alone_sum": str(self.alone_sum),
            "interaction": str(self.interaction),
            "unknown_calls": self.unknown_calls,
            "notes": list(self.notes),
        }


def _words(costs: dict[str, Decimal]) -> dict[str, str]:
    return {name: str(cost) for name, cost in costs.items()}
