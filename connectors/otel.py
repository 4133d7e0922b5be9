"""OpenTelemetry: OTLP traces as JSON or binary protobuf, as the Collector's file exporter and HTTP exporters write them (one export request per
object).

The weakest source: the conventions for model calls are in development, have no cost, and libraries extend them in their own ways. Read are
the GenAI conventions (old and new names), OpenInference (`llm.*`) and what LiteLLM's and Langfuse's exporters add: a cost, metadata,
tags. A span is a call when it names a model operation or carries tokens; spans around calls and raw child spans are none
(`connectors.nested_calls`). `gen_ai.usage.input_tokens` includes cached tokens.

Attributes of the span come before those of its resource. Prefixes of metadata (`metadata.`, `langfuse.trace.metadata.`,
`langfuse.observation.metadata.`) are taken off for dimensions and labels.

Requests with `percallContextOnly` (written by `connectors.live.otlp_spool`) hold spans of earlier files, which are no calls of this one: they only
show which others are wrappers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from connectors.dimensions import as_object, scalar
from connectors.extraction import Extraction
from connectors.files import checked, scan, sql_text
from connectors.litellm import OPERATIONS as GATEWAY_OPERATIONS
from connectors.litellm import SERVICE_TIERS
from connectors.nested_calls import calls_of_their_own
from connectors.row_table import json_stream, keep_at_once, keep_rows
from connectors.token_classes import COUNTS, LITELLM_USAGE_PATHS, USAGE_KEYS
from connectors.traced_calls import MODEL_OPERATIONS, canonical_calls, timestamp, truth
from connectors.traced_fields import pick

if TYPE_CHECKING:
    import duckdb

    from connectors.files import SourceFile
    from warehouse.configuration import Configuration

KIND = "otel"

READS_UNCHECKED = True
"""Broken rows are found while the file is read (`connectors.files.glance`)."""

FINGERPRINT_ATTRIBUTES = ("percall.input_hash", "percall.prefix_blocks")
"""Attributes in place of a prompt's text, where the receiver took it away."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "operation": ("gen_ai.operation.name", "llm.request.type"),
    "span_kind": ("openinference.span.kind", "langfuse.observation.type", "traceloop.span.kind"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "model": (
        "gen_ai.response.model",
        "gen_ai.request.model",
        "langfuse.observation.model.name",
        "llm.response.model",
        "llm.model_name",
        "embedding.model_name",
    ),
    "response_id": ("gen_ai.response.id", "llm.response.id", "langfuse.observation.metadata.response_id"),
    "gateway_id": ("litellm.call_id", "langfuse.observation.metadata.litellm_call_id"),
    "hit": ("langfuse.observation.metadata.cache_hit", "metadata.cache_hit", "gen_ai.response.cache_hit"),
    "input": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
    ),
    "output": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "total": ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens"),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "audio_input": ("llm.token_count.prompt_details.audio",),
    "audio_output": ("llm.token_count.completion_details.audio",),
    "usage_object": ("metadata.usage_object", "langfuse.observation.metadata.usage_object"),
    "usage_map": ("langfuse.observation.usage_details",),
    "cost": ("gen_ai.cost.total_cost", "llm.cost.total", "gen_ai.usage.cost"),
    "cost_map": ("langfuse.observation.cost_details",),
    "user": ("user.id", "enduser.id", "langfuse.user.id", "llm.user"),
    "session": ("session.id", "gen_ai.conversation.id", "langfuse.session.id"),
    "prompt": ("gen_ai.prompt.name", "langfuse.observation.prompt.name"),
    "prompt_version": ("gen_ai.prompt.version", "langfuse.observation.prompt.version"),
    "messages": ("gen_ai.input.messages", "langfuse.observation.input", "gen_ai.prompt"),
    "parameters": ("langfuse.observation.model.parameters", "llm.invocation_parameters"),
    "max_tokens": ("gen_ai.request.max_tokens",),
    "finish": ("gen_ai.response.finish_reasons",),
    "stream": ("gen_ai.request.stream", "llm.is_streaming"),
    "first_chunk": ("gen_ai.response.time_to_first_chunk",),
    "first_token": ("langfuse.observation.completion_start_time",),
    "tier": (
        "gen_ai.openai.response.service_tier",
        "openai.response.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "level": ("langfuse.observation.level",),
    "marked": ("metadata.spend_logs_metadata", "langfuse.observation.metadata.spend_logs_metadata"),
    "requester": ("metadata.requester_metadata", "langfuse.observation.metadata.requester_metadata"),
    "all_metadata": ("metadata",),
    "traced": ("langfuse.trace.metadata",),
    "hidden": ("hidden_params",),
    "tags": ("langfuse.trace.tags", "tag.tags"),
    "team_alias": (
        "metadata.user_api_key_team_alias",
        "litellm.team_alias",
        "langfuse.observation.metadata.user_api_key_team_alias",
    ),
    "env": ("deployment.environment.name", "deployment.environment", "langfuse.environment"),
    "trace_name": ("langfuse.trace.name",),
    "input_hash_told": FINGERPRINT_ATTRIBUTES[:1],
    "prefix_blocks_told": FINGERPRINT_ATTRIBUTES[1:],
}
"""What is read of a span, and under which attributes: the first that is there counts."""

