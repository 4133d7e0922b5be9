"""Loading replaces, adds, skips or refuses; never loses and never counts twice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.warehouse.rows import call_rows, charge_lines
from warehouse import call_months
from warehouse.configuration import Configuration
from warehouse.intake import Extraction, Reject
from warehouse.load_report import LoadReport, report_lines
from warehouse.loading import Loading
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store

CONFIGURATION = Configuration()


def load(path: Path, *extractions: Extraction, on_overlap: str = "ask") -> list[LoadReport]:
    with Loading(Store(path), CONFIGURATION, on_overlap=on_overlap) as loading:
        for extraction in extractions:
            loading.add(extraction)
        return loading.commit()


def billed(path: Path) -> Decimal | None:
    return one(path, "SELECT sum(BilledCost) FROM charges")


def one(path: Path, sql: str) -> Decimal | None:
    warehouse: Warehouse = open_current(path, CONFIGURATION)
    row = warehouse.connection.cursor().execute(sql).fetchone()
    return row[0] if row else None


DAYS = [f"2026-03-{day:02d} 10:00" for day in range(1, 31)]
FIRST = [(day, "EC2", f"i-{n}", f"{n}.10") for n, day in enumerate(DAYS[:10], 1)]
SECOND = [(day, "EC2", f"i-{n}", f"{n}.20") for n, day in enumerate(DAYS[10:20], 11)]
THIRD = [(day, "S3", "bucket", f"{n}.30") for n, day in enumerate(DAYS[20:], 21)]


def total(*parts: list[tuple[str, str, str, str]]) -> Decimal:
    return sum((Decimal(cost) for part in parts for *_rest, cost in part), Decimal(0))


def test_an_empty_store_is_an_empty_warehouse(tmp_path: Path) -> None:
    warehouse = open_current(tmp_path / "store", CONFIGURATION)
    assert warehouse.is_empty
    assert warehouse.span() is None
    assert warehouse.frame(warehouse.table("calls_daily")).empty


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_parts_of_a_period_add_up_in_any_order_and_in_separate_loads(tmp_path: Path, order: tuple[int, ...]) -> None:
    parts = [charge_lines(FIRST, file="a.csv"), charge_lines(SECOND, file="b.csv"), charge_lines(THIRD, file="c.csv")]
    for index in order:
        load(tmp_path, parts[index])
    assert billed(tmp_path) == total(FIRST, SECOND, THIRD)
    assert one(tmp_path, "SELECT count(*) FROM charges") == 30


def test_a_newer_version_of_a_period_replaces_the_old_and_is_told_as_restatement(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(FIRST + SECOND, file="v1.csv"))
    revised = [*FIRST[:-1], (DAYS[9], "EC2", "i-10", "99.00"), *SECOND, (DAYS[12], "EC2", "i-late", "5.00")]
    reports = load(tmp_path, charge_lines(revised, file="v2.csv"))
    assert [report.superseded for report in reports] == [["v1.csv"]]
    assert billed(tmp_path) == total(revised)
    warehouse = open_current(tmp_path, CONFIGURATION)
    rows = warehouse.frame(warehouse.table("restatements"))
    changes = {(str(row.date)[:10], row.cost_after - row.cost_before) for row in rows.itertuples()}
    assert changes == {("2026-03-10", Decimal("88.90")), ("2026-03-13", Decimal("5.00"))}
    assert one(tmp_path, "SELECT count(*) FROM loads WHERE status = 'superseded'") == 1


def test_a_version_with_every_amount_changed_is_still_a_newer_version(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(FIRST, file="before.csv"))
    rerated = [(at, service, resource, str(Decimal(cost) * Decimal("0.9"))) for at, service, resource, cost in FIRST]
    load(tmp_path, charge_lines(rerated, file="after.csv"))
    assert billed(tmp_path) == total(rerated)


def test_lines_that_are_already_there_add_nothing(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(FIRST + SECOND + THIRD, file="month.csv"))
    reports = load(tmp_path, charge_lines(SECOND, file="week.csv"))
    assert [report.status for report in reports] == ["unchanged"]
    assert billed(tmp_path) == total(FIRST, SECOND, THIRD)


def test_an_ambiguous_overlap_is_refused_and_can_be_settled(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(FIRST + SECOND, file="old.csv"))
    mixed = [*FIRST[:4], *THIRD]
    reports = load(tmp_path, charge_lines(mixed, file="odd.csv"))
    assert reports[0].status == "refused"
    assert "--replace" in (reports[0].message or "")
    assert billed(tmp_path) == total(FIRST, SECOND)
    load(tmp_path, charge_lines(mixed, file="odd2.csv"), on_overlap="replace")
    assert billed(tmp_path) == total(mixed)


def test_a_delivery_replaces_the_earlier_delivery_of_its_name_whole(tmp_path: Path) -> None:
    load(
        tmp_path,
        charge_lines(FIRST, file="r-1.csv", delivery="report/2026-03"),
        charge_lines(SECOND, file="r-2.csv", delivery="report/2026-03"),
    )
    assert billed(tmp_path) == total(FIRST, SECOND)
    load(tmp_path, charge_lines(THIRD, file="r-1.csv", delivery="report/2026-03"))
    assert billed(tmp_path) == total(THIRD)


def test_two_sources_for_one_account_and_period_are_refused(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(FIRST, file="cur.csv", source="aws-cur"))
    reports = load(tmp_path, charge_lines(THIRD, file="focus.csv", source="focus"))
    assert reports[0].status == "refused"
    assert "counted twice" in (reports[0].message or "")
    assert billed(tmp_path) == total(FIRST)


def test_two_accounts_in_one_month_are_both_kept(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(FIRST, file="one.csv", account="1"))
    load(tmp_path, charge_lines(FIRST, file="two.csv", account="2"))
    assert billed(tmp_path) == 2 * total(FIRST)


def test_rejected_rows_are_counted_and_kept_with_their_place(tmp_path: Path) -> None:
    good = charge_lines(FIRST, file="bill.csv")
    query = good.query.replace("NULL::VARCHAR AS _reason", "CASE WHEN _row = 3 THEN 'no cost' END AS _reason")
    query = query.replace("NULL::VARCHAR AS _column", "CASE WHEN _row = 3 THEN 'BilledCost' END AS _column")
    bad = Extraction("focus", "charges", "focus", "bill.csv", "x", query, rejects=[Reject(11, None, "not UTF-8")])
    (report,) = load(tmp_path, bad)
    assert (report.rows_in, report.rows_kept, report.rows_rejected) == (11, 9, 2)
    warehouse = open_current(tmp_path, CONFIGURATION)
    rejects = warehouse.arrow(warehouse.table("rejects").order_by("row_number")).to_pylist()
    assert [(row["file"], row["row_number"], row["column_name"], row["reason"]) for row in rejects] == [
        ("bill.csv", 3, "BilledCost", "no cost"),
        ("bill.csv", 11, None, "not UTF-8"),
    ]
    assert report_lines([report])[0]["billed"] == format(total(FIRST) - Decimal("3.10"), ".12f")


def test_the_same_call_told_by_two_sources_counts_once(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("chatcmpl-1", "2026-03-01 10:00:00", None, "0.01")], source="litellm"))
    load(tmp_path, call_rows([("chatcmpl-1", "2026-03-01 10:00:00", "search", "0.99")], source="langfuse-export"))
    warehouse = open_current(tmp_path, CONFIGURATION)
    (row,) = warehouse.arrow(warehouse.table("calls")).to_pylist()
    assert (row["source"], row["cost"], row["feature"]) == ("litellm", Decimal("0.01"), "search")


def test_two_sources_with_ids_of_their_own_are_two_calls(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("1", "2026-03-01 10:00:00", None, "0.01")], source="litellm"))
    load(tmp_path, call_rows([("1", "2026-03-01 10:00:00", None, "0.01")], source="calls"))
    assert one(tmp_path, "SELECT sum(cost) FROM calls") == Decimal("0.02")


def test_a_call_keeps_its_month_file_when_a_neighbour_changes(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("chatcmpl-1", "2026-03-31 23:59:59", "a", "0.01")]))
    load(tmp_path, call_rows([("chatcmpl-2", "2026-04-01 00:00:00", "a", "0.02")], file="april.jsonl"))
    snapshot = Store(tmp_path).current()
    assert snapshot is not None
    assert [(file.month, file.name) for file in snapshot.of("calls")] == [
        ("2026-03", "calls-2026-03.000001.duckdb"),
        ("2026-04", "calls-2026-04.000002.duckdb"),
    ]


def test_a_fork_of_a_conversation_repeats_calls_under_another_day_without_counting_them_again(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("msg_1", "2026-03-31 10:00:00", "a", "0.01")]))
    (report,) = load(tmp_path, call_rows([("msg_1", "2026-04-02 10:00:00", "a", "0.01")], file="fork.jsonl"))
    assert one(tmp_path, "SELECT count(*) FROM calls") == 1
    assert one(tmp_path, "SELECT sum(calls) FROM calls_daily") == 1
    assert report.rows_in == 1


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.integers(0, 23), st.decimals("-50", "50", places=6, allow_nan=False)),
        min_size=4,
        max_size=40,
        unique_by=lambda line: line[:2],
    ),
    st.integers(1, 4),
)
def test_any_split_of_a_bill_sums_to_the_bill_and_a_reload_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, int, Decimal]], pieces: int
) -> None:
    path = tmp_path_factory.mktemp("split")
    rows = [(f"2026-05-{day:02d} {hour:02d}:00", "EC2", f"i-{day}-{hour}", str(cost)) for day, hour, cost in lines]
    extractions = [charge_lines(part, file=f"part-{n}.csv") for n in range(pieces) if (part := rows[n::pieces])]
    for extraction in reversed(extractions):
        load(path, extraction)
    assert billed(path) == total(rows)
    snapshot = Store(path).current_id()
    with Loading(Store(path), CONFIGURATION) as loading:
        assert all(loading.known(extraction.checksum) == "already loaded" for extraction in extractions)
    assert Store(path).current_id() == snapshot
    assert one(path, "SELECT sum(billed) FROM charges_daily") == total(rows)


def test_calls_of_several_files_go_into_their_months(tmp_path: Path) -> None:
    """Files that each tell of one of two months, and one of both."""
    files = [
        call_rows(
            [(f"chatcmpl-{n}", f"2026-0{3 + n % 2}-{1 + n % 28:02d} 10:00:00", "search", "0.01")], file=f"{n}.jsonl"
        )
        for n in range(20)
    ]
    both = [
        ("chatcmpl-a", "2026-03-31 23:59:59", "search", "0.01"),
        ("chatcmpl-b", "2026-04-01 00:00:00", "chat", "0.02"),
    ]
    reports = load(tmp_path, *files, call_rows(both, file="both.jsonl"))
    assert sum(report.rows_kept for report in reports) == 22
    snapshot = Store(tmp_path).current()
    assert snapshot is not None
    assert {file.month: file.rows for file in snapshot.of("calls")} == {"2026-03": 11, "2026-04": 11}
    assert one(tmp_path, "SELECT sum(cost) FROM calls") == Decimal("0.23")


def test_a_file_may_tell_calls_of_several_sources_on_one_day(tmp_path: Path) -> None:
    told = [
        call_rows([(f"{source}-{n}", f"2026-03-0{n} 10:00:00", "search", cost) for n in (1, 2)], source=source)
        for source, cost in (("litellm", "0.01"), ("calls", "0.02"))
    ]
    both = replace(told[0], query=" UNION ALL ".join(f"({extraction.query})" for extraction in told))
    reports = load(tmp_path, both)
    assert {report.partition: (report.rows_kept, report.billed) for report in reports} == {
        f"{source}/2026-03-0{day}": (1, Decimal(cost))
        for source, cost in (("litellm", "0.01"), ("calls", "0.02"))
        for day in (1, 2)
    }


def test_ids_told_twice_are_found_whatever_the_slice_they_are_looked_for_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice in one load, in two months, in the store, and three times."""
    monkeypatch.setattr(call_months, "IDS_AT_ONCE", 3)
    once = [(f"chatcmpl-{n}", f"2026-03-{n:02d} 10:00:00", "search", "0.01") for n in range(1, 11)]
    load(tmp_path, call_rows(once[:2]))
    load(
        tmp_path,
        call_rows(once[1:7], file="a.jsonl"),
        call_rows(once[4:], file="b.jsonl"),
        call_rows([("chatcmpl-6", "2026-04-01 10:00:00", "search", "0.01")], file="c.jsonl"),
    )
    assert one(tmp_path, "SELECT count(*) FROM calls") == one(tmp_path, "SELECT sum(calls) FROM calls_daily") == 10
    assert one(tmp_path, "SELECT count(DISTINCT call_id) FROM calls") == 10
    assert one(tmp_path, "SELECT sum(cost) FROM calls") == Decimal("0.10")
