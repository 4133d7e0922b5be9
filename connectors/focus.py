"""Billing lines in FOCUS 1.0 to 1.4 (and the 1.5 draft's AI columns), from any provider, as CSV, JSON or Parquet.

Real exports deviate from the specification; what can be understood without guessing is accepted: snake_case or oddly cased headers, literal
NULL, US dates, times without zone (UTC), inclusive ends (…:59:59), missing columns. A row is refused for its money, currency or period
only, never for a missing dimension.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from connectors.columns import Columns, believable, first_fault, normalised, other_values, unreadable
from connectors.extraction import Extraction
from connectors.files import SourceFile, quote_identifier, sql_text
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.schema import CHARGES

KIND = "focus"

_TELLING = (
    "BilledCost", "EffectiveCost", "ContractedCost", "BillingCurrency", "BillingPeriodStart", "ChargePeriodStart",
    "ChargeCategory", "ChargeDescription", "ServiceCategory", "PricingQuantity", "InvoiceIssuerName",
)  # fmt: skip
_TAKEN_EXTENSIONS = ("x_UsageType", "x_Model", "x_TokenDirection", "x_CacheAction", "x_Principal", "x_RawLineItemType")
_COMPUTED = {
    "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd", "SkuPriceDetails",
    "ServiceProviderName", "HostProviderName", "Tags", "x_Model", "x_TokenDirection", "x_CacheAction", "x_Principal",
}  # fmt: skip
_PERIODS = {
    "charge_start": "ChargePeriodStart",
    "charge_end": "ChargePeriodEnd",
    "billing_start": "BillingPeriodStart",
    "billing_end": "BillingPeriodEnd",
}


def detect(file: SourceFile) -> bool:
    """Whether at least five of FOCUS's own column names are there, in any spelling."""
    present = {normalised(name) for name in file.columns}
    return sum(normalised(name) in present for name in _TELLING) >= 5


def extract(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, configuration: Configuration
) -> Iterable[Extraction]:
    """The file's billing lines, amounts in their own currency.

    Where EffectiveCost misses it stays unknown. ServiceProviderName and HostProviderName are filled from ProviderName and PublisherName
    (FOCUS 1.0 to 1.3). SkuPriceDetails' ModelId, TokenDirection and TokenCacheAction (FOCUS 1.5 draft) fill x_Model, x_TokenDirection and
    x_CacheAction. Columns that the table does not have are kept in x_Other.

    Raises InputError when BilledCost or every period column misses, or when one billing account has two currencies within one billing
    period.
    """
    columns = Columns(connection, file)
    columns.require(["BilledCost"], ["ChargePeriodStart", "BillingPeriodStart"], kind="FOCUS")
    query = _query(columns, configuration)
    _refuse_mixed_currencies(connection, columns, query)
    return [
        Extraction(
            kind=KIND,
            table=CHARGES.name,
            source=KIND,
            file=file.name,
            checksum=file.checksum,
            query=query,
            rejects=file.rejects,
            warnings=_warnings(connection, columns, configuration),
        )
    ]


