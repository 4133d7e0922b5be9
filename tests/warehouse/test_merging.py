"""Scores find their calls, once each, whatever the order of loading and whoever else describes the call."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from tests.warehouse.rows import call_rows
from warehouse.configuration import Configuration
from warehouse.intake import Extraction
from warehouse.loading import Loading
from warehouse.reader import open_current
from warehouse.store import Store


def load(path: Path, extraction: Extraction) -> None:
    with Loading(Store(path), Configuration()) as loading:
        loading.add(extraction)
        loading.commit()


def traced(calls: list[tuple[str, str, str, str]]) -> Extraction:
    """Calls of a tracing tool's export: (call id, start, observation id, trace id)."""
    rows = ", ".join(f"('{call}', TIMESTAMP '{start}', '{seen}', '{trace}')" for call, start, seen, trace in calls)
    query = f"""
        SELECT call_id, 'langfuse-export' AS source, moment AS started_at, 'openai' AS provider, 'gpt-4o' AS model_raw, 'chat' AS operation,
               'success' AS status, 1000::BIGINT AS uncached_input_tokens, 100::BIGINT AS output_tokens, trace AS trace_id,
               MAP {{'observation_id': seen, 'observation_trace_id': trace}} AS labels
        FROM (VALUES {rows}) t(call_id, moment, seen, trace)"""
    return Extraction("langfuse-export", "calls", "langfuse-export", "observations.jsonl", "c", query)


def scores(rows: list[tuple[str, str | None, str | None, str, str]]) -> Extraction:
    """(score id, trace id, observation id, name, value)."""

    def text(value: str | None) -> str:
        return "NULL" if value is None else f"'{value}'"

    values = ", ".join(
        f"({text(score)}, {text(trace)}, {text(seen)}, '{name}', {value}::DECIMAL(18,10))"
        for score, trace, seen, name, value in rows
    )
    query = f"""SELECT 'langfuse-export' AS source, score_id, trace_id, observation_id, name, value,
                       TIMESTAMP '2026-03-02 00:00:00' AS timestamp
                FROM (VALUES {values}) t(score_id, trace_id, observation_id, name, value)"""
    return Extraction("langfuse-export", "scores", "langfuse-export", "scores.jsonl", "s", query)


GATEWAY = call_rows([("chatcmpl-1", "2026-03-01 10:00:00", "search", "0.01")], source="litellm")
EXPORT = traced(
    [
        ("chatcmpl-1", "2026-03-01 10:00:00", "obs-1", "trace-1"),
        ("chatcmpl-2", "2026-03-01 10:01:00", "obs-2", "trace-1"),
        ("chatcmpl-3", "2026-03-01 10:02:00", "obs-3", "trace-2"),
    ]
)
SCORES = scores(
    [
        ("s1", "trace-1", None, "revenue_usd", "1.25"),
        ("s2", "trace-2", "obs-3", "revenue_usd", "2.00"),
        ("s3", "trace-2", "obs-3", "converted", "1"),
        ("s4", "trace-9", None, "revenue_usd", "99"),
    ]
)


@pytest.mark.parametrize("order", list(itertools.permutations((GATEWAY, EXPORT, SCORES))))
def test_every_score_counts_once_in_any_order_of_loading(tmp_path: Path, order: tuple[Extraction, ...]) -> None:
    for extraction in order:
        load(tmp_path, extraction)
    warehouse = open_current(tmp_path, Configuration())
    rows = warehouse.arrow(warehouse.table("calls").order_by("call_id")).to_pylist()
    assert [(row["call_id"], row["source"], row["revenue"], row["converted"]) for row in rows] == [
        ("chatcmpl-1", "litellm", Decimal("1.25"), None),
        ("chatcmpl-2", "langfuse-export", None, None),
        ("chatcmpl-3", "langfuse-export", Decimal("2.00"), True),
    ]
    assert rows[0]["cost"] == Decimal("0.01")
    assert rows[0]["feature"] == "search"
    daily = warehouse.table("calls_daily")
    assert warehouse.row(daily.agg(revenue=daily.revenue.sum()))["revenue"] == Decimal("3.25")
