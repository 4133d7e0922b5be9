"""Scenarios saved by name, plans adopted of them, and the demo company's plan against its April and May."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pypdf import PdfReader

from analytics.filters import Filters
from analytics.simulators.adopted_plans import Plan, adopt, end_plan, find_plan, plan_history, plans, withdraw_plan
from analytics.simulators.batch import Batch
from analytics.simulators.build_situation import build_situation
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.plan_overlaps import overlapping
from analytics.simulators.plan_tracking import account_rows, last_complete_day, plan_summaries, plans_view, track
from analytics.simulators.saved_scenarios import (
    delete_scenario,
    find_scenario,
    rename_scenario,
    save_scenario,
    saved_scenarios,
    scenario_versions,
    scenarios_frame,
)
from analytics.simulators.scenario import Scenario, read_scenario_file
from analytics.simulators.vector_database import VectorDatabase
from tests.analytics.simulators.made import call, situation_of
from tests.operations.command import percall
from warehouse.configuration import DATA, Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse, open_current
from warehouse.state import State

MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31), (("feature", ("hỏi đáp",)),), "billed")
NIGHTS = Scenario("Nights", (Batch(share=1.0), OutputLimits(cap=400.0)), "At night", frozenset({1}))


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def test_a_saved_scenario_is_read_as_it_was(state: State) -> None:
    save_scenario(state, NIGHTS, MARCH, author="ann", reason="first")
    found = find_scenario(state, "Nights")
    assert (found.scenario, found.filters, found.author, found.reason) == (NIGHTS, MARCH, "ann", "first")


def test_versions_follow_a_scenario_through_its_names(state: State) -> None:
    save_scenario(state, NIGHTS, MARCH, author="ann")
    save_scenario(state, Scenario("Nights", (Batch(share=0.5),)), MARCH, author="ben")
    rename_scenario(state, "Nights", "  Đêm   khuya ", author="cy")
    save_scenario(state, Scenario("Nights", (Batch(share=0.1),)), MARCH, author="dee")
    assert [each.name for each in saved_scenarios(state)] == ["Nights", "Đêm khuya"]
    versions = scenario_versions(state, "Đêm khuya")
    assert [each.author for each in versions] == ["cy", "ben", "ann"]
    assert versions[-1].scenario.levers == NIGHTS.levers
    # The name was given away and taken again: the new scenario's history is its own.
    assert [each.author for each in scenario_versions(state, "Nights")] == ["dee"]
    assert scenarios_frame(state, saved_scenarios(state))["versions"].tolist() == [1, 3]
    delete_scenario(state, "Đêm khuya", author="cy", reason="done")
    assert [each.name for each in saved_scenarios(state)] == ["Nights"]


def test_names_that_cannot_be_are_refused_in_a_sentence(state: State) -> None:
    save_scenario(state, NIGHTS, MARCH, author="ann")
    save_scenario(state, Scenario("Days", NIGHTS.levers), MARCH, author="ann")
    for act, words in (
        (lambda: save_scenario(state, NIGHTS, MARCH, author="ann", new=True), "there is a scenario 'Nights' already"),
        (lambda: rename_scenario(state, "Days", "Nights", author="ann"), "there is a scenario 'Nights' already"),
        (
            lambda: rename_scenario(state, "Weeks", "Years", author="ann"),
            "no scenario is saved as 'Weeks'; there are: Days, Nights",
        ),
        (lambda: save_scenario(state, Scenario(" ", NIGHTS.levers), MARCH, author="ann"), "give the scenario a name"),
        (lambda: save_scenario(state, Scenario("x" * 81, NIGHTS.levers), MARCH, author="ann"), "at most 80 characters"),
        (lambda: save_scenario(state, Scenario("Empty"), MARCH, author="ann"), "without a lever"),
        (lambda: delete_scenario(state, "Weeks", author="ann"), "no scenario is saved as 'Weeks'"),
    ):
        with pytest.raises(InputError, match=words.replace("(", r"\(")):
            act()
    assert {each.name for each in saved_scenarios(state)} == {"Days", "Nights"}


def adopted(state: State, **more: object) -> Plan:
    outcome = NIGHTS.run(situation_of([call(day=day) for day in range(28)]))
    values: dict = {
        "start": date(2026, 4, 1),
        "author": "ann",
        "owner": "Bình",
        "note": "why",
        "snapshot_id": "s1",
        "rules_revision": 3,
    }
    return adopt(state, NIGHTS, outcome, MARCH, **values | more)


def test_an_adopted_plan_is_frozen_and_its_history_kept(state: State) -> None:
    plan = adopted(state)
    assert plan == find_plan(state, "Nights")
    assert (plan.standing, plan.owner, plan.adopted_by, plan.baseline, plan.snapshot_id) == (
        "running",
        "Bình",
        "ann",
        MARCH,
        "s1",
    )
    # Half of the list price, 28 calls of 0.008 USD, in 30.4375 / 28 of a month: 0.12. The second lever is switched off.
    assert [(each.name, each.added) for each in plan.planned] == [("batch", Decimal("0.12"))]
    with pytest.raises(InputError, match="there is a plan 'Nights' already"):
        adopted(state)
    with pytest.raises(InputError, match="cannot end before"):
        end_plan(state, "Nights", date(2026, 3, 31), author="ben")
    end_plan(state, "Nights", date(2026, 5, 31), author="ben", reason="budget is met")
    ended = find_plan(state, "Nights")
    assert (ended.standing, ended.end, ended.planned, ended.adopted_by, ended.changed_by) == (
        "ended", date(2026, 5, 31), plan.planned, "ann", "ben",
    )  # fmt: skip
    with pytest.raises(InputError, match="does not run any more: it is ended"):
        withdraw_plan(state, "Nights", author="cy")
    assert [(version.author, version.reason) for version in plan_history(state, "Nights")] == [
        ("ann", "adopted"),
        ("ben", "budget is met"),
    ]
    other = adopted(state, name="Second")
    withdraw_plan(state, other.name, author="cy", reason="another idea")
    assert [(each.name, each.standing) for each in plans(state)] == [("Nights", "ended"), ("Second", "withdrawn")]


def test_a_plan_cannot_start_within_what_it_is_compared_with(state: State) -> None:
    with pytest.raises(InputError, match="choose a day after 2026-03-31"):
        adopted(state, start=date(2026, 3, 31))
    assert plans(state) == []


@pytest.fixture(scope="module")
def planned(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The demo company with the scenario of its changes adopted on 1 April."""
    path = tmp_path_factory.mktemp("planned") / "store"
    path.mkdir()
    for part in demo_store.iterdir():
        if part.name == "facts":
            (path / "facts").symlink_to(part)
        elif not part.name.startswith("state.sqlite"):
            (shutil.copytree if part.is_dir() else shutil.copy)(part, path / part.name)
    warehouse = open_current(path, Configuration())
    filters = Filters(date(2026, 3, 1), date(2026, 3, 31))
    scenario = read_scenario_file(DATA / "scenarios" / "march-to-may.toml")
    outcome = scenario.run(build_situation(warehouse, filters))
    adopt(
        warehouse.state, scenario, outcome, filters, start=date(2026, 4, 1), author="ann", owner="Ann", snapshot_id=warehouse.snapshot_id,
        rules_revision=warehouse.revision,
    )  # fmt: skip
    return warehouse


