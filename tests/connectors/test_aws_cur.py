"""AWS cost and usage reports: published totals, the identities between amortised columns, and every line item type."""

from __future__ import annotations

import datetime as dt
import json
import random
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import aws_cur, files, gcp_export
from tests.connectors.aws_lines import cur, line
from tests.connectors.billing import DATA, SHARED, Read, read, read_csv, totals, write_csv
from warehouse.configuration import Configuration
from warehouse.errors import InputError

D = Decimal
MILLIONTH = D("0.000001")
SAVINGS_PLAN = DATA / "aws_cur_2019-11_savingsplan_a.csv.gz"
PUBLISHED = [
    (DATA / "aws_cur_2018-10.parquet", "4064.483131536", "4195.957109318"),
    (DATA / "aws_cur_2018-11.parquet", "3505.326968125", "3632.559846495"),
    (SAVINGS_PLAN, "34.255053372", "34.255053372"),
    (SHARED / "aws_cur_2018-10.snappy.parquet", "4064.483131536", "4195.957109318"),
    (SHARED / "aws_cur_2018-11.snappy.parquet", "3505.326968125", "3632.559846495"),
    (SHARED / "aws_cur_2019-11-26_partial.csv.gz", "89.170632878", "89.170632878"),
    *(
        (path, "143227.763678189", "143227.763678189")
        for path in SHARED.glob("aws_legacy_layout/koku-local/20180801-20180901/*/koku-local-1.csv.gz")
    ),
]


@pytest.mark.parametrize(
    ("path", "billed", "effective"),
    [case for case in PUBLISHED if case[0].exists()],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_published_totals(path, billed, effective):
    found_billed, found_effective, rejected, warnings = totals(aws_cur, path)
    assert abs(found_billed - D(billed)) < MILLIONTH
    assert abs(found_effective - D(effective)) < MILLIONTH
    assert (rejected, list(warnings)) == (0, [])


@pytest.fixture(scope="module")
def october() -> Read:
    return read(aws_cur, DATA / "aws_cur_2018-10.parquet", "x_RawLineItemType <> 'Usage'")


@pytest.fixture(scope="module")
def savings_plan() -> Read:
    return read(aws_cur, SAVINGS_PLAN)


def test_reservation_fees_are_what_was_used_and_what_was_not(october):
    used, unused, amortised = duckdb.sql(f"""
        SELECT sum(reservation_recurring_fee_for_usage::DECIMAL(38,12)), sum(reservation_unused_recurring_fee::DECIMAL(38,12)),
            sum(reservation_amortized_upfront_fee_for_billing_period::DECIMAL(38,12))
        FROM '{DATA / "aws_cur_2018-10.parquet"}'""").fetchall()[0]
    fee = october.total("BilledCost", x_RawLineItemType="RIFee")
    assert abs(fee - D("149.775379")) < MILLIONTH
    assert abs(used - D("123.116805")) < MILLIONTH
    assert abs(unused - D("26.658574")) < MILLIONTH
    assert abs(fee - used - unused) < MILLIONTH
    assert october.total("EffectiveCost", x_RawLineItemType="RIFee") == 0
    assert october.total("BilledCost", x_RawLineItemType="DiscountedUsage") == 0
    left_idle = october.total("EffectiveCost", x_RawLineItemType="RIFee:Unused")
    assert left_idle == D("48.99556079")
    covered = october.total("EffectiveCost", x_RawLineItemType="DiscountedUsage")
    assert abs(covered + left_idle - fee - amortised) < D("0.00001")  # AWS rounds each hour's share


def test_unused_rows_name_the_commitment(october):
    unused = [row for row in october.rows if row["x_RawLineItemType"] == "RIFee:Unused"]
    assert len(unused) == 3
    for row in unused:
        assert (row["BilledCost"], row["ChargeCategory"], row["CommitmentDiscountStatus"]) == (0, "Usage", "Unused")
        assert row["ResourceId"] == row["CommitmentDiscountId"] is not None


def test_inclusive_ends_become_exclusive(october):
    fees = [row for row in october.rows if row["x_RawLineItemType"] == "RIFee"]
    assert {row["ChargePeriodEnd"] for row in fees} == {dt.datetime(2018, 11, 1)}
    assert {row["BillingPeriodEnd"] for row in october.rows} == {dt.datetime(2018, 11, 1)}


def test_a_savings_plan_costs_its_fee(savings_plan):
    """Covered + negation = 0; effective = recurring fee: not off by the fee nor by the on-demand price."""
    source = read_csv(SAVINGS_PLAN)
    kinds = ("SavingsPlanCoveredUsage", "SavingsPlanNegation", "SavingsPlanRecurringFee")
    covered, negation, fee = (
        sum(D(row["line_item_unblended_cost"]) for row in source if row["line_item_line_item_type"] == kind)
        for kind in kinds
    )
    assert abs(covered + negation) < MILLIONTH
    assert fee == D("6.348")
    assert savings_plan.total("BilledCost", x_RawLineItemType="SavingsPlanCoveredUsage") == 0
    assert savings_plan.total("EffectiveCost", x_RawLineItemType="SavingsPlanCoveredUsage") == fee
    assert savings_plan.total("BilledCost", x_RawLineItemType="SavingsPlanRecurringFee") == fee
    assert savings_plan.total("EffectiveCost", x_RawLineItemType="SavingsPlanRecurringFee") == 0
    assert not [row for row in savings_plan.rows if "Negation" in row["x_RawLineItemType"]]
    assert abs(savings_plan.total("ListCost", x_RawLineItemType="SavingsPlanCoveredUsage") - covered) < MILLIONTH
    assert {
        row["CommitmentDiscountCategory"] for row in savings_plan.rows if row["PricingCategory"] == "Committed"
    } == {"Spend"}


@pytest.fixture(scope="module")
def some_rows() -> list[dict[str, str]]:
    """The real file's Savings Plan rows and every tenth of its other rows."""
    rows = read_csv(SAVINGS_PLAN)
    return [row for number, row in enumerate(rows) if row["line_item_line_item_type"] != "Usage" or number % 10 == 0]


def unblended(rows: list[dict[str, str]]) -> Decimal:
    return sum((D(row["line_item_unblended_cost"]) for row in rows), D(0))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), parts=st.integers(2, 4))
