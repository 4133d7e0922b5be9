"""The ordered resolver: where each dimension is looked for, what wins, and that nothing is guessed."""

from __future__ import annotations

import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.dimensions import Labels, Resolver, pointer

CONNECTION = duckdb.connect()
PLACES = ("marked", "own", "traced", "requested")
RESOLVER = Resolver(
    wanted={"feature": ("feature", "use_case"), "env": ("env", "deployment.environment.name")},
    objects=[f"{place}::JSON" for place in PLACES],
    tags="tags",
    native={"env": ("native_env",)},
)


def resolve(name: str = "feature", **row: object) -> str | None:
    columns = {place: json.dumps(row[place]) if place in row else None for place in PLACES}
    columns |= {"native_env": row.get("native_env")}  # type: ignore[dict-item]
    sources = ", ".join(f"${key}::VARCHAR AS {key}" for key in columns)
    query = f"""
        SELECT {RESOLVER.value(name)} FROM (
            SELECT *, {", ".join(RESOLVER.lookups())} FROM (SELECT {sources}, $tags::VARCHAR[] AS tags))"""
    answer = CONNECTION.execute(query, columns | {"tags": row.get("tags")}).fetchone()
    assert answer is not None
    return answer[0]


def test_places_are_asked_in_order() -> None:
    row: dict[str, object] = {
        "marked": {"feature": "1"},
        "own": {"feature": "2"},
        "traced": {"feature": "3"},
        "requested": {"feature": "4"},
        "tags": ["feature:5"],
    }
    for expected, place in zip("12345", (*PLACES, "tags"), strict=True):
        assert resolve(**row) == expected
        del row[place]
    assert resolve(**row) is None


def test_a_native_column_comes_last() -> None:
    assert resolve("env", native_env="prod") == "prod"
    assert resolve("env", native_env="prod", tags=["env=staging"]) == "staging"


def test_within_a_place_keys_are_asked_in_their_order() -> None:
    assert resolve(own={"use_case": "b", "feature": "a"}) == "a"
    assert resolve(own={"use_case": "b"}, traced={"feature": "a"}) == "b"


@pytest.mark.parametrize("tag", ["feature:search", "feature=search", " feature : search ", "feature: search"])
def test_tags_with_a_colon_or_an_equals_sign(tag: str) -> None:
    assert resolve(tags=["User-Agent: curl/8", tag]) == "search"


def test_a_tag_value_may_hold_separators() -> None:
    assert resolve(tags=["feature:a:b=c"]) == "a:b=c"


@pytest.mark.parametrize("tag", ["feature", "features:search", "my-feature:search", "feature:", "featuresearch"])
def test_other_tags_are_no_answer(tag: str) -> None:
    assert resolve(tags=[tag]) is None


@pytest.mark.parametrize("value", [None, "", "  ", {"name": "x"}, ["x"], "null", "None", "{}", '""'])
def test_what_is_no_scalar_is_no_answer_and_the_next_place_is_asked(value: object) -> None:
    assert resolve(marked={"feature": value}) is None
    assert resolve(marked={"feature": value}, requested={"feature": "search"}) == "search"


@pytest.mark.parametrize(("value", "text"), [('"search"', "search"), (7, "7"), (True, "true"), ("  x ", "x")])
def test_scalars_become_trimmed_text_and_encoded_values_are_decoded(value: object, text: str) -> None:
    assert resolve(own={"feature": value}) == text


def test_a_dotted_key_is_one_key() -> None:
    assert resolve("env", own={"deployment.environment.name": "prod"}) == "prod"
    assert resolve("env", own={"deployment": {"environment": {"name": "prod"}}}) is None


@settings(max_examples=100, deadline=None)
@given(
    st.text(min_size=1, max_size=12).filter(lambda key: "\0" not in key and key.isprintable()),
    st.text("abc XYZ-'\"é", min_size=1, max_size=10).filter(lambda v: v.strip() and not v.strip().startswith('"')),
)
def test_any_key_is_found_under_its_own_name_only(key: str, value: str) -> None:
    resolver = Resolver(wanted={"x": (key,)}, objects=["place::JSON"])
    query = f"SELECT {resolver.value('x')} FROM (SELECT {', '.join(resolver.lookups())} FROM (SELECT $place::VARCHAR AS place))"
    document = json.dumps({"_" + key: "wrong", key: value, key + "_": "wrong"})
    assert CONNECTION.execute(query, {"place": document}).fetchone() == (value.strip(" "),)


def test_pointer_escapes_what_json_pointers_need() -> None:
    assert pointer("a/b", "c~d") == "/a~1b/c~0d"


def label_map(places: list[object], tags: list[str] | None = None, known: list[str] | None = None) -> dict[str, str]:
    labels = Labels([f"p{n}::JSON" for n in range(len(places))], "tags", known or [], {"row_id": "row_id"})
    columns = ", ".join(f"$p{n}::VARCHAR AS p{n}" for n in range(len(places)))
    query = f"""
        SELECT {labels.value()} FROM (SELECT *, {labels.keys()} FROM (SELECT {labels.entries()} FROM (
            SELECT {columns}, $tags::VARCHAR[] AS tags, 'r1' AS row_id)))"""
    values = {f"p{n}": json.dumps(place) if place is not None else None for n, place in enumerate(places)}
    answer = CONNECTION.execute(query, values | {"tags": tags}).fetchone()
    assert answer is not None
    return answer[0]


def test_labels_keep_everything_else_the_most_telling_place_first() -> None:
    found = label_map(
        [{"customer": "acme", "feature": "x"}, {"customer": "other", "n": 3, "deep": {"a": 1}}, None],
        ["beta", "region:eu", "customer:third", "feature:y"],
        ["feature"],
    )
    assert found == {"customer": "acme", "n": "3", "beta": "true", "region": "eu", "row_id": "r1"}


def test_labels_keep_nothing_that_identifies_or_unlocks() -> None:
    secret = {
        "user_api_key_alias": "k", "user_agent": "curl", "requester_ip_address": "10.0.0.1", "contact": "a@b.example",
        "origin": "192.168.1.20", "digest": "0" * 64, "email": "x", "Authorization": "Bearer x", "password": "x",
        "headers": {"a": 1}, "essay": "word " * 100, "token": "sk-abcdefgh1234", "plan": "gold",
    }  # fmt: skip
    assert label_map([secret], ["User-Agent: curl", "mail=a@b.example"], ["user_api_key*"]) == {
        "plan": "gold",
        "row_id": "r1",
    }


def test_labels_of_a_row_without_metadata() -> None:
    assert label_map([None], None) == {"row_id": "r1"}
