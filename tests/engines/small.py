"""A store small enough for a cluster in a test: a few thousand calls of the demo company, with its bills, and odd cases beside them."""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from warehouse.configuration import Configuration
from warehouse.intake import Extraction
from warehouse.loading import Loading
from warehouse.reader import open_current
from warehouse.store import Store

_DRAWN = {
    "calls": "SELECT * FROM calls WHERE hash(coalesce(session_id, call_id)) % 600 = 0",
    "charges": "SELECT * FROM charges WHERE ChargePeriodStart >= TIMESTAMP '2026-03-25'",
    "activity": "SELECT * FROM activity WHERE hash(user_id) % 20 = 0",
    "revenue": "SELECT * FROM revenue",
    "utilization": "SELECT * FROM utilization WHERE hour >= TIMESTAMP '2026-04-01'",
}
ODD_CALLS = """
    SELECT * REPLACE ('odd-' || call_id AS call_id, NULL AS reported_cost, NULL AS priced_cost, NULL AS cost, 'unknown' AS cost_basis,
        NULL AS price_id,       'mystery-1' AS model, 'mystery-1' AS model_raw, CASE WHEN hash(call_id) % 2 = 0 THEN NULL ELSE feature END AS feature)
    FROM calls WHERE hash(coalesce(session_id, call_id)) % 600 = 0 AND hash(call_id) % 40 = 0
"""
"""Calls of a model that nobody has a price for, some without a feature."""


def small_store(demo: Path, path: Path) -> Path:
    """Write the store at `path`; answers with `path`."""
    source = open_current(demo, Configuration(), threads=1)
    with Loading(Store(path), Configuration(), demo=True) as loading:
        for table, select in _DRAWN.items():
            query = f"{select} UNION ALL {ODD_CALLS}" if table == "calls" else select
            rows = source.connection.sql(query).to_arrow_table()
            loading.connection.register("drawn", rows)
            loading.connection.execute(f"CREATE TEMP TABLE drawn_{table} AS SELECT * FROM drawn")
            loading.connection.unregister("drawn")
            digest = hashlib.sha256(table.encode()).hexdigest()
            loading.add(Extraction("demo", table, "demo", f"demo-{table}", digest, f"SELECT * FROM drawn_{table}"))
        loading.commit()
    return path


def differences(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Where two frames differ: names, types of values and values, decimals to the last digit, binary fractions to the twelfth digit.

    Sums of binary fractions depend on the order of adding, which no engine promises.
    """
    if list(one.columns) != list(other.columns) or len(one) != len(other):
        return [f"{list(one.columns)} x {len(one)} against {list(other.columns)} x {len(other)}"]
    return [
        f"{name}[{place}]: {left!r} against {right!r}"
        for name in one.columns
        for place, (left, right) in enumerate(zip(one[name], other[name], strict=True))
        if not _same(left, right)
    ]


def _same(left: Any, right: Any) -> bool:
    if _nothing(left) or _nothing(right):
        return _nothing(left) and _nothing(right)
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) <= 1e-12 * max(abs(left), abs(right))
    exact = Decimal | datetime | bool
    if isinstance(left, exact) or isinstance(right, exact):
        return type(left) is type(right) and left == right
    return bool(left == right)


def _nothing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)
