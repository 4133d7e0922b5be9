"""OTLP traces: the same totals as LiteLLM's own log, conventions old and new, and spans that are no calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import langfuse_export, otel
from tests.connectors.extracted import DATA, classes, extracted, from_objects

CALLBACKS = ["otel_callback_otlp.json.gz", "langfuse_otel_callback_otlp.json.gz"]

Row = dict[str, Any]
Load = Callable[..., tuple[list[Row], list[Row]]]


def value(item: object) -> Row:
    if isinstance(item, bool):
        return {"boolValue": item}
    if isinstance(item, int):
        return {"intValue": str(item)}
    if isinstance(item, float):
        return {"doubleValue": item}
    if isinstance(item, list):
        return {"arrayValue": {"values": [value(one) for one in item]}}
    return {"stringValue": item}


def span(attributes: Row | None = None, **changes: Any) -> Row:
    """A span of a chat call; `attributes` come on top of its own, those that are None are taken away."""
    own: Row = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.input_tokens": 2006, "gen_ai.usage.output_tokens": 300,
    }  # fmt: skip
    own |= attributes or {}
    return {
        "traceId": "t1", "spanId": "s1", "name": "chat gpt-4o", "startTimeUnixNano": "1795467370307003136", "endTimeUnixNano": "1795467370958158080",
        "attributes": [{"key": key, "value": value(item)} for key, item in own.items() if item is not None], "status": {},
    } | changes  # fmt: skip


def export(*spans: Row, **resource: Any) -> Row:
    attributes = [{"key": key.replace("__", "."), "value": value(item)} for key, item in resource.items()]
    return {
        "resourceSpans": [
            {"resource": {"attributes": attributes}, "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}]}
        ]
    }


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Extracts export requests: (good rows, rejected rows)."""
    return lambda *objects: from_objects(otel, objects, tmp_path)


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_tell_what_the_gateway_told_itself(name: str, tmp_path: Path) -> None:
    rows, rejected = extracted(otel, DATA / "litellm" / name, tmp_path)
    assert (len(rows), rejected) == (16, [])
    assert sum(row["reported_cost"] or 0 for row in rows) == Decimal("0.08212694")
    inputs = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
    assert sum(row[name] or 0 for row in rows for name in inputs) == 212_328
    assert sum((row["output_tokens"] or 0) + (row["reasoning_tokens"] or 0) for row in rows) == 4_730
    assert [row["status"] for row in rows].count("failure") == 1
    assert [row["saved_cost"] for row in rows if row["cache_hit"]] == [Decimal("0.0003369")]
    assert len({row["call_id"] for row in rows}) == 16
    features = {row["feature"] for row in rows}
    assert {"search", "summarise", "rag_index", "hdr", "faq"} <= features
    reasoning = next(row for row in rows if row["feature"] == "planner")
    assert classes(reasoning)[:6] == (86, 1920, 0, 0, 108, 192)


def test_the_sdk_sends_what_its_export_holds(tmp_path: Path) -> None:
    sent = {row["call_id"]: row for row in extracted(otel, DATA / "langfuse" / "sdk5_otlp.json.gz", tmp_path)[0]}
    stored = extracted(langfuse_export, DATA / "langfuse" / "blob_observations_v2.parquet", tmp_path)[0]
    assert set(sent) == {"27e8651812c9bfd0", "2303be9ec24e0bee"}
    for row in stored:
        if row["call_id"] in sent:
            twin = sent[row["call_id"]]
            assert classes(row) == classes(twin)
            for name in (
                "project",
                "feature",
                "team",
                "env",
                "user_tier",
                "user_id",
                "session_id",
                "operation",
                "started_at",
            ):
                assert row[name] == twin[name], name


