"""The bill: what was spent, on which category, and how that compares with the period before."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.costs import costs
from analytics.filters import Filters
from pages import _draw as draw
from pages import _periods
from pages._data import answer, configuration, span
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


def sentence(filters: Filters, total: Decimal, earlier: Decimal | None, currency: str) -> str:
    """The page's answer: the total, and how it compares with the period before where that is known."""
    preposition = (
        "on"
        if filters.days == 1
        else "in"
        if name_of(filters) != _periods.describe((filters.start, filters.end))
        else "over"
    )
    subject = "The selection" if filters.where else "AI"
    text = f"{subject} cost {formatting.money(total, currency)} {preposition} {name_of(filters)}"
    compared = formatting.compared(total, earlier, name_of(filters.previous()))
    return f"{text}, {compared}" if compared else text


def draw_currency(
    filters: Filters, frame: pd.DataFrame, before: pd.DataFrame | None, currency: str, *, first: bool
) -> None:
    """The figures, chart and table of one currency; the first one carries the page's headline.

    `before` is None where the data do not reach back over the whole period before: then nothing is compared.
    """
    now = by_category(frame)
    then = None if before is None else by_category(before)
    total = sum(now.values(), Decimal(0))
    earlier = None if then is None else sum(then.values(), Decimal(0))
    previous = name_of(filters.previous())
    against = None if then is None else previous
    largest = next(iter(now), None)
    if first:
        draw.headline(
            sentence(filters, total, earlier, currency),
            "Bars stack the categories of each period, the dearest at the bottom; the table compares with the period before.",
            kicker=describe(filters),
        )
    metrics = [draw.Metric(f"Total, {currency}", formatting.money(total, currency), total, earlier, against)]
    if largest and total:
        label = f"{largest}: {formatting.share(now[largest] / total)}"
        largest_before = None if then is None else then.get(largest, Decimal(0))
        metrics.append(
            draw.Metric(label, formatting.money(now[largest], currency), now[largest], largest_before, against)
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
    columns = {
        "category": draw.Column("Category"),
        "cost": draw.Column("Cost", "money", currency=currency),
        "share": draw.Column("Share", "bar"),
    }
    if then is not None:
        columns["before"] = draw.Column(previous, "money", currency=currency)
        columns["difference"] = draw.Column(
            "Difference", "money", currency=currency, help=f"Cost now minus cost in {previous}"
        )
    draw.table(
        comparison(now, then or {}),
        columns,
        key=f"bill_table_{currency}",
        export_name=f"bill-{currency}-{filters.start}-{filters.end}",
    )
    caveats(frame, total)


def caveats(frame: pd.DataFrame, total: Decimal) -> None:
    """What the figures above leave out or estimate, where there is any of it."""
    unknown = int(frame["unknown_costs"].fillna(0).sum())
    if unknown:
        st.caption(
            f"{formatting.count(unknown)} billing lines or calls have no known cost and are in none of these figures. "
            "`percall export coverage` says which."
        )
    estimated = sum(
        (
            cost * Decimal(str(part))
            for cost, part in zip(frame["cost"], frame["estimated_share"], strict=True)
            if cost and part
        ),
        Decimal(0),
    )
    if estimated and total:
        st.caption(
            draw.plain(
                f"{formatting.share(estimated / total)} is estimated from traces, because no bill covers it yet."
            )
        )


def page() -> None:
    """Ask for costs by category, now and in the period before, and draw each currency."""
    filters = current()
    frame = answer(costs, filters, ("category",))
    reaches_back = filters.previous().start >= span()[0]
    before = answer(costs, filters.previous(), ("category",)) if reaches_back else None
    if frame.empty:
        draw.empty_result("charges or calls")
        return
    preferred = configuration().reporting_currency
    for position, currency in enumerate(sorted(frame["currency"].unique(), key=lambda code: (code != preferred, code))):
        draw_currency(
            filters,
            frame[frame["currency"] == currency],
            None if before is None else before[before["currency"] == currency],
            str(currency),
            first=position == 0,
        )


page()