def test_may_realised_what_the_demo_company_changed(planned: Warehouse) -> None:
    """By hand, from the bills of the brief and the settings of data/demo.toml: GPUs 10,400 -> 1,380; vector database 3,500 -> 820; embedding
    1,200 -> 0; 20,000 x 1.24 nightly calls of 3,000 and 600 tokens at half of 24 USD per 1,000; 50,000 reviews a month."""
    account = track(planned, find_plan(planned.state, "March to May")).account(date(2026, 5, 1), date(2026, 5, 31))
    assert sum(account.baseline.values()) == Decimal("47231.00")
    assert sum(account.actual.values()) == Decimal("9200.00")
    realised = {row.name: row.realised for row in account.levers}
    assert realised["gpu-rightsizing"] == Decimal("9020.00")
    assert realised["vector-database"] == Decimal("2680.00")
    assert next(row for row in account.levers if row.name == "rag").by_category["Embedding"] == Decimal("1200.00")
    # In batches at the small model's price: calls x (3,000 x 0.15 + 600 x 0.60) / 1,000,000, half of it saved; they were on it before: routed.
    assert float(realised["batch"]) == pytest.approx(20_000 * 1.24 * (3_000 * 5 + 600 * 15) / 1e6 / 2, rel=0.05)
    # In March, 49,660 reviews were answered in 904.8 tokens on average and 30,340 attempts were cut at 1,024, each with 220 tokens of input, at 5 and
    # 15 USD; in May 50,000 in 28. A hundredth of the bill bypasses the gateway.
    before = (30_340 * (220 * 5 + 1_024 * 15) + 49_660 * (220 * 5 + 904.8 * 15)) / 1e6
    assert float(realised["output-limit"]) == pytest.approx(
        (before - 50_000 * (220 * 5 + 28 * 15) / 1e6) / 0.99, rel=0.005
    )
    assert all(row.status == "on track" for row in account.levers if row.name != "volume")
    assert abs(account.realised / account.expected - 1) < Decimal("0.02")
    # Growth of users from 500 to 620; what nothing explains is less than half a percent of the baseline.
    assert abs(float(sum(account.volume.values())) / -7190 - 1) < 0.02
    assert abs(sum(account.residual.values())) < Decimal("236")
    assert account.residual["Storage and transfer"] == Decimal("31.00")


