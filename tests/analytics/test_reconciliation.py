"""Bill beside traces: gaps and their causes by hand; causes always sum to the gap."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.reconciliation import CAUSES, reconciliation
from tests.analytics.facts import call, charge, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31), grain="month")


def line(day: str, cost: str, model: str | None = "gpt-4o", **columns: Any) -> dict[str, Any]:
    return charge(day, cost, x_Model=model, **columns)


def only(warehouse: Warehouse, filters: Filters = MAY) -> dict[str, Any]:
    frame = reconciliation(warehouse, filters)
    assert len(frame) == 1, frame
    return dict(frame.iloc[0])


def causes(row: dict[str, Any]) -> dict[str, Decimal]:
    return {name: row[name] for name in CAUSES if row[name]}


def test_an_empty_store_has_no_rows() -> None:
    assert reconciliation(warehouse_of(), MAY).empty


def test_agreement_has_no_gap() -> None:
    row = only(warehouse_of([call("2026-05-01", "3")], [line("2026-05-01", "3")]))
    assert (row["estimated"], row["billed"], row["gap"], row["gap_share"]) == (D(3), D(3), D(0), 0.0)
    assert causes(row) == {}


def test_billed_days_without_a_traced_call_are_missing_calls() -> None:
    row = only(warehouse_of([call("2026-05-01", "3")], [line("2026-05-01", "4"), line("2026-05-02", "5")]))
    assert (row["estimated"], row["billed"], row["gap"]) == (D(3), D(9), D(6))
    assert causes(row) == {"missing_calls": D(5), "unexplained": D(1)}


def test_days_on_which_no_call_has_a_price_are_unpriced() -> None:
    calls = [call("2026-05-01", "3"), call("2026-05-02", None), call("2026-05-02", None)]
    row = only(warehouse_of(calls, [line("2026-05-01", "3"), line("2026-05-02", "5")]))
    assert causes(row) == {"unpriced": D(5)}
    assert (row["calls"], row["unpriced_calls"]) == (3, 2)


def test_credits_and_taxes_are_no_disagreement() -> None:
    lines = [
        line("2026-05-01", "10"),
        line("2026-05-01", "-4", ChargeCategory="Credit"),
        line("2026-05-01", "1", ChargeCategory="Tax"),
    ]
    row = only(warehouse_of([call("2026-05-01", "10")], lines))
    assert (row["billed"], row["gap"]) == (D(7), D(-3))
    assert causes(row) == {"credits": D(-4), "adjustments": D(1)}


def test_calls_on_days_that_the_bill_does_not_cover_are_not_compared() -> None:
    row = only(warehouse_of([call("2026-05-01", "3"), call("2026-05-20", "8")], [line("2026-05-01", "3")]))
    assert (row["estimated"], row["not_billed"], row["gap"]) == (D(3), D(8), D(0))


def test_a_provider_without_a_bill_has_an_estimate_and_no_gap() -> None:
    frame = reconciliation(warehouse_of([call("2026-05-01", "3", provider="acme")], [line("2026-05-01", "1")]), MAY)
    acme = frame[frame.provider == "acme"].iloc[0]
    assert (acme["estimated"], acme["billed"], acme["gap"], acme["missing_calls"]) == (D(3), None, None, None)


def test_a_bill_that_names_no_model_is_compared_with_all_of_them() -> None:
    calls = [call("2026-05-01", "3"), call("2026-05-01", "2", model="gpt-4o-mini")]
    row = only(warehouse_of(calls, [line("2026-05-01", "6", model=None)]))
    assert (row["model"], row["estimated"], row["gap"]) == (None, D(5), D(1))
    assert causes(row) == {"unexplained": D(1)}


def test_a_traced_model_that_a_covering_bill_does_not_name_was_billed_nothing() -> None:
    calls = [call("2026-05-01", "3"), call("2026-05-01", "2", model="gpt-4o-mini")]
    frame = reconciliation(warehouse_of(calls, [line("2026-05-01", "3")]), MAY)
    mini = frame[frame.model == "gpt-4o-mini"].iloc[0]
    assert (mini["estimated"], mini["billed"], mini["gap"], mini["unexplained"]) == (D(2), D(0), D(-2), D(-2))
    assert mini["gap_share"] is None


def test_a_line_for_a_whole_month_is_compared_with_its_days() -> None:
    row = only(warehouse_of([call("2026-05-20", "3")], [line("2026-05-01", "4", days=31)]))
    assert (row["estimated"], causes(row)) == (D(3), {"unexplained": D(1)})


def test_infrastructure_is_not_compared_and_features_do_not_filter() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "3", feature="ask")],
        [line("2026-05-01", "3"), line("2026-05-01", "99", x_CostCategory="GPU inference")],
    )
    assert only(facts)["billed"] == D(3)
    assert only(facts, MAY.only("feature", "search"))["estimated"] == D(3)
    assert reconciliation(facts, MAY.only("model", "gpt-4o-mini")).empty


def test_a_bill_in_another_currency_is_refused() -> None:
    facts = warehouse_of([call("2026-05-01", "3")], [line("2026-05-01", "3", BillingCurrency="EUR")])
    with pytest.raises(InputError, match="EUR and USD"):
        reconciliation(facts, MAY)


models = st.sampled_from(["gpt-4o", "gpt-4o-mini"])
when = st.dates(date(2026, 4, 20), date(2026, 5, 12))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(when, models, st.none() | st.decimals("0", "9", places=6)), max_size=10),
    st.lists(
        st.tuples(
            when, st.none() | models, st.decimals("-9", "9", places=6), st.sampled_from(["Usage", "Credit", "Tax"])
        ),
        max_size=8,
    ),
    st.sampled_from(["day", "week", "month"]),
)
def test_causes_sum_to_the_gap_and_nothing_is_lost(
    calls: list[tuple[date, str, Decimal | None]], lines: list[tuple[date, str | None, Decimal, str]], grain: str
) -> None:
    facts = warehouse_of(
        [call(day.isoformat(), None if cost is None else str(cost), model=model) for day, model, cost in calls],
        [line(day.isoformat(), str(cost), model, ChargeCategory=kind) for day, model, cost, kind in lines],
    )
    frame = reconciliation(facts, Filters(date(2026, 4, 1), date(2026, 5, 31), grain=grain))
    for row in frame.to_dict("records"):
        if row["gap"] is None:
            assert row["billed"] is None
            continue
        assert row["gap"] == row["billed"] - (row["estimated"] or 0)
        assert sum((row[name] for name in CAUSES), D(0)) == row["gap"]
    known = sum((cost for _day, _model, cost in calls if cost is not None), D(0))
    assert sum((*frame.estimated.dropna(), *frame.not_billed.dropna()), D(0)) == known
    assert sum(frame.billed.dropna(), D(0)) == sum((cost for _day, _model, cost, _kind in lines), D(0))
    assert frame.calls.sum() == len(calls)


def test_the_demo_companys_traces_explain_almost_all_of_its_bill(demo_warehouse: Warehouse) -> None:
    frame = reconciliation(demo_warehouse, Filters(date(2026, 3, 1), date(2026, 3, 31), grain="month"))
    openai = frame[frame.provider == "openai"]
    billed, estimated = sum(openai.billed, D(0)), sum(openai.estimated.dropna(), D(0))
    assert billed == D(32400)
    assert D("0.98") < estimated / billed < D("0.995")
    notebook = openai[openai.model == "text-embedding-3-small"].iloc[0]
    assert notebook["missing_calls"] == notebook["gap"] == notebook["billed"]
