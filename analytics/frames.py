"""From an expression to plain rows, and from rows to a frame that keeps them as they are.

Frames are of dtype object: amounts stay `Decimal`, counts stay `int`, days stay `date` and "not known" stays None, whatever stands beside
it in the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ibis.expr.types as ir
import numpy as np
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
    # As one block of cells: column by column, a frame of a dozen rows took 0.4 ms.
    cells = np.empty((len(records), len(columns)), dtype=object)
    for number, name in enumerate(columns):
        # An iterator, because numpy would take a list of lists for a table.
        cells[:, number] = np.fromiter((row.get(name) for row in records), dtype=object, count=len(records))
    return pd.DataFrame(cells, columns=pd.Index(list(columns)), dtype=object)


def name_order(value: str | None) -> tuple[bool, str]:
    """Sort key of a name: alphabetical, missing names last."""
    return value is None, value or ""
