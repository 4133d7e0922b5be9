"""A sync without a store: what a source fetched, by id. For tests of fetching alone, where a store would only cost time."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.live.registry import live_source
from connectors.live.source import Batch, SourceSettings, Window


@dataclass
class Pull:
    """Pulls one source again and again, each time from the position of the last; the latest row of an id counts, as in a store."""

    settings: SourceSettings
    folder: Path
    position: Mapping[str, Any] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def run(self, now: datetime, since: datetime | None = None, *, most: int | None = None) -> None:
        """One sync; `most`: killed after so many batches were read, the last one's position not remembered."""
        self.batches = []
        self.folder.mkdir(parents=True, exist_ok=True)
        pulled = live_source(self.settings.kind).pull(
            self.settings, self.position, Window(now, since), self.folder, lambda message, _share: self.messages.append(message)
        )  # fmt: skip
        for number, batch in enumerate(pulled, start=1):
            self.batches.append(batch)
            for path in batch.paths:
                raw = path.read_bytes()
                text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
                for line in text.splitlines():
                    row = json.loads(line)
                    if not row.get("context_only"):
                        self.rows[str(row.get("id") or row.get("request_id"))] = row
            if number == most:
                return
            self.position = batch.position
