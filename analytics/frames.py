"""From an expression to plain rows, and from rows to a frame that keeps them as they are.

Frames are of dtype object: amounts stay `Decimal`, counts stay `int`, days stay `date` and "not known" stays None, whatever stands beside
it in the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from warehouse.reader import Warehouse

Row = dict[str, Any]


def rows_of(warehouse: Warehouse, expression: ir.Table) -> list[Row]:
    """The answer as dicts with exact Python values; NULL is None."""
    rows: list[Row] = warehouse.arrow(expression).to_pylist()
    return rows


def frame_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A frame with exactly these columns, in the order of the rows; a key that a row lacks is None."""
    records = list(rows)
    return pd.DataFrame({name: pd.Series([row.get(name) for row in records], dtype=object) for name in columns})


def name_order(value: str | None) -> tuple[bool, str]:
    """Sort key of a name: alphabetical, missing names last."""
    return value is None, value or ""
