"""The weekly review: its sections against figures by hand, its forms, and what of it is shared."""

from __future__ import annotations

import io
import json
import re
import shutil
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from analytics.budgets import Budget, save_budget
from analytics.filters import Filters
from analytics.weekly_review import STEPS, review
from analytics.weekly_review_model import Review, Section, body, written_rows
from analytics.weekly_review_notes import (
    DECISIONS,
    add_action,
    add_note,
    change_action,
)
from analytics.weekly_review_paper import html, pdf
from analytics.weekly_review_share import review_answer
from analytics.weekly_review_text import SLACK_BLOCKS, markdown, slack_blocks, sparkline
from analytics.weekly_review_week import days_of, default_week, read_week, weeks_with_data
from tests.analytics.facts import call, warehouse_of
from tests.analytics.review_store import DAYS, build
from tests.operations.command import percall
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse, open_current

W21, W22 = read_week("2026-W21"), read_week("2026-W22")

TODAY = date(2026, 6, 1)

NASTY = ("a|b *c* [x](http://e.example) <b>&d</b> `e`", "=write")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the store; nobody writes into it."""
    return build(tmp_path_factory.mktemp("review"))


@pytest.fixture(scope="module")
def warehouse(loaded: Path) -> Warehouse:
    return open_current(loaded, Configuration())


@pytest.fixture(scope="module")
def told(warehouse: Warehouse) -> Review:
    return review(warehouse, W22, TODAY)


@pytest.fixture
def own(loaded: Path, tmp_path: Path) -> Path:
    """A copy of the store that may be written into."""
    return Path(shutil.copytree(loaded, tmp_path / "own"))


def _section(told: Review, key: str) -> Section:
    return next(one for one in told.sections if one.key == key)


def _rows(told: Review, key: str) -> list[dict[str, Any]]:
    found = _section(told, key)
    assert found.table is not None, found.sentence
    names = [column.name for column in found.table.columns]
    return [dict(zip(names, row, strict=True)) for row in found.table.rows]


def test_the_week_against_the_week_before(told: Review) -> None:
    assert _section(told, "figures").sentence == "The week cost $112.00, 23.1% more than the week before"
    cost = _section(told, "figures").figures[0]
    assert (cost.value, cost.note) == ("$112.00", "+23.1% against the week before")
    assert told.headline.startswith("The week cost $112.00, 23.1% more than the week before; to decide: ")


def test_what_changed_sums_to_the_difference(told: Review) -> None:
    *parts, difference = _rows(told, "changed")
    assert difference["amount"] == Decimal(21)
    assert sum(row["amount"] for row in parts) == Decimal(21)
    assert "write" in _section(told, "changed").points[0]


def test_features_sum_to_the_week_and_the_one_that_grew_is_rising(told: Review) -> None:
    rows = {row["feature"]: row for row in _rows(told, "features")}
    assert {name: (row["cost"], row["before"], row["usual"], row["calls"]) for name, row in rows.items()} == {
        "ask": (70, 70, 70, 70),
        "write": (35, 14, 14, 35),
        "(no feature)": (7, 7, 7, 7),
    }
    assert {name: row["trend"] for name, row in rows.items()} == {
        "ask": "steady",
        "write": "rising",
        "(no feature)": "steady",
    }
    assert rows["write"]["change"] == 1.5
    section = _section(told, "features")
    assert section.sentence == "write is rising: $35.00, +150% against its usual week"
    # Two weeks before the data began, then the six that there are.
    assert section.trends[1] == (None, None, 14, 14, 14, 14, 14, 35)
    assert list(rows) == ["ask", "write", "(no feature)"]


def test_a_slow_climb_of_three_weeks_is_a_trend(tmp_path: Path) -> None:
    rows = ["call_id,started_at,model,feature,input_tokens,output_tokens,reported_cost"]
    for week, cost in enumerate((100, 100, 100, 104, 108, 112)):
        day = date(2026, 4, 20) + timedelta(weeks=week)
        rows += [
            f"c{week},{day}T09:00:00Z,gpt-4o,search,10,5,{cost}",
            f"e{week},{day + timedelta(days=6)}T09:00:00Z,gpt-4o,other,10,5,100",
        ]
    (tmp_path / "calls.csv").write_text("\n".join(rows) + "\n")
    assert percall("load", tmp_path / "calls.csv", store=tmp_path / "store").code == 0
    opened = open_current(tmp_path / "store", Configuration())
    found = {row["feature"]: row["trend"] for row in _rows(review(opened, W22, TODAY), "features")}
    assert found == {"search": "climbing", "other": "steady"}
    # A week earlier it had climbed twice only.
    found = {row["feature"]: row["trend"] for row in _rows(review(opened, W21, TODAY), "features")}
    assert found == {"search": "steady", "other": "steady"}


def test_what_the_20_percent_rule_alone_flags_is_named_as_such(tmp_path: Path) -> None:
    rows = ["call_id,started_at,model,feature,input_tokens,output_tokens,reported_cost"]
    for number in range(DAYS):
        day = date(2026, 4, 20) + timedelta(days=number)
        rows.append(f"c{number},{day}T09:00:00Z,gpt-4o,search,10,5,{50 if day == date(2026, 5, 27) else 40}")
    (tmp_path / "calls.csv").write_text("\n".join(rows) + "\n")
    assert percall("load", tmp_path / "calls.csv", store=tmp_path / "store").code == 0
    opened = open_current(tmp_path / "store", Configuration())
    # 25 % more on one day is no anomaly where a day may vary by a few percent, but it is more than 20 %.
    section = _section(review(opened, W22, TODAY), "anomalies")
    assert section.mark == "fine"
    assert section.points == (
        "The 20% rule alone also flags search +$10.00 from 27 May: within what these weekdays usually vary.",
    )
    assert _section(review(opened, W21, TODAY), "anomalies").points == ()


def test_the_pair_that_loses_money(told: Review) -> None:
    (row,) = _rows(told, "losses")
    assert (row["feature"], row["user_tier"], row["cost"], row["revenue"], row["saving_if_off"]) == (
        "ask",
        "pro",
        70,
        28,
        42,
    )
    assert (
        _section(told, "losses").sentence
        == "1 of 2 feature and tier pairs cost more than they earn, by $42.00 in the week"
    )
    assert "$1.00 a call against $0.40 earned" in _section(told, "losses").points[0]


def test_every_section_says_something_how_to_read_it_and_where_there_is_more(told: Review) -> None:
    assert [one.key for one in told.sections] == [step.key for step in STEPS]
    assert told.sections[0].key == "actions"
    for one in told.sections:
        assert one.sentence
        assert one.how_to_read.endswith((".", "weeks.", "shared."))
        assert one.mark != "unknown", one.points
        assert bool(one.page) == (one.key not in ("actions", "decisions"))


def test_empty_sections_say_what_to_do(told: Review) -> None:
    marks = {one.key: one.mark for one in told.sections}
    assert marks["actions"] == marks["budgets"] == marks["plans"] == marks["decisions"] == "empty"
    assert "set one on the page Budgets" in _section(told, "budgets").points[0]


def test_a_budget_in_trouble_is_told_as_its_page_tells_it(own: Path) -> None:
    opened = open_current(own, Configuration())
    save_budget(opened.state, Budget("All", Decimal(200)), author="Ann")
    told = review(opened, W22, TODAY)
    (row,) = _rows(told, "budgets")
    # May has 31 days: 24 at 13 USD and the last week's 7 at 16.
    assert row["spent"] == 24 * 13 + 7 * 16
    assert _section(told, "budgets").mark == "look"
    assert "All (over by $224.00)" in _section(told, "budgets").sentence


def test_what_cannot_be_told_leaves_the_rest_standing(own: Path) -> None:
    broken = Configuration(budgets=({"name": "All", "amount": "much"},))
    told = review(open_current(own, broken), W22, TODAY)
    section = _section(told, "budgets")
    assert section.mark == "unknown"
    assert "amount" in section.points[0]
    assert _section(told, "figures").sentence.startswith("The week cost $112.00")


def test_a_missing_exchange_rate_is_named_with_its_first_day_and_what_to_do() -> None:
    """Calls in USD told in EUR: the only rate, of 18 May, holds for seven days more. So 26 to 31 May have none, and the week before has."""
    rate = {
        "date": date(2026, 5, 18),
        "from_currency": "USD",
        "to_currency": "EUR",
        "rate": Decimal("0.9"),
        "source": "ECB",
    }
    warehouse = warehouse_of(
        [call(f"2026-05-{day}", "1.00") | {"call_id": f"k{day}"} for day in range(18, 32)],
        fx_rates=[rate],
        configuration=Configuration(reporting_currency="EUR"),
    )
    told = review(warehouse, read_week("2026-W22"), date(2026, 6, 1))
    untold = {one.key: one for one in told.sections if one.mark == "unknown"}
    assert {"figures", "changed", "features", "untagged"} <= set(untold)
    for section in untold.values():
        assert section.sentence == "Not known in EUR: USD has no exchange rate on 6 of 7 days, the first 26 May 2026"
        (what_to_do,) = section.points
        assert "percall load fx.csv" in what_to_do
        assert "percall export fx --from 2026-05-25 --to 2026-05-31" in what_to_do
    assert told.headline.startswith("Not known in EUR: USD has no exchange rate on 6 of 7 days")
    before = review(warehouse, read_week("2026-W21"), date(2026, 6, 1))
    assert next(one for one in before.sections if one.key == "figures").sentence.startswith("The week cost €6.30")


def test_an_open_action_takes_a_section_in_hand(own: Path) -> None:
    opened = open_current(own, Configuration())
    name = add_action(opened.state, W21, "Ask why", about="features", author="Ann")
    told = review(opened, W22, TODAY)
    assert _section(told, "features").mark == "in hand"
    assert "features" not in told.headline.split("to decide")[-1].split(", ")
    change_action(opened.state, name, status="done", author="Ann")
    assert _section(review(opened, W22, TODAY), "features").mark == "look"
    # It was not known yet when the week before was reviewed.
    assert _section(review(opened, read_week("2026-W20"), TODAY), "actions").mark == "empty"


def test_the_default_week_is_the_newest_whole_one(warehouse: Warehouse, tmp_path: Path) -> None:
    assert default_week(warehouse) == W22
    assert [week.name for week in weeks_with_data(warehouse)] == [f"2026-W{number}" for number in range(22, 16, -1)]
    longer = open_current(build(tmp_path / "longer", DAYS + 3), Configuration())
    assert default_week(longer) == W22
    assert weeks_with_data(longer)[0].name == "2026-W23"


def test_a_week_that_lacks_days_is_compared_with_the_same_days(tmp_path: Path) -> None:
    opened = open_current(build(tmp_path / "short", DAYS - 4), Configuration())
    assert default_week(opened) == W21
    told = review(opened, W22, TODAY)
    assert (
        _section(told, "figures").sentence
        == "3 days of the week cost $48.00, 23.1% more than the same days of the week before"
    )
    assert told.missing[0] == "The data end on Wednesday 27 May: the days after it are missing from this week."
    rows = {row["feature"]: (row["cost"], row["before"], row["usual"]) for row in _rows(told, "features")}
    assert rows == {"ask": (30, 30, 30), "write": (15, 6, 6), "(no feature)": (3, 3, 3)}
    assert _rows(told, "changed")[-1]["amount"] == 9


def test_the_first_week_has_none_before_it(warehouse: Warehouse) -> None:
    told = review(warehouse, read_week("2026-W17"), TODAY)
    assert _section(told, "figures").sentence == "The week cost $91.00; there is no week before to compare it with"
    assert _section(told, "changed").mark == "empty"
    assert {row["trend"] for row in _rows(told, "features")} == {"steady"}


def test_a_week_after_one_without_any_cost_is_compared_with_nothing() -> None:
    """Something far back, a gap, and a week with a cost: that is not "more than the week before"."""
    opened = warehouse_of([call("2026-03-02", "7"), call("2026-05-20", "3")])
    told = review(opened, W21, TODAY)
    assert _section(told, "figures").sentence.endswith("there is no week before to compare it with")
    assert _section(told, "changed").mark == "empty"
    assert _section(told, "changed").sentence == "There is no week before to compare this one with"


def test_a_source_that_is_not_complete_yet_is_named(loaded: Path) -> None:
    slow = Configuration(usual_lag_days={"calls": 100_000})
    missing = days_of(open_current(loaded, slow), W22).missing
    assert any("calls" in sentence and "may still change" in sentence for sentence in missing)
    assert days_of(open_current(loaded, Configuration()), W22).missing == ()


def test_a_week_without_data_says_which_days_there_are(warehouse: Warehouse) -> None:
    with pytest.raises(InputError, match="2026-04-20 to 2026-05-31"):
        review(warehouse, read_week("2026-W30"), TODAY)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Review:
    """A review whose feature's name is markup in every form, with a decision that is too."""
    store = build(tmp_path_factory.mktemp("nasty"), names=NASTY)
    opened = open_current(store, Configuration())
    add_note(opened.state, W22, DECISIONS, "<!channel> see [here](http://e.example) *now*", author="Ann <script>")
    return review(opened, W22, TODAY)


