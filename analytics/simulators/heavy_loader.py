"""More columns of the calls of a workload, read from the warehouse when a lever asks for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analytics.simulators.heavy_columns import KEYS, NUMBERS, Coded, Lists
from analytics.simulators.stored_vectors import stored_vectors
from analytics.simulators.window import EPOCH
from warehouse.errors import StoreError
from warehouse.reader import Warehouse


class HeavyLoader:
    """Reads one more column of the same calls, in the same order; the calls' times, read along, prove that it is the same."""

    def __init__(
        self,
        warehouse: Warehouse,
        calls: Callable[[], ir.Table],
        started_at: NDArray[np.int64],
        order: NDArray[Any] | None,
    ) -> None:
        self._warehouse, self._find_calls, self._order = warehouse, calls, order
        self._started_at = started_at

    @cached_property
    def _calls(self) -> ir.Table:
        # An expression takes ten milliseconds to put together: only where a column is asked for.
        return self._find_calls()

    @cached_property
    def _as_read(self) -> NDArray[np.int64]:
        """When the calls began, in the order in which they are read."""
        if self._order is None:
            return self._started_at
        found = np.empty_like(self._started_at)
        found[self._order] = self._started_at
        return found

    def __call__(self, name: str) -> Any:
        if name in {"embedders", "vectors"}:
            return stored_vectors(self._warehouse, self._calls, only_names=name == "embedders")
        if name in {"text", "answer"} and self._has_no_texts():
            return Coded(np.full(len(self._started_at), -1, dtype=np.int32), ())
        calls, value = self._expression(name)
        table = self._warehouse.arrow(calls.select(started_at=calls.started_at, value=value))
        if not np.array_equal(numbers_of(table, "started_at", "int64"), self._as_read):
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
        started = self._started_at
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

    def _has_no_texts(self) -> bool:
        """Whether no text is kept at all, as is usual: to join millions of calls with nothing took 0.8 s."""
        return self._warehouse.arrow(self._warehouse.table("call_texts").select("call_id").limit(1)).num_rows == 0

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


def numbers_of(table: pa.Table, name: str, kind: str) -> NDArray[Any]:
    """A column as numbers of a kind; times as microseconds since 1970."""
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast("timestamp[us]").cast("int64")
    return np.asarray(column.to_numpy()).astype(kind, copy=False)
