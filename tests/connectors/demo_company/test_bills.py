"""The demo company's bills against the reference case's figures, and against the traces under them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.connectors.demo_company.company import one, rows

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
