"""Google's Cloud Catalog: list prices of the models on Vertex AI, as a dated price book.

The catalogue shows the price of now and since when it holds; a price that changes becomes a further row with a later valid_from, and the earlier
one stays. `gcp-catalog` is a book of its own, chosen by name; with `book = "contract"` calls are priced by it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.live import google_access
from connectors.live.gcp_sku_prices import Sku, SkuPrice, prices_of, sentences
from connectors.live.pieces import piece_path
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window, problem
from warehouse.errors import InputError, SourceError

KIND = "gcp-catalog"
TITLE = "Google Cloud Catalog: list prices of models"
VERTEX_AI = "C7E2-9256-1C43"
OPTIONS: Sequence[Option] = (
    Option("services", "services whose SKUs are read (default: Vertex AI)", f'["{VERTEX_AI}"]', default=[VERTEX_AI], form="texts"),
    Option("book", "price book that the prices go into", '"gcp-catalog"', default="gcp-catalog"),
    google_access.CREDENTIALS,
    google_access.ENDPOINT,
    google_access.TIMEOUT,
)  # fmt: skip
SCOPES = ("https://www.googleapis.com/auth/cloud-billing.readonly",)
_GRANT = (
    "the Cloud Billing API enabled in the project of the credentials; prices themselves are public and need no role"
)
_COLUMNS = (
    "book",
    "provider",
    "model",
    "token_class",
    "processing",
    "context_from",
    "amount",
    "currency",
    "valid_from",
    "source",
)


def permissions(settings: SourceSettings) -> str:  # noqa: ARG001 - every source takes them
    """What must be enabled."""
    return (
        "  gcloud services enable cloudbilling.googleapis.com\n\n"
        "Any credentials of that project will do: the prices are public, and no role on a billing account is needed."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Asks each service for its first SKUs."""
    for service in settings.options["services"]:
        try:
            first = next(iter(_skus(settings, service, page_size=1)), None)
            if first is None:
                yield Finding(
                    "warning", service, "there are no SKUs of this service", "Look at its id: cloud.google.com/skus."
                )
            else:
                yield Finding("fine", service, "prices can be read")
        except (SourceError, InputError) as error:
            yield problem(service, error, permissions(settings))
            if isinstance(error, SourceError) and error.retry:
                return  # nobody answers: the rest would be told the same


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:  # noqa: ARG001 - as every source
    """One line for each service."""
    for service in settings.options["services"]:
        yield Planned(f"SKUs of service {service}", str(settings.options["book"]), 1, reason="prices of now")


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """The whole book."""
    skus: list[Sku] = []
    for service in settings.options["services"]:
        progress(f"reading SKUs of {service}", None)
        skus += _skus(settings, service)
    prices, left = prices_of(skus)
    paths = (
        [_write(piece_path(folder, settings, "prices", "csv"), prices, str(settings.options["book"]))] if prices else []
    )
    state = {"read_until": window.now.isoformat(), "skus": len(skus)}
    yield Batch(
        paths,
        dict(position) | state,
        "prices",
        on_overlap="pieces",
        what=f"{len(prices)} prices",
        notes=sentences(left),
    )


def _skus(settings: SourceSettings, service: str, page_size: int = 5_000) -> Iterator[Sku]:
    """The SKUs of a service with their newest price in USD. Raises SourceError."""
    from google.api_core.exceptions import ServiceUnavailable, TooManyRequests
    from google.api_core.retry import Retry, if_exception_type
    from google.cloud import billing_v1

    endpoint = settings.options.get("api_endpoint")
    client = billing_v1.CloudCatalogClient(
        credentials=google_access.credentials(settings, SCOPES),
        transport="rest",
        client_options={"api_endpoint": endpoint} if endpoint else None,
    )
    seconds = float(settings.options["timeout"])
    retry = Retry(if_exception_type(ServiceUnavailable, TooManyRequests), initial=1, maximum=20, timeout=seconds)
    request = billing_v1.ListSkusRequest(parent=f"services/{service}", page_size=page_size, currency_code="USD")
    try:
        for sku in client.list_skus(request=request, retry=retry, timeout=seconds):
            found = _sku(sku)
            if found is not None:
                yield found
    except GeneratorExit:
        raise
    except Exception as error:
        raise google_access.failure(settings, f"the SKUs of service {service}", error, _GRANT) from error


def _sku(sku: Any) -> Sku | None:
    """A SKU as it is read here; None for one without a price in USD."""
    newest = max(
        sku.pricing_info, key=lambda info: info.effective_time.timestamp() if info.effective_time else 0, default=None
    )
    if newest is None or newest.effective_time is None:
        return None
    expression = newest.pricing_expression
    rates = expression.tiered_rates
    if not rates or any(rate.unit_price.currency_code not in ("", "USD") for rate in rates):
        return None
    moment = datetime.fromtimestamp(newest.effective_time.timestamp(), UTC).replace(tzinfo=None)
    return Sku(
        sku.sku_id,
        sku.description,
        sku.category.usage_type or "OnDemand",
        tuple(sku.service_regions),
        expression.usage_unit,
        tuple(
            (Decimal(str(rate.start_usage_amount)), int(rate.unit_price.units), int(rate.unit_price.nanos))
            for rate in rates
        ),
        moment,
    )


def _write(path: Path, prices: Sequence[SkuPrice], book: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        for price in prices:
            model, kind, processing, context = price.key
            source = f"Google Cloud Catalog, SKU {price.sku.sku_id}"
            valid_from = f"{price.sku.valid_from:%Y-%m-%dT%H:%M:%SZ}"
            writer.writerow(
                [book, "google", model, kind, processing, context, f"{price.amount:f}", "USD", valid_from, source]
            )
    return path
