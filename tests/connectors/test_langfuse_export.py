"""Langfuse's export: the same calls as in LiteLLM's own log, wrappers that do not count, units, empty texts, and scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import langfuse_export, litellm, otel
from connectors.files import inspect
from tests.connectors.extracted import DATA, classes, extracted, from_objects
from warehouse.merging import call_key
from warehouse.schema import TOKEN_CLASSES

EXPORTS = [DATA / "langfuse" / "blob_observations_v2.parquet", DATA / "langfuse" / "blob_observations_v2.jsonl.gz"]
SCORES = DATA / "langfuse" / "sdk5_scores_post.json"

Row = dict[str, Any]
Load = Callable[..., tuple[list[Row], list[Row]]]


def observation(**changes: Any) -> Row:
    """An exported observation as JSON lines hold it; `changes` replace columns."""
    base: Row = {
        "id": "o1", "trace_id": "t1", "start_time": "2026-11-23 20:52:31.000000", "end_time": "2026-11-23 20:52:33.500000", "project_id": "p",
        "parent_observation_id": "", "type": "GENERATION", "name": "answer", "level": "DEFAULT", "environment": "default", "user_id": "",
        "session_id": "", "completion_start_time": None, "metadata": {}, "provided_model_name": "gpt-4o", "model_parameters": "{}",
        "usage_details": {"input": 86, "input_cached_tokens": 1920, "output": 300, "total": 2306}, "cost_details": {"total": 0.005615},
        "total_cost": 0.005615, "prompt_name": "", "prompt_version": None, "latency": 2.5, "time_to_first_token": None, "tags": [],
        "trace_name": "",
    }  # fmt: skip
    return base | changes


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Extracts observations or scores: (good rows, rejected rows)."""
    return lambda *objects: from_objects(langfuse_export, objects, tmp_path)


def test_every_format_gives_the_same_calls(tmp_path: Path) -> None:
    parquet, lines = (extracted(langfuse_export, path, tmp_path) for path in EXPORTS)
    as_csv = tmp_path / "export.csv"
    with as_csv.open("w", newline="") as out:
        source = duckdb.sql(f"SELECT to_json(t) FROM read_parquet('{EXPORTS[0]}') t").fetchall()
        objects = [json.loads(row[0]) for row in source]
        writer = csv.DictWriter(out, objects[0].keys())
        writer.writeheader()
        for item in objects:
            writer.writerow(
                {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in item.items()}
            )
    assert parquet[1] == []
    assert len(parquet[0]) == 18  # 19 observations, one of which is a plain span
    assert extracted(langfuse_export, as_csv, tmp_path) == lines == parquet


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: path.name)
def test_the_gateway_tells_the_same_about_the_same_calls(path: Path, tmp_path: Path) -> None:
    rows = {row["call_id"]: row for row in extracted(langfuse_export, path, tmp_path)[0]}
    payloads, _ = extracted(litellm, DATA / "litellm" / "standard_logging_payload.jsonl.gz", tmp_path)
    told = (
        *TOKEN_CLASSES, "started_at", "latency_ms", "project", "feature", "team", "env", "user_tier", "model_raw", "operation", "processing",
        "status", "reported_cost", "input_hash", "prefix_blocks", "max_tokens", "is_stream", "converted", "revenue", "flags",
    )  # fmt: skip
    for payload in payloads:
        assert {name: rows[payload["call_id"]][name] for name in told} == {name: payload[name] for name in told}
    assert sum(row["reported_cost"] or 0 for row in rows.values()) == Decimal("0.08212694")


def test_calls_of_the_sdk_without_a_gateway(tmp_path: Path) -> None:
    rows = {row["call_id"]: row for row in extracted(langfuse_export, EXPORTS[0], tmp_path)[0]}
    answer, embedding = rows["27e8651812c9bfd0"], rows["2303be9ec24e0bee"]
    assert classes(answer) == (86, 1920, 0, 0, 108, 192, 0, 0)
    assert classes(embedding) == (812, 0, 0, 0, 0, 0, 0, 0)
    assert (answer["operation"], embedding["operation"]) == ("chat", "embeddings")
    assert (answer["team"], answer["env"]) == ("growth", "production")
    assert answer["reported_cost"] is None  # nobody priced it: its total of 0 is no cost
    assert answer["labels"]["observation_id"] == "27e8651812c9bfd0"


