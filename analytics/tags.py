"""How much of the cost carries each required tag."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from analytics.currency import require_one_currency
from analytics.filters import Filters, apply
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.ledger import ledger
from analytics.ratios import share
from warehouse.reader import Warehouse

COLUMNS = ("tag", "value", "cost", "share", "tagged", "currency", "calls")


def tags(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Ledger cost of the period by value of each required tag (configuration: `required_tags`), on the filters' basis.

    Grain: one row per tag and value, the dearest first within a tag, and last the row of what lacks the tag (`value` None, `tagged`
    False; left out when everything has it). cost: in `currency`, the sum of what is known; None when nothing is. share: part of
    the tag's whole cost; the rows of a tag sum to the ledger.

    Raises InputError when the costs are in several currencies.
    """
    rows = apply(ledger(warehouse), filters)
    answers: list[Row] = []
    for tag in warehouse.configuration.required_tags:
        sums = rows.group_by(value=rows[tag], currency=rows.currency).agg(
            cost=rows[filters.basis].sum(),
            calls=rows.calls.sum().cast("int64"),
            has_money=rows[filters.basis].notnull().any(),
        )
        found = rows_of(warehouse, sums)
        currency = require_one_currency(row["currency"] for row in found if row["has_money"])
        answers += _of_one_tag(tag, found, currency)
    return frame_of(answers, COLUMNS)


def _of_one_tag(tag: str, found: list[Row], currency: str | None) -> list[Row]:
    merged: dict[str | None, Row] = {}
    for row in found:
        into = merged.setdefault(row["value"], {"cost": None, "calls": 0})
        into["calls"] += row["calls"]
        if row["cost"] is not None:
            into["cost"] = row["cost"] + (into["cost"] or 0)
    whole = sum((row["cost"] for row in merged.values() if row["cost"] is not None), Decimal(0))
    rows = [
        {
            "tag": tag,
            "value": value,
            "share": share(row["cost"], whole),
            "tagged": value is not None,
            "currency": currency,
        }
        | row
        for value, row in merged.items()
    ]
    return sorted(
        rows, key=lambda row: (not row["tagged"], row["cost"] is None, -(row["cost"] or 0), name_order(row["value"]))
    )
