"""Loading: from extractions to a new snapshot, all or nothing.

    with Loading(store, configuration) as loading:
        for extraction in extractions:
            loading.add(extraction)
        reports = loading.commit()

A load builds new fact files beside the old ones and swaps one pointer at the end: killed at any moment, the store holds exactly the old or
the new data. Before the swap, what was stored is summed again and compared with what was read, per currency.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import duckdb

from warehouse.categories import category_expression
from warehouse.configuration import Configuration
from warehouse.errors import StoreError
from warehouse.filing import META, Filing, load_column, money_columns
from warehouse.intake import Extraction
from warehouse.load_report import LoadReport
from warehouse.merging import apply_scores, call_key, merge_by_key, merge_calls
from warehouse.parts import Part, Relation, describe, fingerprint, partition_expression, relate
from warehouse.price_books import shipped_prices
from warehouse.pricing import price_staged_calls
from warehouse.restating import create_new_restatements, record_restatements
from warehouse.rollups import ROLLUPS
from warehouse.schema import LOADS, REJECTS, TABLES, Table
from warehouse.staging import StagedFile, Staging
from warehouse.store import FactFile, Store, Writer

Progress = Callable[[str, float], None]


class Loading:
    """One load: takes extractions, decides what they replace, writes and publishes. Holds the store's write lock.

    `on_overlap` is what to do with a file that covers a period already loaded: "ask" compares lines (see warehouse.parts), "replace" lets it
    replace the whole period, "add" counts it in addition.
    """

    def __init__(
        self,
        store: Store,
        configuration: Configuration,
        *,
        on_overlap: str = "ask",
        demo: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.store, self.configuration, self.on_overlap, self.demo = store, configuration, on_overlap, demo
        self.progress = progress or (lambda _message, _share: None)
        self._stack = ExitStack()

    def __enter__(self) -> Loading:
        self.writer: Writer = self._stack.enter_context(self.store.writing())
        self.staging = Staging(self.store.scratch)
        self._stack.callback(self.staging.close)
        self.connection = self.staging.connection
        self.filing = Filing(self.connection, self.store, self.writer, self.configuration)
        self.connection.execute(f"CREATE TEMP TABLE past_loads AS {self.filing.base_meta('loads')}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def known(self, checksum: str) -> str | None:
        """Why a file with these bytes need not be read again; None when it must be."""
        row = self.connection.execute(
            "SELECT count(*) FILTER (status = 'stored'), count(*) FROM past_loads WHERE checksum = ? AND status IN ('stored', 'superseded')",
            [checksum],
        ).fetchone()
        if not row or not row[1]:
            return None
        if self.on_overlap == "replace" and not row[0]:
            return None
        return "already loaded" if row[0] else "already loaded, and since replaced by a newer version of its period"

    @property
    def has_files(self) -> bool:
        """Whether anything was added or refused."""
        return bool(self.staging.files)

    def add(self, extraction: Extraction) -> StagedFile:
        """Stage one extraction. Raises InputError when its file cannot be read."""
        return self.staging.add(extraction)

    def refuse(self, file: str, kind: str, checksum: str, reason: str) -> None:
        """Record a file that cannot be used, with the reason."""
        self.staging.refuse(file, kind, checksum, reason)

    def commit(self) -> list[LoadReport]:
        """Store everything that was added and publish it as a new snapshot.

        Returns one report per file and partition. Raises StoreError when what was stored does not sum to what was read; the store is then
        unchanged.
        """
        self.progress("pricing", 0.05)
        self._stage_prices()
        self.staging.complete(self._price, category_expression(self.configuration.category_rules))
        reports = self._assign_loads()
        create_new_restatements(self.connection)
        files = {(file.table, file.month): file for file in (self.writer.base.files if self.writer.base else ())}
        for table in self.staging.tables():
            if table.merge_key or not table.month_column:
                continue
            self._settle_parts(table, [report for report in reports if report.table == table.name])
            self._file_parts(table, reports, files)
        for table in self.staging.tables():
            if not table.merge_key and not table.month_column:
                self._settle_parts(table, [report for report in reports if report.table == table.name])
        self._file_merged(reports, files)
        self._recut_rollups(files)
        self.progress("recording", 0.95)
        if self._write_meta(reports, files):
            self.writer.publish(list(files.values()), self.configuration.rollup_key, self._is_demo())
        self.progress("published", 1.0)
        return reports

    def _recut_rollups(self, files: dict[tuple[str, str], FactFile]) -> None:
        """Rewrite the months that this load did not touch when days, tags or categories are cut differently now."""
        base = self.writer.base
        if base is None or base.rollup_key == self.configuration.rollup_key:
            return
        for file in base.files:
            if file.table in ROLLUPS and files.get((file.table, file.month)) == file:
                self._replace(TABLES[file.table], file.month, self.filing.base_relation(file.table, [file.month]), files)

    def _is_demo(self) -> bool:
        base = self.writer.base
        return self.demo or bool(base and base.demo)

    def _stage_prices(self) -> None:
        """Put every price that may be used into the table `all_prices`: shipped books and loaded ones, old and new."""
        names = ", ".join(TABLES["prices"].names)
        shipped = shipped_prices(self.configuration)
        self.connection.register("shipped_arrow", shipped)
        self.connection.execute(TABLES["prices"].ddl("all_prices"))
        self.connection.execute("INSERT INTO all_prices BY NAME SELECT *, NULL::BIGINT AS load_id FROM shipped_arrow")
        self.connection.unregister("shipped_arrow")
        staged = [table.name for table in self.staging.tables()]
        new = f" UNION ALL SELECT {names} FROM staged_prices" if "prices" in staged else ""
        self.connection.execute(
            f"""INSERT INTO all_prices SELECT {names} FROM (
                    SELECT {names} FROM ({self.filing.base_meta("prices")}) WHERE load_id IS NOT NULL{new})
                QUALIFY row_number() OVER (PARTITION BY {", ".join(names.split(", ")[:6])}, valid_from ORDER BY load_id DESC NULLS FIRST) = 1"""
        )

    def _price(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        price_staged_calls(connection, table, "all_prices", self.configuration)

    def _assign_loads(self) -> list[LoadReport]:
        """One load id per file and partition; rows get theirs."""
        row = self.connection.execute("SELECT coalesce(max(load_id), 0) FROM past_loads").fetchone()
        next_id = (row[0] if row else 0) + 1
        reports: list[LoadReport] = []
        by_part = {file.part: file for file in self.staging.files}
        for table in self.staging.tables():
            staged, partition = self.staging.name(table.name), partition_expression(table)
            billed, effective, currency = money_columns(table)
            time = table.month_column or ("valid_from" if table.name == "prices" else "date")
            rows = self.connection.execute(
                f"""SELECT _part, {partition} AS partition, count(*), {f"sum({billed})" if billed else "NULL"},
                           {f"sum({effective})" if effective else "NULL"}, {f"min({currency})" if currency else "'USD'"},
                           {f"count(DISTINCT {currency})" if currency else "1"}, min({time}), max({time})
                    FROM {staged} GROUP BY 1, 2 ORDER BY 1, 2"""
            ).fetchall()
            for part, name, count, billed_sum, effective_sum, code, codes, first, last in rows:
                file = by_part[part]
                report = LoadReport(
                    file.kind, name, file.file, "stored", count, count, billed=billed_sum, effective=effective_sum,
                    currency=code if codes == 1 else None, table=table.name, source=file.source, checksum=file.checksum,
                    delivery=file.delivery, load_id=next_id, part=part, billed_in=billed_sum, effective_in=effective_sum,
                    first=first, last=last,
                )  # fmt: skip
                reports.append(report)
                next_id += 1
            self.connection.execute(
                "CREATE OR REPLACE TEMP TABLE load_ids (part INTEGER, partition VARCHAR, id BIGINT)"
            )
            mapping = [(r.part, r.partition, r.load_id) for r in reports if r.table == table.name]
            if mapping:
                self.connection.executemany("INSERT INTO load_ids VALUES (?, ?, ?)", mapping)
            self.connection.execute(
                f"""UPDATE {staged} SET {load_column(table)} = load_ids.id FROM load_ids
                    WHERE load_ids.part = _part AND load_ids.partition = {partition}"""
            )
        for file in self.staging.files:
            own = [report for report in reports if report.part == file.part]
            if not own:
                status = "refused" if file.message else "stored"
                message = file.message or ("no row could be kept" if file.rejected else "the file has no rows")
                own = [LoadReport(file.kind, None, file.file, status, message=message, table=file.table, source=file.source,
                                  checksum=file.checksum, load_id=next_id, part=file.part)]  # fmt: skip
                next_id += 1
                reports += own
            largest = max(own, key=lambda report: report.rows_in)
            largest.rows_rejected = file.rejected
            largest.rows_in += file.rejected
        return reports

    def _settle_parts(self, table: Table, reports: list[LoadReport]) -> None:
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
        report.rows_kept, report.billed, report.effective = 0, None, None

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

    def _gone(self) -> str:
        return "SELECT load_id FROM past_loads WHERE status = 'superseded'"

    def _file_parts(self, table: Table, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        """Write the months of a table whose parts changed."""
        staged, key, time = self.staging.name(table.name), load_column(table), table.month_column
        months = self.connection.execute(
            f"SELECT DISTINCT strftime({time}, '%Y-%m') FROM {staged} ORDER BY 1"
        ).fetchall()
        for position, (month,) in enumerate(months):
            self.progress(f"{table.name} {month}", 0.1 + 0.4 * position / len(months))
            names = ", ".join(f'"{name}"' for name in table.names)
            source = (
                f"SELECT {names} FROM ({self.filing.base_relation(table.name, [month])}) WHERE {key} NOT IN ({self._gone()}) "
                f"UNION ALL SELECT {names} FROM {staged} WHERE strftime({time}, '%Y-%m') = '{month}'"
            )
            self._replace(table, month, source, files)
            written = files.get((table.name, month))
            if written is None:
                continue
            self._verify(table, written, reports)
            if table.name == "charges":
                self._restate("charges", month, written, reports)

    def _replace(self, table: Table, month: str, source: str, files: dict[tuple[str, str], FactFile]) -> None:
        written = self.filing.write_month(table, month, source)
        files.pop((table.name, month), None)
        if written:
            files[(table.name, month)] = written

    def _verify(self, table: Table, written: FactFile, reports: list[LoadReport]) -> None:
        """Sum what lies in the new file and compare with what was read; raises StoreError on any difference."""
        billed, effective, _currency = money_columns(table)
        key = load_column(table)
        alias = self.filing.attach(written)
        stored = self.connection.execute(
            f"""SELECT {key}, count(*), {f"sum({billed})" if billed else "NULL"}, {f"sum({effective})" if effective else "NULL"}
                FROM {alias}.{table.name} GROUP BY 1"""
        ).fetchall()
        by_load = {load_id: rest for load_id, *rest in stored}
        for report in reports:
            if report.table != table.name or report.status != "stored" or not report.partition:
                continue
            if not report.partition.endswith(written.month):
                continue
            count, billed_sum, effective_sum = by_load.get(report.load_id, (0, None, None))
            expected = (report.rows_in - report.rows_rejected, report.billed_in, report.effective_in)
            if (count, billed_sum, effective_sum) != expected:
                raise StoreError(
                    f"{report.file}: {expected[0]} rows with {expected[1]} billed were read for {report.partition}, but {count} rows "
                    f"with {billed_sum} would be stored; nothing was changed. Please report this as a defect"
                )

    def _restate(self, table: str, month: str, written: FactFile, reports: list[LoadReport]) -> None:
        before = self.filing.base_relation(table, [month], rollup=f"{table}_daily")
        if not before:
            return
        after = f"SELECT * FROM {self.filing.attach(written)}.{table}_daily"
        own = [report for report in reports if report.table == table and report.status == "stored"]
        load_id = max((report.load_id for report in own), default=0)
        reason = "new version" if any(report.superseded for report in own) else "late lines"
        if not own:
            reason = "re-priced"
        record_restatements(self.connection, table, before, after, load_id, reason)

    def _file_merged(self, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        """Write calls, their texts and scores: merged one by one, by id."""
        staged = {table.name for table in self.staging.tables()}
        for name in ("scores", "call_texts"):
            if name in staged:
                self._merge_table(TABLES[name], reports, files)
        if not {"calls", "scores", "prices"} & staged:
            return
        months = self._call_months(staged)
        if not months:
            return
        calls = TABLES["calls"]
        names = ", ".join(f'"{name}"' for name in calls.names)
        self.connection.execute(calls.ddl("merged_calls"))
        self.connection.execute(
            f"INSERT INTO merged_calls SELECT {names} FROM ({self.filing.base_relation('calls', months)})"
        )
        if "prices" in staged:
            self._price(self.connection, "merged_calls")
        if "calls" in staged:
            self.connection.execute(f"INSERT INTO merged_calls SELECT {names} FROM staged_calls")
            self.progress("merging calls", 0.55)
            merge_calls(self.connection, "merged_calls")
        scores = self._all_scores(files)
        if scores:
            apply_scores(self.connection, "merged_calls", scores)
        kept = dict(self.connection.execute("SELECT load_id, count(*) FROM merged_calls GROUP BY 1").fetchall())
        sums = {
            row[0]: row[1:]
            for row in self.connection.execute(
                "SELECT load_id, sum(reported_cost), sum(cost) FROM merged_calls GROUP BY 1"
            ).fetchall()
        }
        for report in reports:
            if report.table == "calls" and report.partition and report.status == "stored":
                read = report.rows_in - report.rows_rejected
                report.rows_kept = kept.get(report.load_id, 0)
                report.rows_duplicate = read - report.rows_kept
                report.billed, report.effective = sums.get(report.load_id, (None, None))
        present = self.connection.execute(
            "SELECT DISTINCT strftime(started_at, '%Y-%m') FROM merged_calls ORDER BY 1"
        ).fetchall()
        total = 0
        for position, (month,) in enumerate(present):
            self.progress(f"calls {month}", 0.6 + 0.35 * position / len(present))
            self._replace(
                calls, month, f"SELECT * FROM merged_calls WHERE strftime(started_at, '%Y-%m') = '{month}'", files
            )
            written = files[("calls", month)]
            total += written.rows
            self._restate("calls", month, written, reports)
        for month in set(months) - {month for (month,) in present}:
            files.pop(("calls", month), None)
        row = self.connection.execute("SELECT count(*) FROM merged_calls").fetchone()
        if row and row[0] != total:
            raise StoreError(f"{row[0]} calls were merged but {total} would be stored; nothing was changed")
        self.connection.execute("DROP TABLE merged_calls")

    def _call_months(self, staged: set[str]) -> list[str]:
        """Months of calls that the load touches: where new calls lie, where the store describes the same calls, or all (prices, scores)."""
        stored = [file.month for file in self.filing.base_files("calls")]
        if {"prices", "scores"} & staged:
            new = [] if "calls" not in staged else self._months("staged_calls", "started_at")
            return sorted({*stored, *new})
        new = self._months("staged_calls", "started_at")
        touched = set(new)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE new_keys AS SELECT DISTINCT {call_key()} AS call_key FROM staged_calls"
        )
        for month in stored:
            if month in touched:
                continue
            row = self.connection.execute(
                f"SELECT count(*) FROM ({self.filing.base_relation('calls', [month])}) WHERE {call_key()} IN (SELECT call_key FROM new_keys)"
            ).fetchone()
            if row and row[0]:
                touched.add(month)
        return sorted(touched)

    def _months(self, table: str, time: str) -> list[str]:
        return [
            row[0]
            for row in self.connection.execute(f"SELECT DISTINCT strftime({time}, '%Y-%m') FROM {table}").fetchall()
        ]

    def _merge_table(self, table: Table, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        staged = self.staging.name(table.name)
        assert table.month_column is not None  # noqa: S101 - merged tables are monthly
        months = self._months(staged, table.month_column)
        names = ", ".join(f'"{name}"' for name in table.names)
        merged = f"merged_{table.name}"
        self.connection.execute(f"CREATE TABLE {merged} AS SELECT {names} FROM {staged}")
        self.connection.execute(
            f"INSERT INTO {merged} SELECT {names} FROM ({self.filing.base_relation(table.name, months)})"
        )
        merge_by_key(self.connection, merged, table.merge_key)
        kept = dict(self.connection.execute(f"SELECT load_id, count(*) FROM {merged} GROUP BY 1").fetchall())
        for report in reports:
            if report.table == table.name and report.partition:
                report.rows_kept = kept.get(report.load_id, 0)
                report.rows_duplicate = report.rows_in - report.rows_rejected - report.rows_kept
        for month in months:
            where = f"strftime({table.month_column}, '%Y-%m') = '{month}'"
            self._replace(table, month, f"SELECT * FROM {merged} WHERE {where}", files)

    def _all_scores(self, files: dict[tuple[str, str], FactFile]) -> str | None:
        """A SELECT over every score that the new snapshot holds; None when there is none."""
        selects = [
            f"SELECT * FROM {self.filing.attach(file)}.scores" for (name, _), file in files.items() if name == "scores"
        ]
        return "(" + " UNION ALL ".join(selects) + ")" if selects else None

    def _write_meta(self, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> bool:
        """Write the small tables; False when the load changed nothing worth a new snapshot."""
        known = {file.part for file in self.staging.files}
        if not known and self.writer.base is not None:
            return False
        for table in (LOADS, REJECTS):
            self.connection.execute(table.ddl(f"new_{table.name}"))
        for report in reports:
            self.connection.execute(
                f"INSERT INTO new_loads VALUES (?, CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP), {', '.join('?' * (len(LOADS.names) - 2))})",
                [report.load_id, report.kind, report.source, report.table, report.partition, report.file, report.checksum,
                 report.status, report.message, report.rows_in, report.rows_kept, report.rows_rejected, report.rows_duplicate,
                 report.billed_in, report.billed, report.effective_in, report.effective, report.currency, report.first,
                 report.last, None],
            )  # fmt: skip
        for file in self.staging.files:
            load_id = max((r for r in reports if r.part == file.part), key=lambda r: r.rows_in).load_id
            rows = [(load_id, file.file, reject.row, reject.column, reject.reason) for reject in file.rejects]
            if file.message:
                rows.append((load_id, file.file, None, None, file.message))
            if rows:
                self.connection.executemany("INSERT INTO new_rejects VALUES (?, ?, ?, ?, ?)", rows)
        sources = {
            "loads": "SELECT * FROM past_loads UNION ALL SELECT * FROM new_loads",
            "rejects": f"{self.filing.base_meta('rejects')} UNION ALL SELECT * FROM new_rejects",
            "restatements": f"{self.filing.base_meta('restatements')} UNION ALL SELECT * FROM new_restatements",
            "prices": "SELECT * FROM all_prices",
            "fx_rates": self._small("fx_rates"),
        }
        files.pop((META, ""), None)
        files[(META, "")] = self.filing.write_meta(sources)
        return True

    def _small(self, table: str) -> str:
        base = (
            f"SELECT * FROM ({self.filing.base_meta(table)}) WHERE load_id IS NULL OR load_id NOT IN ({self._gone()})"
        )
        if table in {item.name for item in self.staging.tables()}:
            names = ", ".join(TABLES[table].names)
            base += f" UNION ALL SELECT {names} FROM {self.staging.name(table)}"
        return base
