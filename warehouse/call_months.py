"""Storing new calls month by month: each is read, priced and written by one statement, and only calls that are told twice are looked at again.

Memory does not grow with the number of calls but by 8 bytes for each new one: the hash of its id, which finds those that are told twice. At most
two months are at work at a time: one is summed up, the next is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from warehouse.call_layout import SAME_MODEL, WORTH_IT, Layout, holding, layout_of, sampled
from warehouse.call_pieces import FiledCalls
from warehouse.call_tally import CALL_LOADS, day_of_part
from warehouse.errors import StoreError
from warehouse.filing import Filing
from warehouse.load_report import LoadReport, Progress
from warehouse.merging import merge_calls
from warehouse.models import canonical_model
from warehouse.pricing import priced
from warehouse.restating import restate_month
from warehouse.schema import CALLS
from warehouse.staging import Staging
from warehouse.store import FactFile

_NAMES = ", ".join(f'"{name}"' for name in CALLS.names)
_IS_REPEATED = "hash(call_id) IN (SELECT id FROM repeated_ids)"
_SUMS = "count(*), coalesce(sum(reported_cost), 0), coalesce(sum(coalesce(output_tokens, 0)), 0)"
"""What a month is checked by: calls, reported cost, output tokens."""

IDS_AT_ONCE = 16_000_000
"""So many hashes of ids are kept in memory to find those that occur twice; of more, slices are looked at one after the other."""

Sums = tuple[int, Decimal, int]
_NOTHING: Sums = (0, Decimal(0), 0)


class NewCalls:
    """The calls of one load as SELECTs: priced, with the number of their load."""

    def __init__(self, staging: Staging, filing: Filing) -> None:
        self.staging, self.filing, self.connection = staging, filing, staging.connection
        self._sampled: dict[str, str] = {}
        """What the first calls that were looked at have alike."""

    def ids(self) -> str:
        """SELECT of the hash `id` of every new call's id."""
        pieces = self.staging.call_pieces()
        return " UNION ALL ".join(
            f"SELECT hash(call_id) AS id FROM ({piece.good(sorted(piece.parts))})" for piece in pieces
        )

    def select(self, month: str | None = None, where: str = "true") -> str:
        """SELECT of the new calls, or those of a month: in the order of their days, where every file tells of one day, else sorted by time.

        `where` is a condition over their own columns.
        """
        tally = self.staging.tally
        rows = self._rows(month, where)
        if not rows:
            return f"SELECT {_NAMES} FROM ({self.filing.base_relation(CALLS.name, [])})"
        costs = priced(
            self.connection,
            f"({rows})",
            "all_prices",
            self.filing.configuration,
            to_price=tally.to_price(),
            most_tokens=tally.most_tokens(),
        )
        names = ", ".join("l.load_id" if name == "load_id" else f'c."{name}"' for name in CALLS.names)
        order = "" if all(one_day for _part, _whole, one_day in tally.parts_of(month)) else " ORDER BY started_at"
        source = "" if tally.one_source else " AND c.source = l.source"
        return f"""SELECT {names} FROM ({costs}) AS c JOIN {CALL_LOADS} AS l
                   ON {day_of_part("c._part", "CAST(c.started_at AS DATE)")} = l.place{source}{order}"""

    def _rows(self, month: str | None, where: str) -> str:
        """SELECT of the new calls as they were read, not priced yet (see `select`); "" where there is none."""
        parts = self.staging.tally.parts_of(month)
        place = {part: position for position, (part, _whole, _one_day) in enumerate(parts)}
        split = {part for part, whole, _one_day in parts if not whole}
        found = []
        for piece in self.staging.call_pieces():
            own = sorted(piece.parts & place.keys(), key=place.__getitem__)
            if not own:
                continue
            # A table gives all of its parts, those of other months too.
            also = split if isinstance(piece, FiledCalls) else split | (piece.parts - place.keys())
            within = where if month is None or not also & piece.parts else f"{where} AND {_lies_in(month)}"
            found.append((place[own[0]], f"SELECT * FROM ({piece.good(own)}) WHERE {within}"))
        return " UNION ALL ".join(select for _place, select in sorted(found))

    def in_common(self, month: str, wanted: Mapping[str, str] | None = None) -> dict[str, str]:
        """Which of these values (None: of those that the first calls have alike) all new calls of a month have in common."""
        rows = self._rows(month, "true")
        if not rows:
            return dict(wanted or {})
        same = all(raw and canonical_model(owner, raw)[1] == raw for owner, raw, _ in self.staging.tally.to_price())
        if wanted is None:
            self._sampled = self._sampled or sampled(self.connection, rows) | (SAME_MODEL if same else {})
            wanted = self._sampled
        # The canonical name is found out later, and is that of `model_raw` here.
        named = f"SELECT * REPLACE (coalesce(model_raw, model) AS model) FROM ({rows})"
        common = holding(self.connection, named, wanted)
        return common if same else {name: value for name, value in common.items() if name not in SAME_MODEL}


