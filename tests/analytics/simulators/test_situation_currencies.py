"""What-ifs reckon in USD: they start at the ledger's cost whatever currency the pages report in."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.totals import totals
from tests.analytics import facts
from warehouse.configuration import Configuration

MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))
RATE = {
    "date": date(2026, 3, 1),
    "from_currency": "EUR",
    "to_currency": "USD",
    "rate": Decimal("1.25"),
    "source": "ECB",
}


@pytest.mark.parametrize("reporting", ["USD", "EUR"])
def test_amounts_of_any_currency_take_part_at_the_rate_of_their_day(reporting: str) -> None:
    """EUR 8 billed for calls (10 USD) and EUR 4 for a database (5 USD), beside 3 USD of calls that no bill covers."""
    calls = [
        facts.call("2026-03-02", "6", provider="openai", model="gpt-4o"),
        facts.call("2026-03-02", "3", provider="anthropic", model="claude-haiku-4-5"),
    ]
    lines = [
        facts.charge("2026-03-02", "8", ServiceProviderName="OpenAI", BillingCurrency="EUR", x_Model="gpt-4o"),
        facts.charge("2026-03-02", "4", x_CostCategory="Vector database", BillingCurrency="EUR", ServiceName="Qdrant"),
    ]
    warehouse = facts.warehouse_of(
        calls, lines, fx_rates=[RATE], configuration=Configuration(reporting_currency=reporting)
    )
    situation = build_situation(warehouse, MARCH)
    spent = {situation.workload.models[place][1]: 0.0 for place in situation.workload.model}
    for place, amount in zip(situation.workload.model, situation.workload.spent(), strict=True):
        spent[situation.workload.models[place][1]] += float(amount)
    assert spent == pytest.approx({"gpt-4o": 10, "claude-haiku-4-5": 3})
    assert situation.costs() == pytest.approx({"LLM API": 13, "Vector database": 5})
    assert not any("EUR" in note for note in situation.notes)
    total = totals(warehouse, MARCH).iloc[0]["ledger_cost"]
    assert total == (Decimal(18) if reporting == "USD" else Decimal("14.4"))
