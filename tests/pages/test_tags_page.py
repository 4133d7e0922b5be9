"""The tags page, and the explanation of a figure that it and other pages carry, on the demo company and on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words

PAGE = "operate/tags.py"


def test_tags_of_march(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    assert "of the cost in March 2026 carries every required tag" in words(app)
    coverage = app.dataframe[0].value
    assert coverage["tag"].tolist() == ["team", "project", "env", "feature", "every tag"]
    assert (coverage["tagged_cost"] + coverage["untagged_cost"]).tolist() == pytest.approx([47231] * 5)
    assert "How was this obtained?" in [expander.label for expander in app.main.expander]
    assert "The questions" not in words(app)


def test_one_tag_is_chosen_by_the_address(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Cost with and without the tag team" in words(open_product(monkeypatch, demo_store, PAGE, tag="team"))


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))
