"""What levers prepare and analytics find out, as one Arrow table that can be kept on disk, and back: equal to the last bit.

The table has one column of bytes, in which the arrays lie one after the other, each at a multiple of 64; its schema's metadata say in JSON what the
value is. Arrays that are read back are read-only and lie where the table lies: mapped from disk, they take no memory before they are looked at.

Numbers, texts, dates, decimals, tuples, lists, dictionaries, arrays, frames and dataclasses of the analytics. Nothing that is read back can run
code: a dataclass is only made when it is one of this program's analytics, from its fields.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

PACKAGE = "analytics."

Arrays = list[NDArray[Any]]

_FACTS = b"facts"
_ALIGNED = 64


def packed(value: Any) -> pa.Table:
    """The value as a table of bytes. Raises TypeError for anything that cannot be kept."""
    arrays: Arrays = []
    facts = _facts_of(value, arrays)
    starts, size = [], 0
    for array in arrays:
        if array.dtype.hasobject:
            raise TypeError("arrays of objects are not kept")
        starts.append(size)
        size += -(-array.nbytes // _ALIGNED) * _ALIGNED
    raw = np.zeros(size, dtype=np.uint8)
    for array, start in zip(arrays, starts, strict=True):
        raw[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    described = [
        {"dtype": array.dtype.str, "shape": array.shape, "at": start}
        for array, start in zip(arrays, starts, strict=True)
    ]
    metadata = {_FACTS: json.dumps({"value": facts, "arrays": described})}
    return pa.table({"bytes": raw}, schema=pa.schema([("bytes", pa.uint8())], metadata=metadata))


def unpacked(table: pa.Table) -> Any:
    """The value that `packed` made a table of. Raises ValueError for a table of somebody else."""
    told = (table.schema.metadata or {}).get(_FACTS)
    if told is None:
        raise ValueError("this table holds no packed value")
    about = json.loads(told)
    chunks = table["bytes"].chunks
    # One chunk, as a table is kept, is taken where it lies: to combine it alone would copy it.
    raw = chunks[0] if len(chunks) == 1 else pa.concat_arrays([*chunks, pa.array([], pa.uint8())])
    return _value_of(about["value"], [_array(raw.to_numpy(), each) for each in about["arrays"]])


def _array(raw: NDArray[np.uint8], about: Mapping[str, Any]) -> NDArray[Any]:
    kind, shape = np.dtype(about["dtype"]), tuple(about["shape"])
    size = kind.itemsize * int(np.prod(shape, dtype=np.int64))
    return raw[about["at"] : about["at"] + size].view(kind).reshape(shape)


def _facts_of(value: Any, arrays: Arrays) -> Any:
    """The value as JSON can say it; its arrays are put at the end of `arrays`. Raises TypeError for anything that cannot be kept."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        raise TypeError("times are kept as numbers")
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if type(value) is tuple:
        return {"tuple": [_facts_of(part, arrays) for part in value]}
    if type(value) is list:
        return [_facts_of(part, arrays) for part in value]
    if isinstance(value, dict):
        return {"pairs": [[_facts_of(key, arrays), _facts_of(part, arrays)] for key, part in value.items()]}
    if isinstance(value, pd.DataFrame):
        return {"frame": _columns(value, arrays)}
    kind = type(value)
    if dataclasses.is_dataclass(value) and kind.__module__.startswith(PACKAGE):
        fields = {each.name: _facts_of(getattr(value, each.name), arrays) for each in dataclasses.fields(value)}
        return {"kind": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} cannot be kept")


def _columns(frame: pd.DataFrame, arrays: Arrays) -> list[list[Any]]:
    """Name, kind and cells of each column. Raises TypeError for rows or columns that are named otherwise than by numbers and texts."""
    names = list(frame.columns)
    plain = isinstance(frame.index, pd.RangeIndex) and frame.index.equals(pd.RangeIndex(len(frame)))
    if not (plain and len(set(names)) == len(names) and all(isinstance(name, str) for name in names)):
        raise TypeError("only frames of numbered rows and named columns are kept")
    told = []
    for name in names:
        kind = frame[name].dtype
        cells: Any = frame[name].to_numpy() if isinstance(kind, np.dtype) and kind.kind in "biuf" else list(frame[name])
        told.append([name, str(kind), _facts_of(cells, arrays)])
    return told


def _value_of(facts: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    """The value that `_facts_of` took apart. Raises ValueError for facts that it did not write."""
    if isinstance(facts, list):
        return [_value_of(part, arrays) for part in facts]
    if not isinstance(facts, dict):
        return facts
    if "array" in facts:
        return arrays[facts["array"]]
    if "decimal" in facts:
        return Decimal(facts["decimal"])
    if "date" in facts:
        return date.fromisoformat(facts["date"])
    if "tuple" in facts:
        return tuple(_value_of(part, arrays) for part in facts["tuple"])
    if "pairs" in facts:
        return {_value_of(key, arrays): _value_of(part, arrays) for key, part in facts["pairs"]}
    if "frame" in facts:
        columns = ((name, pd.Series(_value_of(part, arrays), dtype=kind)) for name, kind, part in facts["frame"])
        return pd.DataFrame(dict(columns))
    if "kind" in facts:
        return _dataclass_of(facts["kind"], facts["fields"], arrays)
    raise ValueError(f"unknown facts: {sorted(facts)}")


def _dataclass_of(name: str, fields: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> Any:
    module, _, kind = name.partition(":")
    if not module.startswith(PACKAGE):
        raise ValueError(f"{name} is none of the analytics' own")
    found = getattr(importlib.import_module(module), kind, None)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise ValueError(f"{name} is no dataclass")
    return found(**{field: _value_of(part, arrays) for field, part in fields.items()})
