"""Small warehouses from a handful of facts written down in a test: no files, no loading, only what the question needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from warehouse.configuration import Configuration
from warehouse.reader import Warehouse
from warehouse.rollups import ROLLUPS
from warehouse.schema import TABLES
from warehouse.store import Store

Fact = Mapping[str, Any]


def moment(day: str, clock: str = "12:00") -> datetime:
    """A UTC time."""
    return datetime.fromisoformat(f"{day} {clock}")


def call(day: str, cost: str | None, **columns: Any) -> dict[str, Any]:
    """One successful chat call of 1,000 input and 100 output tokens, at noon UTC unless `clock` says otherwise."""
    known = cost is not None
    return {
        "source": "calls",
        "started_at": moment(day, columns.pop("clock", "12:00")),
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat",
        "processing": "standard",
        "status": "success",
        "feature": "search",
        "uncached_input_tokens": 1000,
        "output_tokens": 100,
        "cost": Decimal(cost) if known else None,
        "priced_cost": Decimal(cost) if known else None,
        "cost_basis": "priced" if known else "unknown",
        **columns,
    }


def charge(day: str, cost: str | None, **columns: Any) -> dict[str, Any]:
    """One billing line of OpenAI for a whole UTC day (or `days` days) where billed, effective and list are the same."""
    amount = None if cost is None else Decimal(cost)
    start = columns.pop("start", moment(day, "00:00"))
    return {
        "BillingAccountId": "org-1",
        "BillingCurrency": "USD",
        "BillingPeriodStart": start.replace(day=1, hour=0, minute=0),
        "ChargePeriodStart": start,
        "ChargePeriodEnd": columns.pop("end", start + timedelta(days=columns.pop("days", 1))),
        "BilledCost": amount,
        "EffectiveCost": amount,
        "ListCost": amount,
        "ChargeCategory": "Usage",
        "ServiceProviderName": "OpenAI",
        "ServiceName": "OpenAI API",
        "x_Source": "focus",
        "x_CostCategory": "LLM API",
        **columns,
    }


def warehouse_of(
    calls: Iterable[Fact] = (),
    charges: Iterable[Fact] = (),
    configuration: Configuration | None = None,
    **others: Iterable[Fact],
) -> Warehouse:
    """An open warehouse, in memory, that holds exactly these facts; `others` are further canonical tables by name."""
    configuration = configuration or Configuration()
    warehouse = Warehouse(Store(Path("no-such-store")), None, configuration, threads=1)
    for table, facts in {"calls": calls, "charges": charges, **others}.items():
        for number, fact in enumerate(facts):
            row = {"call_id": f"c{number}", **fact} if table == "calls" else dict(fact)
            unknown = set(row) - set(TABLES[table].names)
            assert not unknown, f"{table} has no {unknown}"
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" for _ in row)
            warehouse.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
    for base, rollups in ROLLUPS.items():
        for name, select in rollups.items():
            warehouse.connection.execute(f"CREATE OR REPLACE TABLE {name} AS {select(configuration, base)}")
    return warehouse


def day(text: str) -> date:
    """A date from its ISO form."""
    return date.fromisoformat(text)
