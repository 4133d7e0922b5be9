"""From today's cost to the plan's: one bar per lever, with its range."""

from __future__ import annotations

import pandas as pd

from analytics import formatting
from analytics.simulators.waterfall import Waterfall
from pages._bridge_bars import Bar, bridge_bars


def waterfall_chart(outcome: Waterfall, steps: pd.DataFrame, *, key: str) -> None:
    """Draw today's cost, what each lever takes off or adds where it stands, and the cost at the end; USD per month.

    steps: `plan_results.steps`. The whiskers are the range of what a lever saves, at the end: of the whole cost with all levers.
    """
    today, end = formatting.usd(outcome.today), formatting.usd(outcome.end)
    bars = [Bar("Today", 0.0, float(outcome.today), "total", today, today)]
    for row in steps.to_dict("records"):
        label = formatting.usd(-row["added"], plus=True)
        bars.append(
            Bar(
                f"{row['step']}. {row['title']}", float(row["total"] + row["added"]), -float(row["added"]),
                "less" if row["added"] >= 0 else "more", label, label, _range(row["added_low"], row["added_high"]),
                minus=float(row["added_high"] - row["added"]), plus=float(row["added"] - row["added_low"]),
            )
        )  # fmt: skip
    bars.append(
        Bar(
            "With all levers", 0.0, float(outcome.end), "total", end, end, _range(outcome.saving_low, outcome.saving_high),
            minus=float(outcome.saving_high - outcome.saving), plus=float(outcome.saving - outcome.saving_low),
        )
    )  # fmt: skip
    bridge_bars(bars, currency="USD", key=key, alt=describe(outcome, steps))


def _range(low: formatting.Number, high: formatting.Number) -> str:
    return f"saves {formatting.to_the_cent(low)} to {formatting.to_the_cent(high)}"


def describe(outcome: Waterfall, steps: pd.DataFrame) -> str:
    """The chart in words."""
    parts = [
        f"{title} {'saves' if added >= 0 else 'adds'} {formatting.usd(abs(added))}"
        for title, added in zip(steps["title"], steps["added"], strict=True)
    ]
    return f"Waterfall from {formatting.usd(outcome.today)} today to {formatting.usd(outcome.end)} a month: {', '.join(parts)}."