def test_parts_of_a_file_sum_to_the_whole(tmp_path, some_rows, seed, parts):
    """Also where a part holds covered usage and another its negation."""
    rows, dice = some_rows, random.Random(seed)
    split: list[list[dict[str, str]]] = [[] for _ in range(parts)]
    for row in rows:
        split[dice.randrange(parts)].append(row)
    found = [read(aws_cur, write_csv(tmp_path / f"part-{index}.csv", part)) for index, part in enumerate(split) if part]
    for column in ("BilledCost", "EffectiveCost"):
        assert abs(sum((part.total(column) for part in found), D(0)) - unblended(rows)) < MILLIONTH
    for part, source in zip(found, [part for part in split if part], strict=True):
        assert abs(part.total("BilledCost") - unblended(source)) < MILLIONTH
    assert any("do not cancel" in warning for part in found for warning in part.warnings)


KEPT = {
    "line_item_unblended_cost",
    "line_item_currency_code",
    "bill_billing_period_start_date",
    "line_item_line_item_type",
}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_missing_columns_lose_no_money(tmp_path, some_rows, data):
    rows = some_rows
    optional = sorted(set(rows[0]) - KEPT - {"line_item_product_code", "bill_payer_account_id"})
    gone = data.draw(st.sets(st.sampled_from(optional), min_size=1, max_size=len(optional)))
    found = cur(tmp_path, [{name: value for name, value in row.items() if name not in gone} for row in rows])
    assert found.rejected == []
    assert abs(found.total("BilledCost") - unblended(rows)) < MILLIONTH
    if "savings_plan_savings_plan_effective_cost" in gone:
        assert abs(found.total("EffectiveCost") - found.total("BilledCost")) < MILLIONTH
        assert any("taken as billed" in warning for warning in found.warnings)


