"""The price books that come with the product or its configuration, as rows of `prices`.

contract         the file that `price_overrides` in the configuration names: what was agreed with a provider
percall          `data/prices/percall.csv`: history, batch prices and retired models that the catalogue does not have
genai-prices     the maintained catalogue (`warehouse.genai_book`)
article-2026-05  `data/prices/article-2026-05.csv`: the reference case's snapshot, undated, used only when asked for

A price file is CSV with the columns provider, model, token_class, amount and, where the default does not fit, book,
processing (standard), context_from (0), currency (USD), valid_from (always), valid_to (open; exclusive) and source (the
file's name). `amount` is per 1,000,000 tokens, for the class `request` per 1,000 calls. The model `*` is every model of
the provider. A later valid_from replaces an earlier price without its being closed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from warehouse.configuration import DATA
from warehouse.errors import InputError
from warehouse.genai_book import catalogue_source, genai_price_rows
from warehouse.models import canonical_provider, price_ids
from warehouse.rates import ANY_MODEL, BEGINNING, OPEN_END, PRICE_CLASSES, PriceRow

if TYPE_CHECKING:
    from warehouse.configuration import Configuration

PRICE_FILES = DATA / "prices"
ARTICLE = "article-2026-05"
CONTRACT = "contract"
OWN = "percall"

PRICES_SCHEMA = pa.schema(
    [
        ("book", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("token_class", pa.string()),
        ("processing", pa.string()),
        ("context_from", pa.int64()),
        ("amount", pa.decimal128(18, 10)),
        ("currency", pa.string()),
        ("valid_from", pa.timestamp("us")),
        ("valid_to", pa.timestamp("us")),
        ("source", pa.string()),
    ]
)
"""Columns of `prices` but for load_id, which shipped prices do not have."""

_REQUIRED = ("provider", "model", "token_class", "amount")
_AMOUNT_LIMIT = Decimal(10) ** 8
_PLACES = 10


def shipped_prices(configuration: Configuration) -> pa.Table:
    """Every price that does not come from a load: all books above, as a table of `PRICES_SCHEMA`.

    Raises InputError when the configured override file is missing or has an unusable row: a price that was agreed on must
    not be left out in silence.
    """
    parts = [_own_books(), _catalogue()]
    if configuration.price_overrides is not None:
        parts.append(_table(read_price_file(configuration.price_overrides, CONTRACT)))
    return pa.concat_tables(parts)


def read_price_file(path: Path, book: str) -> list[tuple[PriceRow, str]]:
    """The rows of a price file and each one's source. `book` is the book of rows that do not name one.

    Raises InputError naming the row and column at fault; a currency other than USD is refused: calls are priced in USD.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"a price file needs the column {missing[0]!r}", file=path.name)
            rows = [price_row(record, place, path.name, book) for place, record in enumerate(reader, start=1)]
    except FileNotFoundError as error:
        raise InputError("this price file does not exist; correct price_overrides", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text; save the price file as CSV in UTF-8", file=path.name) from error
    seen: dict[tuple[object, ...], int] = {}
    for place, (row, _) in enumerate(rows, start=1):
        key = (*row[:6], row.valid_from)
        if key in seen:
            raise InputError(
                f"a second price for what row {seen[key]} prices, from the same time; delete one",
                file=path.name,
                row=place,
            )
        seen[key] = place
    return rows


def price_row(record: Mapping[str, str | None], place: int, file: str, book: str) -> tuple[PriceRow, str]:
    """One record of a price file (column -> text) as a price, with names as calls have them, and its source.

    `place` is its number in the file, 1 for the first. Raises InputError naming the column at fault.
    """

    def fault(column: str, message: str) -> InputError:
        return InputError(message, file=file, row=place, column=column)

    def text(column: str, default: str = "") -> str:
        return (record.get(column) or "").strip() or default

    for column in _REQUIRED:
        if not text(column):
            raise fault(column, "empty; every price needs it")
    kind = text("token_class").lower()
    if kind not in PRICE_CLASSES:
        raise fault("token_class", f"{kind!r} is no token class; use one of {', '.join(PRICE_CLASSES)}")
    try:
        amount = Decimal(text("amount"))
        usable = amount.is_finite() and 0 <= amount < _AMOUNT_LIMIT and round(amount, _PLACES) == amount
    except InvalidOperation:
        usable = False
    if not usable:
        raise fault(
            "amount", f"{text('amount')!r} is no price; write a number from 0, with a point and at most ten decimals"
        )
    tier = text("context_from", "0")
    if not tier.isdecimal():
        raise fault("context_from", f"{tier!r} is no number of tokens")
    currency = text("currency", "USD").upper()
    if currency != "USD":
        raise fault("currency", f"{currency}: calls are priced in USD; give the price in USD")
    valid_from = _time(text("valid_from"), BEGINNING, lambda message: fault("valid_from", message))
    valid_to = _time(text("valid_to"), OPEN_END, lambda message: fault("valid_to", message))
    if valid_to <= valid_from:
        raise fault("valid_to", "not after valid_from; valid_to is the first moment at which the price no longer holds")
    provider = canonical_provider(text("provider"))
    if provider is None:
        raise fault("provider", f"{text('provider')!r} is a gateway; name the provider that is paid")
    model = text("model")
    row = PriceRow(
        text("book", book),
        provider,
        model if model == ANY_MODEL else price_ids(provider, model)[0],
        kind,
        text("processing", "standard").lower(),
        int(tier),
        amount,
        currency,
        valid_from,
        valid_to,
    )
    return row, text("source", file)


def _time(text: str, default: datetime, fault: Callable[[str], InputError]) -> datetime:
    if not text:
        return default
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise fault(f"{text!r} is no date; write 2026-05-01 or 2026-05-01T12:00:00Z (UTC)") from error
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


@lru_cache(maxsize=1)
def _own_books() -> pa.Table:
    return _table(row for name in (OWN, ARTICLE) for row in read_price_file(PRICE_FILES / f"{name}.csv", name))


@lru_cache(maxsize=1)
def _catalogue() -> pa.Table:
    source = catalogue_source()
    return _table((row, source) for row in genai_price_rows())


def _table(rows: Iterable[tuple[PriceRow, str]]) -> pa.Table:
    columns: Iterator[tuple[object, ...]] = zip(*((*row[:-1], source) for row, source in rows), strict=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, PRICES_SCHEMA, strict=False)]
    return pa.table(arrays, schema=PRICES_SCHEMA) if arrays else PRICES_SCHEMA.empty_table()
