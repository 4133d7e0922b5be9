"""What lies in a store after a sync, and a sync in miniature: pull, load, remember the position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.intake import load_paths
from connectors.live.registry import live_source
from connectors.live.secrets import Secrets
from connectors.live.settings import source_settings
from connectors.live.source import Batch, SourceSettings, Window
from warehouse.configuration import Configuration
from warehouse.load_report import LoadReport
from warehouse.reader import open_current
from warehouse.store import Store


def settings_of(kind: str, environment: Mapping[str, str] | None = None, **options: Any) -> SourceSettings:
    """The settings of one section [[source]] named `live`, as they are read from percall.toml."""
    section: dict[str, Any] = {"name": "live", "kind": kind} | options
    return source_settings(section, 1, Secrets(dict(environment or {}), ()), Configuration())


def rows(store: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a canonical table; None where nothing is known."""
    warehouse = open_current(store, Configuration())
    frame = warehouse.frame(warehouse.table(table)).astype(object)
    return frame.where(frame.notna(), None).to_dict("records")


def total(store: Path, table: str, column: str) -> Decimal:
    """Exact sum of a money column."""
    return sum((row[column] for row in rows(store, table) if isinstance(row[column], Decimal)), Decimal(0))


@dataclass
class Sync:
    """Pulls one source into a store again and again, each time from the position of the last."""

    store: Path
    settings: SourceSettings
    folder: Path
    position: Mapping[str, Any] = field(default_factory=dict)
    reports: list[LoadReport] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def run(self, now: datetime, since: datetime | None = None, *, most: int | None = None) -> list[LoadReport]:
        """One sync; `most`: killed after so many batches were loaded, the last one's position not remembered."""
        self.reports, self.batches = [], []
        self.folder.mkdir(parents=True, exist_ok=True)
        pulled = live_source(self.settings.kind).pull(
            self.settings,
            self.position,
            Window(now, since),
            self.folder,
            lambda message, _share: self.messages.append(message),
        )
        for number, batch in enumerate(pulled, start=1):
            self.batches.append(batch)
            if batch.paths:
                self.reports += load_paths(
                    Store(self.store), Configuration(), batch.paths, batch.kind, on_overlap=batch.on_overlap
                )
            if number == most:
                return self.reports
            self.position = batch.position
        return self.reports
