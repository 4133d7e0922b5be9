"""The store's own records: loads, rejects, restatements and prices, as they are kept."""

from __future__ import annotations

import ibis
import pandas as pd

from analytics.filters import Filters, apply
from analytics.frames import frame_of, rows_of
from warehouse.reader import Warehouse
from warehouse.schema import LOADS, PRICES, RESTATEMENTS

REJECT_COLUMNS = ("load_id", "loaded_at", "kind", "source", "file", "row_number", "column_name", "reason")


def loads(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:  # noqa: ARG001 - every view takes filters
    """Every load, the newest first: columns of `loads` (warehouse.schema). The period does not apply: a load is no day."""
    table = warehouse.table("loads")
    ordered = table.order_by([ibis.desc("load_id"), "partition"])
    return frame_of(rows_of(warehouse, ordered), LOADS.names)


def rejects(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:  # noqa: ARG001 - every view takes filters
    """Every rejected row or file with where it was and what to do, the newest load first, then by file and row.

    Columns: load_id, loaded_at (UTC), kind, source, file, row_number (None: the whole file), column_name, reason. The period does not apply:
    a row that could not be read has no day.
    """
    table, of_load = warehouse.table("rejects"), warehouse.table("loads")
    of_load = of_load.select("load_id", "loaded_at", "kind", "source").distinct(on="load_id", keep="first")
    joined = table.left_join(of_load, "load_id").drop("load_id_right")
    ordered = joined.order_by([ibis.desc("load_id"), "file", "row_number", "column_name", "reason"])
    return frame_of(rows_of(warehouse, ordered), REJECT_COLUMNS)


def restatements(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:
    """Days of the period whose cost a later load changed, the latest change first.

    Columns of `restatements` (warehouse.schema) and `change` = cost_after - cost_before, effective cost in `currency`. Of the filters the
    period, feature, service, source and currency apply; others leave no row.
    """
    table = apply(warehouse.table("restatements"), filters)
    table = table.mutate(change=table.cost_after - table.cost_before)
    ordered = table.order_by(
        [ibis.desc("restated_at"), ibis.desc("load_id"), "date", "source", "service", "feature", "currency"]
    )
    return frame_of(rows_of(warehouse, ordered), (*RESTATEMENTS.names, "change"))


def prices(warehouse: Warehouse, filters: Filters) -> pd.DataFrame:  # noqa: ARG001 - every view takes filters
    """Every known price with its book, validity (UTC, end exclusive) and source: columns of `prices` (warehouse.schema).

    The period does not apply. `load_id` is None for the books that come with the product.
    """
    table = warehouse.table("prices")
    ordered = table.order_by(
        ["book", "provider", "model", "token_class", "processing", "context_from", "valid_from", "valid_to", "load_id"]
    )
    return frame_of(rows_of(warehouse, ordered), PRICES.names)
