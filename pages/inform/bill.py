"""The bill: what was spent, on which category, and how that compares with the period before."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from analytics import formatting
from analytics.costs import costs
from analytics.filters import Filters
from pages import _draw as draw
from pages import _periods
from pages._data import answer, configuration
from pages._filters import current, describe


def by_category(frame: pd.DataFrame) -> dict[str, Decimal]:
    """Known cost of each category over all periods of the frame, the dearest first."""
    sums: dict[str, Decimal] = {}
    for category, cost in zip(frame["category"], frame["cost"], strict=True):
        if not pd.isna(cost):
            sums[str(category)] = sums.get(str(category), Decimal(0)) + cost
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def comparison(now: dict[str, Decimal], before: dict[str, Decimal]) -> pd.DataFrame:
    """One row per category: category, cost, share of the total, cost of the period before, and the difference."""
    total = sum(now.values(), Decimal(0))
    names = [*now, *(name for name in before if name not in now)]
    return pd.DataFrame(
        {
            "category": names,
            "cost": [now.get(name, Decimal(0)) for name in names],
            "share": [now.get(name, Decimal(0)) / total if total else None for name in names],
            "before": [before.get(name, Decimal(0)) for name in names],
            "difference": [now.get(name, Decimal(0)) - before.get(name, Decimal(0)) for name in names],
        }
    )


def name_of(filters: Filters) -> str:
    """The period as a reader names it: a month by its name, anything else by its days."""
    period = (filters.start, filters.end)
    return (
        _periods.month_name(filters.start) if period == _periods.month_of(filters.start) else _periods.describe(period)
    )


def draw_currency(filters: Filters, frame: pd.DataFrame, before: pd.DataFrame, currency: str, *, first: bool) -> None:
    """The figures, chart and table of one currency; the first one carries the page's headline."""
    now, then = by_category(frame), by_category(before)
    total, earlier = sum(now.values(), Decimal(0)), sum(then.values(), Decimal(0))
    previous = name_of(filters.previous())
    against = previous if then else None
    largest = next(iter(now), None)
    if first:
        sentence = f"AI cost {formatting.money(total, currency)} in {name_of(filters)}"
        if then:
            sentence += f", {formatting.delta(total, earlier, previous)}"
        draw.headline(
            sentence,
            "Bars stack the categories of each period; the table compares with the period before, of the same length.",
            kicker=describe(filters),
        )
    metrics = [draw.Metric(f"Total, {currency}", formatting.money(total, currency), total, earlier, against)]
    if largest and total:
        share = formatting.share(now[largest] / total)
        metrics.append(
            draw.Metric(
                f"{largest}: {share}",
                formatting.money(now[largest], currency),
                now[largest],
                then.get(largest),
                against,
            )
        )
    metrics.append(draw.Metric("Per day", formatting.money(total / filters.days, currency)))
    draw.metric_row(metrics)
    draw.cost_chart(
        frame,
        title="Cost by category",
        note=f"{filters.basis.capitalize()} cost per {filters.grain}, {currency}, days in {configuration().reporting_time_zone}",
        key=f"bill_chart_{currency}",
        grain=filters.grain,
        currency=currency,
    )
    draw.table(
        comparison(now, then),
        {
            "category": draw.Column("Category"),
            "cost": draw.Column("Cost", "money", currency=currency),
            "share": draw.Column("Share", "bar"),
            "before": draw.Column(previous, "money", currency=currency),
            "difference": draw.Column(
                "Difference", "money", currency=currency, help=f"Cost now minus cost in {previous}"
            ),
        },
        key=f"bill_table_{currency}",
        export_name=f"bill-{currency}-{filters.start}-{filters.end}",
    )


def page() -> None:
    """Ask for costs by category, now and in the period before, and draw each currency."""
    filters = current()
    frame = answer(costs, filters, ("category",))
    before = answer(costs, filters.previous(), ("category",))
    if frame.empty:
        draw.empty_result("charges or calls")
        return
    preferred = configuration().reporting_currency
    for position, currency in enumerate(sorted(frame["currency"].unique(), key=lambda code: (code != preferred, code))):
        draw_currency(
            filters,
            frame[frame["currency"] == currency],
            before[before["currency"] == currency],
            str(currency),
            first=position == 0,
        )


page()
