"""Reading one snapshot: the canonical tables and roll-ups as Ibis tables, answered by DuckDB.

A `Warehouse` is open read-only on immutable files. It may be shared by threads: every question runs on a cursor of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from warehouse import callers, feature_users
from warehouse.compiling import STREAMING, sql_of
from warehouse.configuration import Configuration
from warehouse.errors import StoreError
from warehouse.filing import META, path_text
from warehouse.rollups import ROLLUPS, categorised, charge_lines, charges_daily, local_date, rollup_key
from warehouse.schema import DIMENSIONS, META_TABLES, MONTHLY_TABLES, RESTATEMENTS, TABLES
from warehouse.state import State
from warehouse.store import Snapshot, Store
from warehouse.tag_rules import (
    CALL_FIELDS,
    KIND,
    LINE_FIELDS,
    TagRule,
    changed_rows,
    read_tag_rules,
    tagged_calls,
    tagged_lines,
)

if TYPE_CHECKING:
    from warehouse.engines.reading import EngineWarehouse

Found = TypeVar("Found")


class Warehouse:
    """One snapshot, open for questions.

    `table(name)` gives an Ibis table; `frame(expression)` answers an expression with an exact pandas frame (decimals are
    `decimal.Decimal`, dates are `datetime.date`); `materialise` keeps the answer of an expression as a further table.

    Virtual tags (`warehouse.tag_rules`) are applied to calls, billing lines and their roll-ups alike: those of the configuration, then those
    saved on pages as of `revision` (default: now), or `tag_rules` in their place.
    """

    reading_order: tuple[str, ...] = ()
    """By these columns calls are ordered whose answers to several questions are laid side by side. None: DuckDB answers in the order of its files."""

    keeps_prepared: bool = True
    """Whether `warehouse.prepared` may keep on disk what was found out: the fact files say when it is stale."""

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot | None,
        configuration: Configuration,
        threads: int | None = None,
        *,
        revision: int | None = None,
        tag_rules: Sequence[TagRule] | None = None,
    ) -> None:
        self.configuration = configuration
        self.snapshot = snapshot
        self.store = store
        self.state = State(store.path)
        self.revision = self.state.revision() if revision is None else revision
        self.tag_rules = self._known_tag_rules() if tag_rules is None else tuple(tag_rules)
        self._lock = threading.RLock()
        self._schemas: dict[str, ibis.Schema] = {}
        self._found: dict[str, Any] = {}
        self.remember: Callable[[str, Callable[[], pa.Table]], pa.Table] | None = None
        """Set by who wants equal questions (SQL) to be answered once: gives the answer that it keeps, or makes and keeps it."""
        self.rollup_key = rollup_key(configuration)
        """What facts are cut and classified by here: as of now, for an edit of the categories' rules does not reach what is open already."""
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET enable_progress_bar = false")
        if threads:
            self.connection.execute(f"SET threads = {threads}")
        self._attach(store)
        self._attach_sums_of_users()

    @property
    def snapshot_id(self) -> str:
        """Name of the snapshot; "empty" when nothing was ever loaded. Results may be cached under it."""
        return self.snapshot.snapshot_id if self.snapshot else "empty"

    @property
    def is_demo(self) -> bool:
        """Whether the store holds the synthetic demo company."""
        return bool(self.snapshot and self.snapshot.demo)

    @property
    def is_empty(self) -> bool:
        """Whether there are neither billing lines nor calls."""
        return not self.snapshot or not (self.snapshot.of("calls") or self.snapshot.of("charges"))

    def _attach(self, store: Store) -> None:
        files = self.snapshot.files if self.snapshot else ()
        aliases: dict[str, str] = {}
        for position, file in enumerate(files):
            path = store.facts / file.name
            if not path.exists():
                raise StoreError(
                    f"{path} is missing: restore the store from a back-up, or load the files into a new store"
                )
            aliases[file.name] = f"f{position}"
            self.connection.execute(f"ATTACH '{path_text(path)}' AS f{position} (READ_ONLY)")
        stored = {
            table.name: [
                f"SELECT * FROM {aliases[file.name]}.{table.name}" for file in files if file.table == table.name
            ]
            for table in MONTHLY_TABLES
        }
        meta = [file for file in files if file.table == META]
        for table in META_TABLES:
            stored[table.name] = [f"SELECT * FROM {aliases[file.name]}.{table.name}" for file in meta]
        self._stored_calls = " UNION ALL ".join(stored["calls"])
        if stored["calls"]:
            stored["calls"] = [tagged_calls(self._stored_calls, self.tag_rules, self._call_day)]
        current = self.snapshot is not None and self.snapshot.rollup_key == self.rollup_key
        if stored["charges"] and not current and self.configuration.category_rules.exists():
            stored["charges"] = [categorised(self.configuration, " UNION ALL ".join(stored["charges"]))]
        restated = self.state.restatements(self.revision)
        if restated:
            stored["restatements"].append(self._restated_by_rules(restated))
        for name, parts in stored.items():
            self._view(name, parts)
        lines = charge_lines(self.configuration)
        self.connection.execute(f"CREATE VIEW charge_lines AS {tagged_lines(lines, self.tag_rules)}")
        for base, rollups in ROLLUPS.items():
            for name, select in rollups.items():
                parts = [f"SELECT * FROM {aliases[file.name]}.{name}" for file in files if file.table == base]
                if parts and current and not self._rules_need_rows(name):
                    self.connection.execute(
                        f"CREATE VIEW {name} AS {self._tagged_rollup(name, ' UNION ALL '.join(parts))}"
                    )
                elif name == "charges_daily":
                    self.connection.execute(
                        f"CREATE TABLE {name} AS {charges_daily(self.configuration, lines='charge_lines')}"
                    )
                else:
                    self.connection.execute(f"CREATE TABLE {name} AS {select(self.configuration, base)}")

    def _attach_sums_of_users(self) -> None:
        """The tables from which active users are counted and a feature's dearest users are told, where they were written for this configuration."""
        if self.snapshot is None or self.snapshot.rollup_key != self.rollup_key:
            return
        files = {f"f{place}": file.month for place, file in enumerate(self.snapshot.files) if file.table == "calls"}
        if not self._rules_need_rows(callers.NAME):
            callers.attach(self.connection, list(files))
        if not self._rules_need_rows(feature_users.NAME):
            feature_users.attach(self.connection, files)

    def _view(self, name: str, parts: list[str]) -> None:
        if parts:
            self.connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}")
        else:
            self.connection.execute(TABLES[name].ddl())

    @property
    def _call_day(self) -> str:
        return local_date("started_at", self.configuration.reporting_time_zone)

    def _known_tag_rules(self) -> tuple[TagRule, ...]:
        saved = self.state.documents(KIND, self.revision)
        entries = [{"name": document.name, **(document.body or {})} for document in saved]
        return (*self.configuration.virtual_tags, *read_tag_rules(entries, str(self.state.path)))

    def _rules_need_rows(self, rollup: str) -> bool:
        """Whether a stored roll-up lacks what the rules look at."""
        if rollup == "charges_daily":
            return any(rule.needs_rows for rule in self.tag_rules if rule.applies_to(LINE_FIELDS))
        of_calls = [rule for rule in self.tag_rules if rule.applies_to(CALL_FIELDS)]
        if rollup == "user_days":
            return any(rule.dimension in ("feature", "user_tier") for rule in of_calls)
        if rollup == callers.NAME:
            return any(rule.dimension == "user_tier" for rule in of_calls)
        if rollup == feature_users.NAME:
            return any(rule.dimension == "feature" for rule in of_calls)
        return any(rule.needs_rows for rule in of_calls)

    def _tagged_rollup(self, name: str, select: str) -> str:
        if name == "charges_daily":
            return tagged_lines(select, self.tag_rules)
        return tagged_calls(select, self.tag_rules, "date") if name == "calls_daily" else select

    def _restated_by_rules(self, rows: list[tuple[Any, ...]]) -> str:
        """SELECT for what changes of rules restated, like `restatements`."""
        self.connection.execute(RESTATEMENTS.ddl("rule_restatements"))
        self.connection.executemany(
            """INSERT INTO rule_restatements (restated_at, table_name, source, date, feature, service, currency, cost_before, cost_after, reason)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'rules')""",
            rows,
        )
        return "SELECT * FROM rule_restatements"

    def with_tag_rules(self, rules: Sequence[TagRule]) -> Warehouse:
        """The same snapshot as other virtual tags show it, opened anew."""
        return Warehouse(self.store, self.snapshot, self.configuration, revision=self.revision, tag_rules=rules)

    def retagged(self, rules: Sequence[TagRule]) -> tuple[int, int]:
        """How many calls and how many billing lines would have another dimension under these virtual tags instead of the present ones."""
        counts = []
        stored_lines = charge_lines(self.configuration)
        for table, stored, day in (
            ("calls", self._stored_calls, self._call_day),
            ("charge_lines", stored_lines, "date"),
        ):
            select = f"{changed_rows(table, self.tag_rules, rules, day)} FROM ({stored})" if stored else "SELECT 0"
            row = self.connection.cursor().execute(select).fetchone()
            counts.append(int(row[0]) if row else 0)
        return counts[0], counts[1]

    def table(self, name: str) -> ir.Table:
        """A canonical table, roll-up or materialised table as an Ibis table."""
        with self._lock:
            if name not in self._schemas:
                self._schemas[name] = self._schema(name)
            return ibis.table(self._schemas[name], name=name)

    def _schema(self, name: str) -> ibis.Schema:
        relation = self.connection.cursor().sql(f'SELECT * FROM "{name}" LIMIT 0')
        return ibis.Schema.from_pyarrow(relation.to_arrow_table().schema)

    def has_table(self, name: str) -> bool:
        """Whether a table or view of this name exists already."""
        with self._lock:
            if name in self._schemas:
                return True
            known = "SELECT count(*) FROM information_schema.tables WHERE table_name = ? AND table_catalog = 'memory'"
            row = self.connection.cursor().execute(known, [name]).fetchone()
            return bool(row and row[0])

    def materialise(self, name: str, expression: ir.Table) -> ir.Table:
        """Keep the answer of an expression as table `name` of this open snapshot (once; later calls return it)."""
        with self._lock:
            if not self.has_table(name):
                self.connection.cursor().execute(f'CREATE TABLE "{name}" AS {self.sql(expression)}')
            return self.table(name)

    def hold(self, name: str, rows: pa.Table) -> ir.Table:
        """Take rows that were found out before as table `name` of this open snapshot (once; later calls return it)."""
        with self._lock:
            if not self.has_table(name):
                cursor = self.connection.cursor()
                cursor.register(f"held_{name}", rows)
                cursor.execute(f'CREATE TABLE "{name}" AS SELECT * FROM "held_{name}"')
                cursor.unregister(f"held_{name}")
            return self.table(name)

    @staticmethod
    def sql(expression: ir.Expr) -> str:
        """The SQL that answers an expression, for "how was this obtained"."""
        return sql_of(expression.op())

    def arrow(self, expression: ir.Expr, *, streaming: bool = False) -> pa.Table:
        """The answer as an Arrow table, with exact types: money is decimal, counts are int64.

        streaming: for a question over millions of single calls, see `warehouse.compiling.STREAMING`. The answer is the same.
        """
        statement = sql_of(expression.op(), STREAMING) if streaming else self.sql(expression)
        return self.remember(statement, lambda: self._ask(statement)) if self.remember else self._ask(statement)

    def _ask(self, statement: str) -> pa.Table:
        return _counts_as_integers(self.connection.cursor().sql(statement).to_arrow_table())

    def frame(self, expression: ir.Expr) -> pd.DataFrame:
        """The answer as a pandas frame: decimals, dates and counts beside a NULL are exact Python objects, NULL is None or NaN."""
        return self.arrow(expression).to_pandas(integer_object_nulls=True)

    def row(self, expression: ir.Table) -> dict[str, Any]:
        """The one row of an expression as a dict."""
        rows = self.arrow(expression).to_pylist()
        return rows[0] if rows else {}

    def once(self, name: str, find: Callable[[], Found]) -> Found:
        """What `find` finds out about this snapshot, found out once: for small facts that many questions hang on. It must not change later."""
        if name not in self._found:
            self._found[name] = find()
        found: Found = self._found[name]
        return found

    def span(self) -> tuple[date, date] | None:
        """First and last day (reporting time zone) with a call or a billing line; None when the store is empty."""
        return self.once("span", self._span)

    def _span(self) -> tuple[date, date] | None:
        row = (
            self.connection.cursor()
            .execute(
                """SELECT min(date), max(date) FROM (SELECT date FROM calls_daily UNION ALL SELECT date FROM charges_daily)"""
            )
            .fetchone()
        )
        return (row[0], row[1]) if row and row[0] else None

    def dimension_values(self, name: str) -> list[str]:
        """Values of a filter dimension (project, feature, team, env, user_tier, model, provider), the dearest first."""
        column = {"model": "x_Model"}.get(name, name)
        if name not in (*DIMENSIONS, "model", "provider"):
            raise KeyError(name)
        rows = (
            self.connection.cursor()
            .execute(
                f"""SELECT v FROM (
                        SELECT {name} AS v, coalesce(sum(cost), 0)::DOUBLE AS cost, sum(calls) AS calls FROM calls_daily GROUP BY 1
                        UNION ALL SELECT {column}, coalesce(sum(effective), 0)::DOUBLE, 0 FROM charges_daily GROUP BY 1)
                    WHERE v IS NOT NULL GROUP BY v ORDER BY sum(cost) DESC, sum(calls) DESC, v LIMIT 500"""
            )
            .fetchall()
        )
        return [row[0] for row in rows]


