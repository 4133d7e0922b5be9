"""What tokens cost, as arrays: the price of any call at any model, at the call's own time, without asking the warehouse again.

Rates follow the rules of `warehouse.rates` (books in order, dated validity, context tiers). One row is the price of one token of each class for
a model, a processing, a span of time and a context tier. Two rules are the simulators' own:

* A call made before a model's first known price is priced at that first price: what-ifs may send old calls to a new model.
* A model without a price for cache reads or writes charges them as plain input, as providers without that discount do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.window import EPOCH
from warehouse.errors import InputError
from warehouse.models import canonical_model, price_ids
from warehouse.rates import (
    BEGINNING,
    BOOK_ORDER,
    CLASS_OF_COLUMN,
    INPUT_COLUMNS,
    OPEN_END,
    PRICE_CLASSES,
    PriceRow,
    RateKey,
    resolve,
)

if TYPE_CHECKING:
    from analytics.simulators.workload import Workload
    from warehouse.reader import Warehouse

TOKEN_COLUMNS = tuple(CLASS_OF_COLUMN)
CLASS_PLACE = {kind: place for place, kind in enumerate(PRICE_CLASSES)}
Model = tuple[str | None, str | None]
_BLOCK = 1 << 17
_OPEN_END = (OPEN_END - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, eq=False)
class Rates:
    """Prices of `models` (index = model code) in `processings` (index = processing code).

    units: USD per token (last column: per call), float64 [row, class in the order of `PRICE_CLASSES`]; NaN: no price. `first` and `count`
    [model, processing]: the rows of a pair, in order of time and tier; count 0: no price at all. valid_from and valid_to: microseconds since
    1970; above and up_to: for calls whose whole input is more than `above` and at most `up_to` tokens. price_ids: where each row is from.
    """

    models: tuple[Model, ...]
    processings: tuple[str, ...]
    first: NDArray[np.int32]
    count: NDArray[np.int32]
    valid_from: NDArray[np.int64]
    valid_to: NDArray[np.int64]
    above: NDArray[np.int64]
    up_to: NDArray[np.int64]
    units: NDArray[np.float64]
    price_ids: tuple[str, ...]
    book: str | None = None
    price_rows: Sequence[PriceRow] = field(default=(), repr=False)

    def of(self, models: Sequence[Model], processings: Sequence[str]) -> Rates:
        """The same books' prices for other models and processings."""
        wanted = tuple(models), tuple(processings)
        if wanted == (self.models, self.processings):
            return self
        return rates_from_rows(self.price_rows, *wanted, self.book)

    def units_at(self, model: int, processing: int = 0, *, at: datetime, input_tokens: int = 0) -> NDArray[np.float64]:
        """USD per token of each class (`PRICE_CLASSES`) of one model at one time: for formulas and labels. NaN: no price."""
        moment = np.array([(at - EPOCH) // timedelta(microseconds=1)])
        row = self.rows(np.array([model]), np.array([processing]), moment, np.array([input_tokens]))[0]
        return self.units[row] if row >= 0 else np.full(len(PRICE_CLASSES), np.nan)

    def table(self, processing: int = 0, *, at: datetime) -> NDArray[np.float64]:
        """USD per token [model, class] of all models at one time, in the lowest context tier."""
        return np.array([self.units_at(model, processing, at=at) for model in range(len(self.models))])

    @cached_property
    def _always_one(self) -> NDArray[np.bool_]:
        """Pairs [model, processing] with no price, or one that holds for ever and for every size: nothing to choose."""
        if not len(self.units):
            return np.ones(self.count.shape, dtype=bool)
        forever = (self.valid_to >= _OPEN_END) & (self.above < 0)
        return (self.count == 0) | ((self.count == 1) & forever[self.first])

    def rows(
        self, model: NDArray, processing: NDArray, started_at: NDArray[np.int64], input_tokens: NDArray
    ) -> NDArray[np.int64]:
        """Which row of `units` prices each call; -1: none."""
        found = self.first[model, processing].astype(np.int64)
        several = ~self._always_one[model, processing]
        if not several.any():
            return found
        pair = model.astype(np.int64) * len(self.processings) + processing
        for value in np.unique(pair[several]):
            at = np.flatnonzero(pair == value)
            first, count = (int(array.reshape(-1)[value]) for array in (self.first, self.count))
            moments, sizes = started_at[at], input_tokens[at]
            # Before the first price, the first; after the last, none.
            moments = np.maximum(moments, self.valid_from[first : first + count].min())
            rows = np.full(len(at), -1, dtype=np.int64)
            for row in range(first, first + count):
                fits = (moments >= self.valid_from[row]) & (moments < self.valid_to[row])
                rows[fits & (sizes > self.above[row]) & (sizes <= self.up_to[row])] = row
            found[at] = rows
        return found

    def priced(self, workload: Workload, at: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """List price in USD of the calls (all, or those at the places `at`); NaN: no price for what they use, or no usage known."""
        places = np.arange(len(workload)) if at is None else at
        total = np.empty(len(places))
        # In blocks that stay in the processor's cache: twice as fast as over all calls at once.
        for start in range(0, len(places), _BLOCK):
            total[start : start + _BLOCK] = self._priced(workload, places[start : start + _BLOCK])
        return total

    def _priced(self, workload: Workload, at: NDArray[np.int64]) -> NDArray[np.float64]:
        used = {
            kind: tokens[at]
            for column, kind in CLASS_OF_COLUMN.items()
            if (tokens := getattr(workload, column)).strides != (0,) or tokens[:1].any()
        }
        size = np.zeros(len(at), dtype=np.int64)
        for column in INPUT_COLUMNS:
            size += used.get(CLASS_OF_COLUMN[column], 0)
        rows = self.rows(workload.model[at], workload.processing[at], workload.started_at[at], size)
        if not len(self.units):
            return np.full(len(at), np.nan)
        total = np.nan_to_num(self.units[:, CLASS_PLACE["request"]], nan=0.0)[rows]
        for kind, tokens in used.items():
            total += np.where(tokens == 0, 0.0, self.units[:, CLASS_PLACE[kind]][rows] * tokens)
        total[(rows < 0) | ~workload.has_usage[at]] = np.nan
        return total

    def repriced(self, before: Workload, after: Workload, at: NDArray[np.int64]) -> tuple[NDArray[np.float64], int]:
        """New cost of the changed calls at the places `at`, and how many of them had to keep their logged cost.

        The rules are those of `analytics.simulators.workload`. Raises InputError, naming the model, where a call is sent to a model or processing
        that has no price for it.
        """
        rates = self.of(after.models, after.names["processing"])
        old, new, logged = rates.priced(before, at), rates.priced(after, at), before.cost[at]
        moved = (before.model[at] != after.model[at]) | (before.processing[at] != after.processing[at])
        missing = np.isnan(new) & moved & ~np.isnan(logged)
        if missing.any():
            call = at[np.flatnonzero(missing)[0]]
            provider, model = after.models[int(after.model[call])]
            processing = after.names["processing"][int(after.processing[call])]
            raise InputError(
                f"{model} of {provider or 'an unknown provider'} has no {processing} price for these calls: "
                "add one (`percall load prices FILE`) or choose another model"
            )
        kept = np.isnan(new) & ~np.isnan(logged)
        providers = np.array([_code(provider, after.models) for provider, _ in after.models])
        same_provider = providers[before.model[at]] == providers[after.model[at]]
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = np.where(same_provider & (old > 0), logged * (new / old), new)
        return np.where(kept | np.isnan(logged), logged, cost), int(kept.sum())


def _code(provider: str | None, models: tuple[Model, ...]) -> int:
    return next(place for place, (who, _) in enumerate(models) if who == provider)


def read_rates(
    warehouse: Warehouse,
    models: Sequence[Model],
    processings: Sequence[str] = ("standard", "batch"),
    *,
    book: str | None = None,
) -> Rates:
    """Prices from the store's books (all in their order, or one `book`) for these models and processings."""
    return rates_from_rows(read_price_rows(warehouse, book), models, processings, book)


def read_price_rows(warehouse: Warehouse, book: str | None = None) -> tuple[PriceRow, ...]:
    """The prices in USD of the store's books, or of one. Raises InputError where there is no such book."""
    prices = warehouse.table("prices")
    prices = prices.filter(prices.currency == "USD")
    if book is not None:
        prices = prices.filter(prices.book == book)
    found = warehouse.arrow(prices.select(*PriceRow._fields))
    if book is not None and not found.num_rows:
        raise InputError(f"there is no price book {book!r}")
    # By columns: a dictionary for each of ten thousand rows takes three times as long.
    columns = {name: found[name].to_pylist() for name in PriceRow._fields}
    columns["context_from"] = [each or 0 for each in columns["context_from"]]
    return tuple(map(PriceRow._make, zip(*columns.values(), strict=True)))


class PriceRows(Sequence[PriceRow]):
    """Prices that are read when somebody looks at them: most what-ifs only need those of the models in use."""

    def __init__(self, read: Callable[[], tuple[PriceRow, ...]]) -> None:
        self._read = read

    @cached_property
    def _rows(self) -> tuple[PriceRow, ...]:
        return self._read()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        return self._rows[place]

    def __iter__(self) -> Iterator[PriceRow]:
        return iter(self._rows)


def rates_from_rows(
    rows: Sequence[PriceRow], models: Sequence[Model], processings: Sequence[str], book: str | None = None
) -> Rates:
    """Prices from rows of `prices` for these models and processings, `units` in the order of `PRICE_CLASSES`."""
    pairs = [(provider, model, processing) for provider, model in models for processing in processings]
    keys = [RateKey(provider, () if model is None else _ids(provider, model), kind) for provider, model, kind in pairs]
    wanted = {(key.provider, model) for key in keys for model in (*key.models, "*")}
    relevant = [row for row in rows if (row.provider, row.model) in wanted]
    table = resolve(relevant, keys, BOOK_ORDER if book is None else (book,))
    order = np.lexsort((_int(table, "above"), _int(table, "valid_from"), _int(table, "key")))
    key = _int(table, "key")[order]
    units = np.array(
        [
            [np.nan if value is None else float(value) for value in table[f"unit_{kind}"].to_pylist()]
            for kind in PRICE_CLASSES
        ]
    ).T.reshape(-1, len(PRICE_CLASSES))[order]
    count = np.bincount(key, minlength=len(keys))
    first = np.where(count > 0, np.cumsum(count) - count, -1)
    shape = (len(models), len(processings))
    ids = table["price_id"].to_pylist()
    return Rates(
        models=tuple(models),
        processings=tuple(processings),
        first=first.reshape(shape).astype(np.int32),
        count=count.reshape(shape).astype(np.int32),
        valid_from=_int(table, "valid_from")[order],
        valid_to=_int(table, "valid_to")[order],
        above=_int(table, "above")[order],
        up_to=_int(table, "up_to")[order],
        units=_plain_input_for_missing_cache(units),
        price_ids=tuple(ids[place] for place in order),
        book=book,
        price_rows=rows if isinstance(rows, PriceRows) else tuple(rows),
    )


def find_model(name: str) -> Model:
    """Provider and model from what a person writes: "openai/gpt-4o-mini", "gpt-4o-mini", "anthropic/claude-haiku-4-5"."""
    return canonical_model(None, name)


def _ids(provider: str | None, model: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((model, *price_ids(provider, model))))


def _int(table: object, name: str) -> NDArray[np.int64]:
    column = table[name]  # type: ignore[index]
    return np.asarray(column.cast("int64").to_numpy(), dtype=np.int64)


def _plain_input_for_missing_cache(units: NDArray[np.float64]) -> NDArray[np.float64]:
    units = units.copy()
    for kind in ("cache_read", "cache_write_5m", "cache_write_1h"):
        place = CLASS_PLACE[kind]
        units[:, place] = np.where(np.isnan(units[:, place]), units[:, CLASS_PLACE["input"]], units[:, place])
    return units


def with_price(rates: Rates, model: Model, processing: str = "standard", **per_million: float) -> Rates:
    """The rates where one model has other prices, in USD per 1,000,000 tokens by class (`input=`, `output=`, ...), for all time: a what-if price.

    Raises InputError for a negative price or an unknown class.
    """
    if set(per_million) - set(PRICE_CLASSES) or any(not price >= 0 for price in per_million.values()):
        raise InputError(f"prices must be numbers that are not negative, for classes of {', '.join(PRICE_CLASSES)}")
    rows = tuple(row for row in rates.price_rows if (row.provider, row.model, row.processing) != (*model, processing))
    provider, name = model
    what_if = tuple(
        PriceRow(
            "contract",
            provider or "",
            name or "",
            kind,
            processing,
            0,
            Decimal(repr(price)),
            "USD",
            BEGINNING,
            OPEN_END,
        )
        for kind, price in per_million.items()
    )
    return rates_from_rows((*rows, *what_if), rates.models, rates.processings)
