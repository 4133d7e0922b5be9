"""LiteLLM payloads and spend logs: published totals, the same call through both, costs that are known, and rows that are not."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import litellm
from tests.connectors.extracted import DATA, classes, extracted, from_objects
from warehouse.configuration import Configuration
from warehouse.schema import TOKEN_CLASSES

PAYLOADS = DATA / "litellm" / "standard_logging_payload.jsonl.gz"
SPEND_LOGS = [DATA / "litellm" / "spend_logs_rows.jsonl.gz", DATA / "litellm" / "spend_logs_postgres.csv.gz"]
INPUT_CLASSES = (
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
)

Row = dict[str, Any]


def payload(**changes: Any) -> Row:
    """A small payload of the shape that LiteLLM writes; `changes` replace top-level keys."""
    base: Row = {
        "id": "chatcmpl-1", "litellm_call_id": "call-1", "call_type": "acompletion", "status": "success", "custom_llm_provider": "openai",
        "model": "openai/gpt-4o", "startTime": 1795467150.756052, "endTime": 1795467151.402503, "completionStartTime": 1795467151.402503,
        "response_cost": 0.005615, "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306, "cache_hit": None,
        "saved_cache_cost": 0.0, "request_tags": ["feature:search"], "metadata": {}, "messages": [{"role": "user", "content": "hi"}],
        "model_parameters": {}, "response": {},
    }  # fmt: skip
    return base | changes


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., tuple[list[Row], list[Row]]]:
    """Extracts payloads: (good rows, rejected rows)."""
    return lambda *objects, **more: from_objects(litellm, objects, tmp_path, **more)


def total(rows: list[Row], *names: str) -> int:
    return sum(row[name] or 0 for row in rows for name in names)


def test_payload_totals_are_those_published(tmp_path: Path) -> None:
    rows, rejected = extracted(litellm, PAYLOADS, tmp_path)
    assert (len(rows), rejected) == (16, [])
    assert sum(row["reported_cost"] or 0 for row in rows) == Decimal("0.08212694")
    assert total(rows, *INPUT_CLASSES) == 212_328
    assert total(rows, "output_tokens", "reasoning_tokens") == 4_730
    assert [row["status"] for row in rows].count("failure") == 1


@pytest.mark.parametrize("path", SPEND_LOGS, ids=lambda path: path.name)
def test_spend_logs_tell_the_same_about_the_same_calls(path: Path, tmp_path: Path) -> None:
    rows, rejected = extracted(litellm, path, tmp_path)
    assert (len(rows), rejected) == (15, [])
    assert sum(row["reported_cost"] or 0 for row in rows) == Decimal("0.08212694")
    by_id = {row["call_id"]: row for row in extracted(litellm, PAYLOADS, tmp_path)[0]}
    told = (
        *TOKEN_CLASSES, "reported_cost", "saved_cost", "cache_hit", "project", "feature", "team", "env", "user_tier", "model_raw", "provider",
        "operation", "processing", "session_id", "converted", "revenue", "flags",
    )  # fmt: skip
    for row in rows:
        twin = by_id[row["call_id"]]
        assert {name: row[name] for name in told} == {name: twin[name] for name in told}
        assert abs(row["started_at"] - twin["started_at"]) < timedelta(milliseconds=1)


def test_token_classes_of_the_captured_calls(tmp_path: Path) -> None:
    rows = {row["call_id"]: row for row in extracted(litellm, PAYLOADS, tmp_path)[0]}
    assert classes(rows["chatcmpl-882258118"]) == (86, 1920, 0, 0, 300, 0, 0, 0)
    assert classes(rows["chatcmpl-77331568"]) == (86, 1920, 0, 0, 108, 192, 0, 0)  # golden case 8
    assert classes(rows["chatcmpl-4bda8bcb-1a30-4238-8185-a48072a2e144"]) == (86, 12000, 1000, 500, 420, 0, 0, 0)  # 7
    assert classes(rows["msg_641639626"]) == (86, 12000, 1000, 500, 420, 0, 0, 0)
    assert classes(rows["chatcmpl-1fd56936-303c-4065-8c70-0e351f2e2159"]) == (700, 4000, 0, 0, 250, 0, 0, 0)
    assert classes(rows["6dfb582b-8d3d-40e3-8a7c-32f38e278155"]) == (812, 0, 0, 0, 0, 0, 0, 0)


def test_a_cache_hit_costs_nothing_and_is_a_call_of_its_own(tmp_path: Path) -> None:  # golden case 9
    rows = extracted(litellm, PAYLOADS, tmp_path)[0]
    hit = next(row for row in rows if row["cache_hit"])
    miss = next(row for row in rows if row["call_id"] == "chatcmpl-108562121")
    assert (hit["reported_cost"], hit["saved_cost"]) == (Decimal(0), Decimal("0.0003369"))
    assert (miss["reported_cost"], miss["saved_cost"]) == (Decimal("0.0003369"), None)
    assert classes(hit) == classes(miss) == (86, 1920, 0, 0, 300, 0, 0, 0)
    assert hit["call_id"] != miss["call_id"]
    assert hit["input_hash"] == miss["input_hash"]


def test_a_cache_hit_under_the_id_of_its_miss_stays_a_call_of_its_own(load: Callable[..., Any]) -> None:
    rows, _ = load(
        payload(), payload(litellm_call_id="call-2", cache_hit=True, response_cost=0.005615, saved_cache_cost=0.005615)
    )
    assert len({row["call_id"] for row in rows}) == 2
    assert [row["reported_cost"] for row in rows] == [Decimal("0.005615"), Decimal(0)]
    assert rows[1]["saved_cost"] == Decimal("0.005615")


def test_a_price_that_nobody_knew_is_no_price(load: Callable[..., Any], tmp_path: Path) -> None:  # golden case 10
    captured = {row["call_id"]: row for row in extracted(litellm, PAYLOADS, tmp_path)[0]}
    gemini = captured["chatcmpl-460b08ee-1d0b-4e73-a095-a4cc226dea82"]
    assert gemini["reported_cost"] is None
    assert gemini["flags"] == ["zero_cost"]
    rows, _ = load(
        payload(response_cost=0, prompt_tokens=900, completion_tokens=100, total_tokens=1000),
        payload(response_cost=None),
        payload(response_cost=0, prompt_tokens=0, completion_tokens=0, total_tokens=0, call_type="aimage_generation"),
        payload(response_cost=0, prompt_tokens=0, completion_tokens=0, total_tokens=0, call_type="alist_batches"),
    )
    assert [row["reported_cost"] for row in rows] == [None, None, None, Decimal(0)]
    assert classes(rows[0])[0] == 900
    assert classes(rows[2]) == (None,) * 8


def test_retries_are_attempts_of_which_one_has_a_cost(load: Callable[..., Any]) -> None:  # golden case 13
    failed = {
        "status": "failure",
        "response_cost": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "response": None,
    }
    rows, _ = load(
        payload(id="call-1", startTime=1795467150.1, endTime=1795467150.2, **failed),
        payload(id="call-1", startTime=1795467150.3, endTime=1795467150.4, **failed),
        payload(),
    )
    assert len({row["call_id"] for row in rows}) == 3
    assert [row["status"] for row in rows] == ["failure", "failure", "success"]
    assert [row["reported_cost"] for row in rows] == [Decimal(0), Decimal(0), Decimal("0.005615")]
    assert all(classes(row) == (None,) * 8 for row in rows[:2])


def test_a_failure_after_tokens_has_an_unknown_cost(load: Callable[..., Any]) -> None:
    rows, _ = load(payload(status="failure", response_cost=0))
    assert rows[0]["reported_cost"] is None
    assert classes(rows[0])[0] == 2006


def test_the_same_request_in_two_sessions_has_one_id(load: Callable[..., Any]) -> None:  # golden case 14
    rows, _ = load(payload(session_id="a", litellm_call_id="x"), payload(session_id="b", litellm_call_id="y"))
    assert [row["session_id"] for row in rows] == ["a", "b"]
    assert len({row["call_id"] for row in rows}) == 1


def test_times_are_utc_to_the_microsecond(load: Callable[..., Any]) -> None:
    rows, _ = load(
        payload(), payload(startTime="2026-11-23 22:52:30.756052+02:00", endTime="2026-11-23T20:52:31.402503Z")
    )
    for row in rows:
        assert row["started_at"] == datetime(2026, 11, 23, 20, 52, 30, 756052)
        assert row["latency_ms"] == pytest.approx(646.451)


def test_streams_have_a_time_to_the_first_token(tmp_path: Path) -> None:
    rows = extracted(litellm, PAYLOADS, tmp_path)[0]
    assert [row["time_to_first_token_ms"] for row in rows if row["is_stream"]] == pytest.approx([25.435, 24.132])
    assert all(row["time_to_first_token_ms"] is None for row in rows if not row["is_stream"])


def test_dimensions_outcomes_and_labels(load: Callable[..., Any]) -> None:
    metadata = {
        "spend_logs_metadata": {"feature": "search", "converted": "yes", "revenue_usd": 1.25, "customer": "acme"},
        "requester_metadata": {"project": "assistant", "trace_metadata": {"user_tier": "pro"}, "user_id": "u1", "session_id": "s1"},
        "user_api_key_team_alias": "growth", "user_api_key_hash": "0" * 64, "user_agent": "curl",
        "prompt_management_metadata": {"prompt_id": "greeting"},
    }  # fmt: skip
    rows, _ = load(payload(metadata=metadata, request_tags=["env:prod", "beta", "User-Agent: curl"]))
    row = rows[0]
    assert (row["project"], row["feature"], row["team"], row["env"], row["user_tier"]) == (
        "assistant", "search", "growth", "prod", "pro",
    )  # fmt: skip
    assert (row["user_id"], row["session_id"], row["prompt_name"]) == ("u1", "s1", "greeting")
    assert (row["converted"], row["revenue"]) == (True, Decimal("1.25"))
    assert row["labels"] == {"customer": "acme", "beta": "true"}


def test_untagged_stays_untagged_and_keys_are_configurable(load: Callable[..., Any]) -> None:
    rows, _ = load(payload(request_tags=["use_case:search"]))
    assert rows[0]["feature"] is None
    keys = Configuration().tag_keys | {"feature": ("feature", "use_case")}
    rows, _ = load(payload(request_tags=["use_case:search"]), configuration=Configuration(tag_keys=keys))
    assert rows[0]["feature"] == "search"


def test_revenue_in_another_currency_is_not_taken_for_dollars(load: Callable[..., Any]) -> None:
    rows, _ = load(payload(metadata={"spend_logs_metadata": {"revenue": 3, "currency": "EUR"}}))
    assert rows[0]["revenue"] is None
    assert rows[0]["flags"] == ["revenue_currency"]


@pytest.mark.parametrize(
    ("changes", "processing"),
    [
        ({}, "standard"),
        ({"response": {"service_tier": "default"}, "model_parameters": {"service_tier": "flex"}}, "standard"),
        ({"response": {"service_tier": "priority"}}, "priority"),
        ({"model_parameters": {"service_tier": "flex"}}, "flex"),
        ({"model_parameters": {"service_tier": "auto"}}, "standard"),
        ({"call_type": "aretrieve_batch"}, "batch"),
        ({"request_tags": ["processing:batch"]}, "batch"),
    ],
)
def test_processing(changes: Row, processing: str, load: Callable[..., Any]) -> None:
    assert load(payload(**changes))[0][0]["processing"] == processing


def test_equal_prompts_have_equal_hashes_and_no_text_is_kept(load: Callable[..., Any]) -> None:
    words = [{"role": "user", "content": "the secret word is é"}]
    rows, _ = load(
        payload(messages=words), payload(messages=json.dumps(words, indent=1)), payload(messages=[{"role": "user", "content": "other"}]),
        payload(messages={}), payload(messages=[{"role": "user", "content": "redacted-by-litellm"}]), payload(messages=None),
    )  # fmt: skip
    assert rows[0]["input_hash"] == rows[1]["input_hash"] != rows[2]["input_hash"]
    assert [row["input_hash"] for row in rows[3:]] == [None, None, None]
    assert [row["prefix_blocks"] for row in rows[3:]] == [None, None, None]
    assert "secret" not in str(rows)


def test_prefix_blocks_are_shared_as_far_as_the_prompts_are(load: Callable[..., Any]) -> None:
    system = {"role": "system", "content": "s" * 5_000}
    first = [system, {"role": "user", "content": "a" * 3_000}]
    longer = [*first, {"role": "assistant", "content": "b" * 4_000}]
    other = [system, {"role": "user", "content": "c" * 3_000}]
    rows, _ = load(payload(messages=first), payload(messages=longer), payload(messages=other))
    one, two, three = (row["prefix_blocks"] for row in rows)
    text = json.dumps(first, separators=(",", ":"))
    assert len(one) == (len(text) - 1) // 1024
    assert two[: len(one)] == one
    shared = sum(a == b for a, b in zip(one, three, strict=True))
    assert shared == len(json.dumps([system], separators=(",", ":"))) // 1024
    assert one[shared:] != three[shared:]


def test_prefix_blocks_are_capped(load: Callable[..., Any]) -> None:
    rows, _ = load(payload(messages=[{"role": "user", "content": "x" * 300_000}]))
    assert len(rows[0]["prefix_blocks"]) == 256


BAD = {
    "no id": ({"id": None}, "id/request_id"),
    "no start": ({"startTime": None}, "startTime"),
    "no time": ({"startTime": "yesterday"}, "startTime"),
    "1970": ({"startTime": 12.5}, "startTime"),
    "milliseconds": ({"startTime": 1795467150756}, "startTime"),
    "beyond all calendars": ({"startTime": 99999999999999}, "startTime"),
    "2262": ({"startTime": "2262-01-01 00:00:00"}, "startTime"),
    "negative tokens": ({"prompt_tokens": -5}, "prompt_tokens"),
    "half a token": ({"completion_tokens": 0.5}, "completion_tokens"),
    "NaN tokens": ({"total_tokens": float("nan")}, "total_tokens"),
    "NaN cost": ({"response_cost": float("nan")}, "response_cost/spend"),
    "infinite cost": ({"response_cost": float("inf")}, "response_cost/spend"),
    "negative cost": ({"response_cost": -0.1}, "response_cost/spend"),
    "words as cost": ({"response_cost": "free"}, "response_cost/spend"),
    "negative detail": (
        {"metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": -1}}}},
        "usage_object",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_rejected_and_the_others_stay(case: str, load: Callable[..., Any]) -> None:
    changes, column = BAD[case]
    good, bad = load(payload(id="before"), payload(**changes), payload(id="after"))
    assert [row["call_id"] for row in good] == ["before", "after"]
    assert [(row["_row"], row["_column"]) for row in bad] == [(2, column)]
    assert bad[0]["_reason"]


def test_damaged_metadata_does_not_lose_the_call(load: Callable[..., Any]) -> None:
    rows, rejected = load(payload(metadata="{not json", request_tags="[also not"), payload(metadata=[1, 2]))
    assert rejected == []
    assert [row["reported_cost"] for row in rows] == [Decimal("0.005615")] * 2
    assert classes(rows[0])[0] == 2006


@pytest.mark.parametrize("form", ["object", "array", "pretty", "gzip"])
def test_one_object_per_file_arrays_and_packed_files(form: str, tmp_path: Path) -> None:
    item = payload()
    text = {"object": json.dumps(item), "array": json.dumps([item, item]), "pretty": json.dumps(item, indent=2)}.get(
        form, json.dumps(item)
    )
    path = tmp_path / "time-20-52-30_chatcmpl-1.json"
    path.write_bytes(gzip.compress(text.encode()) if form == "gzip" else text.encode())
    rows, rejected = extracted(litellm, path, tmp_path)
    assert (len(rows), rejected) == (2 if form == "array" else 1, [])
    assert rows[0]["call_id"] == "chatcmpl-1"


def test_other_kinds_of_files_are_not_taken_for_it(tmp_path: Path) -> None:
    from connectors.files import inspect

    path = tmp_path / "calls.csv"
    path.write_text("id,model,spend,startTime\n1,gpt-4o,1,2026-01-01\n")
    assert not litellm.detect(inspect(path, tmp_path))


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["NaN", "[", "{", '"', "1e400", "-1"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=35, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.dictionaries(st.sampled_from(sorted(payload())), JUNK, max_size=4), min_size=1, max_size=10))
def test_no_value_anywhere_stops_the_load(changes: list[Row], tmp_path: Path) -> None:
    good, bad = from_objects(litellm, [payload(), *(payload(**change) for change in changes)], tmp_path)
    assert len(good) + len(bad) == len(changes) + 1
    assert good[0]["call_id"] == "chatcmpl-1"
    assert all(count is None or count >= 0 for row in good for count in classes(row))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(*[st.integers(0, 300_000)] * 6, st.decimals(0, 999, places=10, allow_nan=False)),
        min_size=1,
        max_size=20,
    )
)
def test_random_usage_and_costs_come_back_exactly(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    objects = []
    for number, (uncached, read, short, long, out, reasoning, cost) in enumerate(calls):
        prompt, completion = uncached + read + short + long, out + reasoning
        usage = {
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {
                "cached_tokens": read, "cache_creation_tokens": short + long,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }  # fmt: skip
        item = payload(id=f"c{number}", response_cost="COST", metadata={"usage_object": usage}, **_three(usage))
        objects.append(json.dumps(item).replace('"COST"', format(cost, "f")))
    path = tmp_path / "random.jsonl"
    path.write_text("\n".join(objects))
    rows, rejected = extracted(litellm, path, tmp_path)
    assert rejected == []
    for row, (uncached, read, short, long, out, reasoning, cost) in zip(rows, calls, strict=True):
        used = uncached + read + short + long + out + reasoning
        if used:
            assert classes(row) == (uncached, read, short, long, out, reasoning, 0, 0)
            assert row["flags"] == (["zero_cost"] if cost == 0 else [])
        assert row["reported_cost"] == (cost if cost else None)


def _three(usage: Row) -> Row:
    return {name: copy.copy(usage[name]) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def test_now_is_within_the_accepted_years(load: Callable[..., Any]) -> None:
    now = datetime.now(UTC)
    good, bad = load(
        payload(startTime=now.timestamp()),
        payload(startTime=(now + timedelta(days=9 * 365)).timestamp()),
        payload(startTime=(now + timedelta(days=11 * 365)).timestamp()),
    )
    assert (len(good), len(bad)) == (2, 1)
