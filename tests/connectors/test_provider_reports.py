"""Cost and usage reports of OpenAI and Anthropic: pages as their documentation shows them, dashboard files, broken records, and a whole load."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.filters import Filters
from analytics.reconciliation import CAUSES, reconciliation
from connectors.anthropic_usage import model_name
from connectors.openai_usage import LineItem, parse_line_item
from tests.connectors.reading import Read, read, read_text
from tests.operations.command import percall
from warehouse.configuration import Configuration
from warehouse.reader import open_current

D = Decimal
DAY = 1_777_852_800
"""4 May 2026, 00:00 UTC."""


def openai_page(*results: dict[str, Any], start: int = DAY) -> dict[str, Any]:
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


def openai_cost(value: float, item: str | None = None, **more: Any) -> dict[str, Any]:
    money = {"value": value, "currency": "usd"}
    return {"object": "organization.costs.result", "amount": money, "line_item": item, "project_id": None, **more}


def openai_usage(kind: str = "completions", **counts: Any) -> dict[str, Any]:
    return {
        "object": f"organization.usage.{kind}.result",
        "num_model_requests": 5,
        "model": "gpt-4o-2024-08-06",
        **counts,
    }


def anthropic_page(*results: dict[str, Any]) -> dict[str, Any]:
    bucket = {"starting_at": "2026-05-04T00:00:00Z", "ending_at": "2026-05-05T00:00:00Z", "results": list(results)}
    return {"data": [bucket], "has_more": False, "next_page": None}


def anthropic_cost(amount: str, token_type: str | None, **more: Any) -> dict[str, Any]:
    return {
        "currency": "USD", "amount": amount, "workspace_id": "wrkspc_1", "description": "Claude Sonnet 4.5 Usage", "cost_type": "tokens",
        "context_window": "0-200k", "model": "claude-sonnet-4-5-20250929", "service_tier": "standard", "token_type": token_type, **more,
    }  # fmt: skip


def read_json(folder: Path, *pages: Any, layout: str = "document") -> Read:
    path = folder / "page.json"
    if layout == "lines":
        path.write_text("".join(json.dumps(page) + "\n" for page in pages))
    else:
        path.write_text(json.dumps(pages[0] if len(pages) == 1 else list(pages), indent=2))
    return read(path)


def cells(found: Read) -> list[tuple[Any, ...]]:
    names = ("x_Model", "x_TokenDirection", "x_CacheAction", "x_UsageType", "BilledCost", "ConsumedQuantity")
    return [tuple(row[name] for name in names) for row in found.rows]


def test_openai_costs(tmp_path: Path) -> None:
    items = [
        ("gpt-4o-2024-08-06, input", 0.06),
        ("gpt-4o-2024-08-06, cached input", 1.2e-05),
        ("web search tool calls", 0.05),
    ]
    found = read_json(tmp_path, openai_page(*(openai_cost(value, item, project_id="proj_1") for item, value in items)))
    assert found.extraction.kind == "openai-usage"
    assert cells(found) == [
        ("gpt-4o", "input", None, "standard", D("0.06"), None),
        ("gpt-4o", "input", "read", "standard", D("0.000012"), None),
        (None, None, None, None, D("0.05"), None),
    ]
    row = found.rows[0]
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == (datetime(2026, 5, 4), datetime(2026, 5, 5))
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == (datetime(2026, 5, 1), datetime(2026, 6, 1))
    assert (row["SubAccountId"], row["BillingCurrency"], row["x_Excluded"], row["EffectiveCost"]) == (
        "proj_1",
        "USD",
        False,
        D("0.06"),
    )


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("gpt-4o-mini-2024-07-18, output", LineItem("gpt-4o-mini", "output", None, "standard")),
        ("priority | gpt-4o-2024-08-06, cached input", LineItem("gpt-4o", "input", "read", "priority")),
        ("batch | gpt-4o-2024-08-06, output, long context", LineItem("gpt-4o", "output", None, "batch")),
        ("gpt-4o-2024-08-06 batch, input", LineItem("gpt-4o", "input", None, "batch")),
        ("text-embedding-3-small, input", LineItem("text-embedding-3-small", "input", None, "standard")),
        ("gpt-4o-audio-preview audio, output", LineItem("gpt-4o-audio-preview", "output", None, "standard")),
        ("web search tool calls", LineItem()),
        ("whisper-1, audio", LineItem()),
        ("", LineItem()),
        (None, LineItem()),
    ],
)
def test_openai_line_items(item: str | None, expected: LineItem) -> None:
    assert parse_line_item(item) == expected


def test_openai_usage_is_tokens_without_an_amount(tmp_path: Path) -> None:
    counts: dict[str, Any] = {
        "input_tokens": 1000,
        "input_cached_tokens": 300,
        "input_audio_tokens": 20,
        "output_tokens": 50,
    }
    found = read_json(
        tmp_path,
        openai_page(
            openai_usage(**counts), openai_usage("images", images=3), openai_usage(batch=True, output_tokens=7)
        ),
    )
    assert cells(found) == [
        ("gpt-4o", "input", None, "standard", None, D(720)),
        ("gpt-4o", "input", "read", "standard", None, D(300)),
        ("gpt-4o", "output", None, "standard", None, D(50)),
        ("gpt-4o", "output", None, "batch", None, D(7)),
    ]
    assert all(row["x_Excluded"] and row["ConsumedUnit"] == "Tokens" for row in found.rows)
    assert found.extraction.rows_read == 3
    assert "no costs" in found.extraction.warnings[0]


@pytest.mark.parametrize("layout", ["document", "lines"])
def test_several_pages_in_one_file(tmp_path: Path, layout: str) -> None:
    pages = [
        openai_page(openai_cost(1, "gpt-4o, input")),
        openai_page(openai_cost(2, "gpt-4o, input"), start=DAY + 86_400),
    ]
    found = read_json(tmp_path, *pages, layout=layout)
    assert [(row["ChargePeriodStart"].day, row["BilledCost"]) for row in found.rows] == [(4, D(1)), (5, D(2))]


def test_openai_dashboard_files(tmp_path: Path) -> None:
    costs = (
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id,organization_name\n"
        f'{DAY},{DAY + 86400},2026-05-04T00:00:00+00:00,2026-05-05T00:00:00+00:00,0.8958740000000000,usd,"gpt-4o, input",,org-1,Personal\n'
        f"{DAY + 86400},{DAY + 172800},2026-05-05T00:00:00+00:00,2026-05-06T00:00:00+00:00,,,,,,\n"
    )
    found = read_text(tmp_path, costs)
    assert cells(found) == [("gpt-4o", "input", None, "standard", D("0.895874"), None)]
    assert (found.rows[0]["BillingAccountId"], found.extraction.rows_read) == ("org-1", 2)
    header = "start_time,end_time,num_model_requests,model,batch,input_tokens,output_tokens,input_cached_tokens"
    usage = f"{header}\n{DAY},{DAY + 86400},5,gpt-4o,,10,2,4\n"
    assert [row["ConsumedQuantity"] for row in read_text(tmp_path, usage).rows] == [D(6), D(4), D(2)]


def test_anthropic_costs_are_in_cents(tmp_path: Path) -> None:
    found = read_json(
        tmp_path,
        anthropic_page(
            anthropic_cost("123.45", "uncached_input_tokens"),
            anthropic_cost("50", "cache_creation.ephemeral_1h_input_tokens", service_tier="batch"),
            anthropic_cost("7.5", None, model=None, cost_type="web_search", description="Web Search Usage"),
        ),
    )
    assert found.extraction.kind == "anthropic-usage"
    assert cells(found) == [
        ("claude-sonnet-4-5", "input", None, "standard", D("1.2345"), None),
        ("claude-sonnet-4-5", "input", "write", "batch", D("0.5"), None),
        (None, None, None, "standard", D("0.075"), None),
    ]
    assert json.loads(found.rows[0]["x_Other"])["context_window"] == "0-200k"


def test_anthropic_usage(tmp_path: Path) -> None:
    result = {
        "model": "claude-sonnet-4-5-20250929", "service_tier": "standard", "uncached_input_tokens": 1500, "cache_read_input_tokens": 200,
        "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500}, "output_tokens": 90,
    }  # fmt: skip
    found = read_json(tmp_path, anthropic_page(result))
    assert [(row["x_TokenDirection"], row["x_CacheAction"], row["ConsumedQuantity"]) for row in found.rows] == [
        ("input", None, D(1500)), ("input", "read", D(200)), ("input", "write", D(500)), ("input", "write", D(1000)), ("output", None, D(90)),
    ]  # fmt: skip


def test_anthropic_console_files(tmp_path: Path) -> None:
    costs = (
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type\n"
        "2026-05-04,Claude Haiku 4.5,Default,demo-key,message,≤ 200k,input_no_cache,0.05,0.06,token\n"
        "2026-05-04,Claude Opus 4.5,Default,demo-key,batch,≤ 200k,output,0.30,0.30,token\n"
    )
    found = read_text(tmp_path, costs)
    assert cells(found) == [
        ("claude-haiku-4-5", "input", None, "standard", D("0.05"), None),
        ("claude-opus-4-5", "output", None, "batch", D("0.30"), None),
    ]
    assert found.rows[0]["ListCost"] == D("0.06")
    usage = "usage_date_utc,model_version,workspace,usage_input_tokens_no_cache,usage_output_tokens\n2026-05-04,claude-haiku-4-5-20251001,,10,2\n"
    assert [row["ConsumedQuantity"] for row in read_text(tmp_path, usage).rows] == [D(10), D(2)]
    assert model_name(None) is None


def test_broken_records_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    found = read_json(
        tmp_path,
        openai_page(
            openai_cost(1, "gpt-4o, input"),
            {"object": "organization.costs.result", "amount": {"value": "lots", "currency": "usd"}},
            {"object": "organization.costs.result", "amount": {"value": 1, "currency": "dollars"}},
            openai_usage(input_tokens=5, input_cached_tokens=9),
            openai_usage(output_tokens=-1),
        ),
    )
    assert [row["BilledCost"] for row in found.rows] == [D(1)]
    assert [(row, column) for row, column, _ in found.rejects] == [
        (2, "amount_value"), (3, "amount_currency"), (4, "input_cached_tokens"), (5, "input_tokens"),
    ]  # fmt: skip
    dates = read_text(tmp_path, "usage_date_utc,cost_usd\nsome day,1\n2026-05-04,\n2026-05-04,2\n")
    assert [(row, column) for row, column, _ in dates.rejects] == [(1, "usage_date_utc"), (2, "cost_usd")]
    assert [row["BilledCost"] for row in dates.rows] == [D(2)]


def test_costs_without_names_are_warned_about(tmp_path: Path) -> None:
    assert "neither model nor line item" in read_json(tmp_path, openai_page(openai_cost(3))).extraction.warnings[0]


def test_costs_and_usage_are_loaded_side_by_side_and_explain_the_gap(tmp_path: Path) -> None:
    """gpt-4o costs 2.50 and 10.00 a million. Traced: 1M input tokens, all plain. Billed: 0.6M plain and 0.8M cached (at 1.25)."""
    calls = tmp_path / "calls.csv"
    calls.write_text(
        "call_id,started_at,provider,model,input_tokens,output_tokens\na,2026-05-04T12:00:00Z,openai,gpt-4o,1000000,0\n"
    )
    costs, usage = tmp_path / "costs.json", tmp_path / "usage.json"
    costs.write_text(
        json.dumps(
            openai_page(
                openai_cost(1.5, "gpt-4o-2024-08-06, input"), openai_cost(1.0, "gpt-4o-2024-08-06, cached input")
            )
        )
    )
    usage.write_text(
        json.dumps(openai_page(openai_usage(input_tokens=1_400_000, input_cached_tokens=800_000, output_tokens=0)))
    )
    store = tmp_path / "store"
    answer = percall("load", calls, costs, usage, store=store)
    assert answer.code == 0, answer
    warehouse = open_current(store, Configuration())
    frame = reconciliation(warehouse, Filters(date(2026, 5, 1), date(2026, 5, 31), grain="month"))
    row = dict(frame.iloc[0])
    assert (len(frame), row["estimated"], row["billed"], row["gap"]) == (1, D("2.5"), D("2.5"), D(0))
    # 400,000 of the plain tokens were billed as cached: -0.50; 400,000 cached tokens were never traced: +0.50.
    assert {name: row[name] for name in CAUSES if row[name]} == {"token_class": D("-0.5"), "missing_calls": D("0.5")}
    again = percall("load", costs, usage, store=store)
    assert again.code == 0
    assert (
        open_current(store, Configuration()).row(warehouse.table("charges").agg(n=warehouse.table("charges").count()))[
            "n"
        ]
        == 4
    )
