"""AWS bills from S3: Data Exports (CUR 2.0, FOCUS) and legacy Cost and Usage Reports, found by their manifests and never by what lies there.

A billing period is read again when its manifest or one of the files that it names changed, and then replaces itself whole. AWS may overwrite
a delivery while it is read: after the last file every ETag must still be the one that was fetched, else the period is read once more.
Layouts are those of `connectors.aws_manifest`; a manifest is written after all of its files.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.live.aws_session import finding
from connectors.live.objects import BUCKET, Bucket, Changed, StoredObject, reading_policy
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window
from warehouse.errors import InputError, PercallError, SourceError

KIND = "aws-export"
TITLE = "AWS Data Exports (CUR 2.0, FOCUS) and Cost and Usage Reports in S3"
OPTIONS: Sequence[Option] = (
    *BUCKET[:1],
    Option("export", "name of the export or report", '"percall-cur"', required=True),
    Option("prefix", "S3 prefix that the export was given, above its name", '"billing"', default=""),
    Option(
        "layout",
        "data-exports, legacy (Cost and Usage Report), or auto",
        '"auto"',
        default="auto",
        choices=("auto", "data-exports", "legacy"),
    ),
    Option("first_period", "oldest billing period to read; default: all that are there", '"2026-01"'),
    *BUCKET[1:],
)

READS = 3
"""So often a period is read that changes while it is read."""

_PARTITION = re.compile(r"/billing_period=(\d{4}-\d{2})/", re.IGNORECASE)
_LEGACY = re.compile(r"/(\d{8})-(\d{8})/$")
_PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Delivered:
    """The newest manifest of one billing period. `name` is the delivery's, as `connectors.aws_manifest` tells it."""

    period: str
    name: str
    manifest: StoredObject


