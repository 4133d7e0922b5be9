"""The benchmarks on a few thousand calls, end to end: what they compare is equal and right. Times are never judged."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from benchmarks.__main__ import main
from benchmarks.answers import DifferentAnswersError, compare, ordered
from benchmarks.catalogue import BILL_LINES, DAYS, MODELS, TOP_FEATURE, UNITS
from benchmarks.generate import Dataset, generate
from benchmarks.questions import TITLES, engines, make_dated_prices
from benchmarks.questions_pandas import Frames
from connectors.intake import load_paths
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store

CALLS = 4000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A few thousand generated calls and the bill."""
    return generate(tmp_path_factory.mktemp("benchmark") / "data", CALLS)


@pytest.fixture(scope="module")
def files(dataset: Dataset) -> duckdb.DuckDBPyConnection:
    """The generated files, read without any of our own code: `calls` and `bill`."""
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW calls AS FROM read_parquet('{dataset.calls}/*.parquet')")
    connection.execute(f"CREATE VIEW bill AS FROM read_csv('{dataset.bill}', all_varchar = true)")
    return connection


@pytest.fixture(scope="module")
def warehouse(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The generated files in a store."""
    store = tmp_path_factory.mktemp("benchmark-store") / "store"
    load_paths(Store(store), Configuration(), [dataset.calls, dataset.bill])
    opened = open_current(store, Configuration())
    make_dated_prices(opened)
    return opened


@pytest.fixture(scope="module")
def frames(warehouse: Warehouse) -> Frames:
    """The store's rows as pandas frames."""
    return Frames(warehouse.connection.cursor())


def test_the_manifest_says_what_the_files_hold(dataset: Dataset, files: duckdb.DuckDBPyConnection) -> None:
    select = "SELECT count(*), count(DISTINCT call_id), count(DISTINCT started_at), count(reported_cost), sum(reported_cost) FROM calls"
    ((rows, ids, times, reported, cost),) = files.execute(select).fetchall()
    assert (rows, ids, times) == (CALLS, CALLS, CALLS)
    assert (reported, cost) == (dataset.reported_calls, Decimal(dataset.reported_units) / UNITS)
    assert len(list(dataset.calls.iterdir())) == DAYS
    assert files.execute("SELECT count(*) FROM bill").fetchall() == [(DAYS * len(BILL_LINES),)]


def test_generated_costs_are_tokens_times_prices(files: duckdb.DuckDBPyConnection) -> None:
    prices = {model.name: model for model in MODELS}
    rows = files.execute(
        "SELECT model, processing, uncached_input_tokens, cache_read_tokens, coalesce(output_tokens, 0), reported_cost FROM calls "
        "WHERE reported_cost IS NOT NULL"
    ).fetchall()
    for name, processing, uncached, cached, output, cost in rows:
        model = prices[name]
        units = uncached * model.input + cached * model.cached + output * model.output
        assert cost * UNITS == (units // 2 if processing == "batch" else units)
    assert {model.name for model in MODELS if model.priced} >= {row[0] for row in rows}


def test_the_same_number_of_calls_is_the_same_data(dataset: Dataset, tmp_path: Path) -> None:
    again = generate(tmp_path / "again", CALLS)
    for path in sorted(dataset.calls.iterdir()):
        assert pq.read_table(path).equals(pq.read_table(again.calls / path.name))
    assert dataset.bill.read_bytes() == again.bill.read_bytes()


@pytest.mark.parametrize("question", list(TITLES))
def test_all_engines_answer_alike(question: str, warehouse: Warehouse, frames: Frames) -> None:
    answers = {engine: function() for engine, function in engines(warehouse, frames, question).items()}
    compare(question, answers)


def test_answers_are_those_of_the_files(warehouse: Warehouse, frames: Frames, files: duckdb.DuckDBPyConnection) -> None:
    """What the files themselves say, for answers that do not depend on prices: calls, users, repeated inputs, sums of the bill."""

    def answer(question: str) -> list[tuple[object, ...]]:
        return ordered(engines(warehouse, frames, question)["Percall"]())

    users = files.execute(
        "SELECT CAST(started_at AS DATE), count(DISTINCT user_id) FROM calls GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert [(row[0], row[2]) for row in answer("Q3")] == users
    calls = files.execute("SELECT feature, count(*) FROM calls GROUP BY 1 ORDER BY 1 NULLS LAST").fetchall()
    by_feature: dict[object, int] = {}
    for row in answer("Q5"):
        by_feature[row[0]] = by_feature.get(row[0], 0) + row[2]  # type: ignore[operator]
    assert by_feature == dict(calls)
    ((distinct,),) = files.execute(
        f"SELECT count(DISTINCT user_id) FROM calls WHERE feature = '{TOP_FEATURE}'"
    ).fetchall()
    assert len(answer("Q7")) == min(100, distinct)
    days = (
        "SELECT input_hash, count(*) FILTER (CAST(started_at AS DATE) > first) AS again FROM calls JOIN "
        "(SELECT input_hash, min(CAST(started_at AS DATE)) AS first FROM calls GROUP BY 1) USING (input_hash) "
        "WHERE operation = 'embeddings' GROUP BY 1"
    )
    ((again,),) = files.execute(f"SELECT sum(again) FROM ({days})").fetchall()
    assert again > 0
    assert sum(row[1] for row in answer("Q8")) == again  # type: ignore[misc]


def test_a_digit_that_differs_is_an_error() -> None:
    right = [("search", Decimal("1.0000000001")), (None, Decimal(2))]
    compare("Q", {"one": right, "other": list(reversed(right))})
    with pytest.raises(DifferentAnswersError, match=r"Q: other says .*1\.0000000002"):
        compare("Q", {"one": right, "other": [("search", Decimal("1.0000000002")), (None, Decimal(2))]})
    with pytest.raises(DifferentAnswersError, match="other has 1 rows, one 2"):
        compare("Q", {"one": right, "other": right[:1]})
    with pytest.raises(DifferentAnswersError, match="no row"):
        compare("Q", {"one": [], "other": []})


@pytest.mark.slow
def test_a_whole_run_writes_the_page_and_leaves_nothing_behind(tmp_path: Path) -> None:
    page, folder = tmp_path / "benchmarks.md", tmp_path / "work"
    main(["--calls", "2000", "--repeats", "1", "--folder", str(folder), "--output", str(page)])
    text = page.read_text()
    for heading in ("## Loading", "## Ten questions", "## Pages"):
        assert heading in text
    assert re.findall(r"\n\| (Q\d+) ", text) == list(TITLES)
    assert "2,000 calls" in text
    assert str(tmp_path) not in text
    assert list(tmp_path.iterdir()) == [page]
