"""Live source `litellm-bucket`: LiteLLM's log objects (StandardLoggingPayload) in S3, something compatible, or a local folder.

LiteLLM's `s3_v2` logger writes an object per call, or lines of many, into a folder per day, maybe below folders of teams or keys; objects never
change. So the folders of the last days are listed, and what was written since the newest object that was read is fetched, many at once.
Thousands of objects become one file of lines, without prompts and answers (`connectors.live.litellm_rows`); these never lie on the disk.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from connectors.live.aws_session import finding
from connectors.live.litellm_rows import kept, lines, payloads
from connectors.live.objects import BUCKET, Bucket, Changed, StoredObject, reading_policy
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window
from connectors.live.trailing import utc
from warehouse.errors import InputError, PercallError, SourceError

KIND = "litellm-bucket"
TITLE = "LiteLLM's logs in a bucket or folder"
OPTIONS: Sequence[Option] = (
    Option("bucket", "name of the bucket", '"litellm-logs"'),
    Option("folder", "a local folder in place of a bucket", '"/var/log/litellm"'),
    Option("prefix", "where the logs lie in it (s3_path of the proxy)", '"spend"', default=""),
    Option("reread_days", "days whose folders are looked at again for calls that were written late", "2", default=2, form="number"),
    Option("history_days", "days back that the first sync reads; default: everything", "90", form="number"),
    *BUCKET[1:],
)  # fmt: skip

AT_ONCE = 5_000
"""Objects per batch: one file of lines."""

LARGEST_BATCH = 256 * 1024 * 1024
READERS = 16
OVERLAP = timedelta(minutes=10)
"""Objects may appear a little out of the order of their times."""

_DAY = re.compile(r"(?:^|/)(\d{4}-\d{2}-\d{2})/$")
_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".ndjson")


class Place(Protocol):
    """Where objects lie."""

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every object below a prefix."""

    def folders(self, prefix: str) -> list[str]:
        """The folders directly below a prefix."""

    def read(self, key: str) -> tuple[bytes, StoredObject]:
        """The bytes of an object. Raises SourceError."""


class LocalFolder:
    """A folder of this machine, read like a bucket."""

    def __init__(self, settings: SourceSettings) -> None:
        self._name = settings.name
        self._root = Path(str(settings.options["folder"])).expanduser()
        if not self._root.is_dir():
            raise SourceError(f"{settings.name}: {self._root} is no folder on this machine")

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """Every file below a folder, whole: a name that starts with a dot, or is being written, is none."""
        for path in sorted((self._root / prefix).rglob("*")):
            key = path.relative_to(self._root).as_posix()
            if path.is_file() and not path.name.startswith(".") and key > after:
                found = path.stat()
                modified = datetime.fromtimestamp(found.st_mtime, UTC).replace(tzinfo=None)
                yield StoredObject(key, found.st_size, str(found.st_mtime_ns), modified)

    def folders(self, prefix: str) -> list[str]:
        """The folders directly below a folder."""
        place = self._root / prefix
        return sorted(f"{prefix}{path.name}/" for path in place.iterdir() if path.is_dir()) if place.is_dir() else []

    def read(self, key: str) -> tuple[bytes, StoredObject]:
        """The bytes of a file."""
        try:
            raw = (self._root / key).read_bytes()
        except FileNotFoundError as error:
            raise Changed(f"{self._name}: {key} is gone", retry=True) from error
        except OSError as error:
            raise SourceError(
                f"{self._name}: {key} cannot be read: {error.strerror}; look at its permissions"
            ) from error
        return raw, StoredObject(key, len(raw), "", datetime.min)


@dataclass(frozen=True)
class DayFolder:
    """A folder of logs; `day` is None for one that is not of a day."""

    path: str
    day: date | None


