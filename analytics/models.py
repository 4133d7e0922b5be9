"""What each model is used for and costs: calls, tokens by class, cost per million tokens."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

import ibis.expr.types as ir
import pandas as pd

from analytics import formatting
from analytics.cost_kinds import is_model_use
from analytics.costs import dearest_first
from analytics.currency import require_one_currency
from analytics.filters import Filters, apply, period_start
from analytics.frames import Row, frame_of, rows_of
from analytics.ledger import ledger, unknown_costs
from analytics.ratios import is_part, per_unit, share
from analytics.totals import filtered_calls
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

INPUT_CLASSES = (
    "uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "audio_input_tokens",
)  # fmt: skip

COLUMNS = (
    "provider", "model", "operations", "calls", *TOKEN_CLASSES, "total_tokens", "cache_read_share", "cost", "currency", "cost_share",
    "cost_per_million_tokens", "cost_per_call", "unpriced_calls", "calls_without_usage", "unknown_costs", "estimated_share",
)  # fmt: skip


def models(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Calls, tokens by class and cost of each provider's models over the whole period, the dearest first.

    Grain: one row per provider and model (canonical names; None: not known). Calls and tokens come from the traces, `cost` from the
    ledger's model use (categories LLM API and Embedding) on the filters' basis: what bills charge beyond the traces is in it, so that the
    rows sum to the ledger. A model that is billed and never traced has 0 calls. What runs on own GPUs costs 0 here: its cost is the GPUs'.

    Token classes are disjoint and sum to total_tokens (None: no call reports any). cache_read_share: cache reads / all input tokens.
    cost_per_million_tokens = (cost - credits) / total_tokens x 1,000,000; cost_per_call = (cost - credits) / calls; both None where no
    call is traced. unpriced_calls: calls whose cost is not known; calls_without_usage: calls that report no tokens. operations:
    names, most used first.

    Raises InputError when the costs are in several currencies.
    """
    costs = _costs(warehouse, filters)
    currency = require_one_currency(row["currency"] for row in costs if row["cost"] is not None)
    used = _usage(warehouse, filters)
    answer: dict[tuple[str | None, str | None], Row] = {}
    for row in costs:
        key = (row["provider"], row["model"])
        into = answer.setdefault(
            key, {"cost": None, "credits": Decimal(0), "estimated": Decimal(0), "unknown_costs": 0}
        )
        for name in ("credits", "estimated", "unknown_costs"):
            into[name] += row[name] or 0
        if row["cost"] is not None:
            into["cost"] = row["cost"] + (into["cost"] or 0)
    nothing: Row = {"calls": 0, "unpriced_calls": 0, "usage_calls": 0, "operations": [], "total_tokens": None}
    whole = sum((row["cost"] for row in answer.values() if row["cost"] is not None), Decimal(0))
    rows = []
    for provider, model in {**answer, **used}:
        cost_row = answer.get(
            (provider, model), {"cost": None, "credits": Decimal(0), "estimated": Decimal(0), "unknown_costs": 0}
        )
        usage = used.get((provider, model), nothing)
        cost = cost_row["cost"]
        gross = None if cost is None else cost - cost_row["credits"]
        total = usage["total_tokens"]
        per_token = per_unit(None if gross is None else gross * 1_000_000, total)
        rows.append(
            {name: usage.get(name) for name in TOKEN_CLASSES}
            | {
                "provider": provider, "model": model, "operations": ", ".join(usage["operations"]) or None, "calls": usage["calls"],
                "total_tokens": total, "cache_read_share": _cache_read_share(usage), "cost": cost, "currency": currency,
                "cost_share": share(cost, whole), "cost_per_million_tokens": per_token,
                "cost_per_call": per_unit(gross, usage["calls"]), "unpriced_calls": usage["unpriced_calls"],
                "calls_without_usage": usage["calls"] - usage["usage_calls"], "unknown_costs": cost_row["unknown_costs"],
                "estimated_share": share(cost_row["estimated"], cost),
            }
        )  # fmt: skip
    rows.sort(key=lambda row: dearest_first(row, ("provider", "model")))
    return frame_of(rows, COLUMNS)


