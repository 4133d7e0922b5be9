"""The demo company against the reference case's figures, and against what a gateway and an invoice can and cannot say.

The expected amounts are written here, not read from the generator's parameters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.demo import tables
from connectors.demo.model_bill import meet
from connectors.demo.shares import apportion
from warehouse.categories import category_expression
from warehouse.configuration import DATA
from warehouse.errors import InputError
from warehouse.schema import TABLES

OTHER_SEED = 7

INVOICES = {
    ("2026-03", "LLM API"): "31200.00",
    ("2026-03", "GPU inference"): "10400.00",
    ("2026-03", "Vector database"): "3500.00",
    ("2026-03", "Embedding"): "1200.00",
    ("2026-03", "Storage and transfer"): "931.00",
    ("2026-05", "LLM API"): "6100.00",
    ("2026-05", "GPU inference"): "1380.00",
    ("2026-05", "Vector database"): "820.00",
    ("2026-05", "Storage and transfer"): "900.00",
}

# $ per token of the price list, written out by hand; what a batch saves is half
UNIT_PRICES = """(VALUES
    ('gpt-4o-2024-05-13', 'standard', 0.0000050000, 0.0000000000, 0.0000150000),
    ('gpt-4o-2024-05-13', 'batch',    0.0000025000, 0.0000000000, 0.0000075000),
    ('gpt-4o-mini',       'standard', 0.0000001500, 0.0000000750, 0.0000006000),
    ('text-embedding-3-large', 'standard', 0.0000001300, 0.0000000000, 0.0000000000)
) AS unit(model, processing, per_input, per_cached, per_output)"""
EXACT = (
    "(uncached_input_tokens * per_input + cache_read_tokens * per_cached + output_tokens * per_output)::DECIMAL(18,10)"
)


def _fill(seed: int) -> duckdb.DuckDBPyConnection:
    """The demo company in tables with all canonical columns, named like them; calls also as `priced` with their exact cost."""
    connection = duckdb.connect()
    for canonical, temporary in tables(connection, seed).items():
        connection.execute(TABLES[canonical].ddl(canonical))
        connection.execute(f"INSERT INTO {canonical} BY NAME SELECT * FROM {temporary}")
    connection.execute(
        f"""CREATE TABLE priced AS SELECT calls.*, CASE WHEN cache_hit OR status = 'failure' THEN 0 ELSE {EXACT} END AS exact,
            {EXACT} AS full_price, strftime(started_at, '%Y-%m') AS month
        FROM calls LEFT JOIN {UNIT_PRICES} USING (model, processing)"""
    )
    rule = category_expression(DATA / "cost_categories.toml")
    connection.execute(
        f"CREATE TABLE bill AS SELECT *, {rule} AS category, strftime(BillingPeriodStart, '%Y-%m') AS month FROM charges"
    )
    return connection


@pytest.fixture(scope="module")
def demo() -> Iterator[duckdb.DuckDBPyConnection]:
    with _fill(2026) as connection:
        yield connection


@pytest.fixture(scope="module", params=[2026, pytest.param(OTHER_SEED, marks=pytest.mark.slow)])
def any_demo(request: pytest.FixtureRequest, demo: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    if request.param == 2026:
        yield demo
    else:
        with _fill(request.param) as connection:
            yield connection


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row


def rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple]:
    return connection.execute(sql).fetchall()


# --- the bills


def test_invoices_to_the_cent(any_demo):
    billed = {
        (month, category): (cost, effective)
        for month, category, cost, effective in rows(
            any_demo, "SELECT month, category, sum(BilledCost), sum(EffectiveCost) FROM bill GROUP BY ALL"
        )
        if month != "2026-04"
    }
    assert billed == {key: (Decimal(amount), Decimal(amount)) for key, amount in INVOICES.items()}


def test_month_totals_and_april_between(any_demo):
    total = dict(rows(any_demo, "SELECT month, sum(BilledCost) FROM bill GROUP BY ALL"))
    assert total["2026-03"] == Decimal("47231.00")
    assert total["2026-05"] == Decimal("9200.00")
    assert total["2026-05"] < total["2026-04"] < total["2026-03"]


def test_lines_are_whole(any_demo):
    odd = one(
        any_demo,
        """SELECT count(*) FROM bill WHERE BilledCost IS NULL OR BilledCost < 0 OR ListCost < EffectiveCost
            OR ChargePeriodStart < BillingPeriodStart OR ChargePeriodEnd > BillingPeriodEnd OR ChargePeriodEnd <= ChargePeriodStart
            OR x_Source <> 'demo' OR category IN ('Other', 'Unclassified')""",
    )
    assert odd == (0,)


def test_model_lines_are_tokens_times_price(any_demo):
    wrong = one(
        any_demo,
        """SELECT count(*) FILTER (BilledCost <> (ConsumedQuantity * ListUnitPrice / 1000000)::DECIMAL(38,12)), count(*)
        FROM (SELECT BilledCost, ConsumedQuantity::DECIMAL(18,0)::DECIMAL(24,0) AS ConsumedQuantity,
                ListUnitPrice::DECIMAL(12,6) AS ListUnitPrice FROM bill WHERE ServiceName = 'OpenAI API')""",
    )
    assert wrong[0] == 0
    assert wrong[1] > 300


def test_the_bill_is_never_below_the_traces(any_demo):
    """Per UTC day, model, processing and direction; and a traced model is always on the bill."""
    below = one(
        any_demo,
        """WITH traced AS (
            UNPIVOT (SELECT started_at::DATE AS day, model, processing, sum(uncached_input_tokens) AS "input",
                    sum(cache_read_tokens) AS "input/read", sum(output_tokens) AS "output"
                FROM calls WHERE provider = 'openai' AND status = 'success' AND NOT cache_hit GROUP BY ALL)
            ON "input", "input/read", "output" INTO NAME direction VALUE tokens),
        billed AS (SELECT ChargePeriodStart::DATE AS day, x_Model AS model, x_UsageType AS processing,
                concat_ws('/', x_TokenDirection, x_CacheAction) AS direction, sum(ConsumedQuantity) AS tokens
            FROM bill WHERE ServiceName = 'OpenAI API' GROUP BY ALL)
        SELECT count(*) FILTER (coalesce(billed.tokens, 0) < traced.tokens), count(*)
        FROM traced LEFT JOIN billed USING (day, model, processing, direction)""",
    )
    assert below[0] == 0
    assert below[1] > 400


@pytest.mark.parametrize(
    ("month", "category"), [("2026-03", "LLM API"), ("2026-03", "Embedding"), ("2026-05", "LLM API")]
)
def test_traces_explain_almost_all_of_the_bill(any_demo, month, category):
    kind = "embeddings" if category == "Embedding" else "chat"
    traced = one(any_demo, f"SELECT sum(exact) FROM priced WHERE month = '{month}' AND operation = '{kind}'")[0]
    assert Decimal("0.985") <= traced / Decimal(INVOICES[month, category]) <= Decimal("0.995")


# --- the calls


def test_reported_cost_is_tokens_times_price(any_demo):
    wrong, silent = one(
        any_demo,
        """SELECT count(*) FILTER (reported_cost <> exact), count(*) FILTER (reported_cost IS NULL AND exact IS NOT NULL) / count(*)
        FROM priced WHERE provider = 'openai'""",
    )
    assert wrong == 0
    assert 0.02 < silent < 0.08


def test_a_model_that_no_book_knows_has_no_cost(any_demo):
    count, reported = one(
        any_demo,
        "SELECT count(*), count(reported_cost) FROM calls WHERE model = 'acme-rerank-preview' AND status = 'success'",
    )
    assert count == 360
    assert reported == 0


def test_summaries_are_61_percent_of_the_cost_and_8_percent_of_the_calls(any_demo):
    cost, calls = one(
        any_demo,
        """SELECT (sum(exact) FILTER (feature = 'summarize') / sum(exact)), count(*) FILTER (feature = 'summarize') / count(*)
        FROM priced WHERE month = '2026-03'""",
    )
    assert round(cost, 3) == 0.61
    assert round(calls, 3) == 0.08


def test_a_product_description_costs_more_than_it_earns(any_demo):
    requests, cost, free = one(
        any_demo,
        """SELECT count(*), sum(exact), sum(exact) FILTER (user_tier = 'free') FROM priced
        WHERE feature = 'product_description' AND month = '2026-03'""",
    )
    earned = one(
        any_demo, "SELECT sum(amount) FROM revenue WHERE feature = 'product_description' AND date < '2026-04-01'"
    )[0]
    assert round(cost / requests, 4) == Decimal("0.0430")
    assert earned / requests == Decimal("0.031")
    assert abs(free - 2100) < 10
    late = one(
        any_demo,
        "SELECT count(*) FROM calls WHERE feature = 'product_description' AND user_tier = 'free' AND started_at >= '2026-04-23'",
    )
    assert late == (0,)


def test_output_discipline_of_the_reviews(any_demo):
    reviews, before = one(
        any_demo,
        """SELECT count(DISTINCT trace_id), sum(output_tokens) FROM calls
        WHERE feature = 'sentiment' AND started_at < '2026-04-01' AND status = 'success'""",
    )
    again, after, longest = one(
        any_demo,
        """SELECT count(DISTINCT trace_id), sum(output_tokens) / count(*), max(output_tokens) FROM calls
        WHERE feature = 'sentiment' AND started_at >= '2026-05-01' AND status = 'success'""",
    )
    assert reviews == again == 50_000
    attempts = one(
        any_demo,
        "SELECT count(*) FROM calls WHERE feature = 'sentiment' AND started_at < '2026-04-01' AND status = 'success'",
    )[0]
    saved = (before - attempts * after) * 15 / 1e6
    assert 1_050 < saved < 1_150
    assert round(1 - after / (before / attempts), 2) == 0.97
    assert longest <= 30


def test_the_embedding_job_that_nobody_owns(any_demo):
    """Every night the same inputs, without user or owner: almost the whole embedding bill."""
    nights = rows(
        any_demo,
        """SELECT started_at::DATE, count(*), bit_xor(hash(input_hash)), sum(uncached_input_tokens), count(user_id), count(team)
        FROM calls WHERE labels['job'] = 'reembed-all' AND status = 'success' GROUP BY ALL""",
    )
    assert len(nights) == 21
    assert len({night[1:4] for night in nights}) == 1
    assert {night[4:] for night in nights} == {(0, 0)}
    cost = one(any_demo, "SELECT sum(exact) FROM priced WHERE labels['job'] = 'reembed-all'")[0]
    assert 1_180 < cost < 1_195


def test_tokens_are_plausible_and_disjoint(any_demo):
    largest, negative, partly = one(
        any_demo,
        """SELECT max(uncached_input_tokens + cache_read_tokens + output_tokens),
            count(*) FILTER (least(uncached_input_tokens, cache_read_tokens, output_tokens) < 0),
            count(*) FILTER ((uncached_input_tokens IS NULL) <> (output_tokens IS NULL) OR (status = 'failure') <> (output_tokens IS NULL))
        FROM calls""",
    )
    assert 100_000 < largest <= 128_000
    assert (negative, partly) == (0, 0)
    over = one(any_demo, "SELECT count(*) FROM calls WHERE output_tokens > max_tokens")
    assert over == (0,)


def test_failed_attempts_are_followed_by_their_success(any_demo):
    share, alone = one(
        any_demo,
        """SELECT (SELECT count(*) FILTER (status = 'failure') / count(*) FROM calls), count(*)
        FROM calls AS failed WHERE status = 'failure' AND NOT EXISTS (
            FROM calls AS good WHERE good.trace_id = failed.trace_id AND good.status = 'success' AND good.input_hash = failed.input_hash
                AND good.started_at >= failed.started_at)""",
    )
    assert 0.01 <= share <= 0.02
    assert alone == 0


def test_untagged_calls(any_demo):
    for _, share in rows(
        any_demo, "SELECT month, count(*) FILTER (feature IS NULL) / count(*) FROM priced GROUP BY ALL"
    ):
        assert 0.02 <= share <= 0.04


# --- the structure that replays need


def test_logged_cache_hits_are_those_of_an_ideal_cache(any_demo):
    """Replayed by hand: an answer lives an hour from when the model gave it; only the model's answers are stored."""
    stored: dict[str, float] = {}
    wrong = hits = asked = 0
    for answer, at, hit in rows(
        any_demo,
        """SELECT answer_id, epoch(calls.started_at), cache_hit FROM call_texts JOIN calls USING (call_id)
        WHERE call_texts.started_at >= '2026-04-13' ORDER BY calls.started_at, call_id""",
    ):
        expected = answer in stored and at - stored[answer] < 3600
        if not expected:
            stored[answer] = at
        wrong += expected != hit
        hits += hit
        asked += 1
    assert wrong == 0
    assert asked > 50_000
    assert 0.39 < hits / asked < 0.43


