"""The series that are watched: daily cost of the whole, and of every category, feature, model, service, tag value and dear user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from analytics.anomalies_robust import LEAST_AMOUNT, Flags, Floats
from analytics.currency import require_one_currency
from analytics.filters import UNTAGGED, Filters, apply
from analytics.frames import rows_of
from analytics.freshness import complete_through
from analytics.ledger import ledger
from warehouse.prepared import Needs, prepared
from warehouse.reader import Warehouse

TOTAL = "total"
USER = "user"
DIMENSIONS = ("category", "feature", "model", "service", "project", "team", "env", "user_tier")
"""Beside the total, every value of these has a series of its own; users too, see `panel`."""

NAMED_UNTAGGED = ("feature", "project", "team", "env", "user_tier")
"""Dimensions whose missing value is a series too: of features always, of the others where another value tells it from the total."""

CALLS_CURRENCY = "USD"
_DEAR = "dear_user_days"


@dataclass(frozen=True)
class Panel:
    """Daily costs of many series. `days` has no gap; `names` are "total", "feature:search", "feature:(untagged)", "user:u-17", ...

    costs: (series, days) before credits, for tests; NaN before a series' first day, on days that nobody recorded and on days that a source of
    the series has not completed. net: the same after credits. Exact amounts: `cost` and `net_cost`.
    """

    names: tuple[str, ...]
    currencies: tuple[str | None, ...]
    days: tuple[date, ...]
    costs: Floats
    net: Floats
    _exact: dict[tuple[int, int], tuple[Decimal, Decimal]] = field(repr=False)

    def cost(self, series: int, day: int) -> Decimal:
        """Cost before credits."""
        return self._exact.get((series, day), (Decimal(0), Decimal(0)))[0]

    def net_cost(self, series: int, day: int) -> Decimal | None:
        """Cost after credits; None where the day is not known or not complete."""
        if np.isnan(self.net[series, day]):
            return None
        return self._exact.get((series, day), (Decimal(0), Decimal(0)))[1]

    @property
    def sporadic(self) -> Flags:
        """Which series come and go by nature: users."""
        return np.array([name.startswith(f"{USER}:") for name in self.names], dtype=bool)

    def position(self, day: date) -> int:
        """Column of a day; of the next one where the panel begins later."""
        return max(0, (day - self.days[0]).days) if self.days else 0


def panel(warehouse: Warehouse, filters: Filters, series: str | None = None) -> Panel | None:
    """The series of the filters from the store's first day to the filters' last; one of them alone when `series` names it. None: no data.

    Values are the ledger's daily cost on the filters' basis; of users the traced cost of their calls, in USD, and only of those who ever
    cost 5 on a day: no other could be flagged.

    Raises InputError when the costs are in several currencies.
    """
    span = warehouse.span()
    if span is None:
        return None
    every = ledger(warehouse)
    first, last = min(span[0], filters.start), filters.end
    rows = apply(every, replace(filters, start=first))
    rows = rows.filter(rows[filters.basis].notnull())
    known = every.filter(every[filters.basis].notnull()).select("date").distinct()
    known_days = {row["date"] for row in rows_of(warehouse, known)}
    complete = complete_through(warehouse)
    currency = require_one_currency(row["currency"] for row in rows_of(warehouse, rows.select("currency").distinct()))
    if not known_days:
        return None
    first = min(known_days)
    found = _Gathering(tuple(first + timedelta(days=number) for number in range((last - first).days + 1)), known_days)
    dimension = None if series is None else series.partition(":")[0]
    for name in (TOTAL, *DIMENSIONS):
        if dimension in (None, name):
            found.add(warehouse.arrow(_sums(rows, name, filters.basis, complete)), name, currency)
    if dimension in (None, USER):
        found.add(warehouse.arrow(_users(warehouse, filters, complete)), USER, CALLS_CURRENCY)
    return found.panel(series)


def _sums(rows: ir.Table, dimension: str, basis: str, complete: dict[str, date]) -> ir.Table:
    amount = rows[basis]
    value = ibis.null("string") if dimension == TOTAL else rows[dimension]
    return rows.group_by(date=rows.date, value=value.cast("string")).agg(
        net=amount.sum(), gross=amount.sum(where=~rows.is_credit), partial=_partial(rows.date, rows.source, complete)
    )


def _partial(day: ir.DateValue, source: ir.StringValue, complete: dict[str, date]) -> ir.BooleanScalar:
    """Whether a source of these rows has not completed the day."""
    late = [(source == name) & (day > ibis.date(through.isoformat())) for name, through in complete.items()]
    return ibis.or_(*late).any().fill_null(False) if late else ibis.literal(False)


def _users(warehouse: Warehouse, filters: Filters, complete: dict[str, date]) -> ir.Table:
    """Traced cost by day of the users who ever cost enough on one day."""
    rows = apply(dear_users(warehouse), replace(filters, start=date.min.replace(year=1970)))
    daily = rows.group_by(date=rows.date, value=rows.user_id).agg(net=rows.cost.sum())
    daily = daily.filter(daily.net.notnull())
    dear = daily.filter(daily.net >= Decimal(LEAST_AMOUNT)).select("value").distinct()
    through = min(complete.values(), default=None)
    late = ibis.literal(False) if through is None else daily.date > ibis.date(through.isoformat())
    return daily.semi_join(dear, "value").mutate(gross=daily.net, partial=late)


def dear_users(warehouse: Warehouse) -> ir.Table:
    """The rows of `user_days` of all users who could have cost enough on one day under any filters, gathered once per open snapshot and kept on disk.

    Those are few: of 4.6 million user-days (10 million calls) 1,800 rows, where to look through all of them took 0.9 s of CPU at each question.
    What counts is the sum of the costs above 0, which no filter makes larger.
    """
    if warehouse.has_table(_DEAR):
        return warehouse.table(_DEAR)
    rows = warehouse.table("user_days")
    daily = rows.filter(rows.cost > 0).group_by(day=rows.date, user=rows.user_id).agg(most=rows.cost.sum())
    dear = daily.filter(daily.most >= Decimal(LEAST_AMOUNT)).select("user").distinct()
    found = rows.semi_join(dear, rows.user_id == dear.user)
    if not warehouse.keeps_prepared:
        return warehouse.materialise(_DEAR, found)
    needs = Needs(facts=("calls",), inputs=(str(LEAST_AMOUNT),))
    return warehouse.hold(
        _DEAR, prepared(warehouse, "dear-users", needs, lambda: {_DEAR: warehouse.arrow(found)})[_DEAR]
    )


class _Gathering:
    """Sums by day and value, put into one array as they come."""

    def __init__(self, days: tuple[date, ...], known_days: Iterable[date]) -> None:
        self._days = days
        self._place = {day: number for number, day in enumerate(days)}
        self._unknown = np.array([day not in set(known_days) for day in days], dtype=bool)
        self._names: list[str] = []
        self._currencies: list[str | None] = []
        self._gross: list[Floats] = []
        self._net: list[Floats] = []
        self._exact: dict[tuple[int, int], tuple[Decimal, Decimal]] = {}

    def add(self, sums: pa.Table, dimension: str, currency: str | None) -> None:
        values = sums["value"].to_pylist()
        only_missing = dimension not in (TOTAL, "feature") and all(value is None for value in values)
        rows: dict[str | None, int] = {}
        partial: dict[int, list[int]] = {}
        columns = (sums[name].to_pylist() for name in ("date", "gross", "net", "partial"))
        for value, day, gross, net, is_partial in zip(values, *columns, strict=True):
            place = self._place.get(day)
            if place is None or (value is None and (only_missing or dimension not in (TOTAL, *NAMED_UNTAGGED))):
                continue
            row = rows.get(value)
            if row is None:
                row = rows[value] = len(self._names)
                self._names.append(dimension if dimension == TOTAL else f"{dimension}:{value or UNTAGGED}")
                self._currencies.append(currency)
                self._gross.append(np.zeros(len(self._days)))
                self._net.append(np.zeros(len(self._days)))
            self._exact[row, place] = (gross if gross is not None else Decimal(0), net)
            self._gross[row][place], self._net[row][place] = float(gross or 0), float(net)
            if is_partial:
                partial.setdefault(row, []).append(place)
        for row in rows.values():
            began = min(place for place in range(len(self._days)) if (row, place) in self._exact)
            hidden = self._unknown.copy()
            hidden[:began] = True
            hidden[partial.get(row, [])] = True
            self._gross[row][hidden], self._net[row][hidden] = np.nan, np.nan

    def panel(self, series: str | None) -> Panel:
        order = sorted(range(len(self._names)), key=lambda row: (self._names[row] != TOTAL, self._names[row]))
        order = [row for row in order if series in (None, self._names[row])]
        place = {row: number for number, row in enumerate(order)}
        empty = np.zeros((0, len(self._days)))
        return Panel(
            tuple(self._names[row] for row in order),
            tuple(self._currencies[row] for row in order),
            self._days,
            np.stack([self._gross[row] for row in order]) if order else empty,
            np.stack([self._net[row] for row in order]) if order else empty,
            {(place[row], day): amounts for (row, day), amounts in self._exact.items() if row in place},
        )
