"""The prompt cache over files: a published trace to the token, calls as they are exported, and what cannot be replayed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from analytics.simulators.files_prompt_cache import simulate_prompt_cache_file
from warehouse.errors import InputError

MOONCAKE = Path(__file__).parents[2] / "data" / "traces" / "mooncake_conversation.parquet"


@pytest.mark.parametrize(
    ("ttl", "share"), [(None, 0.3736), (math.inf, 0.3736), (3600, 0.374), (600, 0.350), (300, 0.293), (60, 0.105)]
)
def test_hits_of_the_conversation_trace(ttl: float | None, share: float) -> None:
    found = simulate_prompt_cache_file(MOONCAKE, ttl)
    assert found["token_hit_ratio"] == pytest.approx(share, abs=6e-5 if share == 0.3736 else 6e-4)
    assert found["input_tokens"] == 144_793_823
    assert found["read_tokens"] + found["write_tokens"] + found["plain_tokens"] == 144_793_823


def test_hits_of_the_conversation_trace_to_the_token() -> None:
    found = simulate_prompt_cache_file(MOONCAKE, None)
    assert (found["requests"], found["read_tokens"]) == (12_031, 54_098_411)
    assert (found["blocks_read"], found["blocks"]) == (105_710, 288_500)


@pytest.mark.parametrize(
    ("ttl", "minimum", "write", "read", "ratio"),
    [
        (300, 1024, 1.25, 0.1, 0.9402), (3600, 1024, 2.0, 0.1, 1.3132), (300, 512, 1.25, 0.05, 0.8926),
        (600, 1024, 1.0, 0.1, 0.7094), (600, 1024, 1.0, 0.5, 0.8386), (1800, 1024, 1.25, 0.1, 0.8475),
    ],
)  # fmt: skip
def test_bills_of_the_conversation_trace(ttl: float, minimum: int, write: float, read: float, ratio: float) -> None:
    found = simulate_prompt_cache_file(MOONCAKE, ttl, minimum, write, read)
    assert found["cost_ratio"] == pytest.approx(ratio, abs=5e-5)
    if (ttl, minimum) == (300, 1024):
        assert [found[f"{kind}_tokens"] for kind in ("read", "write", "plain")] == [38_158_848, 102_711_296, 3_923_679]


def test_files_of_calls_and_of_traces(tmp_path: Path) -> None:
    rows = [
        {"started_at": f"2026-03-01T00:0{n}:00", "provider": "openai", "model": model, "uncached_input_tokens": 1300, "cache_read_tokens": None,
         "prefix_blocks": [2**64 - 1, 7]}
        for n, model in enumerate(("a", "a", "b"))
    ]  # fmt: skip
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = simulate_prompt_cache_file(path, 300, 100, 1.25, 0.1)
    assert found["requests"] == 3
    assert (found["read_tokens"], found["write_tokens"], found["plain_tokens"]) == (
        1040,
        2080,
        780,
    )  # 520 tokens a block
    assert simulate_prompt_cache_file(path, 0, 100)["read_tokens"] == 0
    array = tmp_path / "calls.json"
    array.write_text(json.dumps(rows))
    assert simulate_prompt_cache_file(array, 300, 100) == found
    trace = tmp_path / "trace.csv"
    trace.write_text('timestamp,input_length,hash_ids\n5,600,"[1,2]"\n0,600,"[1,3]"\n,1,"[1]"\n7,nothing,"[1]"\n')
    found = simulate_prompt_cache_file(trace, None)
    assert (found["requests"], found["rejected_rows"], found["read_tokens"]) == (2, 2, 512)


def test_files_that_cannot_be_replayed_are_refused_in_words(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("timestamp,input_length,hash_ids\n")
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    broken = tmp_path / "broken.parquet"
    broken.write_text("no")
    for path, words in (
        (empty, "no row"), (other, "this file has a, b"), (broken, "cannot be replayed"), (tmp_path / "none.csv", "cannot be"),
        (tmp_path / "x.txt", "a trace is a file"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            simulate_prompt_cache_file(path, 300)
    with pytest.raises(InputError, match="not be negative"):
        simulate_prompt_cache_file(MOONCAKE, -1)
    with pytest.raises(InputError, match="not negative"):
        simulate_prompt_cache_file(MOONCAKE, 300, read=math.nan)
