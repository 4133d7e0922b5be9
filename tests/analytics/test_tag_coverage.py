"""Tag coverage by cost: parts that sum to the ledger, by day too; the places and owners of what lacks a tag."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.tag_coverage import (
    EVERY_TAG,
    tag_coverage,
    tag_coverage_over_time,
    tag_summary,
    untagged,
    untagged_by_owner,
)
from analytics.totals import totals
from tests.analytics.facts import call, charge, warehouse_of
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
TAGS = '{"team": "ai", "project": "p", "env": "prod", "feature": "search"}'
GPU = {"x_CostCategory": "GPU inference", "ServiceName": "EC2"}
ONLY_TEAM = '{"team": "ai"}'


def two_resources() -> Warehouse:
    return warehouse_of(
        [call("2026-05-01", "4", team="ai", project="p", env="prod"), call("2026-05-02", "1", feature=None, prompt_name="ask")],
        [charge("2026-05-01", "10", ResourceId="gpu-1", Tags=TAGS, **GPU), charge("2026-05-02", "5", ResourceId="gpu-2", Tags=ONLY_TEAM, **GPU)],
    )  # fmt: skip


def test_an_empty_store_covers_nothing() -> None:
    facts = warehouse_of()
    assert tag_coverage(facts, MAY).empty
    assert untagged(facts, MAY).empty
    assert tag_summary(facts, MAY).headline == "No cost in May 2026"


def test_coverage_by_tag_and_of_every_tag() -> None:
    """$20 in all: the tagged GPU's 10 and the tagged call's 4 carry everything, the other GPU's 5 only its team, the last call nothing."""
    frame = tag_coverage(two_resources(), MAY).set_index("tag")
    assert frame.tagged_cost.to_dict() == {
        "team": D(19),
        "project": D(14),
        "env": D(14),
        "feature": D(14),
        EVERY_TAG: D(14),
    }
    assert (frame.cost == D(20)).all()
    assert (frame.tagged_cost + frame.untagged_cost == frame.cost).all()
    assert frame.loc["team", "share"] == pytest.approx(0.95)
    assert frame.untagged_calls.tolist() == [1] * 5
    assert (
        tag_summary(two_resources(), MAY).headline
        == "70% of the cost in May 2026 carries every required tag; project is missing most, on $6.00"
    )


def test_coverage_by_day() -> None:
    frame = tag_coverage_over_time(two_resources(), MAY)
    team = frame[frame.tag == "team"]
    assert team.period.tolist() == [date(2026, 5, 1), date(2026, 5, 2)]
    assert team.share.tolist() == pytest.approx([1.0, 5 / 6])


def test_where_tags_are_missing_and_what_to_do() -> None:
    frame = untagged(two_resources(), MAY)
    assert frame[["owner", "kind", "what", "missing", "cost"]].values.tolist() == [
        ["ai", "resource", "gpu-2", "project, env, feature", D(5)],
        [None, "calls", "ask", "team, project, env, feature", D(1)],
    ]
    assert frame.fix[0].startswith("Tag resource gpu-2 with project, env, feature")
    assert frame.fix[1] == "Send team, project, env, feature as metadata with prompt ask"


def test_model_use_that_no_call_explains_has_an_account_for_owner() -> None:
    frame = untagged(warehouse_of(charges=[charge("2026-05-01", "7")]), MAY)
    assert frame[["owner", "kind", "cost"]].values.tolist() == [["account org-1", "billed, not traced", D(7)]]


def test_the_work_list_per_owner() -> None:
    frame = untagged_by_owner(two_resources(), MAY)
    assert frame[["owner", "cost", "places", "missing"]].values.tolist() == [
        ["ai", D(5), 1, "project, env, feature"],
        [None, D(1), 1, "team, project, env, feature"],
    ]


def test_other_tags_can_be_required() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "1"), call("2026-05-01", "3", feature=None)],
        configuration=Configuration(required_tags=("feature",)),
    )
    assert tag_coverage(facts, MAY)[["tag", "share"]].values.tolist() == [["feature", 0.25], [EVERY_TAG, 0.25]]


def test_several_currencies_are_refused() -> None:
    lines = [charge("2026-05-01", "1", **GPU), charge("2026-05-01", "1", BillingCurrency="EUR", **GPU)]
    for question in (tag_coverage, tag_coverage_over_time, untagged):
        with pytest.raises(InputError, match="EUR and USD"):
            question(warehouse_of(charges=lines), MAY)


def test_what_lacks_a_tag_is_in_the_reporting_currency_where_rates_are_known() -> None:
    """EUR 10 at 1.25 and $5 of bills, $4 of calls; the other way round $1 is EUR 0.8."""
    rate = {"date": date(2026, 5, 1), "from_currency": "EUR", "to_currency": "USD", "rate": D("1.25"), "source": "ECB"}
    lines = [
        charge("2026-05-01", "10", BillingCurrency="EUR", ResourceId="a", **GPU),
        charge("2026-05-01", "5", ResourceId="b", **GPU),
    ]
    for currency, expected in (("USD", [D("12.5"), D(5), D(4)]), ("EUR", [D(10), D(4), D("3.2")])):
        facts = warehouse_of(
            [call("2026-05-01", "4", feature=None)],
            lines,
            fx_rates=[rate],
            configuration=Configuration(reporting_currency=currency),
        )
        frame = untagged(facts, MAY)
        assert (frame.cost.tolist(), set(frame.currency)) == (expected, {currency})
        assert sum(untagged_by_owner(facts, MAY).cost, D(0)) == tag_summary(facts, MAY).untagged_cost


NAMES = st.sampled_from([None, "a", "b"])


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 10**6), NAMES, NAMES, NAMES, st.booleans()), min_size=1, max_size=12
    )
)
def test_parts_and_days_sum_to_the_ledger(
    rows: list[tuple[int, int, str | None, str | None, str | None, bool]],
) -> None:
    calls, lines = [], []
    for day, cents, team, project, feature, is_line in rows:
        tags = {name: value for name, value in (("team", team), ("project", project), ("feature", feature)) if value}
        amount = str(D(cents) / 100)
        if is_line:
            text = ", ".join(f'"{name}": "{value}"' for name, value in tags.items())
            lines.append(charge(f"2026-05-0{day}", amount, Tags=f"{{{text}}}", **GPU))
        else:
            calls.append(call(f"2026-05-0{day}", amount, **({"feature": None} | tags)))
    facts = warehouse_of(calls, lines)
    total = totals(facts, MAY).iloc[0]["ledger_cost"]
    frame, days = tag_coverage(facts, MAY), tag_coverage_over_time(facts, MAY)
    for row in frame.itertuples():
        of_days = days[days.tag == row.tag]
        assert row.cost == row.tagged_cost + row.untagged_cost == sum(of_days.cost) == total
        assert sum(of_days.tagged_cost) == row.tagged_cost
    assert sum(untagged(facts, MAY).cost) == frame.iloc[-1].untagged_cost


def test_the_demo_companys_march(demo_warehouse: Warehouse) -> None:
    march = Filters(date(2026, 3, 1), date(2026, 3, 31))
    frame = tag_coverage(demo_warehouse, march)
    assert (frame.cost == D(47231)).all()
    assert frame.share.between(0, 1).all()
    places = untagged(demo_warehouse, march)
    assert {"resource", "calls", "billed, not traced"} <= set(places.kind)
    assert sum(untagged_by_owner(demo_warehouse, march).cost) == sum(places.cost)
