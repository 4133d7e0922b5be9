"""The pages of anomalies, of why cost changed, and of budgets: on the demo company, a store with state, and an empty one."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analytics.anomalies_states import KIND as ANOMALY
from analytics.budgets import KIND as BUDGET
from tests.pages import small_store
from tests.pages.product import open_product, words
from warehouse.state import State

ANOMALIES, WHY, BUDGETS = "operate/anomalies.py", "inform/why_changed.py", "operate/budgets.py"


@pytest.fixture
def own_demo(demo_store: Path, tmp_path: Path) -> Path:
    """The demo company in a store whose state may change: facts are immutable files, so that links to them do."""
    path = tmp_path / "store"
    shutil.copytree(demo_store, path, copy_function=_link, ignore=shutil.ignore_patterns("state.sqlite*"))
    return path


def _link(source: str, target: str) -> None:
    if source.endswith(".duckdb"):
        with suppress(OSError):  # the demo company may lie on another file system
            Path(target).hardlink_to(source)
            return
    shutil.copy2(source, target)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    small_store.build(path)
    return path


def button(app: AppTest, label: str) -> None:
    next(one for one in app.main.button if one.label == label).click()


def test_an_anomaly_is_told_with_its_cause_and_acknowledged(own_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, own_demo, ANOMALIES)
    assert "# summarize cost $144.43 more than expected on Tue 19 May 2026" in words(app)
    assert "because there were 2.6 times as many calls" in words(app)
    causes = next(one.value for one in app.dataframe if "words" in one.value.columns)
    assert float(causes["amount"].sum()) == pytest.approx(144.43, abs=0.01)
    note = next(one for one in app.main.text_input if one.label == "Note" and str(one.key).startswith("anomaly_"))
    note.set_value("agent loop").run()
    button(app, "Acknowledge")
    app.run()
    assert not app.exception
    (document,) = State(own_demo).documents(ANOMALY)
    assert (document.author, (document.body or {})["status"], document.reason) == (
        "Local user",
        "acknowledged",
        "agent loop",
    )
    assert "# All 1 anomalies in May 2026 are taken care of" in words(app)
    assert "acknowledged, by Local user" in words(app)
    button(app, "Open again")
    app.run()
    assert "# summarize cost $144.43 more" in words(app)


def test_what_was_expected_needs_a_note(own_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, own_demo, ANOMALIES)
    button(app, "Was expected")
    app.run()
    assert "say what was expected" in words(app)
    assert State(own_demo).documents(ANOMALY) == []


def test_a_steady_store_has_nothing_odd(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "# Nothing odd is open in May 2026" in words(
        open_product(monkeypatch, store, ANOMALIES, anomaly_ways="Both ways")
    )


def test_why_cost_changed_from_march_to_may(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, WHY, against="March 2026")
    assert "# Cost was $38,031 less in May 2026 than in March 2026; the most of it is model mix" in words(app)
    features = next(one.value for one in app.dataframe if "difference" in one.value.columns)
    assert float(features["difference"].sum()) == pytest.approx(-38031)
    same = open_product(monkeypatch, demo_store, WHY, against="May 2026")
    assert "Both periods are the same" in words(same)


def test_a_budget_is_made_changed_and_removed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, BUDGETS)
    assert "# No budget is set yet" in words(app)
    app.text_input(key="budget_New budget_name").set_value("Everything")
    app.text_input(key="budget_New budget_amount").set_value("much")
    app.run()
    assert "amount is 'much'" in words(app)
    assert app.button(key="budget_New budget_save").disabled
    app.text_input(key="budget_New budget_amount").set_value("8000").run()
    app.button(key="budget_New budget_save").click().run()
    (document,) = State(store).documents(BUDGET)
    assert ((document.body or {})["amount"], document.author) == ("8000", "Local user")
    # 31 days at 271.05 cost 8,402.55.
    assert "# 1 of 1 budget for May 2026 is exceeded: Everything by $402.55" in words(app)
    app.selectbox(key="budget_choice").set_value("Everything").run()
    app.text_input(key="budget_Everything_amount").set_value("9000").run()
    app.button(key="budget_Everything_save").click().run()
    assert "# The budget held in May 2026" in words(app)
    app.button(key="budget_Everything_remove").click().run()
    assert not app.exception
    assert "# No budget is set yet" in words(app)


@pytest.mark.parametrize("page", [ANOMALIES, WHY, BUDGETS])
def test_an_empty_store_says_what_to_connect(page: str, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, page))
