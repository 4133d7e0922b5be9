"""Totals against sums written down by hand, and against the demo company's invoices."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from analytics.currency import require_one_currency
from analytics.filters import UNTAGGED, Filters
from analytics.totals import totals
from tests.analytics.facts import call, charge, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def row(warehouse: Warehouse, filters: Filters = MAY) -> dict[str, Any]:
    frame = totals(warehouse, filters)
    assert len(frame) == 1
    return {str(name): values.iloc[0] for name, values in frame.items()}


def test_an_empty_store_knows_nothing_and_counts_nothing() -> None:
    found = row(warehouse_of())
    assert (found["rows"], found["calls"], found["unpriced_calls"], found["unknown_costs"]) == (0, 0, 0, 0)
    for name in (
        "billed",
        "effective",
        "list",
        "currency",
        "call_cost",
        "ledger_cost",
        "estimated_share",
        "usage_share",
    ):
        assert found[name] is None


def test_bill_traces_and_ledger_stand_side_by_side() -> None:
    calls = [
        call("2026-05-02", "1.5", reported_cost=D("1.5"), priced_cost=D("1.4")),
        call("2026-05-02", None, feature=None, uncached_input_tokens=None, output_tokens=None),
        call("2026-05-03", "2", provider="anthropic"),
        call("2026-06-01", "99"),
    ]
    lines = [
        charge("2026-05-02", "10", EffectiveCost=D("8"), ListCost=None, InvoiceId="i"),
        charge("2026-05-02", "-1", ChargeCategory="Credit", ListCost=D("0")),
        charge("2026-05-02", "77", x_Excluded=True),
        charge("2026-04-30", "55"),
    ]
    found = row(warehouse_of(calls, lines))
    assert (found["rows"], found["billed"], found["effective"], found["list"]) == (2, D("9"), D("7"), D("0"))
    assert (found["effective_unknown"], found["list_unknown"]) == (0, 1)
    assert (found["calls"], found["call_cost"], found["unpriced_calls"]) == (3, D("3.5"), 1)
    assert (found["reported_call_cost"], found["priced_call_cost"]) == (D("1.5"), D("3.4"))
    # The bill covers OpenAI's day, so that its calls are not added; Anthropic's have no bill.
    assert (found["ledger_cost"], found["estimated_cost"], found["final_cost"]) == (D("9"), D("2"), D("8"))
    assert (found["credits"], found["unknown_costs"], found["currency"]) == (D("-1"), 0, "USD")
    assert found["usage_share"] == found["priced_share"] == found["feature_share"] == pytest.approx(2 / 3)
    assert found["estimated_share"] == pytest.approx(2 / 9)
    assert found["final_share"] == pytest.approx(8 / 9)


@pytest.mark.parametrize(("basis", "cost"), [("billed", "10"), ("effective", "8"), ("list", "12")])
def test_the_ledger_is_on_the_chosen_basis(basis: str, cost: str) -> None:
    warehouse = warehouse_of(charges=[charge("2026-05-02", "10", EffectiveCost=D(8), ListCost=D(12))])
    assert row(warehouse, Filters(MAY.start, MAY.end, basis=basis))["ledger_cost"] == D(cost)


def test_calls_alone_are_in_dollars_and_estimated() -> None:
    found = row(warehouse_of([call("2026-05-02", "1.5")]))
    assert (found["currency"], found["billed"], found["ledger_cost"], found["estimated_share"]) == (
        "USD",
        None,
        D("1.5"),
        1,
    )


def test_a_bill_in_euros_that_covers_all_calls_is_in_euros() -> None:
    found = row(warehouse_of([call("2026-05-02", "1.5")], [charge("2026-05-02", "9", BillingCurrency="EUR")]))
    assert (found["currency"], found["ledger_cost"], found["call_cost"]) == ("EUR", D(9), D("1.5"))


def test_amounts_in_two_currencies_are_refused_until_one_is_chosen() -> None:
    lines = [charge("2026-05-02", "10"), charge("2026-05-02", "9", BillingCurrency="EUR")]
    with pytest.raises(InputError, match=r"EUR and USD.*--where currency=USD"):
        totals(warehouse_of(charges=lines), MAY)
    chosen = Filters(MAY.start, MAY.end, where=(("currency", ("EUR",)),))
    assert row(warehouse_of(charges=lines), chosen)["billed"] == D(9)


@pytest.mark.parametrize(
    ("dimension", "value", "billed", "call_cost", "ledger_cost"),
    [
        ("feature", "search", None, "1", "3"),
        ("feature", UNTAGGED, "16", "2", "10"),
        ("category", "LLM API", "12", "4", "12"),
        ("category", "Vector database", "4", None, "4"),
        ("model", "gpt-4o", "12", "4", "12"),
        ("provider", "openai", "16", "4", "16"),
        ("account", "org-1", "16", None, "16"),
        ("service", "OpenAI API", "16", None, "16"),
        ("source", "calls", None, "4", None),
    ],
)
def test_filters_reach_bill_traces_and_ledger(
    dimension: str, value: str, billed: str | None, call_cost: str | None, ledger_cost: str | None
) -> None:
    calls = [call("2026-05-02", "1"), call("2026-05-02", "1", feature="ask"), call("2026-05-02", "2", feature=None)]
    lines = [
        charge("2026-05-02", "12", x_Model="gpt-4o"),
        charge("2026-05-02", "4", x_CostCategory="Vector database"),
    ]
    found = row(warehouse_of(calls, lines), Filters(MAY.start, MAY.end, where=((dimension, (value,)),)))
    expected = [None if text is None else D(text) for text in (billed, call_cost, ledger_cost)]
    assert [found["billed"], found["call_cost"], found["ledger_cost"]] == expected


@pytest.mark.parametrize(
    ("currencies", "one"), [([], None), ([None], None), (["USD", None, "USD"], "USD"), (iter(["EUR"]), "EUR")]
)
def test_one_currency_passes(currencies: Any, one: str | None) -> None:
    assert require_one_currency(currencies) == one


def test_several_currencies_are_named() -> None:
    with pytest.raises(InputError, match=r"EUR, GBP and INR.*currency=EUR"):
        require_one_currency(["INR", "EUR", "GBP"])


@pytest.mark.parametrize(("month", "last", "invoiced"), [(3, 31, "47231.00"), (5, 31, "9200.00")])
def test_the_demo_companys_months_are_its_invoices(
    demo_warehouse: Warehouse, month: int, last: int, invoiced: str
) -> None:
    found = row(demo_warehouse, Filters(date(2026, month, 1), date(2026, month, last)))
    assert found["billed"] == found["effective"] == found["ledger_cost"] == found["final_cost"] == D(invoiced)
    assert found["list"] > found["billed"]
    assert found["estimated_cost"] == 0
    assert D("0.98") < found["call_cost"] / (D("32400") if month == 3 else D("6100")) < 1
