"""What a plan really saved, lever by lever: the calls and bills since its start against what they would have cost without each lever.

From the baseline's cost, scaled to as many days, to the actual cost, exactly, in USD:

    baseline - actual = realised by each lever + volume + prices + not explained

* **Realised**: the levers are taken back from the actual calls one after the other, the last of the plan first (`realised_undo`), so that each is
  measured where it stands in the plan. What is paid by the hour or the month (GPUs, vector database, commitments) is measured by its category: the
  baseline's cost per day, volume-adjusted, less the actual cost.
* **Volume**: the baseline's cost of each feature times the change of its requests per day; answers of a cache are requests, repeats of cut answers
  are not. Negative: more requests. A feature that the baseline does not know is volume as a whole. GPUs take more load at no cost until the
  baseline's would have been full (`capacity_factor`); the rest is paid by the day.
* **Prices**: the same tokens at the baseline's list prices and discounts. Negative: prices rose.
* **Not explained**: what is left, by category, always shown: other sizes of prompts, other customers, changes that no plan names.

Ranges: the days since the start are drawn in blocks (`bootstrap`), and the baseline's habits vary as its weeks do (a jackknife over blocks of days).
They say how much other days would have told otherwise, not whether something else than the lever did it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from statistics import NormalDist
from typing import Literal

import numpy as np
import pandas as pd

from analytics.simulators.adopted_plans import Plan
from analytics.simulators.bootstrap import CONFIDENCE, Range, interval
from analytics.simulators.commitments import CommittedUse
from analytics.simulators.gpu_rightsizing import GPU_CATEGORY, GpuRightsizing
from analytics.simulators.lever import Lever
from analytics.simulators.rag import Rag
from analytics.simulators.realised_period import Daily, Floats, Period, capacity_factor, daily_calls, totals
from analytics.simulators.realised_undo import Yardstick, acts_on_calls, undone
from analytics.simulators.self_host import SelfHost
from analytics.simulators.spot import Spot
from analytics.simulators.to_the_cent import cents as rounded
from analytics.simulators.vector_database import CATEGORY as VECTOR_CATEGORY
from analytics.simulators.vector_database import VectorDatabase
from analytics.simulators.volume import Volume
from analytics.simulators.workload import CALL_CATEGORIES, EMBEDDING, LLM_API
from warehouse.errors import InputError

Status = Literal["too early", "no evidence", "behind", "on track", "ahead", "growth", "not measured"]

EARLY = 7
"""Complete days under which nothing is said about a lever."""

TOLERANCE = 0.1
"""A lever is on track while its realised saving lies within this part of what was expected at the actual volume."""

ZERO = Decimal("0.00")


@dataclass(frozen=True)
class RealisedLever:
    """One lever since the start, USD of the tracked days.

    planned: what the plan expected of these days; expected: the same at the actual volume. realised, with its range from low to high; by_category.
    """

    name: str
    title: str
    planned: Decimal
    expected: Decimal
    realised: Decimal
    low: Decimal
    high: Decimal
    by_category: dict[str, Decimal]
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Realised:
    """A plan's account over `days` complete days; all money is USD of these days, Decimal, in cents.

    baseline - actual = sum of the levers' realised + volume + prices + residual, to the cent, in sum and by category.
    """

    plan: Plan
    first: date
    last: date
    days: int
    levers: tuple[RealisedLever, ...]
    baseline: dict[str, Decimal]
    actual: dict[str, Decimal]
    volume: dict[str, Decimal]
    prices: dict[str, Decimal]
    residual: dict[str, Decimal]
    low: Decimal
    high: Decimal
    daily: pd.DataFrame = field(repr=False)
    unknown_calls: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def realised(self) -> Decimal:
        """USD that the levers saved in these days."""
        return sum((lever.realised for lever in self.levers), ZERO)

    @property
    def planned(self) -> Decimal:
        """USD that the plan expected of these days, of levers that save (growth is none)."""
        return sum((lever.planned for lever in self.levers if lever.status != "growth"), ZERO)

    @property
    def expected(self) -> Decimal:
        """The same at the actual volume."""
        return sum((lever.expected for lever in self.levers if lever.status != "growth"), ZERO)

    @property
    def status(self) -> Status:
        """Where the plan as a whole stands."""
        return _status(self.days, float(self.expected), float(self.realised), float(self.low), float(self.high))


def measure(
    plan: Plan, base: Period, actual: Period, *, growth: Mapping[int, Floats] | None = None, notes: Sequence[str] = ()
) -> Realised:
    """The account of a plan over the days of `actual`. `growth`: active people of each day relative to the baseline's mean, by place of a lever that
    switches calls off.

    Raises InputError when the baseline holds neither a call nor a cost.
    """
    levers = plan.scenario.enabled
    if len(levers) != len(plan.planned):
        raise InputError(f"the plan {plan.name!r} is damaged: its levers and what they were expected to save differ")
    if not len(base.cells.frame) and not base.resources:
        raise InputError(
            f"the days that the plan {plan.name!r} is compared with hold neither a call nor a cost any more"
        )
    said = list(notes)
    saved, undone_cells = _taken_back(plan, base, actual, growth or {}, said)
    days, scale = actual.days, actual.days / base.days
    baseline = {name: cost * scale for name, cost in totals(base).items()}
    spent = totals(actual)
    volume, prices = _volume_of_calls(base, actual, undone_cells), _price_of_calls(base, actual, undone_cells)
    for name, each_day in base.resources.items():
        factor = capacity_factor(base, actual) if name == GPU_CATEGORY else 1.0
        volume[name] = volume.get(name, 0.0) + float(each_day.sum()) * scale * (1 - factor)
    categories = tuple(dict.fromkeys([*baseline, *spent, *volume, *(name for each in saved for name in each)]))
    by_lever = [{name: cents(float(daily.sum())) for name, daily in each.items()} for each in saved]
    exact = {
        "baseline": {name: cents(baseline.get(name, 0.0)) for name in categories},
        "actual": {name: cents(spent.get(name, 0.0)) for name in categories},
        "volume": {name: cents(volume.get(name, 0.0)) for name in categories},
        "prices": {name: cents(prices.get(name, 0.0)) for name in categories},
    }
    residual = {
        name: exact["baseline"][name] - exact["actual"][name] - exact["volume"][name] - exact["prices"][name]
        - sum((each.get(name, ZERO) for each in by_lever), ZERO)
        for name in categories
    }  # fmt: skip
    errors = _baseline_errors(plan, base, actual, growth or {}, len(levers))
    index = _growth_of_levers(plan, base, actual, undone_cells)
    rows = [
        _row(plan, place, lever, saved[place], by_lever[place], errors[place], index[place], days, exact["volume"])
        for place, lever in enumerate(levers)
    ]
    together = _sum_daily(saved, days)
    whole = _widened(interval(together), errors[-1])
    realised = sum((row.realised for row in rows), ZERO)
    return Realised(
        plan=plan, first=actual.cells.window.first, last=actual.cells.window.last, days=days, levers=tuple(rows),
        residual=residual, low=min(cents(whole.low), realised), high=max(cents(whole.high), realised),
        daily=_daily_frame(plan, actual, saved, together), unknown_calls=actual.cells.unknown_calls,
        notes=tuple(dict.fromkeys(said)), **exact,
    )  # fmt: skip


def cents(amount: float) -> Decimal:
    """USD rounded to cents; a rest of floating-point sums around 0 has no sign."""
    return rounded(amount) + ZERO


def _taken_back(
    plan: Plan, base: Period, actual: Period, growth: Mapping[int, Floats], said: list[str]
) -> tuple[list[Daily], pd.DataFrame]:
    """USD that each lever saved, by category and day; and the cells without any of them."""
    levers, yard = plan.scenario.enabled, Yardstick(base.cells, growth)
    saved: list[Daily] = [{} for _ in levers]
    cells = actual.cells.frame
    for place in reversed(range(len(levers))):
        before, cells = cells, undone(levers[place], place, cells, actual.cells, yard)
        if cells is not before:
            saved[place] = _minus(daily_calls(cells, actual.days), daily_calls(before, actual.days))
    for category, places in _resource_levers(plan, said).items():
        if category in CALL_CATEGORIES:
            continue
        each_day = base.resources.get(category, np.zeros(base.days)).mean()
        factor = capacity_factor(base, actual) if category == GPU_CATEGORY else 1.0
        gained = each_day * factor - actual.resources.get(category, np.zeros(actual.days))
        for place, weight in places.items():
            saved[place][category] = saved[place].get(category, np.zeros(actual.days)) + gained * weight
    for place, lever in enumerate(levers):
        if isinstance(lever, Rag) and lever.untraced:
            each_day = base.fixed.get(EMBEDDING, np.zeros(base.days)).mean()
            gained = each_day - actual.fixed.get(EMBEDDING, np.zeros(actual.days))
            saved[place][EMBEDDING] = saved[place].get(EMBEDDING, np.zeros(actual.days)) + gained
    return saved, cells


def _resource_levers(plan: Plan, said: list[str]) -> dict[str, dict[int, float]]:
    """Which levers act on what is paid beside calls, by category, and which part of the category's change is each one's."""
    found: dict[str, list[int]] = {}
    for place, lever in enumerate(plan.scenario.enabled):
        category = resource_of(lever)
        if category:
            found.setdefault(category, []).append(place)
    parts: dict[str, dict[int, float]] = {}
    for category, places in found.items():
        owners = [place for place in places if not isinstance(plan.scenario.enabled[place], SelfHost)] or places
        weights = [max(float(plan.planned[place].added), 0.0) for place in owners]
        if len(owners) > 1:
            titles = ", ".join(plan.planned[place].title for place in owners)
            said.append(
                f"{titles} act on the same bills of {category}: what these fell by is divided as the plan expected."
            )
        if len(owners) < len(places):
            said.append(f"What own models need of {category} is counted with the other lever on it.")
        whole = sum(weights)
        parts[category] = {
            place: weight / whole if whole else 1 / len(owners) for place, weight in zip(owners, weights, strict=True)
        }
    return parts


def resource_of(lever: Lever) -> str | None:
    """The cost category whose bills a lever acts on beside calls; None for levers on calls alone."""
    if isinstance(lever, GpuRightsizing | SelfHost):
        return GPU_CATEGORY
    if isinstance(lever, VectorDatabase):
        return VECTOR_CATEGORY
    return lever.category if isinstance(lever, Spot | CommittedUse) else None


def _is_measured(lever: Lever) -> bool:
    return acts_on_calls(lever) or resource_of(lever) not in (None, *CALL_CATEGORIES)


def _volume_of_calls(base: Period, actual: Period, cells: pd.DataFrame) -> dict[str, float]:
    """Saved by fewer requests, USD of the actual days, by category."""
    before = base.cells.frame.groupby(["embeds", "feature"])[["requests", "cost"]].sum() / base.days
    now = cells.groupby(["embeds", "feature"])[["requests", "cost"]].sum() / actual.days
    saved = {LLM_API: 0.0}
    for key in before.index.union(now.index):
        category = EMBEDDING if key[0] else LLM_API
        had = before.loc[key] if key in before.index else None
        has = now.loc[key] if key in now.index else None
        if had is None or had["requests"] <= 0:
            change = -float(has["cost"]) if has is not None else 0.0
        else:
            asked = float(has["requests"]) if has is not None else 0.0
            change = float(had["cost"]) * (1 - asked / float(had["requests"]))
        saved[category] = saved.get(category, 0.0) + change * actual.days
    return saved


def _price_of_calls(base: Period, actual: Period, cells: pd.DataFrame) -> dict[str, float]:
    """Saved by lower prices, USD of the actual days, by category: the cells without levers at the baseline's prices, less at their own."""
    usable = cells[cells["usable"] & ~cells["hit"] & ~cells["as_base"]]
    window = base.cells.window
    at = int(window.midnights[0] + (window.midnights[-1] - window.midnights[0]) // 2)
    known = np.isin(usable["model"].to_numpy(), base.cells.frame["model"].unique())
    listed_now, listed_then = actual.cells.listed(usable), actual.cells.listed(usable, at=at)
    model = usable["model"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = listed_then * base.cells.discount[model] / (listed_now * actual.cells.discount[model])
    ratio = np.where(known & np.isfinite(ratio) & (listed_now > 0), ratio, 1.0)
    # A model that the actual days did not use has no discount of theirs: its cells were priced with the baseline's.
    unused = ~np.isin(model, actual.cells.frame["model"].unique())
    ratio = np.where(
        unused, np.where(listed_now > 0, listed_then / np.where(listed_now > 0, listed_now, 1.0), 1.0), ratio
    )
    gained = usable["cost"].to_numpy() * (ratio - 1)
    embeds = usable["embeds"].to_numpy()
    return {LLM_API: float(gained[~embeds].sum()), EMBEDDING: float(gained[embeds].sum())}


def _growth_of_levers(plan: Plan, base: Period, actual: Period, cells: pd.DataFrame) -> list[float]:
    """By lever: requests of its calls a day, weighted by what they cost in the baseline, relative to what the plan reckoned with. 1 for levers on
    resources: what they were to save does not depend on calls in proportion."""
    frame = base.cells.frame
    before = frame[~frame["embeds"]].groupby("feature")["requests"].sum() / base.days
    now = cells[~cells["embeds"]].groupby("feature")["requests"].sum() / actual.days
    ratio = (now.reindex(before.index).fillna(0.0) / before).replace([np.inf, -np.inf], np.nan).fillna(1.0)
    planned = pd.Series(1.0, index=frame.index)
    for place, lever in enumerate(plan.scenario.enabled):
        if isinstance(lever, Volume):
            planned = planned.where(~frame[f"for{place}"], planned * lever.times)
    found = []
    for place, lever in enumerate(plan.scenario.enabled):
        of_lever = frame[f"for{place}"] & ~frame["embeds"]
        cost = frame["cost"].where(of_lever, 0.0)
        reckoned = float((cost * planned).sum())
        if isinstance(lever, Volume) or not acts_on_calls(lever) or reckoned <= 0:
            found.append(1.0)
        else:
            found.append(float((cost * frame["feature"].map(ratio).fillna(1.0)).sum()) / reckoned)
    return found


def _row(
    plan: Plan, place: int, lever: Lever, saved: Daily, by_category: dict[str, Decimal], error: float, index: float, days: int,
    volume: Mapping[str, Decimal],
) -> RealisedLever:  # fmt: skip
    entry = plan.planned[place]
    planned = plan.expected_in(entry.added, days)
    if isinstance(lever, Volume):
        # Growth is no saving: it stands beside the volume effect, which is part of the account already.
        return RealisedLever(
            entry.name, entry.title, planned, planned, ZERO, ZERO, ZERO, {}, "growth",
            f"Volume as a whole: {sum(volume.values(), ZERO):,.2f} USD, in the account below.",
        )  # fmt: skip
    if not _is_measured(lever):
        return RealisedLever(
            entry.name, entry.title, planned, planned, ZERO, ZERO, ZERO, {}, "not measured",
            "What a commitment on calls saves shows in their prices.",
        )  # fmt: skip
    span = _widened(interval(_sum_daily([saved], days)), error)
    realised = sum(by_category.values(), ZERO)
    expected = cents(float(planned) * index)
    low, high = min(cents(span.low), realised), max(cents(span.high), realised)
    status = _status(days, float(expected), float(realised), float(low), float(high))
    reason = ""
    if status == "behind" and high >= expected:
        reason = "The range reaches what was expected: with other days it might have been met."
    elif status == "no evidence":
        reason = "The range holds 0: these days do not show that it saves."
    return RealisedLever(entry.name, entry.title, planned, expected, realised, low, high, by_category, status, reason)


def _status(days: int, expected: float, realised: float, low: float, high: float) -> Status:
    if days < EARLY:
        return "too early"
    if low <= 0 <= high:
        return "no evidence"
    slack = abs(expected) * TOLERANCE
    if realised < expected - slack:
        return "behind"
    return "ahead" if realised > expected + slack else "on track"


def _baseline_errors(
    plan: Plan, base: Period, actual: Period, growth: Mapping[int, Floats], number: int
) -> list[float]:
    """Standard error of each lever's saving, and last of their sum, from the baseline's days: delete-a-block jackknife (Künsch 1989)."""
    blocks = np.array_split(np.arange(base.days), max(base.days // 7, min(base.days, 2)))
    if len(blocks) < 2:
        return [0.0] * (number + 1)
    sums = []
    for block in blocks:
        saved, _ = _taken_back(plan, base.without(block), actual, growth, [])
        each = [float(sum(daily.sum() for daily in of_lever.values())) for of_lever in saved]
        sums.append([*each, sum(each)])
    found = np.array(sums)
    spread = ((found - found.mean(axis=0)) ** 2).sum(axis=0)
    return np.sqrt((len(blocks) - 1) / len(blocks) * spread).tolist()


def _widened(span: Range, error: float) -> Range:
    """The range with the baseline's own uncertainty, which is independent of the actual days': half widths add up in squares."""
    more = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
    low, high = math.hypot(span.point - span.low, more), math.hypot(span.high - span.point, more)
    return Range(span.point, span.point - low, span.point + high, span.by)


def _minus(one: Daily, other: Daily) -> Daily:
    found = {name: daily - other[name] for name, daily in one.items()}
    return {name: daily for name, daily in found.items() if daily.any()}


def _sum_daily(saved: Sequence[Daily], days: int) -> Floats:
    total = np.zeros(days)
    for each in saved:
        for daily in each.values():
            total = total + daily
    return total


def _daily_frame(plan: Plan, actual: Period, saved: Sequence[Daily], together: Floats) -> pd.DataFrame:
    """One row per day: date, realised (USD of all levers, float), and one column per lever's place ("lever 1", ...)."""
    dates = [actual.cells.window.date_of(day) for day in range(actual.days)]
    columns = {f"lever {place + 1}": _sum_daily([saved[place]], actual.days) for place in range(len(plan.planned))}
    return pd.DataFrame({"date": dates, "realised": together, **columns})
