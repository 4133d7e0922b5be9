"""What calls cost: staged calls priced by the dated books, calls of a view priced anew, and single unit prices.

A price is per 1,000,000 tokens; cost = sum over the disjoint token classes of tokens x amount / 1,000,000 (+ amount /
1,000 for a price per request), exact in DECIMAL and rounded once, at the end, to ten places, halves away from zero.
Above a context tier the whole request has the tier's price (the providers' rule), the tier being chosen by all input
tokens, cached ones included. Which row of which book holds is said in `warehouse.rates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from warehouse.errors import StoreError
from warehouse.models import canonical_model, canonical_provider, price_ids
from warehouse.rates import (
    BOOK_ORDER,
    CLASS_OF_COLUMN,
    INPUT_COLUMNS,
    PRICE_CLASSES,
    PriceRow,
    RateKey,
    resolve,
    units_per,
)
from warehouse.schema import CALL_MONEY

if TYPE_CHECKING:
    import duckdb

    from warehouse.configuration import Configuration

_PLACES = Decimal("0.0000000001")
_KEYS, _RATES, _WANTED = "_percall_keys", "_percall_rates", "_percall_wanted"

NO_OUTPUT_OPERATIONS = ("embeddings", "rerank")
"""Operations that write no output: there an output that is not reported is none, elsewhere it is unknown."""


def price_staged_calls(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    prices_table: str,
    configuration: Configuration,
    book: str | None = None,
) -> None:
    """Price every row of `table` (columns of `calls`, and any others) as `priced` does. Pricing twice changes nothing."""
    # One pass that writes the rows anew: updating six columns in place, found by row number, took five times as long.
    select = priced(connection, table, prices_table, configuration, book)
    connection.execute(f"CREATE TABLE {table}_priced AS {select}")
    before, after = _count(connection, table), _count(connection, f"{table}_priced")
    if before != after:
        raise StoreError(
            f"{before} calls were to be priced, {after} came back: two rates hold at one time; nothing was changed"
        )
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"ALTER TABLE {table}_priced RENAME TO {table}")


def priced(
    connection: duckdb.DuckDBPyConnection,
    rows: str,
    prices_table: str,
    configuration: Configuration,
    book: str | None = None,
    to_price: Sequence[tuple[str | None, str | None, str]] | None = None,
    most_tokens: int | None = None,
) -> str:
    """A SELECT of the rows of a relation (columns of `calls`, and any others) with provider, model, priced_cost, cost, cost_basis and
    price_id set. It reads two temporary tables that hold until the next call.

    `prices_table` has the columns of `prices`, all books in one. Without `book` the books are asked in `BOOK_ORDER`;
    with one, only that. What is known of the rows already need not be looked for: `to_price` are the distinct (provider, model_raw or else
    model, processing or else standard), `most_tokens` the largest count of any token class.

    priced_cost is NULL (not known) when no book has the model, the processing (a batch price is never made up from
    the standard one) or a token class that the call used; when the source reported no usage, or no output for an
    operation that has one; 0 for a call that a gateway's cache answered.

    cost: 0 for a cache answer; else the reported or the priced figure, whichever `configuration.prefer_reported_cost`
    says goes first; NULL where neither is known. A reported 0 says nothing when tokens were used or no usage is
    known, because gateways write 0 for models that they cannot price; it counts for a failure without usage, and
    where the usage is known to be none."""
    keys, combinations = _keys_of(to_price if to_price is not None else _to_price(connection, rows))
    rates = resolve(_price_rows(connection, prices_table, keys, _books(book)), keys, _books(book))
    narrow = most_tokens is not None and _fit_in_a_word(rates, most_tokens)
    cast = ", ".join(f"CAST(unit_{kind} AS {CALL_MONEY}) AS unit_{kind}" for kind in PRICE_CLASSES)
    for name, content, columns in (
        (_KEYS, combinations, "*"),
        (_RATES, rates, f"* REPLACE ({cast})" if narrow else "*"),
    ):
        connection.register("_percall_arrow", content)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {columns} FROM _percall_arrow")
        connection.unregister("_percall_arrow")
    tokens = "DECIMAL(18,0)" if narrow else "DECIMAL(12,0)"
    reported_first = configuration.prefer_reported_cost
    known = "coalesce(_usable, _priced)" if reported_first else "coalesce(_priced, _usable)"
    first, second = ("_usable", "reported"), ("_priced", "priced")
    if not reported_first:
        first, second = second, first
    return f"""
        SELECT * EXCLUDE (_provider, _model, _price_id, _priced, _hit, _usable) REPLACE (
            _provider AS provider, _model AS model, _price_id AS price_id, _priced AS priced_cost,
            CAST(CASE WHEN _hit THEN 0 ELSE {known} END AS {CALL_MONEY}) AS cost,
            CASE WHEN _hit THEN 'reported' WHEN {first[0]} IS NOT NULL THEN '{first[1]}'
                 WHEN {second[0]} IS NOT NULL THEN '{second[1]}' ELSE 'unknown' END AS cost_basis)
        FROM (
            SELECT c.*, k.new_provider AS _provider, k.new_model AS _model, coalesce(c.cache_hit, false) AS _hit,
                   CASE WHEN c.cache_hit THEN NULL ELSE r.price_id END AS _price_id,
                   CAST(CASE WHEN c.cache_hit THEN 0 ELSE {_priced_sql(tokens)} END AS {CALL_MONEY}) AS _priced,
                   CASE WHEN c.reported_cost = 0 AND NOT ({_nothing_used_sql()}) THEN NULL
                        ELSE c.reported_cost END AS _usable
            FROM {rows} AS c
            JOIN {_KEYS} AS k ON c.provider IS NOT DISTINCT FROM k.old_provider
                AND coalesce(c.model_raw, c.model) IS NOT DISTINCT FROM k.old_model
                AND coalesce(c.processing, 'standard') = k.processing
            LEFT JOIN {_RATES} AS r ON r.key = k.key
                AND c.started_at >= r.valid_from AND c.started_at < r.valid_to
                AND {_input_sql()} > r.above AND {_input_sql()} <= r.up_to
        )"""


def unit_prices(
    connection: duckdb.DuckDBPyConnection,
    prices_table: str,
    provider: str | None,
    model: str,
    *,
    at: datetime,
    processing: str = "standard",
    book: str | None = None,
    input_tokens: int = 0,
) -> dict[str, Decimal]:
    """USD per 1,000,000 tokens (request: per 1,000 calls) by token class, for one model at one time (UTC).

    `input_tokens` chooses the context tier. A class that is not in the answer has no known price; an empty answer: the
    model has none.
    """
    key = RateKey(canonical_model(provider, model)[0], price_ids(provider, model), processing)
    for rate in resolve(_price_rows(connection, prices_table, [key], _books(book)), [key], _books(book)).to_pylist():
        if rate["valid_from"] <= at < rate["valid_to"] and rate["above"] < input_tokens <= rate["up_to"]:
            units = {kind: rate[f"unit_{kind}"] for kind in PRICE_CLASSES if rate[f"unit_{kind}"] is not None}
            return {kind: (unit * units_per(kind)).quantize(_PLACES) for kind, unit in units.items()}
    return {}


def _books(book: str | None) -> Sequence[str]:
    return BOOK_ORDER if book is None else (book,)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(rows)


def _to_price(connection: duckdb.DuckDBPyConnection, rows: str) -> list[tuple[str | None, str | None, str]]:
    """The distinct things to price."""
    return connection.execute(
        f"SELECT DISTINCT provider, coalesce(model_raw, model), coalesce(processing, 'standard') FROM {rows}"
    ).fetchall()


def _keys_of(rows: Sequence[tuple[str | None, str | None, str]]) -> tuple[list[RateKey], pa.Table]:
    """The distinct things to price as keys of rates, and which rows each is for."""
    keys: list[RateKey] = []
    combinations: list[dict[str, object]] = []
    for place, (provider, raw, processing) in enumerate(rows):
        owner, model = (canonical_provider(provider), None) if raw is None else canonical_model(provider, raw)
        keys.append(RateKey(owner, () if raw is None else price_ids(provider, raw), processing))
        combinations.append(
            {
                "key": place,
                "old_provider": provider,
                "old_model": raw,
                "processing": processing,
                "new_provider": owner,
                "new_model": model,
            }
        )
    schema = pa.schema(
        [("key", pa.int64())]
        + [(name, pa.string()) for name in ("old_provider", "old_model", "processing", "new_provider", "new_model")]
    )
    return keys, pa.Table.from_pylist(combinations, schema=schema)


def _price_rows(
    connection: duckdb.DuckDBPyConnection, prices_table: str, keys: Sequence[RateKey], books: Sequence[str]
) -> list[PriceRow]:
    """The rows of `prices` that can matter for these keys."""
    wanted = {(key.provider, model) for key in keys if key.provider for model in (*key.models, "*")}
    schema = pa.schema([("provider", pa.string()), ("model", pa.string())])
    connection.register(
        _WANTED, pa.Table.from_pylist([{"provider": p, "model": m} for p, m in sorted(wanted)], schema=schema)
    )
    try:
        rows = connection.execute(
            f"""
            SELECT p.book, p.provider, p.model, p.token_class, p.processing, coalesce(p.context_from, 0), p.amount,
                   p.currency, p.valid_from, p.valid_to, p.load_id
            FROM {prices_table} AS p SEMI JOIN {_WANTED} AS w ON p.provider = w.provider AND p.model = w.model
            WHERE list_contains(?::VARCHAR[], p.book)
            """,
            [list(books)],
        ).fetchall()
    finally:
        connection.unregister(_WANTED)
    return [PriceRow(*row) for row in rows]


def _input_sql() -> str:
    """All input tokens of a call; NULL when the source reported no usage."""
    others = " + ".join(f"coalesce(c.{column}, 0)" for column in INPUT_COLUMNS if column != "uncached_input_tokens")
    return f"(c.uncached_input_tokens + {others})"


def _nothing_used_sql() -> str:
    """True when the usage is known to be none, or the call failed without any."""
    total = " + ".join(f"coalesce(c.{column}, 0)" for column in CLASS_OF_COLUMN)
    return f"({total}) = 0 AND (c.uncached_input_tokens IS NOT NULL OR coalesce(c.status = 'failure', false))"


def _fit_in_a_word(rates: pa.Table, most_tokens: int) -> bool:
    """Whether every price of a token is a multiple of 10^-10, and no call can cost 10^8: products of such numbers are exact in 64 bits, which
    takes a third of the time that 128 bits take (0.2 against 0.65 µs per call)."""
    if most_tokens >= 10**12:
        return False  # no count of one call: its cost is not known, whatever the arithmetic
    for rate in rates.to_pylist():
        units = [rate[f"unit_{kind}"] or Decimal(0) for kind in PRICE_CLASSES]
        if any(unit != round(unit, 10) for unit in units) or sum(units) * max(most_tokens, 1) >= 10**8:
            return False
    return True


def _priced_sql(tokens: str) -> str:
    """Exact cost of a call `c` at its rate `r`, token counts taken as this type. NULL in any term (a price or a token count that is not known)
    makes the whole NULL."""
    terms = [
        f"CASE WHEN coalesce(c.{column}, 0) = 0 THEN 0 WHEN c.{column} < 0 THEN NULL"
        f" ELSE TRY_CAST(c.{column} AS {tokens}) * r.unit_{kind} END"
        for column, kind in CLASS_OF_COLUMN.items()
    ]
    operations = ", ".join(f"'{operation}'" for operation in NO_OUTPUT_OPERATIONS)
    return (
        "CASE WHEN r.key IS NULL OR c.uncached_input_tokens IS NULL THEN NULL"
        " WHEN c.output_tokens IS NULL AND r.unit_output > 0"
        f" AND coalesce(c.operation NOT IN ({operations}), true) THEN NULL"
        f" ELSE TRY_CAST({' + '.join(f'({term})' for term in terms)} + coalesce(r.unit_request, 0)"
        " AS DECIMAL(18,10)) END"
    )
