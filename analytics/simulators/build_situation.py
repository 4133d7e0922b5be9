"""From the warehouse to a situation: calls, prices, and what the bill charges beside them.

By default the figures are the ledger's, so that a what-if starts at the total that every other page shows. What a provider's bill charges
for a model that was called is spread over those calls (`Workload.money`), as the ledger allocates it; what no call explains stays as a cost line
of its own, which no lever changes, and so do credits.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from analytics.filters import Filters, apply
from analytics.frames import rows_of
from analytics.fx import CALLS_CURRENCY, in_currency
from analytics.infrastructure import bill_lines
from analytics.ledger import MODEL_CATEGORIES, ledger
from analytics.simulators.build_workload import LIMIT, build_workload
from analytics.simulators.infrastructure import CostLine, Infrastructure
from analytics.simulators.rates_table import read_rates
from analytics.simulators.situation import Situation
from analytics.simulators.window import Window
from analytics.simulators.workload import Workload
from warehouse.errors import InputError
from warehouse.reader import Warehouse


def build_situation(
    warehouse: Warehouse, filters: Filters, *, as_logged: bool = False, book: str | None = None, limit: int = LIMIT
) -> Situation:
    """The period as it was: calls that pass the filters, cost lines of the same filters on their basis, utilization and prices.

    Costs equal the ledger's in USD, by category; with `as_logged` the calls cost exactly what the log says, and bills for models are left out.
    `book` prices changed calls from one book alone. Amounts of other currencies take part at the rate of their day; those of a day without
    one are left out, and their currencies named in `notes`.

    Without any call there are the cost lines alone, and a note. Raises InputError when there is neither.
    """
    workload = build_workload(warehouse, filters, limit=limit, may_be_empty=True)
    return situation_of(warehouse, filters, workload, as_logged=as_logged, book=book)[0]


def situation_of(
    warehouse: Warehouse, filters: Filters, workload: Workload, *, as_logged: bool = False, book: str | None = None
) -> tuple[Situation, NDArray[np.float64] | None]:
    """`build_situation` of calls that were read, as logged; and the factors by which what they cost became what is billed (see `billed`; None: none).

    Raises as it does.
    """
    window = workload.window
    notes: list[str] = []
    factors: NDArray[np.float64] | None = None
    lines, foreign = _resources(warehouse, filters, window)
    if not as_logged:
        factors, rest, others = _as_billed(warehouse, filters, workload)
        workload = billed(workload, factors)
        lines += rest
        foreign |= others
    if not len(workload):
        if not lines:
            raise InputError(
                "neither a call nor a cost of this period passes the filters: choose other days or fewer filters"
            )
        notes.append("No call of this period passes the filters: only levers on resources can act.")
    if foreign:
        notes.append(
            f"Amounts in {', '.join(sorted(foreign))} without an exchange rate are left out: what-ifs reckon in USD."
        )
    if workload.is_sample:
        notes.append(
            f"{workload.population:,} calls passed the filters; {len(workload):,} of them, a weighted sample, are replayed."
        )
    if workload.unknown_calls:
        notes.append(f"The cost of {workload.unknown_calls:,.0f} calls is not known; they are in no figure here.")
    rates = read_rates(warehouse, workload.models, workload.names["processing"], book=book)
    situation = Situation(
        workload=workload,
        rates=rates,
        infrastructure=Infrastructure(tuple(lines)),
        utilization=read_utilization(warehouse, window).to_pandas(),
        notes=tuple(notes),
    )
    return situation, factors


def billed(workload: Workload, factors: NDArray[np.float64] | None) -> Workload:
    """The calls at what is billed for them: `factors` by category (of `MODEL_CATEGORIES`) and model; None: as logged."""
    if factors is None:
        return workload
    return replace(workload, money=workload.money * factors[workload.is_embedding.astype(np.int64), workload.model])


def _resources(warehouse: Warehouse, filters: Filters, window: Window) -> tuple[list[CostLine], set[str]]:
    """Cost lines of all categories but model use, by resource."""
    bill = bill_lines(warehouse, filters)
    bill = bill.filter(~bill.x_CostCategory.isin(MODEL_CATEGORIES).fill_null(False))
    amount = bill[{"billed": "BilledCost", "effective": "EffectiveCost", "list": "ListCost"}[filters.basis]]
    bill = in_currency(
        warehouse, bill.mutate(native_currency=bill.BillingCurrency, amount=amount), ("amount",), CALLS_CURRENCY
    )
    is_hours = bill.ConsumedUnit.lower().isin(["hours", "hrs", "hour"]).fill_null(False)
    rows = rows_of(
        warehouse,
        bill.group_by(
            date=bill.date, last=_last_day(bill), category=bill.x_CostCategory, service=bill.ServiceName,
            resource=bill.ResourceId, provider=bill.provider,
            feature=bill.feature, currency=bill.currency,
        ).agg(
            cost=bill.amount.sum().cast("decimal(38, 12)"),
            hours=bill.ConsumedQuantity.sum(where=is_hours & (bill.ChargeCategory == "Usage").fill_null(False)).cast("float64"),
        ),
    )  # fmt: skip
    return _lines(sorted(rows, key=repr), window, "resource"), {
        row["currency"] for row in rows if row["currency"] != CALLS_CURRENCY and row["cost"]
    }


def _last_day(bill: ir.Table) -> ir.DateValue:
    """The last day that a line covers: a line for a month is spread over it, instead of being its first day's."""
    end = bill.ChargePeriodEnd.fill_null(bill.ChargePeriodStart)
    covers_days = end >= bill.ChargePeriodStart + ibis.interval(days=1)
    return covers_days.ifelse((end - ibis.interval(microseconds=1)).date(), bill.date)