def test_cost_without_details_and_cost_of_zero_are_unknown(load: Load) -> None:
    rows, _ = load(
        observation(id="a", cost_details={}, total_cost=0),
        observation(id="b", cost_details={"total": 0}, total_cost=0),
        observation(id="c", cost_details={}, total_cost=0.25),
        observation(id="d", cost_details={"total": 0}, total_cost=0, metadata={"cache_hit": "true"}),
        observation(id="e", cost_details={"input": 0.1, "output": 0.2, "total": 0.3}, total_cost=0.3),
    )
    costs = {row["labels"]["observation_id"]: row["reported_cost"] for row in rows}
    assert costs == {"a": None, "b": None, "c": Decimal("0.25"), "d": Decimal(0), "e": Decimal("0.3")}


def test_a_failure_without_usage(load: Load) -> None:
    rows, _ = load(
        observation(id="a", level="ERROR", usage_details={}, cost_details={}, total_cost=0),
        observation(
            id="b",
            level="ERROR",
            usage_details={},
            cost_details={},
            total_cost=0,
            metadata={"litellm_response_cost": "0"},
        ),
    )
    assert [row["status"] for row in rows] == ["failure", "failure"]
    assert all(classes(row) == (None,) * 8 for row in rows)
    assert sorted((row["reported_cost"] for row in rows), key=str) == [Decimal(0), None]


USED = {"input": 100, "output": 10, "total": 110}


@pytest.mark.parametrize("wrapper", ["SPAN", "AGENT", "CHAIN", "GENERATION"])
def test_a_wrapper_that_repeats_its_calls_does_not_count(wrapper: str, load: Load) -> None:
    both = {"input": 200, "output": 20, "total": 220}
    rows, _ = load(
        observation(id="w", type=wrapper, usage_details=both),
        observation(
            id="between", type="SPAN", parent_observation_id="w", usage_details={}, cost_details={}, total_cost=0
        ),
        observation(id="x", parent_observation_id="between", usage_details=USED),
        observation(id="y", parent_observation_id="w", usage_details=USED),
    )
    assert {row["call_id"] for row in rows} == {"x", "y"}


def test_wrappers_within_wrappers(load: Load) -> None:
    rows, _ = load(
        observation(id="w", type="CHAIN", usage_details=USED),
        observation(id="v", parent_observation_id="w", usage_details=USED),
        observation(id="x", parent_observation_id="v", usage_details=USED),
    )
    assert {row["call_id"] for row in rows} == {"x"}


def test_a_generation_without_usage_around_one_with_usage_is_a_wrapper(load: Load) -> None:
    nothing = {"usage_details": {}, "cost_details": {}, "total_cost": 0}
    rows, _ = load(observation(id="w", **nothing), observation(id="x", parent_observation_id="w"))
    assert {row["call_id"] for row in rows} == {"x"}


def test_a_generation_that_used_tokens_of_its_own_counts_beside_its_children(load: Load) -> None:
    rows, _ = load(
        observation(id="w", usage_details={"input": 500, "output": 50, "total": 550}),
        observation(id="tool", type="TOOL", parent_observation_id="w", usage_details={}, cost_details={}, total_cost=0),
        observation(id="x", parent_observation_id="tool", usage_details=USED),
    )
    assert {row["call_id"] for row in rows} == {"w", "x"}


def test_other_types_count_when_they_carry_usage_and_plain_spans_never(load: Load) -> None:
    nothing = {"usage_details": {}, "cost_details": {}, "total_cost": 0}
    rows, rejected = load(
        observation(id="a", type="SPAN", **nothing),
        observation(id="b", type="AGENT"),
        observation(id="c", type="RETRIEVER", **nothing),
    )
    assert ([row["call_id"] for row in rows], rejected) == (["b"], [])


def test_a_generation_without_usage_is_a_call_whose_cost_is_unknown(load: Load) -> None:
    rows, _ = load(observation(usage_details={}, cost_details={}, total_cost=0))
    assert classes(rows[0]) == (None,) * 8
    assert rows[0]["reported_cost"] is None


def test_nesting_that_bites_its_tail_ends(load: Load) -> None:
    rows, _ = load(
        observation(id="a", type="SPAN", parent_observation_id="b", usage_details={}, cost_details={}, total_cost=0),
        observation(id="b", type="SPAN", parent_observation_id="a", usage_details={}, cost_details={}, total_cost=0),
        observation(id="x", parent_observation_id="a"),
        observation(id="self", parent_observation_id="self"),
    )
    assert {row["call_id"] for row in rows} == {"x", "self"}


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 1000)])
def test_the_files_own_times_tell_the_unit_of_latency(unit: str, factor: int, load: Load) -> None:
    rows, _ = load(
        observation(id="a", latency=2.5 * factor, time_to_first_token=0.4 * factor),
        observation(id="b", latency=2.5 * factor),
        observation(id="c", latency=1.5 * factor, end_time=None),
    )
    found = {row["call_id"]: (row["latency_ms"], row["time_to_first_token_ms"]) for row in rows}
    assert found == {"a": (2500, 400), "b": (2500, None), "c": (1500, None)}


