"""The similarity join finds every pair, and pairs that people judged come out as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.simulators.embedding import HASHED, StoredVectors
from analytics.simulators.labelled_pairs import safe_threshold, separation, threshold_table
from analytics.simulators.near_duplicates import find_neighbours, pair_cosines
from analytics.simulators.wilson import wilson
from tests.analytics.simulators.samples import BESIDE, banking_stream, rows_of_file
from warehouse.errors import InputError


@pytest.mark.parametrize("floor", [0.5, 0.7, 0.9])
def test_the_join_finds_what_comparing_every_pair_finds(floor: float) -> None:
    texts = list(dict.fromkeys(row["text"].lower() for row in banking_stream()[:400]))
    texts += ["", "card lost", "lost card"]
    first, second = np.triu_indices(len(texts), 1)
    cosines = pair_cosines([texts[n] for n in first], [texts[n] for n in second], HASHED)
    expected = {(int(i), int(j)): float(c) for i, j, c in zip(first, second, cosines, strict=True) if c >= floor}
    found = find_neighbours(texts, HASHED, floor)
    rows = found.rows
    upper = rows < found.texts
    got = {
        (int(i), int(j)): float(c)
        for i, j, c in zip(rows[upper], found.texts[upper], found.cosines[upper], strict=True)
    }
    assert got == expected
    assert len(found.texts) == 2 * len(expected) > 0


def test_neighbours_stand_in_falling_order_and_thresholds_only_filter() -> None:
    texts = [row["text"] for row in banking_stream()[:1500]]
    found = find_neighbours(texts, HASHED, 0.7)
    same_row = found.rows[1:] == found.rows[:-1]
    assert (np.diff(found.cosines)[same_row] <= 0).all()
    fewer = found.at_least(0.85)
    again = find_neighbours(texts, HASHED, 0.85)
    assert fewer.offsets.tolist() == again.offsets.tolist()
    assert fewer.texts.tolist() == again.texts.tolist()
    assert fewer.cosines.tolist() == again.cosines.tolist()
    with pytest.raises(InputError, match=r"down to 0\.7"):
        found.at_least(0.6)


@given(st.lists(st.tuples(*[st.floats(-1, 1, width=32)] * 3), min_size=2, max_size=12))
def test_dense_vectors_are_joined_the_same_way(rows: list[tuple[float, float, float]]) -> None:
    texts = [str(n) for n in range(len(rows))]
    stored = StoredVectors("made", texts, np.array(rows, dtype=np.float32))
    vectors = stored.embed(texts).astype(np.float64)
    products = vectors @ vectors.T
    found = find_neighbours(texts, stored, 0.8)
    got = set(zip(found.rows.tolist(), found.texts.tolist(), strict=True))
    for i in range(len(rows)):
        for j in range(len(rows)):
            if i != j and abs(products[i, j] - 0.8) > 1e-5:
                assert ((i, j) in got) == (products[i, j] >= 0.8)


def test_groups_keep_texts_with_other_figures_apart() -> None:
    found = find_neighbours(["limit of plan 1", "limit of plan 2", "limit of plan"], HASHED, 0.7)
    apart = found.within(np.array([1, 2, 2]))
    assert (0, 1) in set(zip(found.rows.tolist(), found.texts.tolist(), strict=True))
    assert set(zip(apart.rows.tolist(), apart.texts.tolist(), strict=True)) == {(1, 2), (2, 1)}


QQP = BESIDE / "semantic_cache" / "qqp_pairs_dev.csv"


@pytest.mark.parametrize("path", [path for path in [QQP] if path.exists()], ids=lambda path: path.stem)
def test_judged_question_pairs_come_out_as_published(path: Path) -> None:
    rows = rows_of_file(path)
    left, right, same = ([row[name] for row in rows] for name in ("text_a", "text_b", "label"))
    labels = [int(label) for label in same]
    table = threshold_table(left, right, labels, thresholds=(0.95, 0.92, 0.88, 0.80))
    counts = list(zip(table["pairs"], table["same"], strict=True))
    assert counts == [(166, 115), (373, 224), (757, 428), (1532, 874)]
    assert separation(pair_cosines(left, right, HASHED), labels) == pytest.approx(0.7518, abs=5e-5)


def test_pairs_by_hand() -> None:
    left = ["lost card", "lost card", "", "lost card"]
    right = ["card lost", "exchange rate", "", "lost cards"]
    cosines = pair_cosines(left, right, HASHED)
    # "lost" has 4 + 3 + 2 n-grams, "card" as many, "cards" 5 + 4 + 3; "card" and "cards" share 3 + 2 + 1.
    assert cosines[:3].tolist() == [pytest.approx(1), 0, 0]
    assert cosines[3] == pytest.approx(15 / (18 * 21) ** 0.5)
    table = threshold_table(left, right, [1, 0, 0, 0], thresholds=(0.9, 0.7), normalize="raw")
    assert table[["pairs", "same", "precision", "recall"]].to_numpy().tolist() == [[1, 1, 1.0, 1.0], [2, 1, 0.5, 1.0]]
    assert safe_threshold(table) == 0.9
    assert separation(cosines, [1, 0, 0, 0]) == 1
    with pytest.raises(InputError, match="both kinds"):
        separation(cosines, [0, 0, 0, 0])
    with pytest.raises(InputError, match="needs a label"):
        threshold_table(left, right, [1, 0, 2, 0])


def test_wilson_by_hand_and_at_the_ends() -> None:
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for found, of, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson(found, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 0) is None


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_stays_within_bounds(of: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(0, of))
    low, high = wilson(found, of) or (2.0, -1.0)
    assert 0 <= low <= found / of <= high <= 1
