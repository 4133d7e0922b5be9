"""Langfuse: the blob-storage export, observations and scores, as Parquet, JSON lines, JSON or CSV (plain or packed).

A call is an observation of type GENERATION or EMBEDDING, or one of another type that carries usage or a cost. Where such rows nest, a wrapper
says the same as what it wraps and is left out (`connectors.nested_calls`). Plain spans are no calls.

The export writes a row on the edge of two windows into both files, so ids decide what is new. `latency` and `time_to_first_token` are
seconds, but milliseconds for older integrations: the file's own times decide. Missing texts are empty. `total_cost` is 0 where Langfuse
knew no price.

Rows with `context_only` (written by `connectors.live.langfuse`) are no calls of this file: they only show which others are wrappers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from connectors.dimensions import as_object, scalar
from connectors.extraction import Extraction
from connectors.files import quote_identifier, sql_text
from connectors.nested_calls import calls_of_their_own
from connectors.token_classes import COUNTS, LITELLM_USAGE_PATHS, USAGE_KEYS
from connectors.traced_calls import canonical_calls, timestamp, truth
from connectors.traced_fields import kept_fields, pick
from warehouse.schema import CALL_MONEY

if TYPE_CHECKING:
    import duckdb

    from connectors.files import SourceFile
    from warehouse.configuration import Configuration

KIND = "langfuse-export"

READS_UNCHECKED = True
"""Broken rows are found while the file is read (`connectors.files.glance`)."""

CALL_TYPES = ("GENERATION", "EMBEDDING")

_COLUMNS = (
    "id", "trace_id", "start_time", "end_time", "completion_start_time", "parent_observation_id", "type", "level", "environment",
    "user_id", "session_id", "metadata", "provided_model_name", "model_parameters", "usage_details", "cost_details", "total_cost",
    "prompt_name", "prompt_version", "latency", "time_to_first_token", "tags", "trace_name", "input", "context_only",
)  # fmt: skip

_METADATA = {
    "marked": "/spend_logs_metadata",
    "requester": "/requester_metadata",
    "response_id": "/response_id",
    "call_id_of_gateway": "/litellm_call_id",
    "hit": "/cache_hit",
    "gateway_cost": "/litellm_response_cost",
    "usage_written": "/usage_object",
    "team_alias": "/user_api_key_team_alias",
    "team_id": "/user_api_key_team_id",
    "project_alias": "/user_api_key_project_alias",
    "project_id_of_key": "/user_api_key_project_id",
    "provider_told": "/custom_llm_provider",
    "provider_of_chain": "/ls_provider",
    "tier_told": "/service_tier",
    "finish_told": "/finish_reason",
}

_PARAMETERS = {
    "parameter_stream": "/stream",
    "parameter_max_tokens": "/max_tokens",
    "parameter_max_completion_tokens": "/max_completion_tokens",
    "parameter_max_output_tokens": "/max_output_tokens",
    "parameter_tier": "/service_tier",
}

_DOUBLE_QUOTED = "replace(tags, chr(39), chr(34))"
"""ClickHouse writes lists in CSV with single quotes."""

_REQUESTER = {"nested_marked": "/spend_logs_metadata", "nested_traced": "/trace_metadata"}

_NAMES = {"call_key": "id", "started_text": "start_time", "cost_text": "total_cost/cost_details"} | {
    f"usage_{name}_text": "usage_details" for name in COUNTS
}

_SCORE_PATHS = {name: f"/{name}" for name in ("id", "timestamp", "name", "value")} | {
    f"{name}_{style}": f"/{written}"
    for name, snake, camel in (
        ("trace", "trace_id", "traceId"),
        ("observation", "observation_id", "observationId"),
        ("session", "session_id", "sessionId"),
        ("type", "data_type", "dataType"),
        ("words", "string_value", "stringValue"),
    )
    for style, written in (("snake", snake), ("camel", camel))
}


def detect(file: SourceFile) -> bool:
    """Whether the rows are exported observations or scores."""
    return _is_observations(file) or _is_scores(file)


def _is_observations(file: SourceFile) -> bool:
    known = ("usage_details", "provided_model_name", "cost_details", "parent_observation_id", "is_root_observation")
    return file.has("id", "trace_id", "start_time", "type") and sum(file.has(name) for name in known) >= 2


def _is_scores(file: SourceFile) -> bool:
    about = file.has("trace_id") or file.has("traceId") or file.has("session_id") or file.has("sessionId")
    return file.has("id", "timestamp", "name", "value") and (file.has("data_type") or file.has("dataType")) and about


def extract(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, configuration: Configuration
) -> Iterable[Extraction]:
    """The calls among the observations (table `calls`), or the scores with a number (table `scores`)."""
    if _is_scores(file) and not _is_observations(file):
        file, rows = kept_fields(connection, file, _SCORE_PATHS)
        own = f"SELECT count(*) FROM ({rows})"
        table, query = "scores", _scores(rows)
    else:
        file, rows = kept_fields(connection, file, {name: f"/{name}" for name in _COLUMNS})
        own = f"SELECT count(*) FROM ({rows}) WHERE context_only IS DISTINCT FROM 'true'"
        table, query = "calls", canonical_calls(_evidence(_calls_only(rows)), configuration, _NAMES)
    counted = connection.execute(own).fetchone()
    yield Extraction(
        KIND,
        table,
        KIND,
        file.name,
        file.checksum,
        query,
        rejects=file.rejects,
        rows_read=(counted[0] if counted else 0) + len(file.rejects),
    )


def _calls_only(rows: str) -> str:
    """Observations that are calls of their own, with `milliseconds_per_latency`, the file's unit of its latency columns."""
    call_types = ", ".join(sql_text(name) for name in CALL_TYPES)
    usage = f"TRY_CAST({as_object('usage_details')} AS MAP(VARCHAR, VARCHAR))"
    totals = ", ".join(f"TRY_CAST({usage}[{sql_text(key)}] AS DOUBLE)" for key in USAGE_KEYS["total"])
    summed = f"list_sum(list_transform(map_values({usage}), lambda v: TRY_CAST(v AS DOUBLE)))"
    seconds = f"(epoch_us({timestamp('end_time')}) - epoch_us({timestamp('start_time')})) / 1000000.0"
    return f"""
        WITH observations AS (
            SELECT *, id AS node_id, trace_id AS node_trace, parent_observation_id AS node_parent
                 , upper("type") IN ({call_types}) AS is_call_type
                 , nullif(coalesce({totals}, {summed}, 0), 0) AS weight_tokens
                 , nullif(TRY_CAST(total_cost AS DOUBLE), 0) AS weight_cost
            FROM ({rows})
        ), unit AS (
            -- durations below 20 ms say little: Langfuse rounds
            SELECT CASE WHEN median(TRY_CAST(latency AS DOUBLE) / duration) > 30 THEN 1 ELSE 1000 END AS milliseconds_per_latency
            FROM (SELECT latency, {seconds} AS duration FROM observations) WHERE duration > 0.02
        )
        SELECT *, (SELECT milliseconds_per_latency FROM unit) AS milliseconds_per_latency
        FROM ({calls_of_their_own("SELECT * FROM observations")})
        WHERE context_only IS DISTINCT FROM 'true'"""


