"""Calls that are priced for a test, and the prices that they are priced by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

import duckdb
import pyarrow as pa
import pytest

from warehouse.configuration import Configuration
from warehouse.price_books import shipped_prices
from warehouse.pricing import price_staged_calls
from warehouse.schema import CALLS, PRICES

NOW = datetime(2026, 11, 1)

OWN_BOOK = "test"


@lru_cache(maxsize=1)
def _shipped() -> pa.Table:
    return shipped_prices(Configuration())


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute(PRICES.ddl("prices"))
    connection.register("shipped", _shipped())
    connection.execute("INSERT INTO prices BY NAME SELECT * FROM shipped")
    yield connection
    connection.close()


def stage(connection: duckdb.DuckDBPyConnection, *calls: dict[str, object]) -> None:
    connection.execute("DROP TABLE IF EXISTS staged")
    connection.execute(CALLS.ddl("staged"))
    for number, call in enumerate(calls):
        row = {
            "call_id": str(number),
            "source": "test",
            "started_at": NOW,
            "status": "success",
            "processing": "standard",
        } | call
        names = ", ".join(row)
        connection.execute(f"INSERT INTO staged ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def priced(
    connection: duckdb.DuckDBPyConnection,
    *calls: dict[str, object],
    book: str | None = None,
    configuration: Configuration | None = None,
) -> list[dict[str, object]]:
    stage(connection, *calls)
    price_staged_calls(connection, "staged", "prices", configuration or Configuration(), book)
    cursor = connection.execute(
        "SELECT provider, model, priced_cost, cost, cost_basis, price_id FROM staged ORDER BY call_id::BIGINT"
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def cost(connection: duckdb.DuckDBPyConnection, call: dict[str, object], book: str | None = None) -> Decimal | None:
    return priced(connection, call, book=book)[0]["priced_cost"]  # type: ignore[return-value]


def tokens(uncached: int | None = 0, read: int = 0, output: int | None = 0, **others: int) -> dict[str, object]:
    return {"uncached_input_tokens": uncached, "cache_read_tokens": read, "output_tokens": output, **others}


@pytest.fixture
def own_prices(warehouse: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, whose prices a test may add to; they are taken out again."""
    warehouse.execute("BEGIN")
    yield warehouse
    warehouse.execute("ROLLBACK")


def add_prices(connection: duckdb.DuckDBPyConnection, book: str, provider: str, model: str, **amounts: str) -> None:
    for kind, amount in amounts.items():
        connection.execute(
            "INSERT INTO prices VALUES (?, ?, ?, ?, 'standard', 0, ?, 'USD', '1970-01-01', '9999-12-31', 'test', NULL)",
            [book, provider, model, kind, Decimal(amount)],
        )


KNOWN = {"provider": "openai", "model_raw": "gpt-4o"} | tokens(1000, 0, 100)

PRICE = Decimal("0.0035")
