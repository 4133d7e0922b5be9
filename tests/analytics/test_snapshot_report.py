"""Reports: the page's figures, exact and frozen; nobody's own use; nothing that a name in the data could run."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from pypdf import PdfReader

from analytics.features import features
from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.scenario import read_scenario_file
from analytics.snapshot_report import NEVER_SHOWN, Chart, Column, Report, Series, report_from_json, table_of
from analytics.snapshot_report_charts import draw
from analytics.snapshot_report_groups import protect, require_group
from analytics.snapshot_report_html import CONTENT_SECURITY_POLICY, page
from analytics.snapshot_report_pages import plan_answer
from analytics.snapshot_report_pdf import pdf
from analytics.snapshot_report_views import SHAREABLE, report, report_of
from tests.analytics.facts import call, day, warehouse_of
from tests.operations.command import percall
from warehouse.configuration import DATA
from warehouse.errors import InputError
from warehouse.reader import Warehouse

MAY = Filters(day("2026-05-01"), day("2026-05-31"))
SENSITIVE = re.compile(r"\b(u-\d+|user_id|session_id|trace_id|call_id|prompt_name|i-[0-9a-f]{8,})\b")


@pytest.fixture(scope="module")
def reports(demo_warehouse: Warehouse) -> dict[str, Report]:
    """Every view of the demo company's May."""
    return {name: report(demo_warehouse, name, MAY) for name in SHAREABLE}


@pytest.mark.parametrize("view", SHAREABLE)
def test_a_report_is_the_same_after_it_was_kept(reports: dict[str, Report], view: str) -> None:
    assert report_from_json(reports[view].to_json()) == reports[view]


@pytest.mark.parametrize("view", SHAREABLE)
def test_no_report_names_a_person_a_call_or_a_resource(
    reports: dict[str, Report], demo_warehouse: Warehouse, view: str
) -> None:
    text = page(reports[view])
    assert not SENSITIVE.search(text)
    rows = demo_warehouse.connection.cursor().execute(
        "SELECT DISTINCT user_id FROM user_days USING SAMPLE 200 ROWS (reservoir, 1) UNION SELECT DISTINCT ResourceId FROM charges UNION "
        "SELECT DISTINCT BillingAccountId FROM charges UNION SELECT DISTINCT SubAccountId FROM charges"
    )  # fmt: skip
    names = [name for (name,) in rows.fetchall() if name]
    assert len(names) > 100
    assert [name for name in names if name in text or name in reports[view].to_json()] == []


def test_the_overview_tells_what_the_month_cost(reports: dict[str, Report]) -> None:
    found = reports["overview"]
    assert found.answer.headline.startswith("May 2026 cost $9,200, 68.1% less than in April 2026")
    by_category = found.table("by-category")
    assert by_category is not None
    assert {row[0]: row[1] for row in by_category.rows} == {
        "LLM API": 6100, "GPU inference": 1380, "Vector database": 820, "Storage and transfer": 900, "Embedding": 0,
    }  # fmt: skip
    assert found.state == "final"
    months, daily = found.answer.charts
    assert [sum(one.values[at] or 0 for one in months.series) for at in (0, 2)] == [47231, 9200]
    assert sum(value or 0 for one in daily.series for value in one.values) == 9200


def test_a_tables_file_holds_the_very_rows_that_are_exported(reports: dict[str, Report], demo_store: Path) -> None:
    table = reports["features"].table("features")
    assert table is not None
    ours = {row["feature"]: row for row in csv.DictReader(io.StringIO(table.csv().decode()))}
    answer = percall(
        "export", "features", "--from", "2026-05-01", "--to", "2026-05-31", "--format", "json", store=demo_store
    )
    theirs = {row["feature"] or "(untagged)": row for row in json.loads(answer.out)}
    assert set(ours) == set(theirs)
    for name, row in ours.items():
        assert row["cost"] == theirs[name]["cost"]
        assert int(row["calls"]) == theirs[name]["calls"]


def test_a_month_that_is_not_invoiced_to_its_end_is_provisional(demo_warehouse: Warehouse) -> None:
    beyond = Filters(day("2026-05-01"), day("2026-06-02"))
    assert report(demo_warehouse, "overview", beyond).state == "provisional"


