"""The rows of a store as Parquet, for engines that do not read the store: one file per day, costs and model names as the store has them.

    rows = write_rows(store, folder)

`rows.calls` is a folder of one file per day, `rows.charges` and `rows.prices` are files.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks.answers import dollars
from benchmarks.catalogue import DAYS, FIRST_DAY, MODELS, PRICE_CHANGE_DAY
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse, open_current

MEMORY_LIMIT = "3GB"
"""For every engine that can be told how much it may take."""

CALLS = (
    "call_id, started_at, provider, model, operation, processing, status, project, feature, team, env, user_tier, user_id, "
    "uncached_input_tokens, cache_read_tokens, output_tokens, cost, latency_ms, prefix_blocks, input_hash, converted, revenue"
)
CHARGES = "ChargePeriodStart, EffectiveCost, x_CostCategory"


@dataclass(frozen=True)
class Rows:
    """Where the store is, and where its rows lie as Parquet; `count` calls."""

    store: Path
    folder: Path
    count: int

    @property
    def calls(self) -> Path:
        """Folder of one file per day."""
        return self.folder / "calls"

    @property
    def charges(self) -> Path:
        """Billing lines."""
        return self.folder / "charges.parquet"

    @property
    def prices(self) -> Path:
        """The dated price table."""
        return self.folder / "prices.parquet"

    @property
    def days(self) -> list[Path]:
        """The files of `calls`, in order of their days."""
        return sorted(self.calls.glob("*.parquet"))


def open_limited(store: Path, spill: Path) -> Warehouse:
    """The store's current snapshot, with bounded memory; what does not fit goes to the folder `spill`."""
    warehouse = open_current(store, Configuration())
    warehouse.connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    warehouse.connection.execute(f"SET temp_directory = '{spill}'")
    return warehouse


def write_rows(store: Path, folder: Path) -> Rows:
    """The rows of the current snapshot in `folder`; written when they are not there yet. Raises AssertionError when a row would be lost."""
    warehouse = open_limited(store, folder / "spill")
    cursor = warehouse.connection.cursor()
    rows = Rows(store, folder, cursor.execute("SELECT count(*) FROM calls").fetchall()[0][0])
    mark = folder / "snapshot"
    if not mark.exists() or mark.read_text() != warehouse.snapshot_id:
        shutil.rmtree(folder, ignore_errors=True)
        rows.calls.mkdir(parents=True)
        for day in (FIRST_DAY + timedelta(days=number) for number in range(DAYS)):
            cursor.execute(
                f"""COPY (SELECT {CALLS} FROM calls WHERE started_at >= DATE '{day}' AND started_at < DATE '{day + timedelta(days=1)}'
                    ORDER BY started_at) TO '{rows.calls / f"{day}.parquet"}' (FORMAT parquet, COMPRESSION zstd)"""
            )
        written = f"SELECT count(*) FROM read_parquet('{rows.calls}/*.parquet')"
        assert cursor.execute(written).fetchall() == [(rows.count,)], "calls lie outside the generated days"
        cursor.execute(f"COPY (SELECT {CHARGES} FROM charges) TO '{rows.charges}' (FORMAT parquet)")
        make_dated_prices(cursor)
        cursor.execute(f"COPY dated_prices TO '{rows.prices}' (FORMAT parquet)")
        mark.write_text(warehouse.snapshot_id)
    warehouse.connection.close()
    return rows


def make_dated_prices(cursor: duckdb.DuckDBPyConnection) -> None:
    """The table `dated_prices`: dollars per token of every priced model, standard and batch, before and after a change.

    Models carry the names that the store gave them. After the change everything costs a fifth less.
    """
    change = datetime.combine(FIRST_DAY + timedelta(days=PRICE_CHANGE_DAY), datetime.min.time())
    names = dict(cursor.execute("SELECT DISTINCT model_raw, model FROM calls").fetchall())
    cursor.execute(
        """CREATE OR REPLACE TABLE dated_prices (model VARCHAR, processing VARCHAR, valid_from TIMESTAMP, valid_to TIMESTAMP,
            input DECIMAL(12, 10), cached DECIMAL(12, 10), output DECIMAL(12, 10))"""
    )
    rows = []
    for model in MODELS:
        for processing, divisor in (("standard", 10), ("batch", 20)):
            for start, end, tenths in ((datetime(2000, 1, 1), change, 10), (change, datetime(9999, 12, 31), 8)):
                if model.priced and model.name in names:
                    units = (amount * tenths // divisor for amount in (model.input, model.cached, model.output))
                    rows.append((names[model.name], processing, start, end, *(dollars(unit) for unit in units)))
    cursor.executemany("INSERT INTO dated_prices VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
