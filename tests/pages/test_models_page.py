"""The models page on the demo company and on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.product import open_product, words

PAGE = "inform/models.py"


def test_models_of_may(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE)
    assert "# gpt-4o-2024-05-13 is 87% of the cost of models on 30% of the calls; a million tokens cost" in words(app)
    frame = app.dataframe[0].value
    assert float(frame["cost"].sum()) == pytest.approx(6100)
    assert "cache_read_tokens" in frame
    assert "audio_input_tokens" not in frame
    unpriced = frame[frame["model"] == "acme-rerank-preview"]
    assert unpriced["cost"].isna().all()
    assert (unpriced["unpriced_calls"] > 100).all()
    assert unpriced["unpriced_calls"].tolist() == unpriced["calls"].tolist()


def test_a_filter_narrows_calls_tokens_and_cost(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, model="gpt-4o-mini")
    assert app.dataframe[0].value["model"].tolist() == ["gpt-4o-mini"]


def test_an_empty_store_says_what_to_load(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing has been loaded yet" in words(open_product(monkeypatch, empty_store, PAGE))
