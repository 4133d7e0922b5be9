"""A section of a weekly review that cannot be told: why, and what to do about it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from analytics.conversions import fx
from analytics.currency import SeveralCurrencies
from analytics.filters import Filters
from analytics.period_names import name as period_name
from analytics.weekly_review_model import Section
from analytics.weekly_review_week import DAYS, Week, days_of
from warehouse.errors import PercallError
from warehouse.reader import Warehouse

HOW = "The other sections stand."
LOOK_BACK = DAYS * 7
"""Days before the week over which sections look for what is usual."""


def untold(warehouse: Warehouse, key: str, title: str, week: Week, error: PercallError) -> Section:
    """The section in place of the one that `error` stopped; where an exchange rate is missing, which one, and from which day on."""
    if isinstance(error, SeveralCurrencies):
        sentence, points = _currencies(warehouse, week, error)
        return Section(key, title, sentence, HOW, mark="unknown", points=points)
    return Section(key, title, "This could not be told", HOW, mark="unknown", points=(f"{error}.",))


def _currencies(warehouse: Warehouse, week: Week, error: SeveralCurrencies) -> tuple[str, tuple[str, ...]]:
    for days in _reaches(warehouse, week):
        lacking = [row for row in fx(warehouse, days).to_dict("records") if row["days_without_rate"]]
        if lacking:
            into = lacking[0]["reporting_currency"]
            said = [_lacks(row) for row in lacking]
            todo = (
                "Load the rates with `percall load fx.csv` (columns date, from_currency, to_currency, rate); "
                f"`percall export fx --from {days.start} --to {days.end}` tells what is still missing."
            )
            return f"Not known in {into}: {'; '.join(said)}", (todo,)
    codes = f"{', '.join(error.currencies[:-1])} and {error.currencies[-1]}"
    return f"Amounts in {codes} cannot be added without an exchange rate", (f"{error}.",)


def _reaches(warehouse: Warehouse, week: Week) -> Iterator[Filters]:
    """The days that a section may need, the nearest first: the week, the one before it too, what is usual, and all."""
    now = days_of(warehouse, week).now
    span = warehouse.span() or (now.start, now.end)
    for back in (0, DAYS, LOOK_BACK):
        yield Filters(max(span[0], now.start - timedelta(days=back)), now.end)
    yield Filters(span[0], now.end)


def _lacks(row: Mapping[Hashable, Any]) -> str:
    first = period_name(Filters(row["first_missing"], row["first_missing"]))
    if row["days"] == 1:
        return f"{row['currency']} has no exchange rate on {first}"
    return (
        f"{row['currency']} has no exchange rate on {row['days_without_rate']} of {row['days']} days, the first {first}"
    )
