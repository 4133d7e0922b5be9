"""LiteLLM: StandardLoggingPayload files and rows of LiteLLM_SpendLogs.

Payloads (written by the `s3_v2`, `gcs` and `generic_api` loggers, or by a custom callback) are JSON: one object per file, lines, or
arrays. Spend logs are a CSV made with COPY, or JSON lines whose JSON columns are texts; both kinds of rows may stand in one file.
Only the needed paths are taken from a row, which is some 13 kB long, two thirds of it a copy of the model's price entry.

Token counts are inclusive: `prompt_tokens` holds cache reads and writes, `completion_tokens` reasoning. `cost_breakdown` is not read for costs: its
input side repeats the cache costs, and for a cache hit it still shows the full price (which is what the hit saved).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from connectors.dimensions import as_object
from connectors.extraction import Extraction
from connectors.files import quote_identifier, sql_text
from connectors.token_classes import COUNTS, LITELLM_USAGE_PATHS
from connectors.traced_calls import canonical_calls, timestamp, truth
from connectors.traced_fields import kept_fields, pick

if TYPE_CHECKING:
    import duckdb

    from connectors.files import SourceFile
    from warehouse.configuration import Configuration

KIND = "litellm"

EACH_ROW_ALONE = True
"""No row's meaning depends on another row: small files can be read together (`connectors.small_files`)."""

READS_UNCHECKED = True
"""Broken rows are found while the file is read (`connectors.files.glance`)."""

OPERATIONS: dict[str, str] = {
    "completion": "chat",
    "text_completion": "text_completion",
    "anthropic_messages": "chat",
    "responses": "chat",
    "generate_content": "generate_content",
    "generate_content_stream": "generate_content",
    "embedding": "embeddings",
    "rerank": "rerank",
    "image_generation": "image_generation",
    "image_edit": "image_generation",
    "image_variation": "image_generation",
    "video_generation": "video_generation",
    "create_video": "video_generation",
    "speech": "text_to_speech",
    "transcription": "transcription",
    "moderation": "moderation",
}
"""LiteLLM's `call_type`, without the leading "a" of its asynchronous twin, as gen_ai.operation.name. Others pass through."""

SERVICE_TIERS: dict[str, str] = {
    "default": "standard", "standard": "standard", "on_demand": "standard",
    "priority": "priority", "flex": "flex", "batch": "batch",
}  # fmt: skip
"""Service tiers as providers answer them; "auto" says nothing."""

FINGERPRINTS = "percall_fingerprints"
"""Key under which live sources put the fingerprints of the messages that they took away."""

_COLUMNS = (
    "request_id", "id", "litellm_call_id", "call_type", "status", "custom_llm_provider", "model", "model_group", "startTime", "endTime",
    "completionStartTime", "response_time", "request_duration_ms", "prompt_tokens", "completion_tokens", "total_tokens", "spend",
    "response_cost", "saved_cache_cost", "cache_hit", "stream", "request_tags", "end_user", "session_id", "trace_id", "team_id",
    "metadata", "messages",
)  # fmt: skip

_PATHS: dict[str, str] = {name: f"/{name}" for name in _COLUMNS} | {
    "parameter_stream": "/model_parameters/stream",
    "parameter_max_tokens": "/model_parameters/max_tokens",
    "parameter_max_completion_tokens": "/model_parameters/max_completion_tokens",
    "parameter_max_output_tokens": "/model_parameters/max_output_tokens",
    "parameter_tier": "/model_parameters/service_tier",
    "response_tier": "/response/service_tier",
    "response_finish": "/response/choices/0/finish_reason",
    "response_stop": "/response/stop_reason",
    "breakdown_tier": "/cost_breakdown/service_tier",
    "input_hash_told": f"/{FINGERPRINTS}/input_hash",
    "prefix_blocks_told": f"/{FINGERPRINTS}/prefix_blocks",
}
"""What is read of a row: column name and JSON pointer."""

_METADATA: dict[str, str] = {
    "marked": "/spend_logs_metadata",
    "requester": "/requester_metadata",
    "traced": "/trace_metadata",
    "usage": "/usage_object",
    "usage_more": "/additional_usage_values",
    "team_alias": "/user_api_key_team_alias",
    "key_team_id": "/user_api_key_team_id",
    "project_alias": "/user_api_key_project_alias",
    "project_id": "/user_api_key_project_id",
    "managed_prompt": "/prompt_management_metadata/prompt_id",
    "managed_version": "/prompt_management_metadata/prompt_version",
    "full_price": "/cost_breakdown/total_cost",
}

_NAMES = {
    "call_key": "id/request_id",
    "started_text": "startTime",
    "cost_text": "response_cost/spend",
    "usage_input_text": "prompt_tokens",
    "usage_output_text": "completion_tokens",
    "usage_total_text": "total_tokens",
    **{f"usage_{name}_text": "usage_object" for name in COUNTS if name not in ("input", "output", "total")},
}