_VALUE = dict.fromkeys(("stringValue", "intValue", "boolValue"), "VARCHAR") | {
    "doubleValue": "JSON",
    "arrayValue": "JSON",
}
_ATTRIBUTES = [{"key": "VARCHAR", "value": _VALUE}]
_SPAN = {
    **dict.fromkeys(("spanId", "traceId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano"), "VARCHAR"),
    "status": {"code": "VARCHAR"},
    "attributes": _ATTRIBUTES,
}
_SHAPE = {"resource": {"attributes": _ATTRIBUTES}, "scopeSpans": [{"spans": [_SPAN]}]}
"""What is read of the spans of a resource, for `json_transform`: all of it by one look, where asking every attribute for every kind of value took
most of the time of reading a span."""

_NAMES = {
    "call_key": "gen_ai.response.id/spanId",
    "started_text": "startTimeUnixNano",
    "cost_text": "gen_ai.cost.total_cost",
} | {f"usage_{name}_text": "gen_ai.usage" for name in COUNTS}

_OWN_PREFIX = r"^(langfuse\.(observation|trace)\.metadata|metadata)\."

_SYSTEM_ATTRIBUTES = (
    r"^(gen_ai|llm|langfuse|litellm|percall|openinference|traceloop|telemetry|http|url|server|net|host|process|os|k8s|error|exception"
    r"|input|output|user|session|enduser|deployment)[._]|^(hidden_params|model_id|service\.instance\.id)$"
)
"""Attributes that libraries write for themselves, unless they stand under one of the prefixes: no labels."""


def detect(file: SourceFile) -> bool:
    """Whether the objects are OTLP trace exports, or captured requests that hold one as their body."""
    if not file.is_json:
        return False
    body = file.head[0].get("body") if file.head else None
    return file.has("resourceSpans") or (isinstance(body, dict) and "resourceSpans" in body)


def extract(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, configuration: Configuration
) -> Iterable[Extraction]:
    """The model calls among the spans. `_row` is the export request that a span stands in."""
    file, requests = _requests(connection, file)
    spans = keep_rows(connection, _weighed(_spans(requests)))
    counted = connection.execute(f"SELECT count(*) FROM {spans} WHERE NOT context").fetchone()
    calls = keep_rows(connection, calls_of_their_own(f"SELECT * FROM {spans}"))
    query = canonical_calls(_evidence(calls), configuration, _NAMES)
    yield Extraction(
        KIND,
        "calls",
        KIND,
        file.name,
        file.checksum,
        query,
        rejects=file.rejects,
        rows_read=(counted[0] if counted else 0) + len(file.rejects),
    )


