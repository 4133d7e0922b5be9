"""The waste page on the demo company and on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words

PAGE = "inform/waste.py"


@pytest.mark.slow
def test_waste_of_march(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    assert "a month could be avoided for certain, and up to" in words(app)
    frame = app.dataframe[0].value
    assert "Unchanged content embedded again" in frame["title"].tolist()
    assert float(frame[frame["subject"].str.contains("reembed-all")]["cost"].max()) == pytest.approx(1187, abs=1)
    assert [metric.label for metric in app.metric] == ["Avoidable a month", "Of it measured", "Findings"]


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))


def test_a_store_without_waste_says_what_was_looked_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No waste found" in words(open_product(monkeypatch, small, PAGE))
