"""Virtual tags: what they set, on which days, and that calls, lines and roll-ups agree about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.analytics.facts import call, charge
from tests.analytics.stored import store_of
from warehouse.configuration import Configuration, read_configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse, open_current
from warehouse.state import State
from warehouse.tag_rules import KIND, TagRule, read_tag_rules


def rule(**entries: Any) -> TagRule:
    return read_tag_rules([{"name": "r", "dimension": "feature", "value": "new", **entries}])[0]


def opened(path: Path, *rules: TagRule) -> Warehouse:
    return open_current(path, Configuration(virtual_tags=rules), threads=1)


def sums(warehouse: Warehouse, table: str, measure: str, by: str = "feature") -> dict[str | None, int]:
    rows = warehouse.connection.execute(f"SELECT {by}, sum({measure}) FROM {table} GROUP BY 1").fetchall()
    return dict(rows)


def facts() -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    calls = [
        call("2026-05-01", "1", feature=None, prompt_name="nightly", user_id="svc-1", team="ai"),
        call("2026-05-02", "2", feature=None, model="gpt-5", labels={"job": "reembed"}),
        call("2026-05-02", "4", feature="search", prompt_name="nightly"),
    ]
    lines = [
        charge(
            "2026-05-01", "10", x_CostCategory="GPU inference", ResourceId="gpu-a100-4", ServiceName="Compute Engine"
        ),
        charge(
            "2026-05-02", "20", x_CostCategory="Vector database", ServiceName="Pinecone", Tags='{"cost-center": "cc-7"}'
        ),
        charge("2026-05-02", "40", x_CostCategory="Vector database", ServiceName="Pinecone", Tags='{"feature": "ask"}'),
    ]
    return calls, lines


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store_of(tmp_path_factory.mktemp("tags") / "store", *facts())


def test_without_rules_nothing_changes(store: Path) -> None:
    warehouse = opened(store)
    assert sums(warehouse, "calls_daily", "calls") == {None: 2, "search": 1}
    assert sums(warehouse, "charges_daily", "effective") == {None: 30, "ask": 40}


def test_a_rule_fills_in_what_is_missing_and_leaves_what_the_source_says(store: Path) -> None:
    warehouse = opened(store, rule(match={"prompt_name": "^NIGHTLY$"}))
    assert sums(warehouse, "calls_daily", "calls") == {"new": 1, None: 1, "search": 1}
    assert sums(warehouse, "calls", "1") == {"new": 1, None: 1, "search": 1}
    assert sums(warehouse, "user_days", "calls") == {"new": 1}
    assert sums(warehouse, "charges_daily", "effective") == {None: 30, "ask": 40}


def test_a_rule_replaces_what_the_source_says_only_when_told_to(store: Path) -> None:
    warehouse = opened(store, rule(match={"prompt_name": "nightly"}, override=True))
    assert sums(warehouse, "calls_daily", "calls") == {"new": 2, None: 1}


@pytest.mark.parametrize(
    ("match", "calls", "lines"),
    [
        ({"service": "pinecone"}, None, 20),
        ({"resource": "a100"}, None, 10),
        ({"category": "^GPU"}, None, 10),
        ({"tag:cost-center": "cc-7"}, None, 20),
        ({"tag:job": "reembed"}, 2, None),
        ({"model": "gpt-5"}, 2, None),
        ({"user_id": "^svc-"}, 1, None),
        ({"team": "ai", "model": "gpt"}, 1, None),
        ({"account": "^org-1$"}, None, 30),
        ({"source": "."}, 3, 30),
    ],
)
def test_every_field_is_matched(store: Path, match: dict[str, str], calls: int | None, lines: int | None) -> None:
    warehouse = opened(store, rule(match=match))
    assert sums(warehouse, "calls_daily", "cost").get("new") == calls
    assert sums(warehouse, "charges_daily", "effective").get("new") == lines
    assert sums(warehouse, "charge_lines", "EffectiveCost").get("new") == lines


def test_a_rule_holds_from_its_first_to_its_last_day(store: Path) -> None:
    match = {"account": "org"}
    assert sums(opened(store, rule(match=match, valid_to="2026-05-01")), "charges_daily", "effective")["new"] == 10
    assert sums(opened(store, rule(match=match, valid_from="2026-05-02")), "charges_daily", "effective")["new"] == 20
    both = rule(match=match, valid_from="2026-05-01", valid_to="2026-05-02")
    assert sums(opened(store, both), "charges_daily", "effective")["new"] == 30


def test_days_are_those_of_the_reporting_time_zone(tmp_path: Path) -> None:
    path = store_of(tmp_path / "s", [call("2026-05-01", "1", feature=None, clock="20:00")])
    late = rule(match={"model": "gpt"}, valid_from="2026-05-02")
    for zone, tagged in (("UTC", None), ("Asia/Ho_Chi_Minh", 1)):
        warehouse = open_current(path, Configuration(reporting_time_zone=zone, virtual_tags=(late,)), threads=1)
        assert sums(warehouse, "calls_daily", "calls").get("new") == tagged
        assert sums(warehouse, "calls", "1").get("new") == tagged


def test_the_first_rule_that_applies_counts_and_rules_do_not_feed_each_other(store: Path) -> None:
    first = TagRule("a", "feature", "first", (("service", "Pinecone"),))
    second = TagRule("b", "feature", "second", (("account", "org"),))
    third = TagRule("c", "team", "fed", (("feature", "first"),))
    warehouse = opened(store, first, second, third)
    assert sums(warehouse, "charges_daily", "effective") == {"first": 20, "second": 10, "ask": 40}
    assert sums(warehouse, "charges_daily", "effective", by="team") == {None: 70}


def test_rules_saved_on_a_page_follow_those_of_the_file_and_can_be_asked_for_as_of_a_revision(tmp_path: Path) -> None:
    path = store_of(tmp_path / "s", *facts())
    saved = rule(match={"service": "Pinecone"})
    State(path).save(KIND, "r", saved.body(), author="Ann")
    warehouse = opened(path)
    assert sums(warehouse, "charges_daily", "effective")["new"] == 20
    assert warehouse.revision == 1
    with_file = opened(path, TagRule("f", "feature", "file", (("service", "Pinecone"),)))
    assert sums(with_file, "charges_daily", "effective")["file"] == 20
    before = Warehouse(warehouse.store, warehouse.snapshot, Configuration(), revision=0)
    assert sums(before, "charges_daily", "effective") == {None: 30, "ask": 40}


def test_changed_rows_are_counted_against_the_rules_of_now(store: Path) -> None:
    nightly = rule(match={"prompt_name": "nightly"}, override=True)
    assert opened(store).retagged([nightly]) == (2, 0)
    assert opened(store, nightly).retagged([nightly]) == (0, 0)
    assert opened(store, nightly).retagged([]) == (2, 0)
    assert opened(store).retagged([rule(match={"source": "."})]) == (2, 2)


FIELDS = st.sampled_from(
    ["service", "resource", "model", "prompt_name", "tag:job", "account", "team", "source", "category"]
)
PATTERNS = st.sampled_from([".", "gpt", "Pine", "nightly", "^ai$", "a100", "reembed", "'", "org|svc"])
RULES = st.lists(
    st.builds(
        dict,
        dimension=st.sampled_from(["feature", "team"]),
        value=st.sampled_from(["x", "it's"]),
        match=st.dictionaries(FIELDS, PATTERNS, min_size=1, max_size=1),
        override=st.booleans(),
        valid_from=st.sampled_from([None, "2026-05-02"]),
    ),
    max_size=3,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RULES)
def test_rollups_say_the_same_as_the_rows_and_lose_nothing(store: Path, entries: list[dict[str, Any]]) -> None:
    rules = read_tag_rules([{**entry, "name": str(number)} for number, entry in enumerate(entries)])
    warehouse = opened(store, *rules)
    for by in ("feature", "team"):
        assert sums(warehouse, "calls_daily", "cost", by) == sums(warehouse, "calls", "cost", by)
        assert sums(warehouse, "charges_daily", "effective", by) == sums(warehouse, "charge_lines", "EffectiveCost", by)
        assert sum(sums(warehouse, "calls_daily", "cost", by).values()) == 7
        assert sum(sums(warehouse, "charges_daily", "effective", by).values()) == 70


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": ""}, "name is missing"),
        ({"dimension": "region"}, "choose project, feature, team, env, user_tier"),
        ({"match": {}}, "would tag everything"),
        ({"match": {"sevice": "x"}}, "unknown field 'sevice'"),
        ({"match": {"service": "("}}, "no valid regular expression"),
        ({"match": {"service": "x", "user_id": "y"}}, "no row has all of service, user_id"),
        ({"valid_from": "soon"}, "write YYYY-MM-DD"),
        ({"valid_from": "2026-05-02", "valid_to": "2026-05-01"}, "lies before"),
        ({"override": "yes"}, "true or false"),
        ({"extra": 1}, "unknown setting 'extra'"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        rule(**({"match": {"service": "x"}} | entry))


def test_two_rules_of_one_name_are_refused() -> None:
    entry = {"name": "a", "dimension": "feature", "value": "x", "match": {"service": "x"}}
    with pytest.raises(InputError, match="two virtual tags are named 'a'"):
        read_tag_rules([entry, entry])


def test_rules_are_read_from_the_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "percall.toml"
    file.write_text(
        '[percall]\nreporting_currency = "EUR"\n[[virtual_tag]]\nname = "gpu"\ndimension = "feature"\nvalue = "classify"\n'
        'match = { resource = "a100", "tag:owner" = "ml" }\nvalid_from = 2026-05-01\n[[allocation]]\nname = "vectors"\n'
    )
    configuration = read_configuration(file)
    (read,) = configuration.virtual_tags
    assert read.match == (("resource", "a100"), ("tag:owner", "ml"))
    assert str(read.valid_from) == "2026-05-01"
    assert configuration.allocation == ({"name": "vectors"},)
    file.write_text('[[virtual_tag]]\nname = "gpu"\n')
    with pytest.raises(InputError, match=r"percall\.toml.*virtual tag 'gpu'"):
        read_configuration(file)
    file.write_text("virtual_tag = 3\n")
    with pytest.raises(InputError, match=r"\[\[virtual_tag\]\]"):
        read_configuration(file)


def test_rollups_that_have_to_be_worked_out_again_carry_the_tags_too(tmp_path: Path, store: Path) -> None:
    again = store_of(tmp_path / "s", *facts(), with_rollups=False)
    rules = (rule(match={"model": "gpt-5"}), TagRule("s", "feature", "vectors", (("service", "Pinecone"),)))
    for table, measure in (("calls_daily", "cost"), ("charges_daily", "effective"), ("user_days", "cost")):
        assert sums(opened(again, *rules), table, measure) == sums(opened(store, *rules), table, measure)
    assert sums(opened(again, *rules), "charges_daily", "effective") == {"vectors": 20, None: 10, "ask": 40}
