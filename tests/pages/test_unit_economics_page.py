"""The unit economics page on the demo company, on stores that know less, and on an empty store."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pages.inform._unit_chart import describe
from tests.pages.product import open_product, words
from tests.pages.small_store import build

PAGE = "inform/unit_economics.py"


@pytest.mark.parametrize(
    ("period", "headline"),
    [
        ("March 2026", "# A daily active user cost $94.46 in March 2026; the product earned less than its AI cost"),
        ("May 2026", "# A daily active user cost $14.84 in May 2026; AI cost left a gross margin of"),
    ],
)
def test_the_headline_is_the_reference_case(
    demo_store: Path, monkeypatch: pytest.MonkeyPatch, period: str, headline: str
) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period=period)
    assert headline in words(app)
    metrics = {metric.label: metric.value for metric in app.main.metric}
    assert list(metrics) == [
        "Per average daily user", "Per daily user and day", "Per monthly user", "Per call", "Per conversion",
    ]  # fmt: skip
    assert metrics["Per average daily user"] in headline


def test_other_periods_than_a_month_are_told_per_day(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="All data")
    assert "# An active user cost $1.65 a day over 1 March – 31 May 2026" in words(app)
    assert "Per distinct user" in [metric.label for metric in app.main.metric]


def test_the_loss_on_free_product_descriptions_is_said_in_words(
    demo_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    frame = app.dataframe[-1].value
    row = frame[(frame["name"] == "product_description") & (frame["user_tier"] == "free")].iloc[0]
    assert row["verdict"] == "▼ loss"
    assert set(frame["verdict"]) == {"▲ profitable", "▼ loss", "– no verdict"}
    assert float(frame["cost"].sum()) == pytest.approx(47231)
    assert "pairs cost more than they earned" in words(app)
    assert "names no feature" in set(frame["note"])


def test_the_chosen_unit_and_grain_come_from_the_address(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="All data", by="Month", unit="Per call")
    assert "#### Cost per call, by month" in words(app)
    assert len(app.dataframe[0].value) == 3
    app = open_product(monkeypatch, demo_store, PAGE, period="May 2026", unit="nonsense")
    assert "#### Cost per active user and day, by day" in words(app)


def test_a_store_without_people_says_what_it_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "store")
    app = open_product(monkeypatch, tmp_path / "store", PAGE)
    assert "active users are not known" in words(app)
    assert "Nobody recorded who was active" in words(app)
    metrics = {metric.label: metric.value for metric in app.main.metric}
    assert metrics["Per average daily user"] == "unknown"


def test_a_filter_that_leaves_nothing_says_so(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classifier runs on the company's own GPU, never on this model."""
    app = open_product(monkeypatch, demo_store, PAGE, period="May 2026", feature="classify", model="gpt-4o-mini")
    assert "No calls, charges or revenue match the filters" in words(app)
    assert not app.dataframe
    assert not app.main.metric


def test_an_empty_store_says_what_to_connect(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))


def test_the_chart_in_words() -> None:
    text = describe(
        [date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)],
        [Decimal("94.462"), None, Decimal("14.84")],
        unit="Cost per user",
        grain="month",
        currency="USD",
    )
    assert text == (
        "Cost per user by month, from $94.46 (March 2026) to $14.84 (May 2026). Highest $94.46 (March 2026), lowest $14.84 (May 2026). "
        "Not known in 1 of 3 months."
    )
    assert describe([], [], unit="Cost", grain="day", currency="USD") == "Cost: not known in any day."
