"""Settling: which present parts of a partition the new ones replace, add to, repeat or contradict (rules: warehouse.parts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.deliveries import Delivered
from warehouse.filing import Filing, load_column
from warehouse.load_report import LoadReport
from warehouse.parts import PIECES, Part, Relation, describe, fingerprint, of_one_family, partition_expression, relate
from warehouse.schema import Table
from warehouse.staging import Staging

GONE = "SELECT load_id FROM past_loads WHERE status = 'superseded'"
"""The loads whose rows the new snapshot leaves out."""


class Settling:
    """Compares staged parts with present ones; marks superseded loads in the temp table `past_loads` and withdraws staged rows that add nothing."""

    def __init__(
        self,
        staging: Staging,
        filing: Filing,
        on_overlap: str,
        delivered: Mapping[tuple[str, str], Delivered] | None = None,
    ) -> None:
        self.staging, self.filing, self.on_overlap = staging, filing, on_overlap
        self.delivered = delivered or {}
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
        """Compare one new part with all others of its partition, then act: a part that is not stored must not have replaced any."""
        new = Part(report.load_id, report.file, report.delivery, *sizes[report.load_id])
        present = self.connection.execute(
            """SELECT load_id, file, checksum FROM past_loads
               WHERE table_name = ? AND partition = ? AND status = 'stored' ORDER BY load_id""",
            [table.name, report.partition],
        ).fetchall()
        earlier = [(r.load_id, r.file, r.checksum) for r in reports if r.load_id < report.load_id
                   and r.partition == report.partition and r.status == "stored"]  # fmt: skip
        deliveries = {r.load_id: r.delivery for r in reports}
        same_bytes = next((file for _id, file, checksum in present if checksum and checksum == report.checksum), None)
        if same_bytes and not self._may_be_rewritten(report, reports):
            self._withdraw(table, report, "unchanged", f"already loaded, from {same_bytes}")
            return
        if newer := self._newer_delivery(report, present):
            self._withdraw(table, report, "superseded", newer)
            return
        replaced: list[int] = []
        for load_id, source, file, is_new in self._other_sources(table, report, reports):
            if self.on_overlap == "replace" and not is_new:
                replaced.append(load_id)
                continue
            self._withdraw(table, report, "refused", _told_by_another(report, source, file))
            return
        for load_id, file, checksum in [*present, *earlier]:
            if load_id not in sizes:
                continue
            known = self.delivered.get((report.partition or "", checksum or ""))
            delivery = deliveries.get(load_id, known.delivery if known else None)
            part = Part(load_id, file, delivery, *sizes[load_id])
            relation = self._relation(table, new, part, load_id in deliveries)
            if relation is Relation.NEWER_VERSION:
                replaced.append(load_id)
            elif relation is Relation.NOTHING_NEW:
                self._withdraw(table, report, "unchanged", f"every line is already loaded, from {file}")
                return
            elif relation is Relation.AMBIGUOUS:
                self._withdraw(table, report, "refused", describe(report.partition or "", new, part))
                return
        for load_id in replaced:
            self._supersede(table, load_id, report, reports)

    def leave_departed(self, table: Table, reports: list[LoadReport]) -> set[str]:
        """Supersede what an earlier version of a piece told of periods that its new version does not mention; answers with their months.

        Not where a row or part of the new version was refused: what it says of the missing period is then not known. Nor what it told of another
        billing account: a source that now reads another account takes back nothing of the first one's bill.
        """
        months: set[str] = set()
        pieces = {report.file for report in reports if of_one_family(report.file, report.file)}
        for piece in sorted(pieces) if self.on_overlap == PIECES else ():
            own = [report for report in reports if report.file == piece]
            if any(report.status == "refused" or report.rows_rejected for report in own):
                continue
            departed = self.connection.execute(
                """SELECT load_id, partition FROM past_loads WHERE table_name = ? AND file = ? AND status = 'stored'
                   AND partition IS NOT NULL AND NOT list_contains(?::VARCHAR[], partition) ORDER BY load_id""",
                [table.name, piece, [report.partition for report in own if report.partition]],
            ).fetchall()
            accounts = {_account_and_period(report.partition)[0] for report in own if report.partition}
            for load_id, partition in departed:
                if table.name == "charges" and _account_and_period(partition)[0] not in accounts:
                    continue
                self._supersede(table, load_id, own[0], reports)
                months.add(partition.rsplit("/", 1)[1])
        return months

    def _newer_delivery(self, report: LoadReport, present: Sequence[tuple[int, str, str | None]]) -> str | None:
        """Why a delivery is not stored: one of the same name that was made later is there. None where that is not known."""
        if report.delivery is None or report.delivered_at is None or self.on_overlap != "ask":
            return None
        for _load_id, file, checksum in present:
            known = self.delivered.get((report.partition or "", checksum or ""))
            if known and known.at and known.delivery == report.delivery and known.at > report.delivered_at:
                return (
                    f"{file} is loaded, of a delivery made later ({known.at:%Y-%m-%d %H:%M} UTC, this one {report.delivered_at:%Y-%m-%d %H:%M}); "
                    "say `--replace` if this one is to take its place all the same"
                )
        return None

    def _may_be_rewritten(self, report: LoadReport, reports: list[LoadReport]) -> bool:
        """Whether a file with bytes that are loaded already is one of several that together replace its period."""
        if self.on_overlap == "replace":
            return any(other.partition == report.partition and other is not report for other in reports)
        return report.delivery is not None and self.on_overlap == "ask"

    def _relation(self, table: Table, new: Part, part: Part, of_this_load: bool) -> Relation:
        """What the new part is to another one of its partition."""
        if self.on_overlap == "add":
            return Relation.FURTHER_PART
        if of_this_load and new.delivery is not None and new.delivery == part.delivery:
            return Relation.FURTHER_PART
        if self.on_overlap == PIECES and of_one_family(new.file, part.file):
            is_newer = new.file == part.file and not of_this_load
            return Relation.NEWER_VERSION if is_newer else Relation.FURTHER_PART
        if not of_this_load and new.delivery is not None and part.delivery in (None, new.delivery):
            return Relation.NEWER_VERSION
        if not of_this_load and self.on_overlap == "replace":
            # Without an account id the bills of several vendors share a partition: one does not replace those of another.
            new_vendors, vendors = self._vendors(new), self._vendors(part)
            if vendors <= new_vendors:
                return Relation.NEWER_VERSION
            if not vendors & new_vendors:
                return Relation.FURTHER_PART
        return relate(self.connection, "prints", new, part, keyed=table.name != "charges")

    def _vendors(self, part: Part) -> set[str]:
        rows = self.connection.execute("SELECT DISTINCT vendor FROM prints WHERE part_id = ?", [part.part_id])
        return {vendor for (vendor,) in rows.fetchall()}

    def _other_sources(
        self, table: Table, report: LoadReport, reports: list[LoadReport]
    ) -> list[tuple[int, str, str, bool]]:
        """Parts of the same account and period that another source told: (load, source, file, whether of this load)."""
        if table.name != "charges" or self.on_overlap == "add" or not report.partition:
            return []
        wanted = _account_and_period(report.partition)
        if wanted[0] == "-":
            return []
        rows = self.connection.execute(
            """SELECT load_id, source, file, partition FROM past_loads
               WHERE table_name = 'charges' AND status = 'stored' AND ends_with(partition, ?) ORDER BY load_id""",
            ["/" + "/".join(wanted)],
        ).fetchall()
        found = [(*row, False) for row in rows]
        found += [(r.load_id, r.source, r.file, r.partition, True) for r in reports
                  if r.load_id < report.load_id and r.status == "stored" and r.table == table.name]  # fmt: skip
        return [
            (load_id, partition.split("/", 1)[0], file, is_new)
            for load_id, _source, file, partition, is_new in found
            if partition and partition != report.partition and _account_and_period(partition) == wanted
        ]

    def _withdraw(self, table: Table, report: LoadReport, status: str, message: str) -> None:
        staged, key = self.staging.name(table.name), load_column(table)
        self.connection.execute(f"DELETE FROM {staged} WHERE {key} = {report.load_id}")
        report.status, report.message = status, message
        if status in ("unchanged", "superseded"):
            report.rows_duplicate += report.rows_kept
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


def _account_and_period(partition: str) -> tuple[str, str]:
    """Account (which may hold slashes) and period of a partition of billing lines."""
    account, _, period = partition.partition("/")[2].rpartition("/")
    return account, period


def _told_by_another(report: LoadReport, source: str, file: str) -> str:
    """Why a second source for the same account and period is refused."""
    account, period = _account_and_period(report.partition or "")
    return (
        f"account {account} in {period} is already covered by {source} ({file}); two sources for one bill would be "
        f"counted twice. Load only one of them, say `--replace` if this file is to take its place, or `--add` if it bills other lines"
    )