def _used_by(feature: str, users: range, cost: str) -> list[dict[str, object]]:
    return [call("2026-05-02", cost, feature=feature, user_id=f"user-{number}") for number in users]


def test_features_of_too_few_people_are_one_row_and_the_sum_stays() -> None:
    facts = warehouse_of(
        [
            *_used_by("search", range(20), "1"),
            *_used_by("ask", range(6), "2"),
            *_used_by("secret_a", range(3), "10"),
            *_used_by("secret_b", range(3, 6), "20"),
            call("2026-05-02", "7", feature="night_job"),
        ]
    )
    frame, said = protect(facts, MAY, features(facts, MAY), ("feature",), ("cost", "calls"), 5)
    assert said is not None
    assert dict(zip(frame["feature"], frame["cost"], strict=True)) == {
        "search": 20, "ask": 12, "night_job": 7, "Groups of fewer than 5 people, together": 90,
    }  # fmt: skip
    assert sum(frame["cost"]) == 20 + 12 + 7 + 30 + 60
    assert list(frame["cost_per_call"])[-1] is None


def test_a_single_small_group_is_not_told_by_the_total_less_the_rest() -> None:
    facts = warehouse_of(
        [*_used_by("search", range(20), "1"), *_used_by("ask", range(6), "2"), *_used_by("secret", range(3), "10")]
    )
    frame, _said = protect(facts, MAY, features(facts, MAY), ("feature",), ("cost", "calls"), 5)
    # The next larger one joins it: neither what `secret` nor what `ask` cost can be worked out.
    assert dict(zip(frame["feature"], frame["cost"], strict=True)) == {
        "search": 20, "Groups of fewer than 5 people, together": 42,
    }  # fmt: skip


def test_two_small_groups_of_the_same_people_are_still_too_few() -> None:
    facts = warehouse_of(
        [*_used_by("search", range(20), "1"), *_used_by("a", range(2), "5"), *_used_by("b", range(2), "6"), *_used_by("ask", range(9), "1")]
    )  # fmt: skip
    frame, _said = protect(facts, MAY, features(facts, MAY), ("feature",), ("cost",), 5)
    assert dict(zip(frame["feature"], frame["cost"], strict=True)) == {
        "search": 20, "Groups of fewer than 5 people, together": 10 + 12 + 9,
    }  # fmt: skip


def test_rows_that_enough_people_or_nobody_stand_behind_stay() -> None:
    facts = warehouse_of([*_used_by("search", range(5), "1"), call("2026-05-02", "3", feature="job")])
    before = features(facts, MAY)
    frame, said = protect(facts, MAY, before, ("feature",), ("cost",), 5)
    assert said is None
    assert frame is before


def test_filters_that_leave_a_few_people_are_refused() -> None:
    facts = warehouse_of([*_used_by("search", range(20), "1"), *_used_by("secret", range(4), "9")])
    with pytest.raises(InputError, match="fewer than 5 people"):
        require_group(facts, MAY.only("feature", "secret"), 5)
    require_group(facts, MAY.only("feature", "search"), 5)
    require_group(facts, MAY, 5)


@pytest.mark.parametrize("name", sorted(NEVER_SHOWN))
def test_some_columns_are_in_no_table(name: str) -> None:
    with pytest.raises(ValueError, match="never part of a report"):
        table_of(pd.DataFrame({name: ["x"]}), "t", "T", "", [Column(name, "X")])


def test_a_view_that_cannot_be_shared_is_said(demo_warehouse: Warehouse) -> None:
    with pytest.raises(InputError, match="choose overview, features"):
        report(demo_warehouse, "loads", MAY)


ATTACK = "<img src=x onerror=alert(1)>\"'</style></script><script>alert(2)</script>"


def test_names_from_the_data_are_text_wherever_they_stand(reports: dict[str, Report]) -> None:
    text = reports["features"].to_json().replace('"ask"', json.dumps(ATTACK))
    attacked = page(report_from_json(text))
    assert attacked.count("<script>") == attacked.count("</script>") == 1
    assert attacked.count("<style>") == attacked.count("</style>") == 1
    assert "<img" not in attacked
    assert "&lt;img src=x onerror=alert(1)&gt;" in attacked


