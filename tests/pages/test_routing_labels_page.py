"""Labels on the routing page: the risk of a setting, calls to judge, and what is said without any."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.routing import ModelRouting
from analytics.simulators.routing_labels import Label, calls_to_label, save_labels
from tests.pages.product import open_product, words
from warehouse.reader import Warehouse
from warehouse.state import State

PAGE = "optimize/routing.py"
TARGET = "openai/gpt-4o-mini"
MARCH = {"period": "March 2026"}


@pytest.fixture
def own_state(demo_store: Path, tmp_path: Path) -> Path:
    """The demo company with a state of the test's own."""
    store = tmp_path / "store"
    store.mkdir()
    for each in demo_store.iterdir():
        if not each.name.startswith("state.sqlite"):
            (store / each.name).symlink_to(each)
    return store


def test_without_labels_the_page_says_how_to_get_them(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, own_state, PAGE)
    assert "No call is labelled for this target yet" in words(app)
    assert [metric.value for metric in app.metric if metric.label == "Quality lost"] == ["not known"]


def test_labels_bound_the_risk_of_a_setting(
    own_state: Path, demo_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 labelled calls of March, of which the 4 easiest get a worse answer: 20 %, and Wilson's interval for 4 of 20 is 8.1 % to 41.6 %."""
    situation = build_situation(demo_warehouse, Filters(date(2026, 3, 1), date(2026, 3, 31)))
    frame = calls_to_label(ModelRouting(to=TARGET), situation)
    labels = [
        Label(row["call_id"], row["started_at"].value // 1000, 1.0, 0.0 if number < 4 else 1.0)
        for number, row in enumerate(frame.to_dict("records"))
    ]
    save_labels(State(own_state), TARGET, labels, author="test")
    address = {**MARCH, "routing_to": TARGET, "routing_share": "100%"}
    app = open_product(monkeypatch, own_state, PAGE, **address)
    text = words(app)
    assert "Quality, from 20 labelled calls" in text
    assert "20% of all answers get worse (95%: 8.1% to 42%), judged by 20 labelled calls." in text
    by_label = {metric.label: metric.value for metric in app.metric}
    assert (by_label["Quality lost"], by_label["Answers that get worse"]) == ("20%", "20%")
    assert by_label["Of the gap recovered"] == "0%"
    # 1.96² x 0.2 x 0.8 / 0.05² = 246 in all, Wilson's correction leaves about 242: 20 are there.
    assert "more for ±5 points" in text
    app.select_slider(key="routing_share").set_value("0%").run()
    assert {metric.label: metric.value for metric in app.metric}["Answers that get worse"] == "0%"


def test_calls_to_judge_are_shown_for_the_target_of_the_sliders(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, own_state, PAGE, **MARCH, routing_to=TARGET)
    app.button(key="routing_judge").click().run()
    assert f"For {TARGET}: 20 calls, drawn evenly over features and scores" in words(app)
    assert app.button(key="routing_save").disabled
    assert not app.exception
