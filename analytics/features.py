"""What each feature costs, beside how often it is called: where a dollar and where a call goes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import reduce

import ibis.expr.types as ir
import pandas as pd

from analytics import formatting
from analytics.cost_kinds import FEATURE, NOT_TRACED, UNTAGGED, cost_kind, is_model_use
from analytics.costs import dearest_first
from analytics.currency import require_one_currency
from analytics.filters import Filters, apply
from analytics.frames import Row, frame_of, rows_of
from analytics.ledger import ledger, unknown_costs
from analytics.period_names import name as period_name
from analytics.ratios import is_part, per_unit, share
from analytics.totals import filtered_calls
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

COLUMNS = (
    "feature", "kind", "cost", "currency", "cost_share", "calls", "call_share", "cost_per_call", "infrastructure_cost", "total_cost",
    "total_per_call", "tokens", "tokens_per_call", "previous_cost", "change", "trend", "unpriced_calls", "unknown_costs", "credits",
    "estimated_share",
)  # fmt: skip

_ORDER = {FEATURE: 0, UNTAGGED: 1, NOT_TRACED: 2}


def features(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Cost of model calls by feature over the whole period, beside its share of calls, the dearest feature first.

    Rows: one per feature (`kind` "feature"); then, with `feature` None, the calls that name none ("untagged") and what bills charge for models
    that no traced call explains ("not traced").

    cost: of model calls, from the ledger's categories LLM API and Embedding on the filters' basis, in `currency` (None: not known); the rows sum to
    the ledger's cost of model use. cost_share and call_share: parts of all rows, so that both are shares of the same calls. calls: traced
    calls, retries and cache answers included. cost_per_call: (cost - credits) / calls.

    infrastructure_cost: billing lines of other categories that are tagged with the feature, such as the GPUs that serve its own model; total_cost:
    both together, and per call. Infrastructure whose lines name no feature is not spread over the rows: see `outside_features`.

    tokens: all classes of the calls that report them; tokens_per_call per such call. previous_cost: model calls of the period before (None: no
    data then); change = cost / previous_cost - 1. trend: cost of model calls on each day that has data, a list (None: none of that day's costs
    is known). unpriced_calls: calls whose cost is not known. unknown_costs: costs that `cost` lacks. credits: of the bill, 0 or negative,
    part of `cost`. estimated_share: part of `cost` from traces instead of a bill.

    Raises InputError when the costs are in several currencies.
    """
    before = _previous(warehouse, filters)
    tokens, trends = _tokens(warehouse, filters), _trends(warehouse, filters)
    answer = feature_shares(warehouse, filters)
    for row in answer:
        key, cost = (row["kind"], row["feature"]), row["cost"]
        used = tokens.get(row["feature"]) if row["kind"] != NOT_TRACED else None
        previous = None if before is None else before.get(key, Decimal(0))
        row["tokens"] = used[0] if used else None
        row["tokens_per_call"] = float(used[0] / used[1]) if used else None
        row["previous_cost"] = previous
        row["change"] = share(cost - previous, previous) if cost is not None and previous else None
        row["trend"] = trends.get(key, [])
    return frame_of(answer, COLUMNS)


def feature_shares(warehouse: Warehouse, filters: Filters) -> list[Row]:
    """The rows of `features` in their order, as dicts, without tokens and without the period before: for sentences and short lists.

    Raises InputError when the costs are in several currencies.
    """
    rows = _by_feature(warehouse, filters)
    currency = require_one_currency(row["currency"] for row in rows if row["total"] is not None)
    answer = list(_merged(rows).values())
    whole = sum((row["cost"] for row in answer if row["cost"] is not None), Decimal(0))
    calls = sum(row["calls"] for row in answer)
    for row in answer:
        cost, total, credits = row["cost"], row.pop("total"), row["credits"]
        row["currency"] = currency
        row["cost_share"] = share(cost, whole)
        row["call_share"] = share(row["calls"], calls)
        row["cost_per_call"] = per_unit(None if cost is None else cost - credits, row["calls"])
        row["total_cost"] = total
        row["total_per_call"] = per_unit(None if total is None else total - credits, row["calls"])
        row["estimated_share"] = share(row.pop("estimated"), cost)
    answer.sort(
        key=lambda row: (_ORDER[row["kind"]], *dearest_first(row, ()), -(row["total_cost"] or 0), row["feature"] or "")
    )
    return answer


