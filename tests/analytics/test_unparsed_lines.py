"""Billing lines without a model or direction stay in sight."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from analytics.filters import Filters
from analytics.unparsed_lines import unparsed_lines
from tests.analytics.facts import charge, warehouse_of

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def test_lines_without_a_model_or_direction_are_listed_with_their_cost() -> None:
    facts = warehouse_of(
        charges=[
            charge("2026-05-01", "6", x_Model="gpt-4o", x_TokenDirection="input"),
            charge("2026-05-01", "3", x_UsageType="Mystery-Units", ChargeDescription="who knows"),
            charge("2026-05-02", "2", x_UsageType="Mystery-Units", ChargeDescription="who knows"),
            charge("2026-05-02", "1", x_Model="gpt-4o", x_UsageType="Provisioned"),
            charge("2026-05-02", "-1", ChargeCategory="Credit"),
            charge("2026-05-02", "50", x_CostCategory="GPU inference"),
            charge("2026-06-02", "9"),
        ]
    )
    frame = unparsed_lines(facts, MAY)
    assert frame[["provider", "usage_type", "lacks", "lines", "cost"]].to_numpy().tolist() == [
        ["openai", "Mystery-Units", "model", 2, D(5)],
        ["openai", "Provisioned", "direction", 1, D(1)],
    ]
    assert frame["cost_share"].tolist() == [float(D(5) / D(12)), float(D(1) / D(12))]
    assert unparsed_lines(facts, MAY.only("provider", "aws")).empty
