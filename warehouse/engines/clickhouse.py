"""ClickHouse as an engine: over HTTP, or inside this process (chdb) for a trial without a server.

A canonical table is one MergeTree table, partitioned by `percall_part`. A publication is a set of views over the parts that belong to it, and one
row of `percall_publications`: its arrival is the atomic step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.engines.clickhouse_dialect import column_type, compiled
from warehouse.engines.engine import Publication
from warehouse.engines.settings import EngineSettings
from warehouse.errors import StoreError
from warehouse.schema import TABLES

PART = "percall_part"
ANNOUNCED = "percall_publications"

SETTINGS = {
    "session_timezone": "UTC",
    "join_use_nulls": "1",
    "aggregate_functions_null_for_empty": "1",
    "enable_positional_arguments": "0",
    "precise_float_parsing": "1",
    "output_format_arrow_string_as_string": "1",
    "max_query_size": "10000000",
}
"""What makes ClickHouse answer as SQL says: NULL where a join finds nothing, NULL as the sum of nothing, numbers in GROUP BY are numbers."""


class Connection(Protocol):
    """A way to a ClickHouse."""

    def command(self, sql: str) -> None:
        """Run a statement."""

    def arrow(self, sql: str) -> bytes:
        """The answer as an Arrow file."""

    def insert(self, table: str, select: str, structure: str, parquet: Path) -> None:
        """Insert a SELECT (without its FROM) over a Parquet file whose columns `structure` describes."""


class ClickHouse:
    """The published tables on a ClickHouse. See `warehouse.engines.engine.Engine` for what each method does."""

    def __init__(self, settings: EngineSettings) -> None:
        from warehouse.engines.clickhouse_connections import connect  # noqa: PLC0415 - httpx is wanted by few

        self._connection: Connection = connect(settings, SETTINGS | dict(settings.options))

    def sql(self, operation: Any) -> str:
        """SQL of an Ibis operation."""
        return compiled(operation)

    def arrow(self, sql: str) -> pa.Table:
        """The answer of a question."""
        return pa.ipc.open_file(pa.py_buffer(self._connection.arrow(sql))).read_all()

    def relation(self, publication: Publication, table: str) -> str:
        """Name of the publication's view of a table."""
        return f"{table}__{publication.publication_id}"

    def open(self, publication: Publication, schemas: Mapping[str, ibis.Schema]) -> None:
        """Nothing to do: the views were made when the publication was announced."""

    def keep(self, publication: Publication, name: str, sql: str) -> str:
        """Keep an answer for all readers of the publication. It is filled under another name first, so that nobody sees a part of it."""
        digest = hashlib.sha256(sql.encode()).hexdigest()[:10]
        kept = self.relation(publication, f"{name}_{digest}")
        if not self._exists(kept):
            filling = f"{kept}__filling_{datetime.now(UTC):%H%M%S%f}"
            self._connection.command(f'CREATE TABLE "{filling}" ENGINE = MergeTree ORDER BY tuple() AS {sql}')
            if self._exists(kept):
                self._connection.command(f'DROP TABLE "{filling}"')
            else:
                self._connection.command(f'RENAME TABLE "{filling}" TO "{kept}"')
        return kept

    def publications(self) -> list[Publication]:
        """What is announced, the newest first."""
        if not self._exists(ANNOUNCED):
            return []
        rows = self.arrow(f'SELECT body FROM "{ANNOUNCED}" ORDER BY announced_at DESC').to_pylist()
        known = [Publication.from_json(row["body"]) for row in rows]
        # One that was announced again, because rules were taken back, has two rows.
        return list({one.publication_id: one for one in known}.values())

    def write_part(self, table: str, part: str, schema: ibis.Schema, parquet: Path) -> None:
        """Insert one part; what an interrupted attempt left of it is dropped before."""
        columns = ", ".join(f'"{name}" {column_type(dtype)}' for name, dtype in schema.items())
        self._connection.command(
            f'CREATE TABLE IF NOT EXISTS "{table}" ({columns}, {PART} LowCardinality(String)) ENGINE = MergeTree '
            f"PARTITION BY {PART} ORDER BY ({_order(table, schema)}) SETTINGS allow_nullable_key = 1"
        )
        self._connection.command(f"ALTER TABLE \"{table}\" DROP PARTITION '{part}'")
        names = ", ".join(f'"{name}"' for name in schema.names)
        structure = columns.replace("'", "\\'")
        self._connection.insert(
            f'"{table}" ({names}, {PART})', f"SELECT {names}, '{part}' AS {PART}", structure, parquet
        )
        stored = self.arrow(f"SELECT count() AS rows FROM \"{table}\" WHERE {PART} = '{part}'").to_pylist()[0]["rows"]
        sent = pq.read_metadata(parquet).num_rows
        if stored != sent:
            raise StoreError(f"ClickHouse stored {stored:,} of {sent:,} rows of {table} {part}: publish again")

    def announce(self, publication: Publication, schemas: Mapping[str, ibis.Schema]) -> None:
        """Make the views, then insert the one row that readers look for."""
        for table, parts in publication.parts.items():
            names = ", ".join(f'"{name}"' for name in schemas[table].names)
            if parts:
                among = ", ".join(f"'{part}'" for part in parts)
                select = f'SELECT {names} FROM "{table}" WHERE {PART} IN ({among})'
            else:
                nulls = ", ".join(
                    f'CAST({_nothing(dtype)} AS {column_type(dtype)}) AS "{name}"'
                    for name, dtype in schemas[table].items()
                )
                select = f"SELECT {nulls} WHERE false"
            self._connection.command(f'CREATE OR REPLACE VIEW "{self.relation(publication, table)}" AS {select}')
        self._connection.command(
            f'CREATE TABLE IF NOT EXISTS "{ANNOUNCED}" (publication String, announced_at DateTime64(6), body String) '
            "ENGINE = MergeTree ORDER BY announced_at"
        )
        body = publication.to_json().replace("\\", "\\\\").replace("'", "\\'")
        self._connection.command(
            f"INSERT INTO \"{ANNOUNCED}\" VALUES ('{publication.publication_id}', now64(6), '{body}')"
        )

    def remove_all_but(self, publications: Iterable[Publication]) -> None:
        """Drop the views, kept answers and parts that no remaining publication names."""
        kept = list(publications)
        ids = {one.publication_id for one in kept}
        among = ", ".join(f"'{one}'" for one in sorted(ids))
        self._connection.command(f'DELETE FROM "{ANNOUNCED}" WHERE publication NOT IN ({among})')
        for row in self.arrow("SELECT name, engine FROM system.tables WHERE database = currentDatabase()").to_pylist():
            _, mark, rest = row["name"].partition("__")
            if mark and rest.startswith("snapshot_") and rest.partition("__")[0] not in ids:
                self._connection.command(
                    f'DROP {"VIEW" if row["engine"] == "View" else "TABLE"} IF EXISTS "{row["name"]}"'
                )
        named = {(table, part) for one in kept for table, parts in one.parts.items() for part in parts}
        there = self.arrow(
            "SELECT DISTINCT table, partition FROM system.parts WHERE active AND database = currentDatabase()"
        ).to_pylist()
        for row in there:
            if row["table"] in next(iter(kept)).parts and (row["table"], row["partition"]) not in named:
                self._connection.command(f"ALTER TABLE \"{row['table']}\" DROP PARTITION '{row['partition']}'")

    def _exists(self, name: str) -> bool:
        found = self.arrow(
            f"SELECT count() AS found FROM system.tables WHERE database = currentDatabase() AND name = '{name}'"
        )
        return bool(found.to_pylist()[0]["found"])


def _order(table: str, schema: ibis.Schema) -> str:
    known = TABLES.get(table)
    name = (known.month_column if known else None) or ("date" if "date" in schema.names else None)
    return f'"{name}"' if name else "tuple()"


def _nothing(dtype: Any) -> str:
    return "map()" if dtype.is_map() else "[]" if dtype.is_array() else "NULL"


def unreachable(where: str, reason: object) -> StoreError:
    """What to say when ClickHouse does not answer."""
    return StoreError(
        f"ClickHouse at {where} does not answer ({reason}): check [engine] url in percall.toml, and that it runs"
    )