def headline(warehouse: Warehouse, filters: Filters) -> str | None:
    """The dearest feature's share of cost beside its share of calls, as a clause; None where no feature costs anything.

    Where nothing but one feature has a cost or a call (because it was chosen), its share says nothing, nor where a credit makes the whole less
    than it: then what it cost, and how that changed.
    """
    rows = feature_shares(warehouse, filters)
    clause = _share_clause(rows)
    only = _dearest(rows)
    if clause is not None or only is None:
        return clause
    text = f"{only['feature']} cost {formatting.money(only['cost'], only['currency'])} in model calls"
    before = (_previous(warehouse, filters) or {}).get((FEATURE, only["feature"]))
    compared = formatting.compared(only["cost"], before, period_name(filters.previous()))
    if compared and filters.days == 1:
        compared = compared.replace(" in ", " on ", 1)
    return f"{text}, {compared}" if compared else text


def dearest_share(warehouse: Warehouse, filters: Filters) -> str | None:
    """The dearest feature's share of cost beside its share of calls, as a clause; None where no feature, or one alone, costs anything, and where a
    credit makes the whole less than it."""
    return _share_clause(feature_shares(warehouse, filters))


def _dearest(rows: list[Row]) -> Row | None:
    return next((row for row in rows if row["kind"] == FEATURE and row["cost"]), None)


def _share_clause(rows: list[Row]) -> str | None:
    top = _dearest(rows)
    if top is None or sum(bool(row["cost"] or row["calls"]) for row in rows) == 1 or not is_part(top["cost_share"]):
        return None
    clause = f"{top['feature']} is {formatting.share(top['cost_share'])} of the cost of model calls"
    # Bills that name the feature, and no traces: of the calls nothing is known.
    return clause if top["call_share"] is None else f"{clause} on {formatting.share(top['call_share'])} of the calls"


def outside_sentence(warehouse: Warehouse, filters: Filters) -> str | None:
    """How much infrastructure no feature is named for, in a sentence; None where there is none."""
    frame = outside_features(warehouse, filters)
    if frame.empty:
        return None
    require_one_currency(frame["currency"])
    parts = ", ".join(f"{category or 'no category'} {formatting.money(cost, currency)}" for category, cost, currency
                      in zip(frame["category"], frame["cost"], frame["currency"], strict=True))  # fmt: skip
    total = formatting.money(sum(frame["cost"], Decimal(0)), frame["currency"].iloc[0])
    return f"{total} lies outside this table, because its billing lines name no feature: {parts}."


