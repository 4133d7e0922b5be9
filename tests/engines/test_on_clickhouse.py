"""Every view and all that simulators prepare, on DuckDB and on ClickHouse's engine: the same, decimals to the last digit."""

from __future__ import annotations

from datetime import date

import pytest

from analytics.filters import Filters
from analytics.views import VIEWS
from tests.engines.same import CHECKS, Check
from tests.engines.small import differences
from warehouse.reader import Warehouse

WEEKS = Filters(
    date(2026, 4, 1), date(2026, 4, 30), grain="week", basis="billed", where=(("provider", ("openai", "anthropic")),)
)


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_view(at_home: Warehouse, clickhouse: Warehouse, view: str) -> None:
    """Of some providers by week, as billed; what everything says by day is compared to the byte in `test_exports`."""
    assert differences(VIEWS[view].answer(at_home, WEEKS), VIEWS[view].answer(clickhouse, WEEKS)) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_else_is_asked(at_home: Warehouse, clickhouse: Warehouse, check: Check) -> None:
    check(at_home, clickhouse)
