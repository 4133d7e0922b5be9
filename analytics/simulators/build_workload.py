"""From the warehouse to the calls that a what-if replays, without a Python loop over calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analytics.feature_detail import calls_between
from analytics.filters import Filters
from analytics.simulators.heavy_columns import KEYS, NUMBERS, Coded, HeavyColumns, Lists
from analytics.simulators.sampling import calibrated, plan_sample
from analytics.simulators.stored_vectors import stored_vectors
from analytics.simulators.window import EPOCH, Window
from analytics.simulators.workload import CODED, Workload
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
    filters = call_filters(filters)
    counted = filtered_calls(warehouse, filters)
    population = int(warehouse.row(counted.agg(calls=counted.calls.sum().fill_null(0)))["calls"])
    if not population and not may_be_empty:
        raise InputError("no call of this period passes the filters: choose other days or fewer filters")
    sampling = plan_sample(warehouse, counted, limit) if population > limit else None
    calls = calls_between(warehouse, filters)
    if sampling is not None:
        calls = sampling.drawn(calls)
    if warehouse.reading_order:
        calls = calls.order_by(*warehouse.reading_order)
    unused = _unused_classes(warehouse, counted)
    table = warehouse.arrow(calls.select(**_selected(calls, unused)))
    started = _numbers(table, "started_at", "int64")
    order = None if (started[1:] >= started[:-1]).all() else np.argsort(started, kind="stable")
    heavy = HeavyColumns(len(started), _Loader(warehouse, calls, started, order))
    workload = _workload(warehouse, table, _window(warehouse, filters), order, heavy)
    for name in columns:
        _load(heavy, name)
    return workload if sampling is None else calibrated(workload, sampling, population)


def call_filters(filters: Filters) -> Filters:
    """The filters as calls can answer them: by model for a service, without the currency where it is USD."""
    chosen = dict(filters.where)
    if "USD" in chosen.get("currency", ("USD",)):
        chosen.pop("currency", None)
    if "service" in chosen and "model" not in chosen:
        chosen["model"] = chosen.pop("service")
    return Filters(filters.start, filters.end, tuple(chosen.items()), filters.basis, filters.grain)


def _window(warehouse: Warehouse, filters: Filters) -> Window:
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


def _workload(
    warehouse: Warehouse, table: pa.Table, window: Window, order: NDArray[np.int64] | None, heavy: HeavyColumns
) -> Workload:
    def column(name: str, kind: str) -> NDArray[Any]:
        values = _numbers(table, name, kind)
        return values if order is None else values[order]

    size = table.num_rows
    kind = pc.dictionary_encode(table["kind"]).combine_chunks()
    kinds = _kinds(warehouse, kind.dictionary.to_pylist())
    places = np.asarray(kind.indices.to_numpy(zero_copy_only=False))
    places = places if order is None else places[order]
    models = tuple(dict.fromkeys((row["provider"], row["model"]) for row in kinds))
    names = {name: tuple(sorted({str(row[name]) for row in kinds if row[name] is not None})) for name in CODED}
    for needed in ("standard", "batch"):
        if needed not in names["processing"]:
            names["processing"] = (*names["processing"], needed)
    coded: dict[str, Any] = {name: np.array([_code(row, name, names[name]) for row in kinds]) for name in CODED}
    hits = np.array([bool(row["cache_hit"]) for row in kinds], dtype=bool)
    user = pc.dictionary_encode(table["user"]).combine_chunks().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    started_at = column("started_at", "int64")
    no_tokens = np.broadcast_to(np.int32(0), size)
    tokens: dict[str, Any] = {
        name: column(name, "int32") if name in table.column_names else no_tokens for name in TOKEN_CLASSES
    }
    has_usage = column("has_usage", "bool")
    for name, values in tokens.items():
        if values is not no_tokens:
            tokens[name] = np.where(has_usage, values, np.int32(0))
    one = np.broadcast_to(np.float64(1), size)
    return Workload(
        window=window,
        started_at=started_at,
        day=window.day_index(started_at),
        models=models,
        model=np.array([models.index((row["provider"], row["model"])) for row in kinds], dtype=np.int16)[places],
        names=names,
        **{name: codes.astype(_code_type(names[name]))[places] for name, codes in coded.items()},
        user=(user if order is None else user[order]).astype(np.int32),
        **tokens,
        has_usage=has_usage,
        cost=column("cost", "float64"),
        is_cache_hit=hits[places],
        weight=one,
        money=one,
        active=np.broadcast_to(np.bool_(True), size),
        heavy=heavy,
        population=size,
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


def _numbers(table: pa.Table, name: str, kind: str) -> NDArray[Any]:
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast("timestamp[us]").cast("int64")
    return np.asarray(column.to_numpy()).astype(kind, copy=False)


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


class _Loader:
    """Reads one more column of the same calls, in the same order; the calls' times, read along, prove that it is the same."""

    def __init__(
        self, warehouse: Warehouse, calls: ir.Table, started: NDArray[np.int64], order: NDArray[np.int64] | None
    ) -> None:
        self._warehouse, self._calls, self._order = warehouse, calls, order
        self._started = started

    def __call__(self, name: str) -> Any:
        if name in {"embedders", "vectors"}:
            return stored_vectors(self._warehouse, self._calls, only_names=name == "embedders")
        calls, value = self._expression(name)
        table = self._warehouse.arrow(calls.select(started_at=calls.started_at, value=value))
        if not np.array_equal(_numbers(table, "started_at", "int64"), self._started):
            raise StoreError("the calls were read in another order than before: open the page again")
        column = table["value"]
        if name == "prefix_blocks":
            return self._lists(column)
        if name in NUMBERS:
            return self._ordered(np.asarray(column.cast("float32").to_numpy()))
        if name in KEYS:
            return self._ordered(np.asarray(column.fill_null(0).to_numpy()).view(np.uint64))
        encoded = pc.dictionary_encode(column).combine_chunks()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        return Coded(self._ordered(codes), tuple(encoded.dictionary.to_pylist()))

    def call_ids(self, places: NDArray[np.int64]) -> list[str | None]:
        """Looked up by time; calls of the same microsecond are told apart by their order, which is the order of the workload."""
        started = self._ordered(self._started)
        wanted = started[places]
        moments = [EPOCH + timedelta(microseconds=int(time)) for time in np.unique(wanted)]
        if not moments:
            return []
        calls = self._calls.filter(self._calls.started_at.isin(moments))
        found: dict[int, list[str]] = {}
        for row in self._warehouse.arrow(calls.select("started_at", "call_id")).to_pylist():
            found.setdefault((row["started_at"] - EPOCH) // timedelta(microseconds=1), []).append(row["call_id"])
        first = np.searchsorted(started, wanted, side="left")
        ids = [
            (found.get(int(time), []), int(place - start))
            for time, place, start in zip(wanted, places, first, strict=True)
        ]
        return [same[position] if position < len(same) else None for same, position in ids]

    def _expression(self, name: str) -> tuple[ir.Table, ir.Value]:
        calls = self._calls
        if name in {"text", "answer"}:
            return self._texts(name)
        if name.startswith("label:"):
            return calls, calls.labels[name.removeprefix("label:")]
        special = {
            "complexity": lambda: calls.labels["complexity"].try_cast("float64"),
            "was_cut": lambda: (calls.finish_reason == "length").cast("float64"),
            "session": lambda: _key(calls.session_id),
            "trace": lambda: _key(calls.trace_id),
            "input_hash": lambda: _key(calls.input_hash),
            "call_key": lambda: _key(calls.source + "/" + calls.call_id),
            "prefix_blocks": lambda: calls.prefix_blocks,
        }
        if name in special:
            return calls, special[name]()
        value = calls[name]
        return calls, value.cast("float64") if name in NUMBERS else value

    def _texts(self, name: str) -> tuple[ir.Table, ir.Value]:
        """Texts by call. A join does not keep the calls' order, so that the few calls with texts are looked up instead."""
        texts = self._warehouse.table("call_texts")
        column = "text_normalised" if name == "text" else "answer_id"
        kept = texts.select(text_source=texts.source, text_call=texts.call_id, value=texts[column])
        place, order = ibis.row_number(), self._warehouse.reading_order
        calls = self._calls.mutate(place=place.over(ibis.window(order_by=order)) if order else place)
        joined = calls.left_join(kept, [calls.source == kept.text_source, calls.call_id == kept.text_call])
        joined = joined.select(joined.place, joined.started_at, joined.value).order_by("place")
        return joined, joined.value

    def _ordered(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self._order is None else values[self._order]

    def _lists(self, column: pa.ChunkedArray) -> Lists:
        lists = column.combine_chunks()
        lists = lists if isinstance(lists, pa.Array) else pa.concat_arrays(lists.chunks)
        lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        values = np.asarray(lists.flatten().to_numpy(zero_copy_only=False)).astype(np.uint64, copy=False)
        if self._order is not None:
            starts = np.cumsum(lengths) - lengths
            starts, lengths = starts[self._order], lengths[self._order]
            ends = np.cumsum(lengths)
            values = values[np.repeat(starts - (ends - lengths), lengths) + np.arange(len(values))]
        return Lists(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), values)


def _key(value: ir.StringValue) -> ir.IntegerValue:
    return value.notnull().ifelse(value.hash(), ibis.null("int64"))
