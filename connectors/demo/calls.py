"""All calls of the demo company, and the two tables that hold them."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.demo import columns
from connectors.demo.changes import apply_changes, prefix_hashes
from connectors.demo.columns import Columns
from connectors.demo.people import People
from connectors.demo.pipelines import ask_again, embedding_calls, failed_attempts, rerank_calls
from connectors.demo.questions import read_questions
from connectors.demo.shares import Numbers
from connectors.demo.story import TIERS, Story
from connectors.demo.traffic import feature_calls


def make_calls(story: Story, people: People) -> Columns:
    """Every call of the period in order of time, with `cost` (ticks, -1: no price), `saved` (ticks), `untagged` and `reported`."""
    parts = []
    for feature in story.features:
        made = feature_calls(story, people, feature)
        parts.append(ask_again(story, feature, made) if feature.asked_again else made)
    calls = apply_changes(story, columns.join([*parts, embedding_calls(story), rerank_calls(story)]))
    own = calls["trace"] < 0
    calls["trace"][own] = np.arange(int(own.sum()))
    calls = columns.join([calls, failed_attempts(story, calls)])
    calls = columns.take(calls, np.argsort(calls["time"], kind="stable"))
    return _priced(story, calls)


def _priced(story: Story, calls: Columns) -> Columns:
    """Add what the calls cost, exactly: tokens times the price of one, in whole ticks."""
    random = story.random("reporting")
    ok = calls["status"] == columns.SUCCESS
    batch = calls["processing"] == columns.BATCH
    full = np.zeros(columns.size(calls), dtype=np.int64)
    for direction, tokens in (
        ("input", calls["input"] - calls["cached"]),
        ("cached", calls["cached"]),
        ("output", calls["output"]),
    ):
        for batched in (False, True):
            price = np.array([model.price(direction, batch=batched) for model in story.models], dtype=np.int64)
            full += np.where(ok & (batch == batched), tokens * price[calls["model"]], 0)
    known = np.array([model.input is not None for model in story.models])[calls["model"]]
    full = np.where(known, full, -1)
    calls["saved"] = np.where(calls["hit"], full, 0)
    calls["cost"] = np.where(calls["hit"], 0, full)
    quality = story.raw["quality"]
    eligible = np.isin(calls["feature"], [story.feature_names.index(name) for name in quality["untagged_features"]])
    share = quality["untagged"] * columns.size(calls) / max(int(eligible.sum()), 1)
    calls["untagged"] = eligible & (random.random(columns.size(calls)) < share)
    silent = random.random(columns.size(calls)) < quality["not_reported"]
    hosted = np.array([model.provider != "openai" for model in story.models])[calls["model"]]
    calls["reported"] = known & ~(silent & ok & ~batch & ~calls["hit"] & ~hosted)
    return calls


def _latencies(story: Story, calls: Columns) -> tuple[Numbers, Numbers]:
    """Whole duration and time to the first token in milliseconds; NaN: not known (batches; no stream)."""
    random = story.random("latency")
    count = columns.size(calls)
    speed = np.array([model.throughput for model in story.models])[calls["model"]]
    first = (230 + 0.011 * np.maximum(calls["input"], 0)) * np.exp(0.28 * random.standard_normal(count))
    writing = np.where(speed > 0, calls["output"] / np.maximum(speed, 1) * 1000, 0) * np.exp(
        0.14 * random.standard_normal(count)
    )
    whole = first + np.maximum(writing, 0)
    whole = np.where(calls["status"] == columns.FAILURE, random.uniform(300, 20_000, count), whole)
    whole = np.where(calls["hit"], random.uniform(25, 90, count), whole)
    whole[calls["processing"] == columns.BATCH] = np.nan
    answers = calls["stream"] & (calls["status"] == columns.SUCCESS)
    first = np.where(answers, np.minimum(first, whole), np.nan)
    return np.round(whole, 1), np.round(first, 1)


def money(amounts: NDArray[np.int64], known: NDArray[np.bool_] | None = None) -> pa.Array:
    """Non-negative ticks as DECIMAL(18,10), exactly; NULL where not known."""
    words = np.zeros((len(amounts), 2), dtype=np.int64)
    words[:, 0] = np.maximum(amounts, 0)
    validity = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Decimal128Array.from_buffers(pa.decimal128(18, 10), len(amounts), [validity, pa.py_buffer(words)])


def coded(codes: NDArray[Any], words: tuple[str, ...]) -> pa.Array:
    """Words by code; a negative code is NULL."""
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32), mask=codes < 0), pa.array(words, pa.string())
    )


def _prefix_lists(story: Story, calls: Columns) -> pa.Array:
    counts = calls["blocks"].astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(counts)])
    hashes = np.zeros(int(ends[-1]), dtype=np.uint64)
    for code, feature in enumerate(story.features):
        if feature.constant_prefix:
            at = np.flatnonzero(calls["feature"] == code)
            number, found = prefix_hashes(story, feature, columns.take(calls, at))
            place = np.repeat(ends[:-1][at] - (np.cumsum(number) - number), number) + np.arange(len(found))
            hashes[place] = found
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(hashes), mask=pa.array(counts == 0))


def _wire(story: Story, calls: Columns) -> pa.Table:
    """The calls as Arrow columns, codes still short."""
    whole, first = _latencies(story, calls)
    feature, team = calls["feature"].astype(np.int64), calls["feature"].astype(np.int64)
    features = story.features
    owned = calls["owned"] & ~calls["untagged"]
    embed = story.feature_names.index("embed_documents")
    words = {
        "project": (*(one.project for one in features), "documents"),
        "team": (*(one.team for one in features), "data"),
    }
    success = calls["status"] == columns.SUCCESS
    staging = story.random("env").random(columns.size(calls)) < story.raw["quality"]["staging"]
    staging &= calls["tier"] < 0
    return pa.table(
        {
            "number": np.arange(columns.size(calls)),
            "time": calls["time"] + story.start_microseconds,
            "latency_ms": pa.array(whole, from_pandas=True),
            "time_to_first_token_ms": pa.array(first, from_pandas=True),
            "project": coded(np.where(calls["owned"], feature, -1), words["project"]),
            "feature": coded(np.where(calls["untagged"], -1, feature), story.feature_names),
            "team": coded(np.where(owned, team, -1), words["team"]),
            "env": coded(np.where(calls["owned"], staging.astype(int), -1), ("prod", "staging")),
            "user_tier": coded(calls["tier"], TIERS),
            "complexity": coded(calls["complexity"], tuple(f"{score / 100:.2f}" for score in range(101))),
            "job": coded(calls["job"], ("reembed-all",)),
            "user": pa.array(calls["user"], mask=calls["user"] < 0),
            "session": pa.array(calls["session"], mask=calls["session"] < 0),
            "trace": calls["trace"],
            "model": coded(calls["model"], tuple(model.name for model in story.models)),
            "model_raw": coded(calls["model"], tuple(model.raw for model in story.models)),
            "provider": coded(calls["model"], tuple(model.provider for model in story.models)),
            "operation": coded(calls["operation"], ("chat", "embeddings", "rerank")),
            "processing": coded(calls["processing"], ("standard", "batch")),
            "status": coded(calls["status"], ("success", "failure")),
            "uncached_input_tokens": pa.array(calls["input"] - calls["cached"], mask=~success),
            "cache_read_tokens": pa.array(calls["cached"], mask=~success),
            "output_tokens": pa.array(calls["output"], mask=~success),
            "zero": pa.array(np.zeros(columns.size(calls), dtype=np.int64), mask=~success),
            "reported_cost": money(calls["cost"], calls["reported"]),
            "saved_cost": money(calls["saved"], calls["hit"]),
            "prompt_name": coded(np.where(feature == embed, -1, feature), story.feature_names),
            "version": calls["version"],
            "prefix_blocks": _prefix_lists(story, calls),
            "content": calls["content"],
            "max_tokens": pa.array(calls["max_tokens"].astype(np.int64), mask=calls["max_tokens"] < 0),
            "finish_reason": coded(
                np.where(calls["operation"] == columns.CHAT, calls["finish"], -1), ("stop", "length")
            ),
            "is_stream": calls["stream"],
            "cache_hit": calls["hit"],
            "converted": pa.array(calls["converted"] > 0, mask=calls["converted"] < 0),
        }
    )


_CALLS = """
CREATE OR REPLACE TEMP TABLE demo_calls AS
SELECT format('demo-{:07d}', number) AS call_id, 'demo' AS source, make_timestamp(time) AS started_at, latency_ms,
    time_to_first_token_ms, project::VARCHAR AS project, feature::VARCHAR AS feature, team::VARCHAR AS team,
    env::VARCHAR AS env, user_tier::VARCHAR AS user_tier,
    CASE WHEN complexity IS NOT NULL THEN MAP(['complexity'], [complexity::VARCHAR])
         WHEN job IS NOT NULL THEN MAP(['job'], [job::VARCHAR]) END AS labels,
    format('u-{:05d}', "user") AS user_id, format('s-{:07d}', session) AS session_id, format('t-{:09d}', trace) AS trace_id,
    provider::VARCHAR AS provider, CASE WHEN provider = 'openai' THEN $account END AS billing_account_id,
    model::VARCHAR AS model, model_raw::VARCHAR AS model_raw, operation::VARCHAR AS operation,
    processing::VARCHAR AS processing, status::VARCHAR AS status,
    uncached_input_tokens, cache_read_tokens, zero AS cache_write_5m_tokens, zero AS cache_write_1h_tokens, output_tokens,
    zero AS reasoning_tokens, zero AS audio_input_tokens, zero AS audio_output_tokens,
    reported_cost, prompt_name::VARCHAR AS prompt_name,
    CASE WHEN prompt_name IS NOT NULL THEN 'v' || version END AS prompt_version,
    prefix_blocks, lower(hex(content)) AS input_hash, max_tokens, finish_reason::VARCHAR AS finish_reason, is_stream, cache_hit,
    saved_cost, converted
