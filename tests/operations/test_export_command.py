"""`percall export`: every view in every format, on the demo company and on nothing; sums that agree whatever they are broken down by."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from analytics.views import VIEWS
from tests.operations.bills import line, write
from tests.operations.command import Answer, money, percall, totals

LEAST_COLUMNS = {
    "totals": "rows billed effective list currency calls call_cost unpriced_calls",
    "costs": "period cost currency",
    "features": "feature cost cost_share calls call_share cost_per_call",
    "margins": "feature user_tier calls cost revenue gross_margin profitable",
    "unit-economics": "period cost dau cost_per_dau mau cost_per_mau cost_per_call cost_per_conversion",
    "anomalies": "series date kind direction expected actual excess",
    "reconciliation": "provider model period estimated billed gap",
    "tags": "tag value cost share tagged",
}
"""The columns that scripts may rely on."""

MONEY = {
    "billed", "effective", "list", "call_cost", "cost", "revenue", "cost_per_call", "cost_per_dau", "cost_per_mau", "cost_per_conversion",
    "expected", "actual", "excess", "estimated", "gap",
}  # fmt: skip
SHARES = {"cost_share", "call_share", "share", "final_share", "priced_share"}
MARCH = ("--from", "2026-03-01", "--to", "2026-03-31")


def rows(store: Path, view: str, *options: str) -> list[dict[str, Any]]:
    """A view's JSON rows."""
    answer = percall("export", view, "--format", "json", *options, store=store)
    assert answer.code == 0, answer.err
    assert answer.err == ""
    body = answer.json
    return [body] if isinstance(body, dict) else body


def total(found: list[dict[str, Any]], column: str = "cost") -> Decimal:
    """Exact sum of a money column."""
    return sum((Decimal(row[column]) for row in found if row[column] is not None), Decimal(0))


@pytest.fixture(scope="module")
def three_months(demo_store: Path) -> dict[str, Any]:
    """The demo company's totals."""
    return totals(demo_store)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_says_the_same_in_every_format(demo_store: Path, tmp_path: Path, view: str) -> None:
    options = () if view in ("loads", "rejects", "prices") else ("--grain", "month", *MARCH)
    as_json = rows(demo_store, view, *options)
    as_csv = percall("export", view, *options, store=demo_store)
    path = tmp_path / "view.parquet"
    as_parquet = percall("export", view, "--format", "parquet", "-o", path, *options, store=demo_store)
    assert (as_csv.code, as_parquet.code, as_parquet.out) == (0, 0, b"")
    lines = list(csv.reader(io.StringIO(as_csv.out.decode("utf-8"))))
    table = parquet.read_table(path)
    assert len(lines) - 1 == len(as_json) == table.num_rows
    assert lines[0] == [name for name in table.column_names if name not in VIEWS[view].charts]
    assert as_json or view in ("rejects", "restatements", "anomalies", "budgets", "fx", "audit", "plans")
    for number, row in enumerate(as_json):
        assert list(row) == table.column_names
        for name, text in zip(lines[0], lines[number + 1], strict=True):
            _same(row[name], text)


def _same(value: Any, text: str) -> None:
    """A JSON value and a CSV cell."""
    if value is None:
        assert text == ""
    elif isinstance(value, bool):
        assert text == str(value).lower()
    elif isinstance(value, int | float):
        assert float(text) == value
    elif isinstance(value, str):
        assert text.removeprefix("'").replace(" ", "T", 1) == value.replace(" ", "T", 1) or text == f"{value} 00:00:00"
    else:
        raise AssertionError(f"{value} is a list or an object, which no spreadsheet has a use for")


