"""Roll-ups: additive daily sums that pages read instead of single calls and billing lines.

Days are cut in the reporting time zone. Every measure is additive, so that a day that lies in two monthly files (at the edge of a
UTC month) is simply the sum of both. They lie in the same file as the facts they sum, written in the same load.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from warehouse.categories import category_expression
from warehouse.configuration import Configuration
from warehouse.schema import DIMENSIONS, TOKEN_CLASSES

CALL_KEYS = (
    "source", "provider", "billing_account_id", "model", "operation", "processing", "status", "cost_basis", "cache_hit",
    *DIMENSIONS,
)  # fmt: skip

CHARGE_KEYS = (
    "x_Source", "BillingAccountId", "SubAccountId", "SubAccountName", "ServiceProviderName", "ServiceCategory", "ServiceName",
    "x_CostCategory", "x_Model", "x_TokenDirection", "ChargeCategory", "ChargeClass", "BillingCurrency", "BillingPeriodStart",
    "RegionId",
)  # fmt: skip


def local_date(column: str, zone: str) -> str:
    """SQL for the day, in a time zone, of a UTC timestamp column."""
    if zone == "UTC":
        return f"CAST({column} AS DATE)"
    return f"CAST(({column} AT TIME ZONE 'UTC') AT TIME ZONE '{zone}' AS DATE)"


WHOLE_DAYS = "date_diff('second', ChargePeriodStart, coalesce(ChargePeriodEnd, ChargePeriodStart)) >= 86400"
"""SQL for whether a billing line covers a day or more, so that the provider itself cut its days, in UTC."""


def charge_date(zone: str) -> str:
    """SQL for the day of a billing line.

    Lines of less than a day are cut in the reporting time zone. A line that covers a day or more was cut by the provider already, in
    UTC, and keeps its calendar date: moving it would put whole days into the wrong month.
    """
    return (
        f"CASE WHEN {WHOLE_DAYS} THEN CAST(ChargePeriodStart AS DATE) ELSE {local_date('ChargePeriodStart', zone)} END"
    )


PROVIDER_NAMES = (
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("amazon|aws", "aws"),
    ("google|gcp", "google"),
    ("microsoft|azure", "azure"),
)
"""Patterns over a bill's provider name and the provider id that traces use for it."""


def provider_id() -> str:
    """SQL for the provider id, as traces write it, of a billing line."""
    name = "lower(coalesce(ServiceProviderName, InvoiceIssuerName))"
    cases = " ".join(
        f"WHEN regexp_matches({name}, '{pattern}') THEN '{provider}'" for pattern, provider in PROVIDER_NAMES
    )
    return f"CASE {cases} ELSE {name} END"


def tag_value(keys: tuple[str, ...]) -> str:
    """SQL for the first of these tag keys that a billing line's `Tags` has; NULL when it has none."""
    paths = ['$."' + key.replace("'", "''").replace('"', "") + '"' for key in keys]
    found = ", ".join(f"nullif(json_extract_string(Tags, '{path}'), '')" for path in paths)
    return f"coalesce({found})" if len(paths) > 1 else found


def calls_daily(configuration: Configuration, calls: str = "calls") -> str:
    """SELECT for `calls_daily`: one row per day and CALL_KEYS with calls, tokens by class, costs, conversions and revenue.

    `date` is the day in the reporting time zone, `utc_date` the day in UTC, by which bills of whole days are cut.
    `cost` sums what is known; `unpriced_calls` counts the calls whose cost is not. `usage_calls` reported their tokens.
    """
    day = local_date("started_at", configuration.reporting_time_zone)
    tokens = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in TOKEN_CLASSES)
    any_token = "coalesce(" + ", ".join(TOKEN_CLASSES) + ")"
    return f"""
        SELECT {day} AS date, CAST(started_at AS DATE) AS utc_date, {", ".join(CALL_KEYS)},
            count(*) AS calls,
            count({any_token}) AS usage_calls,
            {tokens},
            sum(cost) AS cost, sum(reported_cost) AS reported_cost, sum(priced_cost) AS priced_cost,
            count(*) FILTER (cost IS NULL) AS unpriced_calls,
            sum(saved_cost) AS saved_cost,
            sum(latency_ms) AS latency_ms, count(latency_ms) AS latency_calls,
            CAST(sum(CASE WHEN converted THEN 1 WHEN NOT converted THEN 0 END) AS BIGINT) AS conversions,
            count(converted) AS conversion_calls,
            sum(revenue) AS revenue, count(revenue) AS revenue_calls,
            min(started_at) AS first_at, max(started_at) AS last_at
        FROM {calls}
        GROUP BY ALL
        ORDER BY date
    """


