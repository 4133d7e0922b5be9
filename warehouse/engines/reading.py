"""Reading a publication: a `Warehouse` whose tables lie on an engine.

People's own state (budgets, scenarios, notes) stays in the store's folder. Virtual tags count as they were when the data were published.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from warehouse import feature_users
from warehouse.configuration import Configuration
from warehouse.engines.engine import Engine, Publication, open_engine
from warehouse.engines.publishing import table_schemas
from warehouse.engines.settings import EngineSettings, engine_settings
from warehouse.errors import StoreError
from warehouse.reader import Warehouse
from warehouse.rollups import rollup_key
from warehouse.schema import DIMENSIONS
from warehouse.store import FactFile, Snapshot, Store
from warehouse.tag_rules import TagRule

_MOST_VALUES = 500
_LOCAL = ("prices",)
"""Small tables that are asked by statements of DuckDB: an engine's warehouse keeps a copy beside itself."""

_engines: list[tuple[EngineSettings, Engine]] = []
_lock = threading.RLock()


def connected(settings: EngineSettings) -> Engine:
    """The engine, connected once per process."""
    with _lock:
        for known, engine in _engines:
            if known == settings:
                return engine
        engine = open_engine(settings)
        _engines.append((settings, engine))
        return engine


def newest_publication(configuration: Configuration) -> Publication | None:
    """What readers of the configured engine look at now; None when nothing was published. Raises like `open_published`."""
    settings = engine_settings(configuration)
    return next(iter(connected(settings).publications()), None) if settings else None


def open_published(path: Path, configuration: Configuration, name: str | None = None) -> EngineWarehouse | None:
    """The newest publication of the configured engine, or the one of this name (its own or its snapshot's); None where the engine has none,
    or none is configured.

    Raises InputError for settings that cannot be used, StoreError when the engine does not answer.
    """
    settings = engine_settings(configuration)
    if settings is None:
        return None
    engine = connected(settings)
    known = engine.publications()
    found = next((one for one in known if name in (None, one.publication_id, one.snapshot_id)), None)
    return None if found is None else EngineWarehouse(path, configuration, engine, found)


