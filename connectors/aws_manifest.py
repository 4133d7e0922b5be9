"""Which files of an AWS delivery count: those that its newest manifest names, and no older execution beside them.

Layouts (AWS Data Exports user guide, "Understanding export delivery" and "Understanding your report versions"):

* legacy: `<report>/yyyymmdd-yyyymmdd/[<assemblyId>/]<report>-N.csv.gz`; `<report>-Manifest.json` in the period's folder names the
  files (`reportKeys`) of the current assembly, a copy lies in each assembly's folder; Parquet reports lie in
  `<report>/<report>/year=Y/month=M/` instead;
* Data Exports: `<export>/data/BILLING_PERIOD=YYYY-MM/[<execution>/]*`, with `<export>/metadata/BILLING_PERIOD=YYYY-MM/[...]/
  <export>-Manifest.json`, rewritten at each refresh (`dataFiles`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

_LEGACY_PERIOD = re.compile(r"^\d{8}-\d{8}$")
_PARTITION = re.compile(r"^billing_period=(\d{4}-\d{2})", re.IGNORECASE)
_SUFFIX = re.compile(r"[-_.]?manifest\.json$", re.IGNORECASE)


@dataclass(frozen=True)
class Manifest:
    """One manifest: whose period it describes and which files it names.

    `scope` is the folder whose files it governs; `rank` orders manifests of one scope, the newest last.
    """

    path: Path
    report: str
    period: str
    scope: Path
    keys: tuple[tuple[str, ...], ...]
    rank: tuple[int, str, float]

    @property
    def delivery(self) -> str:
        """`<report>/<period>`."""
        return f"{self.report}/{self.period}"

    @property
    def delivered_at(self) -> datetime:
        """When it was made (UTC): the time in its execution's id, else when its file was last changed, which copies of a bucket keep."""
        _at_root, dated, changed = self.rank
        stamp = re.match(r"(\d{4})-?(\d{2})-?(\d{2})T(\d{2}):?(\d{2}):?(\d{2})", dated)
        if stamp:
            return datetime(*map(int, stamp.groups()))  # type: ignore[arg-type]
        return datetime.fromtimestamp(changed, UTC).replace(tzinfo=None)

    def names(self, path: Path) -> bool:
        """Whether this file is one that the manifest names.

        Below the folder that it governs the end of the key must be the file's place in that folder; elsewhere in the report's folder
        (Parquet by year and month) the last four parts must agree.
        """
        if path.is_relative_to(self.scope):
            depth = max(2, len(path.parts) - len(self.scope.parts))
        elif path.is_relative_to(self.scope.parent):
            depth = 4
        else:
            return False
        return any(path.parts[-min(depth, len(key)) :] == key[-min(depth, len(key)) :] for key in self.keys)


def select_current(paths: Sequence[Path]) -> tuple[list[tuple[Path, str | None, datetime | None]], list[str]]:
    """Of all files found, those to load with the delivery that each belongs to and when that was made (None: no manifest governs it), in
    their order, and sentences on what was left out and what is missing.

    Manifests may be among `paths` (they are no data and not in the result); those at their place in the layouts above are
    found by themselves.
    """
    data = [path for path in paths if not _SUFFIX.search(path.name)]
    messages: list[str] = []
    current = _newest(_manifests(paths, data, messages))
    named = {path: manifest for manifest in reversed(current) for path in data if manifest.names(path)}
    beside = {path.parent: manifest for path, manifest in named.items()}
    left_out: dict[Manifest, list[Path]] = {}
    for path in data:
        inside = next((manifest for manifest in current if path.is_relative_to(manifest.scope)), None)
        governing = inside or beside.get(path.parent)
        if path not in named and governing:
            left_out.setdefault(governing, []).append(path)
    found = {manifest: sum(other is manifest for other in named.values()) for manifest in current}
    for manifest in [manifest for manifest in left_out if not found[manifest]]:
        del left_out[manifest]
        messages.append(
            f"{manifest.delivery}: none of the files that {manifest.path.name} names is here; what lies beside it is taken as it "
            "is, and may be an older delivery."
        )
    messages += [_left_out(manifest, files) for manifest, files in left_out.items()]
    for manifest in current:
        missing = len(manifest.keys) - found[manifest]
        if found[manifest] and missing > 0:
            messages.append(
                f"{manifest.delivery}: {missing} of {len(manifest.keys)} files that {manifest.path.name} names are not here; "
                "totals of this period are incomplete. Copy the whole delivery."
            )
    dropped = {path for files in left_out.values() for path in files}
    # A delivery of which files are missing replaces nothing as a whole: the missing ones may be loaded already, or come later.
    whole = {manifest for manifest in current if found[manifest] >= len(manifest.keys)}
    chosen: list[tuple[Path, str | None, datetime | None]] = []
    for path in (path for path in data if path not in dropped):
        of_delivery = named[path] if path in named and named[path] in whole else None
        chosen.append((path, of_delivery.delivery, of_delivery.delivered_at) if of_delivery else (path, None, None))
    return chosen, messages


