"""What is dear to find out and asked for again: kept as Arrow files beside the facts, for every process that reads the store.

```
<store>/prepared/<name>-<key>/<table>.arrow   the tables, uncompressed, so that they are read by mapping them into memory
<store>/prepared/turn.lock                    who prepares ahead of being asked
<store>/prepared/<name>-<key>/about.json      the fact files that they were made of, the key in words, and the tables' checksums
```

The key is a digest of everything that the tables depend on (`Needs`): the fact files that were looked at, which never change; the content of small
tables such as prices; the settings by which facts are read and cut; virtual tags; the program's own sources; and what the caller adds. So what
is found under a key is what would be made now, and what is stale has another key: it is never found. Whoever finds nothing makes the tables and
keeps them. A folder appears under its name whole, by one rename; of two processes that make the same one, the first one's stays.

Nothing here is a fact: the folder may be deleted at any time, back-ups leave it out, and where it cannot be written everything is made each time.
It takes at most half of what the facts take (`MOST_OF_FACTS`), and 64 MB at least; what was asked for longest ago gives way, and before it what was
made of fact files that are gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import mmap
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import ibis
import numpy as np
import pyarrow as pa

from warehouse.configuration import DATA

if TYPE_CHECKING:
    from warehouse.reader import Warehouse

FOLDER = "prepared"
MOST_OF_FACTS = 0.5
LEAST_ROOM = 64 * 2**20
"""Bytes that may always be kept, however small the store is."""

ABANDONED_AFTER = 3600
"""Seconds after which a folder that somebody began and never finished is removed."""

_UNFINISHED = ".making-"
_ABOUT = "about.json"
_TURN = "turn.lock"

_log = logging.getLogger("percall.prepared")

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class Needs:
    """What tables are made of.

    facts: tables by month ("calls", "charges", "utilization"; roll-ups lie in their files), all of their files, or with `first` and `last` those of
    the months of these UTC days, both included. contents: small tables ("prices"), by their rows. inputs: texts for everything else that the
    tables depend on, such as the filters: two questions of the same files need other inputs or names.
    """

    facts: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    contents: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


def prepared(warehouse: Warehouse, name: str, needs: Needs, make: Callable[[], Tables]) -> dict[str, pa.Table]:
    """The tables that `make` makes, kept under `name` (letters and hyphens) for all that `needs` says; made now where they are not kept.

    Names of tables are letters, digits, hyphens and underscores. They come back with the same columns, types and values; mapped from disk, they are
    not to be written to. On an engine, and for a store that holds nothing, they are made each time.

    Raises what `make` raises; nothing is kept then. A disk that is full or read-only is no error.
    """
    place = _place(warehouse, name, needs)
    found = None if place is None else _read(place)
    if found is not None:
        return found
    made = dict(make())
    if place is None:
        return made
    try:
        _keep(place, made, needs, _files(warehouse, needs))
        _make_room(warehouse, place)
    except OSError as error:
        _log.debug("%s could not be kept: %s", place, error)
    return made


def catalogues() -> str:
    """A text for the files that owners may edit, for `Needs.inputs`: GPUs, models, rules of prompt caches, names. Small, and read each time.

    A process remembers what it has read of them. Once they are edited it may reckon with the old ones or the new: what it finds out from then on
    is its own, and is found by no other.
    """
    now = _read_catalogues()
    return now if now == _CATALOGUES else f"{now} edited while process {os.getpid()} ran"


def _read_catalogues() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in DATA.iterdir() if path.suffix in (".csv", ".toml")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def is_prepared(warehouse: Warehouse, name: str, needs: Needs) -> bool:
    """Whether these tables are kept now."""
    place = _place(warehouse, name, needs)
    return place is not None and (place / _ABOUT).exists()


@contextlib.contextmanager
def turn(warehouse: Warehouse) -> Iterator[bool]:
    """Whether it is this one's turn to prepare what nobody waits for yet: one at a time per store, in all processes. It ends with the block.

    Where nothing can be written it is nobody's.
    """
    folder = warehouse.store.path / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _TURN).open("a")
    except OSError:
        yield False
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _place(warehouse: Warehouse, name: str, needs: Needs) -> Path | None:
    """The folder of these tables; None where nothing can be kept, as for a snapshot whose files a newer load has removed meanwhile."""
    if not warehouse.keeps_prepared or warehouse.snapshot is None:
        return None
    try:
        return warehouse.store.path / FOLDER / f"{name}-{_key(warehouse, needs)}"
    except FileNotFoundError:
        return None


def _key(warehouse: Warehouse, needs: Needs) -> str:
    told = {
        "files": [_identity(warehouse, name) for name in _files(warehouse, needs)],
        "contents": [_content(warehouse, table) for table in needs.contents],
        "settings": warehouse.once("prepared: settings", lambda: _settings(warehouse)),
        "program": _program(),
        "inputs": needs.inputs,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def _files(warehouse: Warehouse, needs: Needs) -> list[str]:
    """Names of the fact files that are looked at."""
    of = warehouse.snapshot.of if warehouse.snapshot else lambda _table: []
    first = needs.first.strftime("%Y-%m") if needs.first else ""
    last = needs.last.strftime("%Y-%m") if needs.last else "~"
    chosen = [file for table in needs.facts for file in of(table)]
    return [file.name for file in chosen if first <= file.month <= last]


def _identity(warehouse: Warehouse, name: str) -> list[str | int]:
    """A fact file among all that ever had this name: its store may have been put back to an earlier state, and be loaded again."""

    def found() -> list[str | int]:
        status = (warehouse.store.facts / name).stat()
        return [name, status.st_size, status.st_mtime_ns]

    return warehouse.once(f"prepared: file {name}", found)


def _content(warehouse: Warehouse, table: str) -> list[str | int]:
    """A table of some thousand rows, told apart by its rows in whatever order: 2 ms for the 5,000 prices of the catalogue."""

    def found() -> list[str | int]:
        row = (
            warehouse.connection.cursor()
            .execute(f"SELECT count(*), bit_xor(h), sum(h) FROM (SELECT hash(t) AS h FROM {table} AS t)")
            .fetchone()
        )
        return [table, *(str(value) for value in row or ())]

    return warehouse.once(f"prepared: table {table}", found)


def _settings(warehouse: Warehouse) -> list[str]:
    return [warehouse.rollup_key, warehouse.configuration.reporting_time_zone, repr(warehouse.tag_rules)]


@lru_cache(maxsize=1)
def _program() -> str:
    """A digest of the sources that say what is found out, and of the libraries that find it: another program's findings are not used.

    2 MB of sources take 20 ms, once per process.
    """
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for library in (duckdb, ibis, pa, np):
        digest.update(f"{library.__name__} {library.__version__}\n".encode())
    for source in sorted(path for part in ("analytics", "warehouse") for path in (root / part).rglob("*.py")):
        digest.update(source.relative_to(root).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _read(place: Path) -> dict[str, pa.Table] | None:
    """The tables of a folder; None where there is none, or it is damaged (it is removed then)."""
    try:
        known = json.loads((place / _ABOUT).read_text(encoding="utf-8"))["tables"]
        tables = {name: _mapped(place / f"{name}.arrow", checksum) for name, checksum in known.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, AttributeError, pa.ArrowException) as error:
        _log.warning("%s is damaged and is made anew: %s", place, error)
        _remove(place)
        return None
    with contextlib.suppress(OSError):
        os.utime(place)
    return tables


def _mapped(path: Path, checksum: int) -> pa.Table:
    """Raises ValueError for a file that is not what was written."""
    status = path.stat()
    if _checksum(path, status.st_ino, status.st_mtime_ns, status.st_size) != checksum:
        raise ValueError(f"{path.name} is not what was written")
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


@lru_cache(maxsize=1024)
def _checksum(path: Path, _inode: int, _changed: int, size: int) -> int:
    """CRC-32 of a file, read once per process: 6.5 GB/s, where BLAKE2 takes five times as long. It notices damage, not malice."""
    if not size:
        return 0
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return zlib.crc32(content)


def _keep(place: Path, tables: Tables, needs: Needs, files: list[str]) -> None:
    """Write the folder under another name, durably, then give it its own. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place.parent))
    checksums = {}
    try:
        for name, table in tables.items():
            path = making / f"{name}.arrow"
            with path.open("wb") as stream:
                with pa.ipc.new_file(stream, table.schema) as writer:
                    writer.write_table(table)
                stream.flush()
                os.fsync(stream.fileno())
            status = path.stat()
            checksums[name] = _checksum(path, status.st_ino, status.st_mtime_ns, status.st_size)
        about = {"tables": checksums, "files": files, "inputs": needs.inputs}
        (making / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        making.chmod(0o755)
        # Fails where another process was quicker: what it made is the same.
        with contextlib.suppress(OSError):
            making.rename(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _make_room(warehouse: Warehouse, newest: Path) -> None:
    """Remove what no reader can ask for any more, then what was asked for longest ago, until the rest fits; never the newest."""
    facts = {entry.name: entry.stat().st_size for entry in os.scandir(warehouse.store.facts)}
    room = max(LEAST_ROOM, int(MOST_OF_FACTS * sum(facts.values())))
    kept: list[tuple[float, int, Path]] = []
    for entry in os.scandir(newest.parent):
        path = Path(entry.path)
        if entry.name == _TURN:
            continue
        try:
            used = entry.stat().st_mtime
            if entry.name.startswith(_UNFINISHED):
                if time.time() - used > ABANDONED_AFTER:
                    _remove(path)
                continue
            made_of = json.loads((path / _ABOUT).read_text(encoding="utf-8"))["files"]
            size = sum(part.stat().st_size for part in os.scandir(path))
        except (OSError, ValueError, KeyError):
            # Another process removes it, or it is damaged: the next who asks for it will see.
            continue
        if path != newest and not set(made_of) <= facts.keys():
            _remove(path)
        else:
            kept.append((used, size, path))
    total = sum(size for _used, size, _path in kept)
    for _used, size, path in sorted(kept):
        if total <= room:
            break
        if path != newest:
            _remove(path)
            total -= size


def _remove(place: Path) -> None:
    """Take a folder away, in one step for those who look for it; who has its files mapped keeps them."""
    gone = place.with_name(f"{_UNFINISHED}{os.getpid()}-{place.name}"[:200])
    # Where another process takes it away, too, one of them is first.
    with contextlib.suppress(OSError):
        place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


# Now, while the files on disk are still those that run, or are read: a server lives longer than they may.
_program()
_CATALOGUES = _read_catalogues()
