"""The ten questions by hand: DuckDB's SQL on the single calls and billing lines, as an analyst would write it for this data.

Every function takes a cursor on the open snapshot (views `calls` and `charges`, and `dated_prices`) and returns rows.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import duckdb

from benchmarks.answers import Row
from benchmarks.catalogue import ESTIMATED_PROVIDERS, TOP_FEATURE
from benchmarks.peers import InProcess
from benchmarks.rows import Rows, make_dated_prices, open_limited

_ESTIMATED = f"provider IN ({', '.join(repr(name) for name in ESTIMATED_PROVIDERS)})"
_DAY = "CAST(started_at AS DATE)"

DAILY_COST = f"SELECT {_DAY}, feature, sum(cost) FROM calls WHERE {_ESTIMATED} GROUP BY ALL"

SHARES = f"SELECT feature, sum(cost), count(*) FROM calls WHERE {_ESTIMATED} GROUP BY ALL"

DAILY_USERS = f"""
    SELECT {_DAY}, sum(cost) FILTER ({_ESTIMATED}), count(DISTINCT user_id) FROM calls GROUP BY ALL"""

TOKENS = "coalesce(uncached_input_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(output_tokens, 0)"

ALLOCATED_MARGIN = f"""
    WITH used AS (
        SELECT {_DAY} AS day, feature, user_tier, CAST(sum({TOKENS}) AS BIGINT) AS tokens, sum(cost) AS cost, sum(revenue) AS revenue
        FROM calls GROUP BY ALL
    ), billed AS (
        SELECT CAST(ChargePeriodStart AS DATE) AS day, CAST(sum(EffectiveCost) * 1000000 AS BIGINT) AS micros
        FROM charges WHERE x_CostCategory NOT IN ('LLM API', 'Embedding') GROUP BY 1
    ), whole AS (SELECT day, CAST(sum(tokens) AS BIGINT) AS tokens FROM used GROUP BY 1)
    SELECT feature, user_tier, sum(cost), sum(revenue), CAST(sum(micros * used.tokens // whole.tokens) AS BIGINT)
    FROM used JOIN whole USING (day) JOIN billed USING (day) GROUP BY ALL"""

LATENCY = """
    SELECT feature, model, count(*), sum(cost), list_transform(quantile_cont(latency_ms, [0.5, 0.95, 0.99]), lambda x: round(x, 3))
    FROM calls GROUP BY ALL"""

TRAILING = f"""
    WITH daily AS (SELECT {_DAY} AS day, feature, sum(cost) AS cost FROM calls WHERE {_ESTIMATED} GROUP BY ALL HAVING sum(cost) IS NOT NULL),
    known AS (SELECT DISTINCT {_DAY} AS day FROM calls WHERE cost IS NOT NULL UNION SELECT CAST(ChargePeriodStart AS DATE) FROM charges),
    filled AS (
        SELECT known.day, started.feature, coalesce(daily.cost, 0) AS cost
        FROM (SELECT feature, min(day) AS first FROM daily GROUP BY 1) AS started JOIN known ON known.day >= started.first
        LEFT JOIN daily ON daily.day = known.day AND daily.feature IS NOT DISTINCT FROM started.feature
    ), averaged AS (
        SELECT *, sum(cost) OVER seven AS before, count(*) OVER seven AS days FROM filled
        WINDOW seven AS (PARTITION BY feature ORDER BY day ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING)
    )
    SELECT coalesce(feature, '(untagged)'), day, cost, before FROM averaged WHERE days = 7 AND 35 * cost > 6 * before"""

DEAREST_USERS = f"""
    SELECT user_id, sum(cost) AS cost, count(*) FROM calls WHERE feature = '{TOP_FEATURE}' GROUP BY 1
    ORDER BY cost DESC NULLS LAST, user_id LIMIT 100"""

EMBEDDED_AGAIN = f"""
    WITH embedded AS (SELECT feature, input_hash, {_DAY} AS day, cost FROM calls WHERE operation = 'embeddings'),
    first AS (SELECT input_hash, min(day) AS day FROM embedded GROUP BY 1)
    SELECT feature, count(*), sum(cost) FROM embedded JOIN first USING (input_hash) WHERE embedded.day > first.day GROUP BY 1"""

PREFIX_REPLAY = """
    WITH replayed AS (
        SELECT model, uncached_input_tokens + coalesce(cache_read_tokens, 0) AS tokens,
            epoch_us(started_at) - lag(epoch_us(started_at)) OVER (PARTITION BY model, prefix_blocks[-1] ORDER BY started_at) AS gap
        FROM calls WHERE operation = 'chat'
    )
    SELECT model, count(*), count(*) FILTER (gap <= 300000000), CAST(sum(tokens) FILTER (gap <= 300000000) AS BIGINT)
    FROM replayed GROUP BY 1"""

REPRICED = """
    SELECT c.model, sum(c.uncached_input_tokens * p.input + coalesce(c.cache_read_tokens, 0) * p.cached
        + coalesce(c.output_tokens, 0) * p.output)
    FROM calls AS c JOIN dated_prices AS p
        ON c.model = p.model AND c.processing = p.processing AND c.started_at >= p.valid_from AND c.started_at < p.valid_to
    GROUP BY 1"""


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    return cursor.execute(sql).fetchall()


def with_shares(rows: list[Row]) -> list[Row]:
    """Name, cost and calls with each row's share of both."""
    cost, calls = sum((row[1] for row in rows if row[1] is not None), Decimal(0)), sum(row[2] for row in rows)
    return [
        (name, amount, count, None if amount is None else float(amount / cost), float(Decimal(count) / Decimal(calls)))
        for name, amount, count in rows
    ]


def with_expected(rows: list[Row]) -> list[Row]:
    """Series, day, cost, and the sum of seven days as the average, to twelve digits after the point."""
    places = Decimal("0.000000000001")
    return [
        (f"feature:{name}", day, cost, (before / 7).quantize(places, rounding=ROUND_HALF_EVEN))
        for name, day, cost, before in rows
    ]


def answer(cursor: duckdb.DuckDBPyConnection, question: str) -> list[Row]:
    """The rows of a question ("Q1" to "Q10")."""
    return ANSWERS[question](cursor)


ANSWERS: dict[str, Any] = {
    "Q1": lambda cursor: _rows(cursor, DAILY_COST),
    "Q2": lambda cursor: with_shares(_rows(cursor, SHARES)),
    "Q3": lambda cursor: _rows(cursor, DAILY_USERS),
    "Q4": lambda cursor: _rows(cursor, ALLOCATED_MARGIN),
    "Q5": lambda cursor: [(*row[:4], *row[4]) for row in _rows(cursor, LATENCY)],
    "Q6": lambda cursor: with_expected(_rows(cursor, TRAILING)),
    "Q7": lambda cursor: _rows(cursor, DEAREST_USERS),
    "Q8": lambda cursor: _rows(cursor, EMBEDDED_AGAIN),
    "Q9": lambda cursor: _rows(cursor, PREFIX_REPLAY),
    "Q10": lambda cursor: _rows(cursor, REPRICED),
}


def open_engine(rows: Rows) -> InProcess:
    """DuckDB on the store's own tables."""
    warehouse = open_limited(rows.store, rows.folder / "spill-by-hand")
    make_dated_prices(warehouse.connection.cursor())
    return InProcess(
        lambda question: answer(warehouse.connection.cursor(), question),
        disk_bytes=sum(file.bytes for file in warehouse.snapshot.files) if warehouse.snapshot else 0,
    )