def test_encoded_metadata_dotted_values_and_empty_texts(load: Load) -> None:
    rows, _ = load(
        observation(
            metadata={
                "feature": '"search"',
                "user_tier": "",
                "plan": '"gold"',
                "response_id": '"chatcmpl-9"',
                "project": "assistant",
            },
            tags=["team:growth"],
            prompt_name="greeting",
            prompt_version=3,
        )
    )
    row = rows[0]
    assert (row["call_id"], row["feature"], row["project"], row["team"]) == (
        "chatcmpl-9",
        "search",
        "assistant",
        "growth",
    )
    assert (row["user_tier"], row["user_id"], row["session_id"], row["env"]) == (None, None, None, None)
    assert (row["prompt_name"], row["prompt_version"]) == ("greeting", "3")
    assert row["labels"] == {"plan": "gold", "observation_id": "o1", "observation_trace_id": "t1"}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input": 86, "input_cache_read": 1920, "output": 300}, (86, 1920, 0, 0, 300, 0, 0, 0)),
        ({"input": 5, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3, "output": 1}, (5, 7, 3, 0, 1, 0, 0, 0)),
        ({"input": 5, "input_cache_creation_5m": 148, "input_cache_creation_1h": 100, "output": 1}, (5, 0, 148, 100, 1, 0, 0, 0)),
        ({"input": 5, "input_cache_creation": 248, "output": 1, "output_reasoning": 2}, (5, 0, 248, 0, 1, 2, 0, 0)),
        ({"input": 5, "input_audio": 4, "output": 1, "output_audio_tokens": 2}, (5, 0, 0, 0, 1, 0, 4, 2)),
        ({"input": 5, "input_image_tokens": 4, "output": 1, "total": 10}, (9, 0, 0, 0, 1, 0, 0, 0)),
        ({"prompt_tokens": 100, "cached_tokens": 80, "completion_tokens": 9, "reasoning_tokens": 4}, (20, 80, 0, 0, 5, 4, 0, 0)),
        ({"input": 1586, "cache_read_input_tokens": 12000, "cache_creation_input_tokens": 1500, "output": 420, "total": 14006},
         (86, 12000, 1500, 0, 420, 0, 0, 0)),
    ],
)  # fmt: skip
def test_spellings_of_usage(usage: dict[str, int], expected: tuple[int, ...], load: Load) -> None:
    rows, _ = load(observation(usage_details=usage))
    assert classes(rows[0]) == expected
    assert rows[0]["flags"] == []


def test_classes_that_do_not_add_up_are_kept_and_flagged(load: Load) -> None:
    rows, _ = load(observation(usage_details={"input": 10, "output": 5, "total": 100}))
    assert rows[0]["flags"] == ["token_total"]


def test_a_cut_usage_object_falls_back_to_the_usage_map(load: Load) -> None:
    rows, _ = load(observation(metadata={"usage_object": '{"prompt_tokens": 2006, "completion_tok'}))
    assert classes(rows[0]) == (86, 1920, 0, 0, 300, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"id": ""}, "id"),
        ({"start_time": ""}, "start_time"),
        ({"start_time": "1970-01-01 00:00:00.000000"}, "start_time"),
        ({"usage_details": {"input": -1}}, "usage_details"),
        ({"cost_details": {"total": "NaN"}}, "total_cost/cost_details"),
    ],
)
def test_a_bad_row_is_rejected_and_the_others_stay(changes: Row, column: str, load: Load) -> None:
    good, bad = load(observation(id="a"), observation(**changes), observation(id="c"))
    assert {row["call_id"] for row in good} == {"a", "c"}
    assert [(row["_row"], row["_column"]) for row in bad] == [(2, column)]


def test_lists_as_clickhouse_writes_them_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    with path.open("w", newline="") as out:
        item = observation(
            usage_details='{"input":5,"output":1}',
            cost_details="{}",
            metadata="{}",
            tags="['feature:search','env:prod']",
        )
        writer = csv.DictWriter(out, item.keys())
        writer.writeheader()
        writer.writerow(item)
    rows, _ = extracted(langfuse_export, path, tmp_path)
    assert (rows[0]["feature"], rows[0]["env"]) == ("search", "prod")


