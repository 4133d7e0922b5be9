"""What calls cost: against hand-computed cases, the catalogue's own arithmetic, and identities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.configuration import Configuration
from warehouse.price_books import ARTICLE, read_price_file, shipped_prices
from warehouse.pricing import price_staged_calls, unit_prices
from warehouse.pricing import priced as select
from warehouse.rates import CLASS_OF_COLUMN, GENAI_PRICES
from warehouse.schema import CALLS, PRICES

NOW = datetime(2026, 11, 1)
OWN_BOOK = "test"
CENT_OF_CENT = Decimal("0.0000000001")


@lru_cache(maxsize=1)
def _shipped() -> pa.Table:
    return shipped_prices(Configuration())


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute(PRICES.ddl("prices"))
    connection.register("shipped", _shipped())
    connection.execute("INSERT INTO prices BY NAME SELECT * FROM shipped")
    yield connection
    connection.close()


def stage(connection: duckdb.DuckDBPyConnection, *calls: dict[str, object]) -> None:
    connection.execute("DROP TABLE IF EXISTS staged")
    connection.execute(CALLS.ddl("staged"))
    for number, call in enumerate(calls):
        row = {
            "call_id": str(number),
            "source": "test",
            "started_at": NOW,
            "status": "success",
            "processing": "standard",
        } | call
        names = ", ".join(row)
        connection.execute(f"INSERT INTO staged ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def priced(
    connection: duckdb.DuckDBPyConnection,
    *calls: dict[str, object],
    book: str | None = None,
    configuration: Configuration | None = None,
) -> list[dict[str, object]]:
    stage(connection, *calls)
    price_staged_calls(connection, "staged", "prices", configuration or Configuration(), book)
    cursor = connection.execute(
        "SELECT provider, model, priced_cost, cost, cost_basis, price_id FROM staged ORDER BY call_id::BIGINT"
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def cost(connection: duckdb.DuckDBPyConnection, call: dict[str, object], book: str | None = None) -> Decimal | None:
    return priced(connection, call, book=book)[0]["priced_cost"]  # type: ignore[return-value]


def tokens(uncached: int | None = 0, read: int = 0, output: int | None = 0, **others: int) -> dict[str, object]:
    return {"uncached_input_tokens": uncached, "cache_read_tokens": read, "output_tokens": output, **others}


@pytest.fixture
def own_prices(warehouse: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, whose prices a test may add to; they are taken out again."""
    warehouse.execute("BEGIN")
    yield warehouse
    warehouse.execute("ROLLBACK")


def add_prices(connection: duckdb.DuckDBPyConnection, book: str, provider: str, model: str, **amounts: str) -> None:
    for kind, amount in amounts.items():
        connection.execute(
            "INSERT INTO prices VALUES (?, ?, ?, ?, 'standard', 0, ?, 'USD', '1970-01-01', '9999-12-31', 'test', NULL)",
            [book, provider, model, kind, Decimal(amount)],
        )


# Golden cases (money that other tools got wrong), and the cases in which two catalogues agreed to the last digit.


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


# What is unknown stays unknown.


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


# Which figure counts.

KNOWN = {"provider": "openai", "model_raw": "gpt-4o"} | tokens(1000, 0, 100)
PRICE = Decimal("0.0035")


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


# Books.


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


# Properties.

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
