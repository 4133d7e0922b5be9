"""The structure in the demo company's calls that replays need."""

from __future__ import annotations

from tests.connectors.demo_company.company import one, rows


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
