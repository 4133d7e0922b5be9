"""Publishing: the current snapshot, table by table and month by month, to the configured engine; only what changed is written."""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
import pyarrow.parquet as pq

from warehouse import feature_users
from warehouse.configuration import Configuration
from warehouse.engines.engine import KEPT_PUBLICATIONS, Engine, Publication, open_engine
from warehouse.engines.settings import EngineSettings, engine_settings
from warehouse.errors import InputError, StoreError
from warehouse.filing import META
from warehouse.reader import Warehouse
from warehouse.rollups import ROLLUPS, rollup_key
from warehouse.schema import CALL_TEXTS, META_TABLES, TABLES
from warehouse.store import FactFile, Snapshot, Store
from warehouse.tag_rules import TagRule

LINES = "charge_lines"
PUBLISHED = (*TABLES, *(name for rollups in ROLLUPS.values() for name in rollups), LINES)
"""Every table of a publication: the canonical ones, the roll-ups, and billing lines with their dimensions; beside them the lists of users, where
the store has them."""

Told = Callable[[str], None]


@dataclass(frozen=True)
class Published:
    """What a publication did. written and kept: parts; rows: in the written ones."""

    publication: Publication
    written: int
    kept: int
    rows: int


def publish(store_path: Path, configuration: Configuration, told: Told | None = None) -> Published:
    """Publish the current snapshot to the engine of [engine]. Publishing the same again writes nothing; of two at once, one waits for the other.

    Raises InputError when no engine is configured or the store is empty, StoreError when the engine refuses.
    """
    settings = engine_settings(configuration)
    if settings is None:
        raise InputError(
            'no engine is configured: write kind = "clickhouse" or kind = "spark" into [engine] of percall.toml'
        )
    store = Store(store_path)
    if store.current() is None:
        raise InputError(f"{store_path} is empty: load data first, then publish")
    with _alone(store):
        return _publish(store, configuration, settings, told)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Wait until nobody else publishes this store: two that write a part at once would mix it. Who is killed holds no lock."""
    with (store.path / "publish.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _publish(store: Store, configuration: Configuration, settings: EngineSettings, told: Told | None) -> Published:
    snapshot = store.current()
    if snapshot is None:
        raise InputError(f"{store.path} is empty: load data first, then publish")
    whole = Warehouse(store, snapshot, configuration, threads=1)
    engine = open_engine(settings)
    announced = engine.publications()
    there = {(table, part) for one in announced for table, parts in one.parts.items() for part in parts}
    publication, work = _planned(store, snapshot, whole, configuration)
    schemas = table_schemas(configuration)
    written = rows = 0
    for file, tables in work:
        missing = [(table, part) for table, part in tables if (table, part) not in there]
        if missing:
            if told:
                told(f"{file.table} {file.month}".strip())
            rows += _write(engine, store, snapshot, file, missing, whole, schemas)
            written += len(missing)
    if not announced or announced[0] != publication:
        engine.announce(publication, schemas)
        others = [one for one in announced if one.publication_id != publication.publication_id]
        engine.remove_all_but([publication, *others[: KEPT_PUBLICATIONS - 1]])
    return Published(publication, written, sum(len(tables) for _, tables in work) - written, rows)


def publish_after_load(store_path: Path, configuration: Configuration, told: Told) -> None:
    """Publish what a load or sync just stored, where an engine is configured to follow. The load itself has succeeded: a failing engine is told,
    and the next publication catches up."""
    settings = engine_settings(configuration)
    if settings is None or not settings.publish:
        return
    try:
        done = publish(store_path, configuration)
    except (InputError, StoreError) as error:
        told(f"The data are loaded, but not published to {settings.kind}: {error}. Run `percall engine publish` later.")
        return
    told(f"Published to {settings.kind}: {done.written} parts written, {done.kept} unchanged.")


def rules_digest(rules: tuple[TagRule, ...]) -> str:
    """Tells sets of virtual tags apart."""
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:12]


def table_schemas(configuration: Configuration) -> dict[str, ibis.Schema]:
    """Columns and types of every published table."""
    empty = Warehouse(Store(Path("nowhere")), None, configuration, threads=1, revision=0, tag_rules=())
    schemas = {name: empty.table(name).schema() for name in PUBLISHED}
    return schemas | {feature_users.NAME: ibis.schema(feature_users.COLUMNS)}


def _planned(
    store: Store, snapshot: Snapshot, whole: Warehouse, configuration: Configuration
) -> tuple[Publication, list[tuple[FactFile, list[tuple[str, str]]]]]:
    key, rules = rollup_key(configuration), rules_digest(whole.tag_rules)
    work: list[tuple[FactFile, list[tuple[str, str]]]] = []
    listed = whole.has_table(feature_users.NAME)
    parts: dict[str, list[str]] = {name: [] for name in (*PUBLISHED, feature_users.NAME)}
    for file in snapshot.files:
        # A file's name is unique in its store only, and an engine may be shared: its size and time tell stores apart.
        changed = (store.facts / file.name).stat().st_mtime_ns
        version = [file.name, str(file.bytes), str(changed), key, rules, configuration.reporting_time_zone]
        if file.table == META:
            version.append(repr(whole.state.restatements(whole.revision)))
        digest = hashlib.sha256("\n".join(version).encode()).hexdigest()[:12]
        part = f"{(file.month or 'all').replace('-', '_')}_{digest}"
        tables = [(name, part) for name in _tables_of(file, listed=listed)]
        for name, _ in tables:
            parts[name].append(part)
        work.append((file, tables))
    named = {name: tuple(sorted(found)) for name, found in parts.items()}
    digest = hashlib.sha256(repr(named).encode()).hexdigest()[:8]
    publication = Publication(
        f"{snapshot.snapshot_id.replace('-', '_')}_{digest}", snapshot.snapshot_id, snapshot.number, snapshot.created_at, snapshot.demo,
        key, rules, named,
    )  # fmt: skip
    return publication, work


def _tables_of(file: FactFile, *, listed: bool) -> Iterator[str]:
    if file.table == META:
        yield from (table.name for table in META_TABLES)
        return
    if file.table == CALL_TEXTS.name:
        # What people wrote stays in the store: an engine is shared with others. There the table has no rows.
        return
    yield file.table
    yield from ROLLUPS.get(file.table, {})
    if file.table == "calls" and listed:
        yield feature_users.NAME
    if file.table == "charges":
        yield LINES


def _write(
    engine: Engine, store: Store, snapshot: Snapshot, file: FactFile, parts: list[tuple[str, str]], whole: Warehouse, schemas: dict[str, ibis.Schema]
) -> int:  # fmt: skip
    """One file's tables, as the rules and the configuration of now show them; answers with the number of rows."""
    alone = Warehouse(
        store, replace(snapshot, files=(file,)), whole.configuration, threads=2, revision=whole.revision, tag_rules=whole.tag_rules
    )  # fmt: skip
    rows = 0
    with tempfile.TemporaryDirectory(prefix="percall-publish-") as folder:
        for table, part in parts:
            names = ", ".join(f'"{name}"' for name in schemas[table].names)
            path = Path(folder) / f"{table}.parquet"
            with alone.connection.cursor() as cursor:
                batches = cursor.sql(f'SELECT {names} FROM "{table}"').to_arrow_reader(100_000)
                with pq.ParquetWriter(path, batches.schema, compression="zstd") as writer:
                    for batch in batches:
                        rows += batch.num_rows
                        writer.write_batch(batch)
            engine.write_part(table, part, schemas[table], path)
            path.unlink()
    alone.connection.close()
    return rows
