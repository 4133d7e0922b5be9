"""Cases that other products got wrong, from the file to the export: what a call costs, and how often it counts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.operations.bills import call, line, write, write_calls
from tests.operations.command import money, percall, totals


def export(store: Path, view: str, *options: str, config: Path | None = None) -> list[dict[str, Any]]:
    """A view's JSON rows."""
    answer = percall("export", view, "--format", "json", *options, store=store, config=config)
    assert answer.code == 0, answer.err
    return answer.json


def load(store: Path, *paths: Path, config: Path | None = None) -> None:
    """Load without refusal and without a rejected row."""
    answer = percall("load", *paths, store=store, config=config)
    assert answer.code == 0, answer.err
    assert not [row for row in answer.lines if row["rows_rejected"]]


def spend_log(number: int, **changes: object) -> dict[str, object]:
    """A row of LiteLLM's SpendLogs."""
    row: dict[str, object] = {
        "request_id": f"chatcmpl-{number}", "call_type": "acompletion", "spend": 0.0055, "total_tokens": 1150, "prompt_tokens": 1000,
        "completion_tokens": 150, "startTime": "2026-03-02T09:15:00Z", "endTime": "2026-03-02T09:15:01Z", "model": "gpt-4o",
        "model_group": "gpt-4o", "custom_llm_provider": "openai", "cache_hit": "False", "session_id": "s-1", "status": "success",
        "metadata": "{}", "request_tags": "[]",
    }  # fmt: skip
    return row | changes


def write_logs(path: Path, *rows: dict[str, object]) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_gateway_hit_costs_nothing_and_is_counted(tmp_path: Path) -> None:
    rows = [call(1, "0.000337"), call(2, "0", cache_hit="true", saved_cost="0.000337")]
    load(tmp_path / "store", write_calls(tmp_path / "calls.csv", rows))
    found = totals(tmp_path / "store")
    assert (found["calls"], found["unpriced_calls"], found["call_cost"]) == (2, 0, "0.0003370000")
    assert money(found["ledger_cost"]) == Decimal("0.000337")


def test_a_gateways_own_log_of_a_hit_costs_nothing(tmp_path: Path) -> None:
    load(tmp_path / "store", write_logs(tmp_path / "logs.jsonl", spend_log(1), spend_log(2, spend=0, cache_hit="True")))
    found = totals(tmp_path / "store")
    assert (found["calls"], found["unpriced_calls"], money(found["call_cost"])) == (2, 0, Decimal("0.0055"))


def test_a_model_without_a_price_is_not_free(tmp_path: Path) -> None:
    unknown = spend_log(
        1, model="house-blend-9", model_group="house-blend-9", spend=0, prompt_tokens=900, completion_tokens=100
    )
    load(tmp_path / "store", write_logs(tmp_path / "logs.jsonl", unknown | {"total_tokens": 1000}))
    found = totals(tmp_path / "store")
    assert (found["calls"], found["unpriced_calls"], found["priced_share"], found["usage_share"]) == (1, 1, 0, 1)
    assert (found["call_cost"], found["ledger_cost"]) == (None, None)
    (model,) = export(tmp_path / "store", "models")
    assert (model["total_tokens"], model["cost"], model["cost_per_call"]) == (1000, None, None)


def test_days_of_another_zone_sum_to_the_range_and_the_evening_is_tomorrow(tmp_path: Path) -> None:
    config, store = tmp_path / "percall.toml", tmp_path / "store"
    config.write_text('[percall]\nreporting_time_zone = "Asia/Ho_Chi_Minh"\n')
    start = datetime(2026, 3, 1, 0, 30)
    costs = {start + timedelta(hours=hour): Decimal(hour * hour + 1) / 10**8 for hour in range(5 * 24)}
    rows = [
        call(number, format(cost, "f"), started_at=f"{at.isoformat()}Z")
        for number, (at, cost) in enumerate(costs.items())
    ]
    load(store, write_calls(tmp_path / "calls.csv", rows), config=config)
    expected: dict[str, Decimal] = {}
    for at, cost in costs.items():
        day = (at + timedelta(hours=7)).date().isoformat()
        expected[day] = expected.get(day, Decimal(0)) + cost
    assert {row["period"]: money(row["cost"]) for row in export(store, "costs", config=config)} == expected
    assert money(totals(store, config=config)["call_cost"]) == sum(costs.values())
    evening = [cost for at, cost in costs.items() if at >= datetime(2026, 3, 5, 17)]
    (last,) = export(store, "costs", "--from", "2026-03-06", "--to", "2026-03-06", config=config)
    assert money(last["cost"]) == sum(evening)
    # Without the setting the same store is cut by UTC, and sums to the same.
    days = export(store, "costs")
    assert [row["period"] for row in days] == [f"2026-03-0{day}" for day in range(1, 6)]
    assert sum(money(row["cost"]) for row in days) == sum(costs.values())