class CallMonths:
    """Writes the months that new calls touch."""

    def __init__(self, new: NewCalls, filing: Filing, progress: Progress) -> None:
        self.new, self.filing, self.progress = new, filing, progress
        self.connection, self.tally = new.connection, new.staging.tally
        self.kept: dict[int, tuple[int, Decimal | None, Decimal | None]] = {}
        """Calls, reported cost and cost that were stored, by load."""
        self.repeated_days: set[date] = set()
        """UTC days of calls that are told twice."""

    def file(self, reports: list[LoadReport], files: dict[tuple[str, str], FactFile]) -> None:
        """Write the months, tell each report what became of its calls, and note which past days changed.

        Raises StoreError when what was written does not sum to what was read.
        """
        self.progress("looking for calls told twice", 0.5)
        own = [report for report in reports if report.table == CALLS.name and report.partition]
        told_twice = self._find_repeated()
        before, taken = self._gather_repeated() if told_twice else ({}, {})
        after = self._repeated_costs() if told_twice else {}
        won = self._repeated_sums() if told_twice else {}
        months = sorted({*self.tally.months(), *taken, *won})
        changes = {month: self.tally.sums_of(month)[0] + taken.get(month, _NOTHING)[0] for month in months}
        self._write_all(changes, told_twice, files)
        for month in months:
            expected = _plus(self._stored_sums(month), self.tally.sums_of(month), won.get(month, _NOTHING))
            expected = _plus(expected, taken.get(month, _NOTHING), sign=-1)
            written = files.get((CALLS.name, month))
            self._check(month, expected, written, own)
            restate_month(self.filing, CALLS.name, month, written, reports)
        for report in own:
            if report.status == "stored":
                read = report.rows_in - report.rows_rejected - report.rows_ignored
                report.rows_kept, report.billed, report.effective = self.kept.get(report.load_id, (0, None, None))
                report.rows_duplicate = read - report.rows_kept
                lost = _difference(before.get(report.load_id), after.get(report.load_id))
                report.effective_in = report.effective if lost is None else (report.effective or 0) + lost

    def _find_repeated(self) -> bool:
        """Make `repeated_ids` of the hashes of ids that occur twice, among the new calls or among them and the stored ones, and `stored_twice`
        of the places of the latter."""
        self.connection.execute(f"CREATE TEMP TABLE new_ids AS {self.new.ids()}")
        self.connection.execute("CREATE TEMP TABLE repeated_ids (id UBIGINT)")
        self.connection.execute("CREATE TEMP TABLE stored_twice (month VARCHAR, place BIGINT, id UBIGINT)")
        ((ids,),) = self.connection.execute("SELECT count(*) FROM new_ids").fetchall()
        slices = 1 + ids // IDS_AT_ONCE
        for slice_ in range(slices):
            of_slice = f"id % {slices} = {slice_}"
            self._note_repeated(self.connection.execute(f"SELECT id FROM new_ids WHERE {of_slice}"))
            for file in self.filing.base_files(CALLS.name):
                attached = self.filing.attach(file)
                rows = f"{attached}.{layout_of(self.connection, attached).table}"
                stored = f"SELECT rowid AS place, hash(call_id) AS id FROM {rows}"
                self.connection.execute(
                    f"""INSERT INTO stored_twice SELECT '{file.month}', place, id FROM ({stored}) WHERE {of_slice}
                        AND id IN (SELECT id FROM new_ids WHERE {of_slice})"""
                )
        self.connection.execute("INSERT INTO repeated_ids SELECT id FROM stored_twice")
        self.connection.execute("DROP TABLE new_ids")
        ((found,),) = self.connection.execute("SELECT count(*) FROM repeated_ids").fetchall()
        return bool(found)

    def _note_repeated(self, found: duckdb.DuckDBPyConnection) -> None:
        """Put the numbers that occur twice into `repeated_ids`. Sorting them takes a tenth of the time that counting each takes (0.02 against
        0.2 µs of CPU per call), and no memory but their own."""
        ids = np.asarray(found.fetchnumpy()["id"])
        ids.sort()
        repeated = np.unique(ids[1:][ids[1:] == ids[:-1]])
        if len(repeated):
            self.connection.register("found_twice", pa.table({"id": repeated}))
            self.connection.execute("INSERT INTO repeated_ids SELECT id FROM found_twice")
            self.connection.unregister("found_twice")

    def _gather_repeated(self) -> tuple[dict[int, Decimal | None], dict[str, Sums]]:
        """Make `repeated_calls`, one row per call that is told twice. Answers with the costs by load, and the sums by month, before merging."""
        self.connection.execute(f"CREATE TEMP TABLE repeated_calls AS {self.new.select(where=_IS_REPEATED)}")
        for file in self.filing.base_files(CALLS.name):
            attached = self.filing.attach(file)
            layout = layout_of(self.connection, attached)
            self.connection.execute(
                f"""INSERT INTO repeated_calls SELECT {layout.values} FROM {attached}.{layout.table}
                    WHERE {_is_stored_twice(file.month)}"""
            )
        before = self._repeated_costs(), self._repeated_sums()
        days = "SELECT DISTINCT CAST(started_at AS DATE) FROM repeated_calls"
        self.repeated_days.update(day for (day,) in self.connection.execute(days).fetchall())
        merge_calls(self.connection, "repeated_calls")
        return before

    def _repeated_costs(self) -> dict[int, Decimal | None]:
        return dict(self.connection.execute("SELECT load_id, sum(cost) FROM repeated_calls GROUP BY 1").fetchall())

    def _repeated_sums(self) -> dict[str, Sums]:
        rows = self.connection.execute(
            f"SELECT strftime(started_at, '%Y-%m'), {_SUMS} FROM repeated_calls GROUP BY 1"
        ).fetchall()
        return {month: (calls, reported, output) for month, calls, reported, output in rows}

    def _stored_sums(self, month: str) -> Sums:
        """Of what the base snapshot holds of a month."""
        ((calls, reported, output),) = self.connection.execute(
            f"SELECT {_SUMS} FROM ({self.filing.base_relation(CALLS.name, [month])})"
        ).fetchall()
        return calls, reported, output

    def _write_all(self, changes: dict[str, int], told_twice: bool, files: dict[tuple[str, str], FactFile]) -> None:
        """Write these months, each of so many changes, into `files`: while one is summed up, the next is written already."""
        # A guess of how many calls a file holds must not make them the side of a join that is kept in memory.
        self.connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        try:
            with ThreadPoolExecutor(1) as other_thread:
                written: dict[str, Future[FactFile | None]] = {}
                for position, month in enumerate(changes):
                    self.progress(f"calls {month}", 0.6 + 0.35 * position / len(changes))
                    sum_up = self._write(month, told_twice, changes[month])
                    wait(written.values())  # no more than two months are at work
                    written[month] = other_thread.submit(sum_up)
                for month, file in written.items():
                    files.pop((CALLS.name, month), None)
                    if found := file.result():
                        files[(CALLS.name, month)] = found
        finally:
            self.connection.execute("RESET disabled_optimizers")

    def _write(self, month: str, told_twice: bool, changes: int) -> Callable[[], FactFile | None]:
        """Write a month: stored calls, those told twice left out, the new ones, and each that is told twice once. Answers with what is left to do
        for its file (see `Filing.write_facts`)."""
        new = self.new.select(month, f"NOT {_IS_REPEATED}" if told_twice else "true")
        repeated = f" UNION ALL SELECT {_NAMES} FROM repeated_calls WHERE {_lies_in(month)}" if told_twice else ""
        base = self.filing.base_files(CALLS.name, [month])
        before = layout_of(self.connection, self.filing.attach(base[0])) if base else None
        common = self._in_common(month, told_twice, before)
        if base and before == Layout(common) and self.filing.may_amend(base[0], changes):
            written = self.filing.amend_month(
                CALLS, base[0], self._days(month), leave=_is_stored_twice(month), join=f"({new}){repeated}"
            )
            return lambda: written
        stored = f"SELECT {_NAMES} FROM ({self.filing.base_relation(CALLS.name, [month])})"
        stored += f" WHERE NOT {_IS_REPEATED}" if told_twice else ""
        select = f"{stored} UNION ALL ({new}){repeated}"
        return self.filing.write_facts(CALLS, month, select, in_order=True, layout=Layout(common))

    def _in_common(self, month: str, told_twice: bool, before: Layout | None) -> dict[str, str]:
        """What all calls of a month will have in common: at most what those that are stored already have."""
        if before is None and self.tally.sums_of(month)[0] < WORTH_IT:
            return {}
        common = self.new.in_common(month, before.common if before else None)
        if not told_twice:
            return common
        return holding(self.connection, f"SELECT * FROM repeated_calls WHERE {_lies_in(month)}", common)

    def _days(self, month: str) -> set[date]:
        """Days, in the reporting time zone, of which calls of a month leave or join, and perhaps their neighbours."""
        utc = self.tally.days_of(month) | {day for day in self.repeated_days if f"{day:%Y-%m}" == month}
        if self.filing.configuration.reporting_time_zone == "UTC":
            return utc
        return {day + timedelta(days=shift) for day in utc for shift in (-1, 0, 1)}

    def _check(self, month: str, expected: Sums, written: FactFile | None, reports: Sequence[LoadReport]) -> None:
        """Sum what lies in the new file, compare, and note what each load has there."""
        stored = _NOTHING
        if written:
            rows = self.connection.execute(
                f"""SELECT load_id, count(*), sum(reported_cost), sum(cost), sum(coalesce(output_tokens, 0))
                    FROM {self.filing.attach(written)}.{CALLS.name} GROUP BY 1"""
            ).fetchall()
            new = {report.load_id for report in reports}
            for load_id, calls, reported, cost, output in rows:
                stored = _plus(stored, (calls, reported or Decimal(0), output))
                if load_id in new:
                    known = self.kept.get(load_id, (0, None, None))
                    self.kept[load_id] = (known[0] + calls, _sum(known[1], reported), _sum(known[2], cost))
        if stored != expected:
            raise StoreError(
                f"calls of {month}: {expected} (calls, reported cost, output tokens) were read but {stored} would be stored; nothing was changed"
            )


def _is_stored_twice(month: str) -> str:
    """SQL: a row of the stored month is told again. Places of rows, not ids: only where they lie is read."""
    return f"rowid IN (SELECT place FROM stored_twice WHERE month = '{month}')"


def _lies_in(month: str) -> str:
    """SQL: a call started in this month."""
    return f"(started_at >= TIMESTAMP '{month}-01' AND started_at < TIMESTAMP '{month}-01' + INTERVAL 1 MONTH)"


def _plus(*sums: Sums, sign: int = 1) -> Sums:
    """The first sums and, `sign` times, all others."""
    (calls, reported, output), *others = sums
    for other in others:
        calls, reported, output = calls + sign * other[0], reported + sign * other[1], output + sign * other[2]
    return calls, reported, output


def _sum(left: Any, right: Any) -> Any:
    """Sum of two amounts, either of which may not be known."""
    return right if left is None else left if right is None else left + right


def _difference(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    return None if before is None else before - (after or 0)
