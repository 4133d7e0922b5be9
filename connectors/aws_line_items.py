"""What each AWS line item means in FOCUS: the mapping of line item types, as one query.

Sources: AWS data dictionaries of CUR and CUR 2.0, the FOCUS 1.2 text on discounts and commitments, and the CID framework's summary view.

| line item type | charge category | billed | effective |
|---|---|---|---|
| Usage | Usage | net, else unblended | as billed |
| SavingsPlanCoveredUsage | Usage, commitment used | 0 | Savings Plan effective cost |
| SavingsPlanNegation | dropped, see below | | |
| SavingsPlanRecurringFee | Purchase + a row `:Unused` where commitment is left | as unblended / 0 | 0 / commitment - used |
| SavingsPlanUpfrontFee | Purchase | as unblended | 0 |
| DiscountedUsage | Usage, commitment used | as unblended (0) | reservation effective cost |
| RIFee | Purchase + a row `:Unused` where hours are left | as unblended / 0 | 0 / unused upfront + unused recurring |
| Fee | Purchase | as unblended | 0 with a reservation, else as billed |
| Tax, Credit | Tax, Credit | as unblended | as billed |
| Refund | of what is refunded | as unblended | as billed; 0 for Savings Plans |
| ...Discount | Usage | net, else unblended, else 0 where net costs hold the discount already | as billed |
| FlatRateSubscription | Purchase | as unblended | as billed |
| anything else | Adjustment | as unblended | as billed |

**No money is lost**: sum(net, else unblended) of the rows kept = sum(BilledCost). Covered usage and its negation cancel per account,
interval, usage type and Savings Plan, so the first is billed 0 and the second dropped; where a group does not cancel (a file that is a part
of a delivery, or a provider's error) its remainder is one more row `SavingsPlanNegation:Unpaired`, so that parts of a split group cancel when
they meet. Split-cost rows repeat their parent's cost: they are kept with x_Excluded, out of every sum. Where the amortisation columns are
absent, fees and what they cover count as billed, and x_EffectiveCostMethod says so.

ListCost is what the usage costs on demand; commitment fees and unused rows have list 0, or savings would count twice.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from connectors.aws_columns import MAPS, MONEY, Columns
from connectors.bedrock import TokenLine
from connectors.entries import json_object
from connectors.files import sql_text
from warehouse.configuration import DATA

DISCOUNTS = ("EdpDiscount", "PrivateRateDiscount", "BundledDiscount", "SppDiscount", "RiVolumeDiscount", "Discount")
USAGE = ("Usage", "SavingsPlanCoveredUsage", "SavingsPlanNegation", "DiscountedUsage")
PURCHASES = ("SavingsPlanRecurringFee", "SavingsPlanUpfrontFee", "RIFee", "Fee", "FlatRateSubscription")
KNOWN_TYPES = (*USAGE, *PURCHASES, *DISCOUNTS, "Tax", "Credit", "Refund")
SPLIT_OPERATIONS = ("EKSPod-EC2", "ECSTask-EC2")
AMORTISED_RESERVATIONS = (
    "reservation_effective_cost",
    "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_recurring_fee",
)
AMORTISED_SAVINGS_PLANS = (
    "savings_plan_savings_plan_effective_cost",
    "savings_plan_total_commitment_to_date",
    "savings_plan_used_commitment",
)
KNOWN_PREFIXES = (
    "bill_", "line_item_", "product_", "pricing_", "reservation_", "savings_plan_", "identity_", "split_line_item_",
    "resource_tags_", "cost_category_",
)  # fmt: skip
KEPT_ASIDE = (
    "bill_bill_type", "bill_billing_entity", "line_item_operation", "line_item_legal_entity", "line_item_tax_type",
    "line_item_user_identifier", "pricing_term", "pricing_purchase_option", "pricing_offering_class", "pricing_lease_contract_length",
    "savings_plan_payment_option", "savings_plan_purchase_term", "split_line_item_split_usage", "split_line_item_split_usage_ratio",
    "split_line_item_split_cost", "split_line_item_unused_cost", "discount",
)  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """What had to be known of the whole file before its rows can be mapped.

    `net_in_use`: net costs differ from unblended ones, so separate discount rows are in them already. `unpaired`: first row
    and remainder of each Savings Plan group that does not cancel. `models`: usage type and product name of Bedrock lines, read.
    """

    net_in_use: bool = False
    unpaired: Sequence[tuple[int, Decimal]] = ()
    models: dict[tuple[str | None, str | None], TokenLine] = field(default_factory=dict)


def typed_rows(columns: Columns, source: str) -> str:
    """The file's rows with one name and one type per column (`source` is the expression that reads them)."""
    interval = columns.text("identity_time_interval")
    c = columns
    return f"""
SELECT
    CAST(_row AS BIGINT) AS _row,
    {c.text("line_item_line_item_type") if c.has("line_item_line_item_type") else "'Usage'"} AS line_type,
    {c.text("line_item_operation")} IN ({_list(SPLIT_OPERATIONS)}) IS TRUE AS is_split,
    {c.text("line_item_unblended_cost")} AS cost_text,
    {c.money("line_item_unblended_cost")} AS cost,
    {c.money("line_item_net_unblended_cost")} AS net,
    upper({c.text("line_item_currency_code")}) AS currency,
    {c.moment("bill_billing_period_start_date")} AS bill_start,
    {c.moment("bill_billing_period_end_date")} AS bill_end,
    coalesce({c.moment("line_item_usage_start_date")},
             CAST(try_cast(split_part({interval}, '/', 1) AS TIMESTAMPTZ) AS TIMESTAMP)) AS usage_start,
    coalesce({c.moment("line_item_usage_end_date")},
             CAST(try_cast(split_part({interval}, '/', 2) AS TIMESTAMPTZ) AS TIMESTAMP)) AS usage_end,
    {interval} AS time_interval,
    {c.text("bill_payer_account_id")} AS payer,
    {c.text("bill_payer_account_name")} AS payer_name,
    {c.text("line_item_usage_account_id")} AS account,
    {c.text("line_item_usage_account_name")} AS account_name,
    {c.text("bill_invoice_id")} AS invoice,
    {c.text("bill_invoicing_entity", "bill_billing_entity")} AS issuer,
    {c.text("bill_billing_entity")} AS billing_entity,
    {c.text("line_item_legal_entity")} AS seller,
    {c.text("line_item_product_code")} AS product_code,
    {c.text("product_product_name", "product_servicename")} AS product_name,
    {c.text("line_item_usage_type")} AS usage_type,
    {c.text("line_item_line_item_description")} AS description,
    {c.text("line_item_tax_type")} AS tax_type,
    {c.text("line_item_resource_id")} AS resource,
    {c.text("line_item_availability_zone")} AS zone,
    {c.text("line_item_iam_principal")} AS principal,
    {c.money("line_item_usage_amount")} AS usage_amount,
    try_cast({c.text("line_item_unblended_rate")} AS DECIMAL(38,15)) AS rate,
    {c.text("pricing_unit")} AS unit,
    {c.money("pricing_public_on_demand_cost")} AS list_cost,
    try_cast({c.text("pricing_public_on_demand_rate")} AS DECIMAL(38,15)) AS list_rate,
    {c.text("pricing_rate_code", "pricing_rate_id")} AS rate_code,
    {c.text("product_sku")} AS sku,
    {c.text("product_region_code", "product_region")} AS region,
    {c.text("product_location")} AS region_name,
    {c.text("product_product_family")} AS family,
    {c.text("reservation_reservation_a_r_n")} AS reservation,
    {c.money("reservation_net_effective_cost", "reservation_effective_cost")} AS reservation_cost,
    {c.money("reservation_net_unused_amortized_upfront_fee_for_billing_period", AMORTISED_RESERVATIONS[1])} AS unused_upfront,
    {c.money("reservation_net_unused_recurring_fee", AMORTISED_RESERVATIONS[2])} AS unused_recurring,
    {c.text("savings_plan_savings_plan_a_r_n")} AS plan,
    {c.text("savings_plan_offering_type")} AS plan_type,
    {c.money("savings_plan_net_savings_plan_effective_cost", AMORTISED_SAVINGS_PLANS[0])} AS plan_cost,
    {c.money("savings_plan_total_commitment_to_date")} AS plan_commitment,
    {c.money("savings_plan_used_commitment")} AS plan_used,
    {c.money("split_line_item_net_split_cost", "split_line_item_split_cost")} AS split_cost,
    {c.money("split_line_item_net_unused_cost", "split_line_item_unused_cost")} AS split_unused,
    {c.text("split_line_item_parent_resource_id")} AS split_parent,
    {c.tag_entries()} AS tag_entries,
    {c.entries(_sku_details(c))} AS sku_entries,
    {c.entries({name: c.whole(name) for name in _kept_aside(c)})} AS other_entries
FROM {source}"""