def permissions(settings: SourceSettings) -> str:
    """An IAM policy that allows to list and read the logs, and nothing else; or what the folder needs."""
    if settings.options["folder"]:
        return f"read access to {settings.options['folder']} for the user that runs percall"
    return json.dumps(reading_policy(str(settings.options["bucket"]), [_prefix(settings)]), indent=2)


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether logs lie there, how new they are, and whether one of them is a payload of LiteLLM."""
    place = str(settings.options["folder"] or f"s3://{settings.options['bucket']}/{_prefix(settings)}")
    try:
        source = _place(settings)
        folders = _folders(source, settings)
        newest = max(folders, key=lambda folder: folder.day or date.max, default=None)
        found = next((item for item in source.objects(newest.path) if _is_log(item)), None) if newest else None
        if newest is None or found is None:
            yield Finding(
                "problem",
                place,
                "no logs lie there",
                'check bucket and prefix; the proxy needs `success_callback: ["s3_v2"]`',
            )
            return
        try:
            first = next(payloads(source.read(found.key)[0]), {})
        except (ValueError, OSError):
            first = {}
        if "startTime" not in first or "call_type" not in first:
            yield Finding(
                "problem",
                place,
                f"{found.key} is no log of LiteLLM's calls",
                "narrow the prefix to the proxy's s3_path",
            )
            return
        yield Finding("fine", place, f"{len(folders)} folders of logs, the newest {newest.day or newest.path}")
    except PercallError as error:
        yield finding(place, error, f"s3:ListBucket and s3:GetObject on {place}*")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The folders with objects that were not read yet, and how many. Raises SourceError."""
    source = _place(settings)
    for folder in _due(source, settings, position, window):
        new = _new(source, folder, position, window)
        if new:
            yield Planned(
                f"{len(new):,} objects", folder.path, requests=len(new) + len(new) // 1000 + 1, bytes=sum(item.size for item in new),
                reason="written since the last sync",
            )  # fmt: skip


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """The calls of new objects, a batch per some thousand objects, day by day. Raises SourceError."""
    source = _place(settings, progress)
    due = _due(source, settings, position, window)
    reached: dict[str, Any] = dict(position.get("folders", {}))
    for number, place in enumerate(due):
        new = _new(source, place, position, window)
        read = 0
        for group in _groups(new):
            progress(f"{settings.name}: {place.path} {read:,} of {len(new):,} objects", number / len(due))
            name = re.sub(r"[^A-Za-z0-9._-]+", "~", place.path.strip("/") or "logs")
            file = folder / f"{name}-{read:07}-{group[-1].modified:%Y%m%dT%H%M%S%f}.jsonl"
            notes = _write(settings, source, group, file)
            read += len(group)
            last = group[-1].modified
            if place.path not in reached or reached[place.path][0] <= last.isoformat():
                reached[place.path] = [last.isoformat(), sum(item.modified >= last - OVERLAP for item in new[:read])]
            yield Batch(
                [file] if file.exists() else [], {"folders": _recent(reached, settings)}, kind="litellm",
                what=f"{place.path}: {len(group):,} objects", notes=notes, together=True,
            )  # fmt: skip


def _place(settings: SourceSettings, progress: Progress | None = None) -> Place:
    bucket, folder = settings.options["bucket"], settings.options["folder"]
    if (bucket is None) == (folder is None):
        raise InputError(f"source {settings.name!r}: give either a bucket or a folder")
    return LocalFolder(settings) if folder is not None else Bucket(settings, progress)


def _prefix(settings: SourceSettings) -> str:
    prefix = str(settings.options["prefix"]).strip("/")
    return f"{prefix}/" if prefix else ""


def _folders(source: Place, settings: SourceSettings) -> list[DayFolder]:
    """The folders of days at or below the prefix, up to three levels down; the prefix itself where there is none."""
    level, days = [_prefix(settings)], []
    for _depth in range(4):
        below = [folder for place in level for folder in source.folders(place)]
        level = []
        for folder in below:
            day = _day(folder)
            if day is None:
                level.append(folder)
            else:
                days.append(DayFolder(folder, day))
    return days or [DayFolder(_prefix(settings), None)]


