"""Filing of what is merged row by row: calls, their texts and scores."""

from __future__ import annotations

from warehouse.call_months import CallMonths, NewCalls
from warehouse.errors import StoreError
from warehouse.filing import Filing
from warehouse.load_report import LoadReport, Progress
from warehouse.merging import TRACE, apply_scores, call_key, merge_by_key, merge_calls, withdraw_scores
from warehouse.pricing import price_staged_calls
from warehouse.restating import restate_month
from warehouse.schema import CALLS, TABLES
from warehouse.staging import Staging
from warehouse.store import FactFile
from warehouse.table import Table


class CallFiling:
    """Writes the months of calls, call texts and scores that a load touches."""

    def __init__(self, staging: Staging, filing: Filing, progress: Progress) -> None:
        self.staging, self.filing, self.progress = staging, filing, progress
        self.connection = staging.connection
        self.new = NewCalls(staging, filing)
        self.scores_that_move = "true"
        """SQL for the scores that are placed anew: all, or those of the traces that new calls belong to where only their months are read."""

    def file(self, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        """Write calls, their texts and scores: merged one by one, by id."""
        staged = {table.name for table in self.staging.tables()}
        for name in ("scores", "call_texts"):
            if name in staged:
                self._merge_table(TABLES[name], reports, files)
        if not {"calls", "scores", "prices"} & staged:
            return
        if not {"scores", "prices"} & staged and not any(name == "scores" for name, _month in files):
            CallMonths(self.new, self.filing, self.progress).file(reports, files)
            return
        if "calls" in staged:
            self._gather_new(reports)
        months = self._call_months(staged, files)
        if not months:
            return
        self._merge(months, staged, files)
        self._count(reports)
        self._write(months, reports, files)
        self.connection.execute("DROP TABLE merged_calls")

    def _gather_new(self, reports: list[LoadReport]) -> None:
        """Put the new calls into the table `staged_calls`: where scores or new prices change stored calls, all have to be looked at together."""
        self.connection.execute(f"CREATE TABLE staged_calls AS {self.new.select()}")
        costs = dict(self.connection.execute("SELECT load_id, sum(cost) FROM staged_calls GROUP BY 1").fetchall())
        for report in reports:
            if report.table == CALLS.name and report.partition:
                report.effective_in = costs.get(report.load_id)

    def _merge(self, months: list[str], staged: set[str], files: dict[tuple[str, str], FactFile]) -> None:
        """Gather stored and new calls of these months in `merged_calls`, one row per call."""
        names = ", ".join(f'"{name}"' for name in CALLS.names)
        self.progress("merging calls", 0.55)
        if "calls" in staged and not self.filing.base_files("calls", months):
            self.connection.execute("ALTER TABLE staged_calls RENAME TO merged_calls")
        else:
            self.connection.execute(CALLS.ddl("merged_calls"))
            stored = self.filing.base_relation("calls", months)
            self.connection.execute(f"INSERT INTO merged_calls SELECT {names} FROM ({stored})")
            told = self._scores_of(self.filing.base_files("scores"))
            if told:
                withdraw_scores(self.connection, "merged_calls", told)
            if "prices" in staged:
                price_staged_calls(self.connection, "merged_calls", "all_prices", self.filing.configuration)
            if "calls" in staged:
                self.connection.execute(f"INSERT INTO merged_calls SELECT {names} FROM staged_calls")
        if "calls" in staged:
            merge_calls(self.connection, "merged_calls")
        scores = self._all_scores(files)
        if scores:
            apply_scores(self.connection, "merged_calls", scores)

    def _count(self, reports: list[LoadReport]) -> None:
        """Tell each report how many of its calls were kept and what they cost."""
        select = "SELECT load_id, count(*), sum(reported_cost), sum(cost) FROM merged_calls GROUP BY 1"
        kept = {row[0]: row[1:] for row in self.connection.execute(select).fetchall()}
        for report in reports:
            if report.table == "calls" and report.partition and report.status == "stored":
                read = report.rows_in - report.rows_rejected - report.rows_ignored
                report.rows_kept, report.billed, report.effective = kept.get(report.load_id, (0, None, None))
                report.rows_duplicate = read - report.rows_kept

    def _write(self, months: list[str], reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        """Write the months and check count and cost of what was written against what was merged."""
        present = self._months("merged_calls", "started_at")
        told = {}
        for position, month in enumerate(present):
            self.progress(f"calls {month}", 0.6 + 0.35 * position / len(present))
            where = f"strftime(started_at, '%Y-%m') = '{month}'"
            self.filing.replace(CALLS, month, f"SELECT * FROM merged_calls WHERE {where}", files)
            written = files[("calls", month)]
            select = "SELECT count(*), sum(cost), sum(coalesce(output_tokens, 0)) FROM "
            told[month] = (
                self.connection.execute(f"{select} merged_calls WHERE {where}").fetchone(),
                self.connection.execute(f"{select} {self.filing.attach(written)}.calls").fetchone(),
            )
            restate_month(self.filing, "calls", month, written, reports)
        for month, (merged, stored) in told.items():
            if merged != stored:
                raise StoreError(f"calls of {month}: {merged} merged but {stored} would be stored; nothing was changed")
        for month in set(months) - set(present):
            files.pop(("calls", month), None)
            restate_month(self.filing, "calls", month, None, reports)

    def _call_months(self, staged: set[str], files: dict[tuple[str, str], FactFile]) -> list[str]:
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
        same_call = f"{call_key()} IN (SELECT call_key FROM new_keys)"
        if any(name == "scores" for name, _month in files):
            # A trace may cross midnight of a month: its score counts for its first call only, so all months of new calls' traces are looked at.
            self.connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE new_traces AS
                    SELECT DISTINCT {TRACE} AS trace_id, labels['observation_id'] AS observation_id FROM staged_calls"""
            )
            self.scores_that_move = "trace_id IN (SELECT trace_id FROM new_traces) OR observation_id IN (SELECT observation_id FROM new_traces)"
            same_call += f" OR {TRACE} IN (SELECT trace_id FROM new_traces)"
        for month in stored:
            if month in touched:
                continue
            row = self.connection.execute(
                f"SELECT count(*) FROM ({self.filing.base_relation('calls', [month])}) WHERE {same_call}"
            ).fetchone()
            if row and row[0]:
                touched.add(month)
        return sorted(touched)

    def _months(self, table: str, time: str) -> list[str]:
        return [
            row[0]
            for row in self.connection.execute(
                f"SELECT DISTINCT strftime({time}, '%Y-%m') FROM {table} ORDER BY 1"
            ).fetchall()
        ]

    def _merge_table(self, table: Table, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        staged = self.staging.name(table.name)
        assert table.month_column is not None  # noqa: S101 - merged tables are monthly
        months = self._months(staged, table.month_column)
        # What was told under another month before (a score that was corrected later) is the same row, not a second one.
        key = ", ".join(table.merge_key)
        months += [
            file.month
            for file in self.filing.base_files(table.name)
            if file.month not in months
            and self.connection.execute(
                f"SELECT 1 FROM ({self.filing.base_relation(table.name, [file.month])}) WHERE ({key}) IN (SELECT ({key}) FROM {staged}) LIMIT 1"
            ).fetchone()
        ]
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
                report.rows_duplicate = report.rows_in - report.rows_rejected - report.rows_ignored - report.rows_kept
        for month in months:
            where = f"strftime({table.month_column}, '%Y-%m') = '{month}'"
            self.filing.replace(table, month, f"SELECT * FROM {merged} WHERE {where}", files)

    def _all_scores(self, files: dict[tuple[str, str], FactFile]) -> str | None:
        """A SELECT over the scores of the new snapshot that are placed anew; None when there is none."""
        return self._scores_of([file for (name, _), file in files.items() if name == "scores"])

    def _scores_of(self, files: list[FactFile]) -> str | None:
        selects = [f"SELECT * FROM {self.filing.attach(file)}.scores" for file in files]
        return f"(SELECT * FROM ({' UNION ALL '.join(selects)}) WHERE {self.scores_that_move})" if selects else None
