"""Settling: which present parts of a partition the new ones replace, add to, repeat or contradict (rules: warehouse.parts)."""

from __future__ import annotations

from typing import Any

from warehouse.filing import Filing, load_column
from warehouse.load_report import LoadReport
from warehouse.parts import Part, Relation, describe, fingerprint, partition_expression, relate
from warehouse.schema import Table
from warehouse.staging import Staging

GONE = "SELECT load_id FROM past_loads WHERE status = 'superseded'"
"""The loads whose rows the new snapshot leaves out."""


class Settling:
    """Compares staged parts with present ones; marks superseded loads in the temp table `past_loads` and withdraws staged rows that add nothing."""

    def __init__(self, staging: Staging, filing: Filing, on_overlap: str) -> None:
        self.staging, self.filing, self.on_overlap = staging, filing, on_overlap
        self.connection = staging.connection

    def settle(self, table: Table, reports: list[LoadReport]) -> None:
        """Decide, partition by partition, which present parts the new ones replace (see warehouse.parts)."""
        staged, key = self.staging.name(table.name), load_column(table)
        partition = partition_expression(table)
        wanted = [report.partition for report in reports if report.partition]
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE wanted AS SELECT unnest(?::VARCHAR[]) AS partition", [wanted]
        )
        if table.month_column:
            months = {name.rsplit("/", 1)[1] for name in wanted if name}
            base = self.filing.base_relation(table.name, months)
        else:
            base = self.filing.base_meta(table.name)
        select = fingerprint(table, partition, key)
        self.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE prints AS
                SELECT * FROM (SELECT {select} FROM {staged} UNION ALL SELECT {select} FROM ({base}))
                WHERE partition IN (SELECT partition FROM wanted)"""
        )
        sizes = {
            part_id: (rows, first, last)
            for part_id, rows, first, last in self.connection.execute(
                "SELECT part_id, count(*), min(moment), max(moment) FROM prints GROUP BY 1"
            ).fetchall()
        }
        for report in reports:
            if report.partition:
                self._settle_one(table, report, reports, sizes)

    def _settle_one(
        self, table: Table, report: LoadReport, reports: list[LoadReport], sizes: dict[int, tuple[int, Any, Any]]
    ) -> None:
        new = Part(report.load_id, report.file, report.delivery, *sizes[report.load_id])
        present = self.connection.execute(
            """SELECT load_id, file, source, checksum FROM past_loads
               WHERE table_name = ? AND partition = ? AND status = 'stored' ORDER BY load_id""",
            [table.name, report.partition],
        ).fetchall()
        earlier = [(r.load_id, r.file, r.source, r.checksum) for r in reports if r.load_id < report.load_id
                   and r.partition == report.partition and r.status == "stored"]  # fmt: skip
        deliveries = {r.load_id: r.delivery for r in reports}
        refused_source = self._other_source(table, report)
        if refused_source:
            self._withdraw(table, report, "refused", refused_source)
            return
        for load_id, file, _source, _checksum in [*present, *earlier]:
            if load_id not in sizes:
                continue
            part = Part(load_id, file, deliveries.get(load_id), *sizes[load_id])
            same_delivery = (
                report.delivery is not None and load_id in deliveries and deliveries[load_id] == report.delivery
            )
            if same_delivery or (self.on_overlap == "add"):
                continue
            if (report.delivery is not None or self.on_overlap == "replace") and load_id not in deliveries:
                relation = Relation.NEWER_VERSION
            else:
                relation = relate(self.connection, "prints", new, part)
            if relation is Relation.NEWER_VERSION:
                self._supersede(table, load_id, report, reports)
            elif relation is Relation.NOTHING_NEW:
                self._withdraw(table, report, "unchanged", f"every line is already loaded, from {file}")
                return
            elif relation is Relation.AMBIGUOUS:
                self._withdraw(table, report, "refused", describe(report.partition or "", new, part))
                return

    def _other_source(self, table: Table, report: LoadReport) -> str | None:
        """Why a second source for the same account and period is refused; None when there is none."""
        if table.name != "charges" or self.on_overlap != "ask" or not report.partition:
            return None
        source, account, period = report.partition.split("/", 2)
        if account == "-":
            return None
        row = self.connection.execute(
            """SELECT source, file FROM past_loads WHERE table_name = 'charges' AND status = 'stored' AND partition LIKE ? AND partition <> ?
               ORDER BY load_id LIMIT 1""",
            [f"%/{account}/{period}", report.partition],
        ).fetchone()
        if row is None:
            return None
        return (
            f"account {account} in {period} is already covered by {row[0]} ({row[1]}); two sources for one bill would be "
            f"counted twice. Load only one of them, or say `--add` if {source} bills other lines"
        )

    def _withdraw(self, table: Table, report: LoadReport, status: str, message: str) -> None:
        staged, key = self.staging.name(table.name), load_column(table)
        self.connection.execute(f"DELETE FROM {staged} WHERE {key} = {report.load_id}")
        report.status, report.message = status, message
        report.rows_kept, report.rows_derived, report.billed, report.effective = 0, 0, None, None

    def _supersede(self, table: Table, load_id: int, report: LoadReport, reports: list[LoadReport]) -> None:
        for other in reports:
            if other.load_id == load_id:
                self._withdraw(table, other, "superseded", f"{report.file} is a newer version of the same period")
                report.superseded.append(other.file)
                return
        row = self.connection.execute("SELECT file FROM past_loads WHERE load_id = ?", [load_id]).fetchone()
        report.superseded.append(row[0] if row else str(load_id))
        report.message = "replaces " + ", ".join(report.superseded)
        self.connection.execute(
            "UPDATE past_loads SET status = 'superseded', superseded_by = ? WHERE load_id = ?",
            [report.load_id, load_id],
        )
