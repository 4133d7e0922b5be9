"""Back-ups of a store: one file with the current snapshot, the snapshots that shared links pin, people's state and the links' key.

Fact files never change, so a back-up is consistent however many loads run beside it: it pins the snapshot it copies, and reads the state through
SQLite's own back-up. The file ends with a list of what is in it, each with its digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from warehouse.audit import BACKED_UP, RESTORED, AuditLog
from warehouse.configuration import Configuration
from warehouse.errors import CheckFailed, InputError, StoreError
from warehouse.pins import pinned, replace_pins
from warehouse.reader import open_snapshot
from warehouse.share_records import Shares
from warehouse.store import Snapshot, Store

CONTENTS = "contents.json"
"""The last member: what the back-up holds."""


@dataclass(frozen=True)
class Backup:
    """What a back-up holds: its snapshot, when it was made (UTC), how many files, their bytes, and rows by table."""

    snapshot_id: str
    made_at: str
    files: int
    bytes: int
    rows: dict[str, int]


def create(store: Store, target: Path) -> Backup:
    """Write a back-up of the store to a new file, which appears under its name only when it is complete.

    Raises InputError when the file exists, StoreError when the store is empty or a file of it is missing.
    """
    if target.exists():
        raise InputError(f"{target} exists: choose another name, a back-up never replaces one")
    with _held(store) as snapshot:
        names = [f"snapshots/{snapshot.snapshot_id}.json"]
        facts = {file.name for file in snapshot.files}
        shares = pinned(store, "share")
        for shared in shares:
            names.append(f"snapshots/{shared}.json")
            facts |= {file.name for file in store.snapshot(shared).files}
        names = [*dict.fromkeys(names), *(f"facts/{name}" for name in sorted(facts))]
        if (store.path / "share.key").exists():
            names.append("share.key")
        partial = target.with_name(f"{target.name}.partial")
        try:
            return _write(store, snapshot, names, partial, target)
        finally:
            partial.unlink(missing_ok=True)


def verify(source: Path, configuration: Configuration) -> Backup:
    """Read a back-up whole: every digest, the state's integrity, and every table of its snapshot, counted.

    Raises InputError when the file is no back-up, CheckFailed when anything in it is not what was written.
    """
    with tempfile.TemporaryDirectory(prefix="percall-verify-") as folder:
        return _unpack(source, Path(folder) / "store", configuration)


def restore(source: Path, store: Store, configuration: Configuration) -> Backup:
    """Make a store of a back-up, checked as `verify` does, in a folder that holds none. The folder appears whole or not at all.

    Raises StoreError when the folder holds a store, and what `verify` raises.
    """
    if store.current_id() is not None or (store.path.exists() and any(store.path.iterdir())):
        raise StoreError(
            f"{store.path} holds something already: restore into a new folder (--store PATH), then use that"
        )
    store.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".percall-restore-", dir=store.path.parent) as folder:
        found = _unpack(source, Path(folder) / "store", configuration)
        with contextlib.suppress(FileNotFoundError):
            store.path.rmdir()
        (Path(folder) / "store").replace(store.path)
    Shares(store.path).release()
    AuditLog(store.path).record(RESTORED, found.snapshot_id, file=source.name, made_at=found.made_at)
    return found


@contextlib.contextmanager
def _held(store: Store) -> Iterator[Snapshot]:
    """The current snapshot, pinned while the block runs. Pins of processes that are gone are taken away."""
    mine = str(os.getpid())

    def pin(*names: str) -> None:
        kept = {
            snapshot: [owner for owner in owners if owner != mine and _runs(owner)]
            for snapshot, owners in pinned(store, "backup").items()
        }
        for name in names:
            kept[name] = [*kept.get(name, []), mine]
        replace_pins(store, "backup", kept)

    try:
        name = store.current_id()
        if name is None:
            raise StoreError(f"{store.path} holds nothing yet: there is nothing to back up")
        # Those of shared links too: a link may end while its snapshot is being copied.
        pin(*{name, *pinned(store, "share")})
        yield store.snapshot(name)
    finally:
        if store.path.exists():
            pin()


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _write(store: Store, snapshot: Snapshot, names: list[str], partial: Path, target: Path) -> Backup:
    listed: dict[str, str] = {}
    size = 0
    AuditLog(store.path).record(BACKED_UP, snapshot.snapshot_id, file=target.name)
    # Its owner alone may read it: it holds every figure, and the key of the shared links.
    descriptor = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with (
        os.fdopen(descriptor, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):

        def add(name: str, path: Path) -> None:
            nonlocal size
            listed[name] = _digest(path)
            archive.add(path, name, recursive=False)
            size += path.stat().st_size

        for name in names:
            path = store.path / name
            if not path.exists():
                raise StoreError(
                    f"{path} is missing: the store is damaged; restore an older back-up, or load the files again"
                )
            add(name, path)
        with tempfile.TemporaryDirectory(prefix="percall-backup-") as folder:
            pointer = Path(folder) / "current"
            pointer.write_text(f"{snapshot.snapshot_id}\n", encoding="utf-8")
            add("current", pointer)
            state = Path(folder) / "state.sqlite"
            with (
                contextlib.closing(sqlite3.connect(store.path / "state.sqlite")) as source,
                contextlib.closing(sqlite3.connect(state)) as copy,
            ):
                source.backup(copy)
            add("state.sqlite", state)
        rows: dict[str, int] = {}
        for file in snapshot.files:
            rows[file.table] = rows.get(file.table, 0) + file.rows
        made = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        about = {"snapshot_id": snapshot.snapshot_id, "made_at": made, "rows": rows, "files": listed}
        text = json.dumps(about, indent=1).encode()
        entry = tarfile.TarInfo(CONTENTS)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(target)
    return Backup(snapshot.snapshot_id, made, len(listed), size, rows)


def _unpack(source: Path, folder: Path, configuration: Configuration) -> Backup:
    """Unpack a back-up into a folder and check all of it."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(source, "r:") as archive:
            archive.extractall(folder, filter="data")
        about = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        listed, name = dict(about["files"]), str(about["snapshot_id"])
    except FileNotFoundError as error:
        what = (
            "does not exist"
            if error.filename and Path(error.filename) == source
            else "is no complete back-up: its list of contents is missing"
        )
        raise InputError(f"{source} {what}") from error
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{source} is no complete back-up of Percall ({error})") from error
    (folder / CONTENTS).unlink()
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    if found != set(listed):
        raise CheckFailed(
            f"{source}: {', '.join(sorted(found ^ set(listed)))} is not in both the list of contents and the file"
        )
    for member, digest in listed.items():
        if _digest(folder / member) != digest:
            raise CheckFailed(f"{source}: {member} is not what was written")
    with contextlib.closing(sqlite3.connect(folder / "state.sqlite")) as state:
        (answer,) = state.execute("PRAGMA integrity_check").fetchone()
    if answer != "ok":
        raise CheckFailed(f"{source}: the state is damaged ({answer})")
    if AuditLog(folder).damaged() is not None:
        raise CheckFailed(f"{source}: entries of the audit log were changed or removed")
    size = sum((folder / member).stat().st_size for member in listed)
    _count(folder, name, about["rows"], configuration, source)
    for made in ("facts", "snapshots", "pins"):
        (folder / made).mkdir(exist_ok=True)
    return Backup(name, str(about["made_at"]), len(listed), size, dict(about["rows"]))


def _count(folder: Path, name: str, rows: dict[str, int], configuration: Configuration, source: Path) -> None:
    """Open the snapshot and count its tables."""
    warehouse = open_snapshot(folder, name, configuration, threads=1)
    for table, expected in rows.items():
        if table == "meta":
            continue
        counted = warehouse.connection.cursor().execute(f'SELECT count(*) FROM "{table}"').fetchone()
        if counted is None or counted[0] != expected:
            raise CheckFailed(f"{source}: table {table} has {counted and counted[0]} rows, {expected} were written")
    warehouse.connection.close()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