PLAN = "arn:aws:savingsplans::111111111111:savingsplan/p"
RESERVATION = "arn:aws:ec2:us-east-1:111111111111:reserved-instances/r"
TYPES = [
    (line("Usage", "2.5"), ("Usage", "2.5", "2.5")),
    (line("Fee", "29"), ("Purchase", "29", "29")),
    (line("Fee", "500", reservation_reservation_a_r_n=RESERVATION), ("Purchase", "500", "0")),
    (line("Tax", "7", line_item_tax_type="VAT"), ("Tax", "7", "7")),
    (line("Credit", "-10"), ("Credit", "-10", "-10")),
    (line("Refund", "-3"), ("Usage", "-3", "-3")),
    (line("Refund", "-1", line_item_tax_type="VAT"), ("Tax", "-1", "-1")),
    (line("Refund", "-100", line_item_product_code="ComputeSavingsPlans"), ("Purchase", "-100", "0")),
    (line("EdpDiscount", "-4"), ("Usage", "-4", "-4")),
    (line("PrivateRateDiscount", "-4"), ("Usage", "-4", "-4")),
    (line("BundledDiscount", "-4"), ("Usage", "-4", "-4")),
    (line("SppDiscount", "-4"), ("Usage", "-4", "-4")),
    (line("RiVolumeDiscount", "-4"), ("Usage", "-4", "-4")),
    (line("FlatRateSubscription", "15"), ("Purchase", "15", "15")),
    (line("SomethingNew", "8"), ("Adjustment", "8", "8")),
    (line("SavingsPlanUpfrontFee", "365"), ("Purchase", "365", "0")),
    (line("RIFee", "72"), ("Purchase", "72", "0")),
]


@pytest.mark.parametrize(
    ("row", "expected"), TYPES, ids=[f"{row['line_item_line_item_type']}-{i}" for i, (row, _) in enumerate(TYPES)]
)
def test_each_line_item_type(tmp_path, row, expected):
    amortised = dict.fromkeys((*aws_cur.AMORTISED_RESERVATIONS, *aws_cur.AMORTISED_SAVINGS_PLANS), "0")
    (found,) = cur(tmp_path, [row | amortised]).rows
    assert (found["ChargeCategory"], found["BilledCost"], found["EffectiveCost"]) == (
        expected[0],
        D(expected[1]),
        D(expected[2]),
    )
    assert found["x_RawLineItemType"] == row["line_item_line_item_type"]


def test_an_unknown_type_is_kept_and_named(tmp_path):
    found = cur(tmp_path, [line("SomethingNew", "8"), line("Usage", "1")])
    assert found.total("BilledCost") == 9
    assert any("SomethingNew" in warning and "(1 rows)" in warning for warning in found.warnings)


def test_what_is_left_of_commitments_is_a_row_of_its_own(tmp_path):
    plan = line("SavingsPlanRecurringFee", "10", savings_plan_savings_plan_a_r_n=PLAN)
    plan |= {"savings_plan_total_commitment_to_date": "10", "savings_plan_used_commitment": "7.5"}
    covered = line(
        "SavingsPlanCoveredUsage", "12", savings_plan_savings_plan_a_r_n=PLAN, pricing_public_on_demand_cost="12"
    )
    covered |= {"savings_plan_savings_plan_effective_cost": "7.5"}
    negation = line("SavingsPlanNegation", "-12", savings_plan_savings_plan_a_r_n=PLAN)
    found = cur(tmp_path, [plan, covered, negation])
    by_type = {row["x_RawLineItemType"]: row for row in found.rows}
    assert set(by_type) == {"SavingsPlanRecurringFee", "SavingsPlanRecurringFee:Unused", "SavingsPlanCoveredUsage"}
    unused = by_type["SavingsPlanRecurringFee:Unused"]
    assert (unused["BilledCost"], unused["EffectiveCost"], unused["ResourceId"]) == (0, D("2.5"), PLAN)
    assert (found.total("BilledCost"), found.total("EffectiveCost"), found.total("ListCost")) == (10, 10, 12)


