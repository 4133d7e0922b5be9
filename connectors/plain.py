"""Percall's own plain tables, for whatever has no connector: calls, activity, revenue, utilization, prices and fx.

CSV, JSON or Parquet with the documented columns (docs/data-dictionary.md; a template per kind is in data/templates). Names may be in any
case, with underscores, blanks or hyphens; common synonyms are known. Rows that cannot be right (negative tokens, NaN costs, impossible
dates) are rejected one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import duckdb

from connectors import plain_calls
from connectors.columns import Columns, normalised
from connectors.extraction import Extraction
from connectors.files import SourceFile, checked, sql_text
from connectors.plain_fields import Fault, Field, lenient_warnings, plain_query
from warehouse.configuration import DATA, Configuration
from warehouse.errors import InputError

TOKEN_PRICE_CLASSES = (
    "input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "audio_input", "audio_output", "request",
)  # fmt: skip

Query = Callable[[Columns, Configuration], str]


@dataclass(frozen=True)
class PlainKind:
    """A connector for one plain table.

    `telling` are groups of synonyms of which each must be present, `foreign` columns that belong to another kind.
    """

    KIND: str
    table: str
    telling: tuple[tuple[str, ...], ...]
    fields: tuple[Field, ...]
    query: Query
    foreign: tuple[str, ...] = ()

    def detect(self, file: SourceFile) -> bool:
        """Whether the telling columns are there and no foreign one."""
        present = {normalised(name) for name in file.columns}
        return all(any(normalised(name) in present for name in group) for group in self.telling) and not any(
            normalised(name) in present for name in self.foreign
        )

    def extract(
        self, connection: duckdb.DuckDBPyConnection, file: SourceFile, configuration: Configuration
    ) -> Iterable[Extraction]:
        """The file's rows. Raises InputError when a required column misses."""
        if self is CALLS and (kept := plain_calls.read_at_once(connection, file, configuration)):
            return [self._kept(file, *kept)]
        file = checked(file)
        columns = Columns(connection, file)
        columns.require(*self.telling, kind=self.KIND)
        row_wise = plain_calls.row_wise(columns, configuration) if self is CALLS else None
        # Where rows can be read one by one, the other query is for a file in which some have no id: that need not be looked for.
        query = (
            plain_calls.query(columns, configuration, has_ids=False) if row_wise else self.query(columns, configuration)
        )
        warnings = lenient_warnings(connection, columns, self.fields, configuration)
        if self is CALLS:
            warnings += plain_calls.warnings(columns)
        return [
            Extraction(
                kind=self.KIND,
                table=self.table,
                source=self.KIND,
                file=file.name,
                checksum=file.checksum,
                query=query,
                rejects=file.rejects,
                warnings=warnings,
                row_wise=row_wise,
            )
        ]

    def _kept(self, file: SourceFile, table: str, warnings: list[str]) -> Extraction:
        """Rows that lie in a table, all good enough to be judged one by one."""
        query = f"SELECT rowid + 1 AS _row, * EXCLUDE (_doubt, _unread) FROM {table}"
        return Extraction(
            self.KIND, self.table, self.KIND, file.name, file.checksum, query, warnings=warnings, kept_in=table
        )

    @property
    def READS_UNCHECKED(self) -> bool:  # noqa: N802 - what modules call it
        """Whether it finds broken rows by itself (see `connectors.files.glance`)."""
        return self is CALLS


def template_kinds() -> list[str]:
    """The kinds that have a template."""
    return [path.stem for path in sorted((DATA / "templates").glob("*.csv"))]


def template(kind: str) -> str:
    """A CSV file of this kind as text: its header and two example rows. Raises InputError for a kind that has none."""
    templates = {name: DATA / "templates" / f"{name}.csv" for name in template_kinds()}
    if kind not in templates:
        raise InputError(f"there is no template for {kind!r}; there are {', '.join(templates)}")
    return templates[kind].read_text(encoding="utf-8")


