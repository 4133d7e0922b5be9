"""The tables of LiteLLM's proxy that are read, with their documented columns, in a real PostgreSQL, filled with the captured sample."""

from __future__ import annotations

import gzip
from pathlib import Path

import psycopg

from tests.postgres import Postgres

SAMPLE = Path(__file__).parent.parent / "data" / "litellm" / "spend_logs_postgres.csv.gz"

SPEND_LOGS = """
CREATE TABLE "LiteLLM_SpendLogs" (
    request_id text PRIMARY KEY, call_type text NOT NULL, api_key text NOT NULL DEFAULT '', spend double precision NOT NULL DEFAULT 0,
    total_tokens integer NOT NULL DEFAULT 0, prompt_tokens integer NOT NULL DEFAULT 0, completion_tokens integer NOT NULL DEFAULT 0,
    "startTime" timestamp(3) without time zone NOT NULL, "endTime" timestamp(3) without time zone NOT NULL,
    "completionStartTime" timestamp(3) without time zone, model text NOT NULL DEFAULT '', model_id text DEFAULT '', model_group text DEFAULT '',
    custom_llm_provider text DEFAULT '', api_base text DEFAULT '', "user" text DEFAULT '', metadata jsonb DEFAULT '{}', cache_hit text DEFAULT '',
    cache_key text DEFAULT '', request_tags jsonb DEFAULT '[]', team_id text, end_user text, requester_ip_address text,
    messages jsonb DEFAULT '{}', response jsonb DEFAULT '{}', proxy_server_request jsonb DEFAULT '{}', session_id text, status text,
    mcp_namespaced_tool_name text, organization_id text, agent_id text, request_duration_ms integer, created_at timestamp(3), updated_at timestamp(3),
    litellm_call_id text, billing_agent_id text
);
CREATE INDEX ON "LiteLLM_SpendLogs" ("startTime", request_id);
CREATE TABLE "LiteLLM_DailyUserSpend" (
    id text PRIMARY KEY, user_id text, date text NOT NULL, api_key text NOT NULL, model text, spend double precision NOT NULL DEFAULT 0
);
"""


def make(server: Postgres, database: str, *, sample: bool = True) -> str:
    """A new database with the tables, and the 15 captured rows. Returns the superuser's connection string."""
    url = server.database(database)
    server.run(SPEND_LOGS, database)
    if sample:
        text = gzip.decompress(SAMPLE.read_bytes()).decode()
        names = ", ".join(f'"{name}"' for name in text.splitlines()[0].split(","))
        statement = f'COPY "LiteLLM_SpendLogs" ({names}) FROM STDIN WITH (FORMAT csv, HEADER)'
        with psycopg.connect(url) as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[arg-type]
            copy.write(text)
    return url


def add(
    server: Postgres,
    database: str,
    count: int,
    start: str = "2026-11-22 00:00:00",
    seconds: int = 30,
    prefix: str = "chatcmpl-made",
) -> None:
    """`count` calls of gpt-4o-mini for $0.001 each, some seconds apart; two of them at each instant."""
    server.run(
        f"""INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, spend, total_tokens, prompt_tokens, completion_tokens, "startTime", "endTime",
                                             model, custom_llm_provider, status, cache_hit, metadata)
            SELECT '{prefix}-' || lpad(n::text, 6, '0'), 'acompletion', 0.001, 120, 100, 20, t, t + interval '1 s', 'openai/gpt-4o-mini', 'openai',
                   'success', 'False', '{{"spend_logs_metadata": {{"feature": "search"}}}}'
            FROM (SELECT n, timestamp '{start}' + n / 2 * interval '{seconds} s' AS t FROM generate_series(0, {count - 1}) n) made""",
        database,
    )
