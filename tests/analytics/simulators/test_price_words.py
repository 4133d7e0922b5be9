"""Prices in words, and routers on a file with them."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path

import pytest

from analytics.simulators.files_routing import simulate_routing_file
from analytics.simulators.price_words import price_in_words
from tests.analytics.simulators.samples import DATA, rows_of_file
from tests.operations.command import percall
from warehouse.configuration import Configuration
from warehouse.errors import InputError

GSM8K = DATA / "routing" / "gsm8k_gpt4_vs_mixtral.csv.gz"


def test_amounts_and_models() -> None:
    """gpt-4o-mini has cost 0.15 and 0.60 USD since it came out; gpt-4o 2.50 and 10 since October 2024."""
    at = datetime(2026, 3, 1)
    assert price_in_words("2.5/10", Configuration()) == (2.5, 10.0)
    assert price_in_words("openai/gpt-4o-mini", Configuration(), at) == (0.15, 0.6)
    assert price_in_words("gpt-4o", Configuration(), at) == (2.5, 10.0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [("2.5", "two amounts"), ("-1/2", "must not be negative"), ("nan/1", "must not be negative"), ("nobody/x", "no price book")],
)  # fmt: skip
def test_what_is_no_price(words: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        price_in_words(words, Configuration())


def test_the_published_bill_from_the_command_line(tmp_path: Path) -> None:
    """All prompts on the strong model at 2.50/10: 1.814835 USD; on the weak one at gpt-4o-mini's price: 0.0927273 USD. CPT is a share."""
    options = ("--input", str(GSM8K), "--strong", "2.5/10", "--weak", "gpt-4o-mini")
    answer = percall("simulate", "routing", *options, "--format", "json", store=tmp_path)
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["costs"]["strong"] == pytest.approx(1.814835, abs=1e-9)
    assert found["costs"]["weak"] == pytest.approx(0.0927273, abs=1e-9)
    assert round(found["cpt50"], 4) == 0.3680
    table = percall("simulate", "routing", *options, store=tmp_path)
    assert "cpt50                  36.80%" in table.out.decode()


def test_models_that_the_file_names(tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    rows = rows_of_file(GSM8K)[:10]
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, [*rows[0], "strong_model", "weak_model"])
        writer.writeheader()
        writer.writerows([row | {"strong_model": "big", "weak_model": "small"} for row in rows])
    prices = {"big": (1.0, 2.0), "small": (0.0, 1.0)}
    costs = simulate_routing_file(path, price_of=prices.__getitem__, draws=1)["costs"]
    tokens = [
        (int(row["prompt_tokens_cl100k"]), int(row["strong_out_tokens_cl100k"]), int(row["weak_out_tokens_cl100k"]))
        for row in rows
    ]
    assert costs["strong"] == pytest.approx(sum(one + 2 * two for one, two, _ in tokens) / 1e6)
    assert costs["weak"] == pytest.approx(sum(three for _, _, three in tokens) / 1e6)
    assert simulate_routing_file(path, draws=1)["costs"] is None


def test_why_costs_are_not_known(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("prompt,strong_correct,weak_correct\nhi,1,0\n", encoding="utf-8")
    both = simulate_routing_file(path, strong_price=(1.0, 1.0), weak_price=(0.0, 0.0), draws=1)
    assert any("token counts of every prompt" in note for note in both["notes"])
    one = simulate_routing_file(path, strong_price=(1.0, 1.0), draws=1)
    assert any("prices of both models" in note for note in one["notes"])
