"""Vectors that the log has beside its texts, pairs that would share an answer, and files of labelled texts."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.embedding import HASHED
from analytics.simulators.files_semantic_cache import semantic_cache_file_curve, simulate_semantic_cache_file
from analytics.simulators.labelled_pairs import read_pairs, threshold_table
from analytics.simulators.lever_pages import PAGES, defaults
from analytics.simulators.semantic_cache import SemanticCache
from analytics.simulators.semantic_cache_evidence import shared_answers
from analytics.simulators.situation import Situation
from tests.analytics import facts
from tests.analytics.simulators.made import price_rows
from tests.analytics.simulators.samples import BESIDE, banking_stream
from warehouse.errors import InputError

MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))
# Unit vectors in a plane: pay and settle lie 10 degrees apart (cosine 0.985), hours at a right angle to pay.
ASKED = [
    ("how do i pay", [1.0, 0.0], "one", "pay"),
    ("ways to settle a bill", [0.984807753, 0.173648178], "one", "pay"),
    ("opening hours", [0.0, 2.0], "one", "hours"),
    ("how do i pay", [1.0, 0.0], "one", "pay"),
]
LEVER = SemanticCache(threshold=0.95, embedding_price=0.0, embedder="stored")


def _situation(asked: list[tuple[str, Any, str | None, str]], **other: Any) -> Situation:
    calls, texts = [], []
    for number, (text, vector, embedder, answer) in enumerate(asked):
        at = facts.moment("2026-03-02") + timedelta(minutes=number)
        calls.append(
            {**facts.call("2026-03-02", str(number + 1)), "started_at": at, "call_id": f"c{number}", "project": "p"}
        )
        texts.append(
            {
                "call_id": f"c{number}", "source": "calls", "started_at": at, "text_normalised": text, "vector": vector, "embedder": embedder,
                "answer_id": answer, **other,
            }
        )  # fmt: skip
    prices = [
        {key: value for key, value in (row._asdict() | {"source": "t"}).items() if value is not None}
        for row in price_rows()
    ]
    return build_situation(facts.warehouse_of(calls, prices=prices, call_texts=texts), MARCH)


def test_vectors_of_the_log_find_what_spelling_misses() -> None:
    situation = _situation(ASKED)
    assert situation.workload.heavy.embedders() == ("one",)
    found = situation.workload.heavy.vectors()["one"]
    assert dict(zip(found.texts, found.stored.tolist(), strict=True))["opening hours"] == [0.0, 2.0]
    assert LEVER.hits(situation).hits == 2
    assert replace(LEVER, threshold=0.99).hits(situation).hits == 1
    assert replace(LEVER, embedder="hashed-characters", threshold=0.8).hits(situation).hits == 1
    # The second call cost 2 USD and the fourth 4: what is saved is what they were logged to cost.
    assert situation.total() - LEVER.apply(situation).total() == pytest.approx(6)


def test_vectors_of_two_embedders_are_never_mixed() -> None:
    mixed = [
        *ASKED[:2],
        ("closing time", [1.0, 0.0, 0.0], "two", "hours"),
        ("when do you close", [1.0, 0.0, 0.0], "two", "hours"),
    ]
    situation = _situation(mixed)
    assert situation.workload.heavy.embedders() == ("one", "two")
    with pytest.raises(InputError, match=r"several embedders \(one, two\), which cannot be compared"):
        LEVER.apply(situation)
    assert replace(LEVER, embedder="stored:one").hits(situation).hits == 1
    assert replace(LEVER, embedder="stored:two").hits(situation).hits == 1
    noted = replace(LEVER, embedder="stored:two").apply(situation).notes
    assert any(note.startswith("2 of 4 texts have no stored vector") for note in noted)
    with pytest.raises(InputError, match="no text of this period has a vector of 'three'"):
        replace(LEVER, embedder="stored:three").apply(situation)


def test_vectors_that_cannot_be_used() -> None:
    without = [(text, None, None, answer) for text, _, _, answer in ASKED]
    assert _situation(without).workload.heavy.embedders() == ()
    with pytest.raises(InputError, match="no text of this period has a stored vector"):
        LEVER.apply(_situation(without))
    with pytest.raises(InputError, match="stored vectors of one have different lengths"):
        LEVER.apply(_situation([ASKED[0], ("x", [1.0], "one", "x")]))


def test_the_page_offers_the_vectors_that_are_there() -> None:
    page, situation = PAGES["semantic-cache"], _situation(ASKED)
    by = next(control for control in page.controls(situation) if control.name == "by")
    assert by.options == ("Spelling", "Stored vectors of one")
    setting = defaults(page, situation) | {"by": by.options[1], "similarity": "0.95"}
    assert page.build(situation, setting) == replace(
        LEVER, embedder="stored:one", embedding_price=0.02, ttl_seconds=86_400.0
    )
    assert page.outcome(situation, setting).waterfall.saving == Decimal(
        "182.63"
    )  # 6 USD of the one day, as a month of 30.4375


def test_pairs_that_would_share_an_answer() -> None:
    """The fourth call has the first one's words and is no pair; labels differ where the answer does."""
    asked = [*ASKED, ("how can one settle up", [0.97, 0.2431], "one", "other")]
    frame = shared_answers(LEVER, _situation(asked))
    assert frame[["asked", "answered_by", "hits", "same_answer"]].values.tolist() == [
        ["how can one settle up", "how do i pay", 1, False],
        ["ways to settle a bill", "how do i pay", 1, True],
    ]
    assert [round(each, 3) for each in frame["similarity"]] == [0.970, 0.985]
    assert shared_answers(SemanticCache.neutral(), _situation(ASKED)).empty