def _query(columns: Columns, configuration: Configuration) -> str:
    taken: list[str | None] = []
    parsed: dict[str, str] = {}
    for column in CHARGES.columns:
        if column.name.startswith("x_") and column.name not in _TAKEN_EXTENSIONS:
            continue
        taken.append(columns.find(column.name))
        if column.name not in _COMPUTED and taken[-1] is not None:
            number = column.type.startswith("DECIMAL")
            text, exact = columns.text(column.name), columns.decimal(column.name, type=column.type)
            parsed[column.name] = exact if number else text
    if columns.find("x_Principal") is None:
        taken.append(columns.find("PrincipalId"))
    parsed |= _times(columns)
    parsed |= {
        "_billed": columns.text("BilledCost"),
        "_effective": columns.text("EffectiveCost"),
        "BillingCurrency": _currency(columns, configuration),
        "ServiceProviderName": _provider(columns),
        "HostProviderName": f"coalesce({columns.text('HostProviderName')}, {columns.text('ProviderName')})",
        "Tags": _json_object(columns.text("Tags")),
        "SkuPriceDetails": columns.text("SkuPriceDetails"),
        "x_Principal": columns.text("x_Principal", "PrincipalId"),
        "_model": columns.text("x_Model"),
        "_direction": columns.text("x_TokenDirection"),
        "_action": columns.text("x_CacheAction"),
        "x_Other": other_values(columns, columns.others(taken)),
    }
    listed = ", ".join(quote_identifier(name) for name in parsed if not name.startswith("_"))
    read = ", ".join(f"{value} AS {quote_identifier(name)}" for name, value in parsed.items())
    effective = "" if columns.find("EffectiveCost") else ", NULL AS EffectiveCost"
    column_sql, reason_sql = first_fault(_faults(columns))
    return f"""
        WITH parsed AS (SELECT _row, {read} FROM {columns.source}),
        dated AS (
            SELECT * REPLACE (
                CASE WHEN _charge_start_text IS NULL THEN _billing_start ELSE _charge_start END AS _charge_start,
                CASE WHEN _billing_start_text IS NULL THEN date_trunc('month', _charge_start)
                     ELSE _billing_start END AS _billing_start
            ) FROM parsed
        ),
        ended AS (
            SELECT * REPLACE (
                {_exclusive("_charge_end")} AS _charge_end,
                CASE WHEN _billing_end = date_trunc('month', _billing_start) + INTERVAL 1 MONTH - INTERVAL 1 DAY
                     THEN date_trunc('month', _billing_start) + INTERVAL 1 MONTH
                     ELSE {_exclusive("_billing_end")} END AS _billing_end
            ) FROM dated
        ),
        detailed AS (
            SELECT *, CASE WHEN json_valid(SkuPriceDetails) THEN SkuPriceDetails END AS _details FROM ended
        )
        SELECT _row, {listed}{effective},
            _billing_start AS BillingPeriodStart,
            coalesce(_billing_end, date_trunc('month', _billing_start) + INTERVAL 1 MONTH) AS BillingPeriodEnd,
            _charge_start AS ChargePeriodStart,
            coalesce(_charge_end, _billing_end, date_trunc('month', _charge_start) + INTERVAL 1 MONTH) AS
            ChargePeriodEnd,
            coalesce(_model, _details->>'$.ModelId') AS x_Model,
            {_direction("coalesce(_direction, _details->>'$.TokenDirection')")} AS x_TokenDirection,
            {_action("coalesce(_action, _details->>'$.TokenCacheAction')")} AS x_CacheAction,
            '{KIND}' AS x_Source, _row AS x_RowNumber,
            {column_sql} AS _column, {reason_sql} AS _reason
        FROM detailed"""


def _currency(columns: Columns, configuration: Configuration) -> str:
    if columns.find("BillingCurrency") is None:
        return sql_text(configuration.reporting_currency)
    return f"upper(trim({columns.text('BillingCurrency')}))"


def _times(columns: Columns) -> dict[str, str]:
    values = {f"_{short}": columns.time(name) for short, name in _PERIODS.items()}
    return values | {f"_{short}_text": columns.text(name) for short, name in _PERIODS.items()}


def _faults(columns: Columns) -> list[tuple[str, str, str]]:
    number = "write a plain number such as 12.5 or 35.2E-7"
    period = "write it like 2026-03-01T00:00:00Z"
    faults = [
        (
            "_billed IS NULL",
            "BilledCost",
            "the cost is missing; a billing line needs BilledCost (0 where nothing is billed)",
        ),
        ("BilledCost IS NULL", "BilledCost|_billed", f"the cost {{}} cannot be read; {number}"),
        ("BillingCurrency IS NULL", "BillingCurrency", "the currency is missing; give an ISO 4217 code such as USD"),
        (
            "NOT regexp_matches(BillingCurrency, '^[A-Z]{3}$')",
            "BillingCurrency|BillingCurrency",
            "{} is no currency; give an ISO 4217 code such as USD",
        ),
    ]
    if columns.find("EffectiveCost"):
        condition = unreadable("_effective", "EffectiveCost")
        faults.append((condition, "EffectiveCost|_effective", f"the cost {{}} cannot be read; {number}"))
    for short, name in _PERIODS.items():
        text, value = f"_{short}_text", f"_{short}"
        faults.append(
            (f"{text} IS NOT NULL AND {value} IS NULL", f"{name}|{text}", f"the time {{}} cannot be read; {period}")
        )
        faults.append(
            (
                f"NOT {believable(value)}",
                f"{name}|{text}",
                "the time {} lies before 2006 or more than ten years ahead; correct it",
            )
        )
    faults.append(("_charge_start IS NULL", "ChargePeriodStart", f"the period is missing; {period}"))
    faults.append(
        ("_charge_end < _charge_start", "ChargePeriodEnd|_charge_end_text", "the period ends ({}) before it starts")
    )
    faults.append(
        ("_billing_end < _billing_start", "BillingPeriodEnd|_billing_end_text", "the period ends ({}) before it starts")
    )
    return faults


