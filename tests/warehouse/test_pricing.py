"""What calls cost: hand-computed cases, what stays unknown, which figure counts, and books."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.warehouse.priced_calls import KNOWN, NOW, OWN_BOOK, PRICE, add_prices, cost, priced, tokens
from warehouse.configuration import Configuration
from warehouse.price_books import ARTICLE, read_price_file, shipped_prices
from warehouse.pricing import unit_prices


def test_bedrock_claude_with_cache_costs_what_its_classes_cost(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {"provider": "bedrock", "model_raw": "global.anthropic.claude-sonnet-4-5-20250929-v1:0"}
    call |= tokens(3, 13_216, 12, cache_write_5m_tokens=25)
    assert cost(warehouse, call) == Decimal("0.0042475500")


def test_gemini_cache_reads_are_not_billed_as_plain_input(own_prices: duckdb.DuckDBPyConnection) -> None:
    add_prices(own_prices, OWN_BOOK, "google", "gemini-2.5-flash", input="0.30", cache_read="0.03", output="2.50")
    call = {"provider": "google", "model_raw": "gemini-2.5-flash"} | tokens(25_978 - 24_540, 24_540, 0)
    assert cost(own_prices, call, OWN_BOOK) == Decimal("0.0011676")
    assert cost(own_prices, call) == Decimal("0.0011676")  # today's list price is the same


def test_cache_writes_for_an_hour_cost_twice_the_input(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {"provider": "anthropic", "model_raw": "claude-haiku-4-5"}
    call |= tokens(0, 0, 0, cache_write_5m_tokens=148, cache_write_1h_tokens=100)
    assert cost(warehouse, call) == Decimal(385) / 1_000_000  # base price: 1 per million


def test_contract_price_of_cached_tokens_is_used(own_prices: duckdb.DuckDBPyConnection) -> None:
    add_prices(own_prices, "contract", "openai", "gpt-4.1", input="2.00", cache_read="0.50", output="8.00")
    add_prices(own_prices, "contract", "openai", "gpt-4o", input="1.00", output="4.00")
    call = {"provider": "openai", "model_raw": "gpt-4.1"} | tokens(6_074 - 3_456, 3_456, 285)
    answer = priced(own_prices, call)[0]
    assert answer["priced_cost"] == Decimal("0.009244")
    assert str(answer["price_id"]).startswith("contract/openai/gpt-4.1/standard/0@")
    # One call is never priced from two books: the contract says nothing of cached tokens, so a call that used some is unknown.
    assert cost(own_prices, {"provider": "openai", "model_raw": "gpt-4o"} | tokens(100, 100, 10)) is None
    assert cost(own_prices, {"provider": "openai", "model_raw": "gpt-4o"} | tokens(100, 0, 10)) == Decimal("0.00014")


def test_gateway_cache_hit_costs_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {
        "provider": "openai",
        "model_raw": "gpt-4o-mini",
        "cache_hit": True,
        "reported_cost": 0,
        "saved_cost": Decimal("0.000337"),
    }
    answer = priced(warehouse, call | tokens(2000, 0, 62))[0]
    assert (answer["cost"], answer["priced_cost"], answer["cost_basis"]) == (0, 0, "reported")
    assert warehouse.execute("SELECT sum(saved_cost), count(*) FROM staged").fetchone() == (Decimal("0.000337"), 1)


def test_unknown_model_is_not_free(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {"provider": "openai", "model_raw": "gpt-unheard-of", "reported_cost": 0} | tokens(700, 0, 300)
    answer = priced(warehouse, call)[0]
    assert (answer["cost"], answer["priced_cost"], answer["cost_basis"], answer["price_id"]) == (
        None,
        None,
        "unknown",
        None,
    )
    assert warehouse.execute("SELECT sum(uncached_input_tokens + output_tokens) FROM staged").fetchone() == (1000,)


@pytest.mark.parametrize("day", [datetime(2025, 1, 15), datetime(2026, 10, 13, 23, 59), datetime(2026, 10, 14), NOW])
def test_batch_costs_exactly_half(warehouse: duckdb.DuckDBPyConnection, day: datetime) -> None:
    call = {"provider": "openai", "model_raw": "gpt-4o", "started_at": day} | tokens(2000, 0, 500)
    assert cost(warehouse, call) == Decimal("0.0100")
    assert cost(warehouse, call | {"processing": "batch"}) == Decimal("0.0050")


def test_price_of_the_day_is_used(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {"provider": "openai", "model_raw": "gpt-4o"} | tokens(1_000_000, 0, 1_000_000)
    before, after = priced(
        warehouse, call | {"started_at": datetime(2024, 6, 1)}, call | {"started_at": datetime(2024, 12, 1)}
    )
    assert (before["priced_cost"], after["priced_cost"]) == (Decimal(20), Decimal("12.5"))
    assert before["price_id"] == "percall/openai/gpt-4o/standard/0@2024-05-13"
    # The dated snapshots keep their own price whatever the name gpt-4o meant on that day.
    early, pinned = priced(
        warehouse,
        call | {"model_raw": "gpt-4o-2024-08-06", "started_at": datetime(2024, 9, 1)},
        call | {"model_raw": "openai/gpt-4o-2024-05-13", "started_at": datetime(2024, 12, 1)},
    )
    assert (early["model"], early["priced_cost"]) == ("gpt-4o", Decimal("12.5"))
    assert (pinned["model"], pinned["priced_cost"]) == ("gpt-4o-2024-05-13", Decimal(20))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"provider": "openai", "model_raw": "openai/gpt-4o"} | tokens(86, 1920, 300), "0.005615"),
        ({"provider": "openai", "model_raw": "openai/o1"} | tokens(86, 1920, 108, reasoning_tokens=192), "0.03369"),
        ({"provider": "bedrock", "model_raw": "bedrock/us.amazon.nova-pro-v1:0"} | tokens(700, 4000, 250), "0.00216"),
        (
            {"provider": "anthropic", "model_raw": "anthropic/claude-haiku-4-5"}
            | tokens(86, 12_000, 420, cache_write_5m_tokens=1_000, cache_write_1h_tokens=500),
            "0.005636",
        ),
    ],
)
def test_catalogues_agree(warehouse: duckdb.DuckDBPyConnection, call: dict[str, object], expected: str) -> None:
    assert cost(warehouse, call) == Decimal(expected)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param({"provider": "aws", "model_raw": "amazon.nova-premier-v1:0", "processing": "batch"} | tokens(10, 0, 10), id="no batch price"),
        pytest.param({"provider": "openai", "model_raw": "gpt-4o", "processing": "turbo"} | tokens(10, 0, 10), id="unheard-of processing"),
        pytest.param({"provider": "openai", "model_raw": "gpt-4o"} | tokens(None, 0, None), id="no usage"),
        pytest.param({"provider": "openai", "model_raw": "gpt-4o"} | tokens(10, 0, None), id="no output reported"),
        pytest.param({"provider": "openai", "model_raw": "gpt-4o", "started_at": None} | tokens(10, 0, 10), id="no time"),
        pytest.param({"provider": None, "model_raw": "my-own"} | tokens(10, 0, 10), id="no provider"),
        pytest.param({"provider": "openai", "model_raw": None} | tokens(10, 0, 10), id="no model"),
        pytest.param({"provider": "openai", "model_raw": "gpt-4o"} | tokens(-5, 0, 10), id="negative"),
        pytest.param({"provider": "openai", "model_raw": "gpt-4o"} | tokens(2**62, 0, 10), id="absurd"),
        pytest.param({"provider": "openai", "model_raw": "gpt-4o"} | tokens(10, 0, 10, audio_input_tokens=5), id="audio of a text price"),
        pytest.param({"provider": "google", "model_raw": "gemini-3-pro-image-preview"} | tokens(10, 0, 1120), id="image tokens"),
        pytest.param({"provider": "deepseek", "model_raw": "deepseek-v4-pro"} | tokens(10, 0, 10), id="price by time of day"),
    ],
)  # fmt: skip
def test_unknown_price_is_null(warehouse: duckdb.DuckDBPyConnection, call: dict[str, object]) -> None:
    answer = priced(warehouse, call)[0]
    assert (answer["priced_cost"], answer["cost"], answer["cost_basis"]) == (None, None, "unknown")


def test_embedding_without_output_is_priced(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {"provider": "openai", "model_raw": "text-embedding-3-large", "operation": "embeddings"}
    assert cost(warehouse, call | tokens(1000, 0, None)) == Decimal("0.00013")
    assert cost(warehouse, call | tokens(1000, 0, None) | {"processing": "batch"}) == Decimal("0.000065")


def test_self_hosted_tokens_are_paid_through_the_gpu_bill(warehouse: duckdb.DuckDBPyConnection) -> None:
    answer = priced(
        warehouse, {"provider": "hosted_vllm", "model_raw": "hosted_vllm/BAAI/bge-m3"} | tokens(1000, 5, 3)
    )[0]
    assert (answer["provider"], answer["model"]) == ("self-hosted", "baai/bge-m3")
    assert (answer["priced_cost"], answer["cost"], answer["cost_basis"]) == (0, 0, "priced")


@pytest.mark.parametrize(
    ("call", "prefer_reported", "expected"),
    [
        (KNOWN | {"reported_cost": Decimal("0.004")}, True, (Decimal("0.004"), "reported")),
        (KNOWN | {"reported_cost": Decimal("0.004")}, False, (PRICE, "priced")),
        (KNOWN | {"reported_cost": None}, True, (PRICE, "priced")),
        (KNOWN | {"reported_cost": 0}, True, (PRICE, "priced")),
        (KNOWN | {"model_raw": "nobody-knows", "reported_cost": Decimal("0.004")}, False, (Decimal("0.004"), "reported")),
        (KNOWN | tokens(None, 0, None) | {"status": "failure", "reported_cost": 0}, True, (Decimal(0), "reported")),
        (KNOWN | tokens(0, 0, 0) | {"status": "failure", "reported_cost": 0}, True, (Decimal(0), "reported")),
        (KNOWN | tokens(None, 0, None) | {"status": "failure"}, True, (None, "unknown")),
        (KNOWN | tokens(None, 0, None) | {"reported_cost": 0}, True, (None, "unknown")),
        (KNOWN | tokens(None, 0, None) | {"reported_cost": Decimal("0.01")}, True, (Decimal("0.01"), "reported")),
        (KNOWN | {"cache_hit": True, "reported_cost": Decimal("0.004")}, True, (Decimal(0), "reported")),
        (KNOWN | {"cache_hit": False}, True, (PRICE, "priced")),
    ],
)  # fmt: skip
def test_which_cost_counts(
    warehouse: duckdb.DuckDBPyConnection,
    call: dict[str, object],
    prefer_reported: bool,
    expected: tuple[Decimal | None, str],
) -> None:
    answer = priced(warehouse, call, configuration=Configuration(prefer_reported_cost=prefer_reported))[0]
    assert (answer["cost"], answer["cost_basis"]) == expected


def test_price_is_kept_beside_a_reported_cost(warehouse: duckdb.DuckDBPyConnection) -> None:
    answer = priced(warehouse, KNOWN | {"reported_cost": Decimal("0.004")})[0]
    assert (answer["priced_cost"], answer["price_id"]) == (PRICE, "genai-prices/openai/gpt-4o/standard/0@1970-01-01")


def test_article_book_only_when_asked(warehouse: duckdb.DuckDBPyConnection) -> None:
    call = {"provider": "openai", "model_raw": "gpt-4o", "started_at": datetime(2026, 3, 10)} | tokens(10**6, 0, 10**6)
    assert cost(warehouse, call) == Decimal("12.5")
    assert cost(warehouse, call, ARTICLE) == Decimal(20)
    assert cost(warehouse, call | {"model_raw": "gpt-5"}, ARTICLE) is None


def test_price_in_another_currency_prices_nothing(own_prices: duckdb.DuckDBPyConnection) -> None:
    add_prices(own_prices, OWN_BOOK, "openai", "gpt-4o", input="1", output="1")
    assert cost(own_prices, KNOWN, OWN_BOOK) == Decimal("0.0011")
    own_prices.execute("UPDATE prices SET currency = 'EUR' WHERE book = ?", [OWN_BOOK])
    assert cost(own_prices, KNOWN, OWN_BOOK) is None


def test_later_price_replaces_an_open_one(own_prices: duckdb.DuckDBPyConnection) -> None:
    add_prices(own_prices, OWN_BOOK, "openai", "gpt-4o", input="1", output="1")
    own_prices.execute(
        "INSERT INTO prices VALUES (?, 'openai', 'gpt-4o', 'input', 'standard', 0, 2, 'USD', '2026-10-01', '9999-12-31', 'x', 7)",
        [OWN_BOOK],
    )
    before, after = priced(own_prices, KNOWN | {"started_at": datetime(2026, 9, 30)}, KNOWN, book=OWN_BOOK)
    assert (before["priced_cost"], after["priced_cost"]) == (Decimal("0.0011"), Decimal("0.0021"))
    assert (before["price_id"], after["price_id"]) == (
        "test/openai/gpt-4o/standard/0@1970-01-01",
        "test/openai/gpt-4o/standard/0@2026-10-01",
    )


def test_price_per_request_is_added_once_per_call(own_prices: duckdb.DuckDBPyConnection) -> None:
    add_prices(own_prices, OWN_BOOK, "openai", "gpt-4o", input="1", output="1", request="5")
    assert cost(own_prices, KNOWN, OWN_BOOK) == Decimal("0.0011") + Decimal("0.005")


def test_contract_file_goes_before_every_book(tmp_path: Path) -> None:
    path = tmp_path / "agreed.csv"
    path.write_text(
        "provider,model,token_class,amount,valid_from,valid_to\n"
        "openai,openai/gpt-4o,input,2.00,2026-07-01,2026-12-31\nopenai,gpt-4o,output,8.00,2026-07-01,2026-12-31\n"
    )
    connection = duckdb.connect()
    connection.register("prices", _with_load_id(shipped_prices(Configuration(price_overrides=path))))
    june, july = priced(
        connection,
        KNOWN | {"started_at": datetime(2026, 6, 30, 23, 59, 59)},
        KNOWN | {"started_at": datetime(2026, 7, 1)},
    )
    assert (june["priced_cost"], july["priced_cost"]) == (PRICE, Decimal("0.0028"))
    assert july["price_id"] == "contract/openai/gpt-4o/standard/0@2026-07-01"
    assert read_price_file(path, "contract")[0][1] == "agreed.csv"


def _with_load_id(prices: pa.Table) -> pa.Table:
    return prices.append_column("load_id", pa.nulls(prices.num_rows, pa.int64()))


def test_unit_prices(warehouse: duckdb.DuckDBPyConnection) -> None:
    prices = unit_prices(warehouse, "prices", "anthropic", "claude-haiku-4-5-20251001", at=NOW)
    assert prices == {
        "input": 1, "cache_read": Decimal("0.1"), "cache_write_5m": Decimal("1.25"), "cache_write_1h": 2, "output": 5,
        "reasoning": 5, "audio_input": 1, "audio_output": 5,
    }  # fmt: skip
    gemini = [
        unit_prices(warehouse, "prices", "google", "gemini-2.5-pro", at=NOW, input_tokens=count)["input"]
        for count in (0, 200_000, 200_001)
    ]
    assert gemini == [Decimal("1.25"), Decimal("1.25"), Decimal("2.5")]
    assert unit_prices(warehouse, "prices", "openai", "no-such-model", at=NOW) == {}
    assert unit_prices(warehouse, "prices", "aws", "nova-pro", at=NOW, book=ARTICLE)["output"] == Decimal("3.2")
