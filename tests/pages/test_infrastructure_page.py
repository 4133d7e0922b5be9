"""The infrastructure page on the demo company, by every level, and on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words

PAGE = "inform/infrastructure.py"


def test_the_headline_and_the_bases_are_the_bill(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    assert "# The bills of March 2026 sum to $47,231, of which 31% is infrastructure beside model APIs" in words(app)
    metrics = {metric.label: metric.value for metric in app.main.metric}
    assert (metrics["Billed"], metrics["Effective"], metrics["Credits"]) == ("$47,231", "$47,231", "$0")
    assert "final: every line is invoiced" in words(app)


@pytest.mark.parametrize("level", ["Category", "Service", "Account", "Resource"])
def test_every_level_sums_to_the_bill(demo_store: Path, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026", level=level)
    frame = app.dataframe[0].value
    assert float(frame["effective"].sum()) == pytest.approx(47231)
    assert frame[level.lower()].notna().all()
    assert set(frame["state"]) == {"● final"}
    assert ("(not named)" in set(frame[level.lower()])) == (level == "Resource")


def test_without_bills_the_page_says_how_to_add_one(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026", tier="free")
    assert "No billing lines match the filters" in words(app)
    assert not app.dataframe


def test_an_empty_store_says_what_to_connect(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))