def _requests(connection: duckdb.DuckDBPyConnection, file: SourceFile) -> tuple[SourceFile, str]:
    """The file, looked through, and a relation of its export requests: `_row`, `context` (BOOLEAN) and `resource_spans` (JSON)."""
    names = ["resourceSpans", "body", "percallContextOnly"]
    stream = json_stream(file, names, names)
    if stream is not None:
        spans, body, told = (stream.columns[name] for name in names)
        rows = f"""
            SELECT coalesce({told} ->> '$', 'false') = 'true' AS context
                 , coalesce({spans}, {body} -> '/resourceSpans', []) AS resource_spans, _doubt
            FROM {stream.source}"""
        if table := keep_at_once(connection, file, rows):
            return file, f"SELECT rowid + 1 AS _row, context, resource_spans FROM {table}"
    file = checked(file)
    resources = "coalesce(json_extract(json, ['/resourceSpans', '/body/resourceSpans']), [])"
    return (
        file,
        f"""
        SELECT _row, coalesce(json ->> '/percallContextOnly', 'false') = 'true' AS context
             , coalesce({resources}[1], {resources}[2]) AS resource_spans
        FROM {scan(file)}""",
    )


def _spans(requests: str) -> str:
    """One row per span: `_row`, `context` (BOOLEAN), `span` and `resource` (a list of the resource's attributes), shaped like `_SHAPE`."""
    return f"""
        SELECT _row, context, shaped.resource.attributes AS resource
             , unnest(flatten(list_transform(shaped.scopeSpans, lambda s: s.spans))) AS span
        FROM (
            SELECT _row, context, unnest(json_transform(resource_spans, {sql_text(json.dumps([_SHAPE]))})) AS shaped
            FROM ({requests})
        )"""


def _attribute_text(value: str) -> str:
    """SQL: an OTLP value, shaped like `_VALUE`, as text; a list of texts as a JSON list. Numbers may be texts."""
    # Numbers stay as they are written: as text they would be, too, but with another exponent.
    number = f"CASE WHEN {value}.doubleValue IS NOT NULL THEN {value}.doubleValue ->> '$' END"
    listed = f"json_extract_string({value}.arrayValue, '$.values[*].stringValue')"
    array = (
        f"CASE WHEN {value}.arrayValue IS NOT NULL AND len({listed}) > 0 THEN CAST(to_json({listed}) AS VARCHAR) END"
    )
    return f"coalesce({value}.stringValue, {value}.intValue, {number}, {value}.boolValue, {array})"


def _weighed(spans: str) -> str:
    """Spans with their attributes by meaning (`a_<name>`), and what `nested_calls` asks for."""
    entries = "list_concat(coalesce(span.attributes, []), coalesce(resource, []))"
    names = ", ".join(
        "nullif(coalesce(NULL, "
        + ", ".join(f"_values[list_position(_keys, {sql_text(key)})]" for key in keys)
        + f"), '') AS a_{name}"
        for name, keys in ATTRIBUTES.items()
    )
    own_key = f"regexp_replace(k, {sql_text(_OWN_PREFIX)}, '')"
    usage = f"TRY_CAST({as_object('a_usage_map')} AS MAP(VARCHAR, VARCHAR))"
    gateway = " ".join(
        f"WHEN lower(a_operation) IN ({sql_text(name)}, {sql_text('a' + name)}) THEN {sql_text(to)}"
        for name, to in GATEWAY_OPERATIONS.items()
    )
    kinds = "CASE upper(a_span_kind) WHEN 'LLM' THEN 'chat' WHEN 'GENERATION' THEN 'chat' WHEN 'EMBEDDING' THEN 'embeddings' END"
    known = ", ".join(sql_text(name) for name in MODEL_OPERATIONS)
    return f"""
        SELECT * EXCLUDE (_keys, _values)
             , span_id AS node_id, span_trace AS node_trace, span_parent AS node_parent
             , operation IN ({known}) AS is_call_type
             , nullif(TRY_CAST(coalesce(a_total, {usage}['total'], CAST(coalesce(TRY_CAST(a_input AS DOUBLE), 0)
                      + coalesce(TRY_CAST(a_output AS DOUBLE), 0) AS VARCHAR)) AS DOUBLE), 0) AS weight_tokens
             , nullif(TRY_CAST(a_cost AS DOUBLE), 0) AS weight_cost
        FROM (
            SELECT *, coalesce(CASE {gateway} ELSE lower(a_operation) END, {kinds}) AS operation
            FROM (
                SELECT *, {names}
                     , CAST(to_json(map_from_entries(list_filter(
                           list_transform(_own_keys, lambda k, i: {{'key': k, 'value': _values[i]}}),
                           lambda e, i: e.value IS NOT NULL AND list_position(_own_keys, e.key) = i
                                        AND (_own_keys[i] <> _keys[i] OR NOT regexp_matches(_keys[i], {sql_text(_SYSTEM_ATTRIBUTES)})))))
                       AS JSON) AS own_attributes
                FROM (
                    SELECT *, list_transform(_keys, lambda k: {own_key}) AS _own_keys
                    FROM (
                        SELECT _row, context, span.spanId AS span_id, span.traceId AS span_trace
                             , nullif(span.parentSpanId, '') AS span_parent
                             , span.startTimeUnixNano AS start_text, span.endTimeUnixNano AS end_text
                             , span.status.code AS status_code
                             , list_transform(attributes, lambda a: coalesce(a.key, '')) AS _keys
                             , list_transform(attributes, lambda a: {_attribute_text("a.value")}) AS _values
                        FROM (SELECT _row, context, span, {entries} AS attributes FROM ({spans}))
                    )
                )
            )
        )"""


