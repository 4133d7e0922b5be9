"""The benchmarks on a few thousand calls, end to end: what they compare is equal and right. Times are never judged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from benchmarks import load_floor, results
from benchmarks.__main__ import main
from benchmarks.answers import DifferentAnswersError, compare, ordered
from benchmarks.catalogue import BILL_LINES, DAYS, MODELS, TOP_FEATURE, UNITS
from benchmarks.generate import Dataset, generate
from benchmarks.measuring import Usage, measured
from benchmarks.peers import OWN, PEERS, Asked
from benchmarks.questions import measure_questions
from benchmarks.report import report
from benchmarks.report_questions import growth
from benchmarks.rows import Rows, write_rows
from benchmarks.ten import TITLES
from connectors.intake import load_paths
from warehouse.configuration import Configuration
from warehouse.schema import CALLS as CALLS_TABLE
from warehouse.store import Store

CALLS = 4000
PRESENT = [peer for peer in PEERS if peer.absent is None]


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
def rows(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The generated files in a store, and the store's rows as Parquet."""
    folder = tmp_path_factory.mktemp("benchmark-store")
    load_paths(Store(folder / "store"), Configuration(), [dataset.calls, dataset.bill])
    return write_rows(folder / "store", folder / "rows")


def test_the_floor_of_loading_writes_every_column_of_the_store(dataset: Dataset, rows: Rows, tmp_path: Path) -> None:
    """The same types, and what the files tell to the last bit; what a load finds out has stand-ins."""
    load_floor.write(dataset.calls, tmp_path / "floor.duckdb")
    snapshot = Store(rows.store).current()
    assert snapshot is not None
    with duckdb.connect(str(tmp_path / "floor.duckdb"), read_only=True) as connection:
        stored = []
        for place, file in enumerate(snapshot.of("calls")):
            connection.execute(f"ATTACH '{rows.store / 'facts' / file.name}' AS month{place} (READ_ONLY)")
            stored.append(f"FROM month{place}.calls")
        found_out = {*load_floor.STAND_INS, "model", "provider"}  # a load gives them their canonical names
        told = ", ".join(name for name in CALLS_TABLE.names if name not in found_out)
        select = f"SELECT count(*), bit_xor(hash({told})) FROM"
        floor = connection.execute(f"{select} calls").fetchall()
        assert floor == connection.execute(f"{select} ({' UNION ALL '.join(stored)}) AS stored").fetchall()
        types = "SELECT column_name, column_type FROM (DESCRIBE FROM {})"
        assert (
            connection.execute(types.format("calls")).fetchall()
            == connection.execute(types.format("month0.calls")).fetchall()
        )


