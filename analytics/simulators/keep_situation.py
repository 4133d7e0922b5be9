"""The situation of a period as pages ask for it again and again, in every process: made once, then read from disk in milliseconds.

Three things are kept (`warehouse.prepared`), each found only while it is what would be made now:

* the calls (`WorkloadParts`), by the fact files of their months, the virtual tags, the filters and the days. They are 40 bytes each, and only turned
  into what levers act on when a lever that was not prepared asks;
* what is paid beside them, the prices and the factors to what is billed (`_Period`), by all fact files, price books, rates of exchange and settings;
* the sums that levers prepared (`analytics.simulators.slider.kept_for_good`), by both: a load of another month, which changes neither the calls nor
  what is paid for this one, makes none of it anew.

Measured at ten million calls, three million of them in the month, in seconds of CPU of a page's script (`benchmarks.pages`): another month's
prompt caching takes 3.2 when nothing is kept and 0.03 when it is, own models 1.2 and 0.06; after a start 4.7 and 0.15, 2.2 and 0.15. At a hundred
million calls, of which a sample of ten million of the month is held: 15.6 and 0.04, 12.8 and 0.05; after a start 16.0 and 0.16, 12.9 and 0.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analytics.filters import Filters
from analytics.simulators.build_situation import billed, build_situation, read_utilization, situation_of
from analytics.simulators.build_workload import LIMIT, call_filters, heavy_columns_of, read_parts, window_of
from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.lasting import Lasting
from analytics.simulators.plain_values import packed, unpacked
from analytics.simulators.rates_table import PriceRows, Rates, read_price_rows
from analytics.simulators.situation import Situation
from analytics.simulators.window import EPOCH, Window
from analytics.simulators.workload import Workload
from analytics.simulators.workload_parts import WorkloadParts
from warehouse.prepared import Needs, catalogues, prepared
from warehouse.reader import Warehouse

LEAST_CALLS = 200_000
"""Of fewer calls everything is worked out as quickly as it would be read."""

_CALLS, _PERIOD = "what-if-calls", "what-if-period"


@dataclass(frozen=True, eq=False)
class _Period:
    """What a situation has beside its calls. rates: without the books' rows, which are read when somebody asks for other models. made_of: a digest
    of all of it."""

    window: Window
    factors: NDArray[np.float64] | None
    infrastructure: Infrastructure
    notes: tuple[str, ...]
    rates: Rates
    made_of: str


def kept_situation(
    warehouse: Warehouse, filters: Filters, *, limit: int = LIMIT, least: int = LEAST_CALLS
) -> Situation:
    """`build_situation` of these filters, to the last bit, read from what was kept where there is any. Raises as it does.

    Of months with fewer than `least` calls, and on an engine, nothing is kept.
    """
    if not worth_keeping(warehouse, filters, least):
        return build_situation(warehouse, filters, limit=limit)
    made: list[Situation] = []

    def make() -> dict[str, pa.Table]:
        window = window_of(warehouse, call_filters(filters))
        parts = _parts(warehouse, filters, window, limit)
        workload = parts.workload(heavy_columns_of(warehouse, filters, parts, limit=limit))
        situation, factors = situation_of(warehouse, filters, workload)
        made.append(situation)
        utilization = read_utilization(warehouse, window)
        period = _Period(
            window=window,
            factors=factors,
            infrastructure=situation.infrastructure,
            notes=situation.notes,
            rates=replace(situation.rates, price_rows=()),
            made_of=_made_of(situation, factors, utilization),
        )
        return {"period": packed(period), "utilization": utilization}

    found = prepared(warehouse, _PERIOD, _period_needs(warehouse, filters, limit), make)
    period: _Period = unpacked(found["period"])
    situation = made[0] if made else _situation(warehouse, filters, period, found["utilization"], limit)
    needs = _calls_needs(filters, period.window, limit)
    situation.memo.lasting = Lasting(
        warehouse,
        replace(needs, inputs=(*needs.inputs, period.made_of, catalogues())),
        situation.workload.stamp,
        situation.rates,
        situation.infrastructure,
    )
    return situation


def _situation(warehouse: Warehouse, filters: Filters, period: _Period, utilization: pa.Table, limit: int) -> Situation:
    parts = _parts(warehouse, filters, period.window, limit)
    heavy = heavy_columns_of(warehouse, filters, parts, limit=limit)

    def as_billed(workload: Workload) -> Workload:
        return billed(workload, period.factors)

    return Situation(
        workload=parts.later(heavy, as_billed),
        rates=replace(period.rates, price_rows=PriceRows(lambda: read_price_rows(warehouse))),
        infrastructure=period.infrastructure,
        utilization=utilization.to_pandas(),
        notes=period.notes,
    )


def _parts(warehouse: Warehouse, filters: Filters, window: Window, limit: int) -> WorkloadParts:
    needs = _calls_needs(filters, window, limit)

    def make() -> dict[str, pa.Table]:
        return {"calls": packed(read_parts(warehouse, filters, limit=limit, may_be_empty=True).narrow())}

    parts: WorkloadParts = unpacked(prepared(warehouse, _CALLS, needs, make)["calls"])
    return parts


def worth_keeping(warehouse: Warehouse, filters: Filters, least: int = LEAST_CALLS) -> bool:
    """Whether the months of the period hold so many calls that their situation is kept."""
    snapshot = warehouse.snapshot
    if snapshot is None or not warehouse.keeps_prepared:
        return False
    first, last = f"{filters.start:%Y-%m}", f"{filters.end:%Y-%m}"
    return sum(file.rows for file in snapshot.of("calls") if first <= file.month <= last) >= least


def _calls_needs(filters: Filters, window: Window, limit: int) -> Needs:
    """What the calls of a period are made of, on whatever basis it is looked at: of the months, in UTC, in which it begins and ends."""
    chosen = call_filters(filters)
    midnights = Window(filters.start, filters.end, window.zone).midnights
    first, last = (EPOCH + timedelta(microseconds=int(each)) for each in (midnights[0], midnights[-1] - 1))
    return Needs(
        facts=("calls", "call_texts"),
        first=first.date(),
        last=last.date(),
        inputs=(repr((chosen.start, chosen.end, chosen.where)), repr(window), str(limit)),
    )


def _period_needs(warehouse: Warehouse, filters: Filters, limit: int) -> Needs:
    # Digested: a configuration may hold what is not to be written down.
    settings = hashlib.sha256(repr(warehouse.configuration).encode()).hexdigest() + catalogues()
    return Needs(
        facts=("calls", "call_texts", "charges", "utilization"),
        contents=("prices", "fx_rates"),
        inputs=(repr(replace(filters, grain="day")), str(limit), settings),
    )


def _made_of(situation: Situation, factors: NDArray[np.float64] | None, utilization: pa.Table) -> str:
    """A digest of all that a situation has beside its calls as logged."""
    digest = hashlib.sha256(repr((situation.notes, situation.rates.models, situation.rates.processings)).encode())
    digest.update(b"" if factors is None else factors.tobytes())
    for line in situation.infrastructure.lines:
        said = (
            line.category,
            line.service,
            line.resource,
            line.hours,
            line.provider,
            line.feature,
            line.kind,
            line.model,
        )
        digest.update(repr(said).encode() + line.daily.tobytes())
    prices: Sequence[object] = situation.rates.price_rows
    digest.update(repr(sorted(map(repr, prices))).encode())
    digest.update(utilization.to_pandas().to_csv().encode())
    return digest.hexdigest()
