"""Which stored file came with which delivery, and when that was made: an older delivery that is loaded later takes no newer one's place.

It lies beside the facts as state (`warehouse.state_file`) and only adds knowledge: without it a delivery replaces whatever is there, as it
does where nobody knows when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from warehouse.errors import StoreError
from warehouse.load_report import LoadReport
from warehouse.state_file import StateFile


@dataclass(frozen=True)
class Delivered:
    """What is known of one file in one partition: name of its delivery, and when that was made (UTC; None: not known)."""

    delivery: str
    at: datetime | None


class Deliveries(StateFile):
    """The deliveries of one store, by partition and checksum of a file."""

    TABLES = """
        CREATE TABLE IF NOT EXISTS deliveries (
            partition TEXT NOT NULL, checksum TEXT NOT NULL, delivery TEXT NOT NULL, delivered_at TEXT,
            PRIMARY KEY (partition, checksum));
    """

    def known(self) -> dict[tuple[str, str], Delivered]:
        """Everything that is known, by (partition, checksum)."""
        rows = self.read("SELECT partition, checksum, delivery, delivered_at FROM deliveries")
        return {
            (partition, checksum): Delivered(delivery, datetime.fromisoformat(at) if at else None)
            for partition, checksum, delivery, at in rows
        }

    def note(self, reports: Iterable[LoadReport]) -> None:
        """Write down the deliveries of what was stored. What was stored stands even if this cannot be written."""
        rows = [
            (
                report.partition,
                report.checksum,
                report.delivery,
                report.delivered_at and report.delivered_at.isoformat(),
            )
            for report in reports
            if report.status == "stored" and report.delivery and report.partition
        ]
        if not rows:
            return
        try:
            with self.writing() as connection:
                connection.executemany("INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?)", rows)
        except StoreError:
            return


def known_deliveries(store: Path) -> dict[tuple[str, str], Delivered]:
    """`Deliveries.known` of a store; nothing where it cannot be read."""
    try:
        return Deliveries(store).known()
    except StoreError:
        return {}
