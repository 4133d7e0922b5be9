"""Repricing a view: the same figures as for stored calls, per call and grouped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import ibis
import pytest

from tests.warehouse.test_pricing import tokens
from warehouse.configuration import Configuration
from warehouse.price_books import ARTICLE, shipped_prices
from warehouse.pricing import price_staged_calls
from warehouse.rates import CLASS_OF_COLUMN
from warehouse.repricing import input_tier, reprice
from warehouse.schema import CALLS, PRICES

CALLS_MADE: list[dict[str, object]] = [
    {"provider": "openai", "model_raw": "gpt-4o", "started_at": datetime(2024, 6, 1)} | tokens(10**6, 0, 10**6),
    {"provider": "openai", "model_raw": "gpt-4o", "started_at": datetime(2026, 3, 1)} | tokens(86, 1920, 300),
    {"provider": "openai", "model_raw": "gpt-4o", "started_at": datetime(2026, 3, 2)} | tokens(2000, 0, 500),
    {"provider": "azure", "model_raw": "azure/gpt-4o", "started_at": datetime(2026, 3, 2, 9)} | tokens(1111, 7, 33),
    {"provider": "azure", "model_raw": "azure/gpt-4o", "started_at": datetime(2026, 3, 2, 10)} | tokens(2222, 0, 44),
    {"provider": "openai", "model_raw": "gpt-4o", "started_at": datetime(2026, 3, 2), "processing": "batch"} | tokens(2000, 0, 500),
    {"provider": "openai", "model_raw": "o1", "started_at": datetime(2026, 3, 2)} | tokens(86, 1920, 108, reasoning_tokens=192),
    {"provider": "google", "model_raw": "gemini-2.5-pro", "started_at": datetime(2026, 3, 2)} | tokens(200_000, 0, 10),
    {"provider": "google", "model_raw": "gemini-2.5-pro", "started_at": datetime(2026, 3, 2)} | tokens(200_000, 1, 10),
    {"provider": "openai", "model_raw": "nobody-knows", "started_at": datetime(2026, 3, 2)} | tokens(5, 0, 5),
    {"provider": None, "model_raw": "x", "started_at": datetime(2026, 3, 2)} | tokens(5, 0, 5),
    {"provider": "openai", "model_raw": "gpt-4o", "started_at": datetime(2026, 3, 2)} | tokens(None, 0, None),
    {"provider": "openai", "model_raw": "gpt-4o", "started_at": datetime(2026, 3, 2), "cache_hit": True} | tokens(5, 0, 5),
    {"provider": "openai", "model_raw": "text-embedding-3-small", "started_at": datetime(2026, 3, 2)}
    | {"operation": "embeddings"} | tokens(10**6, 0, None),
    {"provider": "vllm", "model_raw": "llama", "started_at": datetime(2026, 3, 2)} | tokens(5, 0, 5),
]  # fmt: skip


@pytest.fixture(scope="module")
def backend() -> Iterator[ibis.BaseBackend]:
    backend = ibis.duckdb.connect()
    connection = backend.con
    connection.execute(PRICES.ddl("prices"))
    connection.register("shipped", shipped_prices(Configuration()))
    connection.execute("INSERT INTO prices BY NAME SELECT * FROM shipped")
    connection.execute(CALLS.ddl("calls"))
    for number, call in enumerate(CALLS_MADE):
        row = {"call_id": str(number), "source": "test", "status": "success", "processing": "standard"} | call
        connection.execute(
            f"INSERT INTO calls ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
        )
    price_staged_calls(connection, "calls", "prices", Configuration())
    yield backend
    backend.disconnect()


def costs(expression: ibis.Table) -> list[Decimal | None]:
    ordered = expression.order_by(expression.call_id.cast("int64")).select("repriced_cost")
    return [row["repriced_cost"] for row in ordered.to_pyarrow().to_pylist()]


def test_at_their_own_time_calls_cost_what_is_stored(backend: ibis.BaseBackend) -> None:
    calls = backend.table("calls")
    stored = [row["priced_cost"] for row in calls.order_by(calls.call_id.cast("int64")).to_pyarrow().to_pylist()]
    assert stored.count(None) == 3
    assert costs(reprice(calls, backend.table("prices"))) == stored


def test_at_todays_prices_history_is_cheaper(backend: ibis.BaseBackend) -> None:
    now = costs(reprice(backend.table("calls"), backend.table("prices"), at=datetime(2026, 11, 1)))
    assert now[0] == Decimal("12.5")
    assert now[1] == Decimal("0.005615")


def test_article_book(backend: ibis.BaseBackend) -> None:
    found = costs(reprice(backend.table("calls"), backend.table("prices"), book=ARTICLE, at=datetime(2026, 5, 15)))
    assert found[0] == Decimal(20)
    assert found[1] is None  # the snapshot has no price for cached tokens of gpt-4o
    assert found[2] == Decimal("0.0175")
    assert found[5] == Decimal("0.00875")
    assert found[7] is None
    assert found[13] == Decimal("0.02")


def test_grouped_by_tier_the_sum_is_the_same(backend: ibis.BaseBackend) -> None:
    calls, prices = backend.table("calls"), backend.table("prices")
    used = calls.filter(calls.uncached_input_tokens.notnull() & ~calls.cache_hit.fill_null(False))
    keyed = used.mutate(input_tier=input_tier(used, prices), started_at=used.started_at.truncate("D"))
    sums = {column: keyed[column].sum() for column in CLASS_OF_COLUMN}
    keys = ["provider", "model", "processing", "operation", "started_at", "input_tier"]
    grouped = keyed.group_by(keys).aggregate(calls=keyed.count(), **sums)
    assert grouped.count().execute() < used.count().execute()
    total = reprice(grouped, prices).repriced_cost.sum().to_pyarrow().as_py()
    assert total == used.priced_cost.sum().to_pyarrow().as_py()
    tiers = {row["input_tier"] for row in keyed.filter(keyed.model == "gemini-2.5-pro").to_pyarrow().to_pylist()}
    assert len(tiers) == 2
