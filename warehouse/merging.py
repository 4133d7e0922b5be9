"""Merging calls: one logical call is stored once, however many files, exports and sources describe it.

Calls are keyed by the provider's request id where there is one, whatever the source; otherwise by (source, id). Of several descriptions the
best wins: a gateway's own log before an export of a tracing tool, one with usage before one without, the later and longer
before the earlier. What the winner does not know (feature, user, conversion...) is filled from the others, never its tokens or costs.
"""

from __future__ import annotations

import duckdb

SOURCE_PRIORITY = ("litellm", "calls", "langfuse-export", "otel")
"""Whose description of a call counts first."""

PROVIDER_REQUEST_ID = r"^(chatcmpl-|cmpl-|resp_|msg_|gen-|req_|embd-|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
"""Request ids that providers make, and the UUIDs that gateways give to calls without one (embeddings, failures): globally unique,
so that two sources with the same id mean the same call."""

TRACE = "coalesce(labels['observation_trace_id'], trace_id)"
"""SQL for the trace of a call that scores name."""

FILLED = (
    "project", "feature", "team", "env", "user_tier", "user_id", "session_id", "trace_id", "billing_account_id", "prompt_name",
    "prompt_version", "prefix_blocks", "input_hash", "max_tokens", "finish_reason", "converted", "revenue",
)  # fmt: skip


def call_key(prefix: str = "") -> str:
    """SQL for the key under which descriptions of one call meet."""
    return (
        f"CASE WHEN regexp_matches({prefix}call_id, '{PROVIDER_REQUEST_ID}') THEN {prefix}call_id "
        f"ELSE {prefix}source || ':' || {prefix}call_id END"
    )


def _rank() -> str:
    order = " ".join(f"WHEN '{source}' THEN {position}" for position, source in enumerate(SOURCE_PRIORITY))
    return (
        f"CASE source {order} ELSE {len(SOURCE_PRIORITY)} END, "
        "(coalesce(uncached_input_tokens, output_tokens, cache_read_tokens) IS NULL), "
        "coalesce(output_tokens, 0) DESC, (cost IS NULL), coalesce(latency_ms, 0) DESC, load_id DESC, "
        "hash(user_id, session_id, trace_id, feature, started_at, cost) DESC"
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if row else 0


def merge_calls(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Keep one row per call in `table` (all candidates together); returns how many rows were duplicates."""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE repeated AS
            SELECT {call_key()} AS call_key FROM {table} GROUP BY 1 HAVING count(*) > 1"""
    )
    if not _count(connection, "repeated"):
        connection.execute("DROP TABLE repeated")
        return 0
    window = (
        f"OVER (PARTITION BY {call_key()} ORDER BY {_rank()} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
    )
    filled = ", ".join(f"first_value({name} IGNORE NULLS) {window} AS {name}" for name in FILLED)
    nothing = "CAST(MAP {} AS MAP(VARCHAR, VARCHAR))"
    labels = ", ".join(f"coalesce({which}_value(labels) {window}, {nothing})" for which in ("last", "first"))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE winners AS
            SELECT * EXCLUDE (_position) FROM (
                SELECT * REPLACE ({filled}, map_concat({labels}) AS labels),
                       row_number() OVER (PARTITION BY {call_key()} ORDER BY {_rank()}) AS _position
                FROM {table} WHERE {call_key()} IN (SELECT call_key FROM repeated)
            ) WHERE _position = 1"""
    )
    before = _count(connection, table)
    connection.execute(f"DELETE FROM {table} WHERE {call_key()} IN (SELECT call_key FROM repeated)")
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM winners")
    connection.execute("DROP TABLE repeated")
    connection.execute("DROP TABLE winners")
    return before - _count(connection, table)


def merge_by_key(connection: duckdb.DuckDBPyConnection, table: str, key: tuple[str, ...]) -> int:
    """Keep the row of the latest load per key; returns how many rows were duplicates."""
    before = _count(connection, table)
    connection.execute(
        f"""CREATE OR REPLACE TABLE {table} AS SELECT * FROM {table}
            QUALIFY row_number() OVER (PARTITION BY {", ".join(key)} ORDER BY load_id DESC, hash({table})) = 1"""
    )
    return before - _count(connection, table)


def apply_scores(connection: duckdb.DuckDBPyConnection, calls: str, scores: str) -> None:
    """Write conversions and revenue of `scores` into `calls`, each score once.

    A score about one observation goes to that call; a score about a trace goes to the first call of the trace only, so that its
    revenue is not multiplied by the number of calls. Several scores of one name on one call add up (revenue) or count as
    true when any is (converted).
    """
    _place_scores(connection, calls, scores)
    connection.execute(
        f"""UPDATE {calls} SET converted = coalesce(scored.converted, {calls}.converted),
                               revenue = coalesce(scored.revenue, {calls}.revenue)
            FROM scored WHERE {calls}.call_id = scored.call_id AND {calls}.source = scored.source"""
    )
    connection.execute("DROP TABLE scored")


def withdraw_scores(connection: duckdb.DuckDBPyConnection, calls: str, scores: str) -> None:
    """Take what `apply_scores` wrote out of `calls` again, so that the scores can be placed anew: when a trace's first call comes late, its
    score moves there. A value that no longer is that of the scores is left as it is.
    """
    _place_scores(connection, calls, scores)
    connection.execute(
        f"""UPDATE {calls} SET converted = CASE WHEN scored.converted IS DISTINCT FROM {calls}.converted THEN {calls}.converted END,
                               revenue = CASE WHEN scored.revenue IS DISTINCT FROM {calls}.revenue THEN {calls}.revenue END
            FROM scored WHERE {calls}.call_id = scored.call_id AND {calls}.source = scored.source"""
    )
    connection.execute("DROP TABLE scored")


def _place_scores(connection: duckdb.DuckDBPyConnection, calls: str, scores: str) -> None:
    """Make the table `scored`: per call, what its scores say."""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE scored AS
            WITH first_of_trace AS (
                SELECT {TRACE} AS trace_id,
                       arg_min(call_id, (started_at, call_id)) AS call_id, arg_min(source, (started_at, call_id)) AS source
                FROM {calls} WHERE status IS DISTINCT FROM 'failure' GROUP BY 1
            ), observed AS (
                SELECT labels['observation_id'] AS observation_id, any_value(call_id) AS call_id, any_value(source) AS source
                FROM {calls} WHERE labels['observation_id'] IS NOT NULL GROUP BY 1
            ), placed AS (
                SELECT coalesce(o.call_id, t.call_id) AS call_id, coalesce(o.source, t.source) AS source, s.name, s.value
                FROM {scores} s
                LEFT JOIN observed o ON s.observation_id = o.observation_id
                LEFT JOIN first_of_trace t ON s.observation_id IS NULL AND s.trace_id = t.trace_id
            )
            SELECT call_id, source,
                   max(value) FILTER (name = 'converted') > 0 AS converted,
                   sum(value) FILTER (name IN ('revenue', 'revenue_usd')) AS revenue
            FROM placed WHERE call_id IS NOT NULL GROUP BY 1, 2"""
    )
