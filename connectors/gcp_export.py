"""Google Cloud billing exports: standard and detailed, nested (JSON lines, Parquet) or flattened to CSV.

The export only ever grows: a correction is a further row, equal but for cost, credits, amount and export_time. Rows that look
alike are therefore additive and none is dropped. What an invoice says is sum(cost) + sum(credits) by invoice month.

| FOCUS | from |
|---|---|
| BilledCost | cost + credits, but each PROMOTION credit is a row of its own (ChargeCategory Credit) |
| EffectiveCost | as BilledCost; fees of commitments are not spread over what they cover (x_EffectiveCostMethod says so) |
| ListCost | cost_at_list, else cost; 0 for commitment fees, or savings would count twice |
| ContractedCost | cost_at_effective_price_default, else cost; 0 for commitment fees |
| ChargeCategory | tax: Tax; adjustment, rounding_error: Adjustment; regular: Usage, or Purchase for a commitment's fee |
| ChargeClass | Correction when adjustment_info says so and the invoice month is after the month of use |
| Tags | labels; tags, project labels and system labels under `tag/`, `project/`, `system/` |

A tag key without a label of its own is also found under its bare name, from tags, then from project labels.

Both models of spend-based commitments come out right: until 2026 the discount is a credit
(COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE) on the usage; since then the usage has the lower price (consumption_model) and the fee is
offset by a credit FEE_UTILIZATION_OFFSET, which leaves what was not used. Times are UTC.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable

import duckdb

from connectors.bedrock import TokenLine
from connectors.entries import json_object
from connectors.extraction import Extraction
from connectors.files import SourceFile, sql_text
from connectors.gcp_fields import MONEY, Fields
from connectors.vertex import parse_sku
from warehouse.configuration import DATA, Configuration
from warehouse.errors import InputError

KIND = "gcp-export"

CREDIT_KEYS = ("type", "name", "full_name", "id", "amount")
MODEL_SERVICES = ("vertex ai", "gemini api", "generative language", "discovery engine", "cloud ai")
_PAIR = ("key", "value")


def detect(file: SourceFile) -> bool:
    """Whether these are the columns of a Google Cloud billing export, nested or flat."""
    names = {name.replace(".", "_").lower() for name in file.columns}
    nested = {"service", "sku"} <= names
    flat = bool({"service_description", "service_id"} & names) and bool({"sku_id", "sku_description"} & names)
    return (
        {"billing_account_id", "cost"} <= names and (nested or flat) and bool({"usage_start_time", "credits"} & names)
    )


def extract(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    configuration: Configuration,  # noqa: ARG001 - the connectors' common signature
) -> Iterable[Extraction]:
    """The file's charges, one extraction.

    Raises InputError when the file has no cost, no currency, or neither an invoice month nor a usage time.
    """
    fields = Fields(connection, file)
    if not fields.has("cost"):
        raise InputError("no column cost; export the table with its cost", file=file.name)
    if not fields.has("currency"):
        raise InputError("no column currency; a cost without it cannot be added to others", file=file.name)
    if not fields.has("invoice.month") and not fields.has("usage_start_time"):
        raise InputError("no column says when: neither invoice.month nor usage_start_time is there", file=file.name)
    warnings = []
    if not fields.has("invoice.month"):
        warnings.append(
            "There is no invoice.month: the billing period is taken from the time of use, late usage may differ."
        )
    if not fields.has("credits"):
        warnings.append("There is no column credits: costs are before credits and discounts.")
    yield Extraction(
        kind=KIND,
        table="charges",
        source=KIND,
        file=file.name,
        checksum=file.checksum,
        query=charges_query(fields, _models(connection, fields)),
        rejects=file.rejects,
        warnings=warnings,
    )


def _models(connection: duckdb.DuckDBPyConnection, fields: Fields) -> dict[str, TokenLine]:
    """What the SKU descriptions of AI services say, read."""
    service = fields.text("service.description")
    tests = " OR ".join(f"contains(lower({service}), {sql_text(name)})" for name in MODEL_SERVICES)
    rows = connection.execute(
        f"SELECT DISTINCT {fields.text('sku.description')} AS sku FROM {fields.source} WHERE {tests} ORDER BY sku"
    ).fetchall()
    parsed = {sku: parse_sku(sku) for (sku,) in rows if sku is not None}
    return {sku: line for sku, line in parsed.items() if line.model}


def typed_rows(fields: Fields) -> str:
    """The file's rows with one name and one type per field."""
    f = fields
    return f"""
SELECT
    CAST(_row AS BIGINT) AS _row,
    {f.text("cost")} AS cost_text, {f.money("cost")} AS cost, upper({f.text("currency")}) AS currency,
    {f.objects("credits", CREDIT_KEYS)} AS credits,
    {f.text("invoice.month")} AS invoice_month,
    {f.moment("usage_start_time")} AS usage_start, {f.moment("usage_end_time")} AS usage_end,
    {f.text("usage_start_time")} AS usage_start_text,
    {f.text("billing_account_id")} AS account, lower({f.text("cost_type")}) AS cost_type,
    {f.text("service.description", "service.id")} AS service,
    {f.text("sku.id")} AS sku, {f.text("sku.description")} AS description,
    {f.text("project.id")} AS project, {f.text("project.name")} AS project_name, {f.text("project.number")} AS project_number,
    {f.text("location.region", "location.location")} AS region, {f.text("location.zone")} AS zone,
    {f.text("resource.global_name", "resource.name")} AS resource, {f.text("resource.name")} AS resource_name,
    {f.money("usage.amount")} AS used, {f.text("usage.unit")} AS used_unit,
    {f.money("usage.amount_in_pricing_units")} AS priced, {f.text("usage.pricing_unit")} AS priced_unit,
    {f.money("cost_at_list")} AS cost_at_list,
    {f.money("cost_at_effective_price_default")} AS cost_at_default,
    try_cast({f.text("price.list_price")} AS DECIMAL(38,15)) AS list_price,
    try_cast({f.text("price.effective_price")} AS DECIMAL(38,15)) AS effective_price,
    {f.text("adjustment_info.type")} AS adjustment_type, {f.text("adjustment_info.id")} AS adjustment,
    {f.text("adjustment_info.description")} AS adjustment_description, {f.text("adjustment_info.mode")} AS adjustment_mode,
    {f.text("subscription.instance_id")} AS subscription,
    {f.text("consumption_model.description")} AS consumption_model,
    {f.text("transaction_type")} AS transaction_type, {f.text("seller_name")} AS seller,
    {f.text("export_time")} AS export_time, {f.text("currency_conversion_rate")} AS conversion_rate,
    {f.objects("labels", _PAIR)} AS labels, {f.objects("system_labels", _PAIR)} AS system_labels,
    {f.objects("tags", _PAIR)} AS tags, {f.objects("project.labels", _PAIR)} AS project_labels
FROM {f.source}"""