def test_april_realised_what_was_in_force_by_then(planned: Warehouse) -> None:
    tracked = track(planned, find_plan(planned.state, "March to May"))
    early = tracked.account(date(2026, 4, 1), date(2026, 4, 5))
    # Before 6 April only the nightly job had ended.
    assert {row.status for row in early.levers} == {"growth", "too early"}
    assert all(abs(row.realised) < 10 for row in early.levers if row.name != "rag")
    april = tracked.account(date(2026, 4, 1), date(2026, 4, 30))
    by_name = {row.name: row for row in april.levers}
    # The managed index ran on beside the own nodes until the end of the month: April paid for both.
    assert by_name["vector-database"].realised < 0
    assert by_name["vector-database"].status == "behind"
    assert 0 < by_name["gpu-rightsizing"].realised < 9020 // 2
    may = tracked.account(date(2026, 5, 1), date(2026, 5, 31))
    whole = tracked.account()
    assert (whole.first, whole.last, whole.days) == (date(2026, 4, 1), date(2026, 5, 31), 61)
    for part in ("baseline", "actual"):
        assert getattr(whole, part)["LLM API"] == sum(getattr(each, part)["LLM API"] for each in (april, may))
    # What is saved adds up over days.
    for place, row in enumerate(whole.levers):
        parts = april.levers[place].realised + may.levers[place].realised
        assert abs(row.realised - parts) <= max(abs(row.realised) / 1000, Decimal("0.02")), row.name
    assert last_complete_day(planned) == date(2026, 5, 31)


def test_the_rows_of_an_account_add_up(planned: Warehouse) -> None:
    account = track(planned, find_plan(planned.state, "March to May")).account()
    rows = account_rows(account)
    parts = sum((row.get("realised") or Decimal(0) for row in rows[:-1]), Decimal(0))
    assert parts == sum(account.baseline.values()) - sum(account.actual.values())
    frame = plans_view(planned, Filters(date(2026, 5, 1), date(2026, 5, 31)))
    assert frame["kind"].tolist() == ["lever"] * 10 + ["volume", "prices", "not explained", "total"]
    assert set(frame["days"]) == {31}
    before = plans_view(planned, Filters(date(2026, 3, 1), date(2026, 3, 31)))
    assert before["kind"].tolist() == ["total"]
    assert "no day from then on is complete yet" in before["reason"][0]


def test_the_export_is_the_view(planned: Warehouse) -> None:
    answer = percall(
        "export", "plans", "--from", "2026-05-01", "--to", "2026-05-31", "--format", "json", store=planned.store.path
    )
    assert answer.code == 0, answer.err
    rows = {row["lever"] or row["kind"]: row for row in answer.json}
    assert rows["gpu-rightsizing"]["realised"] == "9020.00"
    assert rows["total"]["status"] == "on track"


