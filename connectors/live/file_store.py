"""Files that something else writes into a folder or a bucket (S3 or compatible): activity, revenue, any kind that `percall load` knows.

A file is loaded when it is new or was changed since the last sync (size and time of change of a file, ETag of an object); one whose bytes are
loaded already changes nothing. With `overlap = "compare"` files are compared with what is loaded, as `percall load` does: a newer version of a
period replaces it, what is neither plainly new nor plainly newer is refused in words. With "pieces" the files are taken as parts that never
overlap (one a day, say), of which each replaces only its own earlier version. A file that is taken away takes nothing back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from connectors.detection import KINDS
from connectors.live.aws_session import ACCESS
from connectors.live.objects import Bucket, reading_policy
from connectors.live.pieces import piece_path
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window, problem
from connectors.paths import expand
from warehouse.errors import InputError, SourceError

KIND = "files"
TITLE = "Files in a folder or a bucket"
OPTIONS: Sequence[Option] = (
    Option("folder", "folder whose files are loaded, with all folders in it", '"/srv/exports/revenue"'),
    Option("bucket", "bucket whose objects are loaded, in place of a folder", '"my-bucket"'),
    Option("prefix", "only objects whose key begins so", '"exports/revenue/"', default=""),
    Option("file_kind", "kind of the files (default: by content)", '"revenue"', choices=tuple(KINDS)),
    Option("overlap", "what files of one period are to each other", '"compare"', default="compare", choices=("compare", "pieces")),
    *ACCESS,
)  # fmt: skip

_FILES_AT_ONCE = 50


@dataclass(frozen=True)
class _Found:
    """A file or object: its name below the folder or in the bucket, bytes, and a text that is another when it was changed."""

    name: str
    size: int
    version: str
    path: Path | None = None


def permissions(settings: SourceSettings) -> str:
    """What must be readable."""
    import json

    if settings.options["folder"]:
        return f"The user that runs percall must be able to read {settings.options['folder']} and the files in it."
    return json.dumps(reading_policy(str(settings.options["bucket"]), [str(settings.options["prefix"])]), indent=2)


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether the folder or bucket can be listed, and what is there."""
    place = str(settings.options["folder"] or settings.options["bucket"] or settings.name)
    try:
        found = _found(settings, lambda _message, _share: None)
        level = "fine" if found else "warning"
        size = sum(each.size for each in found)
        yield Finding(
            level, place, f"{len(found)} data files, {size / 1e6:,.1f} MB", "" if found else "Is the path (or prefix) right?"  # type: ignore[arg-type]
        )  # fmt: skip
    except (SourceError, InputError) as error:
        yield problem(place, error, permissions(settings))


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The files that are new or changed."""
    known = {} if window.since else position.get("files", {})
    for found in _found(settings, lambda _message, _share: None):
        if known.get(found.name) != found.version:
            yield Planned(found.name, None, 1, found.size, reason="changed" if found.name in known else "new")


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """New and changed files, some at a time."""
    known: dict[str, str] = dict(position.get("files", {}))
    wanted = [found for found in _found(settings, progress) if window.since or known.get(found.name) != found.version]
    apart = settings.options["overlap"] == "pieces"
    bucket = None if settings.options["folder"] else Bucket(settings, progress)
    for start in range(0, len(wanted), _FILES_AT_ONCE):
        paths = []
        for number, found in enumerate(wanted[start : start + _FILES_AT_ONCE], start=start):
            progress(f"fetching {found.name}", number / len(wanted))
            path, version = _fetch(settings, bucket, found, folder, apart)
            paths.append(path)
            known[found.name] = version
        yield Batch(
            paths, {"files": dict(known)}, settings.options["file_kind"], on_overlap="pieces" if apart else "ask",
            what=f"{len(paths)} files",
        )  # fmt: skip


def _found(settings: SourceSettings, progress: Progress) -> list[_Found]:
    """The data files that are there. Raises InputError or SourceError."""
    place, bucket = settings.options["folder"], settings.options["bucket"]
    if bool(place) == bool(bucket):
        raise InputError(f"source {settings.name!r}: give either folder or bucket")
    if bucket:
        return [
            _Found(entry.key, entry.size, entry.etag)
            for entry in Bucket(settings, progress).objects(str(settings.options["prefix"]))
            if entry.size
            and not entry.key.endswith("/")
            and not any(part[:1] in ("_", ".") for part in entry.key.split("/"))
        ]
    root = Path(str(place))
    if not root.is_dir():
        raise SourceError(f"{settings.name}: there is no folder {root}: is it mounted, and is its name right?")
    try:
        paths = expand([root])
    except InputError:
        return []  # nothing there yet
    return [_Found(path.relative_to(root).as_posix(), path.stat().st_size, _version(path), path) for path in paths]


def _fetch(
    settings: SourceSettings, bucket: Bucket | None, found: _Found, folder: Path, apart: bool
) -> tuple[Path, str]:
    """A copy of a file, whole and of one version, and that version. Raises SourceError when it changes while it is copied."""
    # Names may repeat in other folders, and a key may hold anything: what tells them apart is a folder of its own.
    target = folder / sha256(found.name.encode()).hexdigest()[:12] / Path(found.name).name
    if apart:
        target = piece_path(folder, settings, quote(found.name, safe=" "), "x").with_suffix("")
    target.parent.mkdir(parents=True, exist_ok=True)
    if bucket is not None:
        return target, bucket.download(found.name, target, found.version).etag
    assert found.path is not None  # noqa: S101 - only objects of a bucket have none
    try:
        before = _version(found.path)
        shutil.copyfile(found.path, target)
        if _version(found.path) != before:
            raise SourceError(
                f"{settings.name}: {found.name} was written while it was read; the next sync reads it", retry=True
            )
    except OSError as error:
        raise SourceError(
            f"{settings.name}: {found.name} cannot be read: {error.strerror}; look at its permissions"
        ) from error
    return target, before


def _version(path: Path) -> str:
    entry = path.stat()
    return f"{entry.st_size}:{entry.st_mtime_ns}"
