"""Workloads and situations: from facts to arrays without losing a cent."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from analytics.filters import UNTAGGED, Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.build_workload import build_workload
from analytics.simulators.infrastructure import CostLine, Infrastructure
from analytics.simulators.scenario import Scenario
from analytics.simulators.situation import Memo
from analytics.simulators.window import Window
from analytics.totals import totals
from tests.analytics import facts
from tests.analytics.simulators.made import (
    Cap,
    Resource,
    call,
    price_rows,
    situation_of,
)
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.reader import Warehouse

MARCH = Filters(date(2026, 3, 1), date(2026, 3, 31))


def prices() -> list[dict[str, Any]]:
    """The made prices as rows of the table."""
    rows = [row._asdict() | {"source": "test"} for row in price_rows()]
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def warehouse(calls: list[dict[str, Any]], charges: list[dict[str, Any]] | None = None, **others: Any) -> Warehouse:
    return facts.warehouse_of(calls, charges or [], prices=prices(), **others)


# The window


@pytest.mark.parametrize(
    ("first", "last", "scale"),
    [
        ("2026-03-01", "2026-03-31", 1),
        ("2026-02-01", "2026-02-28", 1),
        ("2026-03-01", "2026-05-31", 1 / 3),
        ("2026-03-02", "2026-03-29", 30.4375 / 28),
        ("2026-03-01", "2026-03-30", 30.4375 / 30),
        ("2026-03-05", "2026-03-05", 30.4375),
    ],
)
def test_money_of_a_month(first: str, last: str, scale: float) -> None:
    assert Window(facts.day(first), facts.day(last)).scale_to_month == scale


def test_days_are_those_of_the_time_zone_and_may_have_23_hours() -> None:
    window = Window(date(2026, 3, 28), date(2026, 3, 30), "Europe/Berlin")
    hours = np.diff(window.midnights) / 3.6e9
    assert hours.tolist() == [24, 23, 24]
    times = [datetime(2026, 3, 28, 22, 59), datetime(2026, 3, 28, 23, 0), datetime(2026, 3, 29, 22, 0)]
    micros = np.array([(time - datetime(1970, 1, 1)) // timedelta(microseconds=1) for time in times])
    assert window.day_index(micros).tolist() == [0, 1, 2]


# From facts to arrays


def test_every_cent_and_every_call_arrives() -> None:
    random = np.random.default_rng(1)
    made = [
        facts.call(
            f"2026-03-{1 + n % 31:02d}",
            None if n % 11 == 0 else f"{random.integers(0, 10**9) / 10**10:.10f}",
            clock=f"{n % 24:02d}:{n % 60:02d}",
            feature=[None, "ask", "search"][n % 3],
            user_tier=["free", None][n % 2],
            user_id=[None, "u1", "u2"][n % 3],
            model=["gpt-4o", "big"][n % 2],
            operation=["chat", "embeddings"][n % 7 == 0],
            processing=[None, "batch"][n % 5 == 0],
        )
        for n in range(400)
    ]
    workload = build_workload(warehouse(made), MARCH)
    known = [row for row in made if row["cost"] is not None]
    exact = sum((row["cost"] for row in known), Decimal(0))
    assert len(workload) == 400
    assert workload.unknown_calls == 400 - len(known)
    assert round(Decimal(workload.total()), 8) == round(exact, 8)
    assert (np.diff(workload.started_at) >= 0).all()
    for column in ("feature", "user_tier", "operation"):
        truth: dict[Any, Decimal] = {}
        for row in made:
            truth[row[column]] = truth.get(row[column], Decimal(0)) + (row["cost"] or 0)
        assert workload.by_code(column, workload.spent()) == pytest.approx({k: float(v) for k, v in truth.items()})
    embedding = sum((row["cost"] for row in known if row["operation"] == "embeddings"), Decimal(0))
    assert workload.cost_by_category()["Embedding"] == pytest.approx(float(embedding))
    by_day = workload.by_day(workload.spent())
    for day in range(31):
        of_day = sum((row["cost"] for row in known if row["started_at"].day == day + 1), Decimal(0))
        assert by_day[day] == pytest.approx(float(of_day))
    assert set(workload.user.tolist()) == {-1, 0, 1}
    assert workload.where(processing="batch").sum() == 80
    assert workload.where(processing="standard").sum() == 320


def test_usage_that_is_not_reported_is_not_known() -> None:
    made = [
        facts.call("2026-03-01", "1"),
        facts.call("2026-03-02", "1", uncached_input_tokens=None),
        facts.call("2026-03-03", "1", output_tokens=None),
        facts.call("2026-03-04", "1", output_tokens=None, operation="embeddings"),
        facts.call("2026-03-05", "1", cache_read_tokens=70, reasoning_tokens=5),
    ]
    workload = build_workload(warehouse(made), MARCH)
    assert workload.has_usage.tolist() == [True, False, False, True, True]
    assert workload.cache_read_tokens.tolist() == [0, 0, 0, 0, 70]
    assert workload.input_tokens.tolist() == [1000, 0, 0, 1000, 1070]
    assert workload.reasoning_tokens.tolist() == [0, 0, 0, 0, 5]


def test_calls_are_put_in_order_of_time_and_so_are_their_other_columns() -> None:
    made = [
        facts.call(
            f"2026-03-{day:02d}",
            f"{day}",
            latency_ms=float(day) if day != 9 else None,
            max_tokens=day * 10,
            prefix_blocks=list(range(day, day + day % 4)) if day != 8 else None,
            labels={"complexity": f"0.{day:02d}", "job": "nightly"} if day % 2 else None,
            input_hash=f"h{day % 3}",
            session_id=None if day == 12 else "s",
            finish_reason="length" if day == 9 else "stop",
            call_id=f"id-{day}",
        )
        for day in (9, 8, 12, 3, 25)
    ]
    texts = [
        {"call_id": f"id-{day}", "source": "calls", "started_at": facts.moment(f"2026-03-{day:02d}"), "text_normalised": f"text {day % 2}"}
        for day in (25, 9, 12)
    ]  # fmt: skip
    workload = build_workload(warehouse(made, call_texts=texts), MARCH, columns=("latency_ms", "prefix_blocks"))
    assert workload.cost.tolist() == [3, 8, 9, 12, 25]
    heavy = workload.heavy
    assert heavy.numbers("latency_ms").tolist() == pytest.approx([3, 8, np.nan, 12, 25], nan_ok=True)
    assert heavy.numbers("max_tokens").tolist() == [30, 80, 90, 120, 250]
    assert heavy.numbers("complexity").tolist() == pytest.approx([0.03, np.nan, 0.09, np.nan, 0.25], nan_ok=True)
    assert heavy.numbers("was_cut").tolist() == [0, 0, 1, 0, 0]
    blocks = heavy.prefix_blocks()
    found = [blocks.values[blocks.offsets[n] : blocks.offsets[n + 1]].tolist() for n in range(5)]
    assert found == [[3, 4, 5], [], [9], [], [25]]
    job = heavy.coded("label:job")
    assert [job.names[code] if code >= 0 else None for code in job.codes] == [
        "nightly",
        None,
        "nightly",
        None,
        "nightly",
    ]
    hashes = heavy.keys("input_hash")
    assert hashes[0] == hashes[2] == hashes[3]
    assert len(set(hashes.tolist())) == 3
    assert heavy.keys("session").tolist()[3] == 0
    text = heavy.texts()
    assert [text.names[code] if code >= 0 else None for code in text.codes] == [
        None,
        None,
        "text 1",
        "text 0",
        "text 1",
    ]
    with pytest.raises(KeyError):
        heavy.numbers("colour")


def test_filters_and_time_zone() -> None:
    made = [
        facts.call("2026-02-28", "1", clock="16:59"),
        facts.call("2026-02-28", "2", clock="17:00"),  # midnight of 1 March in Vietnam
        facts.call("2026-03-31", "4", clock="16:59", feature=None),
        facts.call("2026-03-31", "8", clock="17:00"),
    ]
    zone = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    house = facts.warehouse_of(made, [], zone, prices=prices())
    assert build_workload(house, MARCH).cost.tolist() == [2, 4]
    assert build_workload(house, MARCH).day.tolist() == [0, 30]
    assert build_workload(house, MARCH.only("feature", UNTAGGED)).cost.tolist() == [4]
    assert build_workload(house, MARCH.only("currency", "USD")).cost.tolist() == [2, 4]
    assert build_workload(house, MARCH.only("service", "gpt-4o")).cost.tolist() == [2, 4]
    with pytest.raises(InputError, match="no call of this period passes the filters"):
        build_workload(house, MARCH.only("feature", "nothing"))


def test_days_without_any_data_do_not_thin_out_the_month() -> None:
    house = warehouse([facts.call("2026-03-10", "1"), facts.call("2026-03-19", "1")])
    window = build_workload(house, MARCH).window
    assert (window.first.day, window.last.day, window.scale_to_month) == (10, 19, 3.04375)


# The bill


def test_the_situation_costs_what_the_ledger_says() -> None:
    """Traced 8 + 2, billed 12 + 1.5 for a model that nobody traced, minus a credit of 3; a GPU for 5; storage in euro left out."""
    calls = [facts.call("2026-03-01", "8", model="big"), facts.call("2026-03-31", "2", model="big", feature="ask")]
    charges = [
        facts.charge("2026-03-01", "12", days=31, x_Model="big"),
        facts.charge("2026-03-01", "1.5", days=31, x_Model="unseen"),
        facts.charge("2026-03-31", "-3", ChargeCategory="Credit"),
        facts.charge("2026-03-02", "5", x_CostCategory="GPU inference", ServiceName="Compute", ResourceId="gpu-1",
                     ConsumedQuantity=Decimal(24), ConsumedUnit="Hours"),
        facts.charge("2026-03-02", "7", x_CostCategory="Storage and transfer", BillingCurrency="EUR"),
    ]  # fmt: skip
    house = warehouse(calls, charges)
    situation = build_situation(house, MARCH)
    assert situation.costs() == pytest.approx({"LLM API": 10.5, "GPU inference": 5})
    assert situation.workload.cost.tolist() == [8, 2]
    assert situation.workload.spent().tolist() == pytest.approx([9.6, 2.4])
    kinds = {(line.kind, line.category): line.cost for line in situation.infrastructure.lines}
    assert kinds == {
        ("credit", "LLM API"): -3, ("not traced", "LLM API"): 1.5, ("resource", "GPU inference"): 5,
    }  # fmt: skip
    assert situation.infrastructure.matching("GPU inference")[0].hours == 24
    assert situation.infrastructure.matching("LLM API") == ()
    assert any("EUR" in note for note in situation.notes)
    usd = totals(house, MARCH.only("currency", "USD")).iloc[0]
    assert round(Decimal(situation.total()), 9) == usd["ledger_cost"]
    logged = build_situation(house, MARCH, as_logged=True)
    assert logged.costs() == pytest.approx({"LLM API": 10, "GPU inference": 5})


def test_bills_without_any_call_can_be_simulated() -> None:
    gpu = facts.charge("2026-03-01", "310", days=31, x_CostCategory="GPU inference", ServiceName="Compute")
    house = warehouse([], [gpu, facts.charge("2026-03-01", "62", days=31)])
    situation = build_situation(house, MARCH)
    line = situation.infrastructure.matching("GPU inference")[0]
    assert line.daily == pytest.approx(np.full(31, 10.0))  # a line for a month is no spike on its first day
    fall = Scenario("", (Resource(part=0.5), Cap(3))).run(situation, draws=20)
    assert fall.steps[0].added_range.width == pytest.approx(0, abs=1e-9)
    assert (fall.today, fall.end) == (Decimal("372.00"), Decimal("217.00"))
    assert any("No call" in note for note in fall.notes)
    with pytest.raises(InputError, match="neither a call nor a cost"):
        build_situation(house, MARCH.only("feature", "nothing"))


def test_evidence_names_the_calls() -> None:
    """Calls of the same microsecond included: told apart by their order."""
    made = [
        facts.call(f"2026-03-{day:02d}", "1", clock=clock, call_id=f"{day}-{n}", output_tokens=n, model="big")
        for day in (5, 3)
        for n, clock in ((100, "10:00"), (900, "12:00"), (800, "12:00"), (700, "12:00"))
    ]
    found = Scenario("", (Cap(50),)).run(build_situation(warehouse(made), MARCH), draws=20).evidence(0)
    assert sorted(found["call_id"]) == sorted(row["call_id"] for row in made)
    for call_id, tokens in zip(found["call_id"], found["output_tokens"], strict=True):
        assert call_id.endswith(f"-{tokens}")


def test_without_a_bill_the_calls_are_the_ledger() -> None:
    situation = build_situation(warehouse([facts.call("2026-03-01", "8")]), MARCH)
    assert situation.total() == 8
    assert situation.workload.money.tolist() == [1]


# What is computed once


def test_a_memo_makes_each_value_once_and_forgets_the_oldest() -> None:
    memo, made = Memo(size=2), []

    def value(key: str) -> str:
        return memo.get(key, lambda: made.append(key) or key.upper())

    assert [value(key) for key in "abab"] == ["A", "B", "A", "B"]
    assert made == ["a", "b"]
    value("a"), value("c"), value("a"), value("b")
    assert made == ["a", "b", "c", "b"]


def test_a_value_that_could_not_be_made_is_made_again() -> None:
    memo = Memo()
    with pytest.raises(ZeroDivisionError):
        memo.get("x", lambda: 1 / 0)
    assert memo.get("x", lambda: 2.0) == 2.0


# Cost lines


def test_cost_lines_change_their_cost_and_keep_their_days() -> None:
    line = CostLine("GPU inference", "Compute", "gpu", np.array([1.0, 3.0]), 48.0)
    halved = line.costing(2.0, hours=24.0)
    assert halved.daily.tolist() == [0.5, 1.5]
    assert halved.hours == 24
    assert line.costing(4.0) is line
    assert CostLine("Other", "x", None, np.zeros(4)).costing(8).daily.tolist() == [2, 2, 2, 2]
    both = Infrastructure((line,))
    assert both.mapped(lambda each: each) is both
    assert both.mapped(lambda each: None).cost() == 0
    assert both.adding(halved).cost("GPU inference") == 6
    with pytest.raises(InputError, match="not a number"):
        line.costing(float("nan"))


def test_a_model_is_found_as_the_calls_name_it() -> None:
    situation = situation_of([call()])
    assert situation.with_model("small")[1] == situation.workload.model_code("small")
    after, code = situation.with_model("openai/big")
    assert code == 0
    assert after.workload.models == situation.workload.models
