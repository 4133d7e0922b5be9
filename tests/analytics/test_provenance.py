"""How figures were obtained: parts that sum to the ledger, the loads and prices that were used, SQL that answers the same, ranges of the unknown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.provenance import calls_behind, ledger_split, lines_behind, loads_behind, prices_behind, provenance
from analytics.totals import totals
from analytics.unknown_costs import unknown_cost_range, unknown_costs_in_sum
from analytics.views import VIEWS
from tests.analytics.facts import call, charge, moment, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))


def test_an_empty_store_has_nothing_behind_it() -> None:
    facts = warehouse_of()
    assert ledger_split(facts, MAY).empty
    assert provenance(facts, "costs", MAY).sentence == "Nothing is known of the cost; no cost is missing."


def test_what_is_billed_and_what_is_estimated() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "3"), call("2026-05-20", "2"), call("2026-05-20", None)], [charge("2026-05-01", "4")]
    )
    frame = ledger_split(facts, MAY)
    assert dict(zip(frame.from_where, frame.cost, strict=True)) == {"billed": D(4), "estimated from traces": D(2)}
    assert sum(frame.cost) == totals(facts, MAY).iloc[0]["ledger_cost"]
    text = provenance(facts, "costs", MAY, ("feature",)).sentence
    assert "$4.00 billed and $2.00 estimated from traces; 1 costs are not known and in no sum" in text


def test_loads_and_prices_that_were_used() -> None:
    price_id = "percall/openai/gpt-4o/batch/0@2024-10-02"
    loads = [
        {"load_id": number, "loaded_at": moment("2026-05-02"), "kind": "calls", "file": f"{number}.csv", "status": "stored", "rows_kept": 1}
        for number in (1, 2, 3)
    ]  # fmt: skip
    facts = warehouse_of(
        [call("2026-05-01", "3", load_id=1, price_id=price_id), call("2026-04-01", "3", load_id=2)],
        [charge("2026-05-01", "4", x_LoadId=3)],
        loads=loads,
    )
    assert loads_behind(facts, MAY).file.tolist() == ["3.csv", "1.csv"]
    row = prices_behind(facts, MAY).iloc[0]
    assert (row.book, row.provider, row.model, row.processing, row.context_from, row.priced_from) == (
        "percall", "openai", "gpt-4o", "batch", "0", "2024-10-02",
    )  # fmt: skip
    assert (row.calls, row.cost) == (1, D(3))


@pytest.mark.parametrize("view", ["costs", "features", "totals", "models", "margins"])
def test_the_sql_answers_what_the_view_answered(view: str) -> None:
    """Run again as it stands, the last table's statement gives the ledger's rows."""
    facts = warehouse_of([call("2026-05-01", "3"), call("2026-05-01", "2", feature="ask")], [charge("2026-05-01", "9")])
    told = provenance(facts, view, MAY)
    tables = {what: sql for what, sql in told.statements if what.startswith("table ")}
    rows = facts.connection.cursor().sql(f"SELECT sum(effective) FROM ({tables['table ledger_daily']})").fetchall()
    assert rows == [(D(9),)]
    for _, statement in told.statements:
        facts.connection.cursor().sql(statement).fetchall()


def test_every_view_can_be_explained() -> None:
    facts = warehouse_of([call("2026-05-01", "3")], [charge("2026-05-01", "9")])
    for name in VIEWS:
        # The audit log is no answer of the warehouse, and without a budget or a plan there is nothing to ask: nothing is asked of it.
        assert bool(provenance(facts, name, MAY).statements) == (name not in ("audit", "budgets", "plans")), name
    with pytest.raises(InputError, match="there is no view"):
        provenance(facts, "nonsense", MAY)


def test_rows_behind_are_those_of_the_filters_and_hold_no_text() -> None:
    facts = warehouse_of(
        [call("2026-05-01", "3"), call("2026-05-02", "4", feature="ask")],
        [charge("2026-05-01", "9"), charge("2026-05-01", "1", Tags='{"feature": "search"}')],
    )
    search = MAY.only("feature", "search")
    assert calls_behind(facts, search).cost.tolist() == [D(3)]
    assert lines_behind(facts, search).EffectiveCost.tolist() == [D(1)]
    assert not [name for name in calls_behind(facts, MAY) if "text" in name]


def unpriced(**columns: object) -> dict[str, object]:
    return call("2026-05-01", None, **columns)


def test_a_call_without_a_price_is_judged_by_tokens_of_calls_like_it() -> None:
    """Of 1,100 tokens at $1 to $21 per call, the 10th and 90th percentile are $3 and $19; two thousand two hundred tokens cost twice that."""
    known = [call("2026-05-01", str(cost)) for cost in range(1, 22)]
    row = unknown_cost_range(
        warehouse_of([*known, unpriced(model="new", uncached_input_tokens=2000, output_tokens=200)]), MAY
    ).iloc[0]
    assert (row.why, row.calls, row.tokens, row.compared_calls) == ("no price", 1, 2200, 21)
    assert (float(row.low), float(row.high)) == pytest.approx((6, 38))
    assert row.compared_with == "cost per token of priced calls: operation chat, feature search"


def test_a_call_without_usage_is_judged_by_calls_like_it() -> None:
    known = [call("2026-05-01", str(cost)) for cost in range(1, 22)]
    row = unknown_cost_range(
        warehouse_of([*known, *[unpriced(uncached_input_tokens=None, output_tokens=None)] * 2]), MAY
    ).iloc[0]
    assert (row.why, row.calls, row.tokens) == ("no usage reported", 2, None)
    assert (float(row.low), float(row.high)) == pytest.approx((6, 38))


def test_where_nothing_is_alike_nothing_is_said() -> None:
    facts = warehouse_of([call("2026-05-01", "1"), unpriced()])
    row = unknown_cost_range(facts, MAY).iloc[0]
    assert (row.low, row.high, row.compared_with) == (None, None, None)
    found = unknown_costs_in_sum(facts, MAY)
    assert (found.calls, found.without_range, found.low, found.high) == (1, 1, None, None)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=20, max_size=40), st.integers(1, 5))
def test_a_range_is_never_nothing_and_within_what_was_seen(cents: list[int], missing: int) -> None:
    facts = warehouse_of([*(call("2026-05-01", str(D(one) / 100)) for one in cents), *[unpriced()] * missing])
    found = unknown_costs_in_sum(facts, MAY)
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low <= found.high
    assert D(min(cents)) / 100 * missing <= found.low + D("0.01")
    assert found.high <= D(max(cents)) / 100 * missing + D("0.01")


def test_the_demo_companys_unknown_costs_have_a_range(demo_warehouse: Warehouse) -> None:
    march = Filters(date(2026, 3, 1), date(2026, 3, 31))
    frame = unknown_cost_range(demo_warehouse, march)
    assert frame.model.tolist() == ["acme-rerank-preview"]
    assert 0 < frame.low[0] < frame.high[0]
    assert sum(ledger_split(demo_warehouse, march).cost) == D(47231)
