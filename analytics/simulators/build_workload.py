"""From the warehouse to the calls that a what-if replays, without a Python loop over calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analytics.feature_detail import calls_between
from analytics.filters import Filters
from analytics.simulators.heavy_columns import KEYS, NUMBERS, HeavyColumns
from analytics.simulators.heavy_loader import HeavyLoader, numbers_of
from analytics.simulators.sampling import Sampling, calibrate, plan_sample
from analytics.simulators.window import Window
from analytics.simulators.workload import CODED, Workload
from analytics.simulators.workload_parts import WorkloadParts
from analytics.totals import filtered_calls
from warehouse.errors import InputError, StoreError
from warehouse.pricing import NO_OUTPUT_OPERATIONS
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

LIMIT = 10_000_000
"""Calls that are held one by one; of more, a stratified sample is."""

KIND = (
    "provider",
    "model",
    "operation",
    "processing",
    "status",
    "cache_hit",
    "project",
    "feature",
    "team",
    "env",
    "user_tier",
)
"""What is the same for many calls: read as one number per call, and looked up in a small table of kinds."""


def build_workload(
    warehouse: Warehouse,
    filters: Filters,
    *,
    columns: tuple[str, ...] = (),
    limit: int = LIMIT,
    may_be_empty: bool = False,
) -> Workload:
    """The calls of the period that pass the filters, in order of time.

    `columns` names heavy columns to load at once (those of `heavy_columns`); all others are loaded when a lever asks. More than `limit` calls become
    a sample: stratified by day, feature and model, drawn by the hash of the call id, so that the same calls are drawn every time. Its sums of
    cost are exact per stratum; what a lever changes in them has the error `Workload.sampling_error`.

    A filter on the service means the model, one on the currency leaves USD: calls have no others. Raises InputError when no call passes the
    filters, unless the workload `may_be_empty`.
    """
    parts = read_parts(warehouse, filters, limit=limit, may_be_empty=may_be_empty)
    heavy = heavy_columns_of(warehouse, filters, parts, limit=limit)
    for name in columns:
        _load(heavy, name)
    return parts.workload(heavy)


def read_parts(
    warehouse: Warehouse, filters: Filters, *, limit: int = LIMIT, may_be_empty: bool = False
) -> WorkloadParts:
    """What `build_workload` makes its workload of. Raises as it does."""
    filters = call_filters(filters)
    counted = filtered_calls(warehouse, filters)
    population = int(warehouse.row(counted.agg(calls=counted.calls.sum().fill_null(0)))["calls"])
    if not population and not may_be_empty:
        raise InputError("no call of this period passes the filters: choose other days or fewer filters")
    sampling = plan_sample(warehouse, counted, limit) if population > limit else None
    calls = _held(warehouse, filters, sampling)
    table = warehouse.arrow(calls.select(**_selected(calls, _unused_classes(warehouse, counted))))
    parts = _parts(warehouse, table, window_of(warehouse, filters))
    if sampling is None:
        return parts
    return replace(parts, calibration=calibrate(parts.workload(HeavyColumns(table.num_rows)), sampling, population))


def heavy_columns_of(
    warehouse: Warehouse, filters: Filters, parts: WorkloadParts, *, limit: int = LIMIT
) -> HeavyColumns:
    """The heavy columns of the calls of these parts, of the same filters and limit."""

    def calls() -> ir.Table:
        chosen = call_filters(filters)
        counted = filtered_calls(warehouse, chosen)
        return _held(warehouse, chosen, plan_sample(warehouse, counted, limit) if parts.calibration else None)

    return HeavyColumns(len(parts.started_at), HeavyLoader(warehouse, calls, parts.started_at, parts.order))


def _held(warehouse: Warehouse, filters: Filters, sampling: Sampling | None) -> ir.Table:
    calls = calls_between(warehouse, filters)
    if sampling is not None:
        calls = sampling.drawn(calls)
    return calls.order_by(*warehouse.reading_order) if warehouse.reading_order else calls


def call_filters(filters: Filters) -> Filters:
    """The filters as calls can answer them: by model for a service, without the currency where it is USD."""
    chosen = dict(filters.where)
    if "USD" in chosen.get("currency", ("USD",)):
        chosen.pop("currency", None)
    if "service" in chosen and "model" not in chosen:
        chosen["model"] = chosen.pop("service")
    return Filters(filters.start, filters.end, tuple(chosen.items()), filters.basis, filters.grain)


def window_of(warehouse: Warehouse, filters: Filters) -> Window:
    """The period, without days before the first and after the last of all data: they would thin out the month."""
    days, lines = warehouse.table("calls_daily"), warehouse.table("charges_daily")
    whole = warehouse.row(days.agg(first=days.date.min(), last=days.date.max()))
    billed = warehouse.row(lines.agg(first=lines.date.min(), last=ibis.greatest(lines.date, lines.covered_to).max()))
    known = [row for row in (whole, billed) if row["first"] is not None]
    first = max([filters.start, *([min(row["first"] for row in known)] if known else [])])
    last = min([filters.end, *([max(row["last"] for row in known)] if known else [])])
    if last < first:
        first, last = filters.start, filters.end
    return Window(first, last, warehouse.configuration.reporting_time_zone)


def _unused_classes(warehouse: Warehouse, counted: ir.Table) -> tuple[str, ...]:
    sums = warehouse.row(counted.agg(**{name: counted[name].sum().fill_null(0) for name in TOKEN_CLASSES}))
    return tuple(name for name in TOKEN_CLASSES if not sums[name])


def kind_of(table: ir.Table) -> ir.IntegerValue:
    """One number per combination of the columns `KIND`."""
    return ibis.struct({name: table[name] for name in KIND}).hash()


def _selected(calls: ir.Table, unused: tuple[str, ...]) -> dict[str, ir.Value]:
    no_output = calls.operation.isin(NO_OUTPUT_OPERATIONS).fill_null(False)
    return {
        "started_at": calls.started_at,
        "kind": kind_of(calls),
        "user": calls.user_id.notnull().ifelse(calls.user_id.hash(), ibis.null("int64")),
        "cost": calls.cost.cast("float64"),
        "has_usage": calls.uncached_input_tokens.notnull() & (calls.output_tokens.notnull() | no_output),
    } | {name: ibis.greatest(calls[name].fill_null(0), 0).cast("int32") for name in TOKEN_CLASSES if name not in unused}


def _parts(warehouse: Warehouse, table: pa.Table, window: Window) -> WorkloadParts:
    started = numbers_of(table, "started_at", "int64")
    order = None if (started[1:] >= started[:-1]).all() else np.argsort(started, kind="stable")

    def ordered(values: NDArray[Any]) -> NDArray[Any]:
        return values if order is None else values[order]

    kind = pc.dictionary_encode(table["kind"]).combine_chunks()
    kinds = _kinds(warehouse, kind.dictionary.to_pylist())
    models = tuple(dict.fromkeys((row["provider"], row["model"]) for row in kinds))
    names = {name: tuple(sorted({str(row[name]) for row in kinds if row[name] is not None})) for name in CODED}
    for needed in ("standard", "batch"):
        if needed not in names["processing"]:
            names["processing"] = (*names["processing"], needed)
    codes = {name: np.array([_code(row, name, names[name]) for row in kinds]) for name in CODED}
    user = pc.dictionary_encode(table["user"]).combine_chunks().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    has_usage = ordered(numbers_of(table, "has_usage", "bool"))
    used = [name for name in TOKEN_CLASSES if name in table.column_names]
    return WorkloadParts(
        window=window,
        models=models,
        names=names,
        codes={name: each.astype(_code_type(names[name])) for name, each in codes.items()},
        models_of_kinds=np.array([models.index((row["provider"], row["model"])) for row in kinds], dtype=np.int16),
        hits=np.array([bool(row["cache_hit"]) for row in kinds], dtype=bool),
        started_at=ordered(started),
        order=order,
        kind=ordered(np.asarray(kind.indices.to_numpy(zero_copy_only=False))),
        user=ordered(user).astype(np.int32),
        tokens={name: np.where(has_usage, ordered(numbers_of(table, name, "int32")), np.int32(0)) for name in used},
        has_usage=has_usage,
        cost=ordered(numbers_of(table, "cost", "float64")),
    )


def _kinds(warehouse: Warehouse, wanted: list[int]) -> list[dict[str, Any]]:
    daily = warehouse.table("calls_daily")
    distinct = daily.select(*KIND).distinct()
    rows = warehouse.arrow(distinct.mutate(kind=kind_of(distinct))).to_pylist()
    by_number = {row["kind"]: row for row in rows}
    try:
        return [by_number[number] for number in wanted]
    except KeyError:
        raise StoreError(
            "the roll-ups of this store do not match its calls: load a file again to rebuild them"
        ) from None


def _code(row: dict[str, Any], name: str, names: tuple[str, ...]) -> int:
    value = row[name]
    if value is None:
        return names.index("standard") if name == "processing" else -1
    return names.index(value)


def _code_type(names: tuple[str, ...]) -> type[np.signedinteger]:
    return np.int16 if len(names) < 2**15 else np.int32


def _load(heavy: HeavyColumns, name: str) -> None:
    if name == "prefix_blocks":
        heavy.prefix_blocks()
    elif name == "text":
        heavy.texts()
    elif name in NUMBERS:
        heavy.numbers(name)
    elif name in KEYS:
        heavy.keys(name)
    else:
        heavy.coded(name)