def _simple(
    fields: tuple[Field, ...], faults: tuple[Fault, ...] = (), computed: Mapping[str, str] | None = None
) -> Query:
    """A query that reads the fields as they are; `computed` columns are added or replace a field of the same name."""

    def build(columns: Columns, configuration: Configuration) -> str:
        return plain_query(columns, fields, configuration, faults, computed)

    return build


_DAY = Field("date", "day", ("day", "usage_date"), required=True)
_CURRENCY_FAULT = Fault(
    "NOT regexp_matches(currency, '^[A-Z]{3}$')", "currency", "{} is no currency; give an ISO 4217 code"
)

_ACTIVITY_FIELDS = (
    _DAY,
    Field("user_id", "text", ("user", "uid")),
    Field("user_tier", "text", ("tier", "plan")),
    Field("active_users", "integer", ("users", "dau", "active_user_count")),
)
ACTIVITY = PlainKind(
    "activity",
    "activity",
    (("date", "day", "usage_date"), ("user_id", "user", "uid", "active_users", "users", "dau", "active_user_count")),
    _ACTIVITY_FIELDS,
    _simple(
        _ACTIVITY_FIELDS,
        (
            Fault("active_users < 0", "active_users", "the count {} is negative; give 0 or more"),
            Fault(
                "user_id IS NULL AND active_users IS NULL", "user_id", "neither a user nor a count of users is given"
            ),
        ),
        {"active_users": "CASE WHEN user_id IS NOT NULL THEN 1 ELSE active_users END"},
    ),
    foreign=("amount", "rate", "model", "token_class"),
)

_REVENUE_FIELDS = (
    _DAY,
    Field("feature", "text"),
    Field("user_tier", "text", ("tier", "plan")),
    Field("user_id", "text", ("user", "uid")),
    Field("amount", "money", ("revenue",), required=True),
    Field("currency", "currency", (), required=True),
    Field("conversions", "integer"),
)
REVENUE = PlainKind(
    "revenue",
    "revenue",
    (("date", "day", "usage_date"), ("amount", "revenue"), ("currency",)),
    _REVENUE_FIELDS,
    _simple(
        _REVENUE_FIELDS,
        (_CURRENCY_FAULT, Fault("conversions < 0", "conversions", "the count {} is negative; give 0 or more")),
    ),
    foreign=("token_class", "model", "rate"),
)

_HOUR_NAMES = ("hour", "time", "timestamp")
_RESOURCE_NAMES = ("resource", "resource_id", "instance", "node")
_SHARE = "{} is no share from 0 to 1; a column of percentages is named {name}_percent"
_UTILIZATION_FIELDS = (
    Field("hour", "time", _HOUR_NAMES[1:], required=True),
    Field("resource", "text", _RESOURCE_NAMES[1:], required=True),
    Field("gpu", "text", ("gpu_type", "gpu_name")),
    Field("gpu_count", "integer", ("gpus",)),
    Field("gpu_utilization", "double"),
    Field("_gpu_percent", "double", ("gpu_utilization_percent",)),
    Field("memory_used", "double"),
    Field("_memory_percent", "double", ("memory_used_percent",)),
    Field("requests", "integer", ("request_count",)),
    Field("tokens_per_second", "double", ("tps",)),
    Field("model", "text"),
    Field("feature", "text"),
)
UTILIZATION = PlainKind(
    "utilization",
    "utilization",
    (_HOUR_NAMES, _RESOURCE_NAMES),
    _UTILIZATION_FIELDS,
    _simple(
        _UTILIZATION_FIELDS,
        (
            *(
                Fault(f"{name} NOT BETWEEN 0 AND 1", name, _SHARE.replace("{name}", name))
                for name in ("gpu_utilization", "memory_used")
            ),
            Fault("_gpu_percent NOT BETWEEN 0 AND 100", "_gpu_percent", "{} is no percentage from 0 to 100"),
            Fault("_memory_percent NOT BETWEEN 0 AND 100", "_memory_percent", "{} is no percentage from 0 to 100"),
            *(
                Fault(f"{name} < 0", name, "{} is negative; give 0 or more")
                for name in ("gpu_count", "requests", "tokens_per_second")
            ),
            Fault(
                "row_number() OVER (PARTITION BY date_trunc('hour', hour), resource ORDER BY _row) > 1",
                "hour",
                "a second row for the same hour and resource; give one row per hour",
            ),
        ),
        {
            "hour": "date_trunc('hour', hour)",
            "gpu_utilization": "coalesce(gpu_utilization, _gpu_percent / 100)",
            "memory_used": "coalesce(memory_used, _memory_percent / 100)",
        },
    ),
    foreign=("amount", "token_class", "input_tokens", "output_tokens"),
)

