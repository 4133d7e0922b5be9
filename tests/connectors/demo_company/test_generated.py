"""What the demo company says of itself, how it is made from a seed, and the arithmetic under it."""

from __future__ import annotations

import re
import unicodedata

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.demo.model_bill import meet
from connectors.demo.shares import apportion
from tests.connectors.demo_company.company import fill, one, rows
from warehouse.errors import InputError


@pytest.mark.parametrize("table", ["calls", "call_texts", "activity", "revenue", "utilization"])
def test_every_row_is_labelled(demo, table):
    assert rows(demo, f"SELECT DISTINCT source FROM {table}") == [("demo",)]


def test_ids_are_synthetic_and_unique(demo):
    count, distinct = one(demo, "SELECT count(*), count(DISTINCT call_id) FROM calls")
    assert count == distinct
    assert 1_500_000 < count < 1_900_000
    people = {user for (user,) in rows(demo, "SELECT DISTINCT user_id FROM activity")}
    assert all(re.fullmatch(r"u-\d{5}", user) for user in people)
    span = one(demo, "SELECT min(started_at)::DATE::VARCHAR, max(started_at)::DATE::VARCHAR FROM calls")
    assert span == ("2026-03-01", "2026-05-31")


def test_texts_are_normalised(demo):
    texts = [text for (text,) in rows(demo, "SELECT DISTINCT text_normalised FROM call_texts")]
    assert all(unicodedata.is_normalized("NFC", text) and text == text.lower() for text in texts)
    assert not any(re.search(r"[^\w\s]|\s{2,}|^\s|\s$", text) for text in texts)
    assert any("ở đâu" in text for text in texts)
    count, vectors = one(demo, "SELECT count(*), count(vector) FROM call_texts")
    assert 50_000 < count <= 120_000
    assert vectors == 0
    assert one(demo, "SELECT count(*) FROM call_texts ANTI JOIN calls USING (call_id, started_at)") == (0,)


def _fingerprint(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple]:
    return {
        table: one(connection, f"SELECT count(*), bit_xor(hash({table})), sum(hash({table}) % 1000003) FROM {table}")
        for table in ("calls", "call_texts", "charges", "activity", "revenue", "utilization")
    }


def test_same_seed_same_rows(demo):
    with fill(2026) as again:
        assert _fingerprint(again) == _fingerprint(demo)


def test_other_seed_other_rows(any_demo, demo):
    same = _fingerprint(any_demo) == _fingerprint(demo)
    assert same == (any_demo is demo)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50), st.integers(0, 10**12))
def test_apportioned_parts_sum_to_the_whole(weights, total):
    import numpy as np

    parts = apportion(np.array(weights), total)
    assert int(parts.sum()) == total
    exact = np.array(weights) / sum(weights) * total
    assert (abs(parts - exact) <= 1 + 1e-9 * total).all()


@given(st.integers(0, 5_000), st.integers(0, 10**9), st.sampled_from([(150_000, 50_000), (50_000, 750), (1_300, 200)]))
def test_the_gap_of_an_invoice_is_closed_by_whole_tokens(first, second, prices):
    remainder = first * prices[0] + second * prices[1]
    a, b = meet(remainder, *prices)
    assert a * prices[0] + b * prices[1] == remainder
    assert a >= 0
    assert b >= 0


def test_a_gap_that_no_tokens_close_is_said():
    with pytest.raises(InputError, match="no whole tokens"):
        meet(75, 100, 50)
