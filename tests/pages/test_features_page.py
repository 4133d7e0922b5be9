"""The features page on the demo company: all features, inside one, and an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words

PAGE = "inform/features.py"


def test_the_headline_is_the_reference_case(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    assert "# summarize is 61% of the cost of model calls on 8% of the calls" in words(app)
    frame = app.dataframe[0].value
    assert frame["feature"].tolist()[0] == "summarize"
    assert frame["feature"].tolist()[-2:] == ["(untagged)", "(billed, not traced)"]
    assert float(frame["cost"].sum()) == pytest.approx(32400)
    assert "lies outside this table, because its billing lines name no feature" in words(app)
    assert len(app.dataframe) == 1


def test_an_address_opens_a_feature_down_to_its_dearest_calls(
    demo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="May 2026", inside="summarize")
    assert "#### summarize by model" in words(app)
    overall, detail, calls = (table.value for table in app.dataframe)
    inside = overall[overall["feature"] == "summarize"]
    assert float(detail["cost"].sum()) == pytest.approx(float(inside["cost"].sum()))
    assert len(calls) == 100
    assert calls["cost"].is_monotonic_decreasing
    assert not {"text", "input_hash", "prefix_blocks", "labels"} & set(calls.columns)


@pytest.mark.parametrize("by", ["Tier", "Team", "Day", "Prompt", "User"])
def test_a_feature_opens_by_everything(demo_store: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="May 2026", inside="ask")
    app.button_group(key="inside_by").set_value(by).run()
    assert not app.exception
    assert f"#### ask by {by.lower()}" in words(app)
    assert len(app.dataframe[1].value) > 0


def test_untagged_calls_can_be_opened_too(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, inside="(untagged)")
    assert "Dearest calls of (untagged)" in words(app)


def test_one_feature_in_the_filter_is_opened(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, feature="search")
    assert "#### search by model" in words(app)
    assert app.dataframe[0].value["feature"].tolist() == ["search"]


def test_a_feature_that_does_not_exist_opens_nothing(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, inside="<script>")
    assert len(app.dataframe) == 1


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))