def test_a_cache_hit_costs_nothing_and_says_what_it_saved(any_demo):
    wrong, hits, elsewhere = one(
        any_demo,
        """SELECT count(*) FILTER (cache_hit AND (reported_cost <> 0 OR saved_cost <> full_price OR saved_cost <= 0)),
            count(*) FILTER (cache_hit), count(*) FILTER (NOT cache_hit AND saved_cost IS NOT NULL) FROM priced""",
    )
    assert (wrong, elsewhere) == (0, 0)
    assert hits > 15_000


def test_prefixes_grow_with_the_session(any_demo):
    broken, turns = one(
        any_demo,
        """SELECT count(*) FILTER (earlier <> prefix_blocks[:len(earlier)]), count(*) FROM (
            SELECT prefix_blocks, lag(prefix_blocks) OVER (PARTITION BY session_id ORDER BY started_at, call_id) AS earlier
            FROM calls WHERE session_id IS NOT NULL AND status = 'success') WHERE earlier IS NOT NULL""",
    )
    assert broken == 0
    assert turns > 70_000
    shared = one(any_demo, "SELECT count(DISTINCT prefix_blocks[14]) FROM calls WHERE session_id IS NOT NULL")
    assert shared == (1,)


def test_prompt_cache_reads_only_where_the_model_has_them(any_demo):
    """And never more than the hashed prefix, in whole blocks of 512 tokens; a session's first turn within a quiet spell reads nothing."""
    wrong, reads, models = one(
        any_demo,
        """SELECT count(*) FILTER (cache_read_tokens % 512 <> 0 OR cache_read_tokens > 512 * len(prefix_blocks)),
            sum(cache_read_tokens), list(DISTINCT model) FROM calls WHERE cache_read_tokens > 0""",
    )
    assert wrong == 0
    assert reads > 100_000_000
    assert models == ["gpt-4o-mini"]


