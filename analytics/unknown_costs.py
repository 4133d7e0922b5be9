"""What calls of unknown cost may have cost: a range from calls like them whose cost is known. Never 0, and never part of a total.

A call whose tokens are known is compared by its cost per token, one without by its cost per call. Like it are, in this order, the priced calls of
the period of the same feature and model, the same model, the same feature, the same operation, and, when no such call has a price, those of any
operation at all, from `FEWEST_ALIKE` calls on. The range goes from the 10th to the 90th percentile of those
calls (of eight in ten it is true), times the tokens or the number of calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

import ibis
import ibis.expr.types as ir
import pandas as pd

from analytics.feature_detail import calls_between
from analytics.filters import Filters
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.simulators.build_workload import call_filters
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

LOW, HIGH = 0.10, 0.90
FEWEST_ALIKE = 20

NO_PRICE, NO_USAGE = "no price", "no usage reported"

COLUMNS = (
    "feature",
    "provider",
    "model",
    "operation",
    "why",
    "calls",
    "tokens",
    "low",
    "high",
    "currency",
    "compared_with",
    "compared_calls",
)

_LEVELS: tuple[tuple[str, ...], ...] = (
    ("operation", "feature", "model"),
    ("operation", "model"),
    ("operation", "feature"),
    ("operation",),
    (),
)
_RATIO = "decimal(28, 16)"
_PLACES = Decimal("0.000001")


def unknown_cost_range(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Calls of the period whose cost is not known, with the range that it may lie in, the largest first.

    Grain: one row per feature, provider, model, operation and why ("no price": the tokens are known; "no usage reported"). low, high: USD (None:
    no call is like them, so nothing can be said); compared_with: what the calls compared with have in common; compared_calls: their number.
    Empty: every call's cost is known.
    """
    calls = calls_between(warehouse, call_filters(filters))
    tokens = reduce(lambda left, right: left + right, (calls[name].fill_null(0) for name in TOKEN_CLASSES))
    calls = calls.mutate(tokens=calls.uncached_input_tokens.isnull().ifelse(ibis.null("int64"), tokens))
    unknown = calls.filter(calls.cost.isnull())
    has_tokens = (unknown.tokens > 0).fill_null(False)
    found = rows_of(
        warehouse,
        unknown.group_by(
            feature=unknown.feature, provider=unknown.provider, model=unknown.model, operation=unknown.operation, has_tokens=has_tokens
        ).agg(calls=unknown.count(), tokens=unknown.tokens.sum().cast("int64")),
    )  # fmt: skip
    if not found:
        return frame_of([], COLUMNS)
    known = calls.filter(calls.cost > 0)
    alike = {level: _alike(warehouse, known, level) for level in _LEVELS}
    rows = [_range(row, alike) for row in found]
    rows.sort(
        key=lambda row: (
            row["high"] is None,
            -(row["high"] or 0),
            -row["calls"],
            *(name_order(row[key]) for key in COLUMNS[:5]),
        )
    )
    return frame_of(rows, COLUMNS)


@dataclass(frozen=True)
class UnknownCosts:
    """Calls of unknown cost in sum: how many, those that nothing is like, and the range of the others (None: there are none)."""

    calls: int
    without_range: int
    low: Decimal | None
    high: Decimal | None


def unknown_costs_in_sum(warehouse: Warehouse, filters: Filters) -> UnknownCosts:
    """The range of the period's unknown costs in USD."""
    frame = unknown_cost_range(warehouse, filters)
    known = frame[frame["high"].notna()]
    return UnknownCosts(
        int(frame["calls"].sum()),
        int(frame["calls"].sum() - known["calls"].sum()),
        sum(known["low"], Decimal(0)) if len(known) else None,
        sum(known["high"], Decimal(0)) if len(known) else None,
    )


def _alike(warehouse: Warehouse, known: ir.Table, level: Sequence[str]) -> dict[tuple[str | None, ...], Row]:
    """Percentiles of the cost per call and per token of known calls, by what they have in common."""
    per_token = (known.tokens > 0).ifelse(known.cost / known.tokens, None).cast("float64")
    cost = known.cost.cast("float64")
    grouped = known.group_by(list(level)) if level else known
    sums = grouped.agg(
        alike=known.count(),
        with_tokens=(known.tokens > 0).sum(),
        call_low=cost.quantile(LOW).cast(_RATIO),
        call_high=cost.quantile(HIGH).cast(_RATIO),
        token_low=per_token.quantile(LOW).cast(_RATIO),
        token_high=per_token.quantile(HIGH).cast(_RATIO),
    )
    return {tuple(row[name] for name in level): row for row in rows_of(warehouse, sums)}


def _range(row: Row, alike: Mapping[tuple[str, ...], Mapping[tuple[str | None, ...], Row]]) -> Row:
    by_tokens = row["has_tokens"]
    answer = row | {
        "why": NO_PRICE if by_tokens else NO_USAGE, "currency": "USD", "low": None, "high": None, "compared_with": None, "compared_calls": 0
    }  # fmt: skip
    if not by_tokens:
        answer["tokens"] = None
    kind, number = ("token", row["tokens"]) if by_tokens else ("call", row["calls"])
    for level, groups in alike.items():
        # A missing name is nothing in common.
        if any(row[name] is None for name in level if name != "operation"):
            continue
        peers = groups.get(tuple(row[name] for name in level))
        count = 0 if peers is None else peers["with_tokens" if by_tokens else "alike"]
        if peers is not None and count >= FEWEST_ALIKE:
            low, high = (peers[f"{kind}_{end}"] * number for end in ("low", "high"))
            common = ", ".join(f"{name} {row[name]}" for name in level if row[name] is not None)
            answer |= {
                "low": max(low.quantize(_PLACES), _PLACES), "high": max(high.quantize(_PLACES), _PLACES),
                "compared_with": f"cost per {kind} of priced calls: {common or 'any'}", "compared_calls": count,
            }  # fmt: skip
            break
    return answer
