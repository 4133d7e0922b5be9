"""What a change of virtual tags would do: how many rows get another name, and which dollars move from where to where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import ledger
from warehouse.reader import Warehouse
from warehouse.schema import DIMENSIONS
from warehouse.state import Restated
from warehouse.tag_rules import TagRule

COLUMNS = ("dimension", "value", "before", "after", "change", "currency")

_Key = tuple[Any, ...]


@dataclass(frozen=True)
class Effect:
    """What other virtual tags would change, over all days of the store.

    calls, lines: traced calls and billing lines with another value of some dimension. changes: one row per dimension, value (None: untagged) and
    currency whose effective cost in the ledger would be another, the largest first: dimension, value, before, after, change, currency; the changes of
    a dimension sum to 0. moved: by currency, the sum of the increases in the dimension that changes most. restated: the same by
    past day, source, feature and service, for the record.
    """

    calls: int
    lines: int
    changes: pd.DataFrame
    moved: tuple[tuple[str, Decimal], ...]
    restated: tuple[Restated, ...]


def effect(warehouse: Warehouse, rules: Sequence[TagRule]) -> Effect:
    """What would change if these were the virtual tags instead of the present ones. Nothing is stored."""
    calls, lines = warehouse.retagged(rules)
    after = warehouse.with_tag_rules(rules)
    changes: list[Row] = []
    increases: dict[str, Decimal] = {}
    for dimension in DIMENSIONS:
        differences = _differences(warehouse, after, (dimension, "currency"))
        of_dimension: dict[str, Decimal] = {}
        for (value, currency), (old, new) in differences.items():
            names = {"dimension": dimension, "value": value, "currency": currency}
            changes.append(names | {"before": old, "after": new, "change": new - old})
            of_dimension[currency] = of_dimension.get(currency, Decimal(0)) + max(new - old, Decimal(0))
        for currency, amount in of_dimension.items():
            increases[currency] = max(amount, increases.get(currency, Decimal(0)))
    changes.sort(key=lambda row: (DIMENSIONS.index(row["dimension"]), -abs(row["change"]), name_order(row["value"])))
    return Effect(
        calls,
        lines,
        frame_of(changes, COLUMNS),
        tuple(sorted((currency, amount) for currency, amount in increases.items() if amount)),
        tuple(_restated(warehouse, after)),
    )


def _restated(before: Warehouse, after: Warehouse) -> list[Restated]:
    today = datetime.now(UTC).date()
    keys = ("ledger", "source", "date", "feature", "service", "currency")
    return [
        Restated("charges" if of == "bill" else "calls", source, day, feature, service, currency, old, new)
        for (of, source, day, feature, service, currency), (old, new) in _differences(before, after, keys).items()
        if day < today
    ]


def _differences(before: Warehouse, after: Warehouse, keys: Sequence[str]) -> dict[_Key, tuple[Decimal, Decimal]]:
    """Effective cost before and after by these keys, where it differs, in a fixed order."""
    sums = [_sums(warehouse, keys) for warehouse in (before, after)]
    every = sorted({*sums[0], *sums[1]}, key=_order)
    zero = Decimal(0)
    pairs = {key: (sums[0].get(key, zero), sums[1].get(key, zero)) for key in every}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _order(key: _Key) -> tuple[tuple[bool, str], ...]:
    return tuple((part is None, str(part)) for part in key)


def _sums(warehouse: Warehouse, keys: Sequence[str]) -> dict[_Key, Decimal]:
    rows: ir.Table = ledger(warehouse)
    rows = rows.filter(rows.effective.notnull())
    found = rows_of(warehouse, rows.group_by(list(keys)).agg(cost=rows.effective.sum()))
    return {tuple(row[key] for key in keys): row["cost"] for row in found}
