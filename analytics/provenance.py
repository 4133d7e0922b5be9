"""How a figure was obtained: snapshot, sources, loads, price books, bill or estimate, rules, the SQL that answers, and the rows behind.

It follows a view and its filters, so that what is explained is what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from analytics import formatting
from analytics.feature_detail import CALL_COLUMNS, calls_between
from analytics.filters import Filters, apply
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.infrastructure import bill_lines
from analytics.ledger import ledger, unknown_costs
from analytics.period_names import name as period_name
from analytics.ratios import share
from analytics.simulators.build_workload import call_filters
from analytics.unknown_costs import unknown_costs_in_sum
from analytics.views import view as find_view
from warehouse.reader import Warehouse

MOST_ROWS = 100_000
"""Rows of a file of the rows behind a figure; the dearest are kept."""

LEDGER_COLUMNS = ("from_where", "allocation", "source", "currency", "cost", "share", "calls", "unknown_costs")
LOAD_COLUMNS = (
    "load_id", "loaded_at", "kind", "source", "file", "partition", "rows_in", "rows_kept", "rows_rejected", "billed_stored", "effective_stored",
    "currency", "first_time", "last_time",
)  # fmt: skip
PRICE_COLUMNS = ("book", "provider", "model", "processing", "context_from", "priced_from", "calls", "cost", "price_id")
LINE_COLUMNS = (
    "date", "x_Source", "ServiceProviderName", "ServiceName", "SubAccountId", "ResourceId", "x_CostCategory", "x_Model", "ChargeCategory",
    "ChargePeriodStart", "ChargePeriodEnd", "BilledCost", "EffectiveCost", "ListCost", "BillingCurrency", "ConsumedQuantity", "ConsumedUnit",
    "InvoiceId", "project", "feature", "team", "env", "user_tier", "x_LoadId", "x_RowNumber",
)  # fmt: skip


@dataclass(frozen=True)
class Provenance:
    """How a view's figures were obtained, in words and SQL.

    sentence: which part is billed, estimated from traces, not known, with the range of what is not known. rules: what was applied, in sentences.
    statements: (what it is, SQL in the language of the engine), the ledger first where the view reads it; the same snapshot answers the same.
    """

    view: str
    answers: str
    period: str
    snapshot_id: str
    sentence: str
    rules: tuple[str, ...]
    statements: tuple[tuple[str, str], ...]


def provenance(warehouse: Warehouse, view_name: str, filters: Filters, by: tuple[str, ...] = ()) -> Provenance:
    """How the view's answer for these filters comes about. Raises InputError for an unknown view, and whatever the view raises."""
    view = find_view(view_name)
    recorder = _recorder(warehouse)
    view.answer(recorder, filters, by)
    return Provenance(
        view.name, view.answers, f"{period_name(filters)}, {filters.basis} cost, days in {warehouse.configuration.reporting_time_zone}",
        warehouse.snapshot_id, _sentence(warehouse, filters), _rules(warehouse, filters), tuple(recorder.statements),
    )  # fmt: skip


def _recorder(warehouse: Warehouse) -> _Recorder:
    """A recorder of the warehouse's own kind: an engine is asked in its own language."""
    kind: type[_Recorder] = type("_RecorderOfKind", (_Recorder, type(warehouse)), {})
    return kind(warehouse)


class _Recorder(Warehouse):
    """The same snapshot, noting every question. What was computed before is asked for again, so that its SQL is seen."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.__dict__.update(warehouse.__dict__)
        self.statements: list[tuple[str, str]] = []

    def arrow(self, expression: ir.Expr, *, streaming: bool = False) -> pa.Table:
        """Answers, and notes the question once."""
        self._note("rows", self.sql(expression))
        return super().arrow(expression, streaming=streaming)

    def has_table(self, name: str) -> bool:  # noqa: ARG002
        """Nothing counts as computed: see the class."""
        return False

    def materialise(self, name: str, expression: ir.Table) -> ir.Table:
        """Notes how the table is computed; it is computed by the snapshot itself, once."""
        self._note(f"table {name}", self.sql(expression))
        return self.table(name) if super().has_table(name) else super().materialise(name, expression)

    def _note(self, what: str, statement: str) -> None:
        if (what, statement) not in self.statements:
            self.statements.append((what, statement))


def ledger_split(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Where the period's ledger cost comes from: one row per ledger ("billed" or "estimated from traces"), allocation, source and currency.

    cost on the filters' basis (None: nothing is known); share of the currency's cost; calls; unknown_costs: lines, or calls where traces are
    the ledger, whose cost is not known and not in `cost`. The dearest first; the rows of a currency sum to its total.
    """
    rows = apply(ledger(warehouse), filters)
    sums = rows.group_by(
        from_where=(rows.ledger == "bill").ifelse("billed", "estimated from traces"), allocation=rows.allocation, source=rows.source,
        currency=rows.currency,
    ).agg(cost=rows[filters.basis].sum(), calls=rows.calls.sum().cast("int64"), unknown_costs=unknown_costs(rows, filters.basis).sum())  # fmt: skip
    found = [row for row in rows_of(warehouse, sums) if row["cost"] is not None or row["unknown_costs"]]
    wholes: dict[str, Decimal] = {}
    for row in found:
        wholes[row["currency"]] = wholes.get(row["currency"], Decimal(0)) + (row["cost"] or 0)
    for row in found:
        row["share"] = share(row["cost"], wholes[row["currency"]])
    found.sort(
        key=lambda row: (
            row["cost"] is None,
            -(row["cost"] or 0),
            *(name_order(row[key]) for key in ("from_where", "allocation", "source")),
        )
    )
    return frame_of(found, LEDGER_COLUMNS)


