"""Filing: writing the immutable fact files of a new snapshot, and reading those of the old one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from warehouse import callers
from warehouse.configuration import Configuration
from warehouse.errors import StoreError
from warehouse.rollups import ROLLUPS, categorised, rollup_key
from warehouse.schema import META_TABLES, TABLES, Table
from warehouse.store import FactFile, Snapshot, Store, Writer

META = "meta"


def load_column(table: Table) -> str:
    """Name of the column that holds a row's load."""
    return "x_LoadId" if table.name == "charges" else "load_id"


def money_columns(table: Table) -> tuple[str | None, str | None, str | None]:
    """Columns that a load is checked by: what the source billed or reported, what counts, and its currency."""
    if table.name == "charges":
        return "BilledCost", "EffectiveCost", "BillingCurrency"
    if table.name == "calls":
        return "reported_cost", "cost", None
    if table.name == "revenue":
        return "amount", None, "currency"
    return None, None, None


class Filing:
    """Writes month files and the meta file on a staging connection, and attaches the base snapshot's files read-only."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        store: Store,
        writer: Writer,
        base: Snapshot | None,
        configuration: Configuration,
    ) -> None:
        self.connection = connection
        self.store = store
        self.writer = writer
        self.base = base
        self.configuration = configuration
        self._attached: dict[str, str] = {}

    def attach(self, file: FactFile) -> str:
        """Attach a file of the base snapshot; returns its catalog name."""
        if file.name not in self._attached:
            alias = f"base{len(self._attached)}"
            path = self.store.facts / file.name
            if not path.exists():
                raise StoreError(
                    f"{path} is missing: restore the store from a back-up, or load the files into a new store"
                )
            self.connection.execute(f"ATTACH '{path_text(path)}' AS {alias} (READ_ONLY)")
            self._attached[file.name] = alias
        return self._attached[file.name]

    def base_files(self, table: str, months: Iterable[str] | None = None) -> list[FactFile]:
        """The base snapshot's files of a table, of some months or all."""
        if self.base is None:
            return []
        wanted = None if months is None else set(months)
        return [file for file in self.base.of(table) if wanted is None or file.month in wanted]

    def base_relation(self, table: str, months: Iterable[str] | None = None, rollup: str | None = None) -> str:
        """A SELECT over the base snapshot's rows of a table (or of one of its roll-ups); empty when there are none."""
        files = self.base_files(table, months)
        if not files:
            if rollup:
                return ""
            columns = ", ".join(f'CAST(NULL AS {column.type}) AS "{column.name}"' for column in TABLES[table].columns)
            return f"SELECT {columns} WHERE false"
        name = rollup or table
        return " UNION ALL ".join(f"SELECT * FROM {self.attach(file)}.{name}" for file in files)

    def base_meta(self, table: str) -> str:
        """A SELECT over a small table of the base snapshot; empty when there is none."""
        files = self.base_files(META)
        if files:
            return f"SELECT * FROM {self.attach(files[0])}.{table}"
        columns = ", ".join(f'CAST(NULL AS {column.type}) AS "{column.name}"' for column in TABLES[table].columns)
        return f"SELECT {columns} WHERE false"

    def write_month(self, table: Table, month: str, source: str, *, in_order: bool = False) -> FactFile | None:
        """Write one month file (facts and roll-ups) from a SELECT; None when it has no rows. `in_order`: the SELECT gives the rows as they
        are to lie; else they are sorted by time."""
        path = self.store.scratch / f"{table.name}-{month}.duckdb"
        self.connection.execute(f"ATTACH '{path_text(path)}' AS filed")
        names = ", ".join(f'"{name}"' for name in table.names)
        if table.name == "charges" and self.base and self.base.rollup_key != rollup_key(self.configuration):
            source = categorised(self.configuration, source)
        self.connection.execute(table.ddl(f"filed.{table.name}"))
        order = "" if in_order else f" ORDER BY {self._order(table)}"
        self.connection.execute(f"INSERT INTO filed.{table.name} SELECT {names} FROM ({source}){order}")
        row = self.connection.execute(f"SELECT count(*) FROM filed.{table.name}").fetchone()
        rows = row[0] if row else 0
        for name, select in ROLLUPS.get(table.name, {}).items():
            self.connection.execute(f"CREATE TABLE filed.{name} AS {select(self.configuration, f'filed.{table.name}')}")
        if table.name == "calls":
            self.connection.execute(f"CREATE TABLE filed.{callers.NAME} AS {callers.callers('filed.user_days')}")
        self.connection.execute("DETACH filed")
        if not rows:
            path.unlink()
            return None
        return self.writer.adopt(path, table.name, month, rows)

    def replace(
        self, table: Table, month: str, source: str, files: dict[tuple[str, str], FactFile], *, in_order: bool = False
    ) -> None:
        """Write a month file (see `write_month`) and put it in the place of the old one in `files`; a month without rows leaves `files`."""
        written = self.write_month(table, month, source, in_order=in_order)
        files.pop((table.name, month), None)
        if written:
            files[(table.name, month)] = written

    def write_meta(self, sources: dict[str, str]) -> FactFile:
        """Write the file of the small tables, each from a SELECT."""
        path = self.store.scratch / "meta.duckdb"
        self.connection.execute(f"ATTACH '{path_text(path)}' AS filed")
        for table in META_TABLES:
            names = ", ".join(f'"{name}"' for name in table.names)
            self.connection.execute(table.ddl(f"filed.{table.name}"))
            self.connection.execute(f"INSERT INTO filed.{table.name} SELECT {names} FROM ({sources[table.name]})")
        self.connection.execute("DETACH filed")
        return self.writer.adopt(path, META, "", 0)

    @staticmethod
    def _order(table: Table) -> str:
        return {"charges": "ChargePeriodStart"}.get(table.name, table.month_column or table.names[0])


def path_text(path: Path) -> str:
    """A path as it stands between quotes in SQL."""
    return str(path).replace("'", "''")