def user_days(configuration: Configuration, calls: str = "calls") -> str:
    """SELECT for `user_days`: one row per day, user, tier and feature with calls and known cost."""
    day = local_date("started_at", configuration.reporting_time_zone)
    return f"""
        SELECT {day} AS date, user_id, user_tier, feature, count(*) AS calls, sum(cost) AS cost
        FROM {calls} WHERE user_id IS NOT NULL GROUP BY ALL ORDER BY date
    """


def charges_daily(configuration: Configuration, charges: str = "charges", lines: str | None = None) -> str:
    """SELECT for `charges_daily`: one row per day, CHARGE_KEYS, provider id, tags and finality with exact sums by cost basis.

    `lines` are the single lines as a SELECT or view like `charge_lines` (default: those of `charges`).

    `whole_days` says that the line covers a day or more, so that its `date` is a day in UTC; `covered_to` is its last day in UTC.

    Excluded lines (split-cost detail) are left out. `effective_unknown` and `list_unknown` count lines without that cost.
    """
    return f"""
        SELECT date, {", ".join(CHARGE_KEYS)}, provider, {", ".join(DIMENSIONS)}, InvoiceId IS NOT NULL AS is_final,
            coalesce({WHOLE_DAYS}, false) AS whole_days,
            count(*) AS lines,
            sum(BilledCost) AS billed, sum(EffectiveCost) AS effective, sum(ListCost) AS list, sum(ContractedCost) AS contracted,
            count(*) FILTER (EffectiveCost IS NULL) AS effective_unknown,
            count(*) FILTER (ListCost IS NULL) AS list_unknown,
            CAST(max(coalesce(ChargePeriodEnd, ChargePeriodStart) - INTERVAL 1 MICROSECOND) AS DATE) AS covered_to
        FROM {lines or f"({charge_lines(configuration, charges)})"}
        GROUP BY ALL
        ORDER BY date
    """


def charge_lines(configuration: Configuration, charges: str = "charges") -> str:
    """SELECT for `charge_lines`: the single billing lines that `charges_daily` sums, with the same `date`, provider id and dimensions.

    Not stored: a view for what a roll-up cannot keep, such as resources and commitments.
    """
    return f"""
        SELECT *, {charge_date(configuration.reporting_time_zone)} AS date, {provider_id()} AS provider,
            {_tagged_dimensions(configuration)}
        FROM {charges} WHERE NOT coalesce(x_Excluded, false)
    """


def _tagged_dimensions(configuration: Configuration) -> str:
    return ", ".join(f"{tag_value(configuration.tag_keys[name])} AS {name}" for name in DIMENSIONS)


def categorised(configuration: Configuration, charges: str) -> str:
    """SELECT over the billing lines of a SELECT with the cost category that the rules of this configuration give them."""
    category = category_expression(configuration.category_rules)
    return f"SELECT * REPLACE (CAST({category} AS VARCHAR) AS x_CostCategory) FROM ({charges})"


ROLLUPS: dict[str, dict[str, Callable[[Configuration, str], str]]] = {
    "calls": {"calls_daily": calls_daily, "user_days": user_days},
    "charges": {"charges_daily": charges_daily},
}
"""Roll-ups by the table whose file they lie in."""


def rollup_key(configuration: Configuration) -> str:
    """Changes whenever stored roll-ups would be cut, classified or defined differently now: readers then cut them afresh, and the
    next load rewrites them."""
    rules = configuration.category_rules
    parts = [rules.read_text(encoding="utf-8") if rules.exists() else ""]
    parts += [select(configuration, table) for table, rollups in ROLLUPS.items() for select in rollups.values()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