def _python_object(text: str) -> str:
    """SQL: JSON of an object that LiteLLM wrote as Python does ({'a': None}); NULL where quotes inside of texts forbid it."""
    swapped = f"replace({text}, chr(39), chr(34))"
    for word, meaning in (("None", "null"), ("True", "true"), ("False", "false")):
        swapped = f"regexp_replace({swapped}, ': {word}([,}}\\]])', ': {meaning}\\1', 'g')"
    return f"coalesce({as_object(text)}, {as_object(swapped)})"


def _nanoseconds(text: str) -> str:
    """SQL: UTC TIMESTAMP of a Unix time in nanoseconds, rounded to microseconds."""
    number = f"TRY_CAST({text} AS HUGEINT)"
    return f"CASE WHEN abs({number}) < 100000000000000000000 THEN make_timestamp(CAST(({number} + 500) // 1000 AS BIGINT)) END"


def _evidence(calls: str) -> str:
    """Evidence of the calls in a table."""
    objects = f"""
        SELECT *, {_python_object("a_usage_object")} AS usage_object, {as_object("a_usage_map")} AS usage_map
             , {as_object("a_all_metadata")} AS metadata_object, {as_object("a_parameters")} AS parameters, {as_object("a_messages")} AS input_object
        FROM {calls}"""
    paths = {path: path for paths in LITELLM_USAGE_PATHS.values() for path in paths}
    picked = pick(paths, "usage_object", objects)
    picked = pick({f"flat_{key}": f"/{key}" for keys in USAGE_KEYS.values() for key in keys}, "usage_map", picked)
    picked = pick(
        {"p_max_tokens": "/max_tokens", "p_stream": "/stream", "p_tier": "/service_tier"}, "parameters", picked
    )
    nested = {
        "m_marked": "/spend_logs_metadata",
        "m_requester": "/requester_metadata",
        "m_team": "/user_api_key_team_alias",
    }
    # LiteLLM names the cache entry only in the spans of its hits, and shows there the price that the hit saved
    picked = pick({"cache_entry": "/cache_key"}, as_object("a_hidden"), picked)
    picked = pick(nested, "metadata_object", pick({"inner_messages": "/messages"}, "input_object", picked))
    picked = f"""
        SELECT *, coalesce({_python_object("a_requester")}, {as_object("m_requester")}) AS requester_object FROM ({picked})"""
    picked = pick(
        {"r_marked": "/spend_logs_metadata", "r_traced": "/trace_metadata", "r_tags": "/tags"},
        "requester_object",
        picked,
    )
    whole = 'coalesce("/prompt_tokens", "/input_tokens") IS NOT NULL'
    flat = "usage_map IS NOT NULL AND a_input IS NULL"
    counts = []
    for name in COUNTS:
        attribute = f"a_{name}" if name in ATTRIBUTES else "NULL"
        detail = ", ".join(f'"{path}"' for path in LITELLM_USAGE_PATHS.get(name, ())) or "NULL"
        spelled = ", ".join(f'"flat_{key}"' for key in USAGE_KEYS.get(name, ())) or "NULL"
        counts.append(
            f"CASE WHEN {whole} THEN coalesce(NULL, {detail}) WHEN {flat} THEN coalesce(NULL, {spelled}) ELSE {attribute} END"
            f" AS usage_{name}_text"
        )
    tiers = " ".join(f"WHEN {sql_text(name)} THEN {sql_text(to)}" for name, to in SERVICE_TIERS.items())
    return f"""
        SELECT _row, span_id AS observation_id, a_trace_name AS trace_name
             , coalesce({scalar("a_response_id")}, {scalar("a_gateway_id")}, span_id) AS call_key
             , coalesce({scalar("a_gateway_id")}, span_id) AS attempt_key
             , start_text AS started_text, {_nanoseconds("start_text")} AS started, {_nanoseconds("end_text")} AS ended
             , {timestamp(scalar("a_first_token"))} AS first_token, 1000 * TRY_CAST(a_first_chunk AS DOUBLE) AS first_token_given_ms
             , lower(a_provider) AS provider, a_model AS model_raw, operation
             , coalesce(CASE lower(coalesce(a_tier, p_tier)) {tiers} END, 'standard') AS processing
             , CASE WHEN status_code IN ('2', 'STATUS_CODE_ERROR') OR upper(a_level) = 'ERROR' THEN 'failure' ELSE 'success' END AS status
             , {", ".join(counts)}, {whole} OR NOT ({flat}) AS usage_inclusive
             , coalesce(a_cost, {as_object("a_cost_map")} ->> '/total') AS cost_text
             , coalesce({truth(scalar("a_hit"))}, cache_entry IS NOT NULL OR coalesce(contains(a_response_id, '_cache_hit'), false)
                        OR coalesce(TRY_CAST(a_cost AS DOUBLE) = 0 AND first_cost > 0, false)) AS cache_hit
             , CAST(first_cost AS VARCHAR) AS saved_text
             , {scalar("a_user")} AS user_id, {scalar("a_session")} AS session_id, span_trace AS trace_id
             , a_prompt AS prompt_name, a_prompt_version AS prompt_version, coalesce(inner_messages, a_messages) AS messages
             , a_input_hash_told AS input_hash_told, TRY_CAST({as_object("a_prefix_blocks_told")} AS UBIGINT[]) AS prefix_blocks_told
             , coalesce(a_max_tokens, p_max_tokens) AS max_tokens_text
             , coalesce({as_object("a_finish")} ->> '/0', a_finish) AS finish_reason, {truth("coalesce(a_stream, p_stream)")} AS is_stream
             , coalesce({_python_object("a_marked")}, {as_object("coalesce(m_marked, r_marked)")}) AS marked_metadata
             , own_attributes AS own_metadata, own_attributes AS own_labels
             , {as_object("coalesce(a_traced, r_traced)")} AS trace_metadata, requester_object AS requester_metadata
             , TRY_CAST({as_object("coalesce(a_tags, r_tags)")} AS VARCHAR[]) AS tags
             , {scalar("coalesce(a_team_alias, m_team)")} AS native_team, {scalar("a_env")} AS native_env
        -- a hit repeats the answer's id; where one of two spans with it cost something and the other 0, that one is the hit
        FROM ({picked}) AS p LEFT JOIN (
            SELECT coalesce(a_response_id, span_id) AS answer, max(TRY_CAST(a_cost AS DECIMAL(18, 10))) AS first_cost FROM {calls} GROUP BY 1
        ) AS f ON f.answer IS NOT DISTINCT FROM coalesce(p.a_response_id, p.span_id)
        WHERE NOT context"""