@pytest.mark.parametrize("view", LEAST_COLUMNS)
def test_columns_that_scripts_rely_on_have_their_json_types(demo_store: Path, view: str) -> None:
    found = rows(demo_store, view, "--grain", "month")
    assert found
    for row in found:
        assert set(LEAST_COLUMNS[view].split()) <= set(row)
        for name, value in row.items():
            if value is None:
                continue
            if name in MONEY:
                assert isinstance(value, str)
                assert format(Decimal(value), "f") == value
            elif name in SHARES:
                assert isinstance(value, int | float)
                assert 0 <= value <= 1
            elif name == "gross_margin":
                assert isinstance(value, int | float)
                assert value <= 1
            elif name in ("profitable", "tagged"):
                assert isinstance(value, bool)
            elif name in ("calls", "rows", "unpriced_calls"):
                assert isinstance(value, int)
            elif name in ("period", "date"):
                assert date.fromisoformat(value).isoformat() == value
    if view == "margins":
        assert all(row["gross_margin"] is None for row in found if not money(row["revenue"]))
        assert any(row["gross_margin"] is not None and row["gross_margin"] < 0 for row in found)


@pytest.mark.parametrize(
    ("view", "form"),
    [(view, form) for view in VIEWS for form in ("csv", "json", "parquet") if form == "json" or view in LEAST_COLUMNS],
)
def test_an_empty_store_answers_with_nothing(empty_store: Path, tmp_path: Path, view: str, form: str) -> None:
    path = tmp_path / "answer"
    answer = percall("export", view, "--format", form, "-o", path, store=empty_store)
    assert (answer.code, answer.err) == (0, "")
    assert not empty_store.exists()
    if form == "parquet":
        table = parquet.read_table(path)
        assert table.num_rows == (1 if VIEWS[view].one_object else 0)
    if form == "csv":
        names = path.read_text().splitlines()[0].split(",")
        assert set(LEAST_COLUMNS.get(view, "").split()) <= set(names)
    if form == "json":
        body = json.loads(path.read_bytes())
        for row in [body] if isinstance(body, dict) else body:
            assert not [name for name, value in row.items() if name in MONEY | SHARES and value is not None]
            assert not row.get("rows")


def test_days_weeks_and_months_sum_to_the_total(demo_store: Path, three_months: dict[str, Any]) -> None:
    days = {row["period"]: Decimal(row["cost"]) for row in rows(demo_store, "costs", "--grain", "day")}
    sums = {"week": defaultdict[str, Decimal](Decimal), "month": defaultdict[str, Decimal](Decimal)}
    for name, cost in days.items():
        day = date.fromisoformat(name)
        sums["week"][(day - timedelta(days=day.weekday())).isoformat()] += cost
        sums["month"][day.replace(day=1).isoformat()] += cost
    for grain, expected in sums.items():
        assert {row["period"]: Decimal(row["cost"]) for row in rows(demo_store, "costs", "--grain", grain)} == expected
    assert sum(days.values()) == Decimal(three_months["effective"]) == Decimal(three_months["ledger_cost"])
    assert sums["month"]["2026-03-01"] == Decimal("47231")
    assert sums["month"]["2026-05-01"] == Decimal("9200")


@pytest.mark.parametrize(
    "by",
    ["category", "feature", "account", "source,ledger,allocation,currency", "category, service, model, provider", "tier,user_tier",
     "team,env,project,feature,user_tier"],
)  # fmt: skip
def test_costs_sum_to_the_total_whatever_they_are_broken_down_by(
    demo_store: Path, three_months: dict[str, Any], by: str
) -> None:
    found = rows(demo_store, "costs", "--by", by, "--grain", "month")
    assert total(found) == Decimal(three_months["effective"])
    for name in by.replace(" ", "").split(","):
        assert ({"tier": "user_tier"}.get(name, name)) in found[0]


@pytest.mark.parametrize("basis", ["billed", "effective", "list"])
def test_the_basis_chooses_the_cost(demo_store: Path, three_months: dict[str, Any], basis: str) -> None:
    found = rows(demo_store, "costs", "--basis", basis, "--by", "category", "--grain", "month")
    assert total(found) == Decimal(three_months[basis])