class EngineWarehouse(Warehouse):
    """One publication, open for questions. Everything that a `Warehouse` answers, it answers the same, to the last digit.

    Raises StoreError when the data were published under settings (time zone, tag keys, cost categories) that are not those of now.
    """

    reading_order = ("started_at", "source", "call_id")
    keeps_prepared = False

    def __init__(self, path: Path, configuration: Configuration, engine: Engine, publication: Publication) -> None:
        if publication.rollup_key != rollup_key(configuration):
            raise StoreError(
                "the engine's tables were published with another time zone, other tag keys or other cost categories than are configured "
                "now: run `percall engine publish` where the store lies"
            )
        super().__init__(Store(path), None, configuration, threads=1, tag_rules=())
        self.engine, self.publication = engine, publication
        # Its parts stand for the store's files: what there is of calls and charges, without their places.
        files = tuple(
            FactFile(table, part.rpartition("_")[0].replace("_", "-"), part, 0, 0)
            for table in ("calls", "charges")
            for part in publication.parts[table]
        )
        self.snapshot = Snapshot(
            publication.snapshot_id, publication.number, publication.created_at, 0, publication.rollup_key, publication.demo, files
        )  # fmt: skip
        self._published = table_schemas(configuration)
        self._kept: dict[str, ir.Table] = {}
        engine.open(publication, self._published)
        for name in _LOCAL:
            rows = self.arrow(self.table(name))
            self.connection.register("published_rows", rows)
            self.connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM published_rows")
            self.connection.unregister("published_rows")

    def sql(self, expression: ir.Expr) -> str:  # type: ignore[override]
        """The SQL that answers an expression, in the engine's language."""
        return self.engine.sql(expression.op())

    def table(self, name: str) -> ir.Table:
        """A canonical table, roll-up or kept table as an Ibis table."""
        if name in self._kept:
            return self._kept[name]
        if name not in self._published:
            raise StoreError(f"there is no table {name!r} on the engine")
        return ibis.table(self._published[name], name=self.engine.relation(self.publication, name))

    def has_table(self, name: str) -> bool:
        """Whether a table of this name is kept, or was published where not every publication has it."""
        return name in self._kept or (name == feature_users.NAME and bool(self.publication.parts.get(name)))

    def materialise(self, name: str, expression: ir.Table) -> ir.Table:
        """Keep the answer on the engine, beside the publication (once; later calls return it)."""
        with self._lock:
            if name not in self._kept:
                relation = self.engine.keep(self.publication, name, self.sql(expression))
                self._kept[name] = ibis.table(expression.schema(), name=relation)
            return self._kept[name]

    def arrow(self, expression: ir.Expr, *, streaming: bool = False) -> pa.Table:  # noqa: ARG002 - an engine decides by itself
        """The answer as an Arrow table with the types that DuckDB gives: exact decimals, int64 counts, times without a zone, booleans."""
        statement, schema = self.sql(expression), expression.as_table().schema()

        def ask() -> pa.Table:
            return as_duckdb_types(self.engine.arrow(statement), schema)

        return self.remember(statement, ask) if self.remember else ask()

    def _span(self) -> tuple[date, date] | None:
        days = self.table("calls_daily").select("date").union(self.table("charges_daily").select("date"))
        row = self.row(days.agg(first=days.date.min(), last=days.date.max()))
        return (row["first"], row["last"]) if row and row["first"] else None

    def dimension_values(self, name: str) -> list[str]:
        """Values of a filter dimension, the dearest first."""
        if name not in (*DIMENSIONS, "model", "provider"):
            raise KeyError(name)
        calls, lines = self.table("calls_daily"), self.table("charges_daily")
        of_lines = lines["x_Model" if name == "model" else name]
        both = calls.select(v=calls[name], cost=calls.cost.cast("float64"), calls=calls.calls.cast("int64")).union(
            lines.select(v=of_lines, cost=lines.effective.cast("float64"), calls=ibis.literal(0, "int64"))
        )
        sums = (
            both.filter(both.v.notnull()).group_by("v").agg(cost=both.cost.sum().fill_null(0.0), calls=both.calls.sum())
        )
        ordered = sums.order_by([ibis.desc("cost"), ibis.desc("calls"), "v"]).limit(_MOST_VALUES)
        return [row["v"] for row in self.arrow(ordered).to_pylist()]

    def with_tag_rules(self, rules: Sequence[TagRule]) -> Warehouse:
        """The same snapshot as other virtual tags show it: out of the store's own files. Raises StoreError where they do not lie here."""
        return self._at_home().with_tag_rules(rules)

    def retagged(self, rules: Sequence[TagRule]) -> tuple[int, int]:
        """How many calls and billing lines would change: out of the store's own files. Raises StoreError where they do not lie here."""
        return self._at_home().retagged(rules)

    def _at_home(self) -> Warehouse:
        try:
            snapshot = self.store.snapshot(self.publication.snapshot_id)
            return Warehouse(self.store, snapshot, self.configuration, revision=self.revision)
        except StoreError as error:
            raise StoreError(
                "virtual tags are tried out on the store's own files, which do not lie on this machine: save the rule, then run "
                "`percall engine publish` where the store lies"
            ) from error


def as_duckdb_types(table: pa.Table, schema: ibis.Schema) -> pa.Table:
    """The same values in the types in which DuckDB hands them out. `schema` tells booleans, which ClickHouse takes for numbers, from numbers."""
    for place, field in enumerate(table.schema):
        wanted = pa.bool_() if schema[field.name].is_boolean() else _wanted(field.type)
        if wanted != field.type:
            table = table.set_column(place, field.name, table.column(place).cast(wanted))
    return table


def _wanted(kind: Any) -> Any:
    types = pa.types
    if types.is_integer(kind) or (types.is_decimal(kind) and kind.scale == 0):
        return pa.int64()
    if types.is_timestamp(kind):
        return pa.timestamp("us")
    if types.is_list(kind):
        of_hashes = types.is_decimal(kind.value_type) and kind.value_type.scale == 0
        return pa.list_(pa.uint64()) if of_hashes else kind
    return kind
