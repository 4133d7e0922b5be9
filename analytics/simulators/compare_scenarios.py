"""Scenarios side by side, replayed on the same days: what each lever saves in each, by lever and by category.

A lever that stands in several scenarios is compared by its kind; where one scenario has it twice, the second time is a row of its own. All money is
simulated, Decimal, USD per month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from analytics import formatting
from analytics.frames import frame_of
from analytics.simulators.scenario import Scenario
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept
from analytics.simulators.waterfall import Waterfall
from warehouse.errors import InputError

FEWEST, MOST = 2, 4
TODAY, TOTAL = "Today", "All levers"

LONG_COLUMNS = ("scenario", "kind", "name", "amount", "low", "high")


@dataclass(frozen=True, eq=False)
class Compared:
    """Scenarios by name with their outcomes, in the order asked for."""

    outcomes: tuple[tuple[str, Waterfall], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The scenarios' names."""
        return tuple(name for name, _ in self.outcomes)


def compare(situation: Situation, scenarios: Sequence[Scenario]) -> Compared:
    """Replay each scenario on the situation.

    Raises InputError for fewer than two or more than four scenarios, for two of one name, and, naming the scenario, where one cannot be replayed.
    """
    if not FEWEST <= len(scenarios) <= MOST:
        raise InputError(f"choose {FEWEST} to {MOST} scenarios to compare, not {len(scenarios)}")
    if len({each.name for each in scenarios}) < len(scenarios):
        raise InputError("two of these scenarios have the same name")
    found = []
    for scenario in scenarios:
        try:
            outcome = kept(situation, "planner", scenario.enabled, lambda chosen=scenario: chosen.run(situation))  # type: ignore[misc]
        except InputError as error:
            raise InputError(f"{scenario.name}: {error}") from error
        found.append((scenario.name, outcome))
    return Compared(tuple(found))


def by_lever(compared: Compared) -> pd.DataFrame:
    """One row per lever, in the order in which they first appear, and last their sum.

    Columns: lever, and per scenario at place n (0, 1, ...) saved_n, low_n, high_n: what it saves where it stands, with its 95 % range; None where the
    scenario has no such lever.
    """
    rows: dict[tuple[str, int], dict[str, object]] = {}
    for place, (_, outcome) in enumerate(compared.outcomes):
        seen: dict[str, int] = {}
        for step in outcome.steps:
            times = seen[step.lever.name] = seen.get(step.lever.name, 0) + 1
            title = step.lever.title if times == 1 else f"{step.lever.title} ({times})"
            row = rows.setdefault((step.lever.name, times), {"lever": title})
            row |= {f"saved_{place}": step.added, f"low_{place}": step.added_low, f"high_{place}": step.added_high}
    total: dict[str, object] = {"lever": TOTAL}
    for place, (_, outcome) in enumerate(compared.outcomes):
        total |= {
            f"saved_{place}": outcome.saving,
            f"low_{place}": outcome.saving_low,
            f"high_{place}": outcome.saving_high,
        }
    columns = (
        "lever",
        *(f"{what}_{place}" for place in range(len(compared.outcomes)) for what in ("saved", "low", "high")),
    )
    return frame_of([dict.fromkeys(columns) | row for row in [*rows.values(), total]], columns)


def costs_by_category(compared: Compared) -> pd.DataFrame:
    """One row per cost category, the dearest today first, and last the total: category, today, and cost_n per scenario at place n."""
    zero = Decimal("0.00")
    first = compared.outcomes[0][1]
    names = dict.fromkeys(name for _, outcome in compared.outcomes for name in outcome.categories)
    rows: list[dict[str, object]] = []
    for name in sorted(names, key=lambda each: -first.base.get(each, zero)):
        row: dict[str, object] = {"category": name, "today": first.base.get(name, zero)}
        row |= {
            f"cost_{place}": outcome.end_costs.get(name, zero) for place, (_, outcome) in enumerate(compared.outcomes)
        }
        rows.append(row)
    total: dict[str, object] = {"category": "Total", "today": first.today}
    rows.append(total | {f"cost_{place}": outcome.end for place, (_, outcome) in enumerate(compared.outcomes)})
    return frame_of(rows, ("category", "today", *(f"cost_{place}" for place in range(len(compared.outcomes)))))


def long_frame(compared: Compared) -> pd.DataFrame:
    """The whole comparison for a file: scenario, kind ("lever": saved here; "total": saved in all; "category": cost with all levers; "today": cost by
    category without any), name, amount, low, high."""
    rows: list[dict[str, object]] = []
    for name, outcome in compared.outcomes:
        rows += [
            _long(name, "lever", step.lever.title, step.added, step.added_low, step.added_high)
            for step in outcome.steps
        ]
        rows.append(_long(name, "total", TOTAL, outcome.saving, outcome.saving_low, outcome.saving_high))
        rows += [_long(name, "today", category, cost) for category, cost in outcome.base.items()]
        rows += [_long(name, "category", category, cost) for category, cost in outcome.end_costs.items()]
    return frame_of(rows, LONG_COLUMNS)


def _long(
    scenario: str, kind: str, name: str, amount: Decimal, low: Decimal | None = None, high: Decimal | None = None
) -> dict[str, object]:
    return dict(zip(LONG_COLUMNS, (scenario, kind, name, amount, low, high), strict=True))


def headline(compared: Compared) -> str:
    """Which scenario saves most, and whether its range says so."""
    ranked = sorted(compared.outcomes, key=lambda one: -one[1].saving)
    (best, first), (second, other) = ranked[0], ranked[1]
    if first.saving <= 0:
        return f"None of these {len(ranked)} scenarios saves anything"
    sure = first.saving_low > other.saving_high
    lead = f"{best} saves most, {formatting.usd(first.saving)} a month"
    gap = formatting.usd(first.saving - other.saving)
    if first.saving == other.saving:
        return f"{best} and {second} save the same, {formatting.usd(first.saving)} a month"
    return f"{lead}, {gap} more than {second}" + ("" if sure else "; their ranges overlap")
