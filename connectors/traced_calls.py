"""From what a trace or a spend log says about a call to the canonical row: the part that all sources of calls share.

A source first writes its rows as *evidence*, a relation with the columns of `EVIDENCE`; what it does not know it leaves out.
`canonical_calls` adds token classes, dimensions, labels, fingerprints, costs and the reasons for rejection.

Costs. A gateway cache hit costs 0, whatever else is written beside it. A cost of 0 for a model call that used tokens, or whose usage is
not told, is a price that the source did not know: NULL, to be priced from the book. A failure that used no tokens and for which 0 was
reported costs 0.

A first token at the very end of a call is what gateways write for calls that were not streamed: no time to the first token.

Ids. The provider's request id is the call's, so that the same call seen in two logs counts once. A cache hit repeats the id of the call that filled
the cache, and a failed attempt has only the id that its retries share: both get an ending of their own, made of what every log of
that call knows (the gateway's call id; the start in milliseconds).
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors import token_classes
from connectors.dimensions import Labels, Resolver
from connectors.files import sql_text
from connectors.prompt_fingerprints import block_hashes, input_hash, normalised_text, prefix_blocks
from warehouse.configuration import Configuration
from warehouse.schema import CALL_MONEY, DIMENSIONS, TOKEN_CLASSES

EVIDENCE: dict[str, str] = {
    "_row": "BIGINT",
    "call_key": "VARCHAR",
    "attempt_key": "VARCHAR",
    "started_text": "VARCHAR",
    "started": "TIMESTAMP",
    "ended": "TIMESTAMP",
    "first_token": "TIMESTAMP",
    "latency_given_ms": "DOUBLE",
    "first_token_given_ms": "DOUBLE",
    "provider": "VARCHAR",
    "model_raw": "VARCHAR",
    "operation": "VARCHAR",
    "processing": "VARCHAR",
    "status": "VARCHAR",
    **{f"usage_{name}_text": "VARCHAR" for name in token_classes.COUNTS},
    "usage_inclusive": "BOOLEAN",
    "cost_text": "VARCHAR",
    "saved_text": "VARCHAR",
    "cache_hit": "BOOLEAN",
    "user_id": "VARCHAR",
    "session_id": "VARCHAR",
    "trace_id": "VARCHAR",
    "prompt_name": "VARCHAR",
    "prompt_version": "VARCHAR",
    "messages": "VARCHAR",
    "input_hash_told": "VARCHAR",
    "prefix_blocks_told": "UBIGINT[]",
    "max_tokens_text": "VARCHAR",
    "finish_reason": "VARCHAR",
    "is_stream": "BOOLEAN",
    "marked_metadata": "JSON",
    "own_metadata": "JSON",
    "own_labels": "JSON",
    "trace_metadata": "JSON",
    "requester_metadata": "JSON",
    "tags": "VARCHAR[]",
    "native_project": "VARCHAR",
    "native_team": "VARCHAR",
    "native_env": "VARCHAR",
    "observation_id": "VARCHAR",
    "trace_name": "VARCHAR",
}
"""Columns of evidence and their types. `call_key` is the id before endings, `attempt_key` the gateway's own id of this attempt; `..._text`
are numbers as written, so that what is no number can be told; the four metadata objects and `tags` are the places in which
`connectors.dimensions` looks, in its order; `..._told` are the prompt's
fingerprints where its text was taken away; `own_labels` is the metadata where callers' labels lie in it, beside what the source writes."""

FIRST_DAY = "TIMESTAMP '2006-01-01'"
LAST_DAY = "CAST(current_date AS TIMESTAMP) + INTERVAL 10 YEAR"
"""Calls outside of these were written by a wrong clock or in a wrong unit."""

MOST_TOKENS = 1_000_000_000_000
"""A count above this is no count of one call."""

MODEL_OPERATIONS = (
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "rerank",
    "image_generation",
    "video_generation",
    "text_to_speech",
    "transcription",
)
"""Operations that a provider bills: a reported cost of 0 is then a price that was not known."""

OUTCOMES: dict[str, tuple[str, ...]] = {
    "converted": ("converted",),
    "revenue": ("revenue_usd", "revenue"),
    "revenue_currency": ("revenue_currency", "currency"),
    "processing": ("processing",),
    "user": ("user_id", "trace_user_id"),
    "session": ("session_id",),
    "prompt_name": ("prompt_name",),
    "prompt_version": ("prompt_version",),
}
"""What else is read from metadata and tags, beside the dimensions."""

_SYSTEM_KEYS = (
    "user_api_key*", "litellm*", "requester_*", "usage_object", "additional_usage_values", "spend_logs_metadata", "trace_metadata",
    "response_id", "cache_hit", "cache_key", "api_base", "applied_guardrails", "used_client_oauth_token", "generation_name",
    "tags", "trace_id", "hidden_params", "model_map_information", "cost_breakdown", "error_information", "status", "attributes*",
    "resourceAttributes*", "scope*", "model_group", "deployment", "model_info", "caching_groups", "previous_models", "endpoint",
    "original_model_group", "batch_models", "mcp_*", "vector_store*", "cold_storage*", "guardrail_information", "max_retries", "attempted_*",
)  # fmt: skip
"""Keys that gateways and tracers write for themselves: no labels."""