def unpaired_groups(typed: str) -> str:
    """Savings Plan groups whose covered usage and negation do not cancel: first row, remainder.

    A remainder under a millionth is the rounding of single rows to twelve digits, and none.
    """
    return f"""
SELECT min(_row), sum(coalesce(net, cost))
FROM ({typed})
WHERE line_type IN ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') AND NOT is_split AND cost IS NOT NULL
GROUP BY payer, account, currency, coalesce(time_interval, CAST(usage_start AS VARCHAR)), usage_type, plan
HAVING abs(sum(coalesce(net, cost))) >= 0.000001
ORDER BY 1"""


def charges_query(columns: Columns, source: str, findings: Findings) -> str:
    """The file's charges (columns of warehouse.schema.CHARGES, and `_row`, `_column`, `_reason`)."""
    plans = all(columns.has(name) for name in AMORTISED_SAVINGS_PLANS)
    reservations = all(columns.has(name) for name in AMORTISED_RESERVATIONS)
    plan_fees = "'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee'"
    amortised_fees = ", ".join(filter(None, [plan_fees if plans else "", "'RIFee'" if reservations else ""])) or "''"
    known = ", ".join(f"({sql_text(code)}, {sql_text(name)})" for code, name in _service_categories())
    models = ", ".join(
        f"({_literal(usage)}, {_literal(name)}, {_literal(line.model)}, {_literal(line.direction)}, {_literal(line.cache_action)})"
        for (usage, name), line in findings.models.items()
    )
    remainders = ", ".join(f"({row}, CAST('{amount}' AS {MONEY}))" for row, amount in findings.unpaired)
    names = {key: columns.actual.get(name, name) for key, name in _BLAMED.items()}
    return f"""
WITH typed AS ({typed_rows(columns, source)}
), services(service_code, service_category) AS (VALUES {known}
), models(model_usage_type, model_product_name, model, direction, cache_action) AS (
    VALUES {models or "(NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR)"}
), remainders(remainder_row, remainder) AS (VALUES {remainders or f"(NULL::BIGINT, NULL::{MONEY})"}
), judged AS (
    SELECT *,
        coalesce(bill_start, date_trunc('month', usage_start)) AS period_start,
        CASE WHEN line_type IN ({_list(DISCOUNTS)}) AND {findings.net_in_use} THEN coalesce(net, 0) ELSE coalesce(net, cost) END AS amount,
        CASE WHEN line_type = 'RIFee' AND {reservations} THEN coalesce(unused_upfront, 0) + coalesce(unused_recurring, 0)
             WHEN line_type = 'SavingsPlanRecurringFee' AND {plans} THEN greatest(plan_commitment - plan_used, 0)
        END AS unused,
        CASE WHEN cost_text IS NULL THEN {sql_text(names["cost"])}
             WHEN cost IS NULL THEN {sql_text(names["cost"])}
             WHEN currency IS NULL OR NOT regexp_full_match(currency, '[A-Z]{{3}}') THEN {sql_text(names["currency"])}
             WHEN coalesce(bill_start, usage_start) IS NULL
               OR coalesce(bill_start, usage_start) NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01'
               OR usage_start NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01' THEN {sql_text(names["period"])}
        END AS _column,
        CASE WHEN cost_text IS NULL THEN 'the cost is missing; export the file again with this column'
             WHEN cost IS NULL THEN 'the cost ' || left(cost_text, 40) || ' is not a number; correct it or export the file again'
             WHEN currency IS NULL THEN 'the currency is missing; a cost without it cannot be added to others'
             WHEN NOT regexp_full_match(currency, '[A-Z]{{3}}')
               THEN 'the currency ' || left(currency, 40) || ' is not an ISO 4217 code such as USD'
             WHEN coalesce(bill_start, usage_start) IS NULL
               THEN 'neither a billing period nor a usage date can be read; correct the dates or export the file again'
             WHEN coalesce(bill_start, usage_start) NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01'
               OR usage_start NOT BETWEEN TIMESTAMP '2006-01-01' AND TIMESTAMP '2100-01-01'
               THEN 'the date lies outside 2006 to 2100; correct it or export the file again'
        END AS _reason
    FROM typed
), parts AS (
    SELECT judged.*, remainders.remainder, models.model, models.direction, models.cache_action, services.service_category,
        unnest(
            CASE WHEN _reason IS NOT NULL OR is_split THEN ['line']
                 ELSE list_filter([
                    CASE WHEN line_type IS DISTINCT FROM 'SavingsPlanNegation' THEN 'line' END,
                    CASE WHEN unused <> 0 THEN 'unused' END,
                    CASE WHEN remainder IS NOT NULL THEN 'unpaired' END
                 ], lambda p: p IS NOT NULL)
            END) AS part
    FROM judged
    LEFT JOIN remainders ON _row = remainder_row
    LEFT JOIN models ON usage_type IS NOT DISTINCT FROM model_usage_type AND product_name IS NOT DISTINCT FROM model_product_name
    LEFT JOIN services ON product_code = service_code
), kinds AS (
    SELECT *,
        (part = 'line' AND line_type IN ({_list(USAGE)})) IS TRUE AS is_usage,
        (line_type IN ('SavingsPlanCoveredUsage', 'SavingsPlanNegation', {plan_fees})) IS TRUE AS of_plan,
        (line_type IN ('DiscountedUsage', 'RIFee') OR (line_type = 'Fee' AND reservation IS NOT NULL)) IS TRUE AS of_reservation,
        (part = 'line' AND (line_type IN ({plan_fees}, 'RIFee') OR (line_type = 'Fee' AND reservation IS NOT NULL))) IS TRUE
            AS is_commitment_fee,
        (line_type = 'Refund' AND product_code LIKE '%SavingsPlans') IS TRUE AS is_plan_refund,
        regexp_extract(lower(unit), '^(1k|1m|1000|1000000|)\\s*tokens?$', 1) AS token_unit,
        CASE WHEN part = 'unused' THEN 'Usage'
             WHEN part = 'unpaired' THEN 'Adjustment'
             WHEN line_type IN ({_list((*USAGE, *DISCOUNTS))}) THEN 'Usage'
             WHEN line_type IN ({_list(PURCHASES)}) THEN 'Purchase'
             WHEN line_type IN ('Tax', 'Credit') THEN line_type
             WHEN line_type = 'Refund' THEN CASE WHEN tax_type IS NOT NULL THEN 'Tax'
                 WHEN product_code LIKE '%SavingsPlans' OR usage_type LIKE '%HeavyUsage%' THEN 'Purchase' ELSE 'Usage' END
             ELSE 'Adjustment' END AS category,
        CASE WHEN part = 'unused' THEN 0
             WHEN part = 'unpaired' THEN remainder
             WHEN line_type = 'SavingsPlanCoveredUsage' AND NOT is_split THEN 0
             ELSE amount END AS billed
    FROM parts
)
SELECT
    _row, _column, _reason,
    payer AS BillingAccountId,
    payer_name AS BillingAccountName,
    currency AS BillingCurrency,
    period_start AS BillingPeriodStart,
    coalesce(CASE WHEN bill_start IS NOT NULL THEN {_exclusive("bill_end")} END, period_start + INTERVAL 1 MONTH) AS BillingPeriodEnd,
    coalesce(usage_start, period_start) AS ChargePeriodStart,
    coalesce({_exclusive("usage_end")}, CASE WHEN usage_start IS NULL THEN period_start + INTERVAL 1 MONTH
        ELSE usage_start + INTERVAL 1 HOUR END) AS ChargePeriodEnd,
    CAST(billed AS {MONEY}) AS BilledCost,
    CAST(CASE WHEN is_split THEN split_cost + coalesce(split_unused, 0)
         WHEN part = 'unused' THEN unused
         WHEN part = 'unpaired' THEN {"0" if plans else "remainder"}
         WHEN line_type = 'SavingsPlanCoveredUsage' THEN {"plan_cost" if plans else "billed"}
         WHEN line_type = 'DiscountedUsage' THEN {"reservation_cost" if reservations else "billed"}
         WHEN line_type IN ({amortised_fees}) THEN 0
         WHEN line_type = 'Fee' AND reservation IS NOT NULL AND {reservations} THEN 0
         WHEN is_plan_refund AND {plans} THEN 0
         ELSE billed END AS {MONEY}) AS EffectiveCost,
    CAST(CASE WHEN part <> 'line' OR is_commitment_fee OR line_type IN ({_list(DISCOUNTS)}) THEN 0
         WHEN line_type = 'DiscountedUsage' THEN list_cost
         WHEN is_usage THEN coalesce(nullif(list_cost, 0), cost)
         ELSE amount END AS {MONEY}) AS ListCost,
    CAST(CASE WHEN part <> 'line' OR is_commitment_fee THEN 0
         WHEN line_type = 'DiscountedUsage' THEN list_cost
         WHEN line_type = 'SavingsPlanCoveredUsage' THEN cost
         ELSE amount END AS {MONEY}) AS ContractedCost,
    CASE WHEN is_usage THEN list_rate END AS ListUnitPrice,
    CASE WHEN is_usage AND line_type <> 'DiscountedUsage' THEN rate END AS ContractedUnitPrice,
    CASE WHEN is_usage OR category = 'Purchase' THEN usage_amount END AS PricingQuantity,
    CASE WHEN is_usage OR category = 'Purchase' THEN unit END AS PricingUnit,
    CASE WHEN line_type IN ('SavingsPlanCoveredUsage', 'DiscountedUsage') OR part = 'unused' THEN 'Committed'
         WHEN NOT is_usage THEN CASE WHEN category = 'Purchase' THEN 'Standard' END
         WHEN usage_type LIKE '%Spot%' THEN 'Dynamic' ELSE 'Standard' END AS PricingCategory,
    CASE WHEN is_usage THEN CAST(usage_amount * CASE WHEN direction IS NULL THEN 1
        WHEN token_unit IN ('1k', '1000') THEN 1000 WHEN token_unit IN ('1m', '1000000') THEN 1000000 ELSE 1 END AS {MONEY}) END AS ConsumedQuantity,
    CASE WHEN is_usage THEN CASE WHEN direction IS NOT NULL AND lower(unit) LIKE '%token%' THEN 'Tokens' ELSE unit END END AS ConsumedUnit,
    category AS ChargeCategory,
    CASE WHEN line_type = 'Refund' AND usage_start < period_start THEN 'Correction' END AS ChargeClass,
    description AS ChargeDescription,
    CASE WHEN category = 'Usage' THEN 'Usage-Based'
         WHEN line_type IN ('RIFee', 'SavingsPlanRecurringFee', 'FlatRateSubscription') AND part = 'line' THEN 'Recurring'
         ELSE 'One-Time' END AS ChargeFrequency,
    CASE WHEN of_plan THEN 'Spend' WHEN of_reservation THEN 'Usage' END AS CommitmentDiscountCategory,
    CASE WHEN of_plan THEN plan WHEN of_reservation THEN reservation END AS CommitmentDiscountId,
    CASE WHEN of_plan THEN plan_type WHEN of_reservation THEN 'Reserved Instance' END AS CommitmentDiscountType,
    CASE WHEN part = 'unused' THEN 'Unused'
         WHEN part = 'line' AND line_type IN ('SavingsPlanCoveredUsage', 'DiscountedUsage') THEN 'Used' END AS CommitmentDiscountStatus,
    invoice AS InvoiceId,
    issuer AS InvoiceIssuerName,
    CASE WHEN billing_entity = 'AWS Marketplace' AND NOT contains(lower(coalesce(product_name, '')), 'bedrock')
         THEN coalesce(seller, 'AWS') ELSE 'AWS' END AS ServiceProviderName,
    'AWS' AS HostProviderName,
    CASE WHEN contains(lower(coalesce(product_code, '') || coalesce(product_name, '')), 'bedrock') THEN 'AI and Machine Learning'
         ELSE coalesce(service_category, 'Other') END AS ServiceCategory,
    coalesce(product_name, product_code) AS ServiceName,
    sku AS SkuId,
    rate_code AS SkuPriceId,
    nullif({json_object("sku_entries", unique=True)}, '{{}}') AS SkuPriceDetails,
    region AS RegionId,
    region_name AS RegionName,
    zone AS AvailabilityZone,
    CASE WHEN part = 'unused' THEN CASE WHEN of_plan THEN plan ELSE reservation END
         WHEN is_split THEN coalesce(split_parent, resource) ELSE resource END AS ResourceId,
    family AS ResourceType,
    account AS SubAccountId,
    account_name AS SubAccountName,
    {json_object("tag_entries", unique=not columns.tags_may_repeat)} AS Tags,
    CASE WHEN is_split THEN 'AWS split cost allocation data' END AS AllocatedMethodId,
    CASE WHEN is_split THEN resource END AS AllocatedResourceId,
    'aws-cur' AS x_Source,
    _row AS x_RowNumber,
    CASE part WHEN 'unused' THEN line_type || ':Unused' WHEN 'unpaired' THEN 'SavingsPlanNegation:Unpaired' ELSE line_type END AS x_RawLineItemType,
    usage_type AS x_UsageType,
    model AS x_Model,
    direction AS x_TokenDirection,
    cache_action AS x_CacheAction,
    principal AS x_Principal,
    CASE WHEN is_split THEN 'split cost and unused share'
         WHEN part = 'unused' THEN 'unused commitment'
         WHEN (of_plan AND NOT {plans}) OR (of_reservation AND NOT {reservations}) THEN 'as billed: no amortisation columns'
         WHEN line_type = 'SavingsPlanCoveredUsage' THEN 'Savings Plan effective cost'
         WHEN line_type = 'DiscountedUsage' THEN 'reservation effective cost'
         WHEN is_commitment_fee OR is_plan_refund THEN 'amortised on what it covers'
         ELSE 'as billed' END AS x_EffectiveCostMethod,
    is_split AS x_Excluded,
    nullif({json_object("other_entries", unique=True)}, '{{}}') AS x_Other
FROM kinds"""


