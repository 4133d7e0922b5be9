"""All-in cost per feature, against cases computed by hand and identities that hold for any facts and rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.allocation import NO_RULE, NO_USE, REST, all_in_costs, allocation_detail
from analytics.allocation_rules import KIND, allocation_rules, read_allocation_rules
from analytics.costs import costs
from analytics.filters import UNTAGGED, Filters
from tests.analytics.facts import call, charge, day, moment, warehouse_of
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.state import State

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def vectors(on: str, cost: str, **columns: Any) -> dict[str, Any]:
    return charge(
        on, cost, x_CostCategory="Vector database", ServiceName="Pinecone", ServiceProviderName="Pinecone", **columns
    )


def gpu(on: str, cost: str, **columns: Any) -> dict[str, Any]:
    return charge(
        on,
        cost,
        x_CostCategory="GPU inference",
        ServiceName="Compute Engine",
        ServiceProviderName="Google Cloud",
        **columns,
    )


def rule(driver: str = "calls", **entries: Any) -> dict[str, Any]:
    return {"name": f"by {driver}", "driver": driver, "select": {"category": "."}, **entries}


def shop(*rules: Mapping[str, Any], **facts: Any) -> Warehouse:
    return warehouse_of(configuration=Configuration(allocation=rules), **facts)


def column(frame: pd.DataFrame, name: str) -> dict[str | None, Any]:
    return dict(zip(frame["feature"], frame[name], strict=True))


THREE = [call("2026-05-01", "1", feature=name) for name in ("search", "ask", "summarize")]


def test_a_hundred_dollars_over_three_equal_features_lose_no_digit() -> None:
    frame = all_in_costs(shop(rule(), calls=THREE, charges=[vectors("2026-05-02", "100")]), MAY)
    parts = sorted(value for value in frame["allocated"] if value)
    assert parts == [D("33.333333333333"), D("33.333333333333"), D("33.333333333334")]
    assert sum(frame["total"]) == D("103")
    assert column(frame, "total")[None] == 0


def test_direct_costs_stay_where_their_tag_says_and_only_the_rest_is_divided() -> None:
    lines = [gpu("2026-05-01", "40", Tags='{"feature": "search"}'), gpu("2026-05-01", "10")]
    frame = all_in_costs(shop(rule("cost"), calls=THREE, charges=lines), MAY)
    search = frame[frame["feature"] == "search"].iloc[0]
    assert search["direct"] == D(41)
    assert search["allocated"] == search["allocated_gpu_inference"] == D("9.534883720930")
    assert frame["feature"].tolist()[0] == "search"
    assert sum(frame["total"]) == D(53)


def test_without_a_rule_everything_shared_is_unallocated_and_said_so() -> None:
    warehouse = shop(calls=[*THREE, call("2026-05-03", "7", feature=None)], charges=[vectors("2026-05-02", "100")])
    frame = all_in_costs(warehouse, MAY)
    assert column(frame, "total") == {"ask": 1, "search": 1, "summarize": 1, None: 107}
    assert frame["kind"].tolist()[-1] == "unallocated"
    assert pd.isna(frame["direct"].tolist()[-1])
    detail = allocation_detail(warehouse, MAY)
    rest = detail[detail["feature"].isna()]
    assert dict(zip(rest["category"], rest["note"], strict=True)) == {"Vector database": NO_RULE, "LLM API": NO_RULE}


def test_the_unallocated_row_is_there_when_nothing_is_left() -> None:
    frame = all_in_costs(shop(calls=THREE), MAY)
    assert column(frame, "total")[None] == 0


@pytest.mark.parametrize(
    ("driver", "parts"),
    [
        ("calls", {"search": 75, "ask": 25}),
        ("tokens", {"search": 60, "ask": 40}),
        ("cost", {"search": 20, "ask": 80}),
        ("gpu_seconds", {"search": 90, "ask": 10}),
    ],
)
def test_every_driver_divides_by_what_it_counts(driver: str, parts: dict[str, int]) -> None:
    calls = [call("2026-05-01", "1", feature="search", uncached_input_tokens=900) for _ in range(3)]
    calls += [call("2026-05-02", "12", feature="ask", uncached_input_tokens=1900)]
    hours = [
        {"hour": moment("2026-05-01"), "resource": "a", "gpu_count": 2, "gpu_utilization": 0.9, "feature": "search"},
        {"hour": moment("2026-05-01"), "resource": "b", "gpu_count": 1, "gpu_utilization": 0.2, "feature": "ask"},
    ]
    warehouse = shop(rule(driver), calls=calls, charges=[gpu("2026-05-09", "100")], utilization=hours)
    assert column(all_in_costs(warehouse, MAY), "allocated_gpu_inference") | {None: 0} == parts | {None: 0}


def test_gpu_hours_that_name_only_a_model_go_to_the_features_that_called_it() -> None:
    calls = [
        call("2026-05-01", None, feature="search", model="llama", provider="self-hosted", uncached_input_tokens=2900),
        call("2026-05-01", None, feature="ask", model="llama", provider="self-hosted", uncached_input_tokens=900),
        call("2026-05-01", None, feature="other", model="gpt-4o"),
    ]
    hours = [{"hour": moment("2026-05-01"), "resource": "a", "gpu_count": 1, "gpu_utilization": 0.5, "model": "llama"}]
    warehouse = shop(rule("gpu_seconds"), calls=calls, charges=[gpu("2026-05-09", "100")], utilization=hours)
    allocated = column(all_in_costs(warehouse, MAY), "allocated")
    assert (allocated["search"], allocated["ask"], "other" in allocated) == (75, 25, False)


def test_fixed_percents_leave_the_rest_unallocated() -> None:
    warehouse = shop(
        rule("percent", percent={"search": 60, "ask": 27.5}), calls=THREE, charges=[vectors("2026-05-02", "10")]
    )
    assert column(all_in_costs(warehouse, MAY), "total") == {
        "search": 7,
        "ask": D("3.75"),
        "summarize": 1,
        None: D("1.25"),
    }
    detail = allocation_detail(warehouse, MAY)
    assert detail[detail["feature"].isna()]["note"].tolist() == [REST]


def test_targets_alone_share_and_what_nobody_used_stays_unallocated() -> None:
    rules = (
        rule("calls", name="two", targets=["search", "ask"], select={"service": "^pinecone$"}),
        rule("calls", name="nobody", targets=["no such feature"]),
    )
    lines = [vectors("2026-05-02", "10"), gpu("2026-05-02", "4")]
    warehouse = shop(*rules, calls=THREE, charges=lines)
    assert column(all_in_costs(warehouse, MAY), "total") == {"search": 6, "ask": 6, "summarize": 1, None: 4}
    detail = allocation_detail(warehouse, MAY)
    rest = detail[detail["feature"].isna()].iloc[0]
    assert (rest["note"], rest["rule"]) == (NO_USE, "nobody")


def test_the_first_rule_by_priority_takes_a_cost_on_its_days() -> None:
    rules = (
        rule("percent", name="later", priority=5, percent={"ask": 100}),
        rule("percent", name="first", priority=1, percent={"search": 100}, valid_to="2026-05-10"),
        rule("percent", name="next", priority=1, percent={"summarize": 100}, valid_from="2026-05-20"),
    )
    lines = [vectors(f"2026-05-{on}", cost) for on, cost in (("10", "1"), ("11", "10"), ("20", "100"))]
    frame = all_in_costs(shop(*rules, charges=lines), MAY)
    assert column(frame, "total") == {"summarize": 100, "ask": 10, "search": 1, None: 0}


def test_resources_and_member_accounts_are_selected_by_line() -> None:
    rules = (
        rule("percent", name="a100", select={"resource": "a100-4"}, percent={"search": 100}),
        rule("percent", name="account", select={"account": "^team ml$"}, percent={"ask": 100}),
    )
    lines = [
        gpu("2026-05-01", "5", ResourceId="gpu-a100-4"),
        gpu("2026-05-01", "70", ResourceId="gpu-l4-1"),
        gpu("2026-05-01", "600", SubAccountId="111", SubAccountName="Team ML"),
    ]
    frame = all_in_costs(shop(*rules, charges=lines), MAY)
    assert column(frame, "total") == {"ask": 600, "search": 5, None: 70}


def test_a_monthly_fee_is_divided_by_the_use_of_its_month_and_days_sum_to_the_range() -> None:
    calls = [call("2026-05-01", "1", feature="search"), *(call("2026-05-20", "1", feature="ask") for _ in range(3))]
    calls += [call("2026-06-01", "1", feature="summarize")]
    warehouse = shop(rule(), calls=calls, charges=[vectors("2026-05-01", "100", days=31), vectors("2026-06-02", "7")])
    assert column(all_in_costs(warehouse, MAY), "allocated") | {None: 0} == {"search": 25, "ask": 75, None: 0}
    first = Filters(date(2026, 5, 1), date(2026, 5, 1))
    assert column(all_in_costs(warehouse, first), "allocated") | {None: 0} == {"search": 25, "ask": 75, None: 0}


def test_filters_narrow_costs_and_not_the_use_that_divides_them() -> None:
    lines = [vectors("2026-05-01", "30"), gpu("2026-05-01", "300")]
    warehouse = shop(rule(), calls=THREE, charges=lines)
    frame = all_in_costs(warehouse, MAY.only("category", "Vector database"))
    assert column(frame, "total") == {"ask": 10, "search": 10, "summarize": 10, None: 0}
    one = all_in_costs(warehouse, MAY.only("feature", "search"))
    assert column(one, "total") == {"search": 111}
    detail = allocation_detail(warehouse, MAY.only("feature", "search"))
    assert sum(detail["cost"]) == 111
    by_rule = detail[detail["how"] == "by rule"]
    assert by_rule["shared_cost"].tolist() == [300, 30]
    assert by_rule["share_of_shared"].tolist() == [pytest.approx(1 / 3)] * 2
    assert all_in_costs(warehouse, MAY.only("feature", UNTAGGED)).empty


def test_converted_lines_sum_to_the_ledger_to_the_last_digit() -> None:
    rates = [
        {
            "date": day("2026-05-01"),
            "from_currency": "EUR",
            "to_currency": "USD",
            "rate": D("1.123456789123"),
            "source": "ECB",
        }
    ]
    lines = [gpu("2026-05-01", f"0.00000000000{n}", BillingCurrency="EUR", ResourceId=f"r{n}") for n in range(1, 10)]
    warehouse = shop(rule(select={"resource": "r[1-5]"}), calls=THREE, charges=lines, fx_rates=rates)
    assert sum(all_in_costs(warehouse, MAY)["total"]) == sum(costs(warehouse, MAY)["cost"])


def test_several_currencies_without_a_rate_are_refused() -> None:
    warehouse = shop(rule(), calls=THREE, charges=[vectors("2026-05-01", "1", BillingCurrency="EUR")])
    with pytest.raises(InputError, match="EUR and USD"):
        all_in_costs(warehouse, MAY)


def test_an_empty_store_has_no_row() -> None:
    assert all_in_costs(warehouse_of(), MAY).empty
    assert allocation_detail(warehouse_of(), MAY).empty


def test_demo_costs_are_all_in_to_the_last_digit(demo_warehouse: Warehouse) -> None:
    march = Filters(date(2026, 3, 1), date(2026, 3, 31))
    frame = all_in_costs(demo_warehouse, march)
    assert sum(frame["total"]) == sum(costs(demo_warehouse, march)["cost"])
    detail = allocation_detail(demo_warehouse, march)
    sums = detail.groupby(detail["feature"].fillna(""))["cost"].sum()
    assert {name or "": total for name, total in column(frame, "total").items() if total} == sums.to_dict()


RULES: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        driver=st.sampled_from(["calls", "tokens", "cost", "gpu_seconds"]),
        select=st.sampled_from(
            [{"category": "Vector"}, {"resource": "r1"}, {"service": "Compute"}, {"category": "."}, {"account": "org"}]
        ),
        targets=st.sampled_from([[], ["search"], ["ask", "nobody"]]),
        valid_from=st.sampled_from([None, "2026-05-03"]),
        valid_to=st.sampled_from([None, "2026-05-04"]),
    ),
    max_size=3,
)
AMOUNTS = st.decimals("-1000", "1000", places=12)
LINES = st.lists(
    st.tuples(st.integers(1, 5), AMOUNTS, st.sampled_from([None, "search"]), st.sampled_from(["r1", "r2"])), max_size=5
)
CALLS = st.lists(st.tuples(st.integers(1, 5), st.sampled_from([None, "search", "ask"]), st.integers(0, 99)), max_size=5)


@settings(max_examples=8, deadline=None)
@given(RULES, LINES, CALLS)
def test_all_in_costs_are_the_ledger_by_day_and_by_range(
    entries: list[dict[str, Any]], lines: list[tuple[Any, ...]], calls: list[tuple[Any, ...]]
) -> None:
    rules = [{**entry, "name": f"rule {number}"} for number, entry in enumerate(entries)]
    charges = [
        (vectors if number % 2 else gpu)(
            f"2026-05-0{on}", str(cost), ResourceId=resource, Tags=f'{{"feature": "{feature}"}}' if feature else None
        )
        for number, (on, cost, feature, resource) in enumerate(lines)
    ]
    made = [call(f"2026-05-0{on}", str(cents / D(100)), feature=feature) for on, feature, cents in calls]
    warehouse = shop(*rules, calls=made, charges=charges)
    whole = column(all_in_costs(warehouse, MAY), "total")
    assert sum(whole.values()) == sum(costs(warehouse, MAY)["cost"])
    days: dict[str | None, Decimal] = dict.fromkeys(whole, D(0))
    for number in range(1, 6):
        on = date(2026, 5, number)
        for feature, total in column(all_in_costs(warehouse, Filters(on, on)), "total").items():
            days[feature] += total
    assert days == whole
    detail = allocation_detail(warehouse, MAY)
    for feature, total in whole.items():
        own = detail[detail["feature"].isna()] if feature is None else detail[detail["feature"] == feature]
        assert sum(own["cost"]) == total


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"driver": "magic"}, "choose tokens, calls, gpu_seconds, cost, percent"),
        ({"select": {}}, "select names no field"),
        ({"select": {"region": "x"}}, "unknown field 'region'"),
        ({"percent": {"search": 10}}, "belongs to driver"),
        ({"driver": "percent"}, "belongs to driver"),
        ({"driver": "percent", "percent": {"a": 60, "b": 41}}, "sum to 101, more than 100"),
        ({"driver": "percent", "percent": {"a": -1}}, "write a number above 0"),
        ({"driver": "percent", "percent": {"a": 50}, "targets": ["a"]}, "leave targets out"),
        ({"targets": "search"}, "must list features"),
        ({"priority": "first"}, "whole number"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        read_allocation_rules([rule(**entry)], "percall.toml")
    assert "percall.toml: allocation rule 'by" in str(error.value)


def test_two_rules_of_one_priority_on_one_day_are_refused_in_words() -> None:
    two = (rule(name="a", priority=1, valid_to="2026-05-10"), rule(name="b", priority=1, valid_from="2026-05-10"))
    with pytest.raises(
        InputError, match=r"'a' and 'b' have the same priority \(1\) from 2026-05-10 to 2026-05-10: give one of them"
    ):
        all_in_costs(shop(*two, charges=[vectors("2026-05-01", "1")]), MAY)


def test_rules_saved_on_the_page_stand_beside_those_of_the_file(tmp_path: Any) -> None:
    (saved,) = read_allocation_rules(
        [rule(name="saved", priority=7, driver="percent", percent={"ask": "12.5"}, valid_from="2026-05-02")]
    )
    warehouse = shop(rule(name="file", priority=9))
    warehouse.state = State(tmp_path)
    warehouse.revision = warehouse.state.save(KIND, "saved", saved.body(), author="Ann")
    names = [(one.name, one.origin, one.percent) for one in allocation_rules(warehouse)]
    assert names == [("saved", "page", (("ask", D("12.5")),)), ("file", "percall.toml", ())]
    warehouse.revision = warehouse.state.save(KIND, "file", saved.body(), author="Ann")
    with pytest.raises(InputError, match="two allocation rules are named 'file'"):
        allocation_rules(warehouse)