def test_parts_of_a_dimension_sum_to_the_whole(demo_store: Path, three_months: dict[str, Any]) -> None:
    values = {row["env"] for row in rows(demo_store, "costs", "--by", "env", "--grain", "month")}
    assert None in values
    parts = {
        value: money(totals(demo_store, "--where", f"env={'(untagged)' if value is None else value}")["ledger_cost"])
        for value in values
    }
    assert sum(parts.values()) == Decimal(three_months["ledger_cost"])
    two = sorted(value for value in values if value)[:2]
    together = totals(demo_store, "--where", "env=" + "|".join(two))
    assert money(together["ledger_cost"]) == parts[two[0]] + parts[two[1]]


def test_several_conditions_hold_together(demo_store: Path) -> None:
    both = rows(demo_store, "costs", "--grain", "month", "--where", "feature=summarize", "--where", "tier=free")
    one = rows(demo_store, "costs", "--grain", "month", "--by", "tier", "--where", "feature=summarize")
    assert total(both) == total([row for row in one if row["user_tier"] == "free"]) > 0
    assert rows(demo_store, "costs", "--where", "feature=no such feature") == []


def test_a_dimension_named_twice_has_both_values(demo_store: Path) -> None:
    first, second, both = (
        totals(demo_store, *(word for value in values for word in ("--where", value)))["ledger_cost"]
        for values in (["tier=free"], ["user_tier=pro"], ["tier=free", "user_tier=pro"])
    )
    assert Decimal(both) == Decimal(first) + Decimal(second)
    assert Decimal(first) > 0 < Decimal(second)


def test_a_value_that_holds_a_bar_is_chosen_with_a_backslash_before_it(tmp_path: Path) -> None:
    """Three features of 1, 2 and 4 USD: `a|b` is one of them, `a\\c` another."""
    file, store = tmp_path / "calls.csv", tmp_path / "store"
    file.write_text(
        "call_id,started_at,feature,model,cost\n1,2026-05-01,a|b,m,1\n2,2026-05-01,a,m,2\n3,2026-05-01,a\\c,m,4\n"
    )
    assert percall("load", str(file), store=store).code == 0
    for where, cost in ((r"a\|b", 1), ("a|b", 2), (r"a\|b|a", 3), (r"a|a\|b|a\c", 7), (r"a\c", 4)):
        assert money(totals(store, "--where", f"feature={where}")["ledger_cost"]) == cost, where
    for command in (["export"], ["anomalies"], ["simulate"], ["share", "create"]):
        assert r"a\|b" in percall(*command, "--help", store=store).out.decode()


def test_both_ends_of_a_period_belong_to_it(demo_store: Path) -> None:
    days = rows(demo_store, "costs")
    found = rows(demo_store, "costs", "--from", "2026-04-10", "--to", "2026-04-12")
    assert [row["period"] for row in found] == ["2026-04-10", "2026-04-11", "2026-04-12"]
    assert found == [row for row in days if "2026-04-10" <= row["period"] <= "2026-04-12"]
    (one,) = rows(demo_store, "costs", "--from", "2026-04-11", "--to", "2026-04-11")
    assert one == found[1]
    first, second = (totals(demo_store, *ends) for ends in (("--to", "2026-04-11"), ("--from", "2026-04-12")))
    whole = totals(demo_store)
    for column in ("billed", "effective", "list", "call_cost"):
        assert Decimal(first[column]) + Decimal(second[column]) == Decimal(whole[column])
    assert first["calls"] + second["calls"] == whole["calls"]
    outside = totals(demo_store, "--from", "2031-01-01", "--to", "2031-12-31")
    assert (outside["rows"], outside["calls"], outside["effective"]) == (0, 0, None)


def test_margins_and_features_sum_to_the_same_ledger(demo_store: Path, three_months: dict[str, Any]) -> None:
    assert total(rows(demo_store, "margins")) == Decimal(three_months["ledger_cost"])
    assert total(rows(demo_store, "unit-economics", "--grain", "week")) == Decimal(three_months["ledger_cost"])
    assert total(rows(demo_store, "charges"), "billed") == Decimal(three_months["billed"])
    features = rows(demo_store, "features")
    assert abs(sum(row["cost_share"] or 0 for row in features) - 1) < 1e-9
    assert sum(row["calls"] for row in features) == three_months["calls"]
    models = rows(demo_store, "models")
    assert sum(row["calls"] for row in models) == three_months["calls"]
    for tag in ("team", "project", "env", "feature"):
        values = [row for row in rows(demo_store, "tags") if row["tag"] == tag]
        assert total(values) == Decimal(three_months["ledger_cost"])


