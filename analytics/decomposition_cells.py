"""What a comparison of two costs rests on: the ledger's cost and the traced calls of some days, cell by cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import numpy as np

from analytics.currency import require_one_currency
from analytics.decomposition import Side
from analytics.feature_detail import calls_between
from analytics.filters import Filters, matching
from analytics.frames import rows_of
from analytics.ledger import MODEL_CATEGORIES, ledger
from analytics.ratios import UNIT_PLACES
from analytics.simulators.rates_table import CLASS_PLACE, read_rates
from warehouse.rates import CLASS_OF_COLUMN
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

Cell = tuple[str | None, str | None]
"""Feature and model."""

_FROM_BILL_ONLY = ("category", "service", "account", "currency", "source")
"""Filters that pick ledger rows, but not the calls behind them: those are found by the cells that have a cost."""


@dataclass
class Traced:
    """Traced calls of one cell: calls that reached a model, tokens by class, and their traced cost in USD; provider, for list prices."""

    provider: str | None = None
    calls: float = 0.0
    tokens: np.ndarray = field(default_factory=lambda: np.zeros(len(TOKEN_CLASSES)))
    cost: Decimal = Decimal(0)


@dataclass
class Usage:
    """Cost of some days, every dollar in one place; exact, in `currency`.

    models: of traced calls, by feature and model. untraced: billed model use without a traced call, by feature. infrastructure: everything
    else, by (feature, category). credits: by feature, 0 or below. `days`: how many days it is the cost of. `day`: the last one, whose list
    prices weigh tokens.
    """

    days: int
    day: date
    currency: str | None
    models: dict[Cell, Decimal] = field(default_factory=dict)
    traced: dict[Cell, Traced] = field(default_factory=dict)
    untraced: dict[str | None, Decimal] = field(default_factory=dict)
    infrastructure: dict[tuple[str | None, str | None], Decimal] = field(default_factory=dict)
    credits: dict[str | None, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """Cost of it all."""
        parts: tuple[Iterable[Decimal], ...] = (
            self.models.values(), self.untraced.values(), self.infrastructure.values(), self.credits.values(),
        )  # fmt: skip
        return sum((amount for part in parts for amount in part), Decimal(0))

    def scaled_to(self, total: Decimal) -> Usage:
        """The same kind of use in the amount that costs `total`: calls, tokens and costs times one factor. Nothing, where it cost nothing."""
        own = self.total
        if own <= 0 or total <= 0:
            return Usage(self.days, self.day, self.currency)
        factor = total / own
        scaled = Usage(self.days, self.day, self.currency)
        scaled.models = {key: (amount * factor).quantize(UNIT_PLACES) for key, amount in self.models.items()}
        scaled.untraced = {key: (amount * factor).quantize(UNIT_PLACES) for key, amount in self.untraced.items()}
        scaled.infrastructure = {
            key: (amount * factor).quantize(UNIT_PLACES) for key, amount in self.infrastructure.items()
        }
        scaled.traced = {
            cell: Traced(one.provider, one.calls * float(factor), one.tokens * float(factor), one.cost * factor)
            for cell, one in self.traced.items()
        }
        scaled._take_rest(total - scaled.total)
        return scaled

    def _take_rest(self, rest: Decimal) -> None:
        """Give what rounding has left to the largest part."""
        parts: list[dict] = [self.models, self.untraced, self.infrastructure]
        largest = max(
            ((part, key) for part in parts for key in part), key=lambda place: abs(place[0][place[1]]), default=None
        )
        if largest is not None:
            largest[0][largest[1]] += rest


def usage(warehouse: Warehouse, filters: Filters, days: Sequence[date] | None = None, *, credits: bool = True) -> Usage:
    """The cost of the filters' period, or of these `days` alone, by cell.

    `credits` False leaves the bill's credits out. Raises InputError when the costs are in several currencies.
    """
    chosen = tuple(days) if days is not None else None
    rows = _on(matching(ledger(warehouse), filters), filters, chosen)
    amount = rows[filters.basis]
    keys = ["feature", "model", "category", "is_credit", "currency"]
    sums = rows_of(warehouse, rows.filter(amount.notnull()).group_by(keys).agg(cost=amount.sum()))
    currency = require_one_currency(row["currency"] for row in sums)
    found = Usage(len(chosen) if chosen is not None else filters.days, chosen[-1] if chosen else filters.end, currency)
    calls = _on(warehouse.table("calls_daily"), filters, chosen)
    calls = matching(calls, filters.without(*_FROM_BILL_ONLY))
    traced = _traced(warehouse, calls, calls.calls.sum(), calls.usage_calls.sum())
    with_cost: dict[Cell, Decimal] = defaultdict(Decimal)
    for row in sums:
        feature, cost = row["feature"], row["cost"]
        if row["is_credit"]:
            found.credits[feature] = found.credits.get(feature, Decimal(0)) + (cost if credits else 0)
        elif row["category"] in MODEL_CATEGORIES:
            with_cost[feature, row["model"]] += cost
        else:
            key = (feature, row["category"])
            found.infrastructure[key] = found.infrastructure.get(key, Decimal(0)) + cost
    _place(found, dict(with_cost), traced)
    return found


def user_usage(warehouse: Warehouse, filters: Filters, user: str, days: Sequence[date]) -> Usage:
    """The traced cost of one user's calls on these days, in USD, by cell."""
    parts = [calls_between(warehouse, replace(filters, start=first, end=last)) for first, last in runs(days)]
    calls = ibis.union(*parts) if len(parts) > 1 else parts[0]
    calls = calls.filter(calls.user_id == user)
    has_usage = ibis.coalesce(*(calls[name] for name in TOKEN_CLASSES)).notnull()
    # Of a column: a count of the table's rows belongs to the table before it is filtered, and Ibis refuses it there.
    traced = _traced(warehouse, calls, calls.started_at.count(), has_usage.sum())
    found = Usage(len(days), max(days), "USD")
    _place(found, {cell: one.cost for cell, one in traced.items() if one.cost}, traced)
    return found


