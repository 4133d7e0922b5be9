"""Every view and all that simulators prepare, on DuckDB and on a Spark cluster of a master and two workers: the same, decimals to the last digit.
Pages and files too: of each kind one, or all of them (see `AS_OWNERS_DO`).

All that asks the cluster is in this file: test processes that run side by side start one cluster, not several. What ends the cluster comes last.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.views import VIEWS
from tests.engines.commands import (
    a_report_is_the_same_file,
    a_scenario_is_the_same,
    a_view_is_the_same_file,
    costs_are_the_same_file,
)
from tests.engines.conftest import Cluster, as_owners_do
from tests.engines.same import APRIL, CHECKS, MAY_BE_EMPTY, Check
from tests.engines.small import differences
from tests.engines.test_pages import SCRIPTS, Drawn, drawn
from warehouse.configuration import Configuration
from warehouse.engines.spark_executors import WAITS
from warehouse.errors import StoreError
from warehouse.reader import Warehouse, open_current

PAGES = SCRIPTS if as_owners_do() else ["inform/overview.py", "inform/unit_economics.py", "optimize/routing.py"]
FILES = list(VIEWS) if as_owners_do() else ["features", "margins"]


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_view(at_home: Warehouse, spark: Warehouse, view: str) -> None:
    expected = VIEWS[view].answer(at_home, APRIL)
    assert differences(expected, VIEWS[view].answer(spark, APRIL)) == []
    assert len(expected) or view in MAY_BE_EMPTY


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_else_is_asked(at_home: Warehouse, spark: Warehouse, check: Check) -> None:
    check(at_home, spark)


@pytest.fixture(scope="module")
def here(store: Path) -> Drawn:
    """The pages as DuckDB on this machine has them."""
    return drawn(store, None, PAGES)


@pytest.fixture(scope="module")
def there(store: Path, spark: Warehouse, cluster: Cluster) -> Drawn:
    """The pages as Spark has them."""
    assert spark
    return drawn(store, cluster.configured, PAGES)


@pytest.mark.parametrize("script", PAGES)
def test_a_page_says_the_same(script: str, here: Drawn, there: Drawn) -> None:
    assert there[script] == here[script]
    assert sum(map(len, here[script])) > 200


@pytest.mark.parametrize("view", FILES)
def test_a_view_is_the_same_file(view: str, store: Path, spark: Warehouse, cluster: Cluster) -> None:
    assert spark
    a_view_is_the_same_file(view, store, cluster.configured)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_costs_in_every_format(form: str, store: Path, spark: Warehouse, cluster: Cluster) -> None:
    assert spark
    costs_are_the_same_file(form, "feature,model", store, cluster.configured)


def test_a_scenario(store: Path, spark: Warehouse, cluster: Cluster, tmp_path: Path) -> None:
    assert spark
    a_scenario_is_the_same(store, cluster.configured, tmp_path)


def test_a_report_in_one_file(store: Path, spark: Warehouse, cluster: Cluster, tmp_path: Path) -> None:
    assert spark
    a_report_is_the_same_file(store, cluster.configured, tmp_path)


def test_a_cluster_without_workers_is_said(spark: Warehouse, cluster: Cluster) -> None:
    """A question does not wait without limit; one that is asked later says the same."""
    from pyspark.sql import SparkSession

    cluster.end_workers()
    SparkSession.active().sparkContext._conf.set(WAITS, "2s")
    for _ in range(2):
        with pytest.raises(
            StoreError, match=r"spark://127\.0\.0\.1:\d+ has no worker for this question, and none came within 2 s"
        ):
            VIEWS["charges"].answer(spark, APRIL)


def test_a_session_that_is_lost_is_begun_anew(
    store: Path, at_home: Warehouse, spark: Warehouse, cluster: Cluster
) -> None:
    """Java's side of it ends, as when a cluster gives the application up: one question fails in words, the next is answered. Without a cluster, as
    nothing of this is the workers'."""
    from pyspark.sql import SparkSession

    assert spark
    SparkSession.active().stop()
    entries = {**cluster.configuration.engine, "url": "local[1]"}
    there = open_current(store, Configuration(engine=entries))
    SparkSession.active()._jsparkSession.stop()
    with pytest.raises(StoreError, match=r"Spark at local\[1\] does not answer"):
        VIEWS["costs"].answer(there, APRIL)
    expected = VIEWS["costs"].answer(at_home, APRIL)
    assert differences(expected, VIEWS["costs"].answer(there, APRIL)) == []
