"""Scenarios saved, compared and adopted on the pages, and a plan's account as the page shows it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analytics.filters import Filters
from analytics.simulators.adopted_plans import adopt, find_plan, plan_history
from analytics.simulators.batch import Batch
from analytics.simulators.build_situation import build_situation
from analytics.simulators.lever import Selection
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.saved_scenarios import find_scenario, save_scenario, saved_scenarios
from analytics.simulators.scenario import Scenario, scenario_of_address
from analytics.simulators.vector_database import VectorDatabase
from tests.operations.bills import line, write
from tests.operations.command import percall
from tests.pages.product import open_product, words
from warehouse.configuration import Configuration
from warehouse.reader import open_current
from warehouse.state import State

PLANNER, SAVED, PLANS = "optimize/scenario_planner.py", "optimize/saved_scenarios.py", "optimize/plans.py"
MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))
NIGHTS = Scenario("Nights", (Batch(share=1.0, calls=Selection(feature=("night_analytics",))),))
SHORT = Scenario("Ngắn gọn", (OutputLimits(length=0.5, calls=Selection(feature=("sentiment",))),))


@pytest.fixture
def own(demo_store: Path, tmp_path: Path) -> Path:
    """The demo company's facts with a state of the test's own."""
    path = tmp_path / "store"
    path.mkdir()
    for part in demo_store.iterdir():
        if part.name == "facts":
            (path / "facts").symlink_to(part)
        elif not part.name.startswith("state.sqlite"):
            (shutil.copytree if part.is_dir() else shutil.copy)(part, path / part.name)
    return path


@pytest.fixture
def opened(own: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    return lambda page, **query: open_product(monkeypatch, own, page, **query)


def test_a_plan_is_saved_and_opened_by_its_name(opened: Callable[..., AppTest], own: Path) -> None:
    app = opened(PLANNER, scenario=NIGHTS.address())
    app.text_input(key="plan_name").set_value("  Đêm   khuya ")
    app.text_input(key="plan_reason").set_value("first try")
    app.button(key="plan_save").click().run()
    assert not app.exception
    assert "Saved as Đêm khuya." in "\n".join(message.value for message in app.success)
    (saved,) = saved_scenarios(State(own))
    assert (saved.name, saved.scenario.levers, saved.author, saved.reason) == (
        "Đêm khuya",
        NIGHTS.levers,
        "Local user",
        "first try",
    )
    again = opened(PLANNER, saved="Đêm khuya")
    value = again.query_params["scenario"]
    assert scenario_of_address(value if isinstance(value, str) else value[0]).levers == NIGHTS.levers
    assert "saved" not in again.query_params
    # It is replayed at once; in May nothing of the nights runs outside of batches any more.
    assert "# One lever would change nothing" in words(again)


def test_an_unknown_name_is_said(opened: Callable[..., AppTest]) -> None:
    assert "no scenario is saved as 'Nobody'; there are: none yet" in words(opened(PLANNER, saved="Nobody"))


def test_the_days_of_a_saved_scenario_are_one_click_away(opened: Callable[..., AppTest], own: Path) -> None:
    save_scenario(State(own), NIGHTS, MARCH, author="ann")
    app = opened(PLANNER, saved="Nights")
    assert "Nights was saved for" in words(app)
    app.button(key="plan_days").click().run()
    assert not app.exception
    assert "31 March 2026" in words(app)
    assert "Nights was saved for" not in words(app)


def test_a_run_plan_is_adopted(opened: Callable[..., AppTest], own: Path) -> None:
    app = opened(PLANNER, scenario=NIGHTS.address())
    app.text_input(key="plan_adopt_owner").set_value("Bình")
    app.button(key="plan_adopt").click().run()
    assert not app.exception
    plan = find_plan(State(own), "Nights")
    # May was replayed: the plan runs from the day after, and nothing is known of June.
    assert (plan.start, plan.owner, plan.adopted_by, plan.baseline.start) == (
        date(2026, 6, 1),
        "Bình",
        "Local user",
        date(2026, 5, 1),
    )
    page = opened(PLANS)
    assert "# Nights is to save" in words(page)
    assert "no day from then on is complete yet" in words(page)


def test_the_print_view_has_all_on_one_page(opened: Callable[..., AppTest]) -> None:
    app = opened(PLANNER, scenario=NIGHTS.address(), print="1")
    text = words(app)
    assert "# Nights" in text
    assert "| 1. Batch processing |" in text
    assert "What is assumed, and left out" in text
    assert not app.dataframe
    app.button(key="plan_back").click().run()
    assert not app.exception
    assert app.dataframe


def test_saved_scenarios_are_compared_renamed_and_deleted(opened: Callable[..., AppTest], own: Path) -> None:
    assert "# No scenario is saved yet" in words(opened(SAVED))
    state = State(own)
    for scenario in (NIGHTS, SHORT):
        save_scenario(state, scenario, MARCH, author="ann")
    app = opened(SAVED)
    # In May nothing of the nights runs outside of batches any more.
    assert "# Ngắn gọn saves most" in words(app)
    levers = app.dataframe[0].value
    assert levers["lever"].tolist() == ["Output limits", "Batch processing", "All levers"]
    app.selectbox(key="scenario_one").set_value("Nights").run()
    app.text_input(key="scenario_new_Nights").set_value("Đêm")
    app.button(key="scenario_rename").click().run()
    assert "Nights is called Đêm now." in "\n".join(message.value for message in app.success)
    app.selectbox(key="scenario_one").set_value("Ngắn gọn").run()
    app.button(key="scenario_delete").click().run()
    assert not app.exception
    assert [each.name for each in saved_scenarios(state)] == ["Đêm"]
    assert find_scenario(state, "Đêm").author == "Local user"


def test_a_plan_s_account_and_its_end(opened: Callable[..., AppTest], own: Path) -> None:
    assert "# No plan is adopted yet" in words(opened(PLANS))
    warehouse = open_current(own, Configuration())
    scenario = Scenario(
        "Own index",
        (VectorDatabase(to="own", vectors=1_086_956, dimensions=1024, copies=3, price_ratio=0.4556, hours_of_work=0),),
    )
    adopt(
        warehouse.state, scenario, scenario.run(build_situation(warehouse, MARCH)), MARCH, start=date(2026, 4, 1), author="ann",
        snapshot_id=warehouse.snapshot_id, rules_revision=0,
    )  # fmt: skip
    app = opened(PLANS, plan_span="May 2026")
    text = words(app)
    # 3,500 in March, 820 in May.
    assert "# Own index saves $2,680 a month" in text
    assert app.metric[0].value == "$2,680"
    levers, categories = (table.value for table in app.dataframe[:2])
    assert levers["realised"].tolist() == [2680.0]
    total = categories[categories["category"] == "Total"].iloc[0]
    assert (total["baseline"], total["actual"]) == (47231.0, 9200.0)
    assert sum(total[["baseline", "volume", "prices", "levers", "residual"]]) == pytest.approx(9200.0)
    app.text_input(key="plan_end_reason").set_value("done")
    app.button(key="plan_end").click().run()
    assert not app.exception
    assert [version.reason for version in plan_history(State(own), "Own index")] == ["adopted", "done"]


def test_bills_without_any_call_can_be_planned_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """28 days of a vector database for 10.00 a day, and no call: levers on resources act, those on calls save nothing or say why they cannot."""
    store, file = tmp_path / "bills", tmp_path / "bills.csv"
    write(
        file,
        [line(day=day, cost="10.00", ServiceProviderName="Pinecone", ServiceName="Pinecone") for day in range(1, 29)],
    )
    answer = percall("load", str(file), store=store)
    assert answer.code == 0, answer.err
    plan = Scenario(
        "Own index",
        (VectorDatabase(to="own", vectors=1000, dimensions=10, copies=1, hours_of_work=0), Batch(share=1.0)),
    )
    app = open_product(monkeypatch, store, PLANNER, scenario=plan.address())
    text = words(app)
    assert "# 2 levers together would" in text
    assert "levers on resources act" in text
    assert "No call of this period passes the filters: only levers on resources can act." in text
    picky = Scenario("Picky", (NIGHTS.levers[0],))
    app = open_product(monkeypatch, store, PLANNER, scenario=picky.address())
    assert "no call of this period has the feature 'night_analytics'" in words(app)
