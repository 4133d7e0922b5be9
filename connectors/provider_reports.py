"""Reports of a model provider's own console: what their buckets, pages and rows have in common, and how they become billing lines.

A cost report gives billing lines. A usage report gives tokens without an amount: its lines are kept as detail, out of every sum
(`x_Excluded`), so that a reconciliation can tell tokens from prices.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import duckdb
import pyarrow as pa

from connectors.extraction import Extraction, Reject
from connectors.files import SourceFile, scan
from warehouse.schema import CHARGES

Record = dict[str, Any]

_PLACES = Decimal("0.000000000001")
_ARROW = {"VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "TIMESTAMP": pa.timestamp("us")}


class RecordError(Exception):
    """What is wrong with one record: the column and the reason."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


@dataclass(frozen=True)
class Line:
    """One billing line of a report, or (without `amount`) one count of tokens. Times are UTC; `tokens` of one direction and cache action."""

    start: datetime
    end: datetime
    amount: Decimal | None = None
    list_amount: Decimal | None = None
    currency: str = "USD"
    tokens: Decimal | None = None
    model: str | None = None
    direction: str | None = None
    cache_action: str | None = None
    processing: str | None = None
    description: str | None = None
    account: str | None = None
    account_name: str | None = None
    sub_account: str | None = None
    sub_account_name: str | None = None
    other: Mapping[str, str] = field(default_factory=dict)

    def counting(self, tokens: Decimal | None, direction: str, cache_action: str | None = None) -> Iterator[Line]:
        """The same line for these tokens; nothing where there are none."""
        if tokens:
            yield replace(self, tokens=tokens, direction=direction, cache_action=cache_action)


def extraction(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    kind: str,
    provider: str,
    found: Iterable[tuple[int, Sequence[Line] | RecordError]],
) -> Extraction:
    """Billing lines of a report from its records: (number of the record, its lines, none of which is no fact, or what is wrong)."""
    rows: list[dict[str, Any]] = []
    rejects = list(file.rejects)
    read, unnamed = 0, False
    for number, lines in found:
        read += 1
        if isinstance(lines, RecordError):
            rejects.append(Reject(number, lines.column, lines.reason))
            continue
        unnamed |= any(line.amount is not None and line.description is None and line.model is None for line in lines)
        rows += [_row(line, number, kind, provider) for line in lines]
    names = [*(name for name in CHARGES.names if any(name in row for row in rows)), "_row"]
    schema = pa.schema([(name, pa.int64() if name == "_row" else _type(CHARGES.by_name[name].type)) for name in names])
    table = f"report_{file.checksum[:16]}"
    connection.register(f"{table}_rows", pa.Table.from_pylist(rows, schema=schema))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM {table}_rows")
    connection.unregister(f"{table}_rows")
    warnings = []
    if unnamed:
        warnings.append(
            "Some costs name neither model nor line item: export the report grouped by them to see what they are for, and load one of the "
            "two, not both."
        )
    if rows and all(row["x_Excluded"] for row in rows):
        warnings.append("A usage report has no costs: its tokens explain a reconciliation's gap, and are in no total.")
    query = f"SELECT *, NULL::VARCHAR AS _column, NULL::VARCHAR AS _reason FROM {table}"
    return Extraction(
        kind=kind, table=CHARGES.name, source=kind, file=file.name, checksum=file.checksum, query=query, rejects=rejects,
        warnings=warnings, rows_read=read - (len(rejects) - len(file.rejects)),
    )  # fmt: skip


def buckets(connection: duckdb.DuckDBPyConnection, file: SourceFile) -> Iterator[tuple[int, Record, Record]]:
    """(number, bucket, result) of every result in a JSON report: pages, arrays of pages, or buckets, whole or one per line."""
    number = 0
    for (text,) in connection.execute(f"SELECT CAST(json AS VARCHAR) FROM {scan(file)} ORDER BY _row").fetchall():
        for bucket in buckets_of(json.loads(text, parse_float=Decimal)):
            for result in bucket.get("results") or []:
                number += 1
                yield number, bucket, result if isinstance(result, dict) else {}