def test_the_distance_from_the_floor_is_told_where_it_was_measured() -> None:
    def facts(seconds: float, cpu: float) -> dict[str, float]:
        return {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": 2**30, "rows": 1000, "bytes": 38_000}

    result = {"rows": 1000, "store_bytes": 85_000, "parquet": facts(3.0, 4.0)}
    part = {"machine": {"cores": "2"}, "result": result}
    assert "floor" not in report({1000: {"load": part}})
    page = report({1000: {"load": part | {"result": result | {"floor": facts(1.5, 2.5)}}}})
    assert "takes 1.60 times its CPU and 2.00 times its seconds" in page
    assert "DuckDB alone would write 800 calls/s" in page


@pytest.fixture(scope="module")
def peers(rows: Rows) -> Iterator[dict[str, Asked]]:
    """Every engine that is there, with the rows at hand."""
    with ExitStack() as stack:
        asked = {peer.name: stack.enter_context(Asked(peer, rows)) for peer in PRESENT}
        for one in asked.values():
            one.opened()
        yield asked


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
def test_all_engines_answer_alike(question: str, peers: dict[str, Asked]) -> None:
    compare(question, {name: peer.ask(question, exact=True)[1] for name, peer in peers.items()})


@pytest.mark.parametrize("name", [peer.name for peer in PRESENT])
def test_what_is_timed_is_the_answer(name: str, peers: dict[str, Asked]) -> None:
    """Up to the last digits of sums of doubles, where an engine keeps money as such."""
    usage, timed = peers[name].ask("Q1")
    exact = {row[:2]: row[2] for row in peers[name].ask("Q1", exact=True)[1]}
    found = {row[:2]: None if row[2] is None else float(row[2]) for row in timed}
    assert found == {
        key: None if cost is None else pytest.approx(float(cost), rel=1e-12) for key, cost in exact.items()
    }
    assert usage.seconds > 0
    assert usage.peak_bytes > 0


def test_a_peer_that_fails_says_why(rows: Rows) -> None:
    with Asked(PRESENT[0], rows) as peer:
        peer.opened()
        with pytest.raises(RuntimeError, match=r"(?s)Percall: .*KeyError: 'Q11'"):
            peer.ask("Q11")


def test_answers_are_those_of_the_files(peers: dict[str, Asked], files: duckdb.DuckDBPyConnection) -> None:
    """What the files themselves say, for answers that do not depend on prices: calls, users, repeated inputs, sums of the bill."""

    def answer(question: str) -> list[tuple[object, ...]]:
        return ordered(peers[OWN].ask(question, exact=True)[1])

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


def test_what_does_not_fit_is_left_out_with_its_reason(rows: Rows, tmp_path: Path) -> None:
    """By figures of fewer calls that would need more disk and memory than any machine has."""
    engines = {peer.name: {"disk_bytes": 2**60, "open": {"peak_bytes": 2**60}} for peer in PEERS}
    answers = {question: {"engines": {peer.name: {"peak_bytes": 2**60} for peer in PEERS}} for question in TITLES}
    known = (CALLS // 2, {"engines": engines, "questions": answers})
    result = measure_questions(rows.store, tmp_path, repeats=1, smaller=known)
    for peer in PRESENT:
        facts = result["engines"][peer.name]
        assert ("reason" in facts) == bool(peer.bound)
        if peer.bound:
            assert re.fullmatch(
                r"2,000 calls took [\d.]+ GiB .* would need about \d{10}, and \d+ were free", facts["reason"]
            )
    page = report({CALLS: {"questions": {"machine": {}, "result": result, "peak_bytes": 0}}})
    assert "* pandas: 2,000 calls took" in page
    assert re.findall(r"\n\| (Q\d+) ", page) == list(TITLES)


def test_growth_compares_the_same_question_and_engine() -> None:
    def result(cpu: dict[str, float]) -> dict[str, object]:
        facts = {"seconds": 1.0, "peak_bytes": 0, "times": 1}
        asked = {
            question: {"how": "", "rows": 1, "engines": {n: facts | {"cpu_seconds": s} for n, s in cpu.items()}}
            for question in TITLES
        }
        return {"engines": {name: {} for name in cpu}, "questions": asked}

    text = growth({10: result({OWN: 1.0, "pandas": 1.0}), 100: result({OWN: 11.0, "Polars": 1.0})})
    assert "| Q1 daily cost by feature | view costs | 11.0 |" in text
    assert "pandas" not in text
    assert "(at most twice the CPU), except Q1 (11.0), Q2" in text
    assert "Percall's answers grow no faster than the calls (10 times), except Q1" in text
    flat = growth({10: result({OWN: 1.0}), 100: result({OWN: 1.5})})
    assert "What pages ask does not grow with the calls.\n" in flat


def test_memory_and_processor_time_of_what_is_measured() -> None:
    def work() -> int:
        block = bytearray(64 * 2**20)
        for place in range(0, len(block), 4096):
            block[place] = 1
        return len(block)

    idle, _ = measured(lambda: None)
    busy, size = measured(work)
    assert busy.peak_bytes - idle.peak_bytes > size / 2
    assert busy.cpu_seconds > 0
    before, after = Usage(0, 1.0, 10), Usage(0, 3.0, 2**50)
    others = iter([before, before, *[after] * 1000])
    helped, _ = measured(lambda: None, lambda: next(others))
    assert 2.0 <= helped.cpu_seconds < 2.5
    assert helped.peak_bytes > 2**50


def test_what_was_measured_anew_takes_the_place_of_the_old(tmp_path: Path) -> None:
    def part(day: str) -> results.Part:
        return {"machine": {"day": day}, "result": {}, "peak_bytes": 0}

    results.record(1000, {"load": part("1"), "questions": part("1")}, tmp_path)
    results.record(200, {"questions": part("2")}, tmp_path)
    results.record(1000, {"load": part("3")}, tmp_path)
    assert results.known(tmp_path) == {200: {"questions": part("2")}, 1000: {"load": part("3"), "questions": part("1")}}
    assert list(results.known(tmp_path)) == [200, 1000]
    assert results.smaller(1000, tmp_path) == (200, {})
    assert results.smaller(200, tmp_path) is None


@pytest.mark.slow
def test_a_whole_run_writes_the_page_and_leaves_nothing_behind(tmp_path: Path) -> None:
    page, folder = tmp_path / "benchmarks.md", tmp_path / "work"
    main(["--calls", "2000", "--repeats", "1", "--folder", str(folder), "--output", str(page)])
    text = page.read_text()
    for heading in ("## Loading", "## Ten questions", "## Pages"):
        assert heading in text
    assert re.findall(r"\n\| (Q\d+) ", text) == list(TITLES)
    assert "# 2,000 calls\n" in text
    assert str(tmp_path) not in text
    assert list(tmp_path.iterdir()) == [page]
