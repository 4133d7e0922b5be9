"""Scenarios side by side, and on paper: the figures are those of each scenario replayed alone."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from pypdf import PdfReader

from analytics.simulators.batch import Batch
from analytics.simulators.compare_scenarios import by_lever, compare, costs_by_category, headline, long_frame
from analytics.simulators.lever import Selection
from analytics.simulators.output_limits import OutputLimits
from analytics.simulators.plan_paper import scenario_pdf, settings_sentence
from analytics.simulators.scenario import Scenario
from tests.analytics.simulators.made import call, situation_of
from warehouse.errors import InputError

MILLION = {"uncached_input_tokens": 2_000_000, "output_tokens": 300_000, "feature": "hỏi"}
"""A call of 8.00 USD, 4.00 in a batch, 5.30 with an answer of a tenth."""
CALLS = [call(day=day, **MILLION) for day in range(28)]
NIGHTS = Scenario("Nights", (Batch(share=1.0),))
SHORT = Scenario("Short", (OutputLimits(length=0.1), Batch(share=1.0)))
TWICE = Scenario("Twice", (OutputLimits(length=0.5), OutputLimits(length=0.2, calls=Selection(feature=("hỏi",)))))
PER_MONTH = Decimal("30.4375")
"""One call a day."""


def usd(per_call: str) -> Decimal:
    return (Decimal(per_call) * PER_MONTH).quantize(Decimal("0.01"))


def test_levers_by_hand() -> None:
    frame = by_lever(compare(situation_of(CALLS), [NIGHTS, SHORT, TWICE])).set_index("lever")
    assert frame.index.tolist() == ["Batch processing", "Output limits", "Output limits (2)", "All levers"]
    assert frame["saved_0"].tolist() == [usd("4.00"), None, None, usd("4.00")]
    # Shortened to 5.30 first, a batch saves half of that: 2.65.
    for found, wanted in zip(frame["saved_1"], (usd("2.65"), usd("2.70"), None, usd("5.35")), strict=True):
        assert (found is None) == (wanted is None)
        assert wanted is None or abs(found - wanted) <= Decimal("0.01")
    assert [value is None for value in frame["saved_2"]] == [True, False, False, False]
    costs = costs_by_category(compare(situation_of(CALLS), [NIGHTS, SHORT]))
    assert costs["category"].tolist() == ["LLM API", "Total"]
    assert (costs["today"][1], costs["cost_0"][1], costs["cost_1"][1]) == (usd("8.00"), usd("4.00"), usd("2.65"))


def test_each_scenario_is_as_replayed_alone() -> None:
    situation = situation_of(CALLS)
    compared = compare(situation, [NIGHTS, SHORT, TWICE])
    for scenario, (name, outcome) in zip((NIGHTS, SHORT, TWICE), compared.outcomes, strict=True):
        alone = scenario.run(situation)
        assert name == scenario.name
        assert (outcome.saving, outcome.saving_low, outcome.end_costs) == (
            alone.saving,
            alone.saving_low,
            alone.end_costs,
        )
    long = long_frame(compared)
    for scenario in ("Nights", "Short", "Twice"):
        rows = long[long["scenario"] == scenario]
        assert rows["amount"][rows["kind"] == "lever"].sum() == rows["amount"][rows["kind"] == "total"].sum()
        saved = rows["amount"][rows["kind"] == "today"].sum() - rows["amount"][rows["kind"] == "category"].sum()
        assert saved == rows["amount"][rows["kind"] == "total"].sum()
    assert headline(compared) == "Short saves most, $162.84 a month, $41.09 more than Nights"


def test_what_cannot_be_compared_is_refused_in_a_sentence() -> None:
    situation = situation_of(CALLS)
    gone = Scenario("Gone", (Batch(share=1.0, calls=Selection(feature=("nobody",))),))
    for scenarios, words in (
        ([NIGHTS], "choose 2 to 4 scenarios"),
        ([NIGHTS] * 5, "choose 2 to 4 scenarios"),
        ([NIGHTS, NIGHTS], "the same name"),
        ([NIGHTS, gone], "Gone: no call of this period has the feature 'nobody'"),
    ):
        with pytest.raises(InputError, match=words):
            compare(situation, scenarios)


def test_a_scenario_on_paper() -> None:
    outcome = SHORT.run(situation_of(CALLS))
    text = "\n".join(
        page.extract_text() for page in PdfReader(io.BytesIO(scenario_pdf(SHORT, outcome, "28 days", demo=True))).pages
    )
    for words in (
        "Short", "28 days. Synthetic data of the demo company; USD per month, simulated", "$243.50", "hỏi", "Batch processing", "All levers",
        f"${outcome.end}", "Output limits: length 0.1", "What is assumed, and left out",
    ):  # fmt: skip
        assert words in text, words


def test_settings_say_what_differs_from_neutral() -> None:
    scenario = Scenario(
        "S", (OutputLimits(cap=30, answer_tokens=28, end_repeats=True, calls=Selection(feature=("a", "b"))), Batch())
    )
    assert (
        settings_sentence(scenario, 0) == "Output limits: cap 30; calls feature a, b; answer_tokens 28; end_repeats yes"
    )
    assert settings_sentence(scenario, 1) == "Batch processing: as today"