def detect(file: SourceFile) -> bool:
    """Whether the rows are StandardLoggingPayloads or spend log rows."""
    payload = file.has("id", "call_type", "startTime", "response_cost", "litellm_call_id")
    return payload or file.has("request_id", "call_type", "startTime", "spend")


def extract(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, configuration: Configuration
) -> Iterable[Extraction]:
    """The calls of the file, one per row."""
    file, rows = kept_fields(connection, file, _PATHS)
    query = canonical_calls(_evidence(rows), configuration, _NAMES)
    yield Extraction(KIND, "calls", KIND, file.name, file.checksum, query, rejects=file.rejects)


def _evidence(rows: str) -> str:
    metadata = pick(_METADATA, "own_metadata", f"SELECT *, {as_object('metadata')} AS own_metadata FROM ({rows})")
    objects = f"""
        SELECT *, {as_object("marked")} AS marked_metadata, {as_object("requester")} AS requester_object
             , {as_object("coalesce(usage, usage_more)")} AS usage_object
        FROM ({metadata})"""
    usage = {path: path for paths in LITELLM_USAGE_PATHS.values() for path in paths} | {"usage_tier": "/service_tier"}
    picked = pick(usage, "usage_object", objects)
    nested = {
        "nested_traced": "/trace_metadata",
        "nested_session": "/session_id",
        "nested_marked": "/spend_logs_metadata",
    }
    source = pick(nested, "requester_object", picked)
    own = {"input": "prompt_tokens", "output": "completion_tokens", "total": "total_tokens"}
    counts = []
    for name in COUNTS:
        places = [own[name]] if name in own else []
        places += [quote_identifier(path) for path in LITELLM_USAGE_PATHS.get(name, ())]
        counts.append(
            f"coalesce({', '.join(places)}) AS usage_{name}_text"
            if len(places) > 1
            else f"{(places or ['NULL'])[0]} AS usage_{name}_text"
        )
    call_type = "lower(call_type)"
    twin = " ".join(
        f"WHEN {call_type} IN ({sql_text(name)}, {sql_text('a' + name)}) THEN {sql_text(to)}"
        for name, to in OPERATIONS.items()
    )
    tiers = " ".join(f"WHEN {sql_text(name)} THEN {sql_text(to)}" for name, to in SERVICE_TIERS.items())
    tier = ", ".join(
        f"CASE lower({name}) {tiers} END"
        for name in ("response_tier", "usage_tier", "breakdown_tier", "parameter_tier")
    )
    ended, first = timestamp('"endTime"'), timestamp('"completionStartTime"')
    streamed = truth("coalesce(stream, parameter_stream)")
    return f"""
        SELECT _row
             , coalesce(request_id, id) AS call_key, litellm_call_id AS attempt_key
             , "startTime" AS started_text, {timestamp('"startTime"')} AS started, {ended} AS ended
             , CASE WHEN coalesce({streamed}, true) THEN {first} END AS first_token
             , coalesce(TRY_CAST(request_duration_ms AS DOUBLE), 1000 * TRY_CAST(response_time AS DOUBLE)) AS latency_given_ms
             , lower(custom_llm_provider) AS provider, coalesce(model, model_group) AS model_raw
             , CASE {twin} ELSE {call_type} END AS operation
             , CASE WHEN contains({call_type}, 'batch') THEN 'batch' ELSE coalesce({tier}) END AS processing
             , CASE WHEN lower(status) LIKE 'fail%' THEN 'failure' ELSE 'success' END AS status
             , {", ".join(counts)}, true AS usage_inclusive
             , coalesce(spend, response_cost) AS cost_text
             , coalesce(CASE WHEN TRY_CAST(saved_cache_cost AS DOUBLE) > 0 THEN saved_cache_cost END, full_price) AS saved_text
             , coalesce({truth("cache_hit")}, false) AS cache_hit
             , end_user AS user_id, coalesce(session_id, nested_session, trace_id) AS session_id, coalesce(trace_id, session_id) AS trace_id
             , managed_prompt AS prompt_name, managed_version AS prompt_version, messages
             , input_hash_told, TRY_CAST({as_object("prefix_blocks_told")} AS UBIGINT[]) AS prefix_blocks_told
             , coalesce(parameter_max_tokens, parameter_max_completion_tokens, parameter_max_output_tokens) AS max_tokens_text
             , coalesce(response_finish, response_stop) AS finish_reason, {streamed} AS is_stream
             , coalesce(marked_metadata, {as_object("nested_marked")}) AS marked_metadata, own_metadata
             , {as_object("coalesce(traced, nested_traced)")} AS trace_metadata, requester_object AS requester_metadata
             , TRY_CAST({as_object("request_tags")} AS VARCHAR[]) AS tags
             , coalesce(project_alias, project_id) AS native_project, coalesce(team_alias, key_team_id, team_id) AS native_team
        FROM ({source})"""
