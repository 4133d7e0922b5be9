"""Files as they arrive: what is inside, whether it is whole, and how to read it with DuckDB.

`inspect` reads a file once and says what it is; `scan` gives the DuckDB expression that reads its rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from connectors.extraction import Reject


@dataclass(frozen=True)
class SourceFile:
    """A file that was looked at.

    `path` is the file given; `readable` the file that DuckDB reads: the same, or a cleaned temporary copy. `format` is csv, jsonl, json or
    parquet, found from content. `columns` are the header's names as written (for JSON: the keys of the first object). `head` holds
    up to 50 first rows as dicts of raw values, for detection. `rejects` are lines that had to be dropped to make the rest
    readable. `checksum` is SHA-256 of the bytes on disk.
    """

    path: Path
    readable: Path
    format: str
    columns: tuple[str, ...]
    head: tuple[dict[str, object], ...]
    checksum: str
    size: int
    rejects: tuple[Reject, ...] = ()

    @property
    def name(self) -> str:
        """File name without its folder."""
        return self.path.name

    def has(self, *names: str) -> bool:
        """Whether all these columns are in the header, whatever their case."""
        present = {column.lower() for column in self.columns}
        return all(name.lower() in present for name in names)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
