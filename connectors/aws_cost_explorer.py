"""Answers of AWS Cost Explorer (GetCostAndUsage) as JSON: what `percall sync` fetches, or `aws ce get-cost-and-usage` prints.

A result is a day (or month) and a group: its keys are those that `GroupDefinitions` names. Amounts are texts and exact. Without resources, invoices
and prices it is the coarser bill: for accounts that have no cost and usage report. A result that AWS still estimates says so in x_Other.

Answers grouped by the product attribute `model` (Bedrock, from September 2026 on) are no further costs: they name the models of lines that other
answers hold by service and usage type. A line is divided by them only where the parts add up to it exactly.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import duckdb
import pyarrow as pa

from connectors.bedrock import canonical_name, is_bedrock, parse_bedrock
from connectors.extraction import Extraction, Reject
from connectors.files import SourceFile, scan
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.schema import CHARGES

KIND = "aws-cost-explorer"

BILLED, EFFECTIVE = ("UnblendedCost", "NetUnblendedCost"), ("AmortizedCost", "NetAmortizedCost")
_PLACES = Decimal("0.000000000001")
_ARROW = {"VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "TIMESTAMP": pa.timestamp("us")}
_CATEGORIES = {"Tax": "Tax", "Credit": "Credit"}
_PURCHASES = (
    "Fee",
    "RIFee",
    "SavingsPlanRecurringFee",
    "SavingsPlanUpfrontFee",
    "Upfront",
    "Recurring",
    "SavingsPlanUpfront",
)
"""Values of RECORD_TYPE that pay for something ahead; other ones are usage."""


@dataclass(frozen=True)
class _Result:
    """One group of one period. `keys`: what it was grouped by, as (kind of group, its key) -> value."""

    number: int
    account: str | None
    start: datetime
    end: datetime
    keys: Mapping[tuple[str, str], str]
    billed: Decimal
    effective: Decimal | None
    currency: str
    quantity: Decimal | None
    unit: str | None
    estimated: bool | None
    model: str | None = None

    @property
    def usage_type(self) -> str | None:
        return self.keys.get(("DIMENSION", "USAGE_TYPE")) or None

    @property
    def service(self) -> str | None:
        return self.keys.get(("DIMENSION", "SERVICE")) or None


class _Fault(Exception):  # noqa: N818 - becomes a reject
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


def detect(file: SourceFile) -> bool:
    """Whether these are answers with results by time."""
    return file.format not in ("csv", "parquet") and any("ResultsByTime" in row for row in file.head[:3])


def extract(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    configuration: Configuration,  # noqa: ARG001 - every connector takes it
) -> Iterable[Extraction]:
    """One billing line per result, in its currency; results without a group are the period's total.

    BilledCost is UnblendedCost (else NetUnblendedCost), EffectiveCost AmortizedCost (else NetAmortizedCost; unknown where neither was asked for).
    Raises InputError when an answer holds no such metric.
    """
    rejects = list(file.rejects)
    found: list[_Result] = []
    read = 0
    for number, value in enumerate(_results(connection, file), start=1):
        read = number
        try:
            found.append(_parsed(number, *value))
        except _Fault as fault:
            rejects.append(Reject(number, fault.column, fault.reason))
    naming = [one for one in found if ("PRODUCT_ATTRIBUTE", "model") in one.keys]
    facts = [one for one in found if ("PRODUCT_ATTRIBUTE", "model") not in one.keys]
    if naming and not facts:
        facts, naming = [replace(one, model=_model_of(one)) for one in naming], []
    rows = [_row(one) for one in _named(facts, naming)]
    names = [*(name for name in CHARGES.names if any(row.get(name) is not None for row in rows)), "_row"]
    schema = pa.schema([(name, pa.int64() if name == "_row" else _type(CHARGES.by_name[name].type)) for name in names])
    table = f"cost_explorer_{file.checksum[:16]}"
    connection.register(f"{table}_rows", pa.Table.from_pylist(rows, schema=schema))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM {table}_rows")
    connection.unregister(f"{table}_rows")
    yield Extraction(
        kind=KIND, table=CHARGES.name, source=KIND, file=file.name, checksum=file.checksum, rejects=rejects,
        query=f"SELECT *, NULL::VARCHAR AS _column, NULL::VARCHAR AS _reason FROM {table}",
        warnings=_warnings(facts), rows_read=read - (len(rejects) - len(file.rejects)),
    )  # fmt: skip


def _results(
    connection: duckdb.DuckDBPyConnection, file: SourceFile
) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """(answer, period, group) of every result; the total of a period without groups is a group without keys."""
    for (text,) in connection.execute(f"SELECT CAST(json AS VARCHAR) FROM {scan(file)} ORDER BY _row").fetchall():
        answer = json.loads(text)
        for period in answer.get("ResultsByTime") or []:
            groups = period.get("Groups") or []
            if not groups and not answer.get("GroupDefinitions") and period.get("Total"):
                groups = [{"Keys": [], "Metrics": period["Total"]}]
            for group in groups:
                _require_cost(group.get("Metrics") or {}, file)
                yield answer, period, group


def _require_cost(metrics: Mapping[str, Any], file: SourceFile) -> None:
    if not any(name in metrics for name in BILLED):
        raise InputError(
            f"the answer has the metrics {', '.join(metrics) or 'none'}; ask for UnblendedCost (and AmortizedCost)", file=file.name
        )  # fmt: skip


def _parsed(number: int, answer: Mapping[str, Any], period: Mapping[str, Any], group: Mapping[str, Any]) -> _Result:
    definitions = answer.get("GroupDefinitions") or []
    metrics = group.get("Metrics") or {}
    keys: dict[tuple[str, str], str] = {}
    for definition, value in zip(definitions, group.get("Keys") or [], strict=False):
        kind, key = str(definition.get("Type", "")), str(definition.get("Key", ""))
        keys[kind, key] = str(value).removeprefix(f"{key}$") if kind != "DIMENSION" else str(value)
    span = period.get("TimePeriod") or {}
    billed, currency = _money(metrics, BILLED)
    effective, _ = _money(metrics, EFFECTIVE)
    usage = metrics.get("UsageQuantity") or {}
    quantity = _number(usage.get("Amount"), "UsageQuantity")
    unit = str(usage.get("Unit") or "")
    if billed is None or currency is None:
        raise _Fault(BILLED[0], "the amount or its unit is missing; fetch the answer again")
    return _Result(
        number, str(answer["AccountId"]) if answer.get("AccountId") else None, _moment(span.get("Start")), _moment(span.get("End")),
        keys, billed, effective, currency, quantity, None if unit in ("", "N/A") else unit, period.get("Estimated"),
    )  # fmt: skip


def _money(metrics: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Decimal | None, str | None]:
    name = next((name for name in names if name in metrics), None)
    if name is None:
        return None, None
    metric = metrics[name] or {}
    unit = str(metric.get("Unit") or "")
    return _number(metric.get("Amount"), name), unit if len(unit) == 3 and unit.isalpha() else None


def _number(value: object, column: str) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or abs(found) >= Decimal(10) ** 20:
        raise _Fault(column, f"{str(value)[:80]!r} is no amount; fetch the answer again")
    return found


def _moment(value: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(value).removesuffix("Z"))
    except ValueError:
        raise _Fault("TimePeriod", f"{str(value)[:80]!r} is no time; fetch the answer again") from None
    if not 2006 <= found.year < 2100:
        raise _Fault("TimePeriod", f"{value} lies before 2006 or far ahead")
    return found


def _named(facts: Iterable[_Result], naming: Iterable[_Result]) -> Iterator[_Result]:
    """The lines, those of Bedrock divided by model where the answers by model add up to them exactly."""
    of_models: dict[tuple[object, ...], list[_Result]] = defaultdict(list)
    for one in naming:
        of_models[one.account, one.start, one.end, one.usage_type].append(one)
    lines: dict[tuple[object, ...], list[_Result]] = defaultdict(list)
    for one in facts:
        lines[one.account, one.start, one.end, one.usage_type].append(one)
    for key, group in lines.items():
        parts = of_models.get(key, [])
        fits = len(group) == 1 and parts and _sums(parts) == _sums(group) and is_bedrock(None, group[0].service)
        if not fits:
            yield from group
            continue
        (line,) = group
        for part in parts:
            yield replace(
                line, billed=part.billed, effective=part.effective, quantity=part.quantity, model=_model_of(part)
            )  # fmt: skip


def _sums(results: Iterable[_Result]) -> tuple[Decimal, Decimal | None]:
    listed = list(results)
    effective = [one.effective for one in listed if one.effective is not None]
    return sum((one.billed for one in listed), Decimal(0)), sum(effective, Decimal(0)) if len(effective) == len(
        listed
    ) else None


def _model_of(one: _Result) -> str | None:
    name = one.keys.get(("PRODUCT_ATTRIBUTE", "model"))
    return canonical_name(name) if name else None


def _row(one: _Result) -> dict[str, Any]:
    month = one.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    record = one.keys.get(("DIMENSION", "RECORD_TYPE"))
    service = one.service
    parsed = parse_bedrock(one.usage_type, service) if is_bedrock(None, service) else None
    tags = {key: value for (kind, key), value in one.keys.items() if kind in ("TAG", "COST_CATEGORY") and value}
    other = {
        key: value for (kind, key), value in one.keys.items() if kind == "DIMENSION" and key not in _TAKEN and value
    }
    if one.estimated is not None:
        other["Estimated"] = "true" if one.estimated else "false"
    usage = one.quantity is not None and one.usage_type is not None
    linked = one.keys.get(("DIMENSION", "LINKED_ACCOUNT")) or None
    return {
        "_row": one.number, "BillingAccountId": one.account, "BillingCurrency": one.currency.upper(), "BillingPeriodStart": month,
        "BillingPeriodEnd": (month + timedelta(days=32)).replace(day=1), "ChargePeriodStart": one.start, "ChargePeriodEnd": one.end,
        "BilledCost": one.billed.quantize(_PLACES), "EffectiveCost": None if one.effective is None else one.effective.quantize(_PLACES),
        "ConsumedQuantity": one.quantity.quantize(_PLACES) if usage and one.quantity is not None else None,
        "ConsumedUnit": one.unit if usage else None, "ChargeCategory": _category(record, service), "ChargeDescription": one.usage_type,
        "InvoiceIssuerName": "AWS", "ServiceProviderName": "AWS", "HostProviderName": "AWS", "ServiceName": service,
        "SubAccountId": linked, "RegionId": one.keys.get(("DIMENSION", "REGION")) or None,
        "Tags": json.dumps(dict(sorted(tags.items()))) if tags else None, "x_Source": KIND, "x_RowNumber": one.number,
        "x_UsageType": one.usage_type, "x_RawLineItemType": record, "x_Model": one.model or (parsed.model if parsed else None),
        "x_TokenDirection": parsed.direction if parsed else None, "x_CacheAction": parsed.cache_action if parsed else None,
        "x_EffectiveCostMethod": None if one.effective is None else "amortised by AWS Cost Explorer",
        "x_Other": json.dumps(dict(sorted(other.items()))) if other else None,
    }  # fmt: skip


_TAKEN = ("SERVICE", "USAGE_TYPE", "RECORD_TYPE", "LINKED_ACCOUNT", "REGION")


def _category(record: str | None, service: str | None) -> str:
    if record in _CATEGORIES:
        return _CATEGORIES[record]
    if record in _PURCHASES:
        return "Purchase"
    return "Tax" if record is None and service == "Tax" else "Usage"


def _warnings(facts: Iterable[_Result]) -> list[str]:
    listed = list(facts)
    found = []
    if any(one.account is None for one in listed):
        found.append(
            "The answers do not say of which account they are: that the same costs lie in another bill would go unseen."
        )
    if any(one.service is None for one in listed):
        found.append("Some results are not grouped by service: what they are for stays unclassified.")
    return found


def _type(name: str) -> pa.DataType:
    return pa.decimal128(38, 12) if name.startswith("DECIMAL") else _ARROW[name]
