"""Which files a person means: files, folders and patterns become a list of data files, manifests apart."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from warehouse.errors import InputError

_NO_DATA = {
    ".md", ".rst", ".html", ".htm", ".pdf", ".png", ".jpg", ".jpeg", ".svg", ".py", ".sql", ".toml", ".yml", ".yaml",
    ".ini", ".sh", ".log", ".xml", ".duckdb", ".sqlite", ".db", ".wal", ".sha256", ".md5", ".crc", ".lock", ".tmp",
    ".part", ".xlsx",
}  # fmt: skip


def expand(paths: Iterable[str | Path]) -> list[Path]:
    """The data files that these files, folders (searched to the bottom) and globs name, each once, sorted within each argument.

    In folders and globs hidden files, manifests (see `manifests`) and what is plainly no data (documents, scripts, empty markers) are left
    out; a file named outright is always taken. Raises InputError when an argument names nothing.
    """
    found: dict[Path, None] = {}
    for argument in paths:
        path = Path(argument)
        if path.is_file():
            found[path] = None
            continue
        matches = [file for file in _candidates(path) if not _is_manifest(file) and _may_be_data(file)]
        if not matches:
            what = "the folder holds no data files" if path.is_dir() else "no such file or folder"
            raise InputError(f"{what}; name CSV, JSON or Parquet files (plain, .gz or .zst)", file=str(path))
        found.update(dict.fromkeys(matches))
    if not found:
        raise InputError("no files were named; give files, folders or patterns such as 'exports/*.parquet'")
    return list(found)


def manifests(paths: Iterable[str | Path]) -> list[Path]:
    """The delivery manifests (`*manifest*.json`, files under `manifests/`) that lie in these folders or match these globs, sorted."""
    found: dict[Path, None] = {}
    for argument in paths:
        found.update(dict.fromkeys(file for file in _candidates(Path(argument)) if _is_manifest(file)))
    return list(found)


def _candidates(path: Path) -> list[Path]:
    if path.is_dir():
        files = (
            file for file in path.rglob("*") if not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    else:
        files = (Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 - the pattern may be absolute
    everything: list[Path] = []
    for file in sorted(files):
        everything += _candidates(file) if file.is_dir() and not path.is_dir() else [file]
    return [file for file in everything if file.is_file()]


def _is_manifest(file: Path) -> bool:
    return file.suffix.lower() == ".json" and (
        "manifest" in file.name.lower() or file.parent.name.lower() == "manifests"
    )


def _may_be_data(file: Path) -> bool:
    return file.suffix.lower() not in _NO_DATA and not file.name.startswith(("_", ".")) and file.stat().st_size > 0
