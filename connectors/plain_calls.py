"""The plain table of calls: one row per model call, with disjoint token classes found from totals where the file gives totals."""

from __future__ import annotations

import duckdb

from connectors.columns import Columns, first_fault, normalised
from connectors.files import SourceFile, quote_identifier, sql_text
from connectors.plain_fields import (
    Fault,
    Field,
    field_faults,
    named_faults,
    parsed_fields,
    unread_values,
    unread_warning,
)
from connectors.row_table import keep_at_once, names_of, row_stream
from warehouse.configuration import Configuration
from warehouse.intake import RowWise
from warehouse.schema import TOKEN_CLASSES

TIME_NAMES = ("started_at", "timestamp", "start_time", "created_at", "time")
MODEL_NAMES = ("model", "model_raw", "model_name", "model_id")
COST_NAMES = ("reported_cost", "cost", "cost_usd", "total_cost", "spend")

_TOKENS = {
    "uncached_input_tokens": (),
    "_input": ("input_tokens", "prompt_tokens", "total_input_tokens"),
    "cache_read_tokens": ("cached_tokens", "cached_input_tokens", "cache_read_input_tokens"),
    "cache_write_5m_tokens": (),
    "cache_write_1h_tokens": (),
    "_writes": ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"),
    "output_tokens": (),
    "_completion": ("completion_tokens", "total_output_tokens"),
    "reasoning_tokens": ("thinking_tokens",),
    "audio_input_tokens": (),
    "audio_output_tokens": (),
    "_total": ("total_tokens",),
}
USAGE_NAMES = (
    "input_tokens",
    *(
        name
        for own, others in _TOKENS.items()
        for name in (own, *others)
        if not name.startswith("_") and name != "input_tokens"
    ),
    *COST_NAMES,
)

FIELDS = (
    Field("call_id", "text", ("id", "request_id", "response_id")),
    Field("started_at", "time", TIME_NAMES[1:], required=True),
    Field("latency_ms", "double", ("duration_ms",), lenient=True),
    Field("time_to_first_token_ms", "double", ("ttft_ms",), lenient=True),
    Field("project", "text"),
    Field("feature", "text"),
    Field("team", "text"),
    Field("env", "text", ("environment",)),
    Field("user_tier", "text", ("tier",)),
    Field("user_id", "text", ("user", "end_user")),
    Field("session_id", "text", ("session",)),
    Field("trace_id", "text"),
    Field("provider", "lower"),
    Field("billing_account_id", "text"),
    Field("model_raw", "text", ("model", "model_name", "model_id"), required=True),
    Field("operation", "lower"),
    Field("processing", "lower", ("service_tier",), default="'standard'"),
    Field("status", "lower"),
    *(Field(name, "integer", synonyms) for name, synonyms in _TOKENS.items()),
    Field("reported_cost", "call_money", COST_NAMES[1:]),
    Field("_currency", "currency", ("currency",)),
    Field("prompt_name", "text"),
    Field("prompt_version", "text"),
    Field("prefix_blocks", "list", lenient=True),
    Field("input_hash", "text"),
    Field("max_tokens", "integer", lenient=True),
    Field("finish_reason", "text"),
    Field("is_stream", "boolean", ("stream",), lenient=True),
    Field("cache_hit", "boolean", lenient=True),
    Field("saved_cost", "call_money"),
    Field("converted", "boolean", lenient=True),
    Field("revenue", "call_money"),
)
_COMPUTED_BY_LOADER = ("cost", "priced_cost", "cost_basis", "price_id", "load_id", "source", "flags", "labels", "model")
_TEXTS = (
    "prompt", "messages", "input", "output", "completion", "response", "request", "answer", "question", "text", "content",
    "system_prompt", "user_prompt",
)  # fmt: skip
_HASHED_TEXTS = ("messages", "prompt", "input")

_FAULTS = (
    *(Fault(f"{name} < 0", name, "{} tokens are negative; give 0 or more, or leave it empty") for name in _TOKENS),
    Fault("reported_cost < 0", "reported_cost", "the cost {} is negative; leave it empty where it is not known"),
    Fault("saved_cost < 0", "saved_cost", "the saved cost {} is negative"),
    Fault("_currency <> 'USD'", "_currency", "costs of calls are in USD, this row says {}; convert them first"),
)


def row_wise(columns: Columns, configuration: Configuration) -> RowWise | None:
    """The query that looks at one row at a time: only where every row has an id of its own."""
    if not columns.find("call_id", *FIELDS[0].synonyms):
        return None
    return columns.one_by_one(lambda rows: query(rows, configuration, has_ids=True), unless="call_id IS NULL")


