"""Where the store's files lie, which snapshot is current, and how a new one becomes current.

```
<store>/current                       name of the current snapshot
<store>/snapshots/<snapshot>.json     manifest: which fact files belong to it
<store>/facts/<table>-<month>.<n>.duckdb, meta.<n>.duckdb
<store>/scratch/                      the writer's workspace, emptied when a writer starts
<store>/pins/<snapshot>               keeps an old snapshot's files (a shared link reads them)
<store>/prepared/                     what is dear to find out, kept (see `warehouse.prepared`); may be deleted at any time
<store>/state.sqlite                  people's own state: budgets, scenarios, notes
<store>/fetched/, sync.lock           what a running sync has fetched and not loaded yet; who may sync
```

Fact files never change once written. A writer makes new ones under new names, writes a manifest, and swaps the pointer
`current` atomically: a reader in any process sees the old or the new snapshot, never a mix, and is never blocked. Being killed at any
moment leaves files that no manifest names; the next writer removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from warehouse.errors import StoreError
from warehouse.schema import SCHEMA_VERSION

KEPT_SNAPSHOTS = 5
"""So many past snapshots stay readable for sessions that still look at them."""


@dataclass(frozen=True)
class FactFile:
    """One immutable file: a month of one table ("2026-03"), or the small tables ("meta", month "", rows: own prices and exchange rates)."""

    table: str
    month: str
    name: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Snapshot:
    """What one snapshot is made of."""

    snapshot_id: str
    number: int
    created_at: str
    schema_version: int
    rollup_key: str
    demo: bool
    files: tuple[FactFile, ...] = field(default=())

    @property
    def has_facts(self) -> bool:
        """Whether it holds anything that was loaded: months of facts, own prices or exchange rates; a load of refused files leaves neither."""
        return any(file.month or file.rows for file in self.files)

    @property
    def calls(self) -> int:
        """How many calls it holds."""
        return sum(file.rows for file in self.of("calls"))

    def of(self, table: str) -> list[FactFile]:
        """The files of one table, by month."""
        return sorted((file for file in self.files if file.table == table), key=lambda file: file.month)


class Store:
    """One store folder. Opening it reads nothing and creates nothing."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.facts = self.path / "facts"
        self.snapshots = self.path / "snapshots"
        self.scratch = self.path / "scratch"
        self.pins = self.path / "pins"
        self._pointer = self.path / "current"

    def current(self) -> Snapshot | None:
        """The current snapshot; None when nothing was ever loaded.

        Raises StoreError when the pointer or manifest cannot be read, or was written by another version of Percall.
        """
        name = self.current_id()
        return None if name is None else self.snapshot(name)

    def current_id(self) -> str | None:
        """Name of the current snapshot without reading its manifest. Raises StoreError when the pointer cannot be read."""
        try:
            return self._pointer.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise StoreError(
                f"{self.path} is a file; the store is a folder: choose another with --store PATH"
            ) from error
        except UnicodeDecodeError as error:
            raise StoreError(f"{self._pointer} is damaged: restore the store from a back-up") from error

    def snapshot(self, name: str) -> Snapshot:
        """A snapshot by its name. Raises StoreError when it is gone, damaged or of another version."""
        path = self.snapshots / f"{name}.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StoreError(
                f"snapshot {name} is missing from {self.path}: restore the folder from a back-up, or load the files into a new store"
            ) from error
        except ValueError as error:
            raise StoreError(f"{path} is damaged ({error}): restore it from a back-up") from error
        version = raw.get("schema_version") if isinstance(raw, dict) else None
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"the store {self.path} was written with table version {version}, this Percall reads version {SCHEMA_VERSION}: "
                + (
                    "install a newer Percall"
                    if isinstance(version, int) and version > SCHEMA_VERSION
                    else "run `percall load` on your files into a new store (--store PATH)"
                )
            )
        try:
            files = tuple(FactFile(**file) for file in raw.pop("files"))
            return Snapshot(files=files, **raw)
        except (KeyError, TypeError) as error:
            raise StoreError(f"{path} is damaged ({error}): restore it from a back-up") from error

    @contextlib.contextmanager
    def writing(self, wait_seconds: float = 120.0) -> Iterator[Writer]:
        """The one writer's turn. Waits for another writer, then raises StoreError that says who holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreError(
                f"{self.path} is a file; the store is a folder: choose another with --store PATH"
            ) from error
        with (self.path / "writer.lock").open("a+") as lock:
            _acquire(lock, wait_seconds, self.path)
            try:
                shutil.rmtree(self.scratch, ignore_errors=True)
                for folder in (self.facts, self.snapshots, self.scratch, self.pins):
                    folder.mkdir(parents=True, exist_ok=True)
                writer = Writer(self)
                writer.remove_unnamed_files()
                yield writer
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)
                fcntl.flock(lock, fcntl.LOCK_UN)


def _acquire(lock: IO[str], wait_seconds: float, path: Path) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.seek(0)
                holder = lock.read().strip() or "another process"
                raise StoreError(
                    f"{path} is being written by {holder}: wait until it has finished, then try again"
                ) from None
            time.sleep(0.1)
        else:
            lock.seek(0)
            lock.truncate()
            lock.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
            lock.flush()
            return


class Writer:
    """What only the process that holds the lock may do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.base = store.current()
        numbers = [self.base.number if self.base else 0]
        numbers += [int(path.stem.rsplit("-", 1)[1]) for path in store.snapshots.glob("snapshot-*.json")]
        self.number = max(numbers) + 1

    def file_name(self, table: str, month: str) -> str:
        """Name for a new fact file of this table and month ("" for the meta file)."""
        return f"{table}-{month}.{self.number:06d}.duckdb" if month else f"{table}.{self.number:06d}.duckdb"

    def adopt(self, scratch_file: Path, table: str, month: str, rows: int) -> FactFile:
        """Move a finished file from scratch to the facts, durably."""
        _fsync(scratch_file)
        name = self.file_name(table, month)
        size = scratch_file.stat().st_size
        scratch_file.replace(self.store.facts / name)
        return FactFile(table, month, name, rows, size)

    def publish(self, files: list[FactFile], rollup_key: str, demo: bool) -> Snapshot:
        """Make these files the current snapshot: from here on readers see them."""
        _fsync(self.store.facts)
        name = f"snapshot-{self.number:06d}"
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        snapshot = Snapshot(name, self.number, created, SCHEMA_VERSION, rollup_key, demo, tuple(files))
        _write_durably(self.store.snapshots / f"{name}.json", json.dumps(asdict(snapshot), indent=1))
        _write_durably(self.store.path / "current", name + "\n")
        self.base = snapshot
        self.number += 1
        self.remove_unnamed_files()
        return snapshot

    def remove_unnamed_files(self) -> None:
        """Remove snapshots beyond the kept and pinned ones, and every fact file that no remaining manifest names."""
        manifests = sorted(self.store.snapshots.glob("snapshot-*.json"))
        current = self.base.snapshot_id if self.base else None
        pinned = {path.name for path in self.store.pins.iterdir()} if self.store.pins.exists() else set()
        newest_committed = [path for path in manifests if current and path.stem <= current]
        keep = {path.stem for path in newest_committed[-KEPT_SNAPSHOTS:]} | pinned
        named: set[str] = set()
        for path in manifests:
            if path.stem in keep:
                named |= {file["name"] for file in json.loads(path.read_text(encoding="utf-8"))["files"]}
            else:
                path.unlink()
        for path in self.store.facts.glob("*"):
            if path.name not in named:
                path.unlink()


def _write_durably(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    _fsync(path.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