def charges_query(fields: Fields, models: dict[str, TokenLine]) -> str:
    """The file's charges (columns of warehouse.schema.CHARGES, and `_row`, `_column`, `_reason`)."""
    services = ", ".join(f"({sql_text(name)}, {sql_text(category)})" for name, category in _service_categories())
    known = ", ".join(
        "(" + ", ".join(map(_literal, (sku, line.model, line.direction, line.cache_action))) + ")"
        for sku, line in models.items()
    )
    return f"""
WITH typed AS ({typed_rows(fields)}
), services(service_name, service_category) AS (VALUES {services}
), models(model_sku, model, direction, cache_action) AS (
    VALUES {known or "(NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR)"}
), dated AS (
    SELECT *,
        CASE WHEN invoice_month IS NULL THEN date_trunc('month', usage_start)
             ELSE try_strptime(regexp_extract(replace(invoice_month, '-', ''), '^\\d{{6}}') || '01', '%Y%m%d') END AS period_start,
        list_filter(credits, lambda c: upper(c.type) IS DISTINCT FROM 'PROMOTION') AS netted,
        list_filter(credits, lambda c: upper(c.type) = 'PROMOTION') AS promotions,
        list_filter(credits, lambda c: starts_with(upper(c.type), 'COMMITTED_USAGE_DISCOUNT')) AS commitment_credits,
        len(list_filter(credits, lambda c: try_cast(trim(c.amount) AS {MONEY}) IS NULL)) AS bad_credits,
        list_extract(list_filter(system_labels, lambda l: l.key = 'compute.googleapis.com/machine_spec'), 1).value AS machine,
        (subscription IS NOT NULL OR regexp_matches(description, '^Commitment\\b|^Committed use|Commitment fee', 'i')) IS TRUE
            AND coalesce(cost_type, 'regular') = 'regular' AS is_fee
    FROM typed
), judged AS (
    SELECT *,
        cost + coalesce(list_sum(list_transform(netted, lambda c: try_cast(trim(c.amount) AS {MONEY}))), 0) AS net,
        CASE WHEN cost IS NULL THEN 'cost' WHEN credits IS NULL OR bad_credits > 0 THEN 'credits'
             WHEN currency IS NULL OR NOT regexp_full_match(currency, '[A-Z]{{3}}') THEN 'currency'
             WHEN period_start IS NULL THEN CASE WHEN invoice_month IS NULL THEN 'usage_start_time' ELSE 'invoice.month' END
             WHEN period_start NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01' THEN 'invoice.month'
             WHEN usage_start NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01' THEN 'usage_start_time'
        END AS _column,
        CASE WHEN cost_text IS NULL THEN 'the cost is missing; export the rows again with it'
             WHEN cost IS NULL THEN 'the cost ' || left(cost_text, 40) || ' is not a number; correct it or export the rows again'
             WHEN credits IS NULL THEN 'the list of credits cannot be read, so the cost is not known; write it as JSON'
             WHEN bad_credits > 0 THEN 'the amount of a credit is missing or not a number, so the cost is not known'
             WHEN currency IS NULL THEN 'the currency is missing; a cost without it cannot be added to others'
             WHEN NOT regexp_full_match(currency, '[A-Z]{{3}}')
                 THEN 'the currency ' || left(currency, 40) || ' is not an ISO 4217 code such as USD'
             WHEN period_start IS NULL
                 THEN 'the billing period ' || coalesce(invoice_month, usage_start_text, '(empty)') || ' cannot be read; write YYYYMM'
             WHEN period_start NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01'
               OR usage_start NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01'
                 THEN 'the date lies outside 2006 to 2100; correct it or export the rows again'
        END AS _reason
    FROM dated
), parts AS (
    SELECT * EXCLUDE (part), part.credit AS credit, part.credit IS NULL AS is_line
    FROM (
        SELECT *, unnest([{{'credit': NULL}}]
            || CASE WHEN _reason IS NULL THEN list_transform(promotions, lambda c: {{'credit': c}}) ELSE [] END) AS part
        FROM judged
    )
), lines AS (
    SELECT *,
        CASE WHEN is_line THEN net ELSE try_cast(trim(credit.amount) AS {MONEY}) END AS billed,
        is_line AND is_fee AS is_purchase,
        CASE WHEN NOT is_line THEN 'Credit' WHEN cost_type = 'tax' THEN 'Tax'
             WHEN cost_type IN ('adjustment', 'rounding_error') THEN 'Adjustment'
             WHEN coalesce(cost_type, 'regular') <> 'regular' THEN 'Adjustment'
             WHEN is_fee THEN 'Purchase' ELSE 'Usage' END AS category
    FROM parts
    LEFT JOIN services ON lower(service) = lower(service_name)
    LEFT JOIN models ON description = model_sku
), tagged AS (
    SELECT *,
        list_transform(labels, lambda l: {{'k': l.key, 'v': l.value}})
        || list_transform(tags, lambda l: {{'k': l.key, 'v': l.value}})
        || list_transform(project_labels, lambda l: {{'k': l.key, 'v': l.value}})
        || list_transform(tags, lambda l: {{'k': 'tag/' || l.key, 'v': l.value}})
        || list_transform(project_labels, lambda l: {{'k': 'project/' || l.key, 'v': l.value}})
        || list_transform(system_labels, lambda l: {{'k': 'system/' || l.key, 'v': l.value}}) AS tag_entries,
        [{{'k': 'export_time', 'v': export_time}},
         {{'k': 'cost_before_credits', 'v': CASE WHEN is_line AND len(netted) > 0 THEN CAST(cost AS VARCHAR) END}},
         {{'k': 'credits', 'v': CASE WHEN is_line AND len(netted) > 0 THEN CAST(to_json(netted) AS VARCHAR) END}},
         {{'k': 'credit_id', 'v': credit.id}}, {{'k': 'currency_conversion_rate', 'v': conversion_rate}},
         {{'k': 'project.number', 'v': project_number}}, {{'k': 'consumption_model', 'v': consumption_model}},
         {{'k': 'transaction_type', 'v': transaction_type}}, {{'k': 'adjustment_info.id', 'v': adjustment}},
         {{'k': 'adjustment_info.type', 'v': adjustment_type}}, {{'k': 'adjustment_info.mode', 'v': adjustment_mode}},
         {{'k': 'adjustment_info.description', 'v': adjustment_description}}] AS other_entries,
        [{{'k': 'InstanceType', 'v': machine}}] AS sku_entries
    FROM lines
)
SELECT
    _row, _column, _reason,
    account AS BillingAccountId,
    currency AS BillingCurrency,
    period_start AS BillingPeriodStart,
    period_start + INTERVAL 1 MONTH AS BillingPeriodEnd,
    coalesce(usage_start, period_start) AS ChargePeriodStart,
    coalesce(usage_end, CASE WHEN usage_start IS NULL THEN period_start + INTERVAL 1 MONTH
        ELSE usage_start + INTERVAL 1 HOUR END) AS ChargePeriodEnd,
    CAST(billed AS {MONEY}) AS BilledCost,
    CAST(billed AS {MONEY}) AS EffectiveCost,
    CAST(CASE WHEN is_purchase THEN 0 WHEN is_line THEN coalesce(cost_at_list, cost) ELSE billed END AS {MONEY}) AS ListCost,
    CAST(CASE WHEN is_purchase THEN 0 WHEN is_line THEN coalesce(cost_at_default, cost) ELSE billed END AS {MONEY}) AS ContractedCost,
    CASE WHEN category = 'Usage' THEN list_price END AS ListUnitPrice,
    CASE WHEN category = 'Usage' THEN effective_price END AS ContractedUnitPrice,
    CASE WHEN category IN ('Usage', 'Purchase') THEN priced END AS PricingQuantity,
    CASE WHEN category IN ('Usage', 'Purchase') THEN priced_unit END AS PricingUnit,
    CASE WHEN category = 'Purchase' THEN 'Standard'
         WHEN category <> 'Usage' THEN NULL
         WHEN len(commitment_credits) > 0 OR lower(consumption_model) <> 'default' THEN 'Committed'
         WHEN regexp_matches(description, '\\b(spot|preemptible)\\b', 'i') THEN 'Dynamic' ELSE 'Standard' END AS PricingCategory,
    CASE WHEN category = 'Usage' THEN used END AS ConsumedQuantity,
    CASE WHEN category = 'Usage' THEN used_unit END AS ConsumedUnit,
    category AS ChargeCategory,
    CASE WHEN adjustment_type LIKE '%\\_CORRECTION' ESCAPE '\\' AND period_start > date_trunc('month', usage_start)
         THEN 'Correction' END AS ChargeClass,
    CASE WHEN is_line THEN description ELSE coalesce(credit.full_name, credit.name, credit.id, 'Promotion') END AS ChargeDescription,
    CASE category WHEN 'Usage' THEN 'Usage-Based' WHEN 'Purchase' THEN 'Recurring' ELSE 'One-Time' END AS ChargeFrequency,
    CASE WHEN NOT is_line THEN NULL WHEN subscription IS NOT NULL OR lower(consumption_model) <> 'default'
           OR upper(commitment_credits[1].type) LIKE '%DOLLAR_BASE' THEN 'Spend'
         WHEN is_purchase OR len(commitment_credits) > 0 THEN 'Usage' END AS CommitmentDiscountCategory,
    CASE WHEN is_line THEN coalesce(subscription, commitment_credits[1].id) END AS CommitmentDiscountId,
    CASE WHEN is_line THEN coalesce(commitment_credits[1].full_name, commitment_credits[1].name) END AS CommitmentDiscountName,
    CASE WHEN category = 'Usage' AND len(commitment_credits) > 0 THEN 'Used' END AS CommitmentDiscountStatus,
    'Google Cloud' AS InvoiceIssuerName,
    CASE WHEN lower(transaction_type) LIKE 'third%party%' THEN coalesce(seller, 'Google Cloud') ELSE 'Google Cloud' END
        AS ServiceProviderName,
    'Google Cloud' AS HostProviderName,
    coalesce(service_category, 'Other') AS ServiceCategory,
    service AS ServiceName,
    sku AS SkuId,
    nullif({json_object("sku_entries", unique=True)}, '{{}}') AS SkuPriceDetails,
    region AS RegionId,
    zone AS AvailabilityZone,
    resource AS ResourceId,
    resource_name AS ResourceName,
    project AS SubAccountId,
    project_name AS SubAccountName,
    {json_object("tag_entries")} AS Tags,
    'gcp-export' AS x_Source,
    _row AS x_RowNumber,
    CASE WHEN is_line THEN coalesce(cost_type, 'regular') ELSE 'credit:' || credit.type END AS x_RawLineItemType,
    machine AS x_UsageType,
    model AS x_Model,
    direction AS x_TokenDirection,
    cache_action AS x_CacheAction,
    CASE WHEN is_purchase THEN 'as billed: commitment fee not spread' ELSE 'as billed' END AS x_EffectiveCostMethod,
    false AS x_Excluded,
    nullif({json_object("other_entries", unique=True)}, '{{}}') AS x_Other
FROM tagged"""


def _service_categories() -> list[tuple[str, str]]:
    with (DATA / "gcp_services.csv").open(encoding="utf-8", newline="") as stream:
        return [(row["service"], row["service_category"]) for row in csv.DictReader(stream)]


def _literal(value: str | None) -> str:
    return "NULL::VARCHAR" if value is None else sql_text(value)