def read_at_once(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, configuration: Configuration
) -> tuple[str, list[str]] | None:
    """Name of a temporary table of the calls of a text file, in its order (columns of the extraction query, without `_row`), and what the
    person who loads should know; None where one look at each row is not enough: a row has no id of its own, or the file is not in order or
    lacks a column.

    Half a million calls of 22 columns in JSON lines took 2.1 s of CPU in this way, 2.9 when their texts were kept first.
    """
    stream = row_stream(file, names_of(connection, file)) if file.format != "parquet" else None
    if stream is None:
        return None
    columns = Columns(connection, file, stream)
    needed = (("call_id", *FIELDS[0].synonyms), TIME_NAMES, MODEL_NAMES, USAGE_NAMES)
    if not all(columns.find(*names) for names in needed):
        return None
    doubt = "_doubt OR call_id IS NULL AS _doubt"
    calls = query(columns, configuration, has_ids=True)
    table = keep_at_once(connection, file, f"SELECT * EXCLUDE (_row) REPLACE ({doubt}) FROM ({calls})")
    if table is None:
        return None
    unread = connection.execute(f"SELECT _unread, count(*) FROM {table} WHERE _unread <> 0 GROUP BY 1").fetchall()
    counts = {
        name: sum(rows for bits, rows in unread if bits >> place & 1)
        for place, (name, _condition) in enumerate(unread_values(columns, FIELDS))
    }
    return table, [unread_warning(name, count) for name, count in counts.items() if count] + warnings(columns)


def query(columns: Columns, configuration: Configuration, *, has_ids: bool | None = None) -> str:
    """The extraction query.

    `input_tokens` is all input (cache reads and writes, audio included), `uncached_input_tokens` the rest alone; likewise
    `completion_tokens` is all output and `output_tokens` that without reasoning and audio; `cache_write_tokens` are all writes, those not
    among `cache_write_1h_tokens` living five minutes. Where two figures contradict each other, or `total_tokens` is not the sum, the
    disjoint classes are kept and the row is flagged `token_total`. Without a call_id, equal rows get equal ids in every load: a hash of the
    row, and a number from the second equal row on. `has_ids` says that every row is known to have one (None: look).

    From a stream it has two more columns: its `_doubt`, and `_unread`, in which a bit is set for each lenient field that cannot be read.
    """
    values = parsed_fields(columns, FIELDS, configuration)
    read = ", ".join(f"{value} AS {quote_identifier(name)}" for name, value in values.items())
    column, reason = first_fault(field_faults(columns, FIELDS) + named_faults(columns, FIELDS, _FAULTS))
    classes = ", ".join(TOKEN_CLASSES)
    kept = [
        field.name
        for field in FIELDS
        if not field.name.startswith("_")
        and field.name not in (*TOKEN_CLASSES, "call_id", "status", "reported_cost", "input_hash")
    ]
    known = columns.always("call_id", *FIELDS[0].synonyms) if has_ids is None else has_ids
    content, identity = ("NULL", "call_id") if known else _made_identity(columns)
    doubt = noted = ""
    if columns.is_stream:
        bits = [f"CASE WHEN {condition} THEN {1 << at} ELSE 0 END"
                for at, (_name, condition) in enumerate(unread_values(columns, FIELDS))]  # fmt: skip
        doubt, noted = ", _doubt", f", _doubt, {' + '.join(bits) or 0} AS _unread"
    return f"""
        WITH parsed AS (
            SELECT _row, {read}, {content} AS _content, {_text_hash(columns)} AS _text_hash,
            {_labels(columns)} AS labels{doubt}
            FROM {columns.source}
        ),
        writes AS (
            SELECT *,
                coalesce(cache_write_5m_tokens, {_rest("_writes", "coalesce(cache_write_1h_tokens, 0)")}) AS _five,
                coalesce(cache_read_tokens, 0) + coalesce(_five, 0) + coalesce(cache_write_1h_tokens, 0)
                    + coalesce(audio_input_tokens, 0) AS _other_input,
                coalesce(reasoning_tokens, 0) + coalesce(audio_output_tokens, 0) AS _other_output
            FROM parsed
        ),
        classes AS (
            SELECT * REPLACE (
                coalesce(uncached_input_tokens, {_rest("_input", "_other_input")}) AS uncached_input_tokens,
                _five AS cache_write_5m_tokens,
                coalesce(output_tokens, {_rest("_completion", "_other_output")}) AS output_tokens
            ) FROM writes
        ),
        checked AS (
            SELECT *, {_differs(columns)} AS _differs
            FROM classes
        )
        SELECT _row, {", ".join(kept)}, {classes}, labels,
            {identity} AS call_id,
            coalesce(input_hash, _text_hash) AS input_hash,
            {_status("status")} AS status,
            CASE WHEN cache_hit AND reported_cost IS NULL THEN 0 ELSE reported_cost END AS reported_cost,
            CASE WHEN _differs THEN ['token_total'] ELSE [] END AS flags,
            'calls' AS source, {column} AS _column, {reason} AS _reason{noted}
        FROM checked"""


