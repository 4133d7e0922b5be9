"""Small synthetic extractions for tests of the warehouse: rows as literals, no files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from warehouse.intake import Extraction


def _text(value: object) -> str:
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def charge_lines(
    lines: Sequence[tuple[str, str, str, str]],
    *,
    file: str = "bill.csv",
    account: str = "111122223333",
    source: str = "focus",
    provider: str = "AWS",
    currency: str = "USD",
    delivery: str | None = None,
) -> Extraction:
    """Billing lines from (start 'YYYY-MM-DD HH:MM', service, resource, cost): one hour each, effective = billed = list."""
    rows = ", ".join(
        f"({row}, TIMESTAMP '{start}', {_text(service)}, {_text(resource)}, {cost}::DECIMAL(38,12))"
        for row, (start, service, resource, cost) in enumerate(lines, 1)
    )
    query = f"""
        SELECT _row, NULL::VARCHAR AS _column, NULL::VARCHAR AS _reason, '{account}' AS BillingAccountId, '{currency}' AS BillingCurrency,
               date_trunc('month', moment) AS BillingPeriodStart, date_trunc('month', moment) + INTERVAL 1 MONTH AS BillingPeriodEnd,
               moment AS ChargePeriodStart, moment + INTERVAL 1 HOUR AS ChargePeriodEnd, cost AS BilledCost, cost AS EffectiveCost,
               cost AS ListCost, cost AS ContractedCost, 'Usage' AS ChargeCategory, '{provider}' AS ServiceProviderName,
               service AS ServiceName, resource AS ResourceId, '{source}' AS x_Source
        FROM (VALUES {rows}) t(_row, moment, service, resource, cost)"""
    digest = hashlib.sha256((query + file).encode()).hexdigest()
    return Extraction("focus", "charges", source, file, digest, query, delivery=delivery)


def call_rows(
    calls: Sequence[tuple[str, str, str | None, str | None]],
    *,
    file: str = "calls.jsonl",
    source: str = "litellm",
    model: str = "gpt-4o",
    tokens: tuple[int, int] = (1000, 100),
) -> Extraction:
    """Calls from (call id, start 'YYYY-MM-DD HH:MM:SS', feature, reported cost)."""
    rows = ", ".join(
        f"({row}, {_text(call_id)}, TIMESTAMP '{start}', {_text(feature)}, {cost or 'NULL'}::DECIMAL(18,10))"
        for row, (call_id, start, feature, cost) in enumerate(calls, 1)
    )
    query = f"""
        SELECT _row, NULL::VARCHAR AS _column, NULL::VARCHAR AS _reason, call_id, '{source}' AS source, moment AS started_at, feature,
               'openai' AS provider, '{model}' AS model_raw, 'chat' AS operation, 'standard' AS processing, 'success' AS status,
               {tokens[0]}::BIGINT AS uncached_input_tokens, 0::BIGINT AS cache_read_tokens, {tokens[1]}::BIGINT AS output_tokens,
               cost AS reported_cost
        FROM (VALUES {rows}) t(_row, call_id, moment, feature, cost)"""
    digest = hashlib.sha256((query + file).encode()).hexdigest()
    return Extraction("litellm", "calls", source, file, digest, query)