def test_usage_that_no_negation_meets_keeps_the_sum_and_says_so(tmp_path):
    covered = line("SavingsPlanCoveredUsage", "12", savings_plan_savings_plan_a_r_n=PLAN)
    negation = line("SavingsPlanNegation", "-11", savings_plan_savings_plan_a_r_n=PLAN)
    found = cur(tmp_path, [covered, negation])
    assert found.total("BilledCost") == 1
    assert [row["BilledCost"] for row in found.rows if row["x_RawLineItemType"] == "SavingsPlanNegation:Unpaired"] == [
        1
    ]
    assert "do not cancel" in found.warnings[0]


def test_reserved_usage_without_its_amortised_cost_is_unknown_not_free(tmp_path):
    amortised = dict.fromkeys(aws_cur.AMORTISED_RESERVATIONS, "")
    found = cur(tmp_path, [line("DiscountedUsage", "0", **amortised)])
    assert found.rows[0]["EffectiveCost"] is None
    assert any("unknown, not 0" in warning for warning in found.warnings)


def test_a_discount_counts_once(tmp_path):
    discount = line("EdpDiscount", "-10")
    assert cur(tmp_path, [line("Usage", "100"), discount]).total("BilledCost") == 90
    net = cur(tmp_path, [line("Usage", "100", line_item_net_unblended_cost="90"), discount])
    assert (net.total("BilledCost"), list(net.warnings)) == (90, [])
    wrong = cur(tmp_path, [line("Usage", "100", line_item_net_unblended_cost="95"), discount])
    assert wrong.total("BilledCost") == 95
    assert any("Compare with the invoice" in warning for warning in wrong.warnings)


@pytest.mark.parametrize("operation", ["EKSPod-EC2", "ECSTask-EC2"])
def test_split_costs_are_detail_out_of_every_sum(tmp_path, operation):
    parent = line("Usage", "8", line_item_resource_id="i-1")
    pod = line("Usage", "8", line_item_operation=operation, line_item_resource_id="arn:pod/a")
    pod |= {
        "split_line_item_split_cost": "3", "split_line_item_unused_cost": "0.5", "split_line_item_parent_resource_id": "i-1",
    }  # fmt: skip
    found = cur(tmp_path, [parent, pod])
    detail = next(row for row in found.rows if row["x_Excluded"])
    assert (detail["EffectiveCost"], detail["AllocatedResourceId"], detail["ResourceId"]) == (
        D("3.5"),
        "arn:pod/a",
        "i-1",
    )
    assert found.total("BilledCost", x_Excluded=False) == 8
    assert found.total("BilledCost") == 16, "sum of the file = sum stored + excluded"


def test_rows_without_cost_currency_or_period_are_rejected_and_the_rest_kept(tmp_path):
    found = cur(
        tmp_path,
        [
            line(cost="1"),
            line(cost=""),
            line(cost="NaN"),
            line(cost="1,5"),
            line(line_item_currency_code=""),
            line(line_item_currency_code="dollar"),
            line(bill_billing_period_start_date="", line_item_usage_start_date="", line_item_usage_end_date=""),
            line(bill_billing_period_start_date="1970-01-01"),
            line(line_item_usage_start_date="2262-01-01"),
            line(cost="35.2E-7", line_item_usage_account_id="", line_item_product_code="", line_item_usage_type=""),
        ],
    )
    assert [row for row, *_ in found.rejected] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert found.rejected[1][1:] == (
        "line_item_unblended_cost",
        "the cost NaN is not a number; correct it or export the file again",
    )
    assert found.total("BilledCost") == D("1.00000352")


