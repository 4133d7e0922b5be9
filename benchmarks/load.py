"""How fast files become a store: Parquet, JSON lines and CSV; the same files again; one corrected day; bytes per call.

Every load is the product's own command in a process of its own. What it says it stored is compared with what was generated.
"""

from __future__ import annotations

import json
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.catalogue import UNITS
from benchmarks.generate import REPLACED_DAY, Dataset, day_file
from benchmarks.measuring import Child, run_child
from warehouse.store import Store

ROOT = Path(__file__).resolve().parent.parent
SHARE, TEXT_CALLS = 20, 500_000
"""The text formats are measured on one call in so many, of the largest data on about so many calls."""


def percall(store: Path, *arguments: str) -> Child:
    """Run the product's command line on a store, with the default configuration."""
    program = Path(sys.executable).with_name("percall")
    return run_child([str(program), "--store", str(store), *arguments], cwd=ROOT)


def measure_load(dataset: Dataset, store: Path) -> dict[str, Any]:
    """Load the dataset into `store` (made anew), again, with one day corrected, and a share of it as text into other stores.

    Beside the first, DuckDB alone writes the same columns ("floor"). Returns rows, and for each load `seconds`, `cpu_seconds`, `peak_bytes`,
    `rows` and `bytes` read. Raises AssertionError when the store does not hold what was generated.
    """
    shutil.rmtree(store, ignore_errors=True)
    results: dict[str, Any] = {"rows": dataset.rows}
    whole = percall(store, "load", str(dataset.calls))
    assert _kept(whole) == dataset.rows, f"{_kept(whole)} of {dataset.rows} calls were kept"
    results["parquet"] = _facts(whole, dataset.rows, sum(path.stat().st_size for path in dataset.calls.iterdir()))
    results["floor"] = _floor(dataset)
    results["store_bytes"] = sum(file.bytes for file in _current(store).of("calls"))
    _check(store, dataset, dataset.reported_units)
    again = percall(store, "load", str(dataset.calls))
    assert {line["status"] for line in _lines(again)} == {"unchanged"}, "the same files again were not recognised"
    results["unchanged"] = _facts(again, dataset.rows, 0)
    day = percall(store, "load", str(dataset.replaced_day))
    results["day"] = _facts(day, _kept(day), dataset.replaced_day.stat().st_size)
    _check(store, dataset, dataset.reported_units + dataset.replaced_units)
    percall(store, "load", str(dataset.bill))
    results["share"] = max(SHARE, dataset.rows // TEXT_CALLS)
    for name, options in (("jsonl", "FORMAT json"), ("csv.gz", "FORMAT csv, COMPRESSION gzip")):
        results[name] = _load_share(dataset, results["share"], name, options)
    return results


def _floor(dataset: Dataset) -> dict[str, Any]:
    """Write the same columns without any of a load's work (see `benchmarks.load_floor`), and remove them."""
    database = dataset.folder / "floor.duckdb"
    database.unlink(missing_ok=True)
    try:
        child = run_child([sys.executable, "-m", "benchmarks.load_floor", str(dataset.calls), str(database)], cwd=ROOT)
        assert int(child.output) == dataset.rows, f"{child.output} of {dataset.rows} calls were written"
        return _facts(child, dataset.rows, 0)
    finally:
        database.unlink(missing_ok=True)


def _load_share(dataset: Dataset, share: int, name: str, options: str) -> dict[str, Any]:
    """Write one call in `share` as text, load it into a store of its own, and remove both."""
    file, store = dataset.folder / f"share.{name}", dataset.folder / "share-store"
    shutil.rmtree(store, ignore_errors=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT * FROM read_parquet('{dataset.calls}/*.parquet') WHERE hash(call_id) % {share} = 0)
                TO '{file}' ({options})"""
        )
        ((rows, cost),) = connection.execute(
            f"""SELECT count(*), sum(reported_cost) FROM read_parquet('{dataset.calls}/*.parquet')
                WHERE hash(call_id) % {share} = 0"""
        ).fetchall()
    try:
        child = percall(store, "load", str(file))
        assert _kept(child) == rows, f"{_kept(child)} of {rows} calls were kept from {name}"
        assert Decimal(_totals(store)["reported_call_cost"]) == cost, f"{name} does not sum to what was written"
        return _facts(child, rows, file.stat().st_size)
    finally:
        file.unlink()
        shutil.rmtree(store, ignore_errors=True)


def _facts(child: Child, rows: int, size: int) -> dict[str, Any]:
    return {
        "seconds": child.seconds,
        "cpu_seconds": child.cpu_seconds,
        "peak_bytes": child.peak_bytes,
        "rows": rows,
        "bytes": size,
    }


def _lines(child: Child) -> list[dict[str, Any]]:
    return [json.loads(line) for line in child.output.splitlines()]


def _kept(child: Child) -> int:
    return sum(line["rows_kept"] for line in _lines(child))


def _current(store: Path) -> Any:
    snapshot = Store(store).current()
    assert snapshot is not None, "nothing was published"
    return snapshot


def _totals(store: Path) -> dict[str, Any]:
    totals: dict[str, Any] = json.loads(percall(store, "export", "totals", "--format", "json").output)
    return totals


def _check(store: Path, dataset: Dataset, units: int) -> None:
    """The store must hold every call once, and the reported cost to the last digit."""
    totals = _totals(store)
    assert totals["calls"] == dataset.rows, f"{totals['calls']} calls are stored, {dataset.rows} were generated"
    stored, expected = Decimal(totals["reported_call_cost"]), Decimal(units) / UNITS
    assert stored == expected, (
        f"{stored} USD are stored, {expected} were generated ({day_file(REPLACED_DAY)} corrected)"
    )