def test_every_form_has_every_figure(told: Review) -> None:
    plain = re.sub(r"\\(.)", r"\1", markdown(told))
    page = html(told)
    paper = " ".join(" ".join(sheet.extract_text().split()) for sheet in PdfReader(io.BytesIO(pdf(told))).pages)
    for one in told.sections:
        for form in (plain, page, paper):
            assert one.title in form
            for figure in one.figures:
                assert figure.value in form
        for row in written_rows(one):
            assert f"| {' | '.join(row)}" in plain
            for cell in row:
                if cell.startswith(("$", "−")):
                    assert cell in page
                    assert cell.replace("−", "-") in paper.replace("−", "-")


def test_amounts_in_json_are_exact_text(told: Review) -> None:
    read = json.loads(json.dumps(body(told)))
    features = next(one for one in read["sections"] if one["section"] == "features")["rows"]
    assert sum(Decimal(row["cost"]) for row in features) == Decimal(112)
    assert all(isinstance(row["cost"], str) for row in features)
    assert (read["week"], read["from"], read["to"]) == ("2026-W22", "2026-05-25", "2026-05-31")


def test_names_are_no_markup_in_any_form(nasty: Review) -> None:
    page = html(nasty)
    assert "<b>&d</b>" not in page
    assert "<script>" not in page.replace("<script>\n", "", 1) or page.count("<script>") == 1
    text = markdown(nasty)
    assert "](http://e.example)" not in text.replace("\\]", "")
    for line in text.splitlines():
        if line.startswith("| "):
            assert re.search(r"(?<!\\)\|", line)
    feature_lines = [line for line in text.splitlines() if line.startswith("| a")]
    assert feature_lines
    assert all(len(re.findall(r"(?<!\\)\|", line)) in (8, 9) for line in feature_lines)
    slack = json.dumps(slack_blocks(nasty))
    assert "<!channel>" not in slack
    assert "<b>" not in slack