def test_a_formula_in_a_name_is_text_in_the_file(reports: dict[str, Report]) -> None:
    table = report_from_json(reports["features"].to_json().replace('"ask"', '"=HYPERLINK(1)"')).table("features")
    assert table is not None
    assert b"'=HYPERLINK(1)" in table.csv()


def test_the_policy_allows_the_pages_own_style_and_script_alone(reports: dict[str, Report]) -> None:
    text = page(reports["overview"])
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        content = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content.group(1).encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none';")
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert not re.search(r"\s(style|on\w+)=", text), "inline styles and handlers would be blocked"
    assert not re.search(r"(src|href)=\"(?!data:text/csv)", text), "a file loads nothing"


def test_charts_are_sound_svg_with_their_values(reports: dict[str, Report]) -> None:
    for found in reports.values():
        for chart in found.answer.charts:
            drawn = ElementTree.fromstring(draw(chart, found.answer.currency, found.grain))
            pictures = drawn.findall("svg")
            assert [picture.get("class") for picture in pictures] == ["wide", "narrow"]
            for picture in pictures:
                assert len([mark for mark in picture.iter("rect") if mark.get("class") == "hit"]) == len(chart.labels)
                for mark in picture.iter("rect"):
                    assert float(mark.get("height", "0")) >= 0
                    assert float(mark.get("width", "0")) >= 0


def test_columns_stack_up_from_zero_and_down_below_it() -> None:
    series = (
        Series("Up", (Decimal(6), Decimal(2))),
        Series("More", (Decimal(4), Decimal(0))),
        Series("Down", (Decimal(-5), None)),
    )
    chart = Chart("stacked", "T", "", ("2026-05-01", "2026-05-02"), series)
    wide = ElementTree.fromstring(draw(chart, "USD", "day")).findall("svg")[0]
    bars = [
        (float(bar.get("y", 0)), float(bar.get("height", 0)))
        for bar in wide.findall("rect")
        if bar.get("data-s") is not None
    ]
    up, more, down, second = bars
    zero = next(float(line.get("y1", 0)) for line in wide.findall("line") if line.get("class") == "zero")
    assert up[0] + up[1] == pytest.approx(zero, abs=0.02)
    assert more[0] + more[1] == pytest.approx(up[0], abs=0.02)
    assert down[0] == pytest.approx(zero, abs=0.02)
    # Lengths are in the proportion of the amounts.
    assert up[1] / more[1] == pytest.approx(6 / 4, rel=0.01)
    assert up[1] / down[1] == pytest.approx(6 / 5, rel=0.01)
    assert up[1] / second[1] == pytest.approx(3, rel=0.01)


def test_a_plan_is_a_report_of_its_waterfall(demo_warehouse: Warehouse) -> None:
    march = Filters(day("2026-03-01"), day("2026-03-31"))
    plan = read_scenario_file(DATA / "scenarios" / "march-to-may.toml")
    outcome = plan.run(build_situation(demo_warehouse, march))
    found = report_of(
        demo_warehouse, "scenario-planner", march, plan_answer(plan.name, outcome, tuple(plan.assumptions()))
    )
    assert report_from_json(found.to_json()) == found
    levers = found.table("levers")
    assert levers is not None
    # What the levers save one after the other leads from today's cost to the plan's.
    assert sum(row[1] for row in levers.rows) == outcome.saving  # type: ignore[misc]
    assert levers.rows[-1][4] == outcome.today - outcome.saving
    assert "Saved by each lever" in page(found)


@pytest.mark.parametrize("view", SHAREABLE)
def test_a_report_on_paper_says_the_same(reports: dict[str, Report], view: str) -> None:
    found = reports[view]
    text = " ".join(" ".join(sheet.extract_text().split()) for sheet in PdfReader(io.BytesIO(pdf(found))).pages)
    for figure in found.answer.figures:
        assert figure.value.replace("\u2212", "-") in text.replace("\u2212", "-")
    for table in found.answer.tables:
        assert table.title in text
    assert not SENSITIVE.search(text)