def test_current_and_former_conventions(load: Load) -> None:
    former = {
        "gen_ai.provider.name": None, "gen_ai.system": "anthropic", "gen_ai.usage.input_tokens": None, "gen_ai.usage.output_tokens": None,
        "gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 7, "gen_ai.response.id": "msg_1",
    }  # fmt: skip
    current = {
        "gen_ai.usage.cache_read.input_tokens": 1920, "gen_ai.usage.reasoning.output_tokens": 192, "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.conversation.id": "c1", "user.id": "u1", "gen_ai.request.max_tokens": 500, "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.prompt.name": "greeting",
    }  # fmt: skip
    rows, _ = load(export(span(former), span(current, spanId="s2")))
    old, new = sorted(rows, key=lambda row: row["call_id"], reverse=True)
    assert (old["provider"], old["model_raw"], classes(old)) == ("anthropic", "gpt-4o", (100, 0, 0, 0, 7, 0, 0, 0))
    assert (new["provider"], new["model_raw"], classes(new)) == (
        "openai",
        "gpt-4o-2024-08-06",
        (86, 1920, 0, 0, 108, 192, 0, 0),
    )
    assert (new["user_id"], new["session_id"], new["prompt_name"], new["max_tokens"]) == ("u1", "c1", "greeting", 500)
    assert (new["finish_reason"], new["is_stream"], new["time_to_first_token_ms"]) == ("stop", True, 250)
    assert new["reported_cost"] is None
    assert new["started_at"] == datetime(2026, 11, 23, 20, 56, 10, 307003)
    assert new["latency_ms"] == pytest.approx(651.155)


def test_openrouter_counts_cached_tokens_once(load: Load) -> None:  # golden case 3
    usage = {"gen_ai.usage.input_tokens": 17_903, "gen_ai.usage.cache_read.input_tokens": 17_817}
    rows, _ = load(export(span(usage)))
    assert classes(rows[0])[:2] == (86, 17_817)


def test_dimensions_from_span_and_resource(load: Load) -> None:
    one = span(
        {"feature": "search", "metadata.project": "assistant", "deployment.environment.name": "staging", "plan": "gold"}
    )
    rows, _ = load(export(one, team="growth", deployment__environment__name="prod", service__name="api"))
    row = rows[0]
    assert (row["feature"], row["project"], row["team"], row["env"], row["user_tier"]) == (
        "search", "assistant", "growth", "staging", None,
    )  # fmt: skip
    assert row["labels"] == {
        "plan": "gold",
        "service.name": "api",
        "observation_id": "s1",
        "observation_trace_id": "t1",
    }


def test_spans_that_are_no_calls_and_wrappers(load: Load) -> None:
    nothing = dict.fromkeys(
        (
            "gen_ai.operation.name",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.response.id",
            "gen_ai.request.model",
        )
    )
    rows, rejected = load(
        export(
            span(nothing, spanId="http"),
            span(
                {"gen_ai.operation.name": "invoke_agent", "gen_ai.response.id": None},
                spanId="agent",
                parentSpanId="http",
            ),
            span(nothing, spanId="step", parentSpanId="agent"),
            span(spanId="call", parentSpanId="step"),
        )
    )
    assert ([row["call_id"] for row in rows], rejected) == (["chatcmpl-1"], [])


def test_failures(load: Load) -> None:
    usage = {"gen_ai.usage.input_tokens": None, "gen_ai.usage.output_tokens": None}
    rows, _ = load(
        export(span(usage, status={"code": 2}), span(usage, spanId="s2", status={"code": "STATUS_CODE_ERROR"}))
    )
    assert [row["status"] for row in rows] == ["failure", "failure"]
    assert all(classes(row) == (None,) * 8 and row["reported_cost"] is None for row in rows)


def test_bad_spans_are_rejected_and_the_others_stay(load: Load) -> None:
    good, bad = load(
        export(
            span(),
            span({"gen_ai.response.id": None}, spanId=None),
            span(startTimeUnixNano="12"),
            span(startTimeUnixNano="9" * 30),
            span({"gen_ai.usage.input_tokens": -1}),
        ),
        export(),
        {"resourceSpans": "none"},
    )
    assert len(good) == 1
    assert sorted(row["_column"] for row in bad) == sorted(
        ["gen_ai.response.id/spanId", "startTimeUnixNano", "startTimeUnixNano", "gen_ai.usage"]
    )