def _counts_as_integers(table: pa.Table) -> pa.Table:
    """Counts as int64: DuckDB sums integers into 128 bits, which Arrow only has as a decimal without digits after the point."""
    for position, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            table = table.set_column(position, column.name, table.column(position).cast(pa.int64()))
    return table


def current_id(path: Path, configuration: Configuration) -> str | None:
    """Name of what `open_current` would open: the newest publication where an engine is configured and has one, else the store's snapshot.

    Raises StoreError when neither can be read.
    """
    if configuration.engine:
        from warehouse.engines.reading import newest_publication  # noqa: PLC0415 - engines build on this module

        publication = newest_publication(configuration)
        if publication is not None:
            return publication.publication_id
    return Store(path).current_id()


def _published(path: Path, configuration: Configuration, name: str | None = None) -> EngineWarehouse | None:
    """The newest publication, or that of a name, on the configured engine; None where there is none."""
    if not configuration.engine:
        return None
    from warehouse.engines.reading import open_published  # noqa: PLC0415

    return open_published(path, configuration, name)


def open_current(path: Path, configuration: Configuration, threads: int | None = None) -> Warehouse:
    """Open the current snapshot of a store read-only, with the rules saved last; an empty warehouse when nothing was ever loaded.

    Where an engine is configured, the newest publication there is opened instead; before the first one, the store.

    Raises StoreError when the store cannot be read (see `warehouse.store`) or the engine does not answer.
    """
    published = _published(path, configuration)
    if published is not None:
        return published
    store = Store(path)
    for attempt in range(3):
        snapshot = store.current()
        try:
            return Warehouse(store, snapshot, configuration, threads)
        except (StoreError, duckdb.IOException):
            # A writer may have published, and removed the oldest files, between reading the pointer and opening them.
            if attempt == 2 or store.current_id() == (snapshot.snapshot_id if snapshot else None):
                raise
    raise AssertionError("unreachable")


def open_snapshot(
    path: Path, name: str, configuration: Configuration, threads: int | None = None, *, revision: int | None = None
) -> Warehouse:
    """Open a named snapshot (a shared link's frozen one), with the rules as of a revision (default: now).

    Where an engine is configured and has this snapshot, or a publication of this name, it answers: see `warehouse.engines`.

    Raises StoreError when it is gone.
    """
    published = _published(path, configuration, name)
    if published is not None:
        return published
    store = Store(path)
    return Warehouse(store, store.snapshot(name), configuration, threads, revision=revision)