FROM demo_wire
"""

_TEXTS = """
CREATE OR REPLACE TEMP TABLE demo_call_texts AS
SELECT format('demo-{:07d}', number) AS call_id, 'demo' AS source, make_timestamp(time) AS started_at, 'search' AS feature,
    text::VARCHAR AS text_normalised, answer::VARCHAR AS answer_id
FROM demo_wire
"""


def calls_table(connection: duckdb.DuckDBPyConnection, story: Story, calls: Columns) -> str:
    """Write the calls to a temp table; answers its name."""
    connection.register("demo_wire", _wire(story, calls))
    connection.execute(_CALLS, {"account": story.raw["company"]["account"]})
    connection.unregister("demo_wire")
    return "demo_calls"


def texts_table(connection: duckdb.DuckDBPyConnection, story: Story, calls: Columns) -> str:
    """Write the searches' normalised questions to a temp table (no vectors); answers its name."""
    texts = read_questions()
    at = np.flatnonzero((calls["phrase"] >= 0) & (calls["status"] == columns.SUCCESS))
    keep = story.raw["texts"]["keep"]
    if len(at) > keep:
        at = np.sort(story.random("texts").choice(at, keep, replace=False))
    wire = pa.table(
        {
            "number": at,
            "time": calls["time"][at] + story.start_microseconds,
            "text": coded(calls["phrase"][at], texts.texts),
            "answer": coded(calls["question"][at], texts.answers),
        }
    )
    connection.register("demo_wire", wire)
    connection.execute(_TEXTS)
    connection.unregister("demo_wire")
    return "demo_call_texts"
