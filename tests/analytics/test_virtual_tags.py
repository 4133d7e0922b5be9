"""What a change of virtual tags would do is what it then does."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.allocation_rules import KIND as ALLOCATION_RULE
from analytics.allocation_rules import AllocationRule
from analytics.costs import costs
from analytics.features import features
from analytics.filters import Filters
from analytics.records import restatements
from analytics.rule_records import (
    allocation_rule_list,
    rule_history,
    tag_rule_list,
    with_allocation_rule,
    with_tag_rule,
    without_tag_rule,
)
from analytics.tags import tags
from analytics.virtual_tags import effect
from tests.analytics.facts import call, charge
from tests.analytics.stored import store_of
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse, open_current
from warehouse.tag_rules import KIND, TagRule

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
NIGHTLY = TagRule("nightly", "feature", "reports", (("prompt_name", "^nightly$"),))
VECTORS = TagRule("vectors", "feature", "search", (("service", "Pinecone"),), valid_from=date(2026, 5, 2))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    calls = [
        call("2026-05-01", "1", feature=None, prompt_name="nightly"),
        call("2026-05-01", "3", feature="ask"),
        call("2026-06-01", "5", feature=None, prompt_name="nightly", model="gpt-5"),
    ]
    lines = [
        charge("2026-05-01", "8"),
        charge("2026-05-01", "10", x_CostCategory="Vector database", ServiceName="Pinecone"),
        charge("2026-05-02", "20", x_CostCategory="Vector database", ServiceName="Pinecone"),
    ]
    return store_of(tmp_path / "store", calls, lines)


def opened(path: Path, *rules: TagRule) -> Warehouse:
    return open_current(path, Configuration(virtual_tags=rules), threads=1)


def by_feature(warehouse: Warehouse, **period: Any) -> dict[str | None, Decimal]:
    frame = costs(warehouse, Filters(date(2026, 5, 1), date(2026, 6, 30), grain="month"), ("feature",))
    sums: dict[str | None, Decimal] = {}
    for feature, cost in zip(frame["feature"], frame["cost"], strict=True):
        sums[feature] = sums.get(feature, D(0)) + cost
    return sums


def test_the_preview_counts_rows_and_dollars_and_the_views_then_show_them(store: Path) -> None:
    before = opened(store)
    assert by_feature(before) == {None: 37, "ask": 6}
    change = effect(before, [NIGHTLY, VECTORS])
    assert (change.calls, change.lines, change.moved) == (2, 1, (("USD", D(27)),))
    told = {row["value"]: (row["before"], row["after"]) for row in change.changes.to_dict("records")}
    assert told == {None: (37, 10), "search": (0, 20), "reports": (0, 7)}
    assert sum(change.changes["change"]) == 0
    after = opened(store, NIGHTLY, VECTORS)
    assert by_feature(after) == {None: 10, "search": 20, "reports": 7, "ask": 6}
    assert by_feature(before) == {None: 37, "ask": 6}


def test_every_view_agrees_about_the_new_tag(store: Path) -> None:
    warehouse = opened(store, NIGHTLY, VECTORS)
    frame = features(warehouse, MAY)
    named = dict(zip(frame["feature"], frame["total_cost"], strict=True))
    assert (named["reports"], named["search"], named["ask"]) == (2, 20, 6)
    tagged = tags(warehouse, MAY)
    tagged = tagged[tagged["tag"] == "feature"]
    assert dict(zip(tagged["value"], tagged["cost"], strict=True)) == {"search": 20, None: 10, "ask": 6, "reports": 2}
    assert warehouse.dimension_values("feature") == ["search", "reports", "ask"]


def test_a_saved_change_is_restated_by_day_with_the_reason_rules(store: Path) -> None:
    before = opened(store)
    change = effect(before, [VECTORS])
    before.state.save(
        KIND, VECTORS.name, VECTORS.body(), author="Ann", reason="asked by finance", restated=change.restated
    )
    frame = restatements(opened(store), Filters(date(2026, 5, 1), date(2026, 6, 30)))
    told = {
        (row["date"].day, row["feature"]): (row["cost_before"], row["cost_after"]) for row in frame.to_dict("records")
    }
    assert told == {(2, None): (20, 0), (2, "search"): (0, 20)}
    assert set(frame["reason"]) == {"rules"}
    assert sum(frame["change"]) == 0


def test_taking_a_rule_back_restates_the_opposite(store: Path) -> None:
    now = opened(store, VECTORS)
    back = effect(now, without_tag_rule(now, "vectors"))
    assert {(row.feature, row.cost_before, row.cost_after) for row in back.restated} == {
        (None, 0, 20),
        ("search", 20, 0),
    }
    assert effect(now, now.tag_rules).restated == ()


def test_rules_are_listed_with_who_made_them_and_every_change_is_kept(store: Path) -> None:
    state = opened(store).state
    state.save(KIND, "vectors", VECTORS.body(), author="Ann", reason="first")
    state.save(KIND, "vectors", VECTORS.body() | {"value": "ask"}, author="Ben")
    rule = AllocationRule("all", 1, "percent", (("category", "."),), percent=(("ask", D("12.50")),), origin="page")
    state.save(ALLOCATION_RULE, "all", rule.body(), author="Cem")
    warehouse = opened(store, NIGHTLY)
    listed = tag_rule_list(warehouse)
    assert listed[["name", "selects", "sets", "origin", "author"]].values.tolist() == [
        ["nightly", "prompt_name ~ ^nightly$", "feature = reports", "percall.toml", None],
        ["vectors", "service ~ Pinecone", "feature = ask", "page", "Ben"],
    ]
    assert allocation_rule_list(warehouse)[["driver", "targets", "author"]].values.tolist() == [
        ["fixed percent", "ask 12.5%", "Cem"]
    ]
    state.save(KIND, "vectors", None, author="Ann", reason="wrong")
    history = rule_history(opened(store))
    assert history[["kind", "change", "author"]].values.tolist() == [
        ["virtual tag", "removed", "Ann"],
        ["allocation rule", "made", "Cem"],
        ["virtual tag", "changed", "Ben"],
        ["virtual tag", "made", "Ann"],
    ]


def test_a_rule_of_the_page_replaces_its_own_kind_and_never_one_of_the_file(store: Path) -> None:
    warehouse = opened(store, NIGHTLY)
    assert with_tag_rule(warehouse, VECTORS) == (NIGHTLY, VECTORS)
    warehouse.state.save(KIND, "vectors", VECTORS.body(), author="Ann")
    changed = TagRule("vectors", "team", "ml", (("service", "Pinecone"),))
    assert with_tag_rule(opened(store, NIGHTLY), changed) == (NIGHTLY, changed)
    with pytest.raises(InputError, match=r"percall\.toml has a virtual tag 'nightly' already"):
        with_tag_rule(warehouse, TagRule("nightly", "team", "ml", (("service", "x"),)))
    in_file = Configuration(allocation=({"name": "all", "driver": "calls", "select": {"category": "."}},))
    with pytest.raises(InputError, match="two allocation rules are named 'all'"):
        with_allocation_rule(
            open_current(store, in_file), AllocationRule("all", 5, "calls", (("category", "x"),), origin="page")
        )
