"""What an engine beyond this machine has to be able to do, and what a publication on it consists of.

A publication is a snapshot as an engine holds it. Like the store's own files, its parts never change once written: a part is one table of
one month in one version. A publication names the parts that belong to it and is announced in one atomic step, after all of them are there.
Readers look at one publication from beginning to end, so that they see the old or the new data, never a mix.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import ibis
import pyarrow as pa

from warehouse.engines.settings import CLICKHOUSE, EngineSettings

KEPT_PUBLICATIONS = 3
"""So many publications stay readable for sessions that still look at them."""


@dataclass(frozen=True)
class Publication:
    """One snapshot on an engine. parts: names of the parts of each table; tag_rules: what was applied, as a digest."""

    publication_id: str
    snapshot_id: str
    number: int
    created_at: str
    demo: bool
    rollup_key: str
    tag_rules: str
    parts: Mapping[str, tuple[str, ...]]

    def to_json(self) -> str:
        """As engines keep it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Publication:
        """As read from an engine."""
        raw = json.loads(text)
        return cls(**{**raw, "parts": {table: tuple(parts) for table, parts in raw["parts"].items()}})


class Engine(Protocol):
    """One engine. All names are names of canonical tables and roll-ups; errors are StoreError in words."""

    def sql(self, operation: Any) -> str:
        """SQL of an Ibis operation in the engine's language."""

    def arrow(self, sql: str) -> pa.Table:
        """The answer, with UTC times without a zone and exact decimals."""

    def relation(self, publication: Publication, table: str) -> str:
        """Name under which SQL finds a table of a publication."""

    def open(self, publication: Publication, schemas: Mapping[str, ibis.Schema]) -> None:
        """Make the publication's tables answer under their `relation` names."""

    def keep(self, publication: Publication, name: str, sql: str) -> str:
        """Keep an answer as a table beside the publication; answers with its relation name. The same question is kept once."""

    def publications(self) -> list[Publication]:
        """What is announced, the newest first."""

    def write_part(self, table: str, part: str, schema: ibis.Schema, parquet: Path) -> None:
        """Write one part anew from a Parquet file; a rest of an earlier, interrupted attempt is removed first."""

    def announce(self, publication: Publication, schemas: Mapping[str, ibis.Schema]) -> None:
        """Make a publication, whose parts are all there, the newest one, in one step."""

    def remove_all_but(self, publications: Iterable[Publication]) -> None:
        """Remove other publications and the parts that none of these names."""


def open_engine(settings: EngineSettings) -> Engine:
    """The configured engine, connected. Raises StoreError when it cannot be reached or its library is not installed."""
    if settings.kind == CLICKHOUSE:
        from warehouse.engines.clickhouse import ClickHouse  # noqa: PLC0415 - only the configured one

        return ClickHouse(settings)
    from warehouse.engines.spark import Spark  # noqa: PLC0415 - only the configured one

    return Spark(settings)