def _evidence(rows: str) -> str:
    metadata = pick(_METADATA, "own_metadata", f"SELECT *, {as_object('metadata')} AS own_metadata FROM ({rows})")
    objects = f"""
        SELECT *, {as_object("requester")} AS requester_object, {as_object("usage_written")} AS usage_object
             , {as_object("usage_details")} AS usage_map, {as_object("model_parameters")} AS parameters, {as_object("input")} AS input_object
        FROM ({metadata})"""
    gateway_paths = {path: path for paths in LITELLM_USAGE_PATHS.values() for path in paths} | {
        "usage_tier": "/service_tier"
    }
    flat_keys = [key for keys in USAGE_KEYS.values() for key in keys]
    picked = pick(gateway_paths, "usage_object", objects)
    picked = pick({f"flat_{key}": f"/{key}" for key in flat_keys}, "usage_map", picked)
    picked = pick(_REQUESTER, "requester_object", pick(_PARAMETERS, "parameters", picked))
    picked = pick({"input_messages": "/messages"}, "input_object", picked)

    def others(start: str) -> str:
        known = ", ".join(sql_text(key) for key in flat_keys)
        entries = "map_entries(TRY_CAST(usage_map AS MAP(VARCHAR, VARCHAR)))"
        kept = f"list_filter({entries}, lambda e: starts_with(e.key, {sql_text(start)}) AND e.key NOT IN ({known}))"
        return f"CAST(list_sum(list_transform({kept}, lambda e: TRY_CAST(e.value AS DECIMAL(20, 4)))) AS VARCHAR)"

    whole = 'coalesce("/prompt_tokens", "/input_tokens", "/total_tokens") IS NOT NULL'
    counts = []
    for name in COUNTS:
        written = [quote_identifier(path) for path in LITELLM_USAGE_PATHS.get(name, ())]
        flat = [quote_identifier(f"flat_{key}") for key in USAGE_KEYS.get(name, ())]
        if name.startswith("other_"):
            flat = [others(name.removeprefix("other_"))]
        counts.append(
            f"CASE WHEN {whole} THEN coalesce(NULL, {', '.join(written) or 'NULL'})"
            f" ELSE coalesce(NULL, {', '.join(flat)}) END AS usage_{name}_text"
        )
    # keys as providers spell them mean what providers mean by them
    inclusive = f'{whole} OR flat_prompt_tokens IS NOT NULL OR "flat_promptTokens" IS NOT NULL'
    failed = "upper(level) = 'ERROR'"
    tiers = "lower(coalesce(tier_told, usage_tier, parameter_tier))"
    cost_map = f"TRY_CAST({as_object('cost_details')} AS MAP(VARCHAR, VARCHAR))"
    given = f"coalesce({cost_map}['total'], total_cost)"
    return f"""
        SELECT _row, id AS observation_id, trace_name
             , CASE WHEN id IS NOT NULL THEN coalesce({scalar("response_id")}, {scalar("call_id_of_gateway")}, id) END AS call_key
             , coalesce({scalar("call_id_of_gateway")}, id) AS attempt_key
             , start_time AS started_text, {timestamp("start_time")} AS started, {timestamp("end_time")} AS ended
             , {timestamp("completion_start_time")} AS first_token
             , milliseconds_per_latency * TRY_CAST(latency AS DOUBLE) AS latency_given_ms
             , milliseconds_per_latency * TRY_CAST(time_to_first_token AS DOUBLE) AS first_token_given_ms
             , lower(coalesce({scalar("provider_told")}, {scalar("provider_of_chain")})) AS provider, provided_model_name AS model_raw
             -- gateways log embeddings as generations
             , CASE WHEN upper("type") = 'EMBEDDING' OR contains(lower(provided_model_name), 'embed') THEN 'embeddings'
                    WHEN upper("type") = 'GENERATION' THEN 'chat' ELSE lower("type") END AS operation
             , CASE WHEN {tiers} IN ('batch', 'priority', 'flex') THEN {tiers} END AS processing
             , CASE WHEN {failed} THEN 'failure' ELSE 'success' END AS status
             , {", ".join(counts)}, {inclusive} AS usage_inclusive
             -- no cost details: nobody priced the call, and the total is 0 all the same; a failure is believed only where the gateway says 0
             , CASE WHEN {failed} AND weight_tokens IS NULL THEN {scalar("gateway_cost")}
                    WHEN coalesce(cardinality({cost_map}), 0) > 0 OR TRY_CAST(total_cost AS DOUBLE) <> 0 THEN {given} END AS cost_text
             , {truth(scalar("hit"))} AS cache_hit
             , user_id, session_id, trace_id, prompt_name, prompt_version, coalesce(input_messages, input) AS messages
             , coalesce(parameter_max_tokens, parameter_max_completion_tokens, parameter_max_output_tokens) AS max_tokens_text
             , {scalar("finish_told")} AS finish_reason, {truth("parameter_stream")} AS is_stream
             , {as_object("coalesce(marked, nested_marked)")} AS marked_metadata, own_metadata, own_metadata AS own_labels
             , {as_object("nested_traced")} AS trace_metadata, requester_object AS requester_metadata
             , coalesce(TRY_CAST({as_object("tags")} AS VARCHAR[]), TRY_CAST({as_object(_DOUBLE_QUOTED)} AS VARCHAR[])) AS tags
             , coalesce({scalar("project_alias")}, {scalar("project_id_of_key")}) AS native_project
             , coalesce({scalar("team_alias")}, {scalar("team_id")}) AS native_team
             , nullif(environment, 'default') AS native_env
        FROM ({picked})"""


