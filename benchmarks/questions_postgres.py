"""The ten questions to PostgreSQL, on the spend-log table and indexes of LiteLLM's proxy: where its owners have their calls.

What LiteLLM has no column for stands in `metadata`, where its `spend_logs_metadata` and `usage_object` are. Real rows carry several kilobytes
more of it; here there is only what a question reads. Two things differ from LiteLLM's table: `spend` may be NULL, so that an unknown cost
stays unknown, and the rows are loaded at once, tables analysed and vacuumed.

`spend` is a double there, as in LiteLLM. What is timed sums doubles; what is compared casts each to a decimal first, which finds every digit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.answers import Row
from benchmarks.catalogue import ESTIMATED_PROVIDERS, TOP_FEATURE
from benchmarks.measuring import Usage
from benchmarks.questions_parquet import connect
from benchmarks.questions_sql import with_expected, with_shares
from benchmarks.rows import Rows
from tests.postgres import NoPostgresError, Postgres, find, running_server

SETTINGS = {
    "shared_buffers": "2GB",
    "work_mem": "256MB",
    "maintenance_work_mem": "1GB",
    "effective_cache_size": "8GB",
    "max_wal_size": "8GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "2",
    "random_page_cost": "1.1",
}

TABLE = """
    CREATE TABLE "LiteLLM_SpendLogs" (
        request_id text NOT NULL, call_type text NOT NULL, api_key text NOT NULL DEFAULT '', spend double precision DEFAULT 0.0,
        total_tokens integer NOT NULL DEFAULT 0, prompt_tokens integer NOT NULL DEFAULT 0, completion_tokens integer NOT NULL DEFAULT 0,
        "startTime" timestamp(6) NOT NULL, "endTime" timestamp(6) NOT NULL, request_duration_ms integer, "completionStartTime" timestamp(6),
        model text NOT NULL DEFAULT '', model_id text DEFAULT '', model_group text DEFAULT '', custom_llm_provider text DEFAULT '',
        api_base text DEFAULT '', "user" text DEFAULT '', metadata jsonb DEFAULT '{}', cache_hit text DEFAULT '', cache_key text DEFAULT '',
        request_tags jsonb DEFAULT '[]', team_id text, organization_id text, end_user text, requester_ip_address text,
        messages jsonb DEFAULT '{}', response jsonb DEFAULT '{}', session_id text, status text, mcp_namespaced_tool_name text, agent_id text,
        proxy_server_request jsonb DEFAULT '{}')"""

INDEXES = (
    'ALTER TABLE "LiteLLM_SpendLogs" ADD PRIMARY KEY (request_id)',
    'CREATE INDEX ON "LiteLLM_SpendLogs" ("startTime")',
    'CREATE INDEX ON "LiteLLM_SpendLogs" ("startTime", request_id)',
    'CREATE INDEX ON "LiteLLM_SpendLogs" (end_user)',
    'CREATE INDEX ON "LiteLLM_SpendLogs" (session_id)',
)

COLUMNS = (
    "request_id", "call_type", "spend", "total_tokens", "prompt_tokens", "completion_tokens", '"startTime"', '"endTime"',
    "request_duration_ms", "model", "model_group", "custom_llm_provider", "metadata", "team_id", "end_user", "status",
)  # fmt: skip

AS_SPEND_LOGS = """
    SELECT call_id, operation, CAST(cost AS DOUBLE), input + coalesce(output_tokens, 0), input, coalesce(output_tokens, 0), started_at,
        started_at + to_milliseconds(CAST(latency_ms AS BIGINT)), CAST(latency_ms AS BIGINT), model, model, provider,
        json_object('usage_object', json_object('prompt_tokens_details', json_object('cached_tokens', coalesce(cache_read_tokens, 0))),
            'spend_logs_metadata', json_object('feature', feature, 'user_tier', user_tier, 'processing', processing,
                'revenue', CAST(revenue AS VARCHAR), 'prefix', CAST(prefix_blocks[-1] AS VARCHAR), 'input_hash', input_hash)),
        team, user_id, status
    FROM (SELECT *, uncached_input_tokens + coalesce(cache_read_tokens, 0) AS input FROM read_parquet('{file}'))"""

_TICKS = os.sysconf("SC_CLK_TCK")
_ESTIMATED = f"custom_llm_provider IN ({', '.join(repr(name) for name in ESTIMATED_PROVIDERS)})"
_DAY = '"startTime"::date'
_LOGS = '"LiteLLM_SpendLogs"'
_FEATURE = "metadata->'spend_logs_metadata'->>'feature'"
_TIER = "metadata->'spend_logs_metadata'->>'user_tier'"
_REVENUE = "(metadata->'spend_logs_metadata'->>'revenue')::numeric"
_PROCESSING = "metadata->'spend_logs_metadata'->>'processing'"
_CACHED = "(metadata->'usage_object'->'prompt_tokens_details'->>'cached_tokens')::bigint"

SQL = {
    "Q1": f"SELECT {_DAY}, {_FEATURE}, sum(:spend) FROM {_LOGS} WHERE {_ESTIMATED} GROUP BY 1, 2",
    "Q2": f"SELECT {_FEATURE}, sum(:spend), count(*) FROM {_LOGS} WHERE {_ESTIMATED} GROUP BY 1",
    "Q3": f"SELECT {_DAY}, sum(:spend) FILTER (WHERE {_ESTIMATED}), count(DISTINCT end_user) FROM {_LOGS} GROUP BY 1",
    "Q4": f"""
        WITH used AS (
            SELECT {_DAY} AS day, {_FEATURE} AS feature, {_TIER} AS tier, sum(total_tokens) AS tokens, sum(:spend) AS cost,
                sum({_REVENUE}) AS revenue
            FROM {_LOGS} GROUP BY 1, 2, 3
        ), billed AS (
            SELECT "ChargePeriodStart"::date AS day, (sum("EffectiveCost") * 1000000)::bigint AS micros
            FROM charges WHERE "x_CostCategory" NOT IN ('LLM API', 'Embedding') GROUP BY 1
        ), whole AS (SELECT day, sum(tokens)::bigint AS tokens FROM used GROUP BY 1)
        SELECT feature, tier, sum(cost), sum(revenue), sum(micros * used.tokens / whole.tokens)::bigint
        FROM used JOIN whole USING (day) JOIN billed USING (day) GROUP BY 1, 2""",
    "Q5": f"""
        SELECT {_FEATURE}, model, count(*), sum(:spend), percentile_cont(array[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY request_duration_ms)
        FROM {_LOGS} GROUP BY 1, 2""",
    "Q6": f"""
        WITH daily AS (
            SELECT {_DAY} AS day, coalesce({_FEATURE}, '(untagged)') AS name, sum(:spend) AS cost
            FROM {_LOGS} WHERE {_ESTIMATED} AND spend IS NOT NULL GROUP BY 1, 2
        ), known AS (
            SELECT DISTINCT {_DAY} AS day FROM {_LOGS} WHERE spend IS NOT NULL UNION SELECT "ChargePeriodStart"::date FROM charges
        ), filled AS (
            SELECT known.day, started.name, coalesce(daily.cost, 0) AS cost
            FROM (SELECT name, min(day) AS first FROM daily GROUP BY 1) AS started JOIN known ON known.day >= started.first
            LEFT JOIN daily ON daily.day = known.day AND daily.name = started.name
        ), averaged AS (
            SELECT *, sum(cost) OVER seven AS before, count(*) OVER seven AS days FROM filled
            WINDOW seven AS (PARTITION BY name ORDER BY day ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING)
        )
        SELECT name, day, cost, before FROM averaged WHERE days = 7 AND 35 * cost > 6 * before""",
    "Q7": f"""
        SELECT end_user, sum(:spend) AS cost, count(*) FROM {_LOGS} WHERE {_FEATURE} = '{TOP_FEATURE}' GROUP BY 1
        ORDER BY 2 DESC NULLS LAST, 1 LIMIT 100""",
    "Q8": f"""
        WITH embedded AS (
            SELECT {_FEATURE} AS feature, metadata->'spend_logs_metadata'->>'input_hash' AS input_hash, {_DAY} AS day, :spend AS cost
            FROM {_LOGS} WHERE call_type = 'embeddings'
        ), first AS (SELECT input_hash, min(day) AS day FROM embedded GROUP BY 1)
        SELECT feature, count(*), sum(cost) FROM embedded JOIN first USING (input_hash) WHERE embedded.day > first.day GROUP BY 1""",
    "Q9": f"""
        SELECT model, count(*), count(*) FILTER (WHERE gap <= interval '5 minutes'),
            sum(prompt_tokens) FILTER (WHERE gap <= interval '5 minutes')
        FROM (
            SELECT model, prompt_tokens, "startTime" - lag("startTime") OVER (
                PARTITION BY model, metadata->'spend_logs_metadata'->>'prefix' ORDER BY "startTime") AS gap
            FROM {_LOGS} WHERE call_type = 'chat') AS replayed
        GROUP BY 1""",
    # OFFSET 0: what a row's metadata say is read once, not for every price that it is held against.
    "Q10": f"""
        SELECT c.model, sum((c.prompt_tokens - c.cached) * p.input + c.cached * p.cached + c.completion_tokens * p.output)
        FROM (
            SELECT model, {_PROCESSING} AS processing, "startTime", prompt_tokens, {_CACHED} AS cached, completion_tokens FROM {_LOGS} OFFSET 0
        ) AS c JOIN prices AS p
            ON c.model = p.model AND c.processing = p.processing AND c."startTime" >= p.valid_from AND c."startTime" < p.valid_to
        GROUP BY 1""",
}


def missing() -> str | None:
    """Why there is no server here; None when there is."""
    return None if find() else "no PostgreSQL server is installed"


class PostgreSQL:
    """A server of its own, its data in a temporary folder that goes with it."""

    def __init__(self, rows: Rows) -> None:
        self._stack = ExitStack()
        try:
            self._server: Postgres = self._stack.enter_context(running_server(**SETTINGS))
        except NoPostgresError as reason:
            raise RuntimeError(str(reason)) from None
        try:
            self._connection = self._stack.enter_context(psycopg.connect(self._server.url, autocommit=True))
            version = self._connection.info.parameter_status("server_version") or ""
            self.facts: dict[str, Any] = {"disk_bytes": self._load(rows), "version": version.partition(" ")[0]}
        except BaseException:
            self._stack.close()
            raise

    def _load(self, rows: Rows) -> int:
        """Fill the tables; bytes that they and their indexes take."""
        cursor, source = self._connection.cursor(), connect(rows, "postgres")
        with self._connection.transaction():
            cursor.execute(TABLE)
            for path in rows.days:
                file = rows.folder / "spend-logs.csv"
                source.execute(f"COPY ({AS_SPEND_LOGS.format(file=path)}) TO '{file}' (FORMAT csv, HEADER false)")
                with cursor.copy(f"COPY {_LOGS} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)") as copy:
                    for block in _blocks(file):
                        copy.write(block)
                file.unlink()
        cursor.execute(
            'CREATE TABLE charges ("ChargePeriodStart" timestamp, "EffectiveCost" numeric(38, 12), "x_CostCategory" text)'
        )
        cursor.execute(
            "CREATE TABLE prices (model text, processing text, valid_from timestamp, valid_to timestamp, input numeric, cached numeric, output numeric)"
        )
        for table, view in (("charges", "charges"), ("prices", "dated_prices")):
            found = source.execute(f"FROM {view}").fetchall()
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(found[0]))})", found)
        for statement in (*INDEXES, f"VACUUM (ANALYZE) {_LOGS}"):
            cursor.execute(statement)
        return int(cursor.execute("SELECT pg_total_relation_size('\"LiteLLM_SpendLogs\"')").fetchone()[0])  # type: ignore[index]

    def answer(self, question: str) -> list[Row]:
        """Sums of doubles, as LiteLLM keeps them."""
        return self._ask(question, "spend")

    def exact(self, question: str) -> list[Row]:
        """Every spend as a decimal of ten places before it is summed."""
        return self._ask(question, "spend::numeric(18, 10)")

    def _ask(self, question: str, spend: str) -> list[Row]:
        rows = self._connection.execute(SQL[question].replace(":spend", spend)).fetchall()
        if spend == "spend":
            return rows
        if question == "Q2":
            return with_shares(rows)
        if question == "Q5":
            return [(*row[:4], *(round(value, 3) for value in row[4])) for row in rows]
        return with_expected(rows) if question == "Q6" else rows

    def usage(self) -> Usage:
        """CPU of all server processes so far, and their memory now; pages that they share are counted once."""
        ticks = memory = 0
        for process in _tree(self._server.process):
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            except OSError:
                continue
            # User and system time, own (14 and 15) and of children that have ended (16 and 17).
            ticks += sum(int(field) for field in fields[11:15])
            memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
        return Usage(0.0, ticks / _TICKS, memory)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self._stack.close()


def open_engine(rows: Rows) -> PostgreSQL:
    """A server with the table loaded."""
    return PostgreSQL(rows)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            yield block


def _tree(process: int) -> list[int]:
    """A process and all its descendants, as far as they are there."""
    found = [process]
    for one in found:
        try:
            found += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except OSError:
            continue
    return found
