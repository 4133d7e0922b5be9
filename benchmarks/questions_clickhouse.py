"""The ten questions to ClickHouse's engine (chdb, in process): a MergeTree table, ordered by feature and time, a partition per month.

Counts of distinct users and quantiles are asked for exactly; ClickHouse approximates them unless told.
"""

from __future__ import annotations

import io
import shutil
from decimal import Decimal
from typing import Any

import pyarrow as pa

from benchmarks.answers import Row
from benchmarks.catalogue import ESTIMATED_PROVIDERS, TOP_FEATURE
from benchmarks.peers import InProcess
from benchmarks.questions_sql import with_expected, with_shares
from benchmarks.rows import Rows

_ESTIMATED = f"provider IN ({', '.join(repr(name) for name in ESTIMATED_PROVIDERS)})"
_DAY = "toDate32(started_at)"

TABLE = """
    CREATE TABLE bench.calls (
        call_id String, started_at DateTime64(6, 'UTC'), provider LowCardinality(String), model LowCardinality(String),
        operation LowCardinality(String), processing LowCardinality(String), status LowCardinality(String),
        project LowCardinality(Nullable(String)), feature LowCardinality(Nullable(String)), team LowCardinality(Nullable(String)),
        env LowCardinality(Nullable(String)), user_tier LowCardinality(Nullable(String)), user_id String,
        uncached_input_tokens Int64, cache_read_tokens Nullable(Int64), output_tokens Nullable(Int64), cost Nullable(Decimal(18, 10)),
        latency_ms Float64, prefix_blocks Array(UInt64), input_hash String, converted Nullable(Bool), revenue Nullable(Decimal(18, 10))
    ) ENGINE = MergeTree PARTITION BY toYYYYMM(started_at) ORDER BY (feature, started_at) SETTINGS allow_nullable_key = 1"""

DAILY_COST = f"SELECT {_DAY} AS day, feature, sum(cost) FROM bench.calls WHERE {_ESTIMATED} GROUP BY day, feature"

SHARES = f"SELECT feature, sum(cost), count() FROM bench.calls WHERE {_ESTIMATED} GROUP BY feature"

DAILY_USERS = f"SELECT {_DAY} AS day, sumIf(cost, {_ESTIMATED}), uniqExact(user_id) FROM bench.calls GROUP BY day"

ALLOCATED_MARGIN = f"""
    WITH used AS (
        SELECT {_DAY} AS day, feature, user_tier, sum(cost) AS cost, sum(revenue) AS revenue,
            sum(uncached_input_tokens + coalesce(cache_read_tokens, 0) + coalesce(output_tokens, 0)) AS tokens
        FROM bench.calls GROUP BY day, feature, user_tier
    ), billed AS (
        SELECT toDate32(ChargePeriodStart) AS day, toInt64(sum(EffectiveCost) * 1000000) AS micros
        FROM bench.charges WHERE x_CostCategory NOT IN ('LLM API', 'Embedding') GROUP BY day
    ), whole AS (SELECT day, sum(tokens) AS all_tokens FROM used GROUP BY day)
    SELECT feature, user_tier, sum(cost), sum(revenue), sum(intDiv(micros * tokens, all_tokens))
    FROM used JOIN whole ON used.day = whole.day JOIN billed ON used.day = billed.day GROUP BY feature, user_tier"""

LATENCY = """
    SELECT feature, model, count(), sum(cost), quantilesExactInclusive(0.5, 0.95, 0.99)(latency_ms)
    FROM bench.calls GROUP BY feature, model"""

TRAILING = f"""
    WITH daily AS (
        SELECT {_DAY} AS day, coalesce(feature, '(untagged)') AS name, sum(cost) AS spent
        FROM bench.calls WHERE {_ESTIMATED} AND cost IS NOT NULL GROUP BY day, name
    ), known AS (
        SELECT DISTINCT {_DAY} AS day FROM bench.calls WHERE cost IS NOT NULL
        UNION DISTINCT SELECT toDate32(ChargePeriodStart) FROM bench.charges
    ), filled AS (
        SELECT k.day AS day, s.name AS name, coalesce(d.spent, toDecimal128(0, 10)) AS cost
        FROM (SELECT name, min(day) AS first FROM daily GROUP BY name) AS s CROSS JOIN known AS k
        LEFT JOIN daily AS d ON d.day = k.day AND d.name = s.name WHERE k.day >= s.first
    ), averaged AS (
        SELECT name, day, cost, sum(cost) OVER seven AS before, count() OVER seven AS days FROM filled
        WINDOW seven AS (PARTITION BY name ORDER BY day ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING)
    )
    SELECT name, day, cost, before FROM averaged WHERE days = 7 AND 35 * cost > 6 * before"""