def test_a_batch_call_costs_half_once(tmp_path: Path) -> None:
    tokens = {"uncached_input_tokens": 2000, "output_tokens": 500, "reported_cost": ""}
    rows = [
        call(1, **tokens, processing="batch", feature="batch"),
        call(2, **tokens, processing="standard", feature="now"),
    ]
    load(tmp_path / "store", write_calls(tmp_path / "calls.csv", rows))
    found = {row["feature"]: money(row["cost"]) for row in export(tmp_path / "store", "costs", "--by", "feature")}
    assert found == {"batch": Decimal("0.0050"), "now": Decimal("0.0100")}


def test_a_retried_call_is_three_attempts_and_one_cost(tmp_path: Path) -> None:
    none = {"spend": 0, "total_tokens": 0, "prompt_tokens": 0, "completion_tokens": 0, "status": "failure"}
    load(
        tmp_path / "store",
        write_logs(tmp_path / "logs.jsonl", spend_log(1, **none), spend_log(2, **none), spend_log(3)),
    )
    found = totals(tmp_path / "store")
    assert (found["calls"], money(found["call_cost"])) == (3, Decimal("0.0055"))


def test_a_forked_conversation_repeats_calls_that_count_once(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = [spend_log(number) for number in range(5)]
    fork = [spend_log(number, session_id="s-2") for number in range(4)] + [spend_log(9, session_id="s-2")]
    load(store, write_logs(tmp_path / "first.jsonl", *first))
    load(store, write_logs(tmp_path / "fork.jsonl", *fork))
    load(store, write_logs(tmp_path / "both.jsonl", *fork, *first))
    found = totals(store)
    assert (found["calls"], money(found["call_cost"])) == (6, 6 * Decimal("0.0055"))


def test_a_call_costs_the_price_of_its_day(tmp_path: Path) -> None:
    tokens = {"uncached_input_tokens": 1_000_000, "output_tokens": 1_000_000, "reported_cost": ""}
    rows = [
        call(1, **tokens, started_at="2024-06-01T12:00:00Z"),
        call(2, **tokens, started_at="2024-12-01T12:00:00Z"),
    ]
    load(tmp_path / "store", write_calls(tmp_path / "calls.csv", rows))
    found = {row["period"]: money(row["cost"]) for row in export(tmp_path / "store", "costs")}
    assert found == {"2024-06-01": Decimal("20.00"), "2024-12-01": Decimal("12.50")}


def test_credits_make_the_bill_nothing_and_a_user_not_free(tmp_path: Path) -> None:
    store = tmp_path / "store"
    bill = write(
        tmp_path / "bill.csv",
        [line(cost="500.00"), line(cost="-500.00", day=3, ChargeCategory="Credit", ChargeDescription="promotion")],
    )
    users = write(tmp_path / "activity.csv", [{"date": "2026-03-02", "user_id": f"user-{n}"} for n in range(10)], ())
    load(store, bill, users)
    found = totals(store)
    assert (money(found["billed"]), money(found["credits"])) == (Decimal(0), Decimal(-500))
    (month,) = export(store, "unit-economics", "--grain", "month")
    assert (money(month["cost"]), money(month["cost_before_credits"])) == (Decimal(0), Decimal(500))
    assert (month["mau"], money(month["cost_per_mau"])) == (10, Decimal(50))
