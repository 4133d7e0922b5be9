"""Every view and all that simulators prepare, on DuckDB and on a Spark cluster of a master and two workers: the same, decimals to the last digit.
Pages and files too: one of each kind, or all of them (see `EVERYTHING`). Views are compared as frames or as files.

All that asks the cluster is in this file: test processes that run side by side start one cluster, not several. What ends the cluster comes last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import ibis
import pytest

from analytics.views import VIEWS
from tests.engines.commands import (
    a_report_is_the_same_file,
    a_scenario_is_the_same,
    a_view_is_the_same_file,
    costs_are_the_same_file,
)
from tests.engines.conftest import Cluster, everything
from tests.engines.drawing import SCRIPTS, Drawn, drawn, is_the_same
from tests.engines.same import APRIL, CHECKS, MAY_BE_EMPTY, Check
from tests.engines.small import differences
from warehouse.configuration import Configuration
from warehouse.engines.spark_executors import WAITS
from warehouse.engines.spark_session import SparkSessions
from warehouse.errors import StoreError
from warehouse.reader import Warehouse, open_current

PAGES = SCRIPTS if everything() else ["inform/overview.py", "inform/unit_economics.py", "optimize/routing.py"]
FILES = list(VIEWS) if everything() else ["features", "margins"]
COSTS = (
    [(form, by) for form in ("csv", "parquet") for by in ("", "feature,model")]
    if everything()
    else [("parquet", "feature,model")]
)


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in FILES])
def test_a_view(at_home: Warehouse, spark: Warehouse, view: str) -> None:
    expected = VIEWS[view].answer(at_home, APRIL)
    assert differences(expected, VIEWS[view].answer(spark, APRIL)) == []
    assert len(expected) or view in MAY_BE_EMPTY


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_else_is_asked(at_home: Warehouse, spark: Warehouse, check: Check) -> None:
    check(at_home, spark)


OVER_CONNECT = ("totals", "costs", "margins", "charges", "reconciliation")


@pytest.fixture(scope="module")
def over_connect(store: Path, spark: Warehouse, cluster: Cluster) -> Iterator[Warehouse]:
    """The same publication, asked over the network as with `sc://`, by a client without Java."""
    assert spark
    opened = open_current(store, cluster.connecting)
    yield opened
    from pyspark.sql.connect.session import SparkSession

    assert type(SparkSession.active()).__module__ == "pyspark.sql.connect.session"
    SparkSession.active().stop()


@pytest.mark.parametrize("view", OVER_CONNECT)
def test_a_view_over_connect(at_home: Warehouse, over_connect: Warehouse, view: str) -> None:
    """The ledger is there already: who comes later reads it."""
    expected = VIEWS[view].answer(at_home, APRIL)
    assert differences(expected, VIEWS[view].answer(over_connect, APRIL)) == []
    assert len(expected)


def test_a_refusal_over_connect(over_connect: Warehouse) -> None:
    missing = ibis.table({"a": "int64"}, name="no_such_table")
    with pytest.raises(StoreError, match=r"Spark at sc://127\.0\.0\.1:\d+ refused: .*no_such_table"):
        over_connect.arrow(missing)


@pytest.fixture(scope="module")
def pages_at_home(store: Path) -> Drawn:
    """The pages that are compared, as DuckDB on this machine has them."""
    return drawn(store, None, PAGES)


@pytest.fixture(scope="module")
def there(store: Path, spark: Warehouse, cluster: Cluster) -> Drawn:
    """The pages as Spark has them."""
    assert spark
    return drawn(store, cluster.configured, PAGES)


@pytest.mark.parametrize("script", PAGES)
def test_a_page_says_the_same(script: str, pages_at_home: Drawn, there: Drawn) -> None:
    is_the_same(script, there, pages_at_home)


@pytest.mark.parametrize("view", FILES)
def test_a_view_is_the_same_file(view: str, store: Path, spark: Warehouse, cluster: Cluster) -> None:
    assert spark
    a_view_is_the_same_file(view, store, cluster.configured)


@pytest.mark.parametrize(("form", "by"), COSTS)
def test_costs_in_a_format(form: str, by: str, store: Path, spark: Warehouse, cluster: Cluster) -> None:
    assert spark
    costs_are_the_same_file(form, by, store, cluster.configured)


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
    context = SparkSession.active().sparkContext
    # Executors outlive their workers for a moment, in which they still answer; the driver counts as one.
    for _ in range(300):
        if context._jsc.sc().getExecutorMemoryStatus().size() == 1:
            break
        time.sleep(0.1)
    context._conf.set(WAITS, "2s")
    for _ in range(2):
        with pytest.raises(
            StoreError, match=r"spark://127\.0\.0\.1:\d+ has no worker for this question, and none came within 2 s"
        ):
            VIEWS["charges"].answer(spark, APRIL)


def test_a_session_that_refuses_or_is_lost(store: Path, at_home: Warehouse, spark: Warehouse, cluster: Cluster) -> None:
    """It refuses in words and stays. Java's side of it ends, as when a cluster gives the application up: one question fails in words, the next is
    answered by a session that is begun anew. Without a cluster, as nothing of this is the workers'."""
    from pyspark.sql import SparkSession

    assert spark
    SparkSession.active().stop()
    entries = {**cluster.configuration.engine, "url": "local[1]"}
    there = open_current(store, Configuration(engine=entries))
    with pytest.raises(StoreError, match=r"lacks its connector to S3: .*hadoop-aws"):
        SparkSessions("local[1]", {}).ask(lambda session: session.read.schema("a INT").parquet("s3a://bucket/x"))
    with pytest.raises(StoreError, match=r"Spark at local\[1\] refused: .*[Uu]nknownHost"):
        SparkSessions("local[1]", {}).ask(
            lambda session: session.read.schema("a INT").parquet("hdfs://no-such-host.invalid/x")
        )
    SparkSession.active()._jsparkSession.stop()
    with pytest.raises(StoreError, match=r"Spark at local\[1\] does not answer"):
        VIEWS["costs"].answer(there, APRIL)
    expected = VIEWS["costs"].answer(at_home, APRIL)
    assert differences(expected, VIEWS["costs"].answer(there, APRIL)) == []