def test_the_router_separates_by_complexity(any_demo):
    split = dict(
        rows(
            any_demo,
            """SELECT (labels['complexity']::DOUBLE < 0.5, model), count(*) FROM calls
            WHERE started_at >= '2026-05-01' AND labels['complexity'] IS NOT NULL GROUP BY ALL""",
        )
    )
    assert set(split) == {(True, "gpt-4o-mini"), (False, "gpt-4o-2024-05-13")}
    assert abs(split[True, "gpt-4o-mini"] / sum(split.values()) - 0.68) < 0.01
    longer = rows(
        any_demo,
        """SELECT feature, avg(uncached_input_tokens) FILTER (labels['complexity']::DOUBLE >= 0.5)
            > avg(uncached_input_tokens) FILTER (labels['complexity']::DOUBLE < 0.5) FROM calls
        WHERE labels['complexity'] IS NOT NULL AND feature IS NOT NULL AND started_at < '2026-04-01' GROUP BY ALL""",
    )
    assert len(longer) == 5
    assert all(is_longer for _, is_longer in longer)


def test_marchs_calls_under_the_changes_lead_to_mays_bill(any_demo):
    """March replayed in SQL under the changes and grown by 620/500 comes within 2 % of the traces of May."""
    small = "labels['complexity']::DOUBLE < 0.5"
    replayed = one(
        any_demo,
        f"""WITH changed AS (
            SELECT feature, labels, prompt_name,
                CASE WHEN prompt_name = 'search' THEN uncached_input_tokens - 8650 ELSE uncached_input_tokens END AS tokens_in,
                CASE WHEN prompt_name = 'sentiment' THEN 28 ELSE output_tokens END AS tokens_out,
                CASE WHEN prompt_name = 'search' THEN 0.59 ELSE 1 END AS still_asked
            FROM calls WHERE started_at < '2026-04-01' AND status = 'success' AND model = 'gpt-4o-2024-05-13'
                AND NOT (prompt_name = 'product_description' AND user_tier = 'free'))
        SELECT sum(still_asked * CASE
            WHEN {small} THEN tokens_in * 0.15e-6 + tokens_out * 0.60e-6
                - CASE prompt_name WHEN 'ask' THEN 7680 WHEN 'support_chat' THEN 7168 ELSE 0 END * 0.95 * 0.075e-6
            WHEN prompt_name = 'night_analytics' THEN tokens_in * 2.5e-6 + tokens_out * 7.5e-6
            ELSE tokens_in * 5e-6 + tokens_out * 15e-6 END) * 1.24 FROM changed""",
    )[0]
    may = one(any_demo, "SELECT sum(exact) FROM priced WHERE month = '2026-05'")[0]
    assert abs(replayed / float(may) - 1) < 0.02
    assert abs(replayed / 6_100 - 1) < 0.02