def test_a_saved_scenario_is_replayed_by_its_name_and_printed(planned: Warehouse, tmp_path: Path) -> None:
    nights = Scenario("Đêm", (Batch(share=1.0, calls=Selection(feature=("night_analytics",))),))
    save_scenario(planned.state, nights, Filters(date(2026, 3, 1), date(2026, 3, 31)), author="ann")
    file = tmp_path / "nights.pdf"
    words = ("simulate", "Đêm", "--from", "2026-03-01", "--to", "2026-03-31", "--format", "json", "--pdf", str(file))
    answer = percall(*words, store=planned.store.path)
    assert answer.code == 0, answer.err
    # Half of what 19,045 nightly calls cost by the log, a hundredth of the bill beside the gateway.
    assert float(answer.json["saving"]) == pytest.approx(457.39372 / 2 / 0.99, abs=0.01)
    text = PdfReader(file).pages[0].extract_text()
    assert "Đêm" in text
    assert f"${answer.json['saving']}" in text
    assert "2026-03-01 to 2026-03-31, effective cost" in text
    missing = percall("simulate", "Nobody", store=planned.store.path)
    assert missing.code == 2
    assert "cannot be read" in missing.err


def test_the_weekly_review_gets_a_sentence(planned: Warehouse) -> None:
    # Of the 28 days to 25 May, the first three still paid for both vector databases.
    (found,) = plan_summaries(planned, date(2026, 5, 25))
    assert found.lagging == ("Vector database",)
    (found,) = plan_summaries(planned, date(2026, 5, 31))
    assert (found.name, found.owner, found.last_day, found.days) == ("March to May", "Ann", date(2026, 5, 31), 61)
    assert found.status == "on track"
    assert found.lagging == ()
    assert found.sentence.startswith("March to May saves $4")
    assert found.sentence.endswith("expected at this volume: as planned")
    (early,) = plan_summaries(planned, date(2026, 4, 3))
    assert early.status == "too early"
    assert "3 complete days since 2026-04-01, too early to tell" in early.sentence
    assert plan_summaries(planned, date(2026, 3, 31)) == ()


def test_plans_that_act_on_the_same_cost_say_so(planned: Warehouse) -> None:
    whole = find_plan(planned.state, "March to May")
    filters = Filters(date(2026, 4, 1), date(2026, 4, 30))
    night, reviews = (Batch(share=1.0, calls=Selection(feature=(name,))) for name in ("night_analytics", "reviews"))

    def plan(name: str, lever: Lever, start: date = date(2026, 5, 1)) -> Plan:
        return replace(whole, name=name, scenario=Scenario(name, (lever,)), baseline=filters, start=start)

    nights, mornings, own = plan("Nights", night), plan("Reviews", reviews), plan("Index", VectorDatabase())
    every = [whole, nights, mornings, own]
    assert overlapping(nights, every, date(2026, 5, 31)) == ("March to May",)
    assert overlapping(own, every, date(2026, 5, 31)) == ("March to May",)
    assert overlapping(whole, every, date(2026, 5, 31)) == ("Nights", "Reviews", "Index")
    assert overlapping(whole, every, date(2026, 4, 30)) == ()
    assert overlapping(nights, [replace(whole, end=date(2026, 4, 30)), mornings], date(2026, 5, 31)) == ()
    assert overlapping(nights, [replace(whole, standing="withdrawn")], date(2026, 5, 31)) == ()


def test_a_second_plan_is_no_second_saving(planned: Warehouse, tmp_path: Path) -> None:
    store = Path(shutil.copytree(planned.store.path, tmp_path / "store", symlinks=True))
    warehouse = open_current(store, Configuration())
    filters = Filters(date(2026, 3, 1), date(2026, 3, 31))
    index = Scenario("Index", (VectorDatabase(),))
    adopt(
        warehouse.state, index, index.run(build_situation(warehouse, filters)), filters, start=date(2026, 5, 1), author="bob",
        snapshot_id=warehouse.snapshot_id, rules_revision=warehouse.revision,
    )  # fmt: skip
    rows = plans_view(warehouse, Filters(date(2026, 5, 1), date(2026, 5, 31))).to_dict("records")
    reasons = {row["plan"]: row["reason"] for row in rows if row["kind"] == "total"}
    assert reasons["Index"].startswith("March to May runs on some of the same days and acts on the same cost")
    assert reasons["March to May"].startswith("Index runs on")
    assert all("do not add their savings up" in one.sentence for one in plan_summaries(warehouse, date(2026, 5, 31)))


def test_a_selection_of_names_that_nobody_used_chooses_nothing(state: State) -> None:
    """A lever for a feature that is gone realises nothing, and does not stop the account."""
    save_scenario(state, Scenario("Gone", (Batch(share=1.0, calls=Selection(feature=("gone",))),)), MARCH, author="ann")
    assert find_scenario(state, "Gone").scenario.enabled
