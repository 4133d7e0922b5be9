"""List prices from Google's Cloud Catalog, by Google's own client from a service on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.live import gcp_catalog
from tests.connectors.live.loopback import Asked, Reply, loopback
from tests.connectors.live.stored import Sync, rows, settings_of
from warehouse.errors import SourceError

D = Decimal
NOW = datetime(2026, 3, 20, 9)


def sku(
    description: str, nanos: int, units: int = 0, number: str = "", since: str = "2026-01-01T00:00:00Z", **more: Any
) -> dict[str, Any]:
    """A SKU as the REST interface writes it."""
    rates = [{"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": str(units), "nanos": nanos}}]
    expression = {
        "usageUnit": more.get("unit", "count"),
        "displayQuantity": 1_000_000,
        "tieredRates": more.get("rates", rates),
    }
    return {
        "name": "services/C7E2-9256-1C43/skus/X", "skuId": number or f"{sum(map(ord, description)):04d}-0000-0000", "description": description,
        "category": {"serviceDisplayName": "Vertex AI", "usageType": more.get("usage_type", "OnDemand")},
        "serviceRegions": more.get("regions", ["global"]),
        "pricingInfo": [{"effectiveTime": since, "pricingExpression": expression}],
    }  # fmt: skip


class Catalog:
    """The service's list of SKUs, three to a page."""

    def __init__(self, *skus: dict[str, Any]) -> None:
        self.skus = list(skus)
        self.faults: list[Reply] = []

    def __call__(self, asked: Asked) -> Reply:
        if self.faults:
            return self.faults.pop(0)
        assert asked.path == "/v1/services/C7E2-9256-1C43/skus"
        assert asked.one("currencyCode") == "USD"
        start = int(asked.one("pageToken") or 0)
        more = {"nextPageToken": str(start + 3)} if start + 3 < len(self.skus) else {}
        return Reply({"skus": self.skus[start : start + 3], **more})


@contextmanager
def syncing(api: Catalog, tmp_path: Path, **options: Any) -> Iterator[Sync]:
    with loopback(api) as service:
        settings = settings_of("gcp-catalog", api_endpoint=service.url, timeout=3, **options)
        yield Sync(tmp_path / "store", settings, tmp_path / "fetched")


def book(store: Path, name: str = "gcp-catalog") -> dict[tuple[Any, ...], Decimal]:
    keys = ("model", "token_class", "processing", "context_from")
    return {tuple(row[key] for key in keys): row["amount"] for row in rows(store, "prices") if row["book"] == name}


def test_a_book_of_exact_prices_from_every_page(tmp_path: Path) -> None:
    # Figures of Vertex AI's price list: 0.30, 2.50 and 0.03 USD per million tokens of Gemini 2.5 Flash; Pro 1.25, above 200k 2.50.
    api = Catalog(
        sku("Gemini 2.5 Flash GA Text Input - Predictions", 300),
        sku("Gemini 2.5 Flash GA Text Output - Predictions", 2_500),
        sku("Gemini 2.5 Flash GA Thinking Text Output - Predictions", 2_500),
        sku(" Gemini 2.5 Flash GA Input Text Caching", 30),
        sku("Gemini 2.5 Flash GA Audio Input - Predictions", 1_000),
        sku("Gemini 2.5 Pro Text Input - Predictions", 1_250),
        sku("Gemini 2.5 Pro Text Input (Long) - Predictions", 2_500),
        sku("Gemini 2.5 Pro Text Input - Batch Predictions", 625),
        sku("Gemini 2.5 Pro Text Output (Long & Standard) - Predictions", 15_000),
        sku("Claude Opus 4.5 Cache Write (1h)", 10_000),
    )
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        assert book(sync.store) == {
            ("gemini-2.5-flash", "input", "standard", 0): D("0.3"),
            ("gemini-2.5-flash", "output", "standard", 0): D("2.5"),
            ("gemini-2.5-flash", "reasoning", "standard", 0): D("2.5"),
            ("gemini-2.5-flash", "cache_read", "standard", 0): D("0.03"),
            ("gemini-2.5-flash", "audio_input", "standard", 0): D(1),
            ("gemini-2.5-pro", "input", "standard", 0): D("1.25"),
            ("gemini-2.5-pro", "input", "standard", 200_000): D("2.5"),
            ("gemini-2.5-pro", "input", "batch", 0): D("0.625"),
            ("gemini-2.5-pro", "output", "standard", 0): D(15),
            ("gemini-2.5-pro", "output", "standard", 200_000): D(15),
            ("claude-opus-4-5", "cache_write_1h", "standard", 0): D(10),
        }
        assert sync.batches[0].notes == []


