"""Small stores on disk from a handful of facts, with roll-ups as the loader writes them: for what depends on how a snapshot is opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from warehouse.configuration import Configuration
from warehouse.rollups import ROLLUPS, rollup_key
from warehouse.schema import META_TABLES, TABLES
from warehouse.store import FactFile, Store

Fact = Mapping[str, Any]


def store_of(
    path: Path,
    calls: Iterable[Fact] = (),
    charges: Iterable[Fact] = (),
    *,
    with_rollups: bool = True,
    **others: Iterable[Fact],
) -> Path:
    """Write a store at `path` that holds exactly these facts and publish it; answers with `path`.

    `with_rollups` False: roll-ups of another time, which readers have to work out again.
    """
    store, configuration = Store(path), Configuration()
    months: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    numbered = [{"call_id": f"c{number}", **fact} for number, fact in enumerate(calls)]
    for name, facts in {"calls": numbered, "charges": charges, **others}.items():
        table = TABLES[name]
        for fact in facts:
            months[(name, f"{fact[table.month_column]:%Y-%m}" if table.month_column else "")].append(fact)
    with store.writing() as writer:
        files: list[FactFile] = []
        for number, ((name, month), facts) in enumerate(months.items()):
            if not month:
                continue
            scratch = store.scratch / f"{number}.duckdb"
            with duckdb.connect(str(scratch)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute(TABLES[name].ddl())
                _insert(connection, name, facts)
                for rollup, select in ROLLUPS.get(name, {}).items():
                    connection.execute(f"CREATE TABLE {rollup} AS {select(configuration, name)}")
            files.append(writer.adopt(scratch, name, month, len(facts)))
        scratch = store.scratch / "meta.duckdb"
        with duckdb.connect(str(scratch)) as connection:
            for table in META_TABLES:
                connection.execute(table.ddl())
                _insert(connection, table.name, months.get((table.name, ""), []))
        files.append(writer.adopt(scratch, "meta", "", 0))
        writer.publish(files, rollup_key=rollup_key(configuration) if with_rollups else "none", demo=False)
    return path


def _insert(connection: duckdb.DuckDBPyConnection, table: str, facts: Iterable[Fact]) -> None:
    for fact in facts:
        names = ", ".join(f'"{name}"' for name in fact)
        marks = ", ".join("?" for _ in fact)
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(fact.values()))
