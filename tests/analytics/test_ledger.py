"""The ledger against cases computed by hand, and against what must hold for any facts: every dollar once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.ledger import ledger
from tests.analytics.facts import call, charge, day, moment, warehouse_of
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse

D = Decimal


def rows_of(warehouse: Warehouse) -> pd.DataFrame:
    return warehouse.frame(ledger(warehouse))


def money(frame: pd.DataFrame, basis: str = "effective", **keys: Any) -> Decimal:
    for name, value in keys.items():
        frame = frame[frame[name].isna()] if value is None else frame[frame[name] == value]
    return sum(frame[basis].dropna(), D(0))


def test_an_empty_store_has_an_empty_ledger() -> None:
    assert rows_of(warehouse_of()).empty


def test_without_a_bill_the_traces_are_the_ledger_and_estimated() -> None:
    frame = rows_of(
        warehouse_of([call("2026-05-01", "2.5"), call("2026-05-01", None), call("2026-05-02", "0.5", feature=None)])
    )
    assert set(frame.ledger) == {"traces"}
    assert set(frame.allocation) == {"direct"}
    assert money(frame) == D("3.0")
    assert money(frame, feature=None) == D("0.5")
    assert frame.calls.sum() == 3
    assert frame.unpriced_calls.sum() == 1
    assert not frame.is_final.any()


def test_calls_without_any_known_cost_have_no_cost_rather_than_zero() -> None:
    frame = rows_of(warehouse_of([call("2026-05-01", None)]))
    assert frame.billed.isna().all()
    assert frame.unpriced_calls.tolist() == [1]


def test_a_bill_without_traces_stays_whole_and_says_so() -> None:
    frame = rows_of(
        warehouse_of(charges=[charge("2026-05-01", "10"), charge("2026-05-02", "4", x_CostCategory="Vector database")])
    )
    assert money(frame, allocation="not traced") == D(10)
    assert money(frame, allocation="direct") == D(4)
    assert set(frame.ledger) == {"bill"}


def test_a_bill_is_split_by_traced_cost_and_the_traces_are_not_added() -> None:
    calls = [call("2026-05-01", "1"), call("2026-05-01", "2", feature="ask"), call("2026-05-01", None, feature="new")]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "12", x_Model="gpt-4o")]))
    assert money(frame) == D(12)
    assert money(frame, feature="search") == D(4)
    assert money(frame, feature="ask") == D(8)
    assert set(frame[frame.feature == "new"].effective.isna()) == {True}
    assert frame.calls.sum() == 3
    assert set(frame.ledger) == {"bill"}


def test_three_equal_parts_of_a_hundred_lose_nothing() -> None:
    calls = [call("2026-05-01", "1", feature=name) for name in "abc"]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "100")]))
    parts = sorted(frame.effective.dropna())
    assert parts == [D("33.333333333333"), D("33.333333333333"), D("33.333333333334")]


def test_days_outside_the_bill_are_estimated_from_the_traces() -> None:
    calls = [call(f"2026-05-0{n}", "1") for n in (1, 2, 3, 4)]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-02", "5"), charge("2026-05-03", "7")]))
    assert money(frame, ledger="bill") == D(12)
    assert money(frame, ledger="traces") == D(2)
    assert sorted(frame[frame.ledger == "traces"].date) == [day("2026-05-01"), day("2026-05-04")]


def test_a_day_inside_the_bill_that_it_does_not_charge_is_covered() -> None:
    calls = [call("2026-05-02", "1")]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "5"), charge("2026-05-03", "7")]))
    assert money(frame) == D(12)
    assert money(frame, ledger="traces") == 0


def test_a_bill_of_one_month_does_not_cover_the_next() -> None:
    calls = [call("2026-04-30", "1"), call("2026-05-01", "2")]
    frame = rows_of(warehouse_of(calls, [charge("2026-04-01", "30"), charge("2026-04-30", "5")]))
    assert money(frame, ledger="bill") == D(35)
    assert money(frame, ledger="traces") == D(2)


def test_a_line_for_the_whole_month_is_split_over_the_calls_of_the_whole_month() -> None:
    calls = [call("2026-05-01", "1"), call("2026-05-20", "3", feature="ask"), call("2026-06-01", "8", feature="later")]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "100", days=31)]))
    assert money(frame, feature="search") == D(25)
    assert money(frame, feature="ask") == D(75)
    assert money(frame, feature="later", ledger="traces") == D(8)


def test_a_line_that_names_its_model_goes_to_calls_of_that_model_alone() -> None:
    calls = [call("2026-05-01", "1"), call("2026-05-01", "1", model="gpt-4o-mini", feature="ask")]
    lines = [charge("2026-05-01", "3", x_Model="gpt-4o"), charge("2026-05-01", "5", x_Model="gpt-5")]
    frame = rows_of(warehouse_of(calls, lines))
    assert money(frame, feature="search") == D(3)
    assert money(frame, feature="ask") == 0
    assert money(frame, allocation="not traced", model="gpt-5") == D(5)


def test_embeddings_and_model_calls_are_told_apart_in_lines_without_a_model() -> None:
    calls = [call("2026-05-01", "1"), call("2026-05-01", "1", operation="embeddings", model="emb", feature="index")]
    lines = [charge("2026-05-01", "3"), charge("2026-05-01", "5", x_CostCategory="Embedding")]
    frame = rows_of(warehouse_of(calls, lines))
    assert money(frame, feature="search", category="LLM API") == D(3)
    assert money(frame, feature="index", category="Embedding") == D(5)


def test_a_tagged_line_is_its_features_and_takes_no_part_in_the_split() -> None:
    lines = [charge("2026-05-01", "3", Tags='{"feature": "ask", "team": "ai"}'), charge("2026-05-01", "5")]
    frame = rows_of(warehouse_of([call("2026-05-01", "1")], lines))
    assert money(frame, feature="ask", allocation="direct", team="ai") == D(3)
    assert money(frame, feature="search", allocation="by traces") == D(5)


def test_cost_lies_on_the_names_of_the_calls_and_untraced_cost_on_those_of_the_line() -> None:
    lines = [charge("2026-05-01", "3", Tags='{"team": "ai"}'), charge("2026-05-09", "4", Tags='{"team": "ai"}')]
    calls = [call("2026-05-01", "2", team="data", project="p"), call("2026-05-01", "1", feature=None)]
    frame = rows_of(warehouse_of(calls, lines))
    assert money(frame, feature="search", project="p", team="data") == D(2)
    assert money(frame, feature=None, team=None, allocation="by traces") == D(1)
    assert money(frame, team="ai", allocation="not traced") == D(4)


def test_credits_are_split_like_the_use_they_pay_for_and_can_be_left_out() -> None:
    lines = [charge("2026-05-01", "500"), charge("2026-05-01", "-500", ChargeCategory="Credit")]
    frame = rows_of(warehouse_of([call("2026-05-01", "1")], lines))
    assert money(frame) == 0
    assert money(frame, is_credit=False) == D(500)
    assert money(frame, feature="search") == 0


def test_a_credit_alone_covers_no_day() -> None:
    frame = rows_of(warehouse_of([call("2026-05-01", "1")], [charge("2026-05-01", "-5", ChargeCategory="Credit")]))
    assert money(frame, ledger="traces") == D(1)
    assert money(frame, ledger="bill") == D(-5)


def test_bases_differ_and_an_unknown_basis_is_counted() -> None:
    lines = [
        charge("2026-05-01", "10", EffectiveCost=D(8), ListCost=None),
        charge("2026-05-01", "2", EffectiveCost=None, ListCost=D(3)),
    ]
    frame = rows_of(warehouse_of([call("2026-05-01", "1"), call("2026-05-01", "1", feature="ask")], lines))
    assert (money(frame, "billed"), money(frame, "effective"), money(frame, "list")) == (D(12), D(8), D(3))
    assert frame.effective_unknown.sum() == 1
    assert frame.list_unknown.sum() == 1


def test_a_basis_that_no_line_knows_is_unknown() -> None:
    frame = rows_of(warehouse_of([call("2026-05-01", "1")], [charge("2026-05-01", "2", ListCost=None)]))
    assert frame.list.isna().all()


def test_currencies_stay_apart() -> None:
    lines = [charge("2026-05-01", "10"), charge("2026-05-01", "8", BillingCurrency="EUR", BillingAccountId="org-eu")]
    frame = rows_of(warehouse_of([call("2026-05-01", "1")], lines))
    assert money(frame, currency="USD") == D(10)
    assert money(frame, currency="EUR") == D(8)


def test_calls_of_an_account_that_the_bill_does_not_name_are_estimated() -> None:
    calls = [
        call("2026-05-01", "1", billing_account_id="org-1"),
        call("2026-05-01", "2", billing_account_id="org-2", feature="ask"),
    ]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "10")]))
    assert money(frame, ledger="bill", feature="search") == D(10)
    assert money(frame, ledger="traces", feature="ask") == D(2)


def test_a_member_accounts_lines_go_to_its_own_calls() -> None:
    calls = [
        call("2026-05-01", "1", billing_account_id="m1"),
        call("2026-05-01", "1", billing_account_id="m2", feature="ask"),
    ]
    lines = [charge("2026-05-01", "10", SubAccountId="m1"), charge("2026-05-01", "3", SubAccountId="m2")]
    frame = rows_of(warehouse_of(calls, lines))
    assert money(frame, feature="search") == D(10)
    assert money(frame, feature="ask") == D(3)


def test_a_bill_without_accounts_covers_calls_of_every_account() -> None:
    calls = [call("2026-05-01", "1", billing_account_id="org-2")]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "10", BillingAccountId=None)]))
    assert money(frame, feature="search", ledger="bill") == D(10)
    assert money(frame, ledger="traces") == 0


def test_other_providers_are_not_covered() -> None:
    calls = [
        call("2026-05-01", "1"),
        call("2026-05-01", "2", provider="anthropic"),
        call("2026-05-01", "4", provider=None),
    ]
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "10")]))
    assert money(frame, ledger="traces") == D(6)


def test_a_bill_for_gpus_alone_does_not_cover_model_calls() -> None:
    line = charge("2026-05-01", "10", ServiceProviderName="AWS", x_CostCategory="GPU inference")
    frame = rows_of(warehouse_of([call("2026-05-01", "1", provider="aws")], [line]))
    assert money(frame, ledger="traces") == D(1)
    assert money(frame) == D(11)


def test_a_line_without_category_or_provider_is_not_lost() -> None:
    line = charge("2026-05-01", "10", ServiceProviderName=None, x_CostCategory=None, ChargeCategory=None)
    assert money(rows_of(warehouse_of(charges=[line]))) == D(10)


def test_detail_rows_out_of_every_sum_stay_out() -> None:
    assert rows_of(warehouse_of(charges=[charge("2026-05-01", "10", x_Excluded=True)])).empty


def test_a_bill_in_utc_days_covers_utc_days_when_days_are_cut_elsewhere() -> None:
    # 20:00 UTC on 31 May is 1 June in Ho Chi Minh City, yet paid for by the line of 31 May.
    calls = [call("2026-05-31", "1", clock="20:00"), call("2026-06-01", "2", clock="01:00", feature="ask")]
    configuration = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "1"), charge("2026-05-31", "10")], configuration))
    assert money(frame, feature="search", ledger="bill") == D(10)
    assert money(frame, ledger="traces") == D(2)
    assert money(frame) == D(13)


def test_an_hourly_bill_is_cut_like_the_calls() -> None:
    hour = {"start": moment("2026-05-01", "20:00"), "end": moment("2026-05-01", "21:00")}
    calls = [call("2026-05-01", "1", clock="20:30"), call("2026-05-01", "2", clock="12:00", feature="ask")]
    configuration = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    frame = rows_of(warehouse_of(calls, [charge("2026-05-01", "10", **hour)], configuration))
    assert money(frame, ledger="bill", date=day("2026-05-02"), feature="search") == D(10)
    assert money(frame, ledger="traces", date=day("2026-05-01"), feature="ask") == D(2)


DAYS = st.integers(1, 6).map(lambda number: f"2026-05-0{number}")
AMOUNTS = st.decimals(min_value=-50, max_value=5000, places=12).map(str)
TAGS = st.sampled_from([None, '{"feature": "ask"}', '{"team": "ai"}', '{"feature": "", "env": "prod"}'])
CALLS = st.builds(
    call,
    DAYS,
    st.one_of(st.none(), st.decimals(min_value=0, max_value=9, places=10).map(str)),
    clock=st.sampled_from(["00:00", "12:00", "23:59"]),
    feature=st.sampled_from([None, "ask", "search"]),
    provider=st.sampled_from(["openai", "anthropic", None]),
    model=st.sampled_from(["gpt-4o", "gpt-4o-mini", None]),
    operation=st.sampled_from(["chat", "embeddings", None]),
    billing_account_id=st.sampled_from([None, "org-1", "org-2", "m1"]),
    team=st.sampled_from([None, "ai"]),
)
CHARGES = st.builds(
    charge,
    DAYS,
    AMOUNTS,
    days=st.sampled_from([1, 1, 1, 3, 31]),
    x_Model=st.sampled_from([None, "gpt-4o", "gpt-5"]),
    x_CostCategory=st.sampled_from(["LLM API", "Embedding", "GPU inference", None]),
    ServiceProviderName=st.sampled_from(["OpenAI", "Anthropic", None]),
    ChargeCategory=st.sampled_from(["Usage", "Usage", "Purchase", "Credit", "Tax", None]),
    BillingAccountId=st.sampled_from(["org-1", "org-2", None]),
    SubAccountId=st.sampled_from([None, "m1"]),
    BillingCurrency=st.sampled_from(["USD", "EUR"]),
    EffectiveCost=st.one_of(st.none(), AMOUNTS.map(Decimal)),
    InvoiceId=st.sampled_from([None, "inv"]),
    Tags=TAGS,
    x_Excluded=st.sampled_from([None, False, True]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CALLS, max_size=8), st.lists(CHARGES, max_size=8), st.sampled_from(["UTC", "Asia/Ho_Chi_Minh"]))
def test_whatever_the_facts_every_billed_amount_appears_once(
    calls: list[dict[str, Any]], charges: list[dict[str, Any]], zone: str
) -> None:
    frame = rows_of(warehouse_of(calls, charges, Configuration(reporting_time_zone=zone)))
    counted = [line for line in charges if not line["x_Excluded"]]
    for currency in ("USD", "EUR"):
        own = [line for line in counted if line["BillingCurrency"] == currency]
        for column, basis in (("BilledCost", "billed"), ("EffectiveCost", "effective"), ("ListCost", "list")):
            expected = sum((line[column] for line in own if line[column] is not None), D(0))
            assert money(frame, basis, ledger="bill", currency=currency) == expected
        for category in ("LLM API", "Embedding", "GPU inference", None):
            expected = sum((line["BilledCost"] for line in own if line["x_CostCategory"] == category), D(0))
            assert money(frame, "billed", ledger="bill", currency=currency, category=category) == expected
    assert frame.effective_unknown.sum() == sum(line["EffectiveCost"] is None for line in counted)
    assert frame.calls.sum() == len(calls)
    assert frame.unpriced_calls.sum() == sum(fact["cost"] is None for fact in calls)
    estimated = money(frame, ledger="traces")
    assert 0 <= estimated <= sum((fact["cost"] for fact in calls if fact["cost"] is not None), D(0))
    if not counted:
        assert estimated == sum((fact["cost"] for fact in calls if fact["cost"] is not None), D(0))


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_facts_changes_no_digit(order: int) -> None:
    calls = [call("2026-05-01", f"0.{number}1", feature=f"f{number % 7}") for number in range(1, 40)]
    lines = [charge("2026-05-01", f"{number}.123456789012", x_Model=None) for number in range(1, 9)]
    frame = rows_of(warehouse_of(calls[::order], lines[::order]))
    sums = {name: money(frame, feature=name) for name in sorted(frame.feature.dropna().unique())}
    assert sum(sums.values()) == sum((line["BilledCost"] for line in lines), D(0))
    weight = {name: sum(c["cost"] for c in calls if c["feature"] == name) for name in sums}
    whole = sum(weight.values())
    for name, part in sums.items():
        expected = sum(sums.values()) * weight[name] / whole
        assert abs(part - expected) < D("0.0000000001")
