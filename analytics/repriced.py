"""What the traced calls would have cost at other prices: at the books' prices of their own time, at one day's prices, or in a named book.

The ledger does not change: this is a view, worked out from tokens and the price books on request (`warehouse.repricing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from operator import add

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from analytics import formatting
from analytics.feature_detail import calls_between
from analytics.filters import Filters
from analytics.frames import Row, frame_of, name_order, rows_of
from analytics.kept_rows import kept_rows
from analytics.ratios import share
from warehouse.errors import InputError
from warehouse.rates import CLASS_OF_COLUMN
from warehouse.reader import Warehouse
from warehouse.repricing import input_tier, reprice

AT_THE_TIME = "at the time"
TODAY = "today"
CHOICES = (AT_THE_TIME, TODAY)
"""What can be chosen beside the names of the books."""

COLUMNS = (
    "provider",
    "model",
    "calls",
    "cost",
    "repriced",
    "difference",
    "change",
    "compared_calls",
    "not_compared_calls",
)

NEARLY_ALL = 0.05
"""Up to this share of calls without a comparison a sentence speaks of all calls."""

MOST_CHANGES = 200
"""With more changes of prices in a period than these, the calls of an hour are priced as at its beginning."""

_PLACES = Decimal("0.000000000001")


def books(warehouse: Warehouse) -> list[str]:
    """Names of the price books that the store knows, alphabetical."""
    prices = warehouse.table("prices")
    return [row["book"] for row in rows_of(warehouse, prices.select("book").distinct().order_by("book"))]


def repriced(
    warehouse: Warehouse, filters: Filters, choice: str = AT_THE_TIME, at: datetime | None = None
) -> pd.DataFrame:
    """Traced cost beside the same calls at other prices, by provider and model, the largest difference first; USD.

    `choice` is "at the time" (the books' prices when each call was made), "today" (the prices of `at`, UTC, for all calls; without it of
    the store's newest day) or the name of a book, whose prices of each call's time are used. Raises InputError for any other.

    Compared are the calls whose cost is known and whose other price is (`compared_calls`); the others are `not_compared_calls`: nothing is
    said about them. cost: what the compared calls cost as recorded; repriced: at the chosen prices; difference = repriced - cost;
    change = difference / cost. calls: all traced calls. The period and the filters apply as they do to calls.
    """
    if choice not in CHOICES and choice not in books(warehouse):
        raise InputError(f"there is no price book {choice!r}; choose {', '.join([*CHOICES, *books(warehouse)])}")
    if choice == TODAY and at is None:
        span = warehouse.span()
        at = datetime.combine(span[1] if span else filters.end, time(12))
    rows: dict[tuple[str | None, str | None], Row] = {}
    for row in _priced_anew(warehouse, filters, None if choice in CHOICES else choice, at if choice == TODAY else None):
        into = rows.setdefault((row["provider"], row["model"]), _nothing(row))
        into["calls"] += row["calls"]
        if row["cost"] is None or row["repriced_cost"] is None:
            into["not_compared_calls"] += row["calls"]
            continue
        into["compared_calls"] += row["calls"]
        into["cost"] = (into["cost"] or 0) + row["cost"]
        into["repriced"] = (into["repriced"] or 0) + row["repriced_cost"]
    for row in rows.values():
        if row["cost"] is None:
            continue
        row["repriced"] = row["repriced"].quantize(_PLACES)
        row["difference"] = row["repriced"] - row["cost"]
        row["change"] = share(row["difference"], row["cost"])
    ordered = sorted(
        rows.values(), key=lambda row: (row["cost"] is None, -abs(row.get("difference") or 0), -(row["cost"] or 0),
                                        name_order(row["provider"]), name_order(row["model"])),
    )  # fmt: skip
    return frame_of(ordered, COLUMNS)


@dataclass(frozen=True)
class Comparison:
    """The whole period at other prices: sums over the compared calls, USD, and how many calls are not compared."""

    cost: Decimal
    repriced: Decimal
    compared_calls: int
    not_compared_calls: int

    @property
    def difference(self) -> Decimal:
        """What the other prices would have added (below 0: saved)."""
        return self.repriced - self.cost


@dataclass(frozen=True)
class RepricedReport:
    """One comparison, worked out once: its table (`repriced`), its sums and its sentence."""

    table: pd.DataFrame
    whole: Comparison
    headline: str


def repriced_report(
    warehouse: Warehouse, filters: Filters, choice: str = AT_THE_TIME, at: datetime | None = None
) -> RepricedReport:
    """Everything that there is to say about the calls at other prices. Raises InputError as `repriced` does."""
    frame = repriced(warehouse, filters, choice, at)
    known = frame.loc[frame["cost"].notna()]
    whole = Comparison(
        sum(known["cost"], Decimal(0)), sum(known["repriced"], Decimal(0)),
        int(sum(frame["compared_calls"])), int(sum(frame["not_compared_calls"])),
    )  # fmt: skip
    names = {
        AT_THE_TIME: "at the books' prices of their day",
        TODAY: f"at the prices of {_day(warehouse, filters, at)}",
    }
    return RepricedReport(frame, whole, _headline(whole, names.get(choice, f"at the prices of {choice}")))


def _headline(whole: Comparison, other: str) -> str:
    """What the traced calls cost, and would have cost at the chosen prices, in one sentence."""
    if not whole.compared_calls:
        return "No traced call of this period can be priced by this book"
    calls = whole.compared_calls + whole.not_compared_calls
    who = "The traced calls"
    if whole.not_compared_calls > NEARLY_ALL * calls:
        who = f"{formatting.share(share(whole.compared_calls, calls))} of the traced calls can be compared: they"
    text = f"{who} cost {formatting.usd(whole.cost)}"
    if abs(whole.difference) < Decimal("0.005"):
        return f"{text}, and the same {other}"
    return f"{text}; {other} {formatting.usd(whole.repriced)} ({formatting.change(whole.repriced, whole.cost)})"


def _day(warehouse: Warehouse, filters: Filters, at: datetime | None) -> str:
    span = warehouse.span()
    day: date = at.date() if at else span[1] if span else filters.end
    return f"{day.day} {day:%B} {day.year}"


def _nothing(row: Row) -> Row:
    return {
        "provider": row["provider"], "model": row["model"], "calls": 0, "cost": None, "repriced": None,
        "compared_calls": 0, "not_compared_calls": 0,
    }  # fmt: skip


def _priced_anew(warehouse: Warehouse, filters: Filters, book: str | None, at: datetime | None) -> list[Row]:
    """Groups of like calls, each with its recorded and its new cost; None where one is not known."""
    calls = calls_between(warehouse, filters.without("currency"))
    prices = warehouse.arrow(warehouse.table("prices"))
    backend = ibis.duckdb.connect()
    try:
        backend.con.register("prices", prices)
        table = backend.table("prices")
        # The same groups for one day's prices, so that what is kept of a period serves every choice.
        since = _since(calls, prices, filters)
        # A request has the prices of its time and of its own tier: what is alike in both may be summed first.
        keyed = calls.mutate(
            since=since, classes=_classes(calls), input_tier=input_tier(calls, table), known=calls.cost.notnull(),
            used=calls.uncached_input_tokens.notnull(), wrote=calls.output_tokens.notnull(), hit=calls.cache_hit.fill_null(False),
        )  # fmt: skip
        keys = (
            "provider",
            "model",
            "processing",
            "operation",
            "since",
            "classes",
            "input_tier",
            "known",
            "used",
            "wrote",
            "hit",
        )
        sums = keyed.group_by(keys).agg(
            calls=keyed.count(), cost=keyed.cost.sum(), **{name: keyed[name].sum() for name in CLASS_OF_COLUMN}
        )
        groups = kept_rows(warehouse, "like-calls", sums, filters.start, filters.end)
        if not groups.num_rows:
            return []
        backend.con.register("calls", groups)
        stored = backend.table("calls")
        stored = stored.mutate(started_at=stored.since, cache_hit=stored.hit)
        rows: list[Row] = reprice(stored, table, book=book, at=at).to_pyarrow().to_pylist()
    finally:
        backend.disconnect()
    return rows


def _classes(calls: ir.Table) -> ir.IntegerValue:
    """Which classes of tokens a call has, as bits: where a book has no price for one of them, the cost of those calls alone is not known."""
    bits = (
        (calls[name].fill_null(0) != 0).ifelse(2**place, 0).cast("int64") for place, name in enumerate(CLASS_OF_COLUMN)
    )
    return reduce(add, bits)


def _since(calls: ir.Table, prices: pa.Table, filters: Filters) -> ir.TimestampValue:
    """The last moment up to each call at which any price began or ended to hold: between two of them all calls of a kind cost the same.

    Few moments lie in a period, where grouping by the hour made 22,000 groups of a month of 10 million calls, and took as long as the scan.
    """
    first = datetime.combine(filters.start - timedelta(days=2), time())
    last = datetime.combine(filters.end + timedelta(days=2), time())
    # Told apart by Arrow: ten thousand prices have a hundred moments, and becoming Python's took 40 ms.
    changes = {moment for name in ("valid_from", "valid_to") for moment in prices[name].unique().to_pylist()}
    moments = sorted(moment for moment in changes if moment is not None and first < moment < last)
    if len(moments) > MOST_CHANGES:
        return calls.started_at.truncate("h")
    branches = [(calls.started_at >= moment, ibis.literal(moment)) for moment in reversed([first, *moments])]
    return ibis.cases(*branches, else_=ibis.literal(first))
