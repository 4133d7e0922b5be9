"""Billing lines of the demo company: what all of them have in common, and their way into a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from connectors.demo.story import Story
from warehouse.schema import CHARGES

MICRO = Decimal("0.000001")
Line = dict[str, Any]


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """First instant of a month YYYY-MM and of the next one, UTC."""
    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=32)).replace(day=1)
    return datetime(first.year, first.month, 1), datetime(following.year, following.month, 1)


def line(
    story: Story,
    start: datetime,
    end: datetime,
    *,
    provider: str,
    cost: Decimal,
    list_cost: Decimal | None = None,
    tags: Mapping[str, str] | None = None,
    **columns: Any,
) -> Line:
    """One usage line: billed, effective and contracted cost are the same; the list price is at least that."""
    period_start, period_end = month_bounds(start.strftime("%Y-%m"))
    return {
        "BillingAccountId": story.raw["company"]["account"],
        "BillingAccountName": story.raw["company"]["name"],
        "BillingCurrency": "USD",
        "BillingPeriodStart": period_start,
        "BillingPeriodEnd": period_end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ContractedCost": cost,
        "ListCost": cost if list_cost is None else list_cost,
        "PricingCategory": "Standard",
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "InvoiceId": f"DEMO-{provider.split(maxsplit=1)[0].upper()}-{start:%Y-%m}",
        "InvoiceIssuerName": provider,
        "ServiceProviderName": provider,
        "HostProviderName": provider,
        "Tags": None if tags is None else json.dumps(dict(tags), sort_keys=True),
        "x_Source": "demo",
        "x_EffectiveCostMethod": "as billed",
    } | columns


def charges_table(connection: duckdb.DuckDBPyConnection, lines: Iterable[Line]) -> str:
    """Write billing lines to a temp table with the columns that they have; answers its name."""
    found = list(lines)
    used = {name for one in found for name in one}
    names = [column.name for column in CHARGES.columns if column.name in used]
    arrays = []
    for name in names:
        kind = CHARGES.by_name[name].type
        if kind.startswith("DECIMAL"):
            digits, places = kind.removeprefix("DECIMAL(").removesuffix(")").split(",")
            arrow: pa.DataType = pa.decimal128(int(digits), int(places))
        else:
            arrow = pa.timestamp("us") if kind == "TIMESTAMP" else pa.string()
        arrays.append(pa.array([one.get(name) for one in found], type=arrow))
    connection.register("demo_lines", pa.table(arrays, names=names))
    connection.execute("CREATE OR REPLACE TEMP TABLE demo_charges AS SELECT * FROM demo_lines")
    connection.unregister("demo_lines")
    return "demo_charges"
