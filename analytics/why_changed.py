"""Why did cost change: the difference between two periods as parts that sum to it exactly, by driver and by feature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from analytics.cost_kinds import NOT_TRACED, SHARED
from analytics.currency import require_one_currency
from analytics.decomposition import FACTORS, decompose
from analytics.decomposition_cells import Usage, sides, usage
from analytics.filters import Filters
from analytics.frames import Row, frame_of, name_order
from analytics.kept_findings import is_whole, kept_finding
from warehouse.reader import Warehouse

INFRASTRUCTURE, UNTRACED, CREDITS = "infrastructure", "billed, not traced", "credits"
DRIVERS = (*FACTORS, INFRASTRUCTURE, UNTRACED, CREDITS)
"""What a difference is made of, in the order in which it is shown."""

COLUMNS = ("feature", "kind", "driver", "detail", "amount", "currency")

WORDS = {
    "days": "The periods have different numbers of days",
    "calls": "More or fewer calls a day that reach a model",
    "feature mix": "Another share of the calls went to dearer or cheaper features",
    "model mix": "Another share of a feature's calls went to dearer or cheaper models",
    "tokens per call": "Longer or shorter prompts and answers",
    "cache rate": "Another part of the input was read from, or written to, a provider's prompt cache",
    "price": "Another cost per token of the same model and class: list prices, discounts, batch, what the bill says beyond the traces",
    INFRASTRUCTURE: "Whatever is no model call: GPUs, vector database, storage, transfer",
    UNTRACED: "Billed model use without any traced call, so that nothing more is known of it",
    CREDITS: "Credits that the provider granted",
}
"""What each driver means."""


@dataclass(frozen=True)
class Change:
    """Two periods and the parts of their difference; money exact, in `currency`. parts: (driver, amount), without those that are 0; they
    sum to `difference` = after - before."""

    before: Decimal
    after: Decimal
    difference: Decimal
    currency: str | None
    parts: tuple[tuple[str, Decimal], ...]


def why_changed(warehouse: Warehouse, filters: Filters, earlier: Filters | None = None) -> pd.DataFrame:
    """Parts of the difference between the filters' period and an earlier one (default: the one before), by feature and driver.

    Grain: one row per feature, driver and detail, the largest amounts first; the amounts sum exactly to the difference of the ledger's cost,
    on the filters' basis. feature: None where there is none; kind then says which rest it is ("shared", "not traced" or "untagged").
    driver: one of `DRIVERS` (see `WORDS`); detail: the model of a model call, the category of infrastructure. Drivers of model calls are
    Shapley values, see `analytics.decomposition`: none depends on an order. amount: above 0 made it dearer.

    Raises InputError when the costs are in several currencies.
    """
    before, after = _both(warehouse, filters, earlier)
    return frame_of(difference_rows(warehouse, before, after), COLUMNS)


def change(warehouse: Warehouse, filters: Filters, earlier: Filters | None = None) -> Change:
    """The same by driver alone: the bridge from one period to the other. Raises InputError when the costs are in several currencies."""

    def find() -> Change:
        return _change(warehouse, filters, earlier)

    if not is_whole(filters) or (earlier is not None and not is_whole(earlier)):
        return find()
    return kept_finding(warehouse, "change", find, filters, earlier)


def _change(warehouse: Warehouse, filters: Filters, earlier: Filters | None) -> Change:
    before, after = _both(warehouse, filters, earlier)
    rows = difference_rows(warehouse, before, after)
    return Change(
        before.total, after.total, after.total - before.total, after.currency or before.currency, by_driver(rows)
    )


def by_driver(rows: Iterable[Row]) -> tuple[tuple[str, Decimal], ...]:
    """Sums of rows of `why_changed` by driver, in the order of `DRIVERS`, without those that are 0."""
    sums = dict.fromkeys(DRIVERS, Decimal(0))
    for row in rows:
        sums[row["driver"]] += row["amount"]
    return tuple((driver, amount) for driver, amount in sums.items() if amount)


def by_feature(frame: pd.DataFrame) -> pd.DataFrame:
    """`why_changed` with one row per feature and one column per driver that occurs, and their sum `difference`; the largest first."""
    drivers = [driver for driver in DRIVERS if driver in set(frame["driver"])]
    rows: dict[tuple[str | None, str], Row] = {}
    for row in frame.to_dict("records"):
        one = rows.setdefault(
            (row["feature"], row["kind"]),
            {"feature": row["feature"], "kind": row["kind"], "difference": Decimal(0), "currency": row["currency"]}
            | dict.fromkeys(drivers, Decimal(0)),
        )
        one[row["driver"]] += row["amount"]
        one["difference"] += row["amount"]
    ordered = sorted(rows.values(), key=lambda row: (-abs(row["difference"]), name_order(row["feature"]), row["kind"]))
    return frame_of(ordered, ("feature", "kind", "difference", *drivers, "currency"))


def difference_rows(warehouse: Warehouse, before: Usage, after: Usage) -> list[Row]:
    """Rows of `why_changed` for any two uses."""
    currency = require_one_currency(
        one.currency for one in (before, after) if one.total or one.models or one.infrastructure
    )
    rows: list[Row] = []
    cells, first, second = sides(warehouse, before, after)
    for (feature, model), parts in zip(cells, decompose(first, second), strict=True):
        kind = "feature" if feature is not None else "untagged"
        rows += [_row(feature, kind, driver, model, amount) for driver, amount in parts.items()]
    for feature, category in {*before.infrastructure, *after.infrastructure}:
        key = (feature, category)
        amount = after.infrastructure.get(key, Decimal(0)) - before.infrastructure.get(key, Decimal(0))
        rows.append(_row(feature, "feature" if feature is not None else SHARED, INFRASTRUCTURE, category, amount))
    for driver, name in ((UNTRACED, "untraced"), (CREDITS, "credits")):
        then, now = getattr(before, name), getattr(after, name)
        for feature in {*then, *now}:
            amount = now.get(feature, Decimal(0)) - then.get(feature, Decimal(0))
            rows.append(_row(feature, "feature" if feature is not None else NOT_TRACED, driver, None, amount))
    rows = [row | {"currency": currency} for row in rows if row["amount"]]
    return sorted(rows, key=lambda row: (-abs(row["amount"]), row["driver"], str(row["feature"]), str(row["detail"])))


def _row(feature: str | None, kind: str, driver: str, detail: str | None, amount: Decimal) -> Row:
    return {"feature": feature, "kind": kind, "driver": driver, "detail": detail, "amount": amount}


def _both(warehouse: Warehouse, filters: Filters, earlier: Filters | None) -> tuple[Usage, Usage]:
    return usage(warehouse, earlier or filters.previous()), usage(warehouse, filters)
