"""Filing: writing the immutable fact files of a new snapshot, and reading those of the old one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable
from datetime import date
from pathlib import Path

import duckdb

from warehouse import callers, feature_users
from warehouse.call_layout import Layout, layout_of
from warehouse.configuration import Configuration
from warehouse.errors import StoreError
from warehouse.rollups import ROLLUPS, categorised, local_date, rollup_key
from warehouse.schema import META_TABLES, TABLES, Table
from warehouse.store import FactFile, Snapshot, Store, Writer

META = "meta"

AMENDED_AT_MOST = 0.3
"""Share of a month's rows that an amendment may change, and that may lie empty in its file."""


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
        return self.write_facts(table, month, source, in_order=in_order)()

    def write_facts(
        self, table: Table, month: str, source: str, *, in_order: bool = False, layout: Layout | None = None
    ) -> Callable[[], FactFile | None]:
        """Write the facts of a month file (see `write_month`), calls in this layout. Answers with what sums them up and brings the file to
        the disk, which another thread may do while the next month is written: it has a session of its own, and where it waits for the disk
        or counts on one core, the other core has work."""
        path = self.store.scratch / f"{table.name}-{month}.duckdb"
        name = f"filed_{table.name}_{month.replace('-', '_')}"
        self.connection.execute(f"ATTACH '{path_text(path)}' AS {name}")
        if table.name == "charges" and self.base and self.base.rollup_key != rollup_key(self.configuration):
            source = categorised(self.configuration, source)
        order = "" if in_order else f" ORDER BY {self._order(table)}"
        if layout:
            layout.create(self.connection, name)
            into, names = layout.table, layout.names
        else:
            self.connection.execute(table.ddl(f"{name}.{table.name}"))
            into, names = table.name, ", ".join(f'"{column}"' for column in table.names)
        self.connection.execute(f"INSERT INTO {name}.{into} SELECT {names} FROM ({source}){order}")
        session = self.connection.cursor()
        return lambda: self._sum_up(session, table, month, path, name)

    def _sum_up(
        self, session: duckdb.DuckDBPyConnection, table: Table, month: str, path: Path, name: str
    ) -> FactFile | None:
        """Write the roll-ups of a file attached under this name, and hand it over; ends the session."""
        with session:
            session.execute("SET TimeZone = 'UTC'")
            ((rows,),) = session.execute(f"SELECT count(*) FROM {name}.{table.name}").fetchall()
            for rollup, select in ROLLUPS.get(table.name, {}).items():
                session.execute(f"CREATE TABLE {name}.{rollup} AS {select(self.configuration, f'{name}.{table.name}')}")
            if table.name == "calls":
                self._sum_users(session, name)
            # The session that writes the next month may just be looking through the catalogues of all files: FORCE waits for it to end.
            session.execute(f"FORCE CHECKPOINT {name}")
            session.execute(f"DETACH {name}")
        if not rows:
            path.unlink()
            return None
        return self.writer.adopt(path, table.name, month, rows)

    def amend_month(
        self, table: Table, base: FactFile, days: Collection[date], *, leave: str, join: str
    ) -> FactFile | None:
        """Write one month file of calls as a copy of the base snapshot's, without the rows for which the condition `leave` holds and with those
        of the SELECT `join`, which its layout must fit; None when no row is left. `days`, as roll-ups cut them, are those that rows leave
        or join: only they are summed again. It costs the copy of the file and what changes.

        The room of rows that left is not given back: see `may_amend`.
        """
        path = self.store.scratch / f"{table.name}-{base.month}.duckdb"
        shutil.copyfile(self.store.facts / base.name, path)
        self.connection.execute(f"ATTACH '{path_text(path)}' AS filed")
        layout = layout_of(self.connection, "filed")
        self.connection.execute(f"DELETE FROM filed.{layout.table} WHERE {leave}")
        self.connection.execute(f"INSERT INTO filed.{layout.table} SELECT {layout.names} FROM ({join})")
        ((rows,),) = self.connection.execute(f"SELECT count(*) FROM filed.{table.name}").fetchall()
        listed = ", ".join(f"DATE '{day}'" for day in sorted(days))
        zone = self.configuration.reporting_time_zone
        near = f"started_at >= DATE '{min(days)}' - INTERVAL 1 DAY AND started_at < DATE '{max(days)}' + INTERVAL 2 DAY"
        changed = f"(SELECT * FROM filed.{table.name} WHERE {near} AND {local_date('started_at', zone)} IN ({listed}))"
        for name, select in ROLLUPS[table.name].items():
            self.connection.execute(f"DELETE FROM filed.{name} WHERE date IN ({listed})")
            self.connection.execute(f"INSERT INTO filed.{name} {select(self.configuration, changed)}")
        self._sum_users(self.connection, "filed")
        self.connection.execute("CHECKPOINT filed")
        self.connection.execute("DETACH filed")
        if not rows:
            path.unlink()
            return None
        return self.writer.adopt(path, table.name, base.month, rows)

    def _sum_users(self, session: duckdb.DuckDBPyConnection, name: str) -> None:
        """Write the roll-ups that a month's users have as a whole, once its days are there."""
        by_day = callers.callers(f"{name}.user_days")
        session.execute(f"CREATE OR REPLACE TABLE {name}.{callers.NAME} AS {by_day}")
        listed = feature_users.feature_users(self.configuration, name)
        session.execute(f"CREATE OR REPLACE TABLE {name}.{feature_users.NAME} AS {listed}")

    def may_amend(self, base: FactFile, changes: int) -> bool:
        """Whether a month file is better amended than written anew for so many rows that leave or join: its roll-ups are cut as they are now,
        the changes are few, and so is the room that amendments before this one left empty."""
        if (
            self.base is None
            or self.base.rollup_key != rollup_key(self.configuration)
            or changes > AMENDED_AT_MOST * base.rows
        ):
            return False
        file = self.attach(base)
        rows = layout_of(self.connection, file).table if base.table == "calls" else base.table
        ((places,),) = self.connection.execute(f"SELECT max(rowid) + 1 FROM {file}.{rows}").fetchall()
        return bool(places <= (1 + AMENDED_AT_MOST) * base.rows)

    def replace(
        self, table: Table, month: str, source: str, files: dict[tuple[str, str], FactFile], *, in_order: bool = False
    ) -> None:
        """Write a month file (see `write_month`) and put it in the place of the old one in `files`; a month without rows leaves `files`."""
        written = self.write_month(table, month, source, in_order=in_order)
        files.pop((table.name, month), None)
        if written:
            files[(table.name, month)] = written

    def write_meta(self, sources: dict[str, str]) -> FactFile:
        """Write the file of the small tables, each from a SELECT. Its rows are those that somebody loaded: own prices and exchange rates."""
        path = self.store.scratch / "meta.duckdb"
        self.connection.execute(f"ATTACH '{path_text(path)}' AS filed")
        for table in META_TABLES:
            names = ", ".join(f'"{name}"' for name in table.names)
            self.connection.execute(table.ddl(f"filed.{table.name}"))
            self.connection.execute(f"INSERT INTO filed.{table.name} SELECT {names} FROM ({sources[table.name]})")
        own = " + ".join(f"(SELECT count(load_id) FROM filed.{name})" for name in ("prices", "fx_rates"))
        ((rows,),) = self.connection.execute(f"SELECT {own}").fetchall()
        self.connection.execute("DETACH filed")
        return self.writer.adopt(path, META, "", rows)

    @staticmethod
    def _order(table: Table) -> str:
        return {"charges": "ChargePeriodStart"}.get(table.name, table.month_column or table.names[0])


def path_text(path: Path) -> str:
    """A path as it stands between quotes in SQL."""
    return str(path).replace("'", "''")
