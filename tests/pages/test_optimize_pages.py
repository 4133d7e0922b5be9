"""The Optimize pages: every lever on the demo company, from an address, refused settings, a plan put together, and an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analytics.simulators.batch import Batch
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.scenario import Scenario, scenario_of_address
from pages._registry import REGISTRY
from tests.pages.product import open_product, words

SCRIPTS = [f"optimize/{entry.script.name}" for entry in REGISTRY if entry.phase == "Optimize"]
PLANNER = "optimize/scenario_planner.py"
OF_SEVERAL = (PLANNER, "optimize/saved_scenarios.py", "optimize/plans.py")
"""Pages about several levers."""


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script not in OF_SEVERAL])
def test_a_lever_on_the_demo_company(script: str, demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, script)
    text = words(app)
    assert not app.error
    assert app.metric[0].value == "$9,200"
    assert "a month" in text.split("\n# ")[1].split("\n")[0].lower()
    assert "What is assumed, and left out" in text
    (tables,) = (toggle for toggle in app.toggle if str(toggle.key).endswith("_tables"))
    tables.set_value(True).run()
    assert "#### Points of the curve" in words(app)
    assert not app.error


def test_the_address_keeps_a_setting(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """May's 50,000 batchable sentiment calls at half of their 76.85 USD."""
    app = open_product(monkeypatch, demo_store, "optimize/batch.py", batch_share="100%", batch_features=["sentiment"])
    assert [metric.value for metric in app.metric][:3] == ["$9,200", "$9,162", "$38.42"]
    app.select_slider(key="batch_share").set_value("0%").run()
    assert "At this setting nothing changes: $9,200 a month, as today; at most $38.42 would be saved, at 100%" in words(
        app
    )


def test_what_an_address_says_and_no_slider_offers_is_dropped(
    demo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, demo_store, "optimize/batch.py", batch_share="41.5%", batch_features=["<script>"])
    assert app.select_slider(key="batch_share").value == "100%"
    assert not app.error


def test_a_model_without_a_price_is_refused_in_a_sentence(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, "optimize/routing.py", routing_to="nobody/nothing")
    assert "no price book knows the model 'nobody/nothing'" in words(app)
    assert "# This setting of model routing cannot be replayed" in words(app)


@pytest.mark.parametrize("script", ["optimize/batch.py", PLANNER])
def test_filters_that_leave_nothing_say_so(script: str, demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(open_product(monkeypatch, demo_store, script, feature=["ask"], model=["bge-m3"]))
    assert "# There is nothing to replay in this period" in text
    assert "neither a call nor a cost of this period passes the filters" in text


def test_a_feature_without_gpus_has_none_to_right_size(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(open_product(monkeypatch, demo_store, "optimize/gpus.py", feature=["ask"]))
    assert "# There is nothing to replay for GPU right-sizing" in text
    assert "No GPU is billed in this period" in text


def _one(app: AppTest, name: str) -> str:
    """The value of a parameter of the address."""
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


def planned(app: AppTest) -> Scenario:
    return scenario_of_address(_one(app, "scenario"))


def test_a_plan_is_put_together_and_run(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PLANNER)
    assert "# The plan has no lever yet: $9,200 a month, as today" in words(app)
    for title in ("Batch processing", "Output limits"):
        app.selectbox(key="plan_next").set_value(title)
        app.button(key="plan_add").click().run()
    assert planned(app).levers == (Batch(share=1.0), OutputLimits())
    by_label = {field.label: field for field in app.number_input}
    by_label["Length of answers (% of today's)"].set_value(80.0).run()
    app.button(
        key=next(button.key for button in app.button if str(button.key).endswith("_Earlier") and not button.disabled)
    ).click().run()
    assert planned(app).levers == (OutputLimits(length=0.8), Batch(share=1.0))
    assert "is not run yet" in words(app)
    app.button(key="plan_go").click().run()
    assert "# 2 levers together would save $" in words(app)
    app.button(key=next(button.key for button in app.button if str(button.key).endswith("_Remove"))).click().run()
    assert planned(app).levers == (Batch(share=1.0),)
    assert not app.exception


def test_a_plan_opens_from_its_address_as_replayed(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Scenario("Nights", (Batch(share=1.0), OutputLimits(cap=400.0)), disabled=frozenset({1}))
    app = open_product(monkeypatch, demo_store, PLANNER, scenario=plan.address())
    assert planned(app) == plan
    assert "# One lever would save $38.13 to $38.76 of $9,200 a month" in words(app)


def test_a_damaged_address_is_said(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PLANNER, scenario="nonsense")
    assert "the scenario in this address is damaged" in words(app)
    assert "The plan has no lever yet" in words(app)


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_empty_store_says_what_to_load(script: str, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, script))