# --- people, revenue, GPUs


def test_daily_users(any_demo):
    days = rows(
        any_demo,
        """SELECT strftime(date, '%Y-%m'), sum(active_users) / count(DISTINCT date), count(*) = count(DISTINCT (date, user_id))
        FROM activity GROUP BY ALL ORDER BY 1""",
    )
    assert days == [("2026-03", 500.0, True), ("2026-04", 560.0, True), ("2026-05", 620.0, True)]
    weekend = one(
        any_demo,
        """SELECT count(*) FILTER (isodow(date) > 5) / count(DISTINCT date) FILTER (isodow(date) > 5)
            / (count(*) FILTER (isodow(date) < 6) / count(DISTINCT date) FILTER (isodow(date) < 6)) FROM activity""",
    )[0]
    assert 0.55 < weekend < 0.7
    strangers = one(
        any_demo,
        """SELECT count(*) FROM (SELECT DISTINCT started_at::DATE AS date, user_id, user_tier FROM calls WHERE user_id IS NOT NULL)
            ANTI JOIN activity USING (date, user_id, user_tier)""",
    )
    assert strangers == (0,)


def test_a_loss_in_march_a_profit_in_may(any_demo):
    earned = dict(rows(any_demo, "SELECT strftime(date, '%Y-%m'), sum(amount) FROM revenue GROUP BY ALL"))
    assert earned["2026-03"] < Decimal("47231.00")
    assert earned["2026-05"] > Decimal("9200.00")
    assert one(any_demo, "SELECT count(revenue) FROM calls") == (0,)


