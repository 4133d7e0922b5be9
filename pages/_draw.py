"""Everything that a page draws with, in one import: `from pages import _draw as draw`."""

from __future__ import annotations

from pages._charts import Series, cost_chart, describe_costs, mode, series_from
from pages._metrics import Metric, metric_row
from pages._palette import category_colours, series_colours
from pages._states import empty_result, empty_store, failure, guard, guarded, loading
from pages._tables import Column, Prepared, download, prepared, table
from pages._text import headline, plain, section

__all__ = [
    "Column",
    "Metric",
    "Prepared",
    "Series",
    "category_colours",
    "cost_chart",
    "describe_costs",
    "download",
    "empty_result",
    "empty_store",
    "failure",
    "guard",
    "guarded",
    "headline",
    "loading",
    "metric_row",
    "mode",
    "plain",
    "prepared",
    "section",
    "series_colours",
    "series_from",
    "table",
]
