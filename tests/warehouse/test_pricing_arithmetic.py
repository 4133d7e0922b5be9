"""What calls cost, for any counts: the catalogue's own arithmetic, identities, and a gateway's figures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse.priced_calls import KNOWN, NOW, OWN_BOOK, PRICE, add_prices, cost, priced, stage, tokens
from warehouse.configuration import Configuration
from warehouse.pricing import price_staged_calls
from warehouse.pricing import priced as select
from warehouse.rates import CLASS_OF_COLUMN, GENAI_PRICES

CENT_OF_CENT = Decimal("0.0000000001")

COUNTS = st.integers(min_value=0, max_value=2_000_000)

USAGE = st.fixed_dictionaries(
    {
        "uncached_input_tokens": COUNTS,
        "cache_read_tokens": COUNTS,
        "cache_write_5m_tokens": COUNTS,
        "cache_write_1h_tokens": COUNTS,
        "output_tokens": COUNTS,
        "reasoning_tokens": COUNTS,
    }
)

MODELS = [
    ("openai", "gpt-4o"), ("openai", "o1"), ("openai", "gpt-5-mini"), ("openai", "o3"), ("anthropic", "claude-haiku-4-5"),
    ("anthropic", "claude-sonnet-4-5"), ("anthropic", "claude-opus-4-6"), ("anthropic", "claude-haiku-5-5"),
    ("google", "gemini-2.5-pro"), ("google", "gemini-2.5-flash-lite"), ("aws", "amazon.nova-pro-v1:0"),
    ("aws", "us.anthropic.claude-haiku-4-5-20251001-v1:0"), ("mistral", "mistral-large-latest"), ("x-ai", "grok-4-latest"),
]  # fmt: skip

RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RELAXED
@given(model=st.sampled_from(MODELS), usage=USAGE, day=st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31)))
def test_equal_to_the_catalogues_own_arithmetic(
    warehouse: duckdb.DuckDBPyConnection, model: tuple[str, str], usage: dict[str, int], day: datetime
) -> None:
    from genai_prices import Usage, calc_price

    provider, name = model
    writes = usage["cache_write_5m_tokens"] + usage["cache_write_1h_tokens"]
    own = calc_price(
        Usage(
            input_tokens=usage["uncached_input_tokens"] + usage["cache_read_tokens"] + writes,
            cache_read_tokens=usage["cache_read_tokens"],
            cache_write_tokens=writes,
            cache_write_5m_tokens=usage["cache_write_5m_tokens"],
            cache_write_1h_tokens=usage["cache_write_1h_tokens"],
            output_tokens=usage["output_tokens"] + usage["reasoning_tokens"],
        ),
        name,
        provider_id=provider,
        genai_request_timestamp=day.replace(tzinfo=UTC),
    ).total_price
    call = {"provider": provider, "model_raw": name, "started_at": day} | usage
    assert cost(warehouse, call, GENAI_PRICES) == own.quantize(CENT_OF_CENT, rounding="ROUND_HALF_UP")


@RELAXED
@given(model=st.sampled_from(MODELS[:8]), usage=USAGE, column=st.sampled_from(list(CLASS_OF_COLUMN)[:6]), more=COUNTS)
def test_more_tokens_never_cost_less(
    warehouse: duckdb.DuckDBPyConnection, model: tuple[str, str], usage: dict[str, int], column: str, more: int
) -> None:
    call = {"provider": model[0], "model_raw": model[1]} | usage
    fewer, greater = priced(warehouse, call, call | {column: usage[column] + more})
    assert fewer["priced_cost"] <= greater["priced_cost"]  # type: ignore[operator]


@RELAXED
@given(first=USAGE, second=USAGE)
def test_cost_is_additive_where_there_are_no_tiers(
    warehouse: duckdb.DuckDBPyConnection, first: dict[str, int], second: dict[str, int]
) -> None:
    base = {"provider": "anthropic", "model_raw": "claude-haiku-4-5"}
    both = {column: first[column] + second[column] for column in first}
    parts = priced(warehouse, base | first, base | second, base | both)
    assert parts[0]["priced_cost"] + parts[1]["priced_cost"] == parts[2]["priced_cost"]  # type: ignore[operator]


@RELAXED
@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(
                [*MODELS, (None, "openrouter/openai/gpt-4o"), ("litellm_proxy", "azure/gpt-4o"), (None, "x")]
            ),
            st.sampled_from(["standard", "batch", None]),
            st.sampled_from([None, Decimal(0), Decimal("0.01")]),
            st.one_of(st.none(), COUNTS),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_pricing_twice_changes_nothing(
    warehouse: duckdb.DuckDBPyConnection,
    calls: list[tuple[tuple[str | None, str], str | None, Decimal | None, int | None]],
) -> None:
    stage(
        warehouse,
        *(
            {"provider": p, "model_raw": m, "processing": processing, "reported_cost": reported} | tokens(count, 3, 7)
            for (p, m), processing, reported, count in calls
        ),
    )
    price_staged_calls(warehouse, "staged", "prices", Configuration())
    once = warehouse.execute("SELECT * FROM staged ORDER BY call_id").fetchall()
    price_staged_calls(warehouse, "staged", "prices", Configuration())
    assert warehouse.execute("SELECT * FROM staged ORDER BY call_id").fetchall() == once


def test_tier_is_chosen_by_all_input_and_holds_for_the_whole_request(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {"provider": "anthropic", "model_raw": "claude-sonnet-4-5", "started_at": NOW}
    below, above = priced(
        warehouse, call | tokens(100_000, 100_000, 1000), call | tokens(100_000, 100_000, 1000, cache_write_5m_tokens=1)
    )
    assert below["priced_cost"] == Decimal("0.3") + Decimal("0.03") + Decimal("0.015")
    assert above["priced_cost"] == Decimal("0.6") + Decimal("0.06") + Decimal("0.0225") + Decimal("0.0000075")
    assert str(above["price_id"]).endswith("/standard/200000@1970-01-01")


def test_halves_are_rounded_up(own_prices: duckdb.DuckDBPyConnection) -> None:
    add_prices(own_prices, OWN_BOOK, "openai", "gpt-4o", input="0.00005", output="0.00001")
    assert cost(own_prices, {"provider": "openai", "model_raw": "gpt-4o"} | tokens(1, 0, 0), OWN_BOOK) == CENT_OF_CENT
    assert cost(own_prices, {"provider": "openai", "model_raw": "gpt-4o"} | tokens(1, 0, 9), OWN_BOOK) == CENT_OF_CENT


def test_a_validity_ends_with_its_last_moment(warehouse: duckdb.DuckDBPyConnection) -> None:
    edge = datetime(2024, 10, 2)
    last, first = priced(
        warehouse, KNOWN | {"started_at": edge - timedelta(microseconds=1)}, KNOWN | {"started_at": edge}
    )
    assert (last["priced_cost"], first["priced_cost"]) == (Decimal("0.0065"), PRICE)


GATEWAY_SAMPLE = Path(__file__).parents[3] / "shared" / "samples" / "litellm" / "standard_logging_payload.jsonl"


@pytest.mark.parametrize("path", [path for path in (GATEWAY_SAMPLE,) if path.exists()])
def test_equal_to_what_a_gateway_computed_for_the_same_usage(warehouse: duckdb.DuckDBPyConnection, path: Path) -> None:
    """A real gateway's own costs, from its own price map: ours are the same wherever it knew a price."""
    calls = []
    for line in path.read_text().splitlines():
        payload = json.loads(line)
        usage = payload["metadata"].get("usage_object")
        if payload["status"] != "success" or payload["cache_hit"] or not usage:
            continue
        details = usage.get("prompt_tokens_details") or {}
        read, written = (details.get("cached_tokens") or 0), (usage.get("cache_creation_input_tokens") or 0)
        hour = (details.get("cache_creation_token_details") or {}).get("ephemeral_1h_input_tokens") or 0
        reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        calls.append(
            {
                "provider": payload["custom_llm_provider"],
                "model_raw": payload["model"],
                "reported_cost": Decimal(str(payload["response_cost"])),
            }
            | {"started_at": datetime.fromtimestamp(payload["startTime"], UTC).replace(tzinfo=None)}
            | tokens(usage["prompt_tokens"] - read - written, read, usage.get("completion_tokens", 0) - reasoning)
            | {"cache_write_5m_tokens": written - hour, "cache_write_1h_tokens": hour, "reasoning_tokens": reasoning}
        )
    answers = priced(warehouse, *calls)
    assert len(answers) == 14
    for call, answer in zip(calls, answers, strict=True):
        if call["reported_cost"]:
            assert answer["priced_cost"] == round(call["reported_cost"], 10), call  # type: ignore[call-overload]
        else:  # a retired model that the gateway's map no longer knows: it wrote 0, we know the price
            assert (answer["model"], answer["cost_basis"]) == ("gemini-1.5-flash", "priced")
            assert answer["cost"] > 0  # type: ignore[operator]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.lists(st.tuples(*[st.sampled_from([None, 0, 1, 999, 10**6, 10**9, 10**12])] * 3), min_size=1, max_size=6),
    amounts=st.tuples(*[st.sampled_from(["0", "0.0375", "15", "0.01875", "600.1234", "0.0000000001"])] * 3),
)
def test_arithmetic_of_any_width_gives_the_same_costs(
    own_prices: duckdb.DuckDBPyConnection, counts: list[tuple[int | None, ...]], amounts: tuple[str, ...]
) -> None:
    own_prices.execute("DELETE FROM prices WHERE book = 'contract'")
    classes = ("input", "cache_read", "output")
    add_prices(own_prices, "contract", "openai", "gpt-4o", **dict(zip(classes, amounts, strict=True)))
    stage(own_prices, *({"provider": "openai", "model_raw": "gpt-4o"} | tokens(*row) for row in counts))  # type: ignore[arg-type]
    most = max((count or 0 for row in counts for count in row), default=0)
    shown = "SELECT call_id, priced_cost, cost, cost_basis, price_id FROM ({}) ORDER BY call_id"
    wide, narrow = (
        own_prices.execute(
            shown.format(select(own_prices, "staged", "prices", Configuration(), most_tokens=limit))
        ).fetchall()
        for limit in (None, most)
    )
    assert narrow == wide
    for row, (_call, cost_told, *_rest) in zip(counts, wide, strict=True):
        if None not in row and max(row) < 10**12:  # type: ignore[type-var, operator]
            exact = (
                sum(Decimal(count or 0) * Decimal(amount) for count, amount in zip(row, amounts, strict=True))
                / 1_000_000
            )
            assert cost_told is None or cost_told == exact.quantize(CENT_OF_CENT, ROUND_HALF_UP)
            assert (cost_told is None) == (exact >= 10**8)