def _as_billed(
    warehouse: Warehouse, filters: Filters, workload: Workload
) -> tuple[NDArray[np.float64] | None, list[CostLine], set[str]]:
    """The factors by which the calls stand for what the ledger says that their models cost; and what the ledger has beyond them."""
    table = apply(ledger(warehouse, CALLS_CURRENCY), filters)
    table = table.filter(table.category.isin(MODEL_CATEGORIES).fill_null(False))
    rows = rows_of(
        warehouse,
        table.group_by(
            "date", "category", "provider", "service", "model", "feature", "allocation", "is_credit", "currency"
        ).agg(cost=table[filters.basis].sum().cast("decimal(38, 12)")),
    )
    # In one order: the last digits of sums are the same in every process.
    rows = sorted((row for row in rows if row["cost"] is not None), key=repr)
    foreign = {row["currency"] for row in rows if row["currency"] != CALLS_CURRENCY and row["cost"]}
    rows = [row for row in rows if row["currency"] == CALLS_CURRENCY]
    logged = _logged(workload)
    rest: list[dict] = []
    charged: dict[tuple[str | None, str | None, str | None], Decimal] = defaultdict(Decimal)
    for row in rows:
        key = row["category"], row["provider"], row["model"]
        if row["is_credit"] or row["allocation"] == "not traced" or not logged.get(key):
            rest.append({**row, "resource": None, "hours": None})
        else:
            charged[key] += row["cost"]
    lines = _lines([row for row in rest if row["is_credit"]], workload.window, "credit")
    lines += _lines([row for row in rest if not row["is_credit"]], workload.window, "not traced")
    factor = np.ones((2, len(workload.models)))
    for (category, provider, model), known in logged.items():
        if known:
            place = MODEL_CATEGORIES.index(category), workload.models.index((provider, model))
            factor[place] = float(charged[(category, provider, model)]) / known
    return None if (factor == 1).all() else factor, lines, foreign


def _logged(workload: Workload) -> dict[tuple[str | None, str | None, str | None], float]:
    sums: dict[tuple[str | None, str | None, str | None], float] = {}
    # One pass: the place of a model among the calls that embed lies behind those of all others.
    code = workload.model + workload.is_embedding.astype(np.int32) * len(workload.models)
    by_model = np.bincount(code, weights=workload.spent(), minlength=2 * len(workload.models))
    for place, category in enumerate(MODEL_CATEGORIES):
        for model, pair in enumerate(workload.models):
            sums[(category, *pair)] = float(by_model[place * len(workload.models) + model])
    return sums


def _lines(rows: list[dict], window: Window, kind: str) -> list[CostLine]:
    found: dict[tuple, tuple[np.ndarray, list[float]]] = {}
    for row in rows:
        if row["cost"] is None or row["currency"] != CALLS_CURRENCY:
            continue
        key = (
            row["category"] or "Unclassified", row["service"], row["resource"], row["provider"], row["feature"], row.get("model"),
        )  # fmt: skip
        daily, hours = found.setdefault(key, (np.zeros(window.days), []))
        first = _place(row["date"], window)
        last = max(first, _place(row.get("last") or row["date"], window))
        daily[first : last + 1] += float(row["cost"]) / (last + 1 - first)
        if row["hours"] is not None:
            hours.append(row["hours"])
    return [
        CostLine(
            category,
            service or "(no service)",
            resource,
            daily,
            sum(hours) if hours else None,
            provider,
            feature,
            kind,
            model,
        )
        for (category, service, resource, provider, feature, model), (daily, hours) in sorted(
            found.items(), key=lambda item: str(item[0])
        )
        if kind == "resource" or daily.any()
    ]


def _place(day: date, window: Window) -> int:
    return min(max((day - window.first).days, 0), window.days - 1)


def read_utilization(warehouse: Warehouse, window: Window) -> pa.Table:
    """Rows of the table "utilization" in the window, in order of time."""
    table = warehouse.table("utilization")
    start, end = (pd.Timestamp(int(window.midnights[place]), unit="us").to_pydatetime() for place in (0, -1))
    return warehouse.arrow(table.filter(table.hour >= start, table.hour < end).order_by("hour", "resource"))