DEAREST_USERS = f"""
    SELECT user_id, sum(cost) AS spent, count() FROM bench.calls WHERE feature = '{TOP_FEATURE}' GROUP BY user_id
    ORDER BY spent DESC NULLS LAST, user_id LIMIT 100"""

EMBEDDED_AGAIN = f"""
    WITH embedded AS (SELECT feature, input_hash, {_DAY} AS day, cost FROM bench.calls WHERE operation = 'embeddings'),
    earliest AS (SELECT input_hash, min(day) AS first FROM embedded GROUP BY input_hash)
    SELECT feature, count(), sum(cost) FROM embedded JOIN earliest ON embedded.input_hash = earliest.input_hash
    WHERE day > first GROUP BY feature"""

PREFIX_REPLAY = """
    SELECT model, count(), countIf(gap <= 300000000) AS hits, if(hits > 0, sumIf(tokens, gap <= 300000000), NULL) FROM (
        SELECT model, uncached_input_tokens + coalesce(cache_read_tokens, 0) AS tokens, toUnixTimestamp64Micro(started_at) AS moment,
            moment - lagInFrame(moment) OVER (PARTITION BY model, prefix_blocks[-1] ORDER BY started_at) AS gap
        FROM bench.calls WHERE operation = 'chat'
    ) GROUP BY model"""

REPRICED = """
    SELECT c.model, sum(c.uncached_input_tokens * p.input + coalesce(c.cache_read_tokens, 0) * p.cached
        + coalesce(c.output_tokens, 0) * p.output)
    FROM bench.calls AS c JOIN bench.prices AS p ON c.model = p.model AND c.processing = p.processing
    WHERE c.started_at >= p.valid_from AND c.started_at < p.valid_to GROUP BY c.model"""

SQL = {
    "Q1": DAILY_COST,
    "Q2": SHARES,
    "Q3": DAILY_USERS,
    "Q4": ALLOCATED_MARGIN,
    "Q5": LATENCY,
    "Q6": TRAILING,
    "Q7": DEAREST_USERS,
    "Q8": EMBEDDED_AGAIN,
    "Q9": PREFIX_REPLAY,
    "Q10": REPRICED,
}


def open_engine(rows: Rows) -> InProcess:
    """Load the files into tables of their own, once for a snapshot of the store, and merge what was inserted as the engine likes it best."""
    from chdb import session  # noqa: PLC0415 - not every machine has it

    folder = rows.folder / "clickhouse"
    ready = folder / "percall-ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
    connection = session.Session(str(folder))
    if not ready.exists():
        connection.query("CREATE DATABASE bench")
        connection.query(TABLE)
        for path in rows.days:
            connection.query(f"INSERT INTO bench.calls SELECT * FROM file('{path}', Parquet)")
        connection.query("OPTIMIZE TABLE bench.calls FINAL")
        for name, file in (("charges", rows.charges), ("prices", rows.prices)):
            connection.query(
                f"CREATE TABLE bench.{name} ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM file('{file}', Parquet)"
            )
        ready.touch()

    def ask(question: str) -> list[Row]:
        answer = connection.query(SQL[question], "Arrow")
        with pa.ipc.open_file(io.BytesIO(answer.bytes())) as reader:
            columns = [column.to_pylist() for column in reader.read_all().columns]
        return _finish(question, [tuple(map(_plain, row)) for row in zip(*columns, strict=True)])

    size = connection.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'bench'", "CSV")
    version = str(connection.query("SELECT version()", "TSVRaw")).strip()
    return InProcess(ask, disk_bytes=int(str(size).strip()), version=version)


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _finish(question: str, rows: list[Row]) -> list[Row]:
    if question == "Q2":
        return with_shares(rows)
    if question == "Q5":
        return [(*row[:4], *(round(value, 3) for value in row[4])) for row in rows]
    if question == "Q6":
        return with_expected([(name, day, Decimal(cost), Decimal(before)) for name, day, cost, before in rows])
    return rows
