"""Loading: from extractions to a new snapshot, all or nothing.

    with Loading(store, configuration) as loading:
        for extraction in extractions:
            loading.add(extraction)
        reports = loading.commit()

A load builds new fact files beside the old ones and swaps one pointer at the end: killed at any moment, the store holds exactly the old or
the new data. Before the swap, what was stored is summed again and compared with what was read, per currency.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType

import duckdb
import pyarrow as pa

from warehouse.audit import note_load
from warehouse.call_filing import CallFiling
from warehouse.categories import category_expression
from warehouse.configuration import Configuration
from warehouse.deliveries import Deliveries, known_deliveries
from warehouse.errors import InputError, StoreError
from warehouse.filing import META, Filing, load_column, money_columns
from warehouse.intake import Extraction
from warehouse.load_report import LoadReport, Progress
from warehouse.parts import PIECES, partition_expression
from warehouse.price_books import shipped_prices
from warehouse.restating import create_new_restatements, restate_month
from warehouse.rollups import ROLLUPS, rollup_key
from warehouse.schema import CALLS, LOADS, REJECTS, TABLES, Table
from warehouse.settling import GONE, Settling
from warehouse.staging import StagedFile, Staging
from warehouse.store import FactFile, Store, Writer

_NOT_YET = 2**62
"""Stands for the number of the load that a new price comes from until it has one: later than any."""


class UnreadableFilesError(InputError):
    """Parquet files turned out not to be readable when their rows were to be stored; nothing was changed. `files`: why, by name."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: cannot be read: {reason}" for name, reason in files.items()))
        self.files = files


