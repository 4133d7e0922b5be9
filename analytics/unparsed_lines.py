"""Billing lines for model usage that do not say which model or direction they are about: what no parser could read, never hidden."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from analytics.filters import FILTERABLE, Filters, apply
from analytics.frames import frame_of, name_order, rows_of
from analytics.infrastructure import FILTER_COLUMNS
from analytics.ledger import MODEL_CATEGORIES
from analytics.ratios import share
from warehouse.reader import Warehouse

COLUMNS = ("provider", "service", "usage_type", "description", "lacks", "lines", "cost", "cost_share", "currency")

_AMOUNTS = {"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost"}


def unparsed_lines(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Usage lines of categories "LLM API" and "Embedding" without a model or a token direction, the dearest first.

    Grain: provider, service, usage type, description and currency. lacks: "model" or "direction". cost: on the filters' basis (None: not
    known); cost_share: of the provider's model usage in that currency. Of the filters the period, provider and currency apply.
    """
    filters = filters.without(*(name for name in FILTERABLE if name not in ("provider", "currency")))
    lines = apply(warehouse.table("charge_lines"), filters, FILTER_COLUMNS)
    lines = lines.filter(
        lines.x_CostCategory.isin(MODEL_CATEGORIES), ~lines.ChargeCategory.isin(["Credit", "Tax", "Adjustment"]).fill_null(False)
    )  # fmt: skip
    lacks = lines.x_Model.isnull().ifelse("model", lines.x_TokenDirection.isnull().ifelse("direction", ""))
    grouped = lines.group_by(
        "provider", service=lines.ServiceName, usage_type=lines.x_UsageType, description=lines.ChargeDescription, lacks=lacks,
        currency=lines.BillingCurrency,
    ).agg(lines=lines.count(), cost=lines[_AMOUNTS[filters.basis]].sum())  # fmt: skip
    rows = rows_of(warehouse, grouped)
    whole: dict[tuple[str | None, str | None], Decimal] = {}
    for row in rows:
        key = (row["provider"], row["currency"])
        whole[key] = whole.get(key, Decimal(0)) + (row["cost"] or 0)
    found = [
        row | {"cost_share": share(row["cost"], whole[(row["provider"], row["currency"])])}
        for row in rows
        if row["lacks"]
    ]
    found.sort(key=lambda row: (-(row["cost"] or 0), *(name_order(row[name]) for name in COLUMNS[:5])))
    return frame_of(found, COLUMNS)
