"""The price books: that every shipped row is usable, says where it comes from, and that bad files are refused in words."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow.compute as pc
import pytest

from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.models import canonical_model
from warehouse.price_books import ARTICLE, PRICE_FILES, read_price_file, shipped_prices
from warehouse.rates import ANY_MODEL, GENAI_PRICES, PRICE_CLASSES
from warehouse.schema import PRICES


def rows() -> list[dict[str, object]]:
    return shipped_prices(Configuration()).to_pylist()


def test_columns_are_those_of_prices() -> None:
    assert (*shipped_prices(Configuration()).column_names, "load_id") == PRICES.names


def test_no_two_prices_of_the_same_thing_hold_at_once() -> None:
    spans: dict[tuple[object, ...], list[tuple[datetime, datetime]]] = {}
    for row in rows():
        key = tuple(row[name] for name in ("book", "provider", "model", "token_class", "processing", "context_from"))
        spans.setdefault(key, []).append((row["valid_from"], row["valid_to"]))  # type: ignore[arg-type]
    overlapping = [key for key, found in spans.items() if any(a[1] > b[0] for a, b in pairwise(sorted(found)))]
    assert overlapping == []
    assert len(spans) > 5000


def test_every_price_is_usable_and_says_where_it_comes_from() -> None:
    for row in rows():
        assert row["source"], row
        assert row["token_class"] in PRICE_CLASSES, row
        assert row["amount"] >= 0, row  # type: ignore[operator]
        assert row["currency"] == "USD", row
        assert row["valid_from"] < row["valid_to"], row  # type: ignore[operator]


@pytest.mark.parametrize("path", sorted(PRICE_FILES.glob("*.csv")), ids=lambda path: path.stem)
def test_own_files_name_models_as_calls_do(path: Path) -> None:
    found = read_price_file(path, path.stem)
    assert {row.book for row, _ in found} == {path.stem}
    for row, _ in found:
        if row.model != ANY_MODEL and row.model != "gpt-4o-2024-08-06":
            assert canonical_model(row.provider, row.model) == (row.provider, row.model)


def test_article_is_the_snapshot_of_the_reference_case() -> None:
    found = {
        (row["model"], row["token_class"]): row["amount"]
        for row in rows()
        if row["book"] == ARTICLE and row["processing"] == "standard"
    }
    expected = {
        "gpt-4o": ("5", "15"), "gpt-4o-mini": ("0.15", "0.60"), "o1": ("15", "60"), "claude-haiku-4-5": ("0.25", "1.25"),
        "claude-sonnet-4-5": ("3", "15"), "gemini-1.5-flash": ("0.075", "0.30"), "gemini-1.5-pro": ("3.50", "10.50"),
        "nova-pro": ("0.80", "3.20"),
    }  # fmt: skip
    for model, (inward, outward) in expected.items():
        assert found[(model, "input")] == Decimal(inward)
        assert found[(model, "output")] == Decimal(outward)
    assert found[("text-embedding-3-large", "input")] == Decimal("0.13")


def test_batch_is_half_wherever_we_say_so_ourselves() -> None:
    standard = {
        (row["provider"], row["model"], row["token_class"], row["context_from"]): row["amount"]
        for row in rows()
        if row["processing"] == "standard" and row["book"] == GENAI_PRICES and row["valid_to"] == datetime(9999, 12, 31)
    }
    checked = 0
    for row in rows():
        key = (row["provider"], row["model"], row["token_class"], row["context_from"])
        launch_price = row["model"] == "gpt-4o" and row["valid_to"] == datetime(2024, 10, 2)
        ours = row["book"] == "percall" and row["processing"] == "batch" and row["token_class"] in {"input", "output"}
        if ours and key in standard and not launch_price:
            assert row["amount"] * 2 == standard[key], row  # type: ignore[operator]
            checked += 1
    assert checked > 50


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    return path


HEADER = "provider,model,token_class,amount,currency,valid_from,valid_to,context_from\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("openai,gpt-4o,input,,USD,,,", "row 1, column amount: empty"),
        ("openai,gpt-4o,prompt,2,USD,,,", "column token_class: 'prompt' is no token class"),
        ("openai,gpt-4o,input,two,USD,,,", "column amount: 'two' is no price"),
        ("openai,gpt-4o,input,-1,USD,,,", "column amount"),
        ("openai,gpt-4o,input,NaN,USD,,,", "column amount"),
        ('openai,gpt-4o,input,"2,50",USD,,,', "column amount"),
        ("openai,gpt-4o,input,0.00000000001,USD,,,", "column amount"),
        ("openai,gpt-4o,input,2,EUR,,,", "column currency: EUR"),
        ("openai,gpt-4o,input,2,USD,01/02/2026,,", "column valid_from: '01/02/2026' is no date"),
        ("openai,gpt-4o,input,2,USD,2026-02-01,2026-02-01,", "column valid_to: not after valid_from"),
        ("openai,gpt-4o,input,2,USD,,,many", "column context_from"),
        ("litellm,gpt-4o,input,2,USD,,,", "column provider: 'litellm' is a gateway"),
        (
            "openai,gpt-4o,input,2,USD,,,\nopenai,openai/gpt-4o,input,3,USD,,,",
            "row 2: a second price for what row 1 prices",
        ),
    ],
)
def test_unusable_rows_are_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_price_file(write(tmp_path, HEADER + line + "\n"), "contract")
    assert words in str(caught.value)


def test_missing_column_and_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the column 'amount'"):
        read_price_file(write(tmp_path, "provider,model,token_class\n"), "contract")
    with pytest.raises(InputError, match="does not exist"):
        shipped_prices(Configuration(price_overrides=tmp_path / "none.csv"))


def test_times_with_a_zone_are_turned_to_utc(tmp_path: Path) -> None:
    line = "bedrock,us.amazon.nova-pro-v1:0,input,0.7,USD,2026-05-01T07:00:00+07:00,,\n"
    ((row, source),) = read_price_file(write(tmp_path, HEADER + line), "contract")
    assert (row.provider, row.model, row.valid_from, source) == ("aws", "nova-pro", datetime(2026, 5, 1), "prices.csv")


def test_overrides_come_on_top(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "openai,gpt-4o,input,2,USD,,,\n")
    with_contract = shipped_prices(Configuration(price_overrides=path))
    assert with_contract.num_rows == shipped_prices(Configuration()).num_rows + 1
    assert pc.sum(pc.equal(with_contract["book"], "contract")).as_py() == 1
