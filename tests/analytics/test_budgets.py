"""Budgets and the forecast of a month's end: cases by hand, and months whose end is known."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.budgets import Budget, budget_status, budgets_of, read_budgets, remove_budget, save_budget
from analytics.filters import Filters
from analytics.forecast import forecast
from tests.analytics.facts import call, charge, moment, warehouse_of
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.state import State

D = Decimal


def weekly(start: str, days: int, weekday: str = "10", weekend: str = "4") -> list[dict[str, Any]]:
    """One call a day that costs less on weekends."""
    first = date.fromisoformat(start)
    return [
        call(
            (first + timedelta(days=number)).isoformat(),
            weekend if (first + timedelta(days=number)).weekday() >= 5 else weekday,
        )
        for number in range(days)
    ]


def month(day: str) -> Filters:
    last = date.fromisoformat(day)
    return Filters(last.replace(day=1), last)


def test_a_steady_week_is_projected_exactly() -> None:
    """May 2026 has 21 weekdays and 10 weekend days: 250."""
    found = forecast(warehouse_of(weekly("2026-03-02", 75)), month("2026-05-15"))
    assert (found.spent, found.days_left, found.amount) == (D(126), 16, D(250))
    # A week without any noise leaves next to no range.
    assert found.low is not None
    assert D(249) < found.low <= D(250) == found.high
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.tests > 5
    assert "Half of" in found.how


def test_later_data_are_not_used() -> None:
    until = forecast(warehouse_of(weekly("2026-03-02", 75)), month("2026-05-15"))
    more = weekly("2026-03-02", 75) + weekly("2026-05-16", 40, "1000", "1000")
    after = forecast(warehouse_of(more), month("2026-06-20"), date(2026, 5, 15))
    assert after == until


def test_a_month_that_is_over_is_its_cost() -> None:
    found = forecast(warehouse_of(weekly("2026-05-01", 40)), month("2026-05-31"))
    assert (found.amount, found.low, found.high, found.days_left, found.is_complete) == (
        D(250),
        D(250),
        D(250),
        0,
        True,
    )


def test_too_little_history_is_said_and_nothing_made_up() -> None:
    found = forecast(warehouse_of(weekly("2026-05-01", 5)), month("2026-05-05"))
    assert (found.amount, found.low, found.high, found.error) == (None, None, None, None)
    assert "too few" in found.how
    some = forecast(warehouse_of(weekly("2026-05-01", 10)), month("2026-05-10"))
    assert some.amount is not None
    assert (some.low, some.error) == (None, None)
    assert "could not be tested" in some.how
    nothing = forecast(warehouse_of(), month("2026-05-10"))
    assert (nothing.spent, nothing.amount) == (None, None)


def test_monthly_charges_are_expected_on_their_day() -> None:
    """10 a day, and 300 on the 20th of each month, of which that of May is still to come: 31 x 10 + 300."""
    lines = [
        charge(f"2026-0{day.month}-{day.day:02d}", "10")
        for day in (date(2026, 3, 1) + timedelta(days=n) for n in range(75))
    ]
    lines += [
        charge(f"2026-0{number}-20", "300", ChargeCategory="Purchase", x_CostCategory="Other") for number in (3, 4)
    ]
    found = forecast(warehouse_of(charges=lines), month("2026-05-14"))
    assert (found.fixed, found.amount) == (D(300), D(610))
    # Once it has come, it is spent and not expected again.
    came = charge("2026-05-20", "300", ChargeCategory="Purchase", x_CostCategory="Other")
    later = [
        *lines,
        *(charge(f"2026-05-{day}", "10") for day in range(15, 25)),
        came,
    ]
    found = forecast(warehouse_of(charges=later), month("2026-05-24"))
    assert (found.spent, found.fixed, found.amount) == (D(540), D(0), D(610))


def test_a_day_that_is_not_complete_is_spent_but_no_level() -> None:
    """The calls of 15 May were read on that day: what they cost so far is spent, and the day is projected."""
    calls = [*weekly("2026-03-02", 74), call("2026-05-15", "1")]
    loads = [
        {"load_id": 1, "source": "calls", "loaded_at": moment("2026-05-15"), "status": "stored", "table_name": "calls"}
    ]
    found = forecast(warehouse_of(calls, loads=loads), month("2026-05-15"))
    assert (found.spent, found.through, found.days_left, found.amount) == (D(117), date(2026, 5, 14), 17, D(250))


def test_one_bad_day_is_not_the_rest_of_the_month() -> None:
    calls = [*weekly("2026-03-02", 70), call("2026-05-11", "500"), *weekly("2026-05-12", 4)]
    found = forecast(warehouse_of(calls), month("2026-05-15"))
    assert found.spent == D(116 + 500)
    assert D(740) <= (found.amount or D(0)) < D(760)


def test_the_demo_companys_may_is_foreseen(demo_warehouse: Warehouse) -> None:
    """It cost $9,200."""
    for day in (10, 20, 28):
        found = forecast(demo_warehouse, month(f"2026-05-{day}"))
        assert found.amount is not None
        assert abs(found.amount - 9200) < 460
        assert found.low is not None
        assert found.high is not None
        assert found.low <= D(9200) <= found.high


def test_budgets_are_read_with_errors_that_say_what_to_do() -> None:
    entry = {"name": "Sum", "feature": "summarize", "amount": 6000.5, "owner": "ai", "valid_from": date(2026, 5, 1)}
    (budget,) = read_budgets([entry])
    assert budget == Budget("Sum", D("6000.5"), "feature", "summarize", "ai", date(2026, 5, 1))
    assert budget.scope == "feature:summarize"
    for change, message in (
        ({"amount": "much"}, "amount is 'much'; write what it may cost a month"),
        ({"amount": True}, "amount is True"),
        ({"amount": -1}, "amount is -1"),
        ({"team": "ai"}, "it names feature and team: choose one"),
        ({"colour": "red"}, "unknown setting 'colour'"),
        ({"name": ""}, "name is missing"),
        ({"valid_to": date(2026, 4, 1)}, "lies before valid_from"),
    ):
        with pytest.raises(InputError, match=message):
            read_budgets([entry | change])
    with pytest.raises(InputError, match="two budgets are named 'Sum'"):
        read_budgets([entry, entry])


def test_where_budgets_stand() -> None:
    warehouse = warehouse_of(weekly("2026-03-02", 75))
    amounts = {"over": "100", "likely": "200", "tight": "250", "wide": "600"}
    budgets = tuple(Budget(name, D(amount), "feature", "search") for name, amount in amounts.items())
    others = (Budget("later", D(1), valid_from=date(2026, 6, 1)), Budget("none", D(1), "feature", "ask"))
    frame = budget_status(warehouse, date(2026, 5, 15), (*budgets, *others))
    rows = {row["budget"]: row for row in frame.to_dict("records")}
    assert list(rows) == ["over", "likely", "none", "tight", "wide"]
    assert {name: row["breach"] for name, row in rows.items()} == {
        "over": "over",
        "likely": "certain",
        "none": None,
        "tight": "no",
        "wide": "no",
    }
    assert {name: row["reached"] for name, row in rows.items()} == {
        "over": 100,
        "likely": 50,
        "none": 0,
        "tight": 50,
        "wide": 0,
    }
    assert (rows["over"]["state"], rows["over"]["remaining"], rows["over"]["spent_share"]) == (
        "over by $26.00",
        D(-26),
        1.26,
    )
    assert (rows["none"]["spent"], rows["none"]["spent_share"], rows["none"]["state"]) == (None, None, "no cost known")
    assert rows["none"]["remaining"] is None
    assert rows["wide"]["forecast_share"] == pytest.approx(250 / 600)


def test_budgets_of_the_file_and_of_the_page_count_alike(tmp_path: Path) -> None:
    state = State(tmp_path)
    configuration = Configuration(budgets=({"name": "All", "amount": 9000},))
    save_budget(state, Budget("GPU", D(1500), "category", "GPU inference", "infra"), author="Ann", reason="agreed")
    assert [(one.name, one.amount, one.scope, one.origin) for one in budgets_of(configuration, state)] == [
        ("All", D(9000), "total", "percall.toml"), ("GPU", D(1500), "category:GPU inference", "page"),
    ]  # fmt: skip
    save_budget(state, Budget("GPU", D(1400), "category", "GPU inference", "infra"), author="Bob")
    assert budgets_of(configuration, state)[1].amount == D(1400)
    remove_budget(state, "GPU", author="Bob")
    assert [one.name for one in budgets_of(configuration, state)] == ["All"]
    with pytest.raises(InputError, match="amount"):
        save_budget(state, Budget("x", D(0)), author="Bob")
    save_budget(state, Budget("All", D(1)), author="Bob")
    with pytest.raises(InputError, match="two budgets are named 'All'"):
        budgets_of(configuration, state)


def test_a_budget_in_another_currency_than_the_costs_is_refused() -> None:
    warehouse = warehouse_of(charges=[charge("2026-05-01", "1", BillingCurrency="EUR")])
    with pytest.raises(InputError, match="is in USD, its costs are in EUR"):
        budget_status(warehouse, date(2026, 5, 1), (Budget("All", D(1)),))
