"""The overview's figures and sentences: by hand, and against the reference case on the demo company."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from analytics.changes import changes
from analytics.filters import Filters
from analytics.overview import by_month, overview, rests_on
from analytics.period_names import name, short_edges
from tests.analytics.facts import call, charge, day, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
APRIL = Filters(date(2026, 4, 1), date(2026, 4, 30))
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def visits(when: str, count: int) -> dict[str, Any]:
    return {"date": day(when), "active_users": count, "source": "calls"}


def test_an_empty_store_is_said_to_be_empty() -> None:
    found = overview(warehouse_of(), MAY)
    assert found.is_empty
    assert (found.total, found.previous_total, found.gross_margin, found.cost_per_average_dau) == (None,) * 4
    assert found.headline == "What May 2026 cost is not known"
    assert found.coverage == "No cost is known in this period."


def test_the_headline_says_cost_change_and_the_dearest_feature() -> None:
    calls = [
        call("2026-04-01", "16"),
        call("2026-05-01", "6"),
        *(call("2026-05-31", "1", feature="ask") for _ in range(2)),
    ]
    found = overview(warehouse_of(calls), MAY)
    assert found.headline == (
        "May 2026 cost $8.00, 50% less than in April 2026; search is 75% of the cost of model calls on 33% of the calls"
    )
    assert (found.total, found.previous_total) == (D(8), D(16))
    assert (found.period, found.previous_period) == ("May 2026", "April 2026")


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("4", "100% more than in April 2026"),
        ("8", "as much as in April 2026"),
        ("0.5", "16 times as much as in April 2026"),
    ],
)
def test_the_change_in_words(before: str, words: str) -> None:
    assert words in overview(warehouse_of([call("2026-04-01", before), call("2026-05-01", "8")]), MAY).headline


def test_a_day_is_compared_on_the_day_before() -> None:
    day = date(2026, 5, 19)
    found = overview(warehouse_of([call("2026-05-18", "4"), call("2026-05-19", "8")]), Filters(day, day))
    assert found.headline.startswith("19 May 2026 cost $8.00, 100% more than on 18 May 2026")


def test_without_data_for_the_month_before_there_is_no_comparison() -> None:
    found = overview(warehouse_of([call("2026-04-20", "4"), call("2026-05-01", "8")]), MAY)
    assert found.previous_total is None
    assert "than" not in found.headline


def test_a_month_in_progress_is_carried_on_at_the_rate_of_its_days() -> None:
    calls = [call("2026-05-01", "4"), call("2026-05-10", "6")]
    found = overview(warehouse_of(calls), MAY)
    assert found.total == D(10)
    assert (found.run_rate.amount, found.run_rate.is_complete) == (D(31), False)
    assert found.run_rate.how == "$10.00 in 10 complete days / 10 × 31 days."


def test_a_day_that_was_read_before_it_ended_does_not_count_in_the_rate() -> None:
    calls = [call("2026-05-01", "4"), call("2026-05-09", "5"), call("2026-05-10", "1")]
    load = {"source": "calls", "status": "stored", "loaded_at": datetime(2026, 5, 10, 11), "table_name": "calls"}
    found = overview(warehouse_of(calls, loads=[load]), MAY)
    assert (found.run_rate.amount, found.run_rate.is_complete) == (D(31), False)
    assert "9 complete days" in found.run_rate.how


def test_a_complete_month_is_its_own_rate_and_other_periods_have_none() -> None:
    warehouse = warehouse_of([call("2026-05-01", "4"), call("2026-05-31", "6")])
    rate = overview(warehouse, MAY).run_rate
    assert (rate.amount, rate.is_complete) == (D(10), True)
    assert overview(warehouse, Filters(day("2026-05-02"), day("2026-05-31"))).run_rate.amount is None
    assert overview(warehouse, Filters(day("2026-04-01"), day("2026-05-31"))).run_rate.amount is None


def test_cost_per_active_user_is_the_periods_cost_before_credits_for_each_of_the_average_days_users() -> None:
    lines = [charge("2026-05-01", "100"), charge("2026-05-01", "-40", ChargeCategory="Credit")]
    found = overview(warehouse_of(charges=lines, activity=[visits("2026-05-01", 10), visits("2026-05-02", 15)]), MAY)
    assert (found.total, found.average_dau, found.cost_per_average_dau) == (D(60), 12.5, D(8))
    assert found.dau_source == "activity"


def test_the_margin_is_unknown_without_revenue_and_negative_below_cost() -> None:
    assert overview(warehouse_of([call("2026-05-01", "4")]), MAY).gross_margin is None
    sale = {"date": day("2026-05-01"), "amount": D(2), "currency": "USD"}
    assert overview(warehouse_of([call("2026-05-01", "4")], revenue=[sale]), MAY).gross_margin == -1
    foreign = sale | {"currency": "EUR"}
    with pytest.raises(InputError, match="EUR and USD"):
        overview(warehouse_of([call("2026-05-01", "4")], revenue=[foreign]), MAY)


def test_coverage_in_words() -> None:
    calls = [call("2026-05-01", "1"), call("2026-05-01", "1", provider="x", feature=None), call("2026-05-01", None)]
    lines = [charge("2026-05-01", "3", InvoiceId="i")]
    assert overview(warehouse_of(calls, lines), MAY).coverage == (
        "75% of it comes from bills, 25% is estimated from traces. All bills are invoiced. 1 of 3 calls has no known price. "
        "67% of calls name their feature."
    )
    assert overview(warehouse_of(charges=[charge("2026-05-01", "3")]), MAY).coverage == (
        "All of it comes from bills. None of it is invoiced yet, so it may change."
    )
    assert overview(warehouse_of(calls[:1]), MAY).coverage.startswith("All of it is estimated from traces")


def test_changes_sum_to_the_difference_and_name_what_came_and_went() -> None:
    calls = [
        call("2026-04-01", "5", feature="old"),
        call("2026-04-01", "2"),
        call("2026-05-01", "4"),
        call("2026-05-01", "1", feature=None),
    ]
    warehouse = warehouse_of(calls, [charge("2026-05-02", "9", x_CostCategory="Vector database")])
    frame = changes(warehouse, MAY, "feature")
    assert [tuple(row) for row in frame[["name", "kind", "difference", "change"]].itertuples(index=False)] == [
        (None, "shared", D(9), None),
        ("old", "feature", D(-5), -1.0),
        ("search", "feature", D(2), 1.0),
        (None, "untagged", D(1), None),
    ]
    assert sum(frame["difference"]) == D(7)
    assert changes(warehouse, APRIL, "feature").empty
    with pytest.raises(InputError, match="category or feature"):
        changes(warehouse, MAY, "colour")


@pytest.mark.parametrize("by", ["category", "feature"])
def test_the_demo_companys_changes_sum_to_the_difference(demo_warehouse: Warehouse, by: str) -> None:
    found, frame = overview(demo_warehouse, MAY), changes(demo_warehouse, MAY, by)
    assert found.total is not None
    assert found.previous_total is not None
    assert sum(frame["difference"]) == found.total - found.previous_total
    assert (sum(frame["cost"]), sum(frame["previous_cost"])) == (found.total, found.previous_total)


@pytest.mark.parametrize(
    ("month", "total", "dau", "per_user"), [(3, "47231", 500.0, "94.462"), (5, "9200", 620.0, "14.838709677419")]
)
def test_the_demo_company_is_the_reference_case(
    demo_warehouse: Warehouse, month: int, total: str, dau: float, per_user: str
) -> None:
    found = overview(demo_warehouse, Filters(date(2026, month, 1), date(2026, month, 31)))
    assert (found.total, found.run_rate.amount) == (D(total), D(total))
    assert (found.average_dau, found.cost_per_average_dau) == (dau, D(per_user))


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-05-01", "2026-05-31", "May 2026"),
        ("2026-02-01", "2026-02-28", "February 2026"),
        ("2026-05-01", "2026-05-14", "1 – 14 May 2026"),
        ("2026-05-02", "2026-05-02", "2 May 2026"),
        ("2026-04-28", "2026-05-04", "28 April – 4 May 2026"),
        ("2025-12-28", "2026-01-04", "28 December 2025 – 4 January 2026"),
    ],
)
def test_periods_in_words(start: str, end: str, words: str) -> None:
    assert name(Filters(day(start), day(end))) == words


def test_the_last_twelve_months_whatever_the_period() -> None:
    calls = [call("2025-05-31", "1"), call("2025-06-01", "2"), call("2026-04-10", "4"), call("2026-05-12", "8")]
    frame = by_month(warehouse_of(calls, [charge("2026-04-02", "16")]), MAY, "USD")
    assert frame.groupby("period")["cost"].sum().to_dict() == {
        date(2025, 6, 1): D(2),
        date(2026, 4, 1): D(20),
        date(2026, 5, 1): D(8),
    }
    assert set(frame["category"]) == {"LLM API", charge("2026-04-02", "16")["x_CostCategory"]}


def test_months_obey_filters_and_keep_to_one_currency() -> None:
    calls = [call("2026-04-10", "4", feature="ask"), call("2026-05-12", "8")]
    warehouse = warehouse_of(calls, [charge("2026-04-02", "16", BillingCurrency="EUR")])
    assert by_month(warehouse, MAY, "USD")["cost"].tolist() == [D(4), D(8)]
    assert by_month(warehouse, MAY, "EUR")["cost"].tolist() == [D(16)]
    assert by_month(warehouse, MAY.only("feature", "ask"), "USD")["cost"].tolist() == [D(4)]
    assert by_month(warehouse_of(), MAY, "USD").empty


def test_the_demo_months_are_the_reference_case(demo_warehouse: Warehouse) -> None:
    frame = by_month(demo_warehouse, MAY, "USD")
    sums = frame.groupby("period")["cost"].sum()
    assert (sums.iloc[0], sums.iloc[-1], len(sums)) == (D(47231), D(9200), 3)


@pytest.mark.parametrize(
    ("start", "end", "grain", "words"),
    [
        ("2026-05-01", "2026-05-31", "day", ""),
        ("2026-05-01", "2026-05-31", "month", ""),
        # A Monday to a Sunday.
        ("2026-05-04", "2026-05-17", "week", ""),
        ("2026-05-01", "2026-05-31", "week", "; the first week lacks days"),
        ("2026-05-04", "2026-05-30", "week", "; the last week lacks days"),
        ("2026-03-02", "2026-05-30", "month", "; the first and the last month lack days"),
    ],
)
def test_a_period_that_cuts_a_week_or_month_says_so(start: str, end: str, grain: str, words: str) -> None:
    assert short_edges(Filters(day(start), day(end), grain=grain)) == words


def test_what_a_total_rests_on_says_how_many_calls_report_their_tokens() -> None:
    silent = call("2026-05-01", None, uncached_input_tokens=None, output_tokens=None)
    assert rests_on(warehouse_of([call("2026-05-01", "1"), silent]), MAY).endswith("50% of calls report their tokens.")
    assert "tokens" not in rests_on(warehouse_of([call("2026-05-01", "1")]), MAY)


def test_calls_that_cost_nothing_are_no_bill() -> None:
    free = [call("2026-05-01", "0"), call("2026-05-01", None)]
    assert overview(warehouse_of(free), MAY).coverage.startswith(
        "Everything whose cost is known was free. 1 of 2 calls has no known price."
    )
    coverage = overview(warehouse_of(free, [charge("2026-05-01", "0")]), MAY).coverage
    assert coverage.startswith("All of it comes from bills. None of it is invoiced yet")


def test_a_credit_hides_neither_the_bill_nor_what_is_not_invoiced() -> None:
    """A bill of 4 less a credit of 6, beside 5 of traces: a total of 3, of which traces are not all, and of which nothing is invoiced."""
    lines = [
        charge("2026-05-01", "4"),
        charge("2026-05-01", "-6", ChargeCategory="Credit"),
    ]
    found = overview(
        warehouse_of([call("2026-05-02", "5", provider="anthropic", model="claude-sonnet-4-5")], lines), MAY
    )
    assert found.total == D(3)
    assert "no bill covers" not in found.coverage
    assert "None of it is invoiced yet" in found.coverage
    # 12 invoiced less a credit of 2 that is not.
    lines = [charge("2026-05-01", "12", InvoiceId="1"), charge("2026-05-01", "-2", ChargeCategory="Credit")]
    assert "Not all of it is invoiced" in overview(warehouse_of(charges=lines), MAY).coverage