def buckets_of(page: Record) -> list[Record]:
    """The buckets of a page; a bucket is its own."""
    data = page.get("data")
    found = data if isinstance(data, list) else [page]
    return [bucket for bucket in found if isinstance(bucket, dict) and isinstance(bucket.get("results"), list)]


def records(connection: duckdb.DuckDBPyConnection, file: SourceFile) -> Iterator[tuple[int, Record]]:
    """(number, row) of every row of a CSV report, its columns in lower case."""
    result = connection.execute(f"SELECT * FROM {scan(file)} ORDER BY _row")
    names = [column[0].lower() for column in result.description]
    for row in result.fetchall():
        record = dict(zip(names, row, strict=True))
        yield int(record.pop("_row")), record


def moment(record: Record, *columns: str) -> datetime:
    """The first of these columns that has a value, as a UTC time: ISO 8601, a date, or seconds since 1970. Raises RecordError."""
    column = next((name for name in columns if record.get(name) not in (None, "")), None)
    if column is None:
        raise RecordError(columns[0], "the time is missing; export the report again")
    value = record[column]
    try:
        if isinstance(value, int | Decimal) or str(value).isdecimal():
            return datetime.fromtimestamp(int(value), UTC).replace(tzinfo=None)
        found = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise RecordError(column, f"{str(value)[:80]!r} is no time; write it like 2026-03-01T00:00:00Z") from None
    found = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    if not date(2006, 1, 1) <= found.date() < datetime.now(UTC).date() + timedelta(days=3660):
        raise RecordError(
            column, f"the time {str(value)[:80]} lies before 2006 or more than ten years ahead; correct it"
        )
    return found


def number(record: Record, column: str) -> Decimal | None:
    """An exact number, None where there is none. Raises RecordError."""
    value = record.get(column)
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or abs(found) >= Decimal(10) ** 20:
        raise RecordError(column, f"{str(value)[:80]!r} is no number; write a plain number such as 12.5")
    return found


def text(record: Record, *columns: str) -> str | None:
    """The first of these columns that has a value, as text."""
    return next((str(record[name]).strip() for name in columns if record.get(name) not in (None, "")), None)


def _type(name: str) -> pa.DataType:
    return pa.decimal128(38, 12) if name.startswith("DECIMAL") else _ARROW[name]


def _row(line: Line, number_: int, kind: str, provider: str) -> dict[str, Any]:
    month = line.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    amount = None if line.amount is None else line.amount.quantize(_PLACES)
    row: dict[str, Any] = {
        "_row": number_, "BillingAccountId": line.account, "BillingAccountName": line.account_name,
        "BillingCurrency": line.currency, "BillingPeriodStart": month, "BillingPeriodEnd": (month + timedelta(days=32)).replace(day=1),
        "ChargePeriodStart": line.start, "ChargePeriodEnd": line.end, "BilledCost": amount, "EffectiveCost": amount,
        "ListCost": None if line.list_amount is None else line.list_amount.quantize(_PLACES),
        "ConsumedQuantity": line.tokens, "ConsumedUnit": None if line.tokens is None else "Tokens",
        "ChargeCategory": "Credit" if amount is not None and amount < 0 else "Usage", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": line.description, "InvoiceIssuerName": provider, "ServiceProviderName": provider,
        "HostProviderName": provider, "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI",
        "ServiceName": f"{provider} API", "SubAccountId": line.sub_account, "SubAccountName": line.sub_account_name,
        "x_Source": kind, "x_RowNumber": number_, "x_UsageType": line.processing, "x_Model": line.model,
        "x_TokenDirection": line.direction, "x_CacheAction": line.cache_action,
        "x_EffectiveCostMethod": None if amount is None else "as billed: paid by use", "x_Excluded": line.amount is None,
        "x_Other": json.dumps(dict(sorted(line.other.items()))) if line.other else None,
    }  # fmt: skip
    return row
