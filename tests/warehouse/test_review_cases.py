"""Awkward deliveries: whatever comes in whatever order, nothing is lost, counted twice or wrongly told as restated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.intake import load_paths
from tests.warehouse.rows import call_rows, charge_lines
from tests.warehouse.test_merging import scores, traced
from warehouse.configuration import Configuration
from warehouse.errors import StoreError
from warehouse.intake import Extraction
from warehouse.load_report import LoadReport
from warehouse.loading import Loading
from warehouse.reader import open_current
from warehouse.state import State
from warehouse.store import Store

Lines = list[tuple[str, str, str, str]]


def load(
    path: Path,
    *extractions: Extraction,
    on_overlap: str = "ask",
    configuration: Configuration | None = None,
    demo: bool = False,
) -> list[LoadReport]:
    with Loading(Store(path), configuration or Configuration(), on_overlap=on_overlap, demo=demo) as loading:
        for extraction in extractions:
            loading.add(extraction)
        return loading.commit()


def known(path: Path, extraction: Extraction, on_overlap: str = "ask") -> str | None:
    with Loading(Store(path), Configuration(), on_overlap=on_overlap) as loading:
        return loading.known(extraction.checksum)


def one(path: Path, sql: str) -> object:
    row = open_current(path, Configuration()).connection.cursor().execute(sql).fetchone()
    return row[0] if row else None


def billed(path: Path) -> object:
    return one(path, "SELECT sum(BilledCost) FROM charges")


def days(first: int, last: int, month: str = "2026-03", cost: str = "1.00") -> Lines:
    return [(f"{month}-{day:02d} 10:00", "EC2", f"i-{day}", cost) for day in range(first, last + 1)]


def total(*parts: Lines) -> Decimal:
    return sum((Decimal(cost) for part in parts for *_rest, cost in part), Decimal(0))


def revenue(rows: Sequence[tuple[str, str, str]], file: str) -> Extraction:
    """(date, feature, amount) in USD."""
    values = ", ".join(f"(DATE '{day}', '{feature}', {amount}::DECIMAL(38,12))" for day, feature, amount in rows)
    query = f"SELECT date, feature, amount, 'USD' AS currency FROM (VALUES {values}) t(date, feature, amount)"
    return Extraction("revenue", "revenue", "revenue", file, file + query, query)


def test_a_file_refused_beside_one_part_does_not_take_away_another(tmp_path: Path) -> None:
    first, second = days(1, 10), days(11, 20)
    load(tmp_path, charge_lines(first, file="a.csv"))
    load(tmp_path, charge_lines(second, file="b.csv"))
    odd = charge_lines([*first, *second[:3]], file="odd.csv")
    (report,) = load(tmp_path, odd)
    assert report.status == "refused"
    load(tmp_path, charge_lines(days(25, 26), file="c.csv"))
    assert billed(tmp_path) == total(first, second, days(25, 26))
    assert one(tmp_path, "SELECT count(*) FROM loads WHERE status = 'superseded'") == 0


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [("r-1.csv", "r-2.csv", True), ("a.csv", "b.csv", False), ("r-2026-03-10.csv", "r-2026-03-17.csv", False)],
)
def test_numbered_pieces_may_tell_of_the_same_resources_other_files_are_asked_about(
    tmp_path: Path, first: str, second: str, both: bool
) -> None:
    """Three of ten lines have the hour and resource of a line of the other file, with another amount."""
    load(tmp_path, charge_lines(days(1, 10), file=first))
    (report,) = load(tmp_path, charge_lines(days(8, 17, cost="2.00"), file=second))
    assert (report.status != "refused", billed(tmp_path)) == (both, 30 if both else 10)


@pytest.mark.parametrize("same_name", [False, True])
def test_a_window_that_moved_on_does_not_take_away_the_days_that_it_left(tmp_path: Path, same_name: bool) -> None:
    load(tmp_path, charge_lines(days(1, 10), file="w.csv"))
    load(tmp_path, charge_lines(days(4, 13), file="w.csv" if same_name else "v.csv"))
    assert one(tmp_path, "SELECT count(*) FROM charges WHERE ChargePeriodStart < '2026-03-04'") == 3
    assert one(tmp_path, "SELECT count(*) - count(DISTINCT ResourceId) FROM charges") == 0


@pytest.mark.parametrize(
    "names", [("a.csv", "b.csv"), ("week-1.csv", "week-2.csv"), ("r-2026-03-07.csv", "r-2026-03-11.csv")]
)
def test_overlapping_revenue_with_corrected_days_is_not_counted_twice(tmp_path: Path, names: tuple[str, str]) -> None:
    one_week = [(f"2026-03-{day:02d}", "search", "10") for day in range(1, 8)]
    load(tmp_path, revenue(one_week, names[0]))
    (report,) = load(tmp_path, revenue([(f"2026-03-{day:02d}", "search", "12") for day in range(5, 12)], names[1]))
    assert report.status == "refused"
    assert one(tmp_path, "SELECT sum(amount) FROM revenue") == 70


@pytest.mark.parametrize(
    "names", [("a.csv", "b.csv"), ("r-2026-03-07.csv", "r-2026-03-11.csv"), ("r-20260307.csv", "r-20260311.csv")]
)
def test_overlapping_bills_with_corrected_days_are_not_counted_twice(tmp_path: Path, names: tuple[str, str]) -> None:
    load(tmp_path, charge_lines(days(1, 7), file=names[0]))
    (report,) = load(tmp_path, charge_lines(days(5, 11, cost="1.10"), file=names[1]))
    assert report.status == "refused"
    assert billed(tmp_path) == 7


def test_two_sources_for_one_account_in_one_command_are_not_both_counted(tmp_path: Path) -> None:
    cur = charge_lines(days(1, 10), file="cur.csv", source="aws-cur")
    focus = charge_lines(days(1, 10), file="focus.csv", source="focus")
    reports = load(tmp_path, cur, focus)
    assert sorted(report.status for report in reports) == ["refused", "stored"]
    assert billed(tmp_path) == 10


def test_replacing_a_period_replaces_what_another_source_told_of_it(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(days(1, 10), file="cur.csv", source="aws-cur"))
    load(tmp_path, charge_lines(days(1, 12), file="focus.csv", source="focus"), on_overlap="replace")
    assert billed(tmp_path) == 12


@pytest.mark.parametrize("account", ["/providers/Microsoft.Billing/billingAccounts/1234", "a_1"])
def test_accounts_with_slashes_are_recognised_across_sources(tmp_path: Path, account: str) -> None:
    load(tmp_path, charge_lines(days(1, 10), file="a.csv", source="other", account=account))
    (report,) = load(tmp_path, charge_lines(days(11, 20), file="b.csv", source="focus", account=account))
    assert report.status == "refused"
    assert billed(tmp_path) == 10


def test_an_account_is_not_taken_for_another_that_looks_alike(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(days(1, 10), file="a.csv", source="other", account="ax1"))
    load(tmp_path, charge_lines(days(1, 10), file="b.csv", source="focus", account="a_1"))
    assert billed(tmp_path) == 20


@pytest.mark.parametrize("on_overlap", ["ask", "add", "replace"])
def test_two_vendors_without_account_id_both_stay(tmp_path: Path, on_overlap: str) -> None:
    for name, cost in (("OpenAI", "1.00"), ("Anthropic", "2.00")):
        extraction = charge_lines(days(1, 10, cost=cost), file=f"{name}.csv", provider=name)
        query = extraction.query.replace("'111122223333' AS BillingAccountId", "NULL AS BillingAccountId")
        fields = {field: getattr(extraction, field) for field in Extraction.__dataclass_fields__}
        load(tmp_path, Extraction(**(fields | {"query": query})), on_overlap=on_overlap)
    assert billed(tmp_path) == 30


def test_adding_the_very_same_file_again_does_not_count_it_again(tmp_path: Path) -> None:
    bill = charge_lines(days(1, 10), file="a.csv")
    for _ in range(3):
        load(tmp_path, bill, on_overlap="add")
    assert billed(tmp_path) == 10


@pytest.mark.parametrize(("on_overlap", "march"), [("replace", 15), ("add", 25)])
def test_a_refused_period_of_a_file_can_be_settled_without_touching_its_other_period(
    tmp_path: Path, on_overlap: str, march: int
) -> None:
    load(tmp_path, charge_lines(days(1, 10), file="old.csv"))
    both = charge_lines([*days(7, 21), *days(1, 5, month="2026-04")], file="both.csv")
    assert sorted(report.status for report in load(tmp_path, both)) == ["refused", "stored"]
    assert known(tmp_path, both) is None
    assert known(tmp_path, both, on_overlap) is None
    load(tmp_path, both, on_overlap=on_overlap)
    assert one(tmp_path, "SELECT sum(BilledCost) FROM charges WHERE BillingPeriodStart = '2026-04-01'") == 5
    assert one(tmp_path, "SELECT sum(BilledCost) FROM charges WHERE BillingPeriodStart = '2026-03-01'") == march
    assert known(tmp_path, both) == "already loaded"


def test_a_superseded_file_that_comes_again_stays_superseded(tmp_path: Path) -> None:
    old, new = charge_lines(days(1, 10), file="a.csv"), charge_lines(days(1, 12, cost="2"), file="a.csv")
    load(tmp_path, old)
    load(tmp_path, new)
    assert billed(tmp_path) == 24
    assert "replaced by a newer version" in (known(tmp_path, old) or "")


def test_a_trace_whose_first_call_comes_late_gives_its_score_once(tmp_path: Path) -> None:
    load(tmp_path, traced([("chatcmpl-2", "2026-03-01 10:05:00", "o2", "t1")]))
    load(tmp_path, scores([("s1", "t1", None, "revenue_usd", "1.25"), ("s2", "t1", None, "converted", "1")]))
    load(tmp_path, traced([("chatcmpl-1", "2026-03-01 10:00:00", "o1", "t1")]))
    assert one(tmp_path, "SELECT sum(revenue) FROM calls") == Decimal("1.25")
    assert one(tmp_path, "SELECT count(*) FROM calls WHERE converted") == 1


def test_a_score_that_moved_to_another_month_counts_once(tmp_path: Path) -> None:
    load(tmp_path, traced([("chatcmpl-1", "2026-03-01 10:00:00", "o1", "t1")]))
    early = scores([("s1", "t1", None, "revenue_usd", "1.25")])
    late = Extraction(
        "langfuse-export",
        "scores",
        "langfuse-export",
        "later",
        "later",
        early.query.replace("2026-03-02", "2026-04-02"),
    )
    load(tmp_path, early)
    load(tmp_path, late)
    assert one(tmp_path, "SELECT count(*) FROM scores") == 1
    assert one(tmp_path, "SELECT sum(revenue) FROM calls") == Decimal("1.25")


def test_a_row_without_its_time_is_rejected_in_words(tmp_path: Path) -> None:
    calls = call_rows(
        [("chatcmpl-1", "2026-03-01 10:00:00", "a", "0.01"), ("chatcmpl-2", "2026-03-01 10:00:00", "a", "0.02")]
    )
    query = calls.query.replace("moment AS started_at", "CASE WHEN _row = 1 THEN moment END AS started_at")
    (report,) = load(tmp_path, Extraction("litellm", "calls", "litellm", "calls.jsonl", "x", query))
    assert (report.rows_in, report.rows_kept, report.rows_rejected) == (2, 1, 1)
    assert one(tmp_path, "SELECT column_name FROM rejects") == "started_at"


def test_another_time_zone_restates_nothing_by_itself(tmp_path: Path) -> None:
    load(tmp_path, charge_lines([(f"2026-03-{day:02d} 20:00", "EC2", f"i-{day}", f"{day}") for day in range(1, 11)]))
    load(
        tmp_path,
        charge_lines([("2026-03-20 10:00", "EC2", "i-x", "1")], file="more.csv"),
        configuration=Configuration(reporting_time_zone="Asia/Tokyo"),
    )
    assert one(tmp_path, "SELECT count(*) FROM restatements") == 0


def test_each_month_of_a_load_tells_its_own_restatement(tmp_path: Path) -> None:
    load(tmp_path, charge_lines([*days(1, 10), *days(1, 10, month="2026-04")], file="a.csv"))
    reports = load(
        tmp_path,
        charge_lines(days(1, 10, cost="2"), file="march.csv"),
        charge_lines([("2026-04-01 12:00", "S3", "b", "5")], file="late.csv"),
    )
    ids = {report.file: report.load_id for report in reports}
    rows = (
        open_current(tmp_path, Configuration())
        .connection.cursor()
        .execute("SELECT DISTINCT strftime(date, '%m'), load_id, reason FROM restatements ORDER BY 1")
    )
    assert rows.fetchall() == [("03", ids["march.csv"], "new version"), ("04", ids["late.csv"], "late lines")]


def test_calls_that_leave_a_month_empty_are_told_as_restatement(tmp_path: Path) -> None:
    load(tmp_path, call_rows([("msg_1", "2026-03-15 10:00:00", "a", "0.01")]))
    load(tmp_path, call_rows([("msg_1", "2026-04-02 10:00:00", "a", "0.01")], file="fork.jsonl"))
    if one(tmp_path, "SELECT strftime(started_at, '%m') FROM calls") == "04":
        assert one(tmp_path, "SELECT sum(cost_after - cost_before) FROM restatements") == Decimal("-0.01")


def test_the_demo_never_joins_own_data(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(days(1, 10)))
    with pytest.raises(StoreError):
        load(tmp_path, charge_lines(days(11, 20), file="demo.csv"), demo=True)
    assert billed(tmp_path) == 10
    assert not open_current(tmp_path, Configuration()).is_demo


REVENUE_HEADER = "date,feature,amount,currency\n"


def revenue_file(path: Path, first: int, last: int, amount: int = 1) -> Path:
    rows = "".join(f"2026-03-{day:02d},search,{amount},USD\n" for day in range(first, last + 1))
    path.write_text(REVENUE_HEADER + rows, encoding="utf-8")
    return path


def earned(store: Store) -> object:
    return one(store.path, "SELECT sum(amount) FROM revenue")


@pytest.mark.parametrize("on_overlap", ["ask", "add", "replace"])
def test_one_file_under_two_names_in_one_command_counts_once(tmp_path: Path, on_overlap: str) -> None:
    store = Store(tmp_path / "store")
    paths = [revenue_file(tmp_path / name, 1, 5) for name in ("a.csv", "copy.csv")]
    load_paths(store, Configuration(), paths, on_overlap=on_overlap)
    assert earned(store) == 5
    load_paths(store, Configuration(), paths, on_overlap=on_overlap)
    assert earned(store) == 5


def test_replacing_with_two_parts_keeps_the_part_that_did_not_change(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    paths = [revenue_file(tmp_path / "a.csv", 1, 5), revenue_file(tmp_path / "b.csv", 6, 10)]
    load_paths(store, Configuration(), paths)
    revenue_file(tmp_path / "b.csv", 6, 10, amount=2)
    load_paths(store, Configuration(), paths, on_overlap="replace")
    assert earned(store) == 15


def test_a_part_of_a_delivery_that_did_not_change_is_not_replaced_by_the_others(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    folder = tmp_path / "report" / "20260301-20260401"
    folder.mkdir(parents=True)
    keys = [f"report/20260301-20260401/r-{n}.csv" for n in (1, 2)]
    (folder / "r-Manifest.json").write_text(json.dumps({"reportName": "report", "reportKeys": keys}), encoding="utf-8")
    paths = [revenue_file(folder / "r-1.csv", 1, 5), revenue_file(folder / "r-2.csv", 6, 10)]
    load_paths(store, Configuration(), paths)
    assert earned(store) == 10
    revenue_file(folder / "r-2.csv", 6, 12, amount=2)
    load_paths(store, Configuration(), paths)
    assert earned(store) == 5 + 14


def test_parts_of_a_delivery_that_come_one_by_one_are_all_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    folder = tmp_path / "report" / "20260301-20260401"
    folder.mkdir(parents=True)
    keys = [f"report/20260301-20260401/r-{n}.csv" for n in (1, 2)]
    (folder / "r-Manifest.json").write_text(json.dumps({"reportName": "report", "reportKeys": keys}), encoding="utf-8")
    load_paths(store, Configuration(), [revenue_file(folder / "r-1.csv", 1, 5)])
    load_paths(store, Configuration(), [revenue_file(folder / "r-2.csv", 6, 10)])
    assert earned(store) == 10


def test_other_category_rules_hold_for_lines_stored_before(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "machines"\ncategory = "GPU inference"\nServiceName = "EC2"\n', encoding="utf-8")
    configuration = Configuration(category_rules=rules)
    store = tmp_path / "store"
    load(store, charge_lines(days(1, 10)), configuration=configuration)
    rules.write_text(
        '[[rule]]\nname = "machines"\ncategory = "Vector database"\nServiceName = "EC2"\n', encoding="utf-8"
    )

    def categories(table: str) -> list[tuple[str]]:
        query = f"SELECT DISTINCT x_CostCategory FROM {table}"
        return open_current(store, configuration).connection.cursor().execute(query).fetchall()

    assert categories("charges_daily") == [("Vector database",)]
    assert categories("charges") == [("Vector database",)]
    load(store, call_rows([("chatcmpl-1", "2026-04-02 10:00:00", "a", "0.01")]), configuration=configuration)
    assert categories("charges_daily") == categories("charges") == [("Vector database",)]


def rates(rows: Sequence[tuple[str, str]], file: str) -> Extraction:
    """(date, USD per EUR)."""
    values = ", ".join(f"(DATE '{day}', {rate}::DECIMAL(38,12))" for day, rate in rows)
    query = f"SELECT date, 'EUR' AS from_currency, 'USD' AS to_currency, rate FROM (VALUES {values}) t(date, rate)"
    return Extraction("fx", "fx_rates", "fx", file, file + query, query)


def test_the_latest_rate_of_a_day_counts_and_no_other_day_is_lost(tmp_path: Path) -> None:
    load(tmp_path, rates([(f"2026-03-{day:02d}", "1.1") for day in range(1, 8)], "a.csv"))
    load(tmp_path, rates([(f"2026-03-{day:02d}", "1.2") for day in range(3, 11)], "b.csv"))
    load(tmp_path, rates([("2026-03-10", "1.3")], "c.csv"), on_overlap="add")
    stored = (
        open_current(tmp_path, Configuration())
        .connection.cursor()
        .execute("SELECT strftime(date, '%d'), rate FROM fx_rates ORDER BY 1")
    )
    expected = {1: "1.1", 2: "1.1", 10: "1.3"} | dict.fromkeys(range(3, 10), "1.2")
    assert stored.fetchall() == [(f"{day:02d}", Decimal(expected[day])) for day in range(1, 11)]


def test_a_file_of_rejects_only_changes_nothing_and_is_read_again(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(days(1, 10)))
    bad = charge_lines(days(1, 10), file="bad.csv")
    query = bad.query.replace("NULL::VARCHAR AS _reason", "'no cost' AS _reason")
    extraction = Extraction("focus", "charges", "focus", "bad.csv", "bad", query)
    (report,) = load(tmp_path, extraction)
    assert (report.status, report.rows_in, report.rows_rejected, report.rows_kept) == ("refused", 10, 10, 0)
    assert known(tmp_path, extraction) is None
    assert billed(tmp_path) == 10


def test_people_s_own_state_outlives_the_demo(tmp_path: Path) -> None:
    load(tmp_path, charge_lines(days(1, 10)), demo=True)
    State(tmp_path).save("budget", "march", {"amount": "1"}, author="a")
    load(tmp_path, charge_lines(days(1, 3), file="own.csv"))
    assert billed(tmp_path) == 3
    assert [document.name for document in State(tmp_path).documents("budget")] == ["march"]


def test_a_new_version_with_fewer_lines_of_the_same_days_replaces(tmp_path: Path) -> None:
    load(tmp_path, charge_lines([*days(1, 10), ("2026-03-05 11:00", "S3", "wrong", "99")], file="v1.csv"))
    load(tmp_path, charge_lines(days(1, 10), file="v2.csv"))
    assert billed(tmp_path) == 10
    assert one(tmp_path, "SELECT sum(cost_after - cost_before) FROM restatements") == -99


def test_a_trace_across_two_months_keeps_its_score_once_when_a_third_month_comes(tmp_path: Path) -> None:
    load(
        tmp_path,
        traced([("chatcmpl-1", "2026-03-31 23:59:00", "o1", "t1"), ("chatcmpl-2", "2026-04-01 00:01:00", "o2", "t1")]),
    )
    load(tmp_path, scores([("s1", "t1", None, "revenue_usd", "1.25")]))
    load(tmp_path, traced([("chatcmpl-3", "2026-05-01 10:00:00", "o3", "t3")]))
    assert one(tmp_path, "SELECT sum(revenue) FROM calls") == Decimal("1.25")
    load(tmp_path, traced([("chatcmpl-0", "2026-01-31 23:59:00", "o0", "t1")]))
    assert one(tmp_path, "SELECT sum(revenue) FROM calls") == Decimal("1.25")
    assert one(tmp_path, "SELECT call_id FROM calls WHERE revenue IS NOT NULL") == "chatcmpl-0"


def test_numbered_versions_of_a_growing_bill_are_never_added_up(tmp_path: Path) -> None:
    versions = [charge_lines(days(1, 4 + n, cost=str(n)), file=f"{n}.csv") for n in (1, 2, 3)]
    load(tmp_path, *versions)
    assert billed(tmp_path) in (5, 12, 21)
