"""The floor of loading: what DuckDB takes to write the columns of `calls` from Parquet files, and nothing else.

    python -m benchmarks.load_floor <folder of Parquet files> <database to be made>

One statement, into a table with the columns, types and compressions of the store, those left out that all calls have in common. Nothing is checked, priced, deduplicated or summed up. What the files do
not tell has a stand-in of the same kind: costs are the reported one, the id of a price is the name of the model. Prints the number of calls.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from warehouse.call_layout import SAME_MODEL, Layout
from warehouse.schema import CALLS

STAND_INS = {
    "priced_cost": "reported_cost",
    "cost": "reported_cost",
    "cost_basis": "CASE WHEN reported_cost IS NULL THEN 'unknown' ELSE 'reported' END",
    "price_id": "model",
    "load_id": "CAST(started_at AS DATE) - DATE '2026-01-01'",
}
"""SQL of what a load finds out itself; any other column that the files do not have is NULL, in the store too."""

ALIKE = {"source": "'calls'", "project": "'synthetic'", "env": "'prod'", "labels": "MAP {}", "flags": "[]"} | SAME_MODEL
"""What all generated calls have in common, as SQL."""


def write(calls: Path, database: Path) -> int:
    """Write the calls of a folder into a new database; answers with how many there are."""
    with duckdb.connect(str(database)) as connection:
        files = f"read_parquet('{calls}/*.parquet')"
        present = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()}
        unknown = {name: "NULL" for name in CALLS.names if name not in present and name not in STAND_INS}
        layout = Layout(unknown | ALIKE)
        values = ", ".join(STAND_INS.get(column.name, column.name) for column in layout.stored)
        # Rows may lie in any order: to keep that of the files took 1.8 times the CPU (32 against 18 s for ten million calls).
        connection.execute("SET preserve_insertion_order = false")
        layout.create(connection, database.stem)
        connection.execute(f"INSERT INTO {layout.table} SELECT {values} FROM {files}")
        ((rows,),) = connection.execute("SELECT count(*) FROM calls").fetchall()
    return int(rows)


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), Path(sys.argv[2])))
