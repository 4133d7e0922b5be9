"""The demo company's calls: what they cost, whose they are, and what a gateway cannot say."""

from __future__ import annotations

from decimal import Decimal

from tests.connectors.demo_company.company import one, rows


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
