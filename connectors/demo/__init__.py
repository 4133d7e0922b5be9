"""The demo company: synthetic calls, bills, users, revenue and GPU hours of three months, the same to the last digit for the same seed.

March 2026 shows a product whose bill nobody understands, April the changes week by week, May the result. All figures and sizes
lie in `data/demo.toml`, the questions in `data/demo_questions.toml`. Every row is labelled with the source `demo`.
"""

from __future__ import annotations

import duckdb

from connectors.demo.billing_lines import charges_table
from connectors.demo.calls import calls_table, make_calls, texts_table
from connectors.demo.cloud_bill import cloud_lines
from connectors.demo.earnings import revenue
from connectors.demo.fleet import run_fleet, utilization
from connectors.demo.model_bill import openai_lines
from connectors.demo.people import activity, invite
from connectors.demo.story import read_story

_ACTIVITY = """
CREATE OR REPLACE TEMP TABLE demo_activity AS
SELECT date, format('u-{:05d}', "user") AS user_id, user_tier::VARCHAR AS user_tier, 1::BIGINT AS active_users, 'demo' AS source
FROM demo_wire
"""
_REVENUE = """
CREATE OR REPLACE TEMP TABLE demo_revenue AS
SELECT date, feature, user_tier, amount, 'USD' AS currency, conversions, 'demo' AS source FROM demo_wire
"""
_UTILIZATION = """
CREATE OR REPLACE TEMP TABLE demo_utilization AS
SELECT make_timestamp(hour) AS hour, resource::VARCHAR AS resource, gpu::VARCHAR AS gpu, 1::BIGINT AS gpu_count, gpu_utilization,
    memory_used, requests, tokens_per_second, 'llama-3.1-8b-instruct' AS model, 'classify' AS feature, 'demo' AS source
FROM demo_wire
ORDER BY hour, resource
"""


def tables(connection: duckdb.DuckDBPyConnection, seed: int = 2026) -> dict[str, str]:
    """Create the demo company's temp tables on the connection: canonical table name -> temp table name.

    Filled are calls, call_texts, charges, activity, revenue and utilization, each with a subset of the columns of
    `warehouse.schema` (no load ids, no prices). Raises InputError when the parameters cannot be used.
    """
    story = read_story(seed)
    people = invite(story)
    calls = make_calls(story, people)
    fleet = run_fleet(story)
    filled = {
        "calls": calls_table(connection, story, calls),
        "call_texts": texts_table(connection, story, calls),
        "charges": charges_table(connection, [*openai_lines(story, calls), *cloud_lines(story, fleet)]),
    }
    for name, statement, wire in (
        ("activity", _ACTIVITY, activity(story, people)),
        ("revenue", _REVENUE, revenue(story, calls)),
        ("utilization", _UTILIZATION, utilization(story, fleet)),
    ):
        connection.register("demo_wire", wire)
        connection.execute(statement)
        connection.unregister("demo_wire")
        filled[name] = f"demo_{name}"
    return filled