_PRICE_FIELDS = (
    Field("book", "text", default="'contract'"),
    Field("provider", "text", required=True),
    Field("model", "text", required=True),
    Field("token_class", "text", ("class",), required=True),
    Field("processing", "text", default="'standard'"),
    Field("context_from", "integer", default="0"),
    Field("amount", "call_money", ("price", "price_per_million"), required=True),
    Field("currency", "currency", default="'USD'"),
    Field("valid_from", "time", ("from",), required=True),
    Field("valid_to", "open_time", ("to", "until"), default="TIMESTAMP '9999-12-31'"),
    Field("source", "text"),
)
_CLASSES = ", ".join(sql_text(name) for name in TOKEN_PRICE_CLASSES)
PRICES = PlainKind(
    "prices",
    "prices",
    (
        ("provider",),
        ("model",),
        ("token_class", "class"),
        ("amount", "price", "price_per_million"),
        ("valid_from", "from"),
    ),
    _PRICE_FIELDS,
    _simple(
        _PRICE_FIELDS,
        (
            Fault(
                f"lower(token_class) NOT IN ({_CLASSES})",
                "token_class",
                f"{{}} is no token class; known are {', '.join(TOKEN_PRICE_CLASSES)}",
            ),
            Fault(
                "lower(processing) NOT IN ('standard', 'batch', 'priority', 'flex')",
                "processing",
                "{} is no way of processing; known are standard, batch, priority, flex",
            ),
            Fault("amount < 0", "amount", "the price {} is negative"),
            Fault(
                "context_from < 0", "context_from", "{} is negative; give the input tokens above which the price holds"
            ),
            Fault("valid_to <= valid_from", "valid_to", "the price ends ({}) before it starts"),
            _CURRENCY_FAULT,
        ),
        {
            "token_class": "lower(token_class)",
            "processing": "lower(processing)",
            "source": "coalesce(source, _file)",
        },
    ),
)

_FX_FIELDS = (
    _DAY,
    Field("from_currency", "currency", ("from", "base"), required=True),
    Field("to_currency", "currency", ("to", "quote"), required=True),
    Field("rate", "money", ("value", "fx_rate"), required=True),
    Field("source", "text"),
)
FX = PlainKind(
    "fx",
    "fx_rates",
    (
        ("date", "day", "usage_date"),
        ("from_currency", "from", "base"),
        ("to_currency", "to", "quote"),
        ("rate", "value", "fx_rate"),
    ),
    _FX_FIELDS,
    _simple(
        _FX_FIELDS,
        (
            *(
                Fault(f"NOT regexp_matches({name}, '^[A-Z]{{3}}$')", name, "{} is no currency; give an ISO 4217 code")
                for name in ("from_currency", "to_currency")
            ),
            Fault(
                "rate <= 0", "rate", "the rate {} is not positive; give units of to_currency for one of from_currency"
            ),
        ),
        {"source": "coalesce(source, _file)"},
    ),
    foreign=("model", "amount"),
)

CALLS = PlainKind(
    "calls",
    "calls",
    (plain_calls.TIME_NAMES, plain_calls.MODEL_NAMES, plain_calls.USAGE_NAMES),
    plain_calls.FIELDS,
    plain_calls.query,
    foreign=("token_class", "valid_from", "resource"),
)

PLAIN_KINDS = (CALLS, ACTIVITY, REVENUE, UTILIZATION, PRICES, FX)
