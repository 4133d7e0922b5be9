"""The demo company in tables, and what a token costs there: written here, not read from the generator's parameters."""

from __future__ import annotations

from typing import Any

import duckdb

from connectors.demo import tables
from warehouse.categories import category_expression
from warehouse.configuration import DATA
from warehouse.schema import TABLES

# $ per token of the price list, written out by hand; what a batch saves is half
UNIT_PRICES = """(VALUES
    ('gpt-4o-2024-05-13', 'standard', 0.0000050000, 0.0000000000, 0.0000150000),
    ('gpt-4o-2024-05-13', 'batch',    0.0000025000, 0.0000000000, 0.0000075000),
    ('gpt-4o-mini',       'standard', 0.0000001500, 0.0000000750, 0.0000006000),
    ('text-embedding-3-large', 'standard', 0.0000001300, 0.0000000000, 0.0000000000)
) AS unit(model, processing, per_input, per_cached, per_output)"""
EXACT = (
    "(uncached_input_tokens * per_input + cache_read_tokens * per_cached + output_tokens * per_output)::DECIMAL(18,10)"
)


def fill(seed: int) -> duckdb.DuckDBPyConnection:
    """The demo company in tables with all canonical columns, named like them; calls also as `priced` with their exact cost."""
    connection = duckdb.connect()
    for canonical, temporary in tables(connection, seed).items():
        connection.execute(TABLES[canonical].ddl(canonical))
        connection.execute(f"INSERT INTO {canonical} BY NAME SELECT * FROM {temporary}")
    connection.execute(
        f"""CREATE TABLE priced AS SELECT calls.*, CASE WHEN cache_hit OR status = 'failure' THEN 0 ELSE {EXACT} END AS exact,
            {EXACT} AS full_price, strftime(started_at, '%Y-%m') AS month
        FROM calls LEFT JOIN {UNIT_PRICES} USING (model, processing)"""
    )
    rule = category_expression(DATA / "cost_categories.toml")
    connection.execute(
        f"CREATE TABLE bill AS SELECT *, {rule} AS category, strftime(BillingPeriodStart, '%Y-%m') AS month FROM charges"
    )
    return connection


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()