def loads_behind(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """The loads whose calls or billing lines lie in the period and pass the filters, the newest first: file, when, rows and sums as stored."""
    calls, lines = calls_between(warehouse, call_filters(filters)), bill_lines(warehouse, filters)
    used = calls.select(load_id=calls.load_id).union(lines.select(load_id=lines.x_LoadId)).distinct()
    loads = warehouse.table("loads")
    loads = loads.filter(loads.status == "stored").semi_join(used, "load_id")
    ordered = loads.order_by([ibis.desc("load_id"), "partition"])
    return frame_of(rows_of(warehouse, ordered.select(*LOAD_COLUMNS)), LOAD_COLUMNS)


def prices_behind(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Which prices the period's priced calls have: one row per price group, the dearest first.

    book, provider, model, processing, context_from (input tokens above which the tier begins), priced_from (day since which the price holds):
    from `price_id`. calls and cost (USD): of the calls whose cost is the priced one; what sources reported is not here.
    """
    calls = calls_between(warehouse, call_filters(filters))
    calls = calls.filter(calls.cost_basis == "priced", calls.price_id.notnull())
    sums = calls.group_by("price_id").agg(calls=calls.count(), cost=calls.cost.sum())
    rows = [row | _price(row["price_id"]) for row in rows_of(warehouse, sums)]
    rows.sort(key=lambda row: (-(row["cost"] or 0), row["price_id"]))
    return frame_of(rows, PRICE_COLUMNS)


def _price(price_id: str) -> Row:
    group, _, since = price_id.rpartition("@")
    book, _, rest = group.partition("/")
    provider, _, rest = rest.partition("/")
    rest, _, tier = rest.rpartition("/")
    model, _, processing = rest.rpartition("/")
    return {
        "book": book, "provider": provider, "model": model, "processing": processing, "context_from": tier,
        "priced_from": None if since == "1970-01-01" else since,
    }  # fmt: skip


def calls_behind(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """The single calls of the period that pass the filters, the dearest first, at most `MOST_ROWS`. Never their texts."""
    calls = calls_between(warehouse, call_filters(filters))
    columns = (
        "load_id",
        *(name for name in ("feature", "team", "project", "env", "user_tier") if name not in CALL_COLUMNS),
        *CALL_COLUMNS,
    )
    ordered = calls.order_by([calls.cost.desc(nulls_first=False), calls.started_at, calls.source, calls.call_id])
    return frame_of(rows_of(warehouse, ordered.limit(MOST_ROWS).select(*columns)), columns)


def lines_behind(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """The single billing lines of the period that pass the filters, the dearest on the filters' basis first, at most `MOST_ROWS`."""
    lines = bill_lines(warehouse, filters)
    cost = {"billed": lines.BilledCost, "effective": lines.EffectiveCost, "list": lines.ListCost}[filters.basis]
    ordered = lines.order_by([cost.desc(nulls_first=False), lines.date, lines.x_LoadId, lines.x_RowNumber])
    return frame_of(rows_of(warehouse, ordered.limit(MOST_ROWS).select(*LINE_COLUMNS)), LINE_COLUMNS)


def _sentence(warehouse: Warehouse, filters: Filters) -> str:
    frame = ledger_split(warehouse, filters)
    parts = []
    for currency in sorted({code for code in frame["currency"] if code}):
        rows = frame[frame["currency"] == currency]
        for where in ("billed", "estimated from traces"):
            known = [
                cost
                for cost, name in zip(rows["cost"], rows["from_where"], strict=True)
                if name == where and cost is not None
            ]
            if any(known):
                parts.append(f"{formatting.to_the_cent(sum(known, Decimal(0)), currency)} {where}")
    text = " and ".join(parts) or "Nothing is known of the cost"
    lacking = int(sum(frame["unknown_costs"]))
    text += f"; {lacking:,} costs are not known and in no sum" if lacking else "; no cost is missing"
    unknown = unknown_costs_in_sum(warehouse, filters)
    if unknown.high is not None and unknown.low is not None:
        text += (
            f". The {unknown.calls - unknown.without_range:,} calls of unknown cost are likely to have cost "
            f"{formatting.to_the_cent(unknown.low)} to {formatting.to_the_cent(unknown.high)}, compared with priced calls of the period"
        )
    if unknown.without_range:
        text += f". Of {unknown.without_range:,} calls nothing can be said: no priced call is like them"
    return text + "."


def _rules(warehouse: Warehouse, filters: Filters) -> tuple[str, ...]:
    configuration = warehouse.configuration
    bases = {
        "effective": "Effective cost: prepayments and discounts spread over the time that they cover.",
        "billed": "Billed cost: what the invoices of these days say, net of credits.",
        "list": "List cost: the same use without any discount.",
    }
    first = (
        "what the source reported, else tokens x price at the time"
        if configuration.prefer_reported_cost
        else "tokens x price at the time, else what the source reported"
    )
    rules = [
        "Every dollar once: where a provider's bill covers the model use of an account and day, the bill is the ledger; elsewhere the traces are.",
        bases[filters.basis],
        f"A call costs {first}; what neither knows is unknown, never 0.",
        "Billed model use that names no feature is split over the traced calls of the same provider, account, days and model by their cost.",
        f"Days are cut in {configuration.reporting_time_zone}; billing lines of whole UTC days keep their date.",
    ]
    if warehouse.row(warehouse.table("fx_rates").agg(rates=warehouse.table("fx_rates").count()))["rates"]:
        rules.append(
            f"Amounts of other currencies are converted to {configuration.reporting_currency} at the rate of their day."
        )
    if configuration.virtual_tags:
        rules.append(
            f"{len(configuration.virtual_tags)} virtual tags give calls and lines a name that their source did not."
        )
    return tuple(rules)
