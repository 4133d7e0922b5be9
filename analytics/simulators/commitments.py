"""Committing to an hourly spend for a discount, and reserving throughput: what is used of it, what is wasted, and where it breaks even.

A commitment of `level` USD (at on-demand prices) per hour with a discount d costs level x (1 - d) in every hour, used or not; what an hour
uses beyond it is paid on demand. It pays in the hours that use more than (1 - d) of it, so that the best level is the quantile d of the hourly use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import EVERY_CALL, Selection, checked, lever
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.to_the_cent import cents
from analytics.simulators.workload import CALL_CATEGORIES
from warehouse.errors import InputError

Floats = NDArray[np.float64]
_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Commitment:
    """USD. on_demand: cost without it. fee: what it costs. covered: use at on-demand prices that it pays for. beyond: paid on demand.

    wasted: part of the fee that no use drew on. utilization: covered / committed (None without a commitment). break_even: the
    utilization above which it saves.
    """

    on_demand: float
    fee: float
    covered: float
    beyond: float
    wasted: float
    utilization: float | None
    break_even: float

    @property
    def cost(self) -> float:
        """USD with the commitment."""
        return self.fee + self.beyond

    @property
    def saving(self) -> float:
        """USD saved; negative when it does not pay."""
        return self.covered - self.fee


def _check(hourly: Floats, level: float, discount: float) -> None:
    checked(level, "the commitment per hour", 0, math.inf)
    checked(discount, "the discount", 0, 1)
    if math.isinf(level) or not (np.isfinite(hourly).all() and (hourly >= 0).all()):
        raise InputError("the hourly use and the commitment must be numbers that are not negative")


def commitment(hourly: Floats, level: float, discount: float) -> Commitment:
    """A commitment on an hourly use in USD at on-demand prices. Raises InputError for negative figures and discounts outside 0 to 1."""
    _check(hourly, level, discount)
    used = np.minimum(hourly, level)
    covered, committed = float(used.sum()), level * len(hourly)
    return Commitment(
        float(hourly.sum()),
        committed * (1 - discount),
        covered,
        float((hourly - used).sum()),
        (committed - covered) * (1 - discount),
        covered / committed if committed else None,
        1 - discount,
    )


def best_level(hourly: Floats, discount: float) -> float:
    """The commitment per hour with the least cost: the use that is exceeded in the share 1 - discount of the hours."""
    _check(hourly, 0.0, discount)
    if not len(hourly) or discount == 0:
        return 0.0
    # The cost is piecewise linear with kinks at the hours' uses; its slope turns positive at this one.
    ordered = np.sort(hourly)
    return float(ordered[max(math.ceil(len(ordered) * discount - 1e-9) - 1, 0)])


def commitment_curve(hourly: Floats, levels: Floats, discount: float) -> pd.DataFrame:
    """One row per level: level, cost, saving, wasted (USD over the profile), utilization. Sorted once, a level is a look-up."""
    _check(hourly, float(np.max(levels, initial=0.0)), discount)
    ordered = np.sort(hourly)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    below = np.searchsorted(ordered, levels, side="right")
    covered = sums[below] + levels * (len(ordered) - below)
    committed = levels * len(ordered)
    return pd.DataFrame(
        {
            "level": levels,
            "cost": sums[-1] - covered + committed * (1 - discount),
            "saving": covered - committed * (1 - discount),
            "wasted": (committed - covered) * (1 - discount),
            "utilization": np.divide(covered, committed, out=np.full(len(levels), np.nan), where=committed > 0),
        }
    )


@dataclass(frozen=True)
class Provisioned:
    """fee: USD for the reserved units. beyond: USD on demand for what they could not serve. served: part of the tokens that they served."""

    fee: float
    beyond: float
    served: float | None

    @property
    def cost(self) -> float:
        """USD in all."""
        return self.fee + self.beyond


def provisioned(
    tokens: Floats, on_demand: Floats, *, units: float, unit_tokens_per_hour: float, unit_usd_per_hour: float
) -> Provisioned:
    """Reserved throughput against on demand, from hourly tokens and what they cost on demand (USD).

    What exceeds the units in an hour spills over and is paid on demand, at the hour's mean price.
    """
    checked(units, "the reserved units", 0, 1_000_000)
    checked(unit_tokens_per_hour, "the tokens that a unit serves per hour", 1, math.inf)
    checked(unit_usd_per_hour, "the price of a unit hour", 0, 1_000_000)
    spilled = np.maximum(tokens - units * unit_tokens_per_hour, 0)
    share = np.divide(spilled, tokens, out=np.zeros(len(tokens)), where=tokens > 0)
    whole = float(tokens.sum())
    return Provisioned(
        units * unit_usd_per_hour * len(tokens),
        float((on_demand * share).sum()),
        1 - float(spilled.sum()) / whole if whole else None,
    )


@lever
@dataclass(frozen=True)
class CommittedUse:
    """usd_per_hour: what is committed to, at today's prices, for every hour of the window; discount: on that.

    category: whose spend it covers, calls ("LLM API", "Embedding"; `calls` narrows them) or resources ("GPU inference"). Resources are billed by
    the day, whose cost is taken as even over its hours.
    """

    name: ClassVar[str] = "committed-use"
    title: ClassVar[str] = "Commitments"
    usd_per_hour: float = 0.0
    discount: float = 0.3
    category: str = "GPU inference"
    calls: Selection = EVERY_CALL

    def __post_init__(self) -> None:
        checked(self.usd_per_hour, "the commitment per hour", 0, 1_000_000)
        checked(self.discount, "the discount", 0, 1)

    @classmethod
    def neutral(cls) -> CommittedUse:
        return cls()

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        return np.zeros(len(situation.workload), dtype=bool)

    def apply(self, situation: Situation) -> Situation:
        if self.usd_per_hour == 0:
            return situation
        hourly, day = hourly_use(situation, self.category, self.calls)
        change = self.usd_per_hour * (1 - self.discount) - np.minimum(hourly, self.usd_per_hour)
        daily = np.bincount(day, weights=change, minlength=situation.window.days).astype(np.float64)
        infrastructure = situation.infrastructure
        for feature, part in _owners(situation, self.category):
            infrastructure = infrastructure.adding(
                CostLine(
                    self.category,
                    "Commitment: its fee less the use that it pays for",
                    None,
                    daily * part,
                    feature=feature,
                    kind="what-if",
                )
            )
        return situation.with_infrastructure(infrastructure)

    def assumptions(self) -> list[str]:
        return [
            f"{self.usd_per_hour:g} USD per hour of today's use is committed to in every hour, at {self.discount:.0%} less; "
            "what exceeds it costs as today.",
            "A commitment binds for its whole term, also when later changes make its use smaller: put it last in a scenario.",
            "What is paid today is on demand; a commitment that already covers it would be counted twice.",
        ]


def hourly_use(situation: Situation, category: str, calls: Selection = EVERY_CALL) -> tuple[Floats, NDArray[np.int32]]:
    """USD by hour of the window, and the day of each hour.

    Raises InputError when nothing of the category is paid for.
    """
    window = situation.window
    first, last = (int(window.midnights[place]) // _HOUR for place in (0, -1))
    hours = np.arange(first, last, dtype=np.int64)
    day = window.day_index(hours * _HOUR)
    hourly = np.zeros(len(hours))
    if category in CALL_CATEGORIES:
        hourly = kept_for_good(
            situation, CommittedUse.name, (category, calls), lambda: _spent(situation, category, calls, hours)
        )
    else:
        in_a_day = np.bincount(day, minlength=window.days)
        for line in situation.infrastructure.matching(category=category):
            hourly += (line.daily / in_a_day)[day]
    if not hourly.any():
        raise InputError(f"nothing of the category {category!r} is paid for in this period")
    # A refund may make a day negative; nobody commits to that.
    return np.maximum(hourly, 0), day


def _owners(situation: Situation, category: str) -> list[tuple[str | None, Floats]]:
    """Whose a commitment is: each feature (None: shared) with its part of every day's cost of the category's resources, in order of first lines.

    A day on which they cost nothing is owed as the whole window is. What covers calls is nobody's own: one commitment serves all of them.
    """
    costs: dict[str | None, Floats] = {}
    lines = () if category in CALL_CATEGORIES else situation.infrastructure.matching(category=category)
    for line in lines:
        costs[line.feature] = costs.get(line.feature, 0.0) + np.maximum(line.daily, 0)
    whole = sum(costs.values(), np.zeros(situation.window.days))
    if not whole.any():
        return [(None, np.ones(situation.window.days))]
    return [
        (feature, np.divide(daily, whole, out=np.full(len(whole), daily.sum() / whole.sum()), where=whole > 0))
        for feature, daily in costs.items()
    ]


def _spent(situation: Situation, category: str, calls: Selection, hours: NDArray[np.int64]) -> Floats:
    workload = situation.workload
    spent = workload.spent_by_category().get(category, np.zeros(len(workload)))
    at = np.clip(workload.started_at // _HOUR - hours[0], 0, len(hours) - 1)
    chosen = calls.mask(workload)
    return np.bincount(at[chosen], weights=spent[chosen], minlength=len(hours)).astype(np.float64)


def commitment_options(setting: CommittedUse, situation: Situation, steps: int = 41) -> pd.DataFrame:
    """Levels from 0 to the highest hourly use. Columns: level (USD per hour), cost, saving, wasted (Decimal, USD per month, simulated),
    utilization, is_best (the level that saves most)."""
    hourly, _day = hourly_use(situation, setting.category, setting.calls)
    best = best_level(hourly, setting.discount)
    levels = np.unique(np.append(np.linspace(0, float(hourly.max()), steps), best))
    frame = commitment_curve(hourly, levels, setting.discount).astype(
        {"cost": object, "saving": object, "wasted": object}
    )
    frame["is_best"] = frame["level"] == best
    for name in ("cost", "saving", "wasted"):
        frame[name] = frame[name].map(lambda amount: cents(amount * situation.window.scale_to_month))
    return frame