def _left_out(manifest: Manifest, files: Sequence[Path]) -> str:
    names = ", ".join("/".join(path.parts[-2:]) for path in files[:3]) + (", ..." if len(files) > 3 else "")
    one = len(files) == 1
    return (
        f"{manifest.delivery}: {len(files)} {'file is' if one else 'files are'} left out ({names}), because "
        f"{manifest.path.name} no longer names {'it' if one else 'them'}: an older delivery."
    )


def _manifests(paths: Iterable[Path], data: Iterable[Path], messages: list[str]) -> list[Manifest]:
    candidates = {path: None for path in paths if _SUFFIX.search(path.name)}
    for place in {place for path in data for place in _places(path)}:
        candidates.update(dict.fromkeys(file for file in sorted(place.glob("*")) if _SUFFIX.search(file.name)))
    found = []
    for path in candidates:
        try:
            manifest = _read(path)
        except (OSError, ValueError, AttributeError) as error:
            messages.append(
                f"{path.name} cannot be read as a manifest ({error}); files beside it are taken as they are."
            )
            continue
        if manifest:
            found.append(manifest)
    return found


def _places(path: Path) -> list[Path]:
    """Folders where the manifest of a data file lies in the known layouts."""
    places = []
    for folder in path.parents:
        if _LEGACY_PERIOD.match(folder.name):
            places += [folder, *(inner for inner in folder.iterdir() if inner.is_dir())]
        partition = _PARTITION.match(folder.name)
        if partition and folder.parent.name.lower() == "data":
            metadata = folder.parent.parent / "metadata" / folder.name
            if metadata.is_dir():
                places += [metadata, *(inner for inner in metadata.rglob("*") if inner.is_dir())]
    month = re.match(r"^month=(\d{1,2})$", path.parent.name)
    year = re.match(r"^year=(\d{4})$", path.parent.parent.name)
    if month and year:
        places += list(path.parent.parent.parent.parent.glob(f"{year[1]}{int(month[1]):02}01-*"))
    return [place for place in places if place.is_dir()]


def _read(path: Path) -> Manifest | None:
    content = json.loads(path.read_text(encoding="utf-8"))
    listed = content.get("reportKeys") or content.get("dataFiles")
    if not isinstance(listed, list):
        return None
    names = [
        entry if isinstance(entry, str) else str(entry.get("key") or entry.get("filePath") or "") for entry in listed
    ]
    keys = tuple(PurePosixPath(re.sub(r"^s3://[^/]+/", "", name).lstrip("/")).parts for name in names if name)
    if not keys:
        return None
    report = content.get("reportName") or content.get("exportName") or _SUFFIX.sub("", path.name) or path.parent.name
    scope, period, at_root = _scope(path)
    if period is None:
        span = content.get("billingPeriod") or {}
        start, end = str(span.get("start", ""))[:8], str(span.get("end", ""))[:8]
        period = f"{start}-{end}" if start else "unknown"
    stamp = str(content.get("assemblyId") or content.get("executionId") or path.parent.name)
    dated = stamp if re.match(r"^\d{4}-?\d{2}-?\d{2}", stamp) else ""
    return Manifest(path, str(report), period, scope, keys, (int(at_root), dated, path.stat().st_mtime))


def _scope(path: Path) -> tuple[Path, str | None, bool]:
    """The folder that a manifest governs, its period, and whether it is the period's own (not an execution's copy)."""
    for folder in path.parents:
        if _LEGACY_PERIOD.match(folder.name):
            return folder, folder.name, folder == path.parent
        partition = _PARTITION.match(folder.name)
        if partition and folder.parent.name.lower() == "metadata":
            return folder.parent.parent / "data" / folder.name, partition[1], folder == path.parent
    return path.parent, None, True


def _newest(manifests: Iterable[Manifest]) -> list[Manifest]:
    newest: dict[tuple[Path, str], Manifest] = {}
    for manifest in sorted(manifests, key=lambda m: m.rank):
        newest[manifest.scope, manifest.report] = manifest
    return list(newest.values())
