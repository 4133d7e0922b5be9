"""The ledger: every dollar once, from the provider's bill where there is one, else from the traces.

Where a bill covers a provider's model usage on a day, the bill is the ledger and that day's traces only say which feature owes it; where
none does, the traces are the ledger and marked estimated. Never both in one total (the design's ledger rule).

A provider's bill covers, in each billing month, the days from its first to its last charge for model usage (categories "LLM API" and
"Embedding"). Each billed amount of a (provider, day, category, model) is split over the traced calls of the same key in proportion to
their traced cost; a line that names no model is split over all traced calls of its provider, day and category. What has no traced
call to go to stays on a row without feature, `allocation` = "not traced".
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from warehouse.reader import Warehouse
from warehouse.schema import DIMENSIONS

MODEL_CATEGORIES = ("LLM API", "Embedding")
AMOUNTS = ("billed", "effective", "list")
MONEY = "decimal(38, 12)"


def ledger(warehouse: Warehouse) -> ir.Table:
    """The ledger as a table, computed once per open snapshot.

    Grain: date, category, provider, service, model, account, currency, the five dimensions, source, ledger, allocation, is_final.
    Columns beside these: `billed`, `effective`, `list` in `currency` (exact; NULL: not known), `calls` (traced calls on the row),
    `unpriced_calls`. `ledger` is "bill" or "traces" (estimated); `allocation` is "direct" (the line or call itself names the feature or
    has none to name), "by traces" (a billed amount split by traced cost) or "not traced".
    """
    if warehouse.has_table("ledger_daily"):
        return warehouse.table("ledger_daily")
    return warehouse.materialise("ledger_daily", _ledger_expression(warehouse))


def call_category(calls: ir.Table) -> ir.StringValue:
    """Cost category of model calls: embeddings apart from everything else."""
    return calls.operation.isin(["embeddings", "embedding"]).ifelse("Embedding", "LLM API")


def _ledger_expression(warehouse: Warehouse) -> ir.Table:
    charges = warehouse.table("charges_daily")
    calls = warehouse.table("calls_daily")
    traced = _traced(calls)
    coverage = _coverage(charges)
    model_lines, other_lines = _billed(charges)
    untagged = model_lines.filter(model_lines.feature.isnull())
    tagged = model_lines.filter(model_lines.feature.notnull())
    covered = (
        traced.inner_join(coverage, ["provider", "month"])
        .filter(lambda t: (t.date >= t.first_day) & (t.date <= t.last_day))
        .drop("first_day", "last_day")
    )
    uncovered = (
        traced.left_join(coverage, ["provider", "month"])
        .filter(lambda t: t.first_day.isnull() | (t.date < t.first_day) | (t.date > t.last_day))
        .drop("first_day", "last_day", "provider_right", "month_right")
    )
    return ibis.union(
        _columns(other_lines, "bill", "direct"),
        _columns(tagged, "bill", "direct"),
        _split(untagged, covered),
        _call_counts(covered),
        _columns(
            uncovered.mutate(
                service=uncovered.model, account=uncovered.billing_account_id, currency=ibis.literal("USD"), is_final=ibis.literal(False),
                billed=uncovered.cost, effective=uncovered.cost, list=uncovered.cost,
            ),
            "traces",
            "direct",
        ),
    )  # fmt: skip


def _traced(calls: ir.Table) -> ir.Table:
    keys = ["date", "provider", "billing_account_id", "model", "source", *DIMENSIONS]
    return (
        calls.mutate(category=call_category(calls))
        .group_by([*keys, "category"])
        .agg(cost=lambda t: t.cost.sum().cast(MONEY), calls=lambda t: t.calls.sum(), unpriced_calls=lambda t: t.unpriced_calls.sum())
        .mutate(month=lambda t: t.date.truncate("M"))
    )


def _coverage(charges: ir.Table) -> ir.Table:
    lines = charges.filter(
        charges.x_CostCategory.isin(MODEL_CATEGORIES) & charges.ChargeCategory.isin(["Usage", "Purchase"])
    )
    return (
        lines.mutate(month=lines.date.truncate("M"))
        .group_by(["provider", "month"])
        .agg(first_day=lambda t: t.date.min(), last_day=lambda t: ibis.greatest(t.date, t.covered_to).max())
    )


def _billed(charges: ir.Table) -> tuple[ir.Table, ir.Table]:
    keys = {
        "date": charges.date, "category": charges.x_CostCategory, "provider": charges.provider, "service": charges.ServiceName,
        "model": charges.x_Model, "account": charges.BillingAccountId, "currency": charges.BillingCurrency,
        "source": charges.x_Source, "is_final": charges.is_final,
    } | {name: charges[name] for name in DIMENSIONS}  # fmt: skip
    lines = charges.group_by(**keys).agg(
        billed=charges.billed.sum().cast(MONEY),
        effective=(charges.effective_unknown.sum() > 0).ifelse(ibis.null(MONEY), charges.effective.sum().cast(MONEY)),
        list=(charges.list_unknown.sum() > 0).ifelse(ibis.null(MONEY), charges.list.sum().cast(MONEY)),
    )
    lines = lines.mutate(calls=ibis.literal(0, "int64"), unpriced_calls=ibis.literal(0, "int64"))
    is_model = lines.category.isin(MODEL_CATEGORIES)
    return lines.filter(is_model), lines.filter(~is_model)


def _split(lines: ir.Table, traced: ir.Table) -> ir.Table:
    """Split billed lines over traced calls of the same provider, day, category (and model, where the line names one)."""
    lines = lines.drop(*DIMENSIONS, "calls", "unpriced_calls").mutate(line=ibis.row_number().over(order_by=[
        lines.date, lines.category, lines.provider, lines.service, lines.model, lines.account, lines.currency, lines.source,
        lines.is_final, *[lines[name] for name in DIMENSIONS],
    ]))  # fmt: skip
    weights = (
        traced.filter(traced.cost > 0)
        .group_by(["date", "provider", "category", "model", *DIMENSIONS])
        .agg(weight=lambda t: t.cost.sum().cast("float64"))
        .rename(traced_model="model")
    )
    matched = lines.inner_join(weights, ["date", "provider", "category"])
    matched = matched.filter(matched.model.isnull() | (matched.model == matched.traced_model))
    window = ibis.window(group_by="line")
    order = ibis.window(group_by="line", order_by=[ibis.desc("weight"), "traced_model", *DIMENSIONS])
    matched = matched.mutate(share=matched.weight / matched.weight.sum().over(window), position=ibis.row_number().over(order))
    parts = matched.mutate(**{f"part_{name}": (matched[name].cast("float64") * matched.share).cast(MONEY) for name in AMOUNTS})
    # Rounding leaves a difference in the twelfth decimal: the largest part takes it, so that the parts are the whole.
    rest = {
        name: (parts.position == 0).ifelse(
            parts[f"part_{name}"] + (parts[name] - parts[f"part_{name}"].sum().over(window)), parts[f"part_{name}"]
        ).cast(MONEY)
        for name in AMOUNTS
    }  # fmt: skip
    split = parts.mutate(**rest).mutate(model=parts.traced_model, calls=ibis.literal(0, "int64"), unpriced_calls=ibis.literal(0, "int64"))
    alone = lines.anti_join(matched, "line").mutate(
        calls=ibis.literal(0, "int64"), unpriced_calls=ibis.literal(0, "int64"), **{name: ibis.null("string") for name in DIMENSIONS}
    )
    return _columns(split, "bill", "by traces").union(_columns(alone, "bill", "not traced"))


def _call_counts(covered: ir.Table) -> ir.Table:
    """Rows without money that carry the number of calls behind billed amounts."""
    nothing = ibis.null(MONEY)
    return _columns(
        covered.mutate(service=covered.model, account=covered.billing_account_id, currency=ibis.literal("USD"), is_final=ibis.literal(True),
                       billed=nothing, effective=nothing, list=nothing),
        "bill", "by traces",
    )  # fmt: skip


def _columns(table: ir.Table, ledger_name: str, allocation: str) -> ir.Table:
    return table.select(
        "date", "category", "provider", "service", "model", "account", "currency", *DIMENSIONS, "source",
        ledger=ibis.literal(ledger_name), allocation=ibis.literal(allocation), is_final=table.is_final,
        billed=table.billed.cast(MONEY), effective=table.effective.cast(MONEY), list=table.list.cast(MONEY),
        calls=table.calls.cast("int64"), unpriced_calls=table.unpriced_calls.cast("int64"),
    )  # fmt: skip
