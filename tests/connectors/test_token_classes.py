"""Token classes are disjoint and their sum is the provider's total, whatever convention the source follows."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.token_classes import COUNTS, normalised
from warehouse.schema import TOKEN_CLASSES

CONNECTION = duckdb.connect()


def normalise(rows: list[dict[str, int | None]], *, inclusive: bool) -> list[dict[str, int | bool | None]]:
    columns = ", ".join(f"usage_{name}" for name in COUNTS)
    values = ", ".join(
        "(" + ", ".join(f"{row.get(name)}".replace("None", "NULL") + "::BIGINT" for name in COUNTS) + ")"
        for row in rows
    )
    cursor = CONNECTION.execute(
        normalised(f"SELECT *, {inclusive} AS usage_inclusive FROM (VALUES {values}) AS t({columns})")
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def one(*, inclusive: bool = False, **usage: int) -> dict[str, int | bool | None]:
    return normalise([dict(usage)], inclusive=inclusive)[0]


def some(row: dict[str, int | bool | None]) -> dict[str, int | bool | None]:
    """The classes that are not 0, without their suffix."""
    return {name.removesuffix("_tokens"): row[name] for name in TOKEN_CLASSES if row[name] != 0}


@pytest.mark.parametrize("inclusive", [False, True])
def test_anthropic_counts_caches_beside_the_input(inclusive: bool) -> None:  # golden case 1
    row = one(inclusive=inclusive, input=5, cache_read=128_955, cache_write=1_253)
    assert some(row) == {"uncached_input": 5, "cache_read": 128_955, "cache_write_5m": 1_253}
    assert row["usage_tokens"] == 130_213
    assert row["token_total_differs"] is False


@pytest.mark.parametrize("inclusive", [False, True])
def test_bedrock_counts_caches_beside_the_input(inclusive: bool) -> None:  # golden case 2
    row = one(inclusive=inclusive, input=3, cache_write=25, cache_read=13_216, output=12, total=13_256)
    assert some(row) == {"uncached_input": 3, "cache_read": 13_216, "cache_write_5m": 25, "output": 12}


def test_opentelemetry_counts_cached_inside_the_input() -> None:  # golden case 3
    row = one(inclusive=True, input=17_903, cache_read=17_817)
    assert some(row) == {"uncached_input": 86, "cache_read": 17_817}
    assert row["usage_tokens"] == 17_903


def test_cache_writes_of_two_lives() -> None:  # golden case 5
    row = one(cache_write=248, cache_write_5m=148, cache_write_1h=100)
    assert some(row) == {"cache_write_5m": 148, "cache_write_1h": 100}
    assert some(one(cache_write=248, cache_write_1h=100)) == {"cache_write_5m": 148, "cache_write_1h": 100}
    assert some(one(cache_write_5m=148, cache_write_1h=100)) == {"cache_write_5m": 148, "cache_write_1h": 100}


def test_callback_that_leaves_cache_writes_in_the_input() -> None:  # golden case 7
    row = one(input=1_586, cache_read=12_000, cache_write=1_500, output=420, total=14_006)
    assert some(row) == {"uncached_input": 86, "cache_read": 12_000, "cache_write_5m": 1_500, "output": 420}
    assert row["token_total_differs"] is False


@pytest.mark.parametrize(("output", "inclusive"), [(300, True), (300, False), (108, True), (108, False)])
def test_reasoning_inside_or_beside_the_output(output: int, inclusive: bool) -> None:  # golden case 8
    row = one(inclusive=inclusive, input=86, cache_read=1_920, output=output, reasoning=192, total=2_306)
    assert some(row) == {"uncached_input": 86, "cache_read": 1_920, "output": 108, "reasoning": 192}


def test_reasoning_beside_a_total_that_counts_it_apart() -> None:
    row = one(inclusive=True, input=100, output=20, reasoning=300, total=420)
    assert some(row) == {"uncached_input": 100, "output": 20, "reasoning": 300}


def test_audio_is_a_class_of_its_own() -> None:
    row = one(inclusive=True, input=1_000, audio_input=400, cache_read=100, output=50, audio_output=30, total=1_050)
    assert some(row) == {"uncached_input": 500, "cache_read": 100, "audio_input": 400, "output": 20, "audio_output": 30}


def test_cached_audio_counts_once() -> None:
    row = one(inclusive=True, input=1_000, audio_input=900, cache_read=600, output=5, total=1_005)
    assert some(row) == {"cache_read": 600, "audio_input": 400, "output": 5}
    assert row["token_total_differs"] is False


def test_details_without_a_class_are_plain_tokens() -> None:
    assert some(one(input=80, other_input=20, output=1, total=101)) == {"uncached_input": 100, "output": 1}
    assert some(one(input=100, other_input=20, output=1, total=101)) == {"uncached_input": 100, "output": 1}


def test_an_excess_that_nothing_explains_comes_off_the_input_and_is_flagged() -> None:
    row = one(input=1_000, cache_read=300, output=100, total=1_250)
    assert some(row) == {"uncached_input": 850, "cache_read": 300, "output": 100}
    assert row["usage_tokens"] == 1_250
    assert row["token_total_differs"] is True


def test_a_deficit_is_left_and_flagged() -> None:
    row = one(input=1_000, output=100, total=1_500)
    assert some(row) == {"uncached_input": 1_000, "output": 100}
    assert row["token_total_differs"] is True


def test_a_total_of_zero_says_nothing() -> None:
    row = one(input=1_000, output=100, total=0)
    assert some(row) == {"uncached_input": 1_000, "output": 100}
    assert row["token_total_differs"] is False


def test_no_usage_is_unknown_and_not_zero() -> None:
    row = one()
    assert all(row[name] is None for name in TOKEN_CLASSES)
    assert row["token_total_differs"] is False
    total_only = one(total=500)
    assert all(total_only[name] is None for name in TOKEN_CLASSES)
    assert total_only["token_total_differs"] is True


COUNT = st.one_of(st.just(0), st.integers(0, 10), st.integers(0, 2_000_000))
TRUTH = st.fixed_dictionaries(
    dict.fromkeys(("uncached", "read", "write_5m", "write_1h", "audio_in", "output", "reasoning", "audio_out"), COUNT)
)


def total(truth: dict[str, int]) -> int:
    return sum(truth.values())


def as_openai(truth: dict[str, int]) -> dict[str, int | None]:
    details_in = truth["read"] + truth["write_5m"] + truth["write_1h"] + truth["audio_in"]
    return {
        "input": truth["uncached"] + details_in,
        "output": truth["output"] + truth["reasoning"] + truth["audio_out"],
        **_details(truth),
        "total": total(truth),
    }


def as_anthropic(truth: dict[str, int]) -> dict[str, int | None]:
    return {"input": truth["uncached"], "output": truth["output"], **_details(truth), "total": total(truth)}


def as_callback(truth: dict[str, int]) -> dict[str, int | None]:
    """Cache writes stay in the input, everything else stands apart."""
    return as_anthropic(truth) | {"input": truth["uncached"] + truth["write_5m"] + truth["write_1h"]}


def _details(truth: dict[str, int]) -> dict[str, int]:
    return {
        "cache_read": truth["read"],
        "cache_write": truth["write_5m"] + truth["write_1h"],
        "cache_write_5m": truth["write_5m"],
        "cache_write_1h": truth["write_1h"],
        "audio_input": truth["audio_in"],
        "reasoning": truth["reasoning"],
        "audio_output": truth["audio_out"],
    }


def disjoint(truth: dict[str, int]) -> tuple[int, ...]:
    return tuple(
        truth[name]
        for name in ("uncached", "read", "write_5m", "write_1h", "output", "reasoning", "audio_in", "audio_out")
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(TRUTH, min_size=1, max_size=30))
def test_each_convention_gives_back_the_truth(truths: list[dict[str, int]]) -> None:
    for written, inclusive in ((as_openai, True), (as_anthropic, False)):
        rows = normalise([written(truth) for truth in truths], inclusive=inclusive)
        for truth, row in zip(truths, rows, strict=True):
            assert tuple(row[name] for name in TOKEN_CLASSES) == disjoint(truth)
            assert row["token_total_differs"] is False


@settings(max_examples=60, deadline=None)
@given(st.lists(TRUTH, min_size=1, max_size=30), st.booleans())
def test_in_every_convention_classes_add_up_to_the_total(truths: list[dict[str, int]], inclusive: bool) -> None:
    for written in (as_openai, as_anthropic, as_callback):
        rows = normalise([written(truth) for truth in truths], inclusive=inclusive)
        for truth, row in zip(truths, rows, strict=True):
            found = [row[name] for name in TOKEN_CLASSES]
            assert sum(found) == total(truth)  # type: ignore[arg-type]
            assert min(found) >= 0  # type: ignore[type-var]
            assert row["token_total_differs"] is False


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(COUNTS, COUNT)), min_size=1, max_size=30),
    st.booleans(),
)
def test_any_usage_at_all_is_never_negative_and_flagged_where_it_differs(
    usages: list[dict[str, int]], inclusive: bool
) -> None:
    for usage, row in zip(usages, normalise(usages, inclusive=inclusive), strict=True):  # type: ignore[arg-type]
        found = [row[name] for name in TOKEN_CLASSES]
        if set(usage) <= {"total"}:
            assert found == [None] * len(found)
            continue
        assert min(found) >= 0  # type: ignore[type-var]
        assert row["usage_tokens"] == sum(found)  # type: ignore[arg-type]
        if usage.get("total") and row["usage_tokens"] != usage["total"]:
            assert row["token_total_differs"] is True