def _written(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([header, *rows])
    return path


def test_the_curve_of_a_file_is_the_published_stream(tmp_path: Path) -> None:
    rows = [[row["text"], row["category"]] for row in banking_stream()]
    path = _written(tmp_path / "b.csv", ["text", "answer_id"], rows)
    frame = semantic_cache_file_curve(path, (0.95, 0.92, 0.91, 1.0))
    assert frame[["threshold", "hits", "false_hits"]].values.tolist() == [
        [0.91, 601, 19],
        [0.92, 509, 14],
        [0.95, 241, 6],
        [1.0, 31, 1],
    ]
    assert frame["hit_rate"].iloc[0] == pytest.approx(601 / 10_003)


def test_a_curve_is_the_replay_of_every_threshold(tmp_path: Path) -> None:
    rows = [["pay", "a"], ["pays", "b"], ["pay now", ""], ["paying", "a"], ["pay", "a"]]
    path = _written(tmp_path / "s.csv", ["text", "answer_id"], rows)
    for row in semantic_cache_file_curve(path, (0.5, 0.7, 0.9, 1.0), ttl=3).to_dict("records"):
        single = simulate_semantic_cache_file(path, row["threshold"], ttl=3)
        assert all(row[name] == single[name] for name in ("calls", "hits", "judged_hits", "false_hits"))
    with pytest.raises(InputError, match="threshold"):
        semantic_cache_file_curve(path, (0.4,))


def test_judged_pairs_of_a_file(tmp_path: Path) -> None:
    rows = [
        ["pay", "pay", "1"],
        ["pay", "hours", "false"],
        ["", "x", "1"],
        ["a", "b", "maybe"],
        ["pay", "pays", "true"],
    ]
    pairs = read_pairs(_written(tmp_path / "p.csv", ["text_a", "text_b", "same"], rows))
    assert (len(pairs), pairs.rejected, pairs.same.tolist()) == (3, 2, [1, 0, 1])
    assert pairs.separation("raw", HASHED) == 1.0
    for header, sentence in [
        (["text_a", "text_b", "equal"], "column same"),
        (["text_a", "b", "same"], "text_b is missing"),
    ]:
        with pytest.raises(InputError, match=sentence):
            read_pairs(_written(tmp_path / "q.csv", header, rows))


QQP = BESIDE / "semantic_cache" / "qqp_pairs_dev.csv"


@pytest.mark.parametrize("path", [path for path in [QQP] if path.exists()], ids=lambda path: path.stem)
def test_judged_pairs_as_published(path: Path) -> None:
    pairs = read_pairs(path)
    assert (len(pairs), int(pairs.same.sum()), pairs.rejected) == (10_076, 3_803, 0)
    assert round(pairs.separation("raw", HASHED) or 0, 4) == 0.7518
    frame = threshold_table(pairs.left, pairs.right, pairs.same, thresholds=(0.95, 0.92, 0.88, 0.80))
    assert frame[["pairs", "same"]].values.tolist() == [[166, 115], [373, 224], [757, 428], [1532, 874]]