def test_a_partial_file_without_billing_period_takes_it_from_the_usage(tmp_path):
    row = line()
    del row["bill_billing_period_start_date"], row["bill_billing_period_end_date"]
    (found,) = cur(tmp_path, [row]).rows
    assert (found["BillingPeriodStart"], found["BillingPeriodEnd"]) == (
        dt.datetime(2026, 3, 1),
        dt.datetime(2026, 4, 1),
    )


@pytest.mark.parametrize("gone", ["line_item_unblended_cost", "line_item_currency_code"])
def test_a_file_without_cost_or_currency_is_refused(tmp_path, gone):
    row = line()
    del row[gone]
    path = write_csv(tmp_path / "report.csv", [row])
    with duckdb.connect() as connection, pytest.raises(InputError, match=gone):
        list(aws_cur.extract(connection, files.inspect(path, tmp_path), Configuration()))


def test_legacy_names_and_their_tags(tmp_path):
    row = {
        "identity/LineItemId": "a", "identity/TimeInterval": "2026-03-05T10:00:00Z/2026-03-05T11:00:00Z",
        "bill/PayerAccountId": "1", "bill/BillingPeriodStartDate": "2026-03-01T00:00:00Z",
        "bill/BillingPeriodEndDate": "2026-04-01T00:00:00Z", "lineItem/UsageAccountId": "2", "lineItem/LineItemType": "DiscountedUsage",
        "lineItem/UsageStartDate": "2026-03-05T10:00:00Z", "lineItem/UsageEndDate": "2026-03-05T11:00:00Z",
        "lineItem/ProductCode": "AmazonEC2", "lineItem/UsageType": "BoxUsage:g5.xlarge", "lineItem/CurrencyCode": "USD",
        "lineItem/UnblendedCost": "0", "product/ProductName": "Amazon Elastic Compute Cloud", "product/instanceType": "g5.xlarge",
        "pricing/publicOnDemandCost": "1.006", "reservation/ReservationARN": RESERVATION, "reservation/EffectiveCost": "0.6",
        "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod": "0", "reservation/UnusedRecurringFee": "0",
        "resourceTags/user:Team": "ai", "resourceTags/aws:createdBy": "x", "resourceTags/user:feature": "", "costCategory/Unit": "R&D",
        "myExtra": "kept",
    }  # fmt: skip
    (found,) = cur(tmp_path, [row], "report-1.csv.gz").rows
    assert (found["EffectiveCost"], found["ListCost"], found["CommitmentDiscountId"]) == (
        D("0.6"),
        D("1.006"),
        RESERVATION,
    )
    assert json.loads(found["Tags"]) == {"Team": "ai", "aws:createdBy": "x", "costCategory/Unit": "R&D"}
    assert json.loads(found["SkuPriceDetails"]) == {"InstanceType": "g5.xlarge"}
    assert json.loads(found["x_Other"])["my_extra"] == "kept"


def test_one_tag_key_from_two_columns_counts_once(tmp_path):
    row = line() | {"resourceTags/Team": "b", "resourceTags/user:Team": "a"}
    (found,) = cur(tmp_path, [row]).rows
    assert json.loads(found["Tags"]) in ({"Team": "a"}, {"Team": "b"})


def test_other_billing_files_are_not_taken_for_aws(tmp_path):
    gcp = write_csv(
        tmp_path / "gcp.csv",
        [{"billing_account_id": "a", "service.id": "s", "sku.id": "k", "cost": 1, "credits": "[]"}],
    )
    focus = write_csv(
        tmp_path / "focus.csv", [{"BilledCost": 1, "BillingCurrency": "USD", "ChargePeriodStart": "2026-03-01"}]
    )
    aws = write_csv(tmp_path / "aws.csv", [line()])
    looked = [files.inspect(path, tmp_path) for path in (gcp, focus, aws)]
    assert [aws_cur.detect(file) for file in looked] == [False, False, True]
    assert [gcp_export.detect(file) for file in looked] == [True, False, False]
