"""The bill by category, service, account and resource: sums by hand, on every basis."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from analytics.filters import Filters
from analytics.infrastructure import bill_summary, charge_sums, charges, charges_over_time, unused_commitments
from tests.analytics.facts import charge, moment, warehouse_of
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))

GPU = {"x_CostCategory": "GPU inference", "ServiceName": "EC2", "ServiceProviderName": "AWS", "InvoiceId": "inv-1"}
LINES = [
    charge("2026-05-01", "10", ResourceId="i-1", EffectiveCost=D(8), ListCost=D(12), **GPU),
    charge("2026-05-02", "10", ResourceId="i-1", EffectiveCost=D(8), ListCost=D(12), **GPU),
    charge("2026-05-02", "30", ResourceId="i-2", SubAccountId="member", SubAccountName="Research", **GPU),
    charge("2026-05-03", "-5", ResourceId=None, ChargeCategory="Credit", **GPU),
    charge("2026-05-03", "4", ServiceName="S3", ServiceProviderName="AWS", x_CostCategory="Storage and transfer"),
    charge("2026-06-01", "99", ResourceId="i-1", **GPU),
]


def test_an_empty_store_has_no_rows() -> None:
    for function in (charges, charge_sums, charges_over_time, unused_commitments):
        assert function(warehouse_of(), MAY).empty


def test_lines_are_summed_by_resource_the_dearest_first() -> None:
    frame = charges(warehouse_of(charges=LINES), MAY)
    assert frame.resource.tolist() == ["i-2", "i-1", None, None]
    assert frame.account.tolist() == ["member", "org-1", "org-1", "org-1"]
    assert frame.account_name.tolist() == ["Research", None, None, None]
    assert frame.effective.tolist() == [D(30), D(16), D(4), D(-5)]
    assert frame.billed.tolist() == [D(30), D(20), D(4), D(-5)]
    assert frame.list.tolist() == [D(30), D(24), D(4), D(-5)]
    assert frame.credits.tolist() == [0, 0, 0, D(-5)]
    assert frame.lines.tolist() == [1, 2, 1, 1]
    assert frame.is_final.tolist() == [True, True, False, True]
    assert sum(frame.share) == pytest.approx(1)


def test_every_level_sums_to_the_same_bill() -> None:
    facts = warehouse_of(charges=LINES)
    for by in (("category",), ("service",), ("account",), ("resource",), ("provider",), ("region", "service")):
        frame = charge_sums(facts, MAY, by)
        assert (sum(frame.billed, D(0)), sum(frame.effective, D(0)), sum(frame.list, D(0))) == (D(49), D(45), D(53)), by
        assert sum(frame.credits, D(0)) == D(-5)
        assert frame.lines.sum() == 5
    assert sum(charges_over_time(facts, MAY).cost, D(0)) == D(45)


def test_filters_and_basis_choose_the_lines_and_the_order() -> None:
    facts = warehouse_of(charges=LINES)
    storage = charge_sums(facts, MAY.only("category", "Storage and transfer"), ("service",))
    assert storage.service.tolist() == ["S3"]
    assert charge_sums(facts, MAY.only("user_tier", "free")).empty
    billed = Filters(MAY.start, MAY.end, basis="billed")
    assert charge_sums(facts, billed, ("category",)).share.tolist() == pytest.approx([45 / 49, 4 / 49])


def test_tags_of_lines_are_filters_too() -> None:
    tagged = [charge("2026-05-01", "1", Tags='{"team": "ai"}'), charge("2026-05-01", "2")]
    assert charge_sums(warehouse_of(charges=tagged), MAY.only("team", "ai")).billed.tolist() == [D(1)]


def test_a_cost_that_is_not_known_is_counted_and_never_zero() -> None:
    lines = [charge("2026-05-01", "1", ListCost=None), charge("2026-05-02", "2", x_CostCategory="Other", ListCost=None)]
    lines.append(charge("2026-05-02", "5"))
    frame = charge_sums(warehouse_of(charges=lines), MAY)
    assert frame.list.tolist() == [D(5), None]
    assert frame.list_unknown.tolist() == [1, 1]


def test_detail_lines_that_repeat_a_cost_are_left_out() -> None:
    lines = [charge("2026-05-01", "1"), charge("2026-05-01", "1", x_Excluded=True)]
    assert charge_sums(warehouse_of(charges=lines), MAY).billed.tolist() == [D(1)]


def test_currencies_stay_apart() -> None:
    lines = [charge("2026-05-01", "1"), charge("2026-05-01", "3", BillingCurrency="EUR")]
    frame = charge_sums(warehouse_of(charges=lines), MAY)
    assert list(zip(frame.currency, frame.billed, frame.share, strict=True)) == [("EUR", D(3), 1.0), ("USD", D(1), 1.0)]


def test_hours_are_cut_into_days_of_the_reporting_time_zone() -> None:
    hour = charge("2026-05-31", "1", start=moment("2026-05-31", "17:30"), end=moment("2026-05-31", "18:30"))
    june = Filters(date(2026, 6, 1), date(2026, 6, 30))
    saigon = warehouse_of(charges=[hour], configuration=Configuration(reporting_time_zone="Asia/Ho_Chi_Minh"))
    assert charges(saigon, MAY).empty
    assert charges(saigon, june).billed.tolist() == [D(1)]
    assert charges_over_time(saigon, june).period.tolist() == [date(2026, 6, 1)]
    assert charges(warehouse_of(charges=[hour]), MAY).billed.tolist() == [D(1)]


def test_what_of_a_commitment_was_paid_for_and_not_used() -> None:
    plan = {"CommitmentDiscountId": "sp-1", "CommitmentDiscountName": "Plan", "CommitmentDiscountType": "Savings Plan"}
    lines = [
        charge("2026-05-01", "0", EffectiveCost=D(6), CommitmentDiscountStatus="Used", **plan),
        charge("2026-05-01", "0", EffectiveCost=D(2), CommitmentDiscountStatus="Unused", **plan),
        charge("2026-05-01", "5"),
    ]
    frame = unused_commitments(warehouse_of(charges=lines), MAY)
    assert frame[["commitment", "used", "unused", "unused_share", "lines"]].values.tolist() == [
        ["sp-1", D(6), D(2), 0.25, 2]
    ]


def test_the_demo_company_is_billed_what_its_story_says(demo_warehouse: Warehouse) -> None:
    march = Filters(date(2026, 3, 1), date(2026, 3, 31))
    frame = charge_sums(demo_warehouse, march)
    assert dict(zip(frame.category, frame.billed, strict=True)) == {
        "LLM API": D(31200), "GPU inference": D(10400), "Vector database": D(3500), "Embedding": D(1200), "Storage and transfer": D(931),
    }  # fmt: skip
    assert sum(charges(demo_warehouse, march).effective, D(0)) == D(47231)


def test_the_bills_in_short_one_per_currency() -> None:
    euro = charge("2026-05-01", "3", BillingCurrency="EUR", ListCost=None)
    lines = [*LINES, charge("2026-05-04", "51", ListCost=D(96)), euro]
    first, second = bill_summary(warehouse_of(charges=lines), MAY)
    assert (first.currency, first.cost, first.list, first.list_unknown, first.below_list) == (
        "EUR",
        D(3),
        None,
        1,
        None,
    )
    assert (second.list, second.billed, second.effective, second.credits) == (D(149), D(100), D(96), D(-5))
    assert (second.lines, second.is_final) == (6, False)
    assert second.below_list == pytest.approx(53 / 149)
    assert second.infrastructure_share == pytest.approx(45 / 96)
    assert bill_summary(warehouse_of(), MAY) == ()
