"""Every view, on DuckDB and on each engine: the same frames, decimals to the last digit."""

from __future__ import annotations

import os
from datetime import date

import ibis
import pytest

from analytics.filters import Filters
from analytics.views import VIEWS
from tests.engines.small import differences
from warehouse.reader import Warehouse

APRIL = Filters(date(2026, 4, 10), date(2026, 5, 9))
WEEKS = Filters(
    date(2026, 4, 1), date(2026, 4, 30), grain="week", basis="billed", where=(("provider", ("openai", "anthropic")),)
)
ON_SPARK = "PERCALL_TEST_ON_SPARK"
"""Environment variable: ask a Spark cluster too, every view. It takes many minutes on two cores, and so is no part of the daily run."""

ENGINES = ("clickhouse", "spark") if os.environ.get(ON_SPARK) else ("clickhouse",)
MAY_BE_EMPTY = {"plans", "budgets", "fx", "rejects", "restatements"}
"""Views that the small store leaves empty: they are asked all the same, but prove little."""


@pytest.mark.parametrize("view", list(VIEWS))
def test_clickhouse_answers_as_duckdb(at_home: Warehouse, clickhouse: Warehouse, view: str) -> None:
    rows = 0
    for filters in (APRIL, WEEKS):
        expected = VIEWS[view].answer(at_home, filters)
        rows += len(expected)
        assert differences(expected, VIEWS[view].answer(clickhouse, filters)) == []
    assert rows or view in MAY_BE_EMPTY


if "spark" in ENGINES:

    @pytest.mark.parametrize("view", list(VIEWS))
    def test_a_spark_cluster_answers_as_duckdb(at_home: Warehouse, spark: Warehouse, view: str) -> None:
        assert differences(VIEWS[view].answer(at_home, APRIL), VIEWS[view].answer(spark, APRIL)) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_what_pages_ask_first(engine: str, at_home: Warehouse, request: pytest.FixtureRequest) -> None:
    there: Warehouse = request.getfixturevalue(engine)
    assert there.span() == at_home.span()
    assert (there.is_demo, there.is_empty, there.snapshot_id) == (True, False, at_home.snapshot_id)
    for name in ("feature", "team", "user_tier", "model", "provider"):
        assert there.dimension_values(name) == at_home.dimension_values(name)


@pytest.mark.parametrize("engine", ENGINES)
def test_shares_of_amounts_end_in_the_same_digit(
    engine: str, at_home: Warehouse, request: pytest.FixtureRequest
) -> None:
    """As the ledger splits a line: amounts as binary fractions, times a share, as decimals of twelve places; quotients and products too."""
    there: Warehouse = request.getfixturevalue(engine)

    def asked(warehouse: Warehouse) -> list[dict[str, object]]:
        lines = warehouse.table("charges")
        keys = ["x_Source", "x_RowNumber", "ServiceName", "ChargePeriodStart", "x_UsageType", "ResourceId"]
        lines = lines.filter(lines.BilledCost > 0).mutate(share=lines.BilledCost / 7_919)
        parts = {
            f"part_{factor}": (lines.BilledCost.cast("float64") * factor * lines.share).cast("decimal(38, 12)").sum()
            for factor in (1, 3, 977, 12_345)
        }
        rows = lines.group_by(keys).agg(
            **parts, product=(lines.BilledCost * lines.BilledCost).cast("decimal(38, 12)").sum()
        )
        return warehouse.arrow(
            rows.order_by([ibis.asc(key, nulls_first=True) for key in [*keys, "part_1"]])
        ).to_pylist()

    expected = asked(at_home)
    assert len(expected) > 100
    assert asked(there) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_exact_quantiles_and_distinct_counts(engine: str, at_home: Warehouse, request: pytest.FixtureRequest) -> None:
    there: Warehouse = request.getfixturevalue(engine)

    def asked(warehouse: Warehouse) -> dict[str, object]:
        calls = warehouse.table("calls")
        return warehouse.row(
            calls.agg(
                users=calls.user_id.nunique(), p95=calls.latency_ms.quantile(0.95), middle=calls.output_tokens.median(),
                blocks=calls.prefix_blocks.length().sum().cast("int64"),
            )
        )  # fmt: skip

    here, answers = asked(at_home), asked(there)
    assert answers["p95"] == pytest.approx(here["p95"], rel=1e-12)
    assert {**answers, "p95": None} == {**here, "p95": None}