def _differs(columns: Columns) -> str:
    """Condition: a total that the file gives is not the sum of its parts. A file without totals has nothing to compare."""
    total = " + ".join(f"coalesce({name}, 0)" for name in TOKEN_CLASSES)
    conditions = {
        "_input": "_input <> uncached_input_tokens + _other_input",
        "_completion": "_completion <> output_tokens + _other_output",
        "_writes": "_writes <> coalesce(_five, 0) + coalesce(cache_write_1h_tokens, 0)",
        "_total": f"_total <> {total} AND coalesce({', '.join(TOKEN_CLASSES)}) IS NOT NULL",
    }
    given = [f"coalesce({condition}, false)" for name, condition in conditions.items() if columns.find(*_TOKENS[name])]
    return " OR ".join(given) or "false"


def warnings(columns: Columns) -> list[str]:
    """What the person who loads should know about columns that are not stored."""
    texts = [name for name in columns.others([]) if normalised(name) in map(normalised, _TEXTS)]
    if not texts:
        return []
    return [f"Texts are not stored: {', '.join(texts)} only served to recognise equal inputs."]


def _rest(total: str, parts: str) -> str:
    """What is left of a total; NULL when it is not known (`greatest` alone would make that 0), never negative."""
    return f"CASE WHEN {total} IS NOT NULL THEN greatest({total} - ({parts}), 0) END"


def _others(columns: Columns) -> list[str]:
    known = [columns.find(name) for field in FIELDS for name in field.names]
    return columns.others([*known, *(columns.find(name) for name in (*_COMPUTED_BY_LOADER, *_TEXTS))])


def _labels(columns: Columns) -> str:
    """Every column that has no other place, values of up to 1,000 characters; and the entries of a column `labels`."""
    entries = ", ".join(f"{{'k': {sql_text(name)}, 'v': {columns.text(name)}}}" for name in _others(columns))
    own = "MAP {}::MAP(VARCHAR, VARCHAR)"
    if columns.find("labels"):
        read = (
            columns.typed("map", "labels")
            or f"TRY_CAST(TRY_CAST({columns.text('labels')} AS JSON) AS MAP(VARCHAR, VARCHAR))"
        )
        own = f"coalesce({read}, {own})"
    if not entries:
        return own
    filtered = f"list_filter([{entries}], lambda e: e.v IS NOT NULL AND length(e.v) <= 1000)"
    return f"map_concat(map_from_entries({filtered}), {own})"


def _made_identity(columns: Columns) -> tuple[str, str]:
    """SQL of a row's content hash, and of its call_id, which is made of that where the row has none."""
    file, parts = columns.file, []
    early = {normalised(key) for row in file.head for key in row}
    for name in sorted(columns.others([]), key=normalised):
        part = f"concat({sql_text(normalised(name) + '=')}, {columns.text(name)})"
        if file.is_json and normalised(name) not in early:
            # What a log begins to tell later leaves the ids of the rows before it as they are: they may be stored already.
            part = f"CASE WHEN {columns.text(name)} IS NOT NULL THEN {part} END"
        parts.append(part)
    number = "row_number() OVER (PARTITION BY _content ORDER BY _row)"
    repeated = f"CASE WHEN {number} > 1 THEN concat('-', {number}) ELSE '' END"
    return f"md5(concat_ws(chr(31), {', '.join(parts)}))", f"coalesce(call_id, concat('row-', _content, {repeated}))"


def _text_hash(columns: Columns) -> str:
    return f"sha256({columns.text(*_HASHED_TEXTS)})" if columns.find(*_HASHED_TEXTS) else "NULL::VARCHAR"


_STATUS = dict.fromkeys(("success", "ok", "succeeded", "completed", "200"), "success") | dict.fromkeys(
    ("failure", "failed", "error", "timeout", "cancelled"), "failure"
)


def _status(value: str) -> str:
    # Compared one by one: a list of five becomes a join, which takes twenty times as long.
    cases = " ".join(f"WHEN {sql_text(word)} THEN {sql_text(status)}" for word, status in _STATUS.items())
    return f"CASE {value} {cases} END"
