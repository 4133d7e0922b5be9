"""Parts of their own that lever pages have: revenue and prices, growth, calibration, GPUs, own models, labelled texts; and where waste leads to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analytics.waste_kinds import KINDS
from pages._registry import REGISTRY
from tests.analytics.simulators.samples import banking_stream
from tests.pages.product import open_product, words

MARCH = {"period": "March 2026"}


def test_every_finding_of_waste_leads_to_a_page() -> None:
    assert {kind.lever for kind in KINDS} <= {entry.url_path for entry in REGISTRY}


def test_switching_off_shows_what_is_lost_and_other_prices(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """March's free tier of product_description: 48,837 calls that cost 2,120.14 USD and earn 1,074.41 USD, by the demo's own margins."""
    app = open_product(
        monkeypatch, demo_store, "optimize/switching_off.py", **MARCH, off_features=["product_description"], off_tiers=["free"]
    )  # fmt: skip
    text = words(app)
    assert not app.error
    assert "These calls earn $1,074 a month" in text
    labels = [(metric.label, metric.value) for metric in app.metric]
    assert ("Saving", "$2,120") in labels
    assert ("Revenue lost", "$1,074") in labels
    assert ("Left over more than today", "+$1,046") in labels
    assert "At +20% for product_description, free: between" in text
    assert "Its calls cost more than they would earn: everybody who leaves is a gain." in text
    app.slider(key="price_change").set_value(0).run()
    assert "At +0% for product_description, free: between $0 and $0 a month" in words(app)


def test_growth_shows_what_calls_earn(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(
        monkeypatch, demo_store, "optimize/volume.py", **MARCH, volume_features=["summarize"], volume_growth="+100%"
    )
    assert not app.error
    text = words(app)
    assert "Calls of summarize at +100% would cost $" in text
    # Twice as many: its calls' cost of 19,763.80 USD and its revenue of 7,840.00 USD again.
    values = {metric.label: metric.value for metric in app.metric}
    assert (values["More cost"], values["More revenue"]) == ("$19,764", "$7,840")
    next(one for one in app.toggle if "tables" in one.label).set_value(True).run()
    assert "it only counts more often" in words(app)


def test_prompt_caching_is_calibrated_before_any_what_if(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, "optimize/prompt_caching.py", period="April 2026")
    assert [each.value.replace("\\", "") for each in app.success] == [
        "Calibrated within 0.0%: the replay finds 247,468,032 of the 247,468,032 tokens that were read from caches."
    ]
    assert "Prefixes worth marking" in words(app)
    march = open_product(monkeypatch, demo_store, "optimize/prompt_caching.py", **MARCH)
    assert any(
        "Not calibrated: no call with a known prefix read from a prompt cache" in each.value.replace("\\", "")
        for each in march.info
    )


def test_gpus_of_two_kinds_move_one_by_one(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, "optimize/gpus.py", period="April 2026")
    assert not app.error
    assert app.selectbox(key="gpu_of").value == "A100-40GB"
    assert "Other GPUs under this setting" in words(app)


def test_own_models_say_when_they_pay(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(open_product(monkeypatch, demo_store, "optimize/own_models.py", **MARCH))
    assert "When it pays.** These calls cost 5.59 USD per 1M tokens" in text
    assert re.search(r"How many run\.\*\* \d+ replicas? in (every hour|the busiest hour) of the period", text)
    assert "Replicas for a target of latency" in text


def test_labelled_texts_along_the_threshold(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, "optimize/semantic_cache.py")
    rows = banking_stream()[:400]
    lines = "\n".join(f'"{row["text"]}",{row["category"]}' for row in rows if '"' not in row["text"])
    app.file_uploader(key="cache_upload").set_value(
        ("texts.csv", f"text,answer_id\n{lines}\n".encode(), "text/csv")
    ).run()
    text = words(app)
    assert not app.exception
    assert "calls, replayed in order; at 0.70, " in text
    app.file_uploader(key="cache_upload").set_value(
        ("pairs.csv", b"text_a,text_b,same\npay now,pay now!,1\npay,hours,0\n", "text/csv")
    ).run()
    assert "2 judged pairs, 1 of them the same" in words(app)
    app.file_uploader(key="cache_upload").set_value(("bad.csv", b"question\nx\n", "text/csv")).run()
    assert "the column text is missing" in words(app)


def test_a_file_of_prompts_judges_a_router(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, "optimize/routing.py")
    body = "prompt,strong_correct,weak_correct\n" + "".join(f"{'x' * n},1,{int(n < 6)}\n" for n in range(1, 11))
    app.file_uploader(key="routing_upload_0").set_value(("ten.csv", body.encode(), "text/csv")).run()
    text = words(app)
    assert not app.exception
    # Half of ten prompts is routed, the shorter ones, and of those the target answers all rightly.
    assert "Quality, from 10 prompts of ten.csv" in text
    values = {metric.label: metric.value for metric in app.metric}
    assert (values["Answers that get worse"], values["Of the gap recovered"]) == ("0%", "100%")
    assert "ten.csv: 10 judged prompts." in text
