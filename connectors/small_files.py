"""Many small JSON files at once: where a log is one file per call, planning the query of one file takes longer than reading hundreds of them
(0.26 s of CPU per file when each was read alone, 0.015 together, a thousand LiteLLM payloads).

Only for connectors that look at each row by itself (`EACH_ROW_ALONE`), and for files that hold nothing but good objects (`SourceFile.texts`):
their objects are put into one numbered copy, which is read by one statement, and each file gets its own rows of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import duckdb

from connectors import json_records
from connectors.extraction import Connector, Extraction
from connectors.row_table import keep_rows
from connectors.source_file import SourceFile
from warehouse.configuration import Configuration

MOST_FILES = 2_000
MOST_CHARACTERS = 64 << 20


@dataclass
class SmallFiles:
    """Small files that wait to be read together with those that come next, in their order.

    `hand_over` is called with the place of a file in the order in which they were added (from 0), and its extraction, whose query must be
    run at once.
    """

    connection: duckdb.DuckDBPyConnection
    scratch: Path
    configuration: Configuration
    waiting: list[SourceFile] = field(default_factory=list)
    connector: Connector | None = None
    characters: int = 0

    def takes(self, connector: Connector, file: SourceFile) -> bool:
        """Whether the file can be read together with those that wait, as far as there is room."""
        fits = len(self.waiting) < MOST_FILES and self.characters < MOST_CHARACTERS
        alone = getattr(connector, "EACH_ROW_ALONE", False)
        return alone and bool(file.texts) and fits and self.connector in (None, connector)

    def add(self, connector: Connector, file: SourceFile) -> None:
        """Let a file wait."""
        self.waiting.append(file)
        self.connector = connector
        self.characters += sum(map(len, file.texts))

    def read(self, hand_over: Callable[[int, Extraction], None]) -> None:
        """Read the files that wait. Raises duckdb.Error when they cannot be read together; nothing was then handed over."""
        files, connector = self.waiting, self.connector
        self.waiting, self.connector, self.characters = [], None, 0
        if connector is None:
            return
        copy = self.scratch / f"{uuid4().hex}.rows"
        self.scratch.mkdir(parents=True, exist_ok=True)
        texts = [text for file in files for text in file.texts]
        try:
            with copy.open("w", encoding="utf-8", newline="") as out:
                _, longest, _ = json_records.write_numbered(
                    ((row, text, None) for row, text in enumerate(texts, 1)), out
                )
            together = SourceFile(
                copy, copy, "jsonl", (), (), "", copy.stat().st_size, numbered=True, longest=4 * longest
            )
            (extraction,) = connector.extract(self.connection, together, self.configuration)
            table = keep_rows(self.connection, extraction.query)
        finally:
            copy.unlink(missing_ok=True)
        before = 0
        for place, file in enumerate(files):
            after = before + len(file.texts)
            own = f"SELECT * REPLACE (_row - {before} AS _row) FROM {table} WHERE _row > {before} AND _row <= {after}"
            hand_over(place, replace(extraction, file=file.name, checksum=file.checksum, query=own))
            before = after
