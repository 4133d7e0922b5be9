"""What every connector module offers; the rows that it hands over are described in `warehouse.intake`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from warehouse.intake import Extraction, Reject

if TYPE_CHECKING:
    import duckdb

    from connectors.files import SourceFile
    from warehouse.configuration import Configuration

__all__ = ["Connector", "Extraction", "Reject"]


class Connector(Protocol):
    """One module per source implements this as module-level functions."""

    KIND: str

    def detect(self, file: SourceFile) -> bool:
        """Whether this file's content is of this kind (never its name alone)."""

    def extract(
        self, connection: duckdb.DuckDBPyConnection, file: SourceFile, configuration: Configuration
    ) -> Iterable[Extraction]:
        """The file's rows. Raises InputError when the file as a whole cannot be used."""