def _exclusive(end: str) -> str:
    """An end written as the last second of the period becomes the first instant after it."""
    inclusive = f"date_part('minute', {end}) = 59 AND floor(date_part('second', {end})) = 59"
    return f"CASE WHEN {inclusive} THEN date_trunc('second', {end}) + INTERVAL 1 SECOND ELSE {end} END"


def _provider(columns: Columns) -> str:
    """FOCUS 1.3's migration rule: who sells the service is the publisher where it differs from the provider, else the provider."""
    service, provider = columns.text("ServiceProviderName"), columns.text("ProviderName")
    publisher = columns.text("PublisherName")
    return f"coalesce({service}, CASE WHEN {publisher} <> {provider} THEN {publisher} END, {provider}, {publisher})"


def _json_object(text: str) -> str:
    """Tags as a JSON object: also the braceless `"k": "v"` of some exports; NULL when there are none or they are no object."""
    braced = f"concat('{{', {text}, '}}')"
    return (
        f"(CASE WHEN {text} IS NULL OR trim({text}) IN ('{{}}', '[]') THEN NULL "
        f"WHEN json_valid({text}) THEN CASE WHEN json_type({text}) = 'OBJECT' THEN {text} END "
        f"WHEN json_valid({braced}) THEN {braced} END)"
    )


def _direction(value: str) -> str:
    return f"CASE lower({value}) WHEN 'input' THEN 'input' WHEN 'output' THEN 'output' END"


def _action(value: str) -> str:
    return (
        f"CASE WHEN lower({value}) IN ('uncached', 'none') THEN NULL WHEN contains(lower({value}), 'write') THEN 'write' "
        f"WHEN contains(lower({value}), 'read') OR lower({value}) = 'cached' THEN 'read' END"
    )


def _refuse_mixed_currencies(connection: duckdb.DuckDBPyConnection, columns: Columns, query: str) -> None:
    """One invoice has one currency: two within an account's billing period mean that files were glued together wrongly."""
    file = columns.file
    account = "BillingAccountId" if columns.find("BillingAccountId") else "NULL"
    try:
        mixed = connection.execute(
            f"SELECT {account}, date_trunc('month', BillingPeriodStart)::DATE, "
            "list(DISTINCT BillingCurrency ORDER BY BillingCurrency) "
            f"FROM ({query}) WHERE _reason IS NULL GROUP BY ALL "
            "HAVING count(DISTINCT BillingCurrency) > 1 ORDER BY 1, 2 LIMIT 1"
        ).fetchall()
    except duckdb.Error as error:
        raise InputError(f"the file cannot be read: {str(error).splitlines()[0]}", file=file.name) from error
    if mixed:
        name, month, currencies = mixed[0]
        raise InputError(
            f"billing account {name or 'without a name'} has the currencies {' and '.join(currencies)} in the billing period "
            f"of {month:%Y-%m}; a billing period has one currency: load a file per currency, each with its own account",
            file=file.name,
            column="BillingCurrency",
        )


def _warnings(connection: duckdb.DuckDBPyConnection, columns: Columns, configuration: Configuration) -> list[str]:
    warnings = []
    if columns.find("EffectiveCost") is None:
        warnings.append("The file has no EffectiveCost: amortised cost stays unknown, use the billed basis.")
    if columns.find("BillingCurrency") is None:
        warnings.append(
            f"The file names no currency: {configuration.reporting_currency} (reporting_currency) is assumed."
        )
    names = [name for name in ("ListCost", "ContractedCost") if columns.find(name)]
    if names:
        counts = ", ".join(f"count(*) FILTER ({unreadable(columns.text(n), columns.decimal(n))})" for n in names)
        (found,) = connection.execute(f"SELECT {counts} FROM {columns.source}").fetchall()
        warnings += [
            f"{count} values of {name} cannot be read and stay unknown."
            for name, count in zip(names, found, strict=True)
            if count
        ]
    return warnings