def outside_features(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """What the rows of `features` leave out: infrastructure whose billing lines name no feature.

    Columns: category, cost, currency; the dearest first. With `total_cost` of `features` it sums to the ledger's total.
    """
    rows = apply(ledger(warehouse), filters)
    rows = rows.filter(~_in_scope(rows))
    sums = rows.group_by(["category", "currency"]).agg(cost=rows[filters.basis].sum())
    answer = [row for row in rows_of(warehouse, sums) if row["cost"] is not None]
    answer.sort(key=lambda row: dearest_first(row, ("category", "currency")))
    return frame_of(answer, ("category", "cost", "currency"))


def _in_scope(rows: ir.Table) -> ir.BooleanValue:
    return is_model_use(rows) | rows.feature.notnull()


def _scope(warehouse: Warehouse, filters: Filters) -> ir.Table:
    rows = apply(ledger(warehouse), filters)
    rows = rows.filter(_in_scope(rows))
    return rows.mutate(kind=cost_kind(rows))


def _by_feature(warehouse: Warehouse, filters: Filters) -> list[Row]:
    rows = _scope(warehouse, filters)
    amount, model_use = rows[filters.basis], is_model_use(rows)
    sums = rows.group_by(["kind", "feature", "currency"]).agg(
        cost=amount.sum(where=model_use),
        total=amount.sum(),
        credits=amount.sum(where=rows.is_credit & model_use),
        infrastructure_cost=amount.sum(where=~model_use),
        estimated=amount.sum(where=rows.ledger == "traces"),
        calls=rows.calls.sum(),
        unpriced_calls=rows.unpriced_calls.sum(),
        unknown_costs=unknown_costs(rows, filters.basis).sum(),
    )
    return rows_of(warehouse, sums)


def _merged(rows: list[Row]) -> dict[tuple[str, str | None], Row]:
    """Sums by kind and feature over the one currency with money and rows without any."""
    merged: dict[tuple[str, str | None], Row] = {}
    for row in rows:
        start: Row = {"kind": row["kind"], "feature": row["feature"], "cost": None, "total": None}
        start |= {"calls": 0, "unpriced_calls": 0, "unknown_costs": 0}
        start |= dict.fromkeys(("credits", "infrastructure_cost", "estimated"), Decimal(0))
        into = merged.setdefault((row["kind"], row["feature"]), start)
        for name in ("calls", "unpriced_calls", "unknown_costs", "credits", "infrastructure_cost", "estimated"):
            into[name] += row[name] or 0
        for name in ("cost", "total"):
            if row[name] is not None:
                into[name] = row[name] + (into[name] or 0)
    return merged


def _previous(warehouse: Warehouse, filters: Filters) -> dict[tuple[str, str | None], Decimal] | None:
    """Cost of model calls by kind and feature in the period before; None when it has no data."""
    if not has_data(warehouse, filters.previous()):
        return None
    rows = _by_feature(warehouse, filters.previous())
    require_one_currency(row["currency"] for row in rows if row["total"] is not None)
    return {key: row["cost"] for key, row in _merged(rows).items() if row["cost"] is not None}


def has_data(warehouse: Warehouse, filters: Filters) -> bool:
    """Whether the store has data from the period's first day on, so that a comparison with the period is fair."""
    span = warehouse.span()
    return span is not None and span[0] <= filters.start <= span[1]


def _tokens(warehouse: Warehouse, filters: Filters) -> dict[str | None, tuple[int, int]]:
    """Tokens, and calls that report them, by feature."""
    calls = filtered_calls(warehouse, filters)
    all_classes = reduce(lambda left, right: left + right, (calls[name].sum().fill_null(0) for name in TOKEN_CLASSES))
    sums = calls.group_by("feature").agg(tokens=all_classes, usage_calls=calls.usage_calls.sum())
    return {
        row["feature"]: (int(row["tokens"]), row["usage_calls"])
        for row in rows_of(warehouse, sums)
        if row["usage_calls"]
    }


def _trends(warehouse: Warehouse, filters: Filters) -> dict[tuple[str, str | None], list[Decimal | None]]:
    """Cost of each day, by kind and feature; days without a row of model use cost nothing, None where no cost of such rows is known, days
    without data are left out."""
    rows = _scope(warehouse, filters)
    used = is_model_use(rows)
    sums = rows.group_by(["kind", "feature", "date"]).agg(cost=rows[filters.basis].sum(where=used), uses=used.sum())
    found: dict[tuple[str, str | None], dict[object, Decimal | None]] = {}
    for row in rows_of(warehouse, sums):
        cost = row["cost"] if row["cost"] is not None or row["uses"] else Decimal(0)
        found.setdefault((row["kind"], row["feature"]), {})[row["date"]] = cost
    span = warehouse.span()
    if span is None:
        return {}
    first, last = max(filters.start, span[0]), min(filters.end, span[1])
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return {key: [by_day.get(day, Decimal(0)) for day in days] for key, by_day in found.items()}