def test_a_price_that_changes_becomes_a_further_row(tmp_path: Path) -> None:
    api = Catalog(sku("Gemini 2.5 Flash GA Text Input - Predictions", 300))
    with syncing(api, tmp_path, book="contract") as sync:
        sync.run(NOW)
        api.skus = [sku("Gemini 2.5 Flash GA Text Input - Predictions", 200, since="2026-03-15T00:00:00Z")]
        sync.run(NOW)
        sync.run(NOW)
        found = sorted(
            (row["valid_from"], row["amount"]) for row in rows(sync.store, "prices") if row["book"] == "contract"
        )
        assert found == [(datetime(2026, 1, 1), D("0.3")), (datetime(2026, 3, 15), D("0.2"))]


def test_what_is_not_understood_is_listed_and_never_guessed(tmp_path: Path) -> None:
    steps = [
        {"startUsageAmount": start, "unitPrice": {"currencyCode": "USD", "units": "0", "nanos": nanos}}
        for start, nanos in ((0, 100), (1e6, 80))
    ]
    api = Catalog(
        sku("Vertex AI Online Prediction N1 core", 0, 1),
        sku("Gemini 1.5 Flash Text Input - Predictions", 18, unit="k{char}.1"),
        sku("Gemini 2.5 Flash GA Video Input - Predictions", 300),
        sku("Gemini 2.5 Flash Caching Storage", 1_000),
        sku("Gemini 2.5 Pro Text Input - Predictions", 1_250, usage_type="Commit1Yr"),
        sku("Llama 4 Scout Input Tokens", 100, rates=steps),
        sku("Claude Haiku 4.5 Input Tokens", 1_000, regions=["us-east5"]),
        sku("Claude Haiku 4.5 - Input Tokens", 1_100, regions=["europe-west1"]),
    )
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        assert sync.batches[0].paths == []
        notes = "\n".join(sync.batches[0].notes)
        for reason in ("no model is named", "not by tokens, but by k{char}.1", "(video)", "(storage)", "a commitment", "in steps of volume",
                       "they contradict each other about claude-haiku-4-5 input standard: Claude Haiku 4.5 - Input Tokens (1.100"):  # fmt: skip
            assert reason in notes


def test_general_availability_and_the_worldwide_price_come_first(tmp_path: Path) -> None:
    api = Catalog(
        sku("Gemini 2.5 Flash Text Input - Predictions", 150),
        sku("Gemini 2.5 Flash GA Text Input - Predictions", 300, regions=["global"]),
        sku("Gemini 2.5 Flash GA Text Input - Predictions EU", 330, regions=["europe-west4"]),
    )
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        assert book(sync.store) == {("gemini-2.5-flash", "input", "standard", 0): D("0.3")}


def test_faults(tmp_path: Path) -> None:
    api = Catalog(sku("Gemini 2.5 Flash GA Text Input - Predictions", 300))
    api.faults = [Reply({"error": {"code": 503, "message": "later", "status": "UNAVAILABLE"}}, 503)]
    with syncing(api, tmp_path) as sync:
        assert [finding.level for finding in gcp_catalog.check(sync.settings)] == ["fine"]
        disabled = {
            "error": {
                "code": 403,
                "message": "Cloud Billing API has not been used in project 1",
                "status": "PERMISSION_DENIED",
            }
        }
        api.faults = [Reply(disabled, 403)] * 2
        (finding,) = gcp_catalog.check(sync.settings)
        assert finding.level == "problem"
        assert "gcloud services enable cloudbilling.googleapis.com" in finding.remedy
        with pytest.raises(SourceError, match="the Cloud Billing API enabled"):
            sync.run(NOW)
