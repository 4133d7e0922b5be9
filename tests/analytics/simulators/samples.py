"""Published samples that the what-ifs are checked against; see tests/data/SOURCES.md."""

from __future__ import annotations

import csv
import gzip
import hashlib
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"
BESIDE = Path(__file__).parents[4] / "shared" / "samples"
"""Samples that may not be copied are checked where they lie beside the checkout."""


def rows_of_file(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, packed or not."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def banking_stream() -> list[dict[str, str]]:
    """banking77, each text once, in the order of the SHA-256 of its text."""
    rows = rows_of_file(DATA / "semantic_cache" / "banking77_train.csv.gz")
    return sorted(rows, key=lambda row: hashlib.sha256(row["text"].encode()).hexdigest())
