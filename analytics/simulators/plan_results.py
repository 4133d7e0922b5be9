"""A scenario's outcome in the words and tables of a page."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from analytics import formatting
from analytics.frames import frame_of
from analytics.simulators.shapley import Shares
from analytics.simulators.to_the_cent import cents, parts_in_cents
from analytics.simulators.waterfall import Waterfall


def plan_headline(outcome: Waterfall) -> str:
    """What the plan saves, with its range, in a sentence."""
    today = formatting.usd(outcome.today)
    if not outcome.steps:
        return f"The plan has no lever yet: {today} a month, as today"
    low, high = outcome.saving_low, outcome.saving_high
    number = len(outcome.steps)
    levers = "One lever" if number == 1 else f"{number} levers together"
    if outcome.saving < 0:
        return (
            f"{levers} would cost {formatting.usd(-high)} to {formatting.usd(-low)} more than today's {today} a month"
        )
    if outcome.saving == 0:
        return f"{levers} would change nothing: {today} a month, as today"
    return f"{levers} would save {formatting.usd(low)} to {formatting.usd(high)} of {today} a month"


def interaction_sentence(outcome: Waterfall) -> str:
    """Why the levers together do not save the sum of what each saves alone."""
    if len(outcome.steps) < 2:
        return "One lever alone: nothing is saved twice."
    alone, together = formatting.usd(outcome.alone_sum), formatting.usd(outcome.saving)
    gap = formatting.usd(abs(outcome.interaction))
    if outcome.interaction < 0:
        return f"Each alone, the levers would save {alone} in sum; together they save {together}, because {gap} is money that several of them act on."
    if outcome.interaction > 0:
        return f"Each alone, the levers would save {alone} in sum; together they save {together}: {gap} more, because one makes room for another."
    return f"The levers act on different money: together they save {together}, as much as each alone in sum."


def by_category(outcome: Waterfall) -> pd.DataFrame:
    """One row per cost category, the dearest today first: category, cost, cost_after, saving (Decimal, USD per month; after: simulated)."""
    zero = Decimal("0.00")
    rows = []
    for name in outcome.categories:
        before, after = outcome.base.get(name, zero), outcome.end_costs.get(name, zero)
        rows.append({"category": name, "cost": before, "cost_after": after, "saving": before - after})
    return frame_of(rows, ("category", "cost", "cost_after", "saving"))


def steps(outcome: Waterfall) -> pd.DataFrame:
    """One row per lever in order: step, title, total, added, added_low, added_high, alone, interaction, changed_calls, kept_calls; as
    `Waterfall.frame` has them."""
    columns = [
        "step", "title", "total", "added", "added_low", "added_high", "alone", "interaction", "changed_calls", "kept_calls",
    ]  # fmt: skip
    return outcome.frame().iloc[1:][columns].reset_index(drop=True)


def fair_shares(shares: Shares, saving: Decimal) -> pd.DataFrame:
    """One row per lever in order: title, share (Decimal, USD per month, simulated; together they are `saving`, what the plan saves) and error (its
    standard error; 0: exact)."""
    found = parts_in_cents({place: each.share for place, each in enumerate(shares.shares)}, saving)
    rows = [
        {"title": each.lever.title, "share": found[place], "error": cents(each.error)}
        for place, each in enumerate(shares.shares)
    ]
    return frame_of(rows, ("title", "share", "error"))
