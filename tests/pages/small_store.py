"""A small store with known figures, written as the loader writes one: three months, three categories, three features.

Every day costs the same, so that any sum is a multiplication: see `DAILY`.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb

from warehouse.schema import CALLS, CHARGES, META_TABLES
from warehouse.store import FactFile, Snapshot, Store

MONTHS = ("2026-03", "2026-04", "2026-05")

DAILY = {"LLM API": Decimal("200.10"), "GPU inference": Decimal("44.50"), "Vector database": Decimal("26.45")}
"""What each category costs on each of the 92 days from 1 March to 31 May 2026, USD, billed and effective."""

LIST_FACTOR = 2
"""List cost is twice the billed cost."""

FEATURES = ("search", "summarize", "support_chat")
CALLS_PER_DAY = 24
"""One call per hour, features in turn, 0.01 USD each; the 24th call of a day has no feature and no known cost."""


def build(path: Path, *, demo: bool = True, months: tuple[str, ...] = MONTHS) -> Snapshot:
    """Write a store at `path` and publish it as its current snapshot."""
    store = Store(path)
    with store.writing() as writer:
        files: list[FactFile] = []
        for month in months:
            for table, rows in ((CHARGES, _charges(month)), (CALLS, _calls(month))):
                scratch = store.scratch / f"{table.name}-{month}.duckdb"
                with duckdb.connect(str(scratch)) as connection:
                    connection.execute(table.ddl())
                    connection.execute(f"INSERT INTO {table.name} BY NAME {rows}")
                    count = connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()
                files.append(writer.adopt(scratch, table.name, month, count[0] if count else 0))
        scratch = store.scratch / "meta.duckdb"
        with duckdb.connect(str(scratch)) as connection:
            for table in META_TABLES:
                connection.execute(table.ddl())
        files.append(writer.adopt(scratch, "meta", "", 0))
        # No reader's roll-up key is "none": readers then compute the roll-ups from the rows themselves.
        return writer.publish(files, rollup_key="none", demo=demo)


def _days(month: str) -> str:
    first = f"TIMESTAMP '{month}-01'"
    return f"range({first}, {first} + INTERVAL 1 MONTH, INTERVAL 1 DAY) AS d(day)"


def _charges(month: str) -> str:
    services = {"LLM API": "OpenAI", "GPU inference": "Amazon Web Services", "Vector database": "Pinecone"}
    # Readers classify lines of other rules again, so each line has to be what its category says.
    usage = {"GPU inference": "'BoxUsage:p4d.24xlarge'"}
    parts = [
        f"""SELECT 'account-1' AS BillingAccountId, 'USD' AS BillingCurrency, TIMESTAMP '{month}-01' AS BillingPeriodStart,
                TIMESTAMP '{month}-01' + INTERVAL 1 MONTH AS BillingPeriodEnd,
                day AS ChargePeriodStart, day + INTERVAL 1 DAY AS ChargePeriodEnd,
                {amount}::DECIMAL(38,12) AS BilledCost, {amount}::DECIMAL(38,12) AS EffectiveCost,
                ({amount} * {LIST_FACTOR})::DECIMAL(38,12) AS ListCost, 'Usage' AS ChargeCategory,
                '{services[category]}' AS ServiceProviderName, '{services[category]}' AS ServiceName,
                '{{"team": "ai", "project": "assistant", "env": "prod"}}' AS Tags, 'demo' AS x_Source,
                {usage.get(category, "NULL")}::VARCHAR AS x_UsageType, '{category}' AS x_CostCategory, FALSE AS x_Excluded FROM {_days(month)}"""
        for category, amount in DAILY.items()
    ]
    return " UNION ALL ".join(parts)


def _calls(month: str) -> str:
    names = ", ".join(f"'{name}'" for name in FEATURES)
    return f"""SELECT 'call-' || strftime(day, '%Y%m%d') || '-' || hour AS call_id, 'demo' AS source,
            day + to_hours(hour) AS started_at, 'assistant' AS project,
            CASE WHEN hour < 23 THEN [{names}][hour % 3 + 1] END AS feature, 'ai' AS team, 'prod' AS env,
            CASE WHEN hour % 2 = 0 THEN 'free' ELSE 'pro' END AS user_tier, 'openai' AS provider, 'gpt-4o' AS model,
            'chat' AS operation, 'standard' AS processing, 'success' AS status, 1000 AS uncached_input_tokens,
            200 AS output_tokens, CASE WHEN hour < 23 THEN 0.01::DECIMAL(18,10) END AS cost,
            CASE WHEN hour < 23 THEN 'reported' ELSE 'unknown' END AS cost_basis
        FROM {_days(month)}, range(0, {CALLS_PER_DAY}) AS h(hour)"""