class Loading:
    """One load: takes extractions, decides what they replace, writes and publishes. Holds the store's write lock.

    `on_overlap` is what to do with a file that covers a period already loaded: "ask" compares lines (see warehouse.parts), "replace" lets it
    replace the whole period, "add" counts it in addition, "pieces" lets it replace its own earlier version only. A person's own data never
    lie beside the demo company's: the first load of real files (`demo` false) into a demo store starts from nothing, `replaces_demo` then
    says so.
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
        self._shipped: Future[pa.Table] | None = None

    def __enter__(self) -> Loading:
        self.writer: Writer = self._stack.enter_context(self.store.writing())
        self.staging = Staging(self.store.scratch)
        self._stack.callback(self.staging.close)
        self.connection = self.staging.connection
        base = self.writer.base
        if self.demo and base is not None and not base.demo and base.has_facts:
            self._stack.close()
            raise StoreError(
                f"{self.store.path} holds data of your own: fill another store with the demo company (--store PATH)"
            )
        self.replaces_demo = base is not None and base.demo and not self.demo
        self.base = None if self.replaces_demo else base
        self.filing = Filing(self.connection, self.store, self.writer, self.base, self.configuration)
        self.connection.execute(f"CREATE TEMP TABLE past_loads AS {self.filing.base_meta('loads')}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def make_ready(self) -> None:
        """Begin what `commit` needs of prices, whatever the files hold: it is worked out while DuckDB reads them."""
        if self._shipped is None:
            worker = self._stack.enter_context(ThreadPoolExecutor(1))
            self._shipped = worker.submit(shipped_prices, self.configuration)

    def known(self, checksum: str) -> str | None:
        """Why a file with these bytes need not be read again; None when it must be."""
        # Pieces without any row have the same bytes, but each says of its own period that nothing is left of it.
        empty = "AND partition IS NOT NULL" if self.on_overlap == PIECES else ""
        rows = self.connection.execute(
            f"""SELECT bool_or(status = 'stored'), bool_or(status = 'superseded'), arg_max(status, load_id) = 'refused' AND partition IS NOT NULL
                FROM past_loads WHERE checksum = ? {empty} GROUP BY table_name, partition""",
            [checksum],
        ).fetchall()
        stored = any(row[0] for row in rows)
        replaced = any(row[1] and not row[0] for row in rows)
        refused = any(row[2] for row in rows)
        if not (stored or replaced) or refused or (replaced and self.on_overlap in ("replace", PIECES)):
            return None
        return "already loaded" if stored else "already loaded, and since replaced by a newer version of its period"

    @property
    def has_files(self) -> bool:
        """Whether anything was added or refused."""
        return bool(self.staging.files)

    def add(self, extraction: Extraction) -> StagedFile:
        """Stage one extraction. Raises InputError when its file cannot be read."""
        return self.staging.add(extraction)

    def read_waiting(self) -> list[tuple[StagedFile, InputError]]:
        """Look at the Parquet files that were added; answers with those that cannot be read (see `Staging.read_waiting`)."""
        return self.staging.read_waiting()

    def refuse(self, file: str, kind: str, checksum: str, reason: str) -> None:
        """Record a file that cannot be used, with the reason."""
        self.staging.refuse(file, kind, checksum, reason)

    def commit(self) -> list[LoadReport]:
        """Store everything that was added and publish it as a new snapshot.

        Returns one report per file and partition. Raises UnreadableFilesError when a file that was added cannot be read to its end,
        StoreError when what was stored does not sum to what was read; the store is then unchanged.
        """
        for staged, error in self.read_waiting():
            staged.message = str(error)
        self.progress("pricing", 0.05)
        self._stage_prices()
        self.staging.complete(category_expression(self.configuration.category_rules))
        reports = self._assign_loads()
        self._number_prices()
        create_new_restatements(self.connection)
        files = {(file.table, file.month): file for file in (self.base.files if self.base else ())}
        settling = Settling(self.staging, self.filing, self.on_overlap, known_deliveries(self.store.path))
        for table in self.staging.tables():
            if table.merge_key or not table.month_column:
                continue
            own = [report for report in reports if report.table == table.name]
            settling.settle(table, own)
            self._file_parts(table, reports, files, settling.leave_departed(table, own))
        for table in self.staging.tables():
            # Prices and exchange rates are kept by key, the latest told counts: only a whole replacement takes rows away.
            if not table.merge_key and not table.month_column and self.on_overlap == "replace":
                settling.settle(table, [report for report in reports if report.table == table.name])
        self._file_calls(reports, files)
        self._recut_rollups(files)
        self.progress("recording", 0.95)
        if self.replaces_demo and not any(report.rows_kept for report in reports):
            return reports
        self._write_meta(reports, files)
        snapshot = self.writer.publish(list(files.values()), rollup_key(self.configuration), self.demo)
        note_load(self.store.path, snapshot.snapshot_id, reports)
        Deliveries(self.store.path).note(reports)
        self.progress("published", 1.0)
        return reports

    def _file_calls(self, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        try:
            CallFiling(self.staging, self.filing, self.progress).file(reports, files)
        except duckdb.Error as error:
            if unreadable := self.staging.unreadable_files():
                raise UnreadableFilesError(unreadable) from error
            raise

    def _recut_rollups(self, files: dict[tuple[str, str], FactFile]) -> None:
        """Rewrite the months that this load did not touch when days, tags or categories are cut differently now."""
        base = self.base
        if base is None or base.rollup_key == rollup_key(self.configuration):
            return
        for file in base.files:
            if file.table in ROLLUPS and files.get((file.table, file.month)) == file:
                self.filing.replace(
                    TABLES[file.table], file.month, self.filing.base_relation(file.table, [file.month]), files
                )

    def _stage_prices(self) -> None:
        """Put every price that may be used into the table `all_prices`: shipped books and loaded ones, old and new."""
        names = ", ".join(TABLES["prices"].names)
        if "prices" in {table.name for table in self.staging.tables()}:
            self.staging.gather("prices")
        shipped = self._shipped.result() if self._shipped else shipped_prices(self.configuration)
        self.connection.register("shipped_arrow", shipped)
        self.connection.execute(TABLES["prices"].ddl("all_prices"))
        self.connection.execute("INSERT INTO all_prices BY NAME SELECT *, NULL::BIGINT AS load_id FROM shipped_arrow")
        self.connection.unregister("shipped_arrow")
        staged = [table.name for table in self.staging.tables()]
        own = ", ".join(f"{_NOT_YET} AS load_id" if name == "load_id" else name for name in TABLES["prices"].names)
        new = f" UNION ALL SELECT {own} FROM staged_prices" if "prices" in staged else ""
        self.connection.execute(
            f"""INSERT INTO all_prices SELECT {names} FROM (
                    SELECT {names} FROM ({self.filing.base_meta("prices")}) WHERE load_id IS NOT NULL{new})
                QUALIFY row_number() OVER (PARTITION BY {", ".join(names.split(", ")[:6])}, valid_from ORDER BY load_id DESC) = 1"""
        )

    def _number_prices(self) -> None:
        """Give the prices of this load the numbers of their loads: what has none counts as shipped, and is not kept for the next load."""
        if "prices" not in {table.name for table in self.staging.tables()}:
            return
        key = " AND ".join(f"p.{name} = s.{name}" for name in TABLES["prices"].identity)
        self.connection.execute(
            f"UPDATE all_prices AS p SET load_id = s.load_id FROM staged_prices AS s WHERE p.load_id = {_NOT_YET} AND {key}"
        )

    def _assign_loads(self) -> list[LoadReport]:
        """One load id per file and partition; rows get theirs."""
        row = self.connection.execute("SELECT coalesce(max(load_id), 0) FROM past_loads").fetchone()
        next_id = (row[0] if row else 0) + 1
        reports: list[LoadReport] = []
        by_part = {file.part: file for file in self.staging.files}
        for table in self.staging.tables():
            if table is CALLS:
                calls = self._assign_call_loads(next_id)
                reports += calls
                next_id += len(calls)
                continue
            staged, partition = self.staging.name(table.name), partition_expression(table)
            billed, effective, currency = money_columns(table)
            rows = "count(DISTINCT _row) + count(*) - count(_row)" if table.name == "charges" else "count(*)"
            time = table.month_column or ("valid_from" if table.name == "prices" else "date")
            found = self.connection.execute(
                f"""SELECT _part, {partition} AS partition, {rows}, count(*), {f"sum({billed})" if billed else "NULL"},
                           {f"sum({effective})" if effective else "NULL"}, {f"min({currency})" if currency else "'USD'"},
                           {f"count(DISTINCT {currency})" if currency else "1"}, min({time}), max({time})
                    FROM {staged} GROUP BY 1, 2 ORDER BY 1, 2"""
            ).fetchall()
            for part, name, count, stored, billed_sum, effective_sum, code, codes, first, last in found:
                file = by_part[part]
                report = LoadReport(
                    file.kind, name, file.file, "stored", count, count, billed=billed_sum, effective=effective_sum,
                    currency=code if codes == 1 else None, table=table.name, source=file.source, checksum=file.checksum,
                    delivery=file.delivery, delivered_at=file.delivered_at, load_id=next_id, part=part,
                    billed_in=billed_sum, effective_in=effective_sum,
                    first=first, last=last, rows_derived=stored - count,
                )  # fmt: skip
                reports.append(report)
                next_id += 1
            self.connection.execute(
                "CREATE OR REPLACE TEMP TABLE load_ids (part INTEGER, partition VARCHAR, id BIGINT)"
            )
            mapping = [(r.part, r.partition, r.load_id) for r in reports if r.table == table.name]
            self._insert("load_ids", ("part", "partition", "id"), mapping)
            self.connection.execute(
                f"""UPDATE {staged} SET {load_column(table)} = load_ids.id FROM load_ids
                    WHERE load_ids.part = _part AND load_ids.partition = {partition}"""
            )
        self._account_for_files(reports, next_id)
        return reports

    def _assign_call_loads(self, next_id: int) -> list[LoadReport]:
        """One load id per file, source and day of calls. What they cost is known once they are stored."""
        by_part = {file.part: file for file in self.staging.files}
        reports = []
        days = self.staging.tally.days()
        for load_id, day in enumerate(days, next_id):
            file = by_part[day.part]
            reports.append(LoadReport(
                file.kind, f"{day.source}/{day.day}", file.file, "stored", day.calls, day.calls, billed=day.reported, currency="USD",
                table=CALLS.name, source=file.source, checksum=file.checksum, delivery=file.delivery, delivered_at=file.delivered_at,
                load_id=load_id, part=day.part, billed_in=day.reported, first=day.first, last=day.last,
            ))  # fmt: skip
        self.staging.tally.note_loads(
            (day.part, day.source, day.day, report.load_id) for day, report in zip(days, reports, strict=True)
        )
        return reports

    def _account_for_files(self, reports: list[LoadReport], next_id: int) -> None:
        """Report files without any good row, and add to one report of each file what was rejected or ignored in it."""
        for file in self.staging.files:
            own = [report for report in reports if report.part == file.part]
            if not own:
                bare = file.rejected and not any(report.checksum == file.checksum for report in reports)
                status = "refused" if file.message or bare else "stored"
                message = file.message or (
                    "no row can be used; `percall export rejects` says why of each"
                    if file.rejected
                    else "the file has no rows"
                )
                own = [LoadReport(file.kind, None, file.file, status, message=message, table=file.table, source=file.source,
                                  checksum=file.checksum, load_id=next_id, part=file.part)]  # fmt: skip
                next_id += 1
                reports += own
            largest = max(own, key=lambda report: report.rows_in)
            largest.rows_rejected = file.rejected
            largest.rows_in += file.rejected
            if file.rows_read is not None:
                largest.rows_ignored = max(0, file.rows_read - sum(report.rows_in for report in own))
                largest.rows_in += largest.rows_ignored

    def _file_parts(
        self, table: Table, reports: list[LoadReport], files: dict[tuple[str, str], FactFile], departed: set[str]
    ) -> None:
        """Write the months of a table whose parts changed, and those that parts have `departed` from."""
        staged, key, time = self.staging.name(table.name), load_column(table), table.month_column
        found = self.connection.execute(f"SELECT DISTINCT strftime({time}, '%Y-%m') FROM {staged}").fetchall()
        months = sorted(departed.union(month for (month,) in found))
        for position, month in enumerate(months):
            self.progress(f"{table.name} {month}", 0.1 + 0.4 * position / len(months))
            names = ", ".join(f'"{name}"' for name in table.names)
            source = (
                f"SELECT {names} FROM ({self.filing.base_relation(table.name, [month])}) WHERE {key} NOT IN ({GONE}) "
                f"UNION ALL SELECT {names} FROM {staged} WHERE strftime({time}, '%Y-%m') = '{month}'"
            )
            self.filing.replace(table, month, source, files)
            written = files.get((table.name, month))
            if written is None:
                continue
            self._verify(table, written, reports)
            if table.name == "charges":
                restate_month(self.filing, "charges", month, written, reports)

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
            staged = report.rows_in - report.rows_rejected - report.rows_ignored + report.rows_derived
            expected = (staged, report.billed_in, report.effective_in)
            if (count, billed_sum, effective_sum) != expected:
                raise StoreError(
                    f"{report.file}: {expected[0]} rows with {expected[1]} billed were read for {report.partition}, but {count} rows "
                    f"with {billed_sum} would be stored; nothing was changed. Please report this as a defect"
                )

    def _write_meta(self, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        """Write the small tables."""
        for table in (LOADS, REJECTS):
            self.connection.execute(table.ddl(f"new_{table.name}"))
        for report in reports:
            self.connection.execute(
                f"INSERT INTO new_loads VALUES (?, CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP), {', '.join('?' * (len(LOADS.names) - 2))})",
                [report.load_id, report.kind, report.source, report.table, report.partition, report.file, report.checksum,
                 report.status, report.message, report.rows_in, report.rows_kept, report.rows_rejected, report.rows_duplicate,
                 report.rows_ignored, report.rows_derived,
                 report.billed_in, report.billed, report.effective_in, report.effective, report.currency, report.first,
                 report.last, None],
            )  # fmt: skip
        for file in self.staging.files:
            load_id = max((r for r in reports if r.part == file.part), key=lambda r: r.rows_in).load_id
            rows = [(load_id, file.file, reject.row, reject.column, reject.reason) for reject in file.rejects]
            if file.message:
                rows.append((load_id, file.file, None, None, file.message))
            self._insert("new_rejects", REJECTS.names, rows)
        sources = {
            "loads": "SELECT * FROM past_loads UNION ALL SELECT * FROM new_loads",
            "rejects": f"{self.filing.base_meta('rejects')} UNION ALL SELECT * FROM new_rejects",
            "restatements": f"{self.filing.base_meta('restatements')} UNION ALL SELECT * FROM new_restatements",
            "prices": f"SELECT * FROM all_prices WHERE load_id IS NULL OR load_id NOT IN ({GONE})",
            "fx_rates": self._small("fx_rates"),
        }
        files.pop((META, ""), None)
        files[(META, "")] = self.filing.write_meta(sources)

    def _insert(self, table: str, names: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        """Put rows into a table at once: a statement per row takes milliseconds for each, and a bad file may have a million bad rows."""
        if rows:
            columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
            self.connection.register("new_rows", pa.table(columns))
            self.connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM new_rows")
            self.connection.unregister("new_rows")

    def _small(self, table: str) -> str:
        base = f"SELECT * FROM ({self.filing.base_meta(table)}) WHERE load_id IS NULL OR load_id NOT IN ({GONE})"
        if table in {item.name for item in self.staging.tables()}:
            names = ", ".join(TABLES[table].names)
            base += f" UNION ALL SELECT {names} FROM {self.staging.name(table)}"
        key = ", ".join(TABLES[table].identity)
        return f"SELECT * FROM ({base}) QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY load_id DESC NULLS LAST) = 1"