def score(**changes: Any) -> Row:
    base: Row = {
        "id": "s1", "timestamp": "2026-11-23 21:00:16.135703", "project_id": "p", "environment": "production", "trace_id": "t1",
        "observation_id": "o1", "session_id": "", "name": "converted", "value": 1, "source": "API", "data_type": "BOOLEAN", "string_value": "True",
    }  # fmt: skip
    return base | changes


def test_scores_as_the_sdk_sends_them(tmp_path: Path) -> None:
    rows, rejected = extracted(langfuse_export, SCORES, tmp_path)
    assert rejected == []
    assert [(row["name"], row["value"], row["observation_id"]) for row in rows] == [
        ("converted", Decimal(1), "27e8651812c9bfd0"),
        ("revenue_usd", Decimal("1.25"), None),
    ]
    assert {row["trace_id"] for row in rows} == {"337bb27858596376b3bc08f14fbb6cd9"}
    assert rows[0]["timestamp"] == datetime(2026, 11, 23, 21, 0, 16, 135703)


def test_scores_of_an_export(load: Load) -> None:
    rows, rejected = load(
        score(),
        score(id="s2", name="revenue_usd", value=1.25, data_type="NUMERIC", string_value="", observation_id=""),
        score(id="s3", name="tone", value=0, data_type="CATEGORICAL", string_value="warm"),
        score(id="s4", value=None, string_value="False"),
        score(id="s5", data_type="NUMERIC", value="NaN"),
        score(id="", value=1),
        score(id="s7", timestamp=""),
    )
    assert [(row["score_id"], row["value"], row["observation_id"]) for row in rows] == [
        ("s1", Decimal(1), "o1"),
        ("s2", Decimal("1.25"), None),
        ("s4", Decimal(0), "o1"),
    ]
    assert [(row["_row"], row["_column"]) for row in rejected] == [(5, "value"), (6, "id"), (7, "timestamp")]


def test_other_kinds_of_files_are_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("id,name,value,timestamp\n1,a,2,2026-01-01\n")
    assert not langfuse_export.detect(inspect(path, tmp_path))
    assert not langfuse_export.detect(inspect(DATA / "litellm" / "standard_logging_payload.jsonl.gz", tmp_path))
    assert not litellm.detect(inspect(EXPORTS[0], tmp_path))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(usages=st.lists(st.tuples(*[st.integers(0, 300_000)] * 5), min_size=1, max_size=20), repeated=st.booleans())
def test_random_usage_adds_up_to_the_total(usages: list[tuple[int, ...]], repeated: bool, tmp_path: Path) -> None:
    objects = []
    for number, (plain, read, write, out, reasoning) in enumerate(usages):
        written = plain + write if repeated else plain
        usage = {
            "input": written,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": write,
            "output": out,
            "output_reasoning": reasoning,
        }
        total = plain + read + write + out + reasoning
        objects.append(observation(id=f"o{number}", usage_details=usage | {"total": total}))
    rows, rejected = from_objects(langfuse_export, objects, tmp_path)
    assert rejected == []
    for row in rows:
        plain, read, write, out, reasoning = usages[int(row["call_id"][1:])]
        total = plain + read + write + out + reasoning
        assert sum(count or 0 for count in classes(row)) == total
        assert "token_total" not in row["flags"]


def test_one_call_in_four_logs_is_one_call(tmp_path: Path) -> None:
    """16 calls of the gateway and 2 of the SDK, told by payloads, spend logs, Langfuse's export and OTLP."""
    logs = (
        (litellm, DATA / "litellm" / "standard_logging_payload.jsonl.gz"),
        (litellm, DATA / "litellm" / "spend_logs_postgres.csv.gz"),
        (langfuse_export, EXPORTS[0]),
        (otel, DATA / "langfuse" / "sdk5_otlp.json.gz"),
    )
    told = [(module.KIND, row["call_id"]) for module, path in logs for row in extracted(module, path, tmp_path)[0]]
    values = ", ".join(f"('{source}', '{call}')" for source, call in told)
    query = f"SELECT count(*), count(DISTINCT {call_key()}) FROM (VALUES {values}) AS t(source, call_id)"
    # an id that only a tracer made is not known to be unique: the SDK's two calls stay apart in two logs
    assert duckdb.sql(query).fetchall() == [(16 + 15 + 18 + 2, 16 + 2 + 2)]