def timestamp(text: str) -> str:
    """SQL: UTC TIMESTAMP from text: seconds since 1970 (with a fraction), or a date and time; without an offset it is UTC. NULL: neither."""
    seconds = f"TRY_CAST({text} AS DECIMAL(20, 6))"
    zoned = rf"regexp_matches({text}, ':\d\d(\.\d+)?\s*(Z|UTC|[+-]\d\d(:?\d\d)?)$')"
    return (
        f"CASE WHEN abs({seconds}) < 100000000000 THEN make_timestamp(CAST(round({seconds} * 1000000) AS BIGINT)) "
        f"WHEN {zoned} THEN make_timestamp(epoch_us(TRY_CAST({text} AS TIMESTAMPTZ))) "
        f"ELSE TRY_CAST({text} AS TIMESTAMP) END"
    )


def truth(text: str) -> str:
    """SQL: BOOLEAN from text; NULL for anything that is neither."""
    return f"CASE WHEN lower({text}) IN ('true', '1', '1.0', 'yes') THEN true WHEN lower({text}) IN ('false', '0', '0.0', 'no') THEN false END"


def _resolver(configuration: Configuration) -> Resolver:
    wanted = {name: configuration.tag_keys.get(name, ()) for name in DIMENSIONS} | OUTCOMES
    return Resolver(
        wanted,
        objects=("marked_metadata", "own_metadata", "trace_metadata", "requester_metadata"),
        tags="tags",
        native={"project": ("native_project",), "team": ("native_team",), "env": ("native_env",)},
    )


def _labels(configuration: Configuration) -> Labels:
    known = {key for name in DIMENSIONS for key in configuration.tag_keys.get(name, ())}
    known |= {key for keys in OUTCOMES.values() for key in keys} | set(_SYSTEM_KEYS)
    return Labels(
        objects=("marked_metadata", "trace_metadata", "requester_metadata", "own_labels"),
        tags="tags",
        known_keys=sorted(known),
        more={
            "observation_id": "observation_id",
            # scores speak of the tracing tool's trace, which a gateway's own log of the same call does not know
            "observation_trace_id": "CASE WHEN observation_id IS NOT NULL THEN trace_id END",
            "trace_name": "trace_name",
        },
    )


def _reason(names: Mapping[str, str]) -> str:
    """SQL: STRUCT(at, why) of the first thing that makes the row unusable, NULL for a good row."""

    def name(column: str) -> str:
        return sql_text(names.get(column, column))

    def fault(condition: str, column: str, why: str) -> str:
        return f"WHEN {condition} THEN {{'at': {name(column)}, 'why': {why}}}"

    tests = [
        fault("call_key IS NULL", "call_key", "'the id is missing: without it the call cannot be counted once'"),
        fault("started_text IS NULL", "started_text", "'the start time is missing'"),
        fault("started IS NULL", "started_text", "'the start time ' || left(started_text, 40) || ' is no time'"),
        fault(
            f"started NOT BETWEEN {FIRST_DAY} AND {LAST_DAY}",
            "started_text",
            "'the start time ' || left(started_text, 40) || ' is ' || strftime(started, '%Y-%m-%d')"
            " || ', out of 2006 to ten years from now: check the clock or the unit'",
        ),
    ]
    for count in token_classes.COUNTS:
        column = f"usage_{count}_text"
        tests.append(
            fault(
                f"{column} IS NOT NULL AND usage_{count}_given IS NULL",
                column,
                f"'the token count ' || left({column}, 40) || ' is not a whole number between 0 and {MOST_TOKENS:,}'",
            )
        )
    tests.append(
        fault(
            "cost_text IS NOT NULL AND (cost_given IS NULL OR cost_given < 0)",
            "cost_text",
            "'the cost ' || left(cost_text, 40) || ' is no amount in USD of at least 0'",
        )
    )
    return f"CASE {' '.join(tests)} END"


