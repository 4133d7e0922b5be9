"""Prices over time: which price of which book holds, what it was before, and where it comes from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import pairwise

import pandas as pd

from analytics.filters import Filters
from analytics.frames import Row, frame_of, rows_of
from analytics.ratios import share
from analytics.totals import filtered_calls
from warehouse.rates import ANY_MODEL, BEGINNING, BOOK_ORDER, OPEN_END, PRICE_CLASSES
from warehouse.reader import Warehouse

IN_FORCE, PAST, FUTURE, OTHER_BOOK = "in force", "past", "not yet", "other book"

COLUMNS = (
    "provider", "model", "token_class", "processing", "context_from", "amount", "currency", "state", "book", "valid_from", "valid_to",
    "previous", "change", "source", "load_id",
)  # fmt: skip


def price_history(warehouse: Warehouse, filters: Filters, scope: str = "used") -> pd.DataFrame:
    """Prices with their validity, what holds on the period's last day, and what each replaced; by provider, model, class, the newest first.

    `scope` is "used" (models that the period's calls used), "contract" (own agreements: the book "contract" and every price that was
    loaded) or "all". Of the filters the period, provider and model apply.

    Columns of `prices` (warehouse.schema): amount is per 1,000,000 tokens (request: per 1,000 calls); valid_from is None where the price
    always held; valid_to is exclusive, and None where it is open. state: "in force" on the last day; "past"; "not yet"; "other book"
    (valid, but an earlier book in the order of look-up decides, or this one is used only when it is named). previous: the price of the same
    book that this one replaced; change = (amount - previous) / previous.
    """
    prices = warehouse.table("prices")
    for name, values in filters.where:
        if name in ("provider", "model"):
            prices = prices.filter(prices[name].isin(values))
    # Of ten thousand prices a few hundred are of models in use: only those leave the store.
    if scope == "used":
        calls = filtered_calls(warehouse, filters).select("provider", "model").distinct()
        used = {(row["provider"], row["model"]) for row in rows_of(warehouse, calls)}
        used |= {(provider, ANY_MODEL) for provider, _ in used}
        models = sorted({model for _, model in used if model is not None})
        rows = rows_of(warehouse, prices.filter(prices.model.isin(models)))
        rows = [row for row in rows if (row["provider"], row["model"]) in used]
    elif scope == "contract":
        rows = rows_of(warehouse, prices.filter((prices.book == BOOK_ORDER[0]) | prices.load_id.notnull()))
    else:
        rows = rows_of(warehouse, prices)
    _say_what_holds(rows, datetime.combine(filters.end, time(12)))
    _say_what_was_before(rows)
    classes = {name: place for place, name in enumerate(PRICE_CLASSES)}
    rows.sort(key=lambda row: (row["provider"], row["model"], row["processing"] != "standard", row["processing"], row["context_from"] or 0,
                               classes.get(row["token_class"], 99), -row["valid_from"].timestamp(), row["book"]))  # fmt: skip
    for row in rows:
        row["valid_from"] = None if row["valid_from"] == BEGINNING else row["valid_from"]
        row["valid_to"] = None if row["valid_to"] == OPEN_END else row["valid_to"]
    return frame_of(rows, COLUMNS)


def price_changes(warehouse: Warehouse, filters: Filters, scope: str = "used") -> pd.DataFrame:
    """The rows of `price_history` that replaced another price of their book at another amount, the newest first."""
    return _changed(price_history(warehouse, filters, scope))


def _changed(frame: pd.DataFrame) -> pd.DataFrame:
    changed = frame.loc[frame["previous"].notna() & (frame["previous"] != frame["amount"])]
    order = sorted(range(len(changed)), key=lambda place: -changed["valid_from"].iloc[place].timestamp())
    return changed.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class PriceSummary:
    """How many models the period's calls used, which of them have no known cost at all, and which books' prices hold on its last day."""

    models: int
    without_price: tuple[str, ...]
    books: tuple[str, ...]
    last_change: date | None
    """Day of the newest price change of a used model up to the period's end."""
    agreements: int
    """Prices in force on the period's last day of the own contract or an own file."""


def price_summary(warehouse: Warehouse, filters: Filters) -> PriceSummary:
    """Summary of the models that the period's calls used."""
    calls = filtered_calls(warehouse, filters)
    sums = calls.group_by(["provider", "model"]).agg(known=calls.cost.count())
    used = rows_of(warehouse, sums)
    frame = price_history(warehouse, filters)
    changes = _changed(frame)
    days = [moment.date() for moment in changes["valid_from"] if moment.date() <= filters.end]
    agreed = price_history(warehouse, filters, "contract")
    return PriceSummary(
        len(used),
        tuple(sorted(row["model"] or "(unnamed)" for row in used if not row["known"])),
        tuple(sorted({book for book, state in zip(frame["book"], frame["state"], strict=True) if state == IN_FORCE})),
        max(days, default=None),
        sum(state == IN_FORCE for state in agreed["state"]),
    )


def _say_what_holds(rows: list[Row], at: datetime) -> None:
    """Set `state`: the first book of the order with any valid row decides for a model and processing (rules: warehouse.rates)."""
    books: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row["valid_from"] <= at < row["valid_to"]:
            books[(row["provider"], row["model"], row["processing"])].add(row["book"])
    newest: dict[tuple[object, ...], tuple[datetime, int]] = {}
    for row in rows:
        if row["valid_from"] <= at < row["valid_to"]:
            key, rank = _key(row), _rank(row)
            newest[key] = max(newest.get(key, rank), rank)
    for row in rows:
        # A price of every model of the provider decides for one as its own would.
        of_any = books[(row["provider"], ANY_MODEL, row["processing"])] if row["model"] != ANY_MODEL else set()
        valid = books[(row["provider"], row["model"], row["processing"])] | of_any
        deciding = next((book for book in BOOK_ORDER if book in valid), None)
        if row["valid_from"] > at:
            row["state"] = FUTURE
        elif at >= row["valid_to"] or _rank(row) != newest[_key(row)]:
            row["state"] = PAST
        else:
            row["state"] = IN_FORCE if row["book"] == deciding else OTHER_BOOK


def _say_what_was_before(rows: list[Row]) -> None:
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[_key(row)].append(row)
    for group in groups.values():
        group.sort(key=_rank)
        for before, row in pairwise(group):
            row["previous"] = before["amount"]
            row["change"] = share(row["amount"] - before["amount"], before["amount"])


def _key(row: Row) -> tuple[object, ...]:
    names = ("book", "provider", "model", "token_class", "processing", "context_from")
    return tuple(row[name] for name in names)


def _rank(row: Row) -> tuple[datetime, int]:
    return row["valid_from"], -1 if row["load_id"] is None else row["load_id"]