def headline(warehouse: Warehouse, filters: Filters) -> str:
    """The dearest model's share of the cost of model use beside its share of calls, and the price of a million tokens over all."""
    frame = models(warehouse, filters)
    known = [
        (cost, tokens) for cost, tokens in zip(frame["cost"], frame["total_tokens"], strict=True) if cost is not None
    ]
    total, tokens = sum((cost for cost, _ in known), Decimal(0)), sum(used or 0 for _, used in known)
    calls = sum(frame["calls"])
    if not total:
        return f"{formatting.count(calls)} {'call' if calls == 1 else 'calls'} of models without a known cost"
    top = {str(name): values.iloc[0] for name, values in frame.items()}
    name = top["model"] or top["provider"]
    sentence = f"{name} is {formatting.share(top['cost_share'])} of the cost of models"
    if not is_part(top["cost_share"]):
        # A credit makes the whole less than its part.
        sentence = f"{name} cost {formatting.money(top['cost'], top['currency'])}"
    if calls:
        sentence += f" on {formatting.share(share(top['calls'], calls))} of the calls"
    per_million = per_unit(total * 1_000_000, tokens)
    if per_million is None:
        return sentence
    return f"{sentence}; a million tokens cost {formatting.money(per_million, top['currency'])} on average"


def tokens_over_time(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Tokens by class per day, week or month (the filters' grain).

    Columns: period (its first day), token_class (name of the column in `calls`), tokens. Classes are disjoint: a period's rows sum to all its
    tokens. Classes that the whole period does not use are left out.
    """
    calls = filtered_calls(warehouse, filters)
    calls = calls.mutate(period=period_start(calls.date, filters.grain))
    sums = calls.group_by("period").agg(**{name: calls[name].sum() for name in TOKEN_CLASSES})
    found = rows_of(warehouse, sums.order_by("period"))
    used = [name for name in TOKEN_CLASSES if any(row[name] for row in found)]
    rows = [{"period": row["period"], "token_class": name, "tokens": row[name] or 0} for row in found for name in used]
    return frame_of(rows, ("period", "token_class", "tokens"))


def _costs(warehouse: Warehouse, filters: Filters) -> list[Row]:
    rows = apply(ledger(warehouse), filters)
    rows = rows.filter(is_model_use(rows))
    amount = rows[filters.basis]
    sums = rows.group_by(["provider", "model", "currency"]).agg(
        cost=amount.sum(),
        credits=amount.sum(where=rows.is_credit),
        estimated=amount.sum(where=rows.ledger == "traces"),
        unknown_costs=unknown_costs(rows, filters.basis).sum(),
    )
    return rows_of(warehouse, sums)


def _usage(warehouse: Warehouse, filters: Filters) -> dict[tuple[str | None, str | None], Row]:
    """Calls and tokens by provider and model, with the operations put together, the most used first."""
    calls = filtered_calls(warehouse, filters)
    sums = calls.group_by(["provider", "model", "operation"]).agg(
        calls=calls.calls.sum(),
        unpriced_calls=calls.unpriced_calls.sum(),
        usage_calls=calls.usage_calls.sum(),
        total_tokens=_total(calls),
        **{name: calls[name].sum() for name in TOKEN_CLASSES},
    )
    merged: dict[tuple[str | None, str | None], Row] = {}
    for row in sorted(rows_of(warehouse, sums), key=lambda row: (-row["calls"], row["operation"] or "")):
        start: Row = {"calls": 0, "unpriced_calls": 0, "usage_calls": 0, "operations": [], "total_tokens": None}
        into = merged.setdefault((row["provider"], row["model"]), start | dict.fromkeys(TOKEN_CLASSES))
        if row["operation"]:
            into["operations"].append(row["operation"])
        for name in ("calls", "unpriced_calls", "usage_calls"):
            into[name] += row[name]
        if row["usage_calls"]:
            for name in ("total_tokens", *TOKEN_CLASSES):
                if row[name] is not None:
                    into[name] = row[name] + (into[name] or 0)
    return merged


def _total(calls: ir.Table) -> ir.IntegerScalar:
    return reduce(lambda left, right: left + right, (calls[name].sum().fill_null(0) for name in TOKEN_CLASSES))


def _cache_read_share(usage: Row) -> float | None:
    known = [usage[name] for name in INPUT_CLASSES if usage.get(name) is not None]
    return share(usage.get("cache_read_tokens") or 0, sum(known)) if known and sum(known) else None