REFUSED = {
    "a view that is none": (["export", "invoices"], "totals, costs, features"),
    "a dimension that is none": (["export", "costs", "--by", "color"], "category, feature"),
    "an empty name": (["export", "costs", "--by", "feature,x"], "'x'"),
    "a break-down that does not apply": (["export", "totals", "--by", "feature"], "costs"),
    "a filter that is none": (["export", "costs", "--where", "colour=red"], "feature"),
    "a filter without value": (["export", "costs", "--where", "feature"], "dimension=value"),
    "a filter without name": (["export", "costs", "--where", "=search"], "dimension=value"),
    "a month that is none": (["export", "costs", "--from", "2026-13-01"], "YYYY-MM-DD"),
    "a date in words": (["export", "costs", "--to", "today"], "YYYY-MM-DD"),
    "a period that runs backwards": (["export", "costs", "--from", "2026-05-02", "--to", "2026-05-01"], "before it starts"),
    "a grain that is none": (["export", "costs", "--grain", "hour"], "day, week, month"),
    "a basis that is none": (["export", "costs", "--basis", "net"], "billed, effective, list"),
    "a format that is none": (["export", "costs", "--format", "xlsx"], "csv, json, parquet"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "word"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_asked_is_said_with_what_can(empty_store: Path, arguments: list[str], word: str) -> None:
    answer = percall(*arguments, store=empty_store)
    assert (answer.code, answer.out) == (2, b"")
    assert answer.err.startswith("percall: ")
    assert len(answer.err.splitlines()) == 1
    assert word in answer.err


def test_a_question_with_quotes_is_no_command_to_the_database(demo_store: Path) -> None:
    before = totals(demo_store)
    for value in ("' OR 1=1 --|x'; DROP TABLE calls; --", '"'):
        assert rows(demo_store, "costs", "--where", f"feature={value}") == []
    assert totals(demo_store) == before


FORMULAS = ("=HYPERLINK(0)", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "  =1", "-12.5")


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose names are formulas."""
    folder = tmp_path_factory.mktemp("poisoned")
    bill = write(
        folder / "bill.csv",
        [line(cost="1.25", day=number + 1, ServiceName=name, Tags=json.dumps({"feature": name}), ResourceId=name)
         for number, name in enumerate(FORMULAS)],
    )  # fmt: skip
    assert percall("load", bill, store=folder / "store").code == 0
    return folder / "store"


@pytest.mark.parametrize("arguments", [("costs", "--by", "feature,service"), ("charges",), ("tags",), ("margins",)])
def test_no_cell_is_run_by_a_spreadsheet(poisoned: Path, arguments: tuple[str, ...]) -> None:
    answer = percall("export", *arguments, store=poisoned)
    cells = [cell for row in csv.reader(io.StringIO(answer.out.decode())) for cell in row]
    assert "'=HYPERLINK(0)" in cells
    for cell in cells:
        starts_formula = cell.lstrip().startswith(("=", "+", "-", "@"))
        assert not starts_formula or cell == "-12.5"
    assert "=HYPERLINK(0)" in percall("export", *arguments, "--format", "json", store=poisoned).out.decode()


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_file_holds_what_stdout_shows(poisoned: Path, tmp_path: Path, form: str) -> None:
    asked = ("export", "costs", "--by", "service", "--format", form)
    shown, written = percall(*asked, store=poisoned), percall(*asked, "-o", tmp_path / "file", store=poisoned)
    assert isinstance(shown, Answer)
    assert (shown.code, written.code, written.out) == (0, 0, b"")
    assert (tmp_path / "file").read_bytes() == shown.out != b""
