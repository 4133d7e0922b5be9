"""OpenAI's cost and usage reports: pages of the organization endpoints (`/organization/costs`, `/organization/usage/...`) as JSON, and the CSV files
that the usage dashboard exports.

Costs are per day, in USD, and name what they are for in a text: `gpt-4o-2024-08-06, cached input`, `priority | gpt-5.4, output`,
`gpt-realtime audio, input`, `..., long context`, `web search tool calls`. What does not fit stays without a model, in sight. Usage counts
tokens, input including cached ones, without an amount.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import duckdb

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

KIND = "openai-usage"

_COSTS = "organization.costs.result"
_USAGE = "organization.usage."
_ITEM = re.compile(
    r"^(?:(?P<tier>batch|priority|flex)\s*\|\s*)?(?P<model>[A-Za-z0-9][\w.:/-]*)(?P<words>(?:\s+[a-z]+)*)\s*,"
    r"\s*(?P<way>cached input|input|output)\b(?P<rest>.*)$",
    re.IGNORECASE,
)
_TIERS = {"batch": "batch", "priority": "priority", "flex": "flex"}


@dataclass(frozen=True)
class LineItem:
    """What a cost's text says: canonical model, direction, cache action and processing; None where it does not say."""

    model: str | None = None
    direction: str | None = None
    cache_action: str | None = None
    processing: str | None = None


def parse_line_item(item: str | None) -> LineItem:
    """What a cost is for, from its line item."""
    found = _ITEM.match((item or "").strip())
    if not found:
        return LineItem()
    way = found["way"].lower()
    words = f"{found['tier'] or ''} {found['words']} {found['rest']}".lower()
    tier = next((name for name in _TIERS if re.search(rf"\b{name}\b", words)), "standard")
    model = canonical_model("openai", found["model"])[1]
    return LineItem(model, "output" if way == "output" else "input", "read" if "cached" in way else None, tier)


def detect(file: SourceFile) -> bool:
    """Whether it is a page or bucket of OpenAI's endpoints, or one of the dashboard's CSV files."""
    if file.format in ("csv", "parquet"):
        usage = file.has("num_model_requests") and file.has("start_time", "input_tokens")
        return file.has("start_time", "amount_value", "amount_currency") or usage
    return any("start_time" in bucket for row in file.head[:3] for bucket in buckets_of(row))


def extract(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    configuration: Configuration,  # noqa: ARG001 - every connector takes it
) -> Iterable[Extraction]:
    """Billing lines of a cost report, or the tokens of a usage report as lines without an amount.

    One line per cost; per usage record one line for each class of tokens (input neither cached nor audio, cached input, output, with audio
    in its direction). Usage that is no tokens (images, seconds, storage) is left out and counted as read.
    """
    found = _from_csv(connection, file) if file.format in ("csv", "parquet") else _from_json(connection, file)
    return [extraction(connection, file, KIND, "OpenAI", found)]


def _from_json(
    connection: duckdb.DuckDBPyConnection, file: SourceFile
) -> Iterator[tuple[int, Sequence[Line] | RecordError]]:
    for place, bucket, result in buckets(connection, file):
        try:
            kind = str(result.get("object") or "")
            amount = result.get("amount")
            if kind == _COSTS or isinstance(amount, dict):
                money = amount if isinstance(amount, dict) else {}
                yield (
                    place,
                    _cost(
                        bucket | result | {"amount_value": money.get("value"), "amount_currency": money.get("currency")}
                    ),
                )
            elif kind.startswith(_USAGE) or "input_tokens" in result:
                yield place, _usage(bucket | result)
            else:
                yield place, []
        except RecordError as fault:
            yield place, fault


def _from_csv(
    connection: duckdb.DuckDBPyConnection, file: SourceFile
) -> Iterator[tuple[int, Sequence[Line] | RecordError]]:
    for place, record in records(connection, file):
        try:
            yield place, _cost(record) if "amount_value" in record else _usage(record)
        except RecordError as fault:
            yield place, fault


def _cost(record: Record) -> list[Line]:
    amount = number(record, "amount_value")
    if amount is None:
        # A day without costs.
        return []
    item = parse_line_item(text(record, "line_item"))
    currency = (text(record, "amount_currency") or "usd").upper()
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise RecordError("amount_currency", f"{currency} is no currency; give an ISO 4217 code such as usd")
    quantity = number(record, "quantity") if item.direction else None
    line = Line(
        start=moment(record, "start_time", "start_time_iso"), end=moment(record, "end_time", "end_time_iso"),
        amount=amount, currency=currency, tokens=quantity, model=item.model, direction=item.direction,
        cache_action=item.cache_action, processing=item.processing, description=text(record, "line_item"),
    )  # fmt: skip
    return [_of_account(line, record)]


def _usage(record: Record) -> list[Line]:
    named = text(record, "model")
    counts = {
        name: number(record, f"{name}_tokens") or Decimal(0)
        for name in ("input", "output", "input_cached", "input_audio", "output_audio")
    }
    if any(count < 0 or count != int(count) for count in counts.values()):
        raise RecordError("input_tokens", "a number of tokens is negative or not whole; export the report again")
    if counts["input_cached"] > counts["input"]:
        raise RecordError("input_cached_tokens", "more cached than input tokens; export the report again")
    is_batch = str(record.get("batch") or "").lower() in ("true", "1", "t")
    tier = (text(record, "service_tier") or "").lower()
    line = Line(
        start=moment(record, "start_time", "start_time_iso"), end=moment(record, "end_time", "end_time_iso"),
        model=canonical_model("openai", named)[1] if named else None,
        processing="batch" if is_batch else _TIERS.get(tier, "standard"), description=named,
        other={name: str(record[name]) for name in ("num_model_requests", "user_id", "api_key_id") if record.get(name)},
    )  # fmt: skip
    line = _of_account(line, record)
    return [
        *line.counting(counts["input"] - counts["input_cached"] + counts["input_audio"], "input"),
        *line.counting(counts["input_cached"], "input", "read"),
        *line.counting(counts["output"] + counts["output_audio"], "output"),
    ]


def _of_account(line: Line, record: Record) -> Line:
    return replace(
        line,
        account=text(record, "organization_id"),
        account_name=text(record, "organization_name"),
        sub_account=text(record, "project_id"),
        sub_account_name=text(record, "project_name"),
    )