def canonical_calls(relation: str, configuration: Configuration, names: Mapping[str, str]) -> str:
    """The query of an `Extraction` of calls (columns of `warehouse.schema.CALLS`, without what the loader adds).

    `relation` is a query with any of the columns of `EVIDENCE`, `names` says what the file calls them, for messages about rejected rows.
    """
    resolver, labels = _resolver(configuration), _labels(configuration)
    counts = token_classes.COUNTS
    absent = f"SELECT {', '.join(f'NULL::{kind} AS {column}' for column, kind in EVIDENCE.items())} WHERE false"
    evidence = f"SELECT * FROM ({absent}) UNION ALL BY NAME ({relation})"
    numbers = ", ".join(
        f"CASE WHEN TRY_CAST(usage_{name}_text AS DECIMAL(20, 4)) BETWEEN 0 AND {MOST_TOKENS}"
        f" AND TRY_CAST(usage_{name}_text AS DECIMAL(20, 4)) % 1 = 0"
        f" THEN TRY_CAST(TRY_CAST(usage_{name}_text AS DECIMAL(20, 4)) AS BIGINT) END AS usage_{name}_given"
        for name in counts
    )
    # a call that reports 0 tokens in all reports no usage
    no_usage = (
        "coalesce(nullif(usage_total_given, 0), coalesce(usage_input_given, 0) + coalesce(usage_output_given, 0)"
        + "".join(f" + coalesce(usage_{name}_given, 0)" for name in counts if name not in ("input", "output", "total"))
    )
    read = f"""
        SELECT *, {numbers}
             , TRY_CAST(cost_text AS {CALL_MONEY}) AS cost_given, TRY_CAST(saved_text AS {CALL_MONEY}) AS saved_given
             , {normalised_text("messages")} AS prompt_text, {", ".join(resolver.lookups())}, {labels.entries()}
        FROM ({evidence})"""
    used = f"""
        SELECT *, {", ".join(f"CASE WHEN {no_usage}) > 0 THEN usage_{name}_given END AS usage_{name}" for name in counts)}
             , {labels.keys()}, {block_hashes("prompt_text")} AS prompt_blocks, {_reason(names)} AS fault
        FROM ({read})"""
    unknown_zero = (
        f"cost_given = 0 AND NOT coalesce(cache_hit, false) AND CASE WHEN status = 'failure' THEN coalesce(usage_tokens, 0) > 0"
        f" ELSE coalesce(usage_tokens, 0) > 0 OR operation IN ({', '.join(sql_text(name) for name in MODEL_OPERATIONS)}) END"
    )
    start_ms = "CAST((epoch_us(started) + 500) // 1000 AS VARCHAR)"
    dimensions = ", ".join(f"{resolver.value(name)} AS {name}" for name in DIMENSIONS)
    outcomes = ", ".join(f"{resolver.value(name)} AS found_{name}" for name in OUTCOMES)
    found = f"""
        SELECT *, {dimensions}, {outcomes}, coalesce({unknown_zero}, false) AS unknown_zero
        FROM ({token_classes.normalised(used)})"""
    foreign = "coalesce(upper(found_revenue_currency), 'USD') <> 'USD' AND found_revenue IS NOT NULL"
    return f"""
    SELECT _row, fault.at AS _column, fault.why AS _reason
         , CASE WHEN status = 'failure' THEN call_key || '_failed_' || {start_ms}
                WHEN cache_hit THEN regexp_replace(call_key, '_cache_hit[0-9.]*$', '') || '_cache_hit_' || coalesce(attempt_key, {start_ms})
                ELSE call_key END AS call_id
         , started AS started_at
         , coalesce(CASE WHEN ended >= started THEN (epoch_us(ended) - epoch_us(started)) / 1000.0 END, latency_given_ms) AS latency_ms
         , coalesce(CASE WHEN first_token >= started AND first_token IS DISTINCT FROM ended
                         THEN (epoch_us(first_token) - epoch_us(started)) / 1000.0 END, first_token_given_ms)
           AS time_to_first_token_ms
         , {", ".join(DIMENSIONS)}, {labels.value()} AS labels
         , coalesce(user_id, found_user) AS user_id, coalesce(session_id, found_session) AS session_id, trace_id
         , provider, model_raw, operation
         , CASE WHEN lower(found_processing) IN ('batch', 'priority', 'flex') THEN lower(found_processing) ELSE coalesce(processing, 'standard') END
           AS processing
         , status, {", ".join(TOKEN_CLASSES)}
         , CASE WHEN cache_hit THEN 0 WHEN unknown_zero THEN NULL ELSE cost_given END AS reported_cost
         , coalesce(prompt_name, found_prompt_name) AS prompt_name, coalesce(prompt_version, found_prompt_version) AS prompt_version
         , coalesce({prefix_blocks("prompt_blocks")}, prefix_blocks_told) AS prefix_blocks
         , coalesce({input_hash("prompt_text")}, input_hash_told) AS input_hash
         , TRY_CAST(max_tokens_text AS BIGINT) AS max_tokens, finish_reason, is_stream, cache_hit
         , CASE WHEN cache_hit THEN saved_given END AS saved_cost
         , {truth("found_converted")} AS converted
         , CASE WHEN NOT ({foreign}) THEN TRY_CAST(found_revenue AS {CALL_MONEY}) END AS revenue
         , list_filter([CASE WHEN token_total_differs THEN 'token_total' END, CASE WHEN unknown_zero THEN 'zero_cost' END
                      , CASE WHEN ended < started THEN 'times_reversed' END, CASE WHEN {foreign} THEN 'revenue_currency' END],
                       lambda flag: flag IS NOT NULL) AS flags
    FROM ({found})"""