def test_conversions_are_those_of_the_calls(any_demo):
    by_calls = rows(
        any_demo,
        """SELECT started_at::DATE, feature, user_tier, count(*) FILTER (converted) AS n FROM calls WHERE converted IS NOT NULL
        GROUP BY ALL HAVING n > 0 ORDER BY ALL""",
    )
    by_revenue = rows(
        any_demo, "SELECT date, feature, user_tier, conversions FROM revenue WHERE conversions > 0 ORDER BY ALL"
    )
    assert by_calls == by_revenue
    rate = one(any_demo, "SELECT count(*) FILTER (converted) / count(converted) FROM calls WHERE feature = 'search'")[0]
    assert abs(rate - 0.024) < 0.002


def test_gpus_idle_and_billed(any_demo):
    idle = one(
        any_demo, "SELECT 1 - avg(gpu_utilization) FROM utilization WHERE gpu = 'A100-40GB' AND hour < '2026-04-01'"
    )[0]
    assert abs(idle - 0.6) < 0.001
    odd = one(
        any_demo,
        "SELECT count(*) FROM utilization WHERE gpu_utilization NOT BETWEEN 0 AND 1 OR memory_used NOT BETWEEN 0 AND 1",
    )
    assert odd == (0,)
    apart = one(
        any_demo,
        """SELECT count(*) FROM (SELECT ChargePeriodStart AS hour, ResourceId AS resource FROM bill WHERE category = 'GPU inference')
            FULL JOIN utilization USING (hour, resource) WHERE source IS NULL OR hour IS NULL""",
    )
    assert apart == (0,)
    empty_hours = one(
        any_demo,
        "SELECT 31 * 24 - count(DISTINCT hour) FROM utilization WHERE hour >= '2026-05-01' AND resource = 'gpu-l4-3'",
    )[0]
    assert empty_hours > 100


# --- what it says of itself


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
    with _fill(2026) as again:
        assert _fingerprint(again) == _fingerprint(demo)


def test_other_seed_other_rows(any_demo, demo):
    same = _fingerprint(any_demo) == _fingerprint(demo)
    assert same == (any_demo is demo)


# --- the arithmetic under it


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
