"""A reconciliation in short: how much of the bill the traces explain, what the gap is made of, and how that moves over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd

from analytics import formatting
from analytics.filters import Filters
from analytics.frames import Row, frame_of
from analytics.period_names import name
from analytics.ratios import share
from analytics.reconciliation import CAUSES, reconciliation
from warehouse.reader import Warehouse

CAUSE_NAMES = {
    "missing_calls": "Calls never traced",
    "unpriced": "Traced without a price",
    "token_class": "Token class",
    "batch_or_tier": "Batch or tier",
    "price_date": "Price date",
    "day_boundary": "Day boundary",
    "retries_failures": "Failures not billed",
    "credits": "Credits",
    "adjustments": "Taxes and corrections",
    "unexplained": "Unexplained",
}


@dataclass(frozen=True)
class ReconciliationSummary:
    """Sums over what a bill covers, in `currency`; None where no bill covers anything. `not_billed`: known cost of calls beyond the bills."""

    estimated: Decimal | None
    billed: Decimal | None
    gap: Decimal | None
    gap_share: float | None
    explained_share: float | None
    """1 - unexplained / billed, by size: how much of the bill is traced or has a named cause."""
    not_billed: Decimal
    currency: str
    causes: tuple[tuple[str, Decimal], ...]
    """Causes that are not 0, the largest first."""


@dataclass(frozen=True)
class ReconciliationReport:
    """One reconciliation, worked out once: its table (`reconciliation`), its sums, its sentence, and its gap over time."""

    table: pd.DataFrame
    summary: ReconciliationSummary
    headline: str
    over_time: pd.DataFrame
    """One row per period of the filters' grain and cause: period (its first day), cause (a key of `CAUSE_NAMES`), name, amount, currency; causes
    that are 0 in every period are left out, and a period's rows sum to its gap."""


def reconciliation_report(warehouse: Warehouse, filters: Filters) -> ReconciliationReport:
    """Everything that there is to say about a reconciliation. Raises InputError as `reconciliation` does."""
    table = reconciliation(warehouse, filters)
    rows = table.to_dict("records")
    whole = _summary(rows)
    return ReconciliationReport(table, whole, _headline(whole, filters), _gap_by_cause(rows))


def _summary(rows: list[dict[Hashable, Any]]) -> ReconciliationSummary:
    billed_rows = [row for row in rows if row["billed"] is not None]
    # Where no bill covers a provider, the known cost of its calls stands in `estimated`.
    beyond = [row["estimated"] if row["billed"] is None else row["not_billed"] for row in rows]
    not_billed = sum((amount for amount in beyond if amount is not None), Decimal(0))
    currency = str(rows[0]["currency"]) if rows else "USD"
    if not billed_rows:
        return ReconciliationSummary(None, None, None, None, None, not_billed, currency, ())
    sums = {
        column: sum((row[column] for row in billed_rows if row[column] is not None), Decimal(0))
        for column in ("estimated", "billed", "gap", *CAUSES)
    }
    unexplained = sum((abs(row["unexplained"]) for row in billed_rows), Decimal(0))
    told = share(unexplained, sums["billed"])
    causes = sorted(
        ((cause, sums[cause]) for cause in CAUSES if sums[cause]), key=lambda item: (-abs(item[1]), item[0])
    )
    return ReconciliationSummary(
        sums["estimated"], sums["billed"], sums["gap"], share(sums["gap"], sums["billed"]),
        None if told is None else max(0.0, 1 - told), not_billed, currency, tuple(causes),
    )  # fmt: skip


def _headline(whole: ReconciliationSummary, filters: Filters) -> str:
    """How far bill and traces agree, and what most of the gap is, in one sentence."""
    if whole.billed is None or whole.gap is None or whole.estimated is None:
        return f"No bill covers the model usage of {name(filters)}: its cost is estimated from traces alone"
    billed = formatting.money(whole.billed, whole.currency)
    if not whole.gap:
        return f"Bill and traces agree on {billed} for model usage of {name(filters)}"
    side = "more" if whole.gap > 0 else "less"
    part = "" if whole.gap_share is None else f" ({formatting.share(abs(whole.gap_share))})"
    text = f"{billed} was billed for model usage of {name(filters)}, {formatting.money(abs(whole.gap), whole.currency)} {side} than traced{part}"
    if whole.causes:
        cause, amount = whole.causes[0]
        if amount == whole.gap:
            return f"{text}, all of it {CAUSE_NAMES[cause].lower()}"
        text += f"; the largest cause is {CAUSE_NAMES[cause].lower()}, {formatting.money(amount, whole.currency, plus=True)}"
    return text


def _gap_by_cause(found: list[dict[Hashable, Any]]) -> pd.DataFrame:
    sums: dict[date, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    currency = "USD"
    for row in found:
        if row["gap"] is None:
            continue
        currency = row["currency"]
        for cause in CAUSES:
            sums[row["period"]][cause] += row[cause]
    used = [cause for cause in CAUSES if any(parts[cause] for parts in sums.values())]
    rows: list[Row] = [
        {
            "period": period,
            "cause": cause,
            "name": CAUSE_NAMES[cause],
            "amount": sums[period][cause],
            "currency": currency,
        }
        for period in sorted(sums)
        for cause in used
    ]
    return frame_of(rows, ("period", "cause", "name", "amount", "currency"))