def _due(source: Place, settings: SourceSettings, position: Position, window: Window) -> list[DayFolder]:
    """The folders that may hold something new, oldest first."""
    reached = position.get("folders", {})
    first: date | None = None
    if window.since is not None:
        first = utc(window.since).date()
    elif days := [day for path in reached if (day := _day(path)) is not None]:
        first = max(days) - timedelta(days=settings.options["reread_days"])
    elif not reached and settings.options["history_days"] is not None:
        first = (utc(window.now) - timedelta(days=settings.options["history_days"])).date()
    found = [
        folder
        for folder in _folders(source, settings)
        if folder.day is None
        or first is None
        or folder.day >= first
        or (window.since is None and folder.path in reached)
    ]
    return sorted(found, key=lambda folder: (folder.day or date.max, folder.path))


def _new(source: Place, folder: DayFolder, position: Position, window: Window) -> list[StoredObject]:
    """Objects of a folder that were written since its newest one that was read, in the order of their times."""
    told = position.get("folders", {}).get(folder.path)
    after = datetime.min
    if window.since is not None:
        after = utc(window.since) if folder.day is None else datetime.min
    elif told:
        after = datetime.fromisoformat(told[0]) - OVERLAP
    found = [item for item in source.objects(folder.path) if _is_log(item) and item.modified >= after]
    if (
        told
        and window.since is None
        and len(found) == told[1]
        and max(item.modified for item in found).isoformat() <= told[0]
    ):
        # the overlap as it was: times of objects are whole seconds, so their number tells whether one came since
        return []
    return sorted(found, key=lambda item: (item.modified, item.key))


def _is_log(item: StoredObject) -> bool:
    return item.key.endswith(_SUFFIXES) and item.size > 0


def _groups(found: Sequence[StoredObject]) -> Iterator[list[StoredObject]]:
    """Batches: at most `AT_ONCE` objects and `LARGEST_BATCH` bytes."""
    group: list[StoredObject] = []
    size = 0
    for item in found:
        if group and (len(group) >= AT_ONCE or size + item.size > LARGEST_BATCH):
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    if group:
        yield group


def _write(settings: SourceSettings, source: Place, group: Sequence[StoredObject], file: Path) -> list[str]:
    """Write what counts of these objects as lines, fetched many at once. Returns sentences about what cannot be read."""
    unreadable: list[str] = []

    def rows(item: StoredObject) -> list[dict[str, Any]] | None:
        try:
            return list(payloads(source.read(item.key)[0]))
        except Changed:
            return None
        except (ValueError, EOFError, OSError, gzip.BadGzipFile):
            return None

    with ThreadPoolExecutor(READERS) as readers:
        found: list[dict[str, Any]] = []
        for item, told in zip(group, readers.map(rows, group), strict=True):
            if told is None:
                unreadable.append(item.key)
            else:
                found += told
    if found:
        file.write_text(lines(kept(found)), encoding="utf-8")
    if not unreadable:
        return []
    shown = ", ".join(unreadable[:3]) + (", ..." if len(unreadable) > 3 else "")
    return [f"{settings.name}: {len(unreadable):,} objects are no whole JSON or are gone, and were left out: {shown}"]


def _day(path: str) -> date | None:
    told = _DAY.search(path)
    if told is None:
        return None
    try:
        return date.fromisoformat(told[1])
    except ValueError:
        return None


def _recent(reached: dict[str, Any], settings: SourceSettings) -> dict[str, Any]:
    """What must be remembered: folders of days before those that are looked at again need not be."""
    days = {path: _day(path) for path in reached}
    newest = max((day for day in days.values() if day is not None), default=date.min)
    back = timedelta(days=settings.options["reread_days"] + 1)
    return {path: told for path, told in reached.items() if (day := days[path]) is None or newest - day <= back}
