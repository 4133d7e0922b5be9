"""The semantic cache: published stream figures, a plain replay written down here, and the lever on made calls."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.simulators.cache_replay import FOREVER, CacheReplay, Queries, graph_of
from analytics.simulators.curve import curve
from analytics.simulators.effect import cost
from analytics.simulators.embedding import HASHED
from analytics.simulators.files_semantic_cache import simulate_semantic_cache_file
from analytics.simulators.heavy_columns import Coded
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.near_duplicates import Neighbours, find_neighbours
from analytics.simulators.scenario import Scenario, read_scenario
from analytics.simulators.semantic_cache import THRESHOLDS as STEPS
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.semantic_cache_effects import hits_at, semantic_cache_effect
from analytics.simulators.situation import Situation
from analytics.simulators.text_normalisation import normalised_texts
from analytics.simulators.to_the_cent import cents
from tests.analytics.simulators.made import call, situation_of
from tests.analytics.simulators.samples import banking_stream
from warehouse.errors import InputError

THRESHOLDS = (2.0, 0.95, 0.92, 0.91, 0.88, 0.85, 0.80, 0.70)
# Hits and false hits of 10,003 questions, counted independently; then 0.80 with LRU 1000, and 0.80 with a life of 2,000 queries.
STREAM = {
    "raw": [(0, 0), (109, 1), (272, 5), (345, 10), (599, 22), (921, 46), (1551, 94), (3336, 381), (500, 28), (734, 45)],
    "punctuation": [
        (31, 1), (241, 6), (509, 14), (601, 19), (958, 40), (1364, 71), (2214, 149), (4161, 526), (831, 66), (1140, 82),
    ],
    "stopwords": [
        (670, 22), (1082, 47), (1466, 75), (1625, 82), (2088, 118), (2538, 161), (3363, 272), (5134, 738), (1756, 181), (1990, 176),
    ],
}  # fmt: skip


@pytest.mark.parametrize("step", STREAM)
def test_the_published_stream_to_the_last_hit(step: str) -> None:
    rows = banking_stream()
    labels = np.array([row["category"] for row in rows])
    number: dict[str, int] = {}
    texts = normalised_texts([row["text"] for row in rows], step)
    codes = np.array([number.setdefault(text, len(number)) for text in texts])
    queries = Queries(codes, np.zeros(len(codes), dtype=np.int64), np.arange(len(codes)))
    graph = graph_of(queries, find_neighbours(list(number), HASHED, 0.7))

    def counted(threshold: float, **limits: int) -> tuple[int, int]:
        answers = CacheReplay(queries, graph, **limits).at(threshold)
        hit = answers >= 0
        return int(hit.sum()), int((labels[hit] != labels[answers[hit]]).sum())

    found = [counted(threshold) for threshold in THRESHOLDS]
    assert [*found, counted(0.8, capacity=1000), counted(0.8, ttl=2000)] == STREAM[step]


def _plain(
    queries: Queries, alike: dict[tuple[int, int], float], threshold: float, ttl: int, capacity: int | None
) -> list[int]:
    """The rules of the cache, one query after the other, comparing each with every entry."""
    entries: list[tuple[int, int, int]] = []  # scope, text, query that stored it; the least recently used first
    answers = []
    columns = queries.text.tolist(), queries.scope.tolist(), queries.time.tolist()
    for query, (text, scope, time) in enumerate(zip(*columns, strict=True)):
        entries = [entry for entry in entries if time - int(queries.time[entry[2]]) <= ttl]
        fitting = [
            (2.0 if entry[1] == text else alike.get((text, entry[1]), 0.0), entry[1], entry)
            for entry in entries
            if entry[0] == scope
        ]
        fitting = [each for each in fitting if each[0] >= threshold]
        if fitting and capacity != 0:
            entry = max(fitting, key=lambda each: (each[0], each[1]))[2]
            entries.remove(entry)
            entries.append(entry)
            answers.append(entry[2])
            continue
        answers.append(-1)
        entries.append((scope, text, query))
        if capacity is not None:
            entries = entries[max(len(entries) - capacity, 0) :]
    return answers


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 4)), max_size=40),
    st.dictionaries(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.sampled_from([0.7, 0.8, 0.9, 1.0]), max_size=8),
    st.sampled_from([0.7, 0.8, 0.9, 1.0, 2.0]),
    st.sampled_from([1, 3, 8, FOREVER]),
    st.sampled_from([None, 0, 1, 2, 4, 50]),
)
def test_every_way_of_replaying_follows_the_plain_rules(
    events: list[tuple[int, int, int]],
    pairs: dict[tuple[int, int], float],
    threshold: float,
    ttl: int,
    capacity: int | None,
) -> None:
    alike = {}
    for (one, other), cosine in pairs.items():
        if one != other:
            alike[(one, other)] = alike[(other, one)] = cosine
    listed = sorted((one, -cosine, -other) for (one, other), cosine in alike.items())
    offsets = np.concatenate([[0], np.cumsum(np.bincount([one for one, _, _ in listed], minlength=6))])
    neighbours = Neighbours(
        offsets.astype(np.int64),
        np.array([-other for _, _, other in listed], dtype=np.int32),
        np.array([-cosine for _, cosine, _ in listed], dtype=np.float64),
        0.7,
    )
    columns = np.array(events, dtype=np.int64).reshape(-1, 3)
    queries = Queries(columns[:, 0], columns[:, 1], np.cumsum(columns[:, 2]))
    answers = CacheReplay(queries, graph_of(queries, neighbours), ttl=ttl, capacity=capacity).at(threshold)
    assert answers.tolist() == _plain(queries, alike, threshold, ttl, capacity)


# --- the lever

ASKED = (
    ("how do i reset my password", "reset"),
    ("How do I reset my password?", "reset"),
    ("how do i reset my passwords", "reset"),
    ("limit of plan 1", "plan-1"),
    ("limit of plan 2", "plan-2"),
    ("how do i reset my password", "reset"),
)


def _situation(asked: tuple[tuple[str, str], ...] = ASKED, **each: Any) -> Situation:
    texts, answers = [list(dict.fromkeys(column)) for column in zip(*asked, strict=True)]
    return situation_of(
        [call(0, second=60 * n, feature="search", user=f"u{n % 2}", project="p", **each) for n in range(len(asked))],
        text=Coded(np.array([texts.index(text) for text, _ in asked], dtype=np.int32), tuple(texts)),
        answer=Coded(np.array([answers.index(answer) for _, answer in asked], dtype=np.int32), tuple(answers)),
    )


FREE = SemanticCache(threshold=1.0, embedding_price=0)


@pytest.mark.parametrize(
    ("lever", "served"),
    [
        (FREE, [1, 5]),
        (replace(FREE, normalize="raw"), [5]),
        (replace(FREE, threshold=0.9), [1, 2, 5]),
        (replace(FREE, threshold=0.7), [1, 2, 5]),
        (replace(FREE, threshold=0.7, same_numbers=False), [1, 2, 4, 5]),
        (replace(FREE, scope="user"), [5]),
        (replace(FREE, ttl_seconds=59), []),
        (replace(FREE, ttl_seconds=60), [1]),
        (replace(FREE, ttl_seconds=math.inf), [1, 5]),
        (replace(FREE, capacity=1), [1]),
        (replace(FREE, match="answer"), [1, 2, 5]),
        (SemanticCache.neutral(), []),
    ],
)
def test_which_calls_are_not_made(lever: SemanticCache, served: list[int]) -> None:
    situation = _situation()
    after = lever.apply(situation)
    assert isinstance(lever, Lever)
    assert np.flatnonzero(~after.workload.active).tolist() == served
    assert after.total() == pytest.approx(situation.total() * (len(ASKED) - len(served)) / len(ASKED))
    assert not (after.workload.changed_since(situation.workload) & ~lever.touches(situation)).any()


def test_neutral_changes_nothing_to_the_bit() -> None:
    situation = _situation()
    assert SemanticCache.neutral().apply(situation) is situation
    assert not SemanticCache.neutral().touches(situation).any()


def test_a_hit_saves_what_it_was_logged_to_cost_and_every_question_is_embedded() -> None:
    situation = _situation()
    situation.workload.cost[:] = [1, 2, 4, 8, 16, 32]
    after = SemanticCache(threshold=1.0, embedding_price=4.0, lookup_fee=0.5).apply(situation)
    characters = sum(len(text) for text in normalised_texts([text for text, _ in ASKED], "punctuation"))
    assert after.costs() == {
        "LLM API": pytest.approx(63 - 2 - 32),
        "Embedding": pytest.approx(characters / 1_000_000),
        "Vector database": pytest.approx(6 * 0.5),
    }


def test_false_hits_are_counted_where_answers_are_labelled() -> None:
    lever = replace(FREE, threshold=0.7, same_numbers=False)
    hits = lever.hits(_situation())
    assert (hits.queries, hits.hits, hits.exact_hits, hits.judged_hits, hits.false_hits) == (6, 4, 2, 4, 1)
    unlabelled = situation_of([call(0, second=n) for n in range(2)], text=Coded(np.zeros(2, dtype=np.int32), ("a b",)))
    row = replace(FREE, threshold=0.7).hits(unlabelled).row()
    assert (row["hits"], row["false_hits"], row["false_hit_rate"], row["false_low"]) == (1, None, None, None)


def test_answers_never_cross_features_models_or_failures() -> None:
    text = Coded(np.zeros(5, dtype=np.int32), ("same words",))
    calls = [
        call(0, second=0, feature="ask", status="failure"),
        call(0, second=1, feature="ask"),
        call(0, second=2, feature="search"),
        call(0, second=3, feature="ask", model=("openai", "small")),
        call(0, second=4, feature="ask", is_cache_hit=True, cost="0"),
    ]
    assert FREE.apply(situation_of(calls, text=text)).workload.active.all()


def test_calls_without_a_text_are_found_by_equal_inputs() -> None:
    situation = situation_of(
        [call(0, second=n) for n in range(6)],
        text=Coded(np.array([0, 1, -1, -1, -1, -1], dtype=np.int32), ("reset my password", "reset my passwords")),
        # 2 has the input of call 1, whose text is known; 3 and 4 share an input of unknown text; 5 says nothing.
        input_hash=np.array([11, 12, 12, 13, 13, 0], dtype=np.uint64),
    )
    assert np.flatnonzero(~FREE.apply(situation).workload.active).tolist() == [2, 4]
    after = replace(FREE, threshold=0.8).apply(situation)
    assert np.flatnonzero(~after.workload.active).tolist() == [1, 2, 4]
    assert "5 of 6 calls" in after.notes[-1]


def test_a_text_of_which_nothing_is_left_is_never_served() -> None:
    situation = situation_of([call(0, second=n) for n in range(3)], text=Coded(np.array([0, 0, 1]), ("?!", "ok")))
    assert FREE.apply(situation).workload.active.all()


def test_the_prepared_sums_are_the_replay_at_every_threshold() -> None:
    rows = banking_stream()[:600]
    situation = _situation(tuple((row["text"], row["category"]) for row in rows))
    lever = SemanticCache(normalize="stopwords", lookup_fee=0.0001)
    effects = [semantic_cache_effect(replace(lever, threshold=each), situation, STEPS) for each in sorted(STEPS)]
    replayed = curve(lambda place: effects[place].lever, range(len(effects)), situation)
    scale = situation.window.scale_to_month
    assert [cents(cost(situation, effect) * scale) for effect in effects] == replayed["cost"].tolist()
    hits = [hits_at(replace(lever, threshold=each), situation, STEPS).hits for each in sorted(STEPS)]
    assert len(set(hits)) > 8
    assert hits == sorted(hits, reverse=True)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from([None, "0.5", "list"])), min_size=1, max_size=25
    ),
    st.sampled_from([0.7, 0.9, 1.0]),
    st.sampled_from([60.0, 600.0, math.inf]),
    st.sampled_from([1, 3, 100]),
)
def test_savings_never_exceed_what_is_touched_and_unknown_stays_unknown(
    events: list[tuple[int, int, str | None]], threshold: float, ttl: float, capacity: int
) -> None:
    texts = ("reset password", "reset my password", "order status", "limit 1", "limit 2", "x")
    situation = situation_of(
        [call(0, cost, second=60 * n, feature=f"f{feature}") for n, (_, feature, cost) in enumerate(events)],
        text=Coded(np.array([text for text, _, _ in events], dtype=np.int32), texts),
    )
    lever = SemanticCache(
        threshold=threshold, ttl_seconds=ttl, capacity=capacity, calls=Selection(feature=(f"f{events[0][1]}",))
    )
    after = lever.apply(situation)
    touched = lever.touches(situation)
    spent, left = situation.workload.spent(), after.workload.spent()
    assert left[~touched].tolist() == spent[~touched].tolist()
    assert spent.sum() - left.sum() <= spent[touched].sum() + 1e-12
    assert after.workload.unknown_calls == np.isnan(situation.workload.cost[after.workload.active]).sum()
    most = replace(lever, ttl_seconds=math.inf, capacity=1000, threshold=1.0).hits(situation).hits
    assert replace(lever, threshold=1.0).hits(situation).hits <= most


def test_a_setting_out_of_range_gets_a_sentence() -> None:
    for values, sentence in [
        ({"threshold": 0.5}, "threshold must lie between 0.7 and 1"),
        ({"threshold": math.nan}, "threshold must lie"),
        ({"normalize": "lemmas"}, "raw, punctuation, stopwords"),
        ({"ttl_seconds": 0}, "more than 0 seconds"),
        ({"capacity": -1}, "must not be negative"),
        ({"scope": "planet"}, "shared, tenant, user"),
        ({"match": "vibes"}, "text or answer"),
        ({"embedding_price": -1}, "price of embeddings"),
        ({"lookup_fee": -1}, "fee per look-up"),
    ]:
        with pytest.raises(InputError, match=sentence):
            SemanticCache(**values)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no call of this period has a kept text or an input hash"):
        FREE.apply(situation_of([call()]))
    with pytest.raises(InputError, match="carries an answer_id"):
        replace(FREE, match="answer").apply(situation_of([call()]))


def test_a_scenario_file_holds_it() -> None:
    lever = replace(FREE, ttl_seconds=math.inf, calls=Selection(feature=("search",)))
    assert read_scenario(Scenario("s", (lever,)).toml()).levers == (lever,)
    evidence = Scenario("s", (lever,)).run(_situation(), draws=20).evidence(0)
    assert sorted(evidence["call"]) == [1, 5]
    assert set(evidence["change"]) == {"not made"}


# --- on a file


def _file(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"threshold": 0.92, "normalize": "stopwords"}, (1466, 75)),
        ({"threshold": 0.80, "normalize": "punctuation", "capacity": 1000}, (831, 66)),
        ({"threshold": 0.80, "normalize": "raw", "ttl": 2000}, (734, 45)),
        ({"threshold": 1.0, "normalize": "punctuation"}, (31, 1)),
    ],
)
def test_a_file_gives_the_published_figures(tmp_path: Path, options: dict[str, Any], expected: tuple[int, int]) -> None:
    rows = [{"text": row["text"], "answer_id": row["category"]} for row in banking_stream()]
    result = simulate_semantic_cache_file(_file(tmp_path / "asked.csv", rows), **options)
    assert (result["calls"], result["hits"], result["false_hits"]) == (10_003, *expected)
    assert result["hit_rate"] == expected[0] / 10_003
    low, high = result["false_hit_interval"]
    assert low < result["false_hit_rate"] < high
    assert json.loads(json.dumps(result)) == result


def test_times_order_the_calls_and_a_life_counts_seconds(tmp_path: Path) -> None:
    rows = [
        {"text": "Reset password", "answer_id": "a", "time": "2026-03-01T10:10:01Z"},
        {"text": "reset password!", "answer_id": "a", "time": "2026-03-01T10:00:00Z"},
        {"text": "reset  password", "answer_id": "b", "time": "2026-03-01T17:10:00+07:00"},
        {"text": "reset password", "answer_id": "", "time": "2026-03-01 10:10:00.5"},
        {"text": "", "answer_id": "a", "time": "2026-03-01T10:10:00Z"},
        {"text": "reset password", "answer_id": "a", "time": "yesterday"},
    ]
    result = simulate_semantic_cache_file(_file(tmp_path / "f.csv", rows), 1, "punctuation", ttl=600)
    # 10:00:00 is stored, 10:10:00 still served (wrongly: b), 10:10:00.5 too late and stored unlabelled, 10:10:01 served by it.
    expected = {"calls": 4, "hits": 2, "stored": 2, "false_hits": 1, "judged_hits": 1, "rejected": 2, "exact_hits": 2}
    assert {name: result[name] for name in expected} == expected
    seconds = [{**row, "time": str(n * 1.5)} for n, row in enumerate(rows[:4])]
    assert simulate_semantic_cache_file(_file(tmp_path / "s.csv", seconds), 1, ttl=1.5)["hits"] == 2


def test_without_labels_false_hits_are_unknown_and_scopes_hold(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text("".join(json.dumps({"text": "None", "scope": scope}) + "\n" for scope in "abab"), encoding="utf-8")
    result = simulate_semantic_cache_file(path)
    assert (result["hits"], result["false_hits"], result["false_hit_rate"]) == (2, None, None)


def test_files_and_settings_that_cannot_be_used_get_a_sentence(tmp_path: Path) -> None:
    good = _file(tmp_path / "good.csv", [{"text": "a"}])
    for options, sentence in [
        ({"threshold": 1.2}, "threshold must lie between 0.5 and 1"),
        ({"ttl": -1}, "life of an answer"),
        ({"capacity": -5}, "must not be negative"),
        ({"normalize": "x"}, "raw, punctuation, stopwords"),
        ({"embedder": "x"}, "there is no embedder"),
    ]:
        with pytest.raises(InputError, match=sentence):
            simulate_semantic_cache_file(good, **options)
    with pytest.raises(InputError, match="the column text is missing; there are: prompt"):
        simulate_semantic_cache_file(_file(tmp_path / "b.csv", [{"prompt": "a"}]))
    with pytest.raises(InputError, match="cannot be read"):
        simulate_semantic_cache_file(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="no row"):
        simulate_semantic_cache_file(_file(tmp_path / "c.csv", [{"text": " "}]))
    (tmp_path / "d.txt").write_text("text\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"\.parquet"):
        simulate_semantic_cache_file(tmp_path / "d.txt")