_BLAMED = {
    "cost": "line_item_unblended_cost",
    "currency": "line_item_currency_code",
    "period": "bill_billing_period_start_date",
}


def _exclusive(end: str) -> str:
    """An end that AWS writes as the last second of a day or an hour, as the exclusive one after it."""
    return f"CASE WHEN minute({end}) = 59 AND second({end}) = 59 THEN date_trunc('second', {end}) + INTERVAL 1 SECOND ELSE {end} END"


def _sku_details(columns: Columns) -> dict[str, str]:
    names = {
        "InstanceType": "product_instance_type",
        "CoreCount": "product_vcpu",
        "MemorySize": "product_memory",
        "GpuCount": "product_gpu",
        "OperatingSystem": "product_operating_system",
    }
    return {key: columns.text(name) for key, name in names.items() if columns.has(name) or columns.has("product")}


def _kept_aside(columns: Columns) -> list[str]:
    unknown = [
        name
        for name in columns.actual
        if not name.startswith(KNOWN_PREFIXES)
        and name not in MAPS
        and name not in ("year", "month", "_row", "billing_period")
    ]
    return [*(name for name in KEPT_ASIDE if columns.has(name)), *unknown]


def _service_categories() -> list[tuple[str, str]]:
    with (DATA / "aws_services.csv").open(encoding="utf-8", newline="") as stream:
        return [(row["product_code"], row["service_category"]) for row in csv.DictReader(stream)]


def _list(values: Sequence[str]) -> str:
    return ", ".join(map(sql_text, values))


def _literal(value: str | None) -> str:
    return "NULL::VARCHAR" if value is None else sql_text(value)
