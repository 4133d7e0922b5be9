"""Live source `langfuse-export-bucket`: Langfuse's blob-storage export in S3 or something compatible (MinIO, R2, GCS by its S3 interface).

An export run writes its table files first and its manifest last (`{prefix}{project}/manifests/{end of window}.json`, in newer versions below a
folder of the integration): only what a manifest names is read. New manifests are found by their names, which are times; those of the last
days are looked at again, so that one that was written late or anew is not missed. A row on the edge of two windows lies in both; it is
merged by id. Late observations are never exported again by Langfuse: where that matters, use the source `langfuse`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from connectors.live.aws_session import finding
from connectors.live.objects import BUCKET, Bucket, Changed, StoredObject, reading_policy
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window
from connectors.live.trailing import utc
from warehouse.errors import PercallError, SourceError

KIND = "langfuse-export-bucket"
TITLE = "Langfuse's blob-storage export in a bucket"
OPTIONS: Sequence[Option] = (
    *BUCKET,
    Option("prefix", "prefix of the export, as it is set in Langfuse", '"langfuse/"', default=""),
    Option("project_id", "only this project; default: all below the prefix", '"cm0abc..."'),
    Option("reread_days", "days before the last manifest that are looked at for late or changed ones", "2", default=2, form="number"),
)  # fmt: skip

TABLES = ("observations_v2", "scores")
"""Tables that are read. The older `traces` and `observations` tell the same without users and tags."""

VERSION = 1
_STEM = re.compile(r"/manifests/(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2})\.json$")


@dataclass(frozen=True)
class Run:
    """One export run: the folder of its manifest, and the manifest."""

    folder: str
    manifest: StoredObject

    @property
    def until(self) -> datetime:
        """End of its window (UTC)."""
        return _time(self.manifest.key)


def permissions(settings: SourceSettings) -> str:
    """An IAM policy that allows to list and read the export's prefix, and nothing else."""
    return json.dumps(reading_policy(str(settings.options["bucket"]), [_prefix(settings)]), indent=2)


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether there are manifests, what the newest names, and how old it is."""
    place = f"s3://{settings.options['bucket']}/{_prefix(settings)}"
    needed = f"s3:ListBucket and s3:GetObject on {place}*"
    try:
        bucket = Bucket(settings)
        runs = sorted(_runs(bucket, settings, {}, None), key=lambda run: run.until)
        if not runs:
            yield Finding(
                "problem", place, "no manifest lies there",
                "check bucket and prefix; Langfuse writes a manifest at the end of each export run (Langfuse: settings, integrations, blob storage)",
            )  # fmt: skip
            return
        manifest = _manifest(bucket, runs[-1].manifest.key)
        if not {file.get("table") for file in manifest["files"]} & set(TABLES):
            yield Finding(
                "problem", place, f"the export holds {', '.join(manifest.get('tables', ())) or 'no table'}, but not observations_v2",
                "choose enriched observations as the export's source in Langfuse",
            )  # fmt: skip
            return
        yield Finding("fine", place, f"{len(runs)} export runs, the newest until {runs[-1].until:%Y-%m-%d %H:%M} UTC")
    except PercallError as error:
        yield finding(place, error, needed)


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The export runs that would be read, with their bytes (their manifests are read for that). Raises SourceError."""
    bucket = Bucket(settings)
    for run in _runs(bucket, settings, position, window.since):
        files = _wanted(_manifest(bucket, run.manifest.key))
        yield Planned(
            f"{len(files)} files", f"{run.folder.removesuffix('manifests/')} until {run.until:%Y-%m-%d %H:%M}",
            requests=len(files) + 1, bytes=sum(int(file.get("sizeBytes") or 0) for file in files), reason="a manifest that was not read yet",
        )  # fmt: skip


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """The files of every new export run, a batch per run, oldest first. Raises SourceError."""
    bucket = Bucket(settings, progress)
    runs = sorted(_runs(bucket, settings, position, window.since), key=lambda run: run.until)
    done: dict[str, dict[str, str]] = {name: dict(held) for name, held in position.get("manifests", {}).items()}
    for number, run in enumerate(runs):
        progress(f"{settings.name}: export run until {run.until:%Y-%m-%d %H:%M}", number / len(runs))
        paths: list[Path] = []
        notes: list[str] = []
        for file in _wanted(_manifest(bucket, run.manifest.key)):
            key = str(file["key"])
            target = folder / quote(key.removeprefix(_prefix(settings)), safe="").replace("%2F", "~")
            try:
                read = bucket.download(key, target)
            except Changed:
                notes.append(
                    f"{settings.name}: {key} is named by a manifest but is not there any more; it was left out"
                )
                continue
            told = file.get("sizeBytes")
            if isinstance(told, int) and told != read.size:
                target.unlink()
                raise SourceError(
                    f"{settings.name}: {key} has {read.size:,} bytes where its manifest says {told:,}; it may still be written", retry=True
                )  # fmt: skip
            if file.get("rowCount") == 0:
                target.unlink()
                continue
            paths.append(target)
        held = done.setdefault(run.folder, {})
        held[run.manifest.key] = run.manifest.etag
        newest = max(map(_time, held)) - timedelta(days=settings.options["reread_days"])
        done[run.folder] = {key: etag for key, etag in held.items() if _time(key) >= newest}
        yield Batch(
            paths, {"manifests": {name: dict(kept) for name, kept in done.items()}},
            what=f"{run.folder} until {run.until:%Y-%m-%d %H:%M}", notes=notes,
            together=True,
        )  # fmt: skip


