"""A scenario's outcome, and a plan's account, on paper: the blocks of a PDF report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from analytics import formatting
from analytics.pdf_report import Block, Change, Heading, Points, Steps, Table, Text, Total, pdf_report
from analytics.simulators.plan_results import by_category, interaction_sentence, plan_headline
from analytics.simulators.plan_tracking import pace_sentence
from analytics.simulators.realised import Realised
from analytics.simulators.scenario import Scenario, lever_values
from analytics.simulators.waterfall import Waterfall

SIMULATED = "USD per month, simulated; ranges of 95%"
RANGE = "Range of 95%"


def scenario_pdf(scenario: Scenario, outcome: Waterfall, about: str, *, demo: bool = False) -> bytes:
    """The scenario as a PDF file. about: its period and filters in words. demo: the figures are the demo company's."""
    source = "synthetic data of the demo company; " if demo else ""
    return pdf_report(
        scenario.name, scenario_blocks(scenario, outcome), about=f"{about}. {source.capitalize()}{SIMULATED}.".replace("..", "."),
        footer=f"Percall: {scenario.name}, {source}simulated",
    )  # fmt: skip


def scenario_blocks(scenario: Scenario, outcome: Waterfall) -> list[Block]:
    """What the planner's page says, in its order."""
    blocks: list[Block] = [Text(plan_headline(outcome), lead=True)]
    if scenario.description:
        blocks.append(Text(scenario.description))
    bars = [
        Change(f"{place}. {step.lever.title}", -step.added, -step.added_high, -step.added_low)
        for place, step in enumerate(outcome.steps, 1)
    ]
    blocks += [
        Heading("From today to the plan", SIMULATED),
        Steps([Total("Today", outcome.today), *bars, Total("With all levers", outcome.end)]),
        Text(interaction_sentence(outcome)),
        Heading("Lever by lever", "Saves here: after the levers before it; alone: as the only one"),
        Table(
            ("Lever", "Saves here", RANGE, "Alone", "Cost after it"),
            [
                (
                    f"{place}. {step.lever.title}", cents(step.added), _range(step.added_low, step.added_high), cents(step.alone), cents(step.total),
                )
                for place, step in enumerate(outcome.steps, 1)
            ]
            + [("All levers", cents(outcome.saving), _range(outcome.saving_low, outcome.saving_high), "", cents(outcome.end))],
            align="lrrrr", bold_last=True,
        ),
        Heading("By cost category"),
        Table(
            ("Category", "Today", "With the plan", "Saving"),
            [
                (str(row["category"]), *(cents(row[name]) for name in ("cost", "cost_after", "saving")))
                for row in by_category(outcome).to_dict("records")
            ]
            + [("Total", cents(outcome.today), cents(outcome.end), cents(outcome.saving))],
            align="lrrr", bold_last=True,
        ),
        Heading("By feature", "Calls, and resources that are tagged with the feature"),
        Table(
            ("Feature", "Today", "With the plan", "Saving"),
            [
                (_feature(row), *(cents(row[name]) for name in ("cost", "cost_after", "saving")))
                for row in outcome.by_feature.to_dict("records")
            ],
            align="lrrr",
        ),
        Heading("Settings"),
        Points([settings_sentence(scenario, place) for place in range(len(scenario.levers)) if place not in scenario.disabled]),
        Heading("What is assumed, and left out"),
        Points(list(dict.fromkeys([*scenario.assumptions(), *outcome.notes]))),
    ]  # fmt: skip
    return blocks


def settings_sentence(scenario: Scenario, place: int) -> str:
    """A lever with the settings that differ from its neutral ones, as its scenario file names them."""
    lever = scenario.levers[place]
    neutral = lever_values(type(lever).neutral())
    changed = {name: value for name, value in lever_values(lever).items() if value != neutral[name]}
    words = [f"{name} {_setting(value)}" for name, value in changed.items()]
    return f"{lever.title}: {'; '.join(words) or 'as today'}"


def account_pdf(account: Realised, about: str, *, demo: bool = False) -> bytes:
    """A plan's account as a PDF file."""
    plan, source = account.plan, "synthetic data of the demo company; " if demo else ""
    baseline, actual = (sum(part.values(), Decimal(0)) for part in (account.baseline, account.actual))
    volume, prices, residual = (
        sum(part.values(), Decimal(0)) for part in (account.volume, account.prices, account.residual)
    )
    bars = [
        Change(row.title, -row.realised, -row.high, -row.low)
        for row in account.levers
        if row.status not in ("growth", "not measured")
    ]
    blocks: list[Block] = [
        Text(pace_sentence(plan, account), lead=True),
        *([Text(plan.note)] if plan.note else []),
        Heading("From the baseline to what was paid", f"USD of {account.first} to {account.last}; the baseline scaled to as many days"),
        Steps([
            Total("Baseline", baseline), Change("Volume", -volume), Change("Prices and discounts", -prices), *bars,
            Change("Not explained", -residual), Total("Paid", actual),
        ]),
        Heading("Lever by lever", f"USD of {account.days} complete days; expected: planned, at the actual volume"),
        Table(
            ("Lever", "Planned", "Expected", "Realised", RANGE, "Standing"),
            [
                (row.title, cents(row.planned), cents(row.expected), cents(row.realised), _range(row.low, row.high), row.status)
                for row in account.levers if row.status not in ("growth", "not measured")
            ]
            + [
                (
                    "All levers", cents(account.planned), cents(account.expected), cents(account.realised), _range(account.low, account.high),
                    account.status,
                )
            ],
            align="lrrrrl", bold_last=True,
        ),
        Heading("By cost category", "Baseline less what was paid is what levers, volume and prices explain, and the rest"),
        Table(
            ("Category", "Baseline", "Volume", "Prices", "Levers", "Not explained", "Paid"),
            category_rows(account), align="lrrrrrr", bold_last=True,
        ),
    ]  # fmt: skip
    if account.notes:
        blocks += [Heading("What to know"), Points(account.notes)]
    return pdf_report(
        plan.name, blocks, about=f"{about}. {source.capitalize()}USD.", footer=f"Percall: {plan.name}, {source}{account.first} to {account.last}"
    )  # fmt: skip


def category_rows(account: Realised) -> list[Sequence[str]]:
    """One row per category of what `account_pdf` shows, and the sum."""
    rows: list[Sequence[str]] = []
    zero = Decimal("0.00")
    for name in account.baseline:
        levers = sum((row.by_category.get(name, zero) for row in account.levers), zero)
        parts = (account.volume[name], account.prices[name], levers, account.residual[name])
        rows.append(
            (name, cents(account.baseline[name]), *(cents(-part) for part in parts), cents(account.actual[name]))
        )
    sums = [sum(part.values(), zero) for part in (account.volume, account.prices)]
    rest, baseline, actual = (sum(part.values(), zero) for part in (account.residual, account.baseline, account.actual))
    rows.append(("Total", cents(baseline), *(cents(-part) for part in (*sums, account.realised, rest)), cents(actual)))
    return rows


def cents(amount: Decimal | None) -> str:
    """An amount with cents, as columns have it."""
    return "" if amount is None else formatting.usd(amount, digits=2)


def _range(low: Decimal, high: Decimal) -> str:
    return f"{formatting.usd(low, digits=0)} to {formatting.usd(high, digits=0)}"


def _feature(row: Mapping[Any, Any]) -> str:
    return {"untagged": "(untagged)", "shared": "(shared resources)"}.get(str(row["kind"]), str(row["feature"]))


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return f"{value:,.10g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(getattr(value, "words", value))