def _scores(rows: str) -> str:
    """Scores with a number; a text score says nothing that is counted."""
    amount = f"""CASE WHEN upper(kind) = 'BOOLEAN' AND {truth("coalesce(value, words)")} IS NOT NULL
                      THEN CAST({truth("coalesce(value, words)")} AS INTEGER)::{CALL_MONEY} ELSE TRY_CAST(value AS {CALL_MONEY}) END"""
    return f"""
        SELECT _row
             , CASE WHEN id IS NULL THEN 'id' WHEN scored_at IS NULL THEN 'timestamp' WHEN name IS NULL THEN 'name'
                    WHEN amount IS NULL THEN 'value' WHEN subject IS NULL THEN 'trace_id' END AS _column
             , CASE WHEN id IS NULL THEN 'the id is missing: without it the score cannot be counted once'
                    WHEN scored_at IS NULL THEN 'the time is missing or no time'
                    WHEN name IS NULL THEN 'the name of the score is missing'
                    WHEN amount IS NULL THEN 'the value ' || left(coalesce(value, ''), 40) || ' is no number'
                    WHEN subject IS NULL THEN 'the score is about no trace, observation or session' END AS _reason
             , {sql_text(KIND)} AS source, id AS score_id, trace_id, observation_id, session_id, name, amount AS value, scored_at AS timestamp
        FROM (
            SELECT *, {amount} AS amount, {timestamp('"timestamp"')} AS scored_at, coalesce(trace_id, observation_id, session_id) AS subject
            FROM (
                SELECT *, coalesce(trace_snake, trace_camel) AS trace_id, coalesce(observation_snake, observation_camel) AS observation_id
                     , coalesce(session_snake, session_camel) AS session_id, coalesce(type_snake, type_camel) AS kind
                     , coalesce(words_snake, words_camel) AS words
                FROM ({rows})
            )
            WHERE coalesce(upper(kind), 'NUMERIC') IN ('NUMERIC', 'BOOLEAN')
        )"""
