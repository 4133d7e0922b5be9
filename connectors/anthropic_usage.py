"""Anthropic's cost and usage reports: pages of the admin endpoints (`/organizations/cost_report`, `/organizations/usage_report/messages`) as
JSON, and the CSV files that the console exports.

Amounts in JSON are in cents, as decimal text ("123.45" is 1.2345 USD); in CSV (`cost_usd`) in dollars. Costs name model, token type, service
tier and context window when the report is grouped by description. Usage counts disjoint token classes, without an amount.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import duckdb

from connectors.bedrock import canonical_name
from connectors.extraction import Extraction
from connectors.files import SourceFile
from connectors.provider_reports import (
    Line,
    Record,
    RecordError,
    buckets,
    buckets_of,
    extraction,
    moment,
    number,
    records,
    text,
)
from warehouse.configuration import Configuration
from warehouse.models import canonical_model

KIND = "anthropic-usage"

_CENTS = Decimal(100)
_TOKEN_TYPES: Mapping[str, tuple[str, str | None]] = {
    "uncached_input_tokens": ("input", None),
    "input_no_cache": ("input", None),
    "cache_read_input_tokens": ("input", "read"),
    "input_cache_read": ("input", "read"),
    "cache_creation.ephemeral_5m_input_tokens": ("input", "write"),
    "cache_creation.ephemeral_1h_input_tokens": ("input", "write"),
    "input_cache_write_5m": ("input", "write"),
    "input_cache_write_1h": ("input", "write"),
    "output_tokens": ("output", None),
    "output": ("output", None),
}
"""What a token type of the API or the console's file is: direction and cache action."""

_USAGE_COLUMNS: Mapping[str, tuple[str, str | None]] = {
    "usage_input_tokens_no_cache": ("input", None),
    "usage_input_tokens_cache_read": ("input", "read"),
    "usage_input_tokens_cache_write_5m": ("input", "write"),
    "usage_input_tokens_cache_write_1h": ("input", "write"),
    "usage_output_tokens": ("output", None),
    "uncached_input_tokens": ("input", None),
    "cache_read_input_tokens": ("input", "read"),
    "ephemeral_5m_input_tokens": ("input", "write"),
    "ephemeral_1h_input_tokens": ("input", "write"),
    "output_tokens": ("output", None),
}
_KEPT = ("context_window", "cost_type", "token_type", "usage_type", "inference_geo", "speed", "api_key", "api_key_id")


def model_name(name: str | None) -> str | None:
    """The canonical model of an API id (`claude-sonnet-4-5-20250929`) or of the console's name (`Claude Sonnet 4.5`)."""
    if not name:
        return None
    return canonical_model("anthropic", (canonical_name(name) or name) if " " in name else name)[1]


def detect(file: SourceFile) -> bool:
    """Whether it is a page or bucket of Anthropic's endpoints, or one of the console's CSV files."""
    if file.format in ("csv", "parquet"):
        return file.has("usage_date_utc") and (file.has("cost_usd") or file.has("usage_output_tokens"))
    return any("starting_at" in bucket for row in file.head[:3] for bucket in buckets_of(row))


def extract(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    configuration: Configuration,  # noqa: ARG001 - every connector takes it
) -> Iterable[Extraction]:
    """Billing lines of a cost report, or the tokens of a usage report as lines without an amount, one per class of tokens."""
    found = _from_csv(connection, file) if file.format in ("csv", "parquet") else _from_json(connection, file)
    return [extraction(connection, file, KIND, "Anthropic", found)]


def _from_json(
    connection: duckdb.DuckDBPyConnection, file: SourceFile
) -> Iterator[tuple[int, Sequence[Line] | RecordError]]:
    for place, bucket, result in buckets(connection, file):
        record = bucket | result
        try:
            start, end = moment(record, "starting_at"), moment(record, "ending_at")
            if "amount" in result:
                amount = number(record, "amount")
                yield place, _cost(record, start, end, None if amount is None else amount / _CENTS, None)
            else:
                created = result.get("cache_creation")
                yield place, _usage(record | (created if isinstance(created, dict) else {}), start, end)
        except RecordError as fault:
            yield place, fault


def _from_csv(
    connection: duckdb.DuckDBPyConnection, file: SourceFile
) -> Iterator[tuple[int, Sequence[Line] | RecordError]]:
    for place, record in records(connection, file):
        try:
            start = moment(record, "usage_date_utc")
            end = start + timedelta(days=1)
            if "cost_usd" in record:
                yield place, _cost(record, start, end, number(record, "cost_usd"), number(record, "list_price_usd"))
            else:
                yield place, _usage(record, start, end)
        except RecordError as fault:
            yield place, fault


def _cost(
    record: Record, start: datetime, end: datetime, amount: Decimal | None, list_amount: Decimal | None
) -> list[Line]:
    if amount is None:
        raise RecordError(
            "amount" if "amount" in record else "cost_usd", "the cost is missing; export the report again"
        )
    direction, action = _TOKEN_TYPES.get((text(record, "token_type") or "").lower(), (None, None))
    model = text(record, "model", "model_version")
    words = [model, text(record, "token_type"), text(record, "context_window")]
    named = ", ".join(word for word in words if word) or text(record, "cost_type")
    return [
        Line(
            start=start, end=end, amount=amount, list_amount=list_amount, currency=(text(record, "currency") or "USD").upper(),
            model=model_name(model), direction=direction, cache_action=action,
            processing=_processing(record), description=text(record, "description") or named, other=_other(record),
            account=text(record, "organization_id"), account_name=text(record, "organization_name"),
            sub_account=text(record, "workspace_id", "workspace"), sub_account_name=text(record, "workspace"),
        )
    ]  # fmt: skip


def _usage(record: Record, start: datetime, end: datetime) -> list[Line]:
    model = text(record, "model", "model_version")
    line = Line(
        start=start, end=end, model=model_name(model), processing=_processing(record), description=model, other=_other(record),
        account=text(record, "organization_id"), account_name=text(record, "organization_name"),
        sub_account=text(record, "workspace_id", "workspace"), sub_account_name=text(record, "workspace"),
    )  # fmt: skip
    lines: list[Line] = []
    for column, (direction, action) in _USAGE_COLUMNS.items():
        count = number(record, column)
        if count is not None and (count < 0 or count != int(count)):
            raise RecordError(column, f"{count} is no number of tokens; export the report again")
        lines += line.counting(count, direction, action)
    return lines


def _processing(record: Record) -> str:
    words = f"{text(record, 'service_tier') or ''} {text(record, 'usage_type') or ''}".lower()
    return next((name for name in ("batch", "priority", "flex") if name in words), "standard")


def _other(record: Record) -> dict[str, str]:
    return {name: str(record[name]) for name in _KEPT if record.get(name) not in (None, "")}