def test_slack_takes_it(told: Review, nasty: Review) -> None:
    for one in (told, nasty):
        payload = slack_blocks(one, "https://costs.example.com/")
        assert len(payload["blocks"]) <= SLACK_BLOCKS
        for block in payload["blocks"]:
            assert len(block.get("text", {}).get("text", "")) <= 3000
        (button,) = next(block for block in payload["blocks"] if block["type"] == "actions")["elements"]
        assert button["url"] == "https://costs.example.com/weekly-review?week=2026-W22"
        assert "<https://costs.example.com/features|Features>" in json.dumps(payload)
    assert "actions" not in {block["type"] for block in slack_blocks(told)["blocks"]}, "no button without an address"


def test_the_same_review_gives_the_same_bytes(told: Review, warehouse: Warehouse) -> None:
    again = review(warehouse, W22, TODAY)
    assert markdown(again) == markdown(told)
    assert pdf(again) == pdf(told)


def test_bars_of_text() -> None:
    assert sparkline([Decimal(0), Decimal(4), Decimal(8)]) == "▁▅█"
    assert sparkline([None, Decimal(1)]) == " █"
    assert sparkline([None, Decimal(0)]) == ""


def test_what_is_shared_is_of_the_week_and_has_no_words_of_the_meeting(own: Path) -> None:
    opened = open_current(own, Configuration())
    add_note(opened.state, W22, DECISIONS, "Secret decision", author="Ann")
    add_action(opened.state, W21, "Secret action", author="Ann")
    answer = review_answer(opened, Filters(W22.start, W22.end), 0)
    assert answer.headline == "The week cost $112.00, 23.1% more than the week before"
    assert "Secret" not in repr(answer)
    with pytest.raises(InputError, match="without filters"):
        review_answer(opened, Filters(W22.start, W22.end, (("feature", ("ask",)),)), 0)


def test_a_budget_of_few_people_is_not_shared(tmp_path: Path) -> None:
    rows = ["call_id,started_at,model,feature,user_id,input_tokens,output_tokens,reported_cost"]
    for number in range(DAYS):
        day = date(2026, 4, 20) + timedelta(days=number)
        rows += [f"m{number}-{user},{day}T09:00:00Z,gpt-4o,many,u{user},10,5,1" for user in range(8)]
        rows += [f"f{number}-{user},{day}T09:00:00Z,gpt-4o,few,u{user},10,5,1" for user in range(2)]
    (tmp_path / "calls.csv").write_text("\n".join(rows) + "\n")
    assert percall("load", tmp_path / "calls.csv", store=tmp_path / "store").code == 0
    opened = open_current(tmp_path / "store", Configuration())
    save_budget(opened.state, Budget("Of many", Decimal(100), "feature", "many"), author="Ann")
    save_budget(opened.state, Budget("Of few", Decimal(10), "feature", "few"), author="Ann")
    answer = review_answer(opened, Filters(W22.start, W22.end), 5)
    (budgets,) = [table for table in answer.tables if table.name == "budgets"]
    assert [row[0] for row in budgets.rows] == ["Of many"]
    assert "Of few" not in repr(answer)
