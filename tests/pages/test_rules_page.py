"""The rules page: rules are made with a preview, change every view once saved, and keep their history."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from analytics.allocation_rules import KIND as ALLOCATION_RULE
from tests.pages import small_store
from tests.pages.product import open_product, words
from warehouse.state import State
from warehouse.tag_rules import KIND as VIRTUAL_TAG

PAGE = "operate/rules.py"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    small_store.build(path, months=("2026-05",))
    return path


def pressed(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


def fill(app: AppTest, form: str, **texts: str) -> AppTest:
    for field, text in texts.items():
        app.text_input(key=f"{form}_{field}").set_value(text)
    app.run()
    assert not app.exception
    return app


def test_an_allocation_rule_is_previewed_saved_changed_and_removed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, store, PAGE)
    assert "# No allocation rules and no virtual tags; $2,199 of $8,403 in May 2026 is owed by no feature" in words(app)
    assert app.button(key="allocation_preview").disabled

    fill(app, "allocation_New rule", name="vectors", category="^Vector")
    pressed(app, "allocation_preview")
    change = next(table.value for table in app.dataframe if "change" in table.value.columns)
    assert float(change["change"].sum()) == pytest.approx(0)
    assert float(change["change"].iloc[0]) == pytest.approx(-31 * 26.45)
    assert change["feature"].iloc[0] == "Unallocated"
    assert State(store).documents(ALLOCATION_RULE) == []

    app.text_input(key="allocation_reason").set_value("agreed with finance")
    pressed(app, "allocation_save")
    (document,) = State(store).documents(ALLOCATION_RULE)
    assert (document.name, document.author, document.reason) == ("vectors", "Local user", "agreed with finance")
    assert "# 1 allocation rule and no virtual tags; $1,380 of $8,403 in May 2026 is owed by no feature" in words(app)
    assert "The allocation rule 'vectors' has been saved." in [part.value for part in app.main.success]

    app.selectbox(key="allocation_choice").set_value("vectors").run()
    assert app.text_input(key="allocation_vectors_category").value == "^Vector"
    fill(app, "allocation_vectors", category="^(Vector|GPU)")
    pressed(pressed(app, "allocation_preview"), "allocation_save")
    assert "$0 of $8,403" in words(app)

    app.selectbox(key="allocation_choice").set_value("vectors").run()
    pressed(pressed(app, "allocation_remove"), "allocation_save")
    assert State(store).documents(ALLOCATION_RULE) == []
    assert "# No allocation rules" in words(app)
    history = next(table.value for table in app.dataframe if "saved_at" in table.value.columns)
    assert history["change"].tolist() == ["removed", "changed", "made"]


def test_a_virtual_tag_is_previewed_and_then_seen_by_every_page(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE)
    fill(app, "tag_New virtual tag", name="gpu", value="search", service="^amazon")
    pressed(app, "tag_preview")
    assert "0 calls and 31 billing lines change, and $1,380 moves" in words(app)
    pressed(app, "tag_save")
    assert [document.name for document in State(store).documents(VIRTUAL_TAG)] == ["gpu"]
    assert "is owed by no feature" in words(app)
    assert "1 virtual tag; $819.95 of $8,403" in words(app)

    restated = open_product(monkeypatch, store, "operate/data.py")
    table = next(table.value for table in restated.dataframe if "cost_before" in table.value.columns)
    assert set(table["reason"]) == {"rules"}
    assert len(table) == 62


def test_a_form_that_cannot_be_used_says_why_and_saves_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, store, PAGE)
    fill(app, "tag_New virtual tag", name="gpu", value="search", service="(")
    assert "the pattern of service is no valid regular expression" in words(app)
    assert app.button(key="tag_preview").disabled
    fill(app, "allocation_New rule", name="vectors", category="(")
    assert "the pattern of category is no valid regular expression" in words(app)
    assert not State(store).path.exists()


def test_what_is_changed_after_the_preview_has_to_be_previewed_again(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, store, PAGE)
    fill(app, "allocation_New rule", name="vectors", category="^Vector")
    pressed(app, "allocation_preview")
    assert app.button(key="allocation_save")
    fill(app, "allocation_New rule", category="^GPU")
    assert not [button for button in app.button if button.key == "allocation_save"]


def test_an_empty_store_says_what_to_connect(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))
