"""What calls would have cost at the prices of another book or another day, as an Ibis expression over a view.

The rates are resolved by the rules of `warehouse.rates`, as for stored calls, and joined; nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from warehouse.pricing import NO_OUTPUT_OPERATIONS
from warehouse.rates import ANY_MODEL, BOOK_ORDER, CLASS_OF_COLUMN, INPUT_COLUMNS, RATES, PriceRow, RateKey, resolve

if TYPE_CHECKING:
    import ibis.expr.types as ir

_PREFIX = "rate_"
_EXACT = "decimal(38, 16)"


def input_tier(calls: ir.Table, prices: ir.Table) -> ir.IntegerValue:
    """In which context tier a call's input falls, as an input size of that tier: a column to group calls by before repricing them.

    A whole request costs the price of its tier, so calls of different tiers must not be summed first. There are few tiers (ten in the
    shipped books); most calls are in the lowest, 0.
    """
    thresholds = sorted(
        prices.context_from.as_table().distinct().execute()["context_from"].dropna().astype(int), reverse=True
    )
    size = _input(calls)
    branches = [(size > threshold, threshold + 1) for threshold in map(int, thresholds) if threshold > 0]
    return ibis.cases(*branches, else_=0) if branches else ibis.literal(0)


def reprice(calls: ir.Table, prices: ir.Table, *, book: str | None = None, at: datetime | None = None) -> ir.Table:
    """`calls` with the column `repriced_cost` (USD, exact, not rounded; NULL: not known) at the prices of `book` (without: `BOOK_ORDER`).

    `at` is the one time (UTC) whose prices are used for all calls, e.g. now for "today's prices"; without it each row is priced at its own
    `started_at`. `calls` is any view with provider, model (canonical), processing and the token columns of `calls`:

    * one row per call, optionally with cache_hit (such a call costs 0) and operation (embeddings and reranking have no output); or
    * grouped: token columns summed, `calls` the number of calls, `input_tier` (the function of that name) among the group's keys; then
      leave cache hits out and group calls without usage apart, for a sum cannot tell that one of its parts is not known.
      `started_at` may be cut to the day where prices change at midnight UTC, as all shipped ones do.

    `prices` is the table of that name. Two small queries run at once (which models, which prices); the rest is lazy. Against stored
    `priced_cost`, which is rounded per call, it differs by at most 5e-11 USD a call.
    """
    books: Sequence[str] = BOOK_ORDER if book is None else (book,)
    rates = ibis.memtable(_rates(calls, prices, books, at))
    size = calls.input_tier if "input_tier" in calls.columns else _input(calls)
    predicates = [
        calls.provider == rates.rate_provider,
        calls.model == rates.rate_model,
        calls.processing.fill_null("standard") == rates.rate_processing,
        size > rates.rate_above,
        size <= rates.rate_up_to,
    ]
    if at is None:
        predicates += [calls.started_at >= rates.rate_valid_from, calls.started_at < rates.rate_valid_to]
    joined = calls.left_join(rates, predicates)
    return joined.select(*(joined[name] for name in calls.columns), repriced_cost=_cost(joined, calls.columns))


def _input(calls: ir.Table) -> ir.IntegerValue:
    """All input of a call; NULL when no usage is known."""
    others = [
        calls[column].fill_null(0)
        for column in INPUT_COLUMNS
        if column != "uncached_input_tokens" and column in calls.columns
    ]
    return reduce(add, others, calls.uncached_input_tokens)


def _rates(calls: ir.Table, prices: ir.Table, books: Sequence[str], at: datetime | None) -> pa.Table:
    kinds = calls.select("provider", "model", processing=calls.processing.fill_null("standard")).distinct()
    wanted = [tuple(row.values()) for row in kinds.to_pyarrow().to_pylist() if row["provider"] and row["model"]]
    keys = [RateKey(provider, (model,), processing) for provider, model, processing in sorted(wanted)]
    columns = [name for name in PriceRow._fields if name != "load_id"]
    relevant = prices.filter(
        prices.book.isin(list(books))
        & prices.provider.isin(sorted({provider for provider, _, _ in wanted}))
        & prices.model.isin(sorted({model for _, model, _ in wanted} | {ANY_MODEL}))
    )
    found = relevant.select(*columns, "load_id").to_pyarrow().to_pylist()
    rows = [PriceRow(**row | {"context_from": row["context_from"] or 0}) for row in found]
    table = resolve(rows, keys, books)
    if at is not None:
        table = pa.Table.from_pylist(
            [rate for rate in table.to_pylist() if rate["valid_from"] <= at < rate["valid_to"]], schema=RATES
        )
    places = table["key"].to_pylist()
    table = table.drop_columns(["key"])
    for name, values in (
        ("provider", [keys[place].provider for place in places]),
        ("model", [keys[place].models[0] for place in places]),
        ("processing", [keys[place].processing for place in places]),
    ):
        table = table.append_column(name, pa.array(values, pa.string()))
    return table.rename_columns([_PREFIX + name for name in table.column_names])


def _cost(joined: ir.Table, columns: Sequence[str]) -> ir.DecimalValue:
    unknown = ibis.null(_EXACT)
    terms = []
    for column, kind in CLASS_OF_COLUMN.items():
        if column not in columns:
            continue
        count, unit = joined[column], joined[f"{_PREFIX}unit_{kind}"]
        price = (count.cast("decimal(18, 0)") * unit).cast(_EXACT)
        terms.append(
            ibis.cases((count.fill_null(0) == 0, ibis.literal(0).cast(_EXACT)), (count < 0, unknown), else_=price)
        )
    number = joined.calls if "calls" in columns else ibis.literal(1)
    request = (
        (number.cast("decimal(18, 0)") * joined.rate_unit_request).cast(_EXACT).fill_null(ibis.literal(0).cast(_EXACT))
    )
    total = reduce(add, terms, request).cast(_EXACT)
    no_output = joined.output_tokens.isnull() & (joined.rate_unit_output > 0)
    if "operation" in columns:
        no_output &= ~joined.operation.isin(NO_OUTPUT_OPERATIONS).fill_null(False)
    not_known = joined.rate_price_id.isnull() | joined.uncached_input_tokens.isnull() | no_output.fill_null(False)
    cost = ibis.cases((not_known, unknown), else_=total)
    if "cache_hit" in columns:
        cost = ibis.cases((joined.cache_hit.fill_null(False), ibis.literal(0).cast(_EXACT)), else_=cost)
    return cost