def permissions(settings: SourceSettings) -> str:
    """An IAM policy that allows to list and read the export's prefix, and nothing else."""
    return json.dumps(reading_policy(str(settings.options["bucket"]), [_root(settings)]), indent=2)


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Lists the manifests and looks at one file of the newest period."""
    root, bucket_name = _root(settings), settings.options["bucket"]
    needed = f"s3:ListBucket on arn:aws:s3:::{bucket_name} and s3:GetObject on arn:aws:s3:::{bucket_name}/{root}*"
    place = f"s3://{bucket_name}/{root}"
    try:
        bucket = Bucket(settings)
        found = _delivered(settings, bucket)
        if not found:
            yield Finding(
                "problem", place, "no manifest lies there",
                "check bucket, prefix and export: the export's own folder must hold metadata/BILLING_PERIOD=.../ or yyyymmdd-yyyymmdd/; "
                "a new export delivers its first files within a day",
            )  # fmt: skip
            return
        newest = found[-1]
        keys = _keys(bucket, newest, bucket.read(newest.manifest.key)[0])
        missing = [key for key in keys if bucket.head(key) is None]
    except PercallError as error:
        yield finding(place, error, needed)
        return
    if missing:
        yield Finding(
            "problem",
            newest.name,
            f"{len(missing)} of {len(keys)} files that the manifest names are not there, the first is {missing[0]}",
            "look whether a lifecycle rule of the bucket removes them",
        )
        return
    yield Finding(
        "fine",
        place,
        f"billing periods {found[0].period} to {newest.period}, the newest delivered {newest.manifest.modified:%Y-%m-%d %H:%M} UTC in {_files(keys)}",
    )


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The periods whose delivery changed; reads their manifests, and no data."""
    bucket = Bucket(settings)
    known = _known(settings, position)
    for delivered, reason in _due(settings, bucket, known, window):
        keys = _keys(bucket, delivered, bucket.read(delivered.manifest.key)[0])
        heads = [bucket.head(key) for key in keys]
        size = sum(head.size for head in heads if head is not None)
        yield Planned(f"{_files(keys)} of {delivered.name}", delivered.period, 2 * len(keys) + 2, size, None, reason)


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Every period whose delivery changed, the oldest first, each as one delivery."""
    bucket = Bucket(settings, progress)
    known = _known(settings, position)
    due = list(_due(settings, bucket, known, window))
    for number, (delivered, _reason) in enumerate(due):
        progress(f"fetching {delivered.name}", number / len(due))
        again = window.since is not None and known.get(delivered.period, {}).get("manifest") == _version(
            delivered.manifest
        )
        state, paths = _fetch(bucket, delivered, folder, {} if again else known.get(delivered.period, {}), settings)
        known = known | {delivered.period: state}
        yield Batch(
            paths=paths, position={"place": _place(settings), "periods": known}, delivery=delivered.name,
            delivered_at=delivered.manifest.modified, what=delivered.name,
        )  # fmt: skip


def _fetch(
    bucket: Bucket, delivered: Delivered, folder: Path, before: Mapping[str, Any], settings: SourceSettings
) -> tuple[dict[str, Any], list[Path]]:
    """A period's files, all of one version, and what to remember of it; no files when none of them changed.

    Raises SourceError when the period keeps changing.
    """
    target = folder / delivered.period
    for _ in range(READS):
        shutil.rmtree(target, ignore_errors=True)
        try:
            raw, manifest = bucket.read(delivered.manifest.key)
            keys = _keys(bucket, delivered, raw)
            heads = {key: bucket.head(key) for key in keys}
            state = {
                "manifest": _version(manifest),
                "files": {key: _version(head) if head else "" for key, head in heads.items()},
            }
            if state["files"] == before.get("files"):
                return state, []
            paths, fetched = [], {}
            for number, key in enumerate(keys):
                path = target / f"{number:05d}" / key.rsplit("/", 1)[-1]
                fetched[key] = bucket.download(key, path)
                paths.append(path)
            after = {key: bucket.head(key) for key in keys}
            newest = bucket.head(manifest.key)
        except Changed:
            continue
        whole = all(head is not None and head.etag == fetched[key].etag for key, head in after.items())
        if whole and newest is not None and newest.etag == manifest.etag:
            return state | {"files": {key: _version(one) for key, one in fetched.items()}}, paths
    raise SourceError(
        f"{settings.name}: {delivered.name} was being rewritten while it was read, {READS} times; the next sync reads it", retry=True
    )  # fmt: skip


def _due(
    settings: SourceSettings, bucket: Bucket, known: Mapping[str, Any], window: Window
) -> Iterator[tuple[Delivered, str]]:
    """The periods to read, the oldest first, with the reason."""
    first = settings.options.get("first_period")
    if first is not None and not _PERIOD.fullmatch(str(first)):
        raise InputError(f'source {settings.name!r}: first_period is written like "2026-01", not {first!r}')
    since = None if window.since is None else f"{window.since:%Y-%m}"
    for delivered in _delivered(settings, bucket):
        if first and delivered.period < str(first):
            continue
        before = known.get(delivered.period)
        if since is not None and delivered.period < since:
            continue
        if since is not None:
            yield delivered, f"asked for since {since}"
        elif before is None:
            yield delivered, "new period"
        elif before.get("manifest") != _version(delivered.manifest):
            yield delivered, f"delivered again {delivered.manifest.modified:%Y-%m-%d %H:%M} UTC"


def _delivered(settings: SourceSettings, bucket: Bucket) -> list[Delivered]:
    """The newest manifest of every billing period, by period.

    Raises SourceError when the bucket cannot be listed.
    """
    layout = settings.options["layout"]
    found: dict[str, Delivered] = {}
    if layout in ("auto", "data-exports"):
        found = _of_data_exports(settings, bucket)
    if layout == "legacy" or (layout == "auto" and not found):
        found = _of_legacy_reports(settings, bucket)
    return [found[period] for period in sorted(found)]


def _of_data_exports(settings: SourceSettings, bucket: Bucket) -> dict[str, Delivered]:
    """`metadata/BILLING_PERIOD=YYYY-MM/[<execution>/]<export>-Manifest.json`: with every execution kept, the newest counts."""
    export = str(settings.options["export"])
    found: dict[str, Delivered] = {}
    for one in bucket.objects(f"{_root(settings)}metadata/"):
        partition = _PARTITION.search(one.key)
        if partition is None or not one.key.lower().endswith("manifest.json"):
            continue
        before = found.get(partition[1])
        if before is None or (one.modified, one.key) > (before.manifest.modified, before.manifest.key):
            found[partition[1]] = Delivered(partition[1], f"{export}/{partition[1]}", one)
    return found


def _of_legacy_reports(settings: SourceSettings, bucket: Bucket) -> dict[str, Delivered]:
    """`yyyymmdd-yyyymmdd/<report>-Manifest.json`, which names the current assembly."""
    report = str(settings.options["export"])
    found: dict[str, Delivered] = {}
    for place in bucket.folders(_root(settings)):
        span = _LEGACY.search(f"/{place}")
        if span is None:
            continue
        # Listed and not looked up: without a right to list everything, S3 answers 403 for a key that is not there.
        key = f"{place}{report}-Manifest.json"
        manifest = next((one for one in bucket.objects(key) if one.key == key), None)
        if manifest is not None:
            period = f"{span[1][:4]}-{span[1][4:6]}"
            found[period] = Delivered(period, f"{report}/{span[1]}-{span[2]}", manifest)
    return found


def _keys(bucket: Bucket, delivered: Delivered, raw: bytes) -> list[str]:
    """The keys of the files that a manifest names. Raises SourceError when it names none, or files of another bucket."""
    key = delivered.manifest.key
    try:
        content = json.loads(raw)
        listed = content.get("dataFiles") or content.get("reportKeys") or []
        names = [
            entry if isinstance(entry, str) else str(entry.get("key") or entry.get("filePath") or "")
            for entry in listed
        ]
    except (ValueError, AttributeError) as error:
        raise SourceError(f"s3://{bucket.name}/{key} cannot be read as a manifest: {error}", retry=True) from error
    keys = []
    for name in names:
        place = re.match(r"^s3://([^/]+)/(.+)$", name)
        if place and place[1] != bucket.name:
            raise SourceError(
                f"s3://{bucket.name}/{key} names files of another bucket, {place[1]}: configure that bucket"
            )
        keys.append(place[2] if place else name.lstrip("/"))
    if not keys or not all(keys):
        raise SourceError(
            f"s3://{bucket.name}/{key} names no files: is it the manifest of a Data Export or a Cost and Usage Report?"
        )
    return list(dict.fromkeys(keys))


def _root(settings: SourceSettings) -> str:
    """Prefix of the export's own folder, with a slash at its end."""
    parts = [str(settings.options["prefix"] or "").strip("/"), str(settings.options["export"]).strip("/")]
    return "/".join(part for part in parts if part) + "/"


def _place(settings: SourceSettings) -> str:
    return f"s3://{settings.options['bucket']}/{_root(settings)}"


def _known(settings: SourceSettings, position: Position) -> dict[str, Any]:
    """What was read of this export; nothing when the section now names another place."""
    return dict(position.get("periods", {})) if position.get("place") == _place(settings) else {}


def _version(one: StoredObject) -> str:
    return f"{one.etag}/{one.size}/{_stamp(one.modified)}"


def _files(keys: Sequence[str]) -> str:
    return "1 file" if len(keys) == 1 else f"{len(keys)} files"


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
