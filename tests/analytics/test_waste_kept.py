"""Waste that is kept on disk is what a search finds now, to the last digit: for every month, after corrections, other prices and other rules."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analytics import waste_sums
from analytics.ahead import questions_ahead
from analytics.filters import Filters
from analytics.waste import waste, waste_report
from pages._periods import presets
from tests.analytics.facts import call
from tests.analytics.stored import store_of
from warehouse.configuration import Configuration
from warehouse.prepared import FOLDER
from warehouse.reader import Warehouse, open_current
from warehouse.tag_rules import TagRule

APRIL, MAY = (Filters(date(2026, month, 1), date(2026, month, last)) for month, last in ((4, 30), (5, 31)))
MONTHS = (APRIL, MAY)


def price(model: str, token_class: str, amount: str) -> dict[str, Any]:
    return {
        "book": "contract", "provider": "openai", "model": model, "token_class": token_class, "processing": "standard",
        "context_from": 0, "amount": Decimal(amount), "currency": "USD", "valid_from": datetime(1970, 1, 1),
        "valid_to": datetime(9999, 12, 31), "source": "test",
    }  # fmt: skip


def prices(small_output: str = "0.60") -> list[dict[str, Any]]:
    amounts = {"big": ("5", "15"), "big-mini": ("0.15", small_output)}
    return [
        price(model, kind, amount)
        for model, pair in amounts.items()
        for kind, amount in zip(("input", "output"), pair, strict=True)
    ]


def embedded(day: date, cost: str = "0.10") -> list[dict[str, Any]]:
    """40 texts embedded on this day, the same as on any other."""
    return [
        call(day.isoformat(), cost, clock=f"09:{text:02d}", operation="embeddings", model="e", input_hash=f"h{text}", feature="docs", team="ai")
        for text in range(40)
    ]  # fmt: skip


def short(day: date) -> list[dict[str, Any]]:
    """60 short answers of a dear model, and one of a cheap one."""
    found = []
    for number in range(61):
        model = "big" if number else "big-mini"
        found.append(
            call(day.isoformat(), "0.20", clock=f"10:{number % 60:02d}", feature="chat", team="ai", user_id=f"u{number}")
            | {
                "model": model, "model_raw": model, "price_id": f"contract/openai/{model}/standard/0@1970-01-01",
                "uncached_input_tokens": 500, "output_tokens": 50,
            }
        )  # fmt: skip
    return found


def calls(corrected: str = "0.10") -> list[dict[str, Any]]:
    days = [date(2026, 4, 10), date(2026, 4, 20), date(2026, 5, 5)]
    found = [one for day in days for one in embedded(day, corrected if day == days[1] else "0.10")]
    return [{"call_id": f"k{place}", **one} for place, one in enumerate([*found, *short(days[0]), *short(days[2])])]


def frames(warehouse: Warehouse) -> list[pd.DataFrame]:
    return [waste(warehouse, month) for month in MONTHS]


def as_computed(path: Path, rules: list[TagRule] | None = None) -> list[pd.DataFrame]:
    fresh = open_current(path, Configuration())
    fresh = fresh if rules is None else fresh.with_tag_rules(rules)
    fresh.keeps_prepared = False
    return frames(fresh)


def same(left: list[pd.DataFrame], right: list[pd.DataFrame]) -> bool:
    return [frame.to_dict("records") for frame in left] == [frame.to_dict("records") for frame in right]


class Searching:
    """How often calls were searched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        search = waste_sums._found

        def counted(*arguments: Any) -> Any:
            self.times += 1
            return search(*arguments)

        monkeypatch.setattr(waste_sums, "_found", counted)

    def during(self, warehouse: Warehouse) -> tuple[int, list[pd.DataFrame]]:
        before = self.times
        found = frames(warehouse)
        return self.times - before, found


def test_every_month_is_searched_once_and_found_as_it_was_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store_of(tmp_path, calls(), prices=prices())
    expected = as_computed(path)
    assert [set(frame["kind"]) for frame in expected] == [{"embedded-again", "premium-model"}] * 2
    searching = Searching(monkeypatch)
    for times in (2, 0):
        asked, found = searching.during(open_current(path, Configuration()))
        assert asked == times
        assert same(found, expected)
    # 40 texts of $0.10 again on 20 April; in May all 40 were known.
    assert [frame.set_index("kind")["waste"]["embedded-again"] for frame in expected] == [Decimal(4), Decimal(4)]


def test_a_corrected_day_is_searched_again_with_the_months_that_look_back_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = frames(open_current(store_of(tmp_path, calls(), prices=prices()), Configuration()))
    path = store_of(tmp_path, calls(corrected="0.25"), prices=prices())
    searching = Searching(monkeypatch)
    asked, found = searching.during(open_current(path, Configuration()))
    assert asked == 2
    assert same(found, as_computed(path))
    assert [frame.set_index("kind")["waste"]["embedded-again"] for frame in (before[0], found[0])] == [4, 10]


def test_another_price_is_another_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = frames(open_current(store_of(tmp_path, calls(), prices=prices()), Configuration()))
    path = store_of(tmp_path, calls(), prices=prices(small_output="1.60"))
    asked, found = Searching(monkeypatch).during(open_current(path, Configuration()))
    assert asked == 2
    assert same(found, as_computed(path))
    assert not same(found, before)


def test_a_virtual_tag_is_another_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store_of(tmp_path, calls(), prices=prices())
    opened = open_current(path, Configuration())
    before = frames(opened)
    rule = TagRule("theirs", "team", "data", (("feature", "docs"),), override=True)
    asked, found = Searching(monkeypatch).during(opened.with_tag_rules([rule]))
    assert asked == 2
    assert same(found, as_computed(path, [rule]))
    assert not same(found, before)
    assert same(frames(open_current(path, Configuration())), before)


def test_filters_and_periods_are_answers_of_their_own(tmp_path: Path) -> None:
    warehouse = open_current(store_of(tmp_path, calls(), prices=prices()), Configuration())
    asked = [
        MAY,
        Filters(MAY.start, MAY.end, (("feature", ("docs",)),)),
        Filters(MAY.start, MAY.end - timedelta(days=1)),
        Filters(MAY.start, MAY.end, basis="billed", grain="month"),
    ]
    found = [waste(warehouse, filters) for filters in asked]
    for filters, frame in zip(asked, found, strict=True):
        fresh = open_current(tmp_path, Configuration())
        fresh.keeps_prepared = False
        assert same([frame], [waste(fresh, filters)])
    assert set(found[1]["kind"]) == {"embedded-again"}
    # Neither basis nor grain touches calls: what is kept of May serves both.
    assert len(list((tmp_path / FOLDER).glob("waste-*"))) == 3


def test_what_is_asked_ahead_answers_every_month_without_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store_of(tmp_path, calls(), prices=prices())
    for _name, ask in questions_ahead(open_current(path, Configuration())):
        ask()
    asked, found = Searching(monkeypatch).during(open_current(path, Configuration()))
    assert asked == 0
    assert same(found, as_computed(path))


def test_the_demo_companys_waste_is_kept_as_it_is_found(demo_store: Path, tmp_path: Path) -> None:
    kept, fresh = open_current(demo_store, Configuration()), open_current(demo_store, Configuration())
    fresh.keeps_prepared = False
    span = kept.span()
    assert span is not None
    period = presets(span)["March 2026"]
    filters = Filters(*period)
    first, again, computed = (waste_report(warehouse, filters) for warehouse in (kept, kept, fresh))
    assert len(first.findings) > 10
    assert same([first.findings, again.findings], [computed.findings] * 2)
    assert first.summary == again.summary == computed.summary
