"""Why a bill and the traces differ: what a day's gap is made of, each part by a counterfactual that can be worked out again.

A *cell* is one day, token class and processing of one model. With b, t = billed and traced tokens of a cell, r = the bill's price of a token
(its amount / its tokens; the book's price where the bill tells no tokens, which are then amount / price), p = the book's price of that day:

    billed - estimated  =  sum (b - t) r  +  sum t (r - p)  +  (sum t p - estimated)

The first term is tokens, the other two are prices. Tokens are explained in this order, and what one step takes the next does not see:

    unpriced          traced calls whose cost is not known, up to what the bill has more: had they been priced as billed
    retries_failures  traced tokens of failed calls, up to what the bill has less: had they not been counted
    batch_or_tier     tokens that the bill has more in one processing and less in another of the same class: had they been traced there
    token_class       the same between the input classes (plain, cache read, cache write): had they been traced in the bill's class
    day_boundary      the same between two days that follow each other, within a class: had they been dated as billed
    missing_calls     tokens that are billed and were never traced; tokens that were traced and not billed stay unexplained

A price difference is batch_or_tier where one price is the book's for another processing or context tier, price_date where it is
the book's of another time, both within `TOLERANCE`; any other price (a discount that no contract in the books tells) stays unexplained.
Everything is worked out by day and by whole months, so that days sum to months.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

TOLERANCE = Decimal("0.005")
"""Two prices are the same when they differ by less than this share."""

INPUT_CLASSES = ("input", "cache_read", "cache_write")
TOKEN_CLASSES = (*INPUT_CLASSES, "output")

CellKey = tuple[str, str]
"""Token class and processing."""

Named = tuple[str, Decimal]
"""A cause, and the price (or cost) that would show it."""


@dataclass
class Cell:
    """One day, token class and processing of one model: what was billed and what was traced. Prices are USD per token."""

    amount: Decimal = Decimal(0)
    billed_tokens: Decimal | None = Decimal(0)
    """None: the bill tells no tokens."""
    traced_tokens: Decimal = Decimal(0)
    """Of calls with a known cost, failed ones included."""
    failed_tokens: Decimal = Decimal(0)
    unpriced_tokens: Decimal = Decimal(0)
    price: Decimal | None = None
    other_prices: tuple[Named, ...] = ()

    @property
    def rate(self) -> Decimal | None:
        """The bill's price of a token, else the book's; None: neither is known."""
        return self.amount / self.billed_tokens if self.billed_tokens else self.price

    @property
    def is_usable(self) -> bool:
        """Whether what it holds can be told in tokens."""
        empty = not (self.amount or self.billed_tokens or self.traced_tokens or self.unpriced_tokens)
        if empty:
            return True
        if self.rate is None or self.amount < 0:
            return False
        # An amount without a single token, or at a price of 0, is no number of tokens times a price.
        return not self.amount or (self.billed_tokens != 0 and self.rate != 0)


@dataclass
class Day:
    """One day of one model: its cells, and the cost that the traces recorded with what they would have recorded at other prices."""

    cells: dict[CellKey, Cell] = field(default_factory=dict)
    estimated: Decimal = Decimal(0)
    at_book_price: Decimal | None = None
    """The traced tokens at the book's prices of the day; None: not known."""
    at_other_prices: tuple[Named, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether all its cells are."""
        return all(cell.is_usable for cell in self.cells.values())


def explain(days: Mapping[date, Day]) -> dict[date, dict[str, Decimal]]:
    """Causes by day, without what stays unexplained: the day's gap less their sum. All days must be usable."""
    causes: dict[date, dict[str, Decimal]] = {day: defaultdict(Decimal) for day in days}
    left: dict[date, dict[CellKey, Decimal]] = {}
    for day, facts in days.items():
        _prices(facts, causes[day])
        left[day] = _tokens(facts, causes[day])
    _boundaries(days, left, causes)
    for day, rest in left.items():
        for key, tokens in rest.items():
            if tokens > 0:
                causes[day]["missing_calls"] += tokens * _rate(days[day], key)
    return causes


def _rate(day: Day, key: CellKey) -> Decimal:
    return day.cells[key].rate or Decimal(0)


def _same(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= TOLERANCE * abs(other)


def _cause_of(actual: Decimal, usual: Decimal, others: Iterable[Named]) -> str | None:
    """Which known price explains that `actual` is not `usual`; None: no difference, or none that is known."""
    if actual == usual:
        return None
    return next((cause for cause, price in others if _same(actual, price) and not _same(price, usual)), None)


def _prices(day: Day, causes: dict[str, Decimal]) -> None:
    for cell in day.cells.values():
        rate, price = cell.rate, cell.price
        if rate is not None and price is not None and cell.traced_tokens:
            cause = _cause_of(rate, price, cell.other_prices)
            if cause:
                causes[cause] += cell.traced_tokens * (rate - price)
    if day.at_book_price is not None:
        cause = _cause_of(day.estimated, day.at_book_price, day.at_other_prices)
        if cause:
            causes[cause] += day.at_book_price - day.estimated


def _tokens(day: Day, causes: dict[str, Decimal]) -> dict[CellKey, Decimal]:
    """Explain a day's own differences in tokens; answers with what is left by cell (more than 0: billed and not traced)."""
    left: dict[CellKey, Decimal] = {}
    for key, cell in day.cells.items():
        rate = cell.rate or Decimal(0)
        billed = cell.billed_tokens if cell.billed_tokens is not None else (cell.amount / rate if rate else Decimal(0))
        more = billed - cell.traced_tokens
        known = min(cell.unpriced_tokens, max(more, Decimal(0)))
        failed = min(cell.failed_tokens, max(-more, Decimal(0)))
        causes["unpriced"] += known * rate
        causes["retries_failures"] -= failed * rate
        left[key] = more - known + failed
    for kind in TOKEN_CLASSES:
        causes["batch_or_tier"] += _moved(day, left, [key for key in left if key[0] == kind])
    causes["token_class"] += _moved(day, left, [key for key in left if key[0] in INPUT_CLASSES])
    return left


def _moved(day: Day, left: dict[CellKey, Decimal], keys: list[CellKey]) -> Decimal:
    """Take away the tokens that some of these cells have too many of and others too few; what the move is worth."""
    more, fewer = [key for key in keys if left[key] > 0], [key for key in keys if left[key] < 0]
    tokens = min(sum((left[key] for key in more), Decimal(0)), -sum((left[key] for key in fewer), Decimal(0)))
    if tokens <= 0:
        return Decimal(0)
    worth = Decimal(0)
    for side in (more, fewer):
        whole = abs(sum((left[key] for key in side), Decimal(0)))
        for key in side:
            part = left[key] if tokens == whole else left[key] * tokens / whole
            worth += part * _rate(day, key)
            left[key] -= part
    return worth


def _boundaries(
    days: Mapping[date, Day],
    left: dict[date, dict[CellKey, Decimal]],
    causes: dict[date, dict[str, Decimal]],
) -> None:
    """Match what two days that follow each other have too many and too few of: within each month first, then across its edges."""
    pairs = [(day, day + timedelta(days=1)) for day in sorted(days) if day + timedelta(days=1) in days]
    for inside in (True, False):
        for first, second in pairs:
            if (first.month == second.month) is not inside:
                continue
            for key in left[first].keys() & left[second].keys():
                here, there = left[first][key], left[second][key]
                if here * there >= 0:
                    continue
                tokens = min(abs(here), abs(there)).copy_sign(here)
                for day, part in ((first, tokens), (second, -tokens)):
                    causes[day]["day_boundary"] += part * _rate(days[day], key)
                    left[day][key] -= part
