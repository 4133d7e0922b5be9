"""Every view and all that simulators prepare, on DuckDB and on a Spark cluster of a master and two workers: the same, decimals to the last digit.

All that asks the cluster is in this file: test processes that run side by side start one cluster, not several.
"""

from __future__ import annotations

import pytest

from analytics.views import VIEWS
from tests.engines.same import APRIL, CHECKS, MAY_BE_EMPTY, Check
from tests.engines.small import differences
from warehouse.errors import StoreError
from warehouse.reader import Warehouse


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_view(at_home: Warehouse, spark: Warehouse, view: str) -> None:
    expected = VIEWS[view].answer(at_home, APRIL)
    assert differences(expected, VIEWS[view].answer(spark, APRIL)) == []
    assert len(expected) or view in MAY_BE_EMPTY


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_else_is_asked(at_home: Warehouse, spark: Warehouse, check: Check) -> None:
    check(at_home, spark)


def test_a_session_that_is_lost_is_begun_anew(at_home: Warehouse, spark: Warehouse) -> None:
    """Java's side of it ends, as when the cluster gives the application up: one question fails in words, the next is answered."""
    from pyspark.sql import SparkSession

    SparkSession.active()._jsparkSession.stop()
    with pytest.raises(StoreError, match=r"Spark at spark://127\.0\.0\.1:\d+ does not answer"):
        VIEWS["costs"].answer(spark, APRIL)
    expected = VIEWS["costs"].answer(at_home, APRIL)
    assert differences(expected, VIEWS["costs"].answer(spark, APRIL)) == []