def _prefix(settings: SourceSettings) -> str:
    project = settings.options["project_id"]
    return f"{settings.options['prefix']}{project + '/' if project else ''}"


def _runs(bucket: Bucket, settings: SourceSettings, position: Position, since: datetime | None) -> Iterator[Run]:
    """Runs that were not read yet, or whose manifest was written anew."""
    for folder in _manifest_folders(bucket, settings):
        held = position.get("manifests", {}).get(folder, {})
        first = utc(since) if since else None
        if held and first is None:
            first = max(map(_time, held)) - timedelta(days=settings.options["reread_days"])
        after = "" if first is None else f"{folder}{first:%Y-%m-%dT%H-%M-%S}"
        for found in bucket.objects(folder, after):
            if _STEM.search(found.key) and (since is not None or held.get(found.key) != found.etag):
                yield Run(folder, found)


def _manifest_folders(bucket: Bucket, settings: SourceSettings) -> list[str]:
    """The folders `manifests/`: of a project, or of an integration of a project. A prefix need not end with a slash."""
    prefix = _prefix(settings)
    found = []
    level = [prefix]
    for _depth in range(3):
        below = [folder for place in level for folder in bucket.folders(place)]
        found += [folder for folder in below if folder.endswith("/manifests/")]
        level = [folder for folder in below if not folder.endswith(("/manifests/", *(f"/{name}/" for name in TABLES)))]
    return found


def _manifest(bucket: Bucket, key: str) -> Mapping[str, Any]:
    raw, _ = bucket.read(key)
    try:
        manifest = json.loads(raw)
        if not isinstance(manifest, dict) or not isinstance(manifest["files"], list):
            raise TypeError
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"s3://{bucket.name}/{key} is no manifest of a Langfuse export; remove it, or narrow the prefix"
        ) from error
    if manifest.get("version", VERSION) != VERSION:
        raise SourceError(
            f"s3://{bucket.name}/{key} is a manifest of version {manifest['version']}, which this version of Percall does not know"
        )
    return manifest


def _wanted(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        file for file in manifest["files"] if isinstance(file, dict) and file.get("table") in TABLES and file.get("key")
    ]


def _time(key: str) -> datetime:
    stem = _STEM.search(key)
    return datetime.strptime(stem[1], "%Y-%m-%dT%H-%M-%S") if stem else datetime.min
