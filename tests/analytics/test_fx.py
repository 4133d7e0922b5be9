"""Exchange rates: which one counts, that all views convert alike, and that nothing is added without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.conversions import fx, note
from analytics.costs import costs
from analytics.coverage import coverage
from analytics.filters import Filters
from analytics.fx import daily_rates
from analytics.ledger import ledger
from analytics.margins import margins
from analytics.reconciliation import reconciliation
from analytics.totals import totals
from analytics.unit_economics import unit_economics
from tests.analytics.facts import call, charge, day, warehouse_of
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def rate(on: str, pair: str, amount: str, source: str = "ECB") -> dict[str, Any]:
    first, last = pair.split("/")
    return {"date": day(on), "from_currency": first, "to_currency": last, "rate": D(amount), "source": source}


def eur(on: str, cost: str, **columns: Any) -> dict[str, Any]:
    return charge(on, cost, BillingCurrency="EUR", x_CostCategory="GPU inference", **columns)


def total(warehouse: Warehouse, filters: Filters = MAY) -> Decimal:
    row = totals(warehouse, filters).iloc[0]
    assert row["ledger_cost"] == row["effective"]
    return row["ledger_cost"]


def rates_of(rates: Iterable[Mapping[str, Any]], currency: str = "EUR", reporting: str = "USD") -> Decimal | None:
    line = charge("2026-05-10", "1", BillingCurrency=currency)
    warehouse = warehouse_of(charges=[line], fx_rates=rates, configuration=Configuration(reporting_currency=reporting))
    rows = warehouse.arrow(daily_rates(warehouse)).to_pylist()
    return rows[0]["rate"] if rows else None


def test_the_rate_of_the_day_counts_else_the_latest_of_seven_days_before() -> None:
    older = [rate("2026-05-03", "EUR/USD", "1.03"), rate("2026-05-08", "EUR/USD", "1.08")]
    assert rates_of([*older, rate("2026-05-10", "EUR/USD", "1.10"), rate("2026-05-11", "EUR/USD", "9")]) == D("1.10")
    assert rates_of(older) == D("1.08")
    assert rates_of(older[:1]) == D("1.03")
    assert rates_of([rate("2026-05-02", "EUR/USD", "1.02")]) is None
    assert rates_of([rate("2026-05-11", "EUR/USD", "1.11")]) is None


def test_the_given_rate_counts_before_the_inverse_and_that_before_one_through_a_third_currency() -> None:
    inverse = rate("2026-05-10", "USD/EUR", "0.8")
    through = [rate("2026-05-10", "EUR/GBP", "0.9"), rate("2026-05-10", "GBP/USD", "1.3")]
    assert rates_of([inverse, *through]) == D("1.25")
    assert rates_of(through) == D("1.17")
    assert rates_of([rate("2026-05-10", "EUR/USD", "1.2"), inverse, *through]) == D("1.2")


def test_a_table_of_one_base_currency_converts_every_pair() -> None:
    base = [rate("2026-05-10", "EUR/USD", "1.25"), rate("2026-05-10", "EUR/GBP", "0.8")]
    assert rates_of(base, "GBP", "USD") == D("1.5625")
    assert rates_of(base, "USD", "GBP") == D("0.64")
    assert rates_of(base, "USD", "EUR") == D("0.8")


def test_every_day_is_converted_at_its_own_rate_in_every_view() -> None:
    warehouse = warehouse_of(
        [call("2026-05-01", "5")],
        [
            eur("2026-05-01", "100", Tags='{"feature": "search"}'),
            eur("2026-05-02", "10"),
            charge("2026-05-03", "1", x_CostCategory="Other"),
        ],
        fx_rates=[rate("2026-05-01", "EUR/USD", "1.10"), rate("2026-05-02", "EUR/USD", "1.2")],
        revenue=[{"date": day("2026-05-02"), "feature": "search", "amount": D("50"), "currency": "EUR"}],
    )
    row = totals(warehouse, MAY).iloc[0]
    assert (row["ledger_cost"], row["effective"], row["currency"]) == (D("128"), D("123"), "USD")
    assert sum(costs(warehouse, MAY)["cost"]) == D("128")
    assert set(costs(warehouse, MAY)["currency"]) == {"USD"}
    frame = margins(warehouse, MAY)
    search = frame[frame["feature"] == "search"]
    assert (sum(search["cost"]), max(search["revenue"].dropna())) == (D("115"), D("60"))
    lines = coverage(warehouse, MAY)
    assert set(lines[lines["of"] == "billing lines"]["total_cost"]) == {D("123")}
    assert unit_economics(warehouse, replace(MAY, grain="month"))["cost"].tolist() == [D("128")]


def test_the_native_amounts_stay_and_a_currency_is_chosen_by_what_the_bill_is_in() -> None:
    warehouse = warehouse_of(
        charges=[eur("2026-05-01", "100"), charge("2026-05-01", "7", x_CostCategory="Other")],
        fx_rates=[rate("2026-05-01", "EUR/USD", "1.5")],
    )
    assert total(warehouse, MAY.only("currency", "EUR")) == D("150")
    assert total(warehouse, MAY.only("currency", "USD")) == D("7")
    natives = warehouse.connection.execute("SELECT BillingCurrency, EffectiveCost FROM charges ORDER BY 1").fetchall()
    assert natives == [("EUR", D(100)), ("USD", D(7))]
    frame = warehouse.frame(ledger(warehouse))
    assert set(frame["native_currency"]) == {"EUR", "USD"}


def test_calls_are_converted_when_the_reporting_currency_is_another() -> None:
    warehouse = warehouse_of(
        [call("2026-05-01", "10"), call("2026-05-01", None)],
        fx_rates=[rate("2026-05-01", "EUR/USD", "1.25")],
        configuration=Configuration(reporting_currency="EUR"),
    )
    frame = costs(warehouse, MAY)
    assert (frame["cost"].tolist(), frame["currency"].tolist(), frame["calls"].tolist()) == ([D("8")], ["EUR"], [2])
    assert note(warehouse, MAY) == "USD to EUR at the rate of the day (0.8; source: ECB)."


def test_a_bill_in_another_currency_is_split_over_the_calls_like_any_other() -> None:
    calls = [call("2026-05-01", "1"), call("2026-05-01", "3", feature="ask")]
    warehouse = warehouse_of(
        calls, [charge("2026-05-01", "8", BillingCurrency="EUR")], fx_rates=[rate("2026-05-01", "EUR/USD", "1.5")]
    )
    frame = costs(warehouse, MAY, ("feature",))
    assert dict(zip(frame["feature"], frame["cost"], strict=True)) == {"ask": D(9), "search": D(3)}
    assert set(frame["currency"]) == {"USD"}


def test_a_bill_in_another_currency_is_reconciled_with_traces_in_dollars() -> None:
    warehouse = warehouse_of(
        [call("2026-05-01", "1"), call("2026-05-03", "4")],
        [charge("2026-05-01", "2", BillingCurrency="EUR", x_Model="gpt-4o")],
        fx_rates=[rate("2026-05-01", "EUR/USD", "1.5")],
        configuration=Configuration(reporting_currency="EUR"),
    )
    for filters in (replace(MAY, grain="month"), replace(MAY, grain="month").only("currency", "EUR")):
        (row,) = [one for one in reconciliation(warehouse, filters).to_dict("records") if one["billed"] is not None]
        assert (row["billed"], row["currency"]) == (3, "USD")
    (row,) = reconciliation(warehouse, replace(MAY, grain="month")).to_dict("records")
    assert (row["estimated"], row["gap"], row["not_billed"]) == (1, 2, 4)


def test_without_a_rate_nothing_is_converted_and_sums_are_refused_in_words() -> None:
    lines = [eur("2026-05-01", "100"), eur("2026-05-20", "100"), charge("2026-05-01", "7", x_CostCategory="Other")]
    warehouse = warehouse_of(charges=lines, fx_rates=[rate("2026-05-01", "EUR/USD", "1.5")])
    assert total(warehouse, Filters(date(2026, 5, 1), date(2026, 5, 8))) == D("157")
    with pytest.raises(InputError, match=r"EUR and USD, which cannot be added: load the exchange rates"):
        totals(warehouse, MAY)
    frame = costs(warehouse, replace(MAY, grain="month"))
    assert dict(zip(frame["currency"], frame["cost"], strict=True)) == {"USD": D(157), "EUR": D(100)}


def test_conversions_are_told_with_their_rates_and_source() -> None:
    rates = [rate("2026-05-01", "EUR/USD", "1.10"), rate("2026-05-05", "EUR/USD", "1.2", "Bank")]
    lines = [eur("2026-05-01", "100"), eur("2026-05-05", "10"), eur("2026-05-20", "1")]
    warehouse = warehouse_of(charges=lines, fx_rates=rates)
    (row,) = fx(warehouse, MAY).to_dict("records")
    assert (row["days"], row["days_without_rate"], row["first_missing"]) == (3, 1, day("2026-05-20"))
    assert (row["native_effective"], row["effective"]) == (D("111"), None)
    assert (row["lowest_rate"], row["highest_rate"], row["latest_rate_date"]) == (D("1.1"), D("1.2"), day("2026-05-05"))
    assert row["sources"] == "Bank, ECB"
    assert note(warehouse, MAY) == (
        "EUR to USD at the rate of the day (1.1 to 1.2; source: Bank, ECB); 1 of 3 days have no rate, the first 2026-05-20."
    )
    early = Filters(date(2026, 5, 1), date(2026, 5, 6))
    assert fx(warehouse, early)["effective"].tolist() == [D("122")]
    assert note(warehouse_of(charges=[charge("2026-05-01", "1")]), MAY) is None
    assert "stay as they are" in str(note(warehouse_of(charges=lines), MAY))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from(["EUR", "USD", "VND"]), st.decimals("-1e6", "1e9", places=2)),
        min_size=1,
        max_size=6,
    ),
    st.decimals("0.00003", "9", places=6),
)
def test_converted_days_sum_to_the_range_and_agree_with_an_exact_calculation(
    lines: list[tuple[int, str, Decimal]], euro: Decimal
) -> None:
    rates = {"EUR": euro, "VND": D("0.00004"), "USD": D(1)}
    charges = [
        charge(f"2026-05-0{number}", str(cost), BillingCurrency=currency, x_CostCategory="Other")
        for number, currency, cost in lines
    ]
    warehouse = warehouse_of(
        charges=charges,
        fx_rates=[rate("2026-05-01", f"{code}/USD", str(value)) for code, value in rates.items() if code != "USD"],
    )
    frame = costs(warehouse, MAY)
    assert sum(frame["cost"]) == totals(warehouse, MAY).iloc[0]["ledger_cost"]
    exact = sum((cost * rates[currency] for _day, currency, cost in lines), D(0))
    assert abs(sum(frame["cost"]) - exact) <= D("0.00000000001")
