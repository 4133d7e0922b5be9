"""GPUs that can be rented: what they are able to do and what an hour costs, from `data/gpus.csv` (edit it freely).

Prices are of the whole instance, in USD per hour; `spot_usd_per_hour` is that of the cheapest zone of the region at the time of the source
and moves all the time. Rows with source "article-2026-05" are the reference case's snapshot: they state a price per GPU, sometimes
for an instance type that does not exist, and give no spot price but "60-70% less". Compute figures are the vendor's peaks without sparsity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv

from warehouse.configuration import DATA
from warehouse.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

CATALOGUE = DATA / "gpus.csv"
ARTICLE_SOURCE = "article-2026-05"

_PRICE = pa.decimal128(18, 6)
_TYPES = {
    "gpu": pa.string(),
    "memory_gb": pa.int64(),
    "memory_bandwidth_gb_s": pa.int64(),
    "fp16_tflops": pa.int64(),
    "fp8_tflops": pa.int64(),
    "int8_tops": pa.int64(),
    "provider": pa.string(),
    "instance_type": pa.string(),
    "gpu_count": pa.int64(),
    "region": pa.string(),
    "on_demand_usd_per_hour": _PRICE,
    "spot_usd_per_hour": _PRICE,
    "source": pa.string(),
    "effective_date": pa.date32(),
    "read_on": pa.date32(),
    "specs_source": pa.string(),
}


def gpu_catalogue(path: Path | None = None) -> pd.DataFrame:
    """One row per GPU, provider, instance type, region and source.

    Columns: gpu (catalogue name, e.g. A100-40GB), memory_gb, memory_bandwidth_gb_s, fp16_tflops, fp8_tflops (missing: the GPU has
    no FP8 unit), int8_tops, provider, instance_type, gpu_count, region, on_demand_usd_per_hour and spot_usd_per_hour (Decimal, of
    the whole instance; missing: not known), source, effective_date (missing: the source does not date its figure), read_on (when
    the source was read), specs_source, and on_demand_usd_per_gpu_hour (Decimal, rounded to six places). Raises InputError for a
    file that lacks a column or has an unreadable value.
    """
    file = path or CATALOGUE
    options = csv.ConvertOptions(
        column_types=_TYPES, include_columns=list(_TYPES), strings_can_be_null=True, null_values=[""]
    )
    try:
        table = csv.read_csv(file, convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, FileNotFoundError) as error:
        raise InputError(f"not a usable GPU catalogue: {error}", file=file.name) from error
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): _nullable_integer()}.get)
    frame["on_demand_usd_per_gpu_hour"] = [
        round(price / int(count), 6)
        for price, count in zip(frame["on_demand_usd_per_hour"], frame["gpu_count"], strict=True)
    ]
    return frame


def _nullable_integer() -> pd.Int64Dtype:
    import pandas as pd  # noqa: PLC0415 - pandas is slow to import and only wanted by whoever calls

    return pd.Int64Dtype()