def runs(days: Iterable[date]) -> list[tuple[date, date]]:
    """First and last day of each unbroken run of days."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and (day - found[-1][1]).days == 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _on(rows: ir.Table, filters: Filters, days: tuple[date, ...] | None) -> ir.Table:
    if days is None:
        return rows.filter(rows.date.between(ibis.date(filters.start.isoformat()), ibis.date(filters.end.isoformat())))
    return rows.filter(rows.date.isin([ibis.date(day.isoformat()) for day in days]))


def _traced(
    warehouse: Warehouse, calls: ir.Table, number: ir.IntegerScalar, with_usage: ir.IntegerScalar
) -> dict[Cell, Traced]:
    """Calls by cell, without the answers of a gateway's cache: those reach no model and cost nothing."""
    reached = ~calls.cache_hit.fill_null(False)
    tokens = {name: calls[name].sum(where=reached) for name in TOKEN_CLASSES}
    sums = (
        calls.filter(reached)
        .group_by(["feature", "model", "provider"])
        .agg(calls=number, usage_calls=with_usage, cost=calls.cost.sum(), **tokens)
    )
    found: dict[Cell, Traced] = {}
    # The provider with most calls comes last, and gives the cell its list prices.
    for row in sorted(rows_of(warehouse, sums), key=lambda row: (row["calls"] or 0, row["provider"] or "")):
        one = found.setdefault((row["feature"], row["model"]), Traced())
        one.provider = row["provider"]
        one.calls += float(row["usage_calls"] or row["calls"] or 0)
        one.tokens += np.array([float(row[name] or 0) for name in TOKEN_CLASSES])
        one.cost += row["cost"] or 0
    return found


def _place(found: Usage, costs: dict[Cell, Decimal], traced: dict[Cell, Traced]) -> None:
    """Sort the cost of model use into what calls are known for and what not."""
    billed_by_feature: dict[str | None, Decimal] = {}
    for cell, cost in costs.items():
        if cell in traced and traced[cell].calls:
            found.models[cell] = cost
        else:
            billed_by_feature[cell[0]] = billed_by_feature.get(cell[0], Decimal(0)) + cost
    for feature, cost in billed_by_feature.items():
        # A line that names its feature but no model is what that feature's calls without a cost of their own were billed.
        waiting = {
            cell: one
            for cell, one in traced.items()
            if cell[0] == feature and cell not in costs and one.calls and one.cost > 0
        }
        whole = sum((one.cost for one in waiting.values()), Decimal(0))
        if feature is None or not waiting:
            found.untraced[feature] = cost
            continue
        for cell, one in waiting.items():
            found.models[cell] = (cost * one.cost / whole).quantize(UNIT_PLACES)
        largest = max(waiting, key=lambda cell: waiting[cell].cost)
        found.models[largest] += cost - sum((found.models[cell] for cell in waiting), Decimal(0))
    found.traced = {cell: one for cell, one in traced.items() if cell in found.models}


def sides(warehouse: Warehouse, before: Usage, after: Usage) -> tuple[list[Cell], Side, Side]:
    """The model use of both as sides of one comparison, over the cells that either has."""
    cells = sorted({*before.models, *after.models}, key=str)
    features = {feature: code for code, feature in enumerate(sorted({cell[0] for cell in cells}, key=str))}
    providers = {cell: (before.traced.get(cell) or after.traced[cell]).provider for cell in cells}
    models = [(providers[cell], cell[1]) for cell in cells]
    rates = read_rates(warehouse, models, ("standard",)) if models else None
    codes = np.array([features[cell[0]] for cell in cells], dtype=np.int64)

    def side(one: Usage) -> Side:
        found = [one.traced.get(cell, Traced()) for cell in cells]
        noon = datetime(one.day.year, one.day.month, one.day.day) + timedelta(hours=12)
        units = rates.table(at=noon) if rates is not None else np.zeros((0, len(CLASS_PLACE)))
        places = [CLASS_PLACE[CLASS_OF_COLUMN[name]] for name in TOKEN_CLASSES]
        return Side(
            one.days, codes, np.array([each.calls for each in found]),
            np.array([each.tokens for each in found]).reshape(len(cells), len(TOKEN_CLASSES)), units[:, places],
            tuple(one.models.get(cell, Decimal(0)) for cell in cells),
        )  # fmt: skip

    return cells, side(before), side(after)
