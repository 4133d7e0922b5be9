"""Loading files: from paths that a person gave to rows in the store, and what each file would do before it does it.

One bad file never keeps the others out: it is recorded with its reason, the rest is loaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from connectors.aws_manifest import select_current
from connectors.detection import connector_for, detect_kind
from connectors.extraction import Extraction
from connectors.file_reading import FileReading, raise_of_the_machine, reason_of, said_kind, shown_name
from connectors.files import SourceFile, checksum, expand, inspect
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.filing import money_columns
from warehouse.load_report import LoadReport
from warehouse.loading import Loading, Progress, UnreadableFilesError
from warehouse.parts import partition_expression
from warehouse.schema import TABLES
from warehouse.store import Store

NOTE = "note"
"""Status of a report that is no file's fate but a sentence to be read (`message`)."""


@dataclass(frozen=True)
class Offered:
    """A file that is to be loaded: its kind (None: found from its content) and the delivery that it is part of (None: of none), made at
    `delivered_at` (UTC; None: not known).

    `problem`: why it is not to be read at all; it is then recorded as refused.
    """

    path: Path
    kind: str | None = None
    delivery: str | None = None
    delivered_at: datetime | None = None
    problem: str | None = None


class _BrokenDelivery(Exception):  # noqa: N818 - found while loading, and mended by leaving the delivery out
    """A file of a delivery cannot be read: for each such delivery, the name of the file."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__()
        self.files: dict[str | None, str] = dict(files.items())


def load_paths(
    store: Store,
    configuration: Configuration,
    paths: Iterable[str | Path],
    kind: str | None = None,
    on_overlap: str = "ask",
    progress: Progress | None = None,
) -> list[LoadReport]:
    """Load files, folders and globs; the kind of each file is found from its content unless given.

    Returns a report per file and partition (see `warehouse.load_report`). Files that cannot be used, and names under which there is
    none, are reported with status "refused"; what else a person should read has status `NOTE`. Raises InputError when no name leads
    to a file or the kind is unknown, StoreError when the store cannot be written.
    """
    if kind is not None:
        connector_for(kind)
    found, missing = _find(paths)
    chosen, left_out = select_current(found)
    offered = [Offered(path, kind, delivery, at) for path, delivery, at in chosen]
    reports = load_files(store, configuration, offered, on_overlap, progress)
    return [*reports, *missing, *(LoadReport("", None, note, NOTE, message=note) for note in left_out)]


def load_files(
    store: Store,
    configuration: Configuration,
    files: Sequence[Offered],
    on_overlap: str = "ask",
    progress: Progress | None = None,
) -> list[LoadReport]:
    """Load exactly these files as one snapshot, whatever manifests lie beside them.

    A delivery is taken whole or not at all: when one of its files cannot be read all of them are refused, and the period keeps what it
    had. Reports, notes and StoreError are those of `load_paths`.
    """
    try:
        return _load(store, configuration, files, on_overlap, progress)
    except UnreadableFilesError as unreadable:
        reasons = unreadable.files
        left = [
            replace(file, problem=file.problem or f"{file.path.name}: cannot be read: {reasons[file.path.name]}")
            if file.path.name in reasons
            else file
            for file in files
        ]
        return load_files(store, configuration, left, on_overlap, progress)
    except _BrokenDelivery as broken:
        left = [
            file
            if file.delivery not in broken.files or file.path.name == broken.files[file.delivery]
            else replace(
                file,
                problem=f"{file.path.name}: not loaded, because {broken.files[file.delivery]} of the same delivery cannot be read; "
                "its period keeps what it had",
            )
            for file in files
        ]
    return _load(store, configuration, left, on_overlap, progress)


def _load(
    store: Store,
    configuration: Configuration,
    files: Sequence[Offered],
    on_overlap: str,
    progress: Progress | None,
) -> list[LoadReport]:
    report = progress or (lambda _message, _share: None)
    unchanged: list[LoadReport] = []
    notes: list[str] = []
    with Loading(store, configuration, on_overlap=on_overlap, progress=lambda m, s: report(m, 0.5 + s / 2)) as loading:
        readable: list[tuple[Offered, str]] = []
        for file in files:
            name = file.path.name
            try:
                if file.problem:
                    raise InputError(file.problem)
                readable.append((file, checksum(_nameable(file.path))))
            except (InputError, OSError) as error:
                loading.refuse(shown_name(name), file.kind or "unknown", "", reason_of(error, name))
        reading = FileReading(loading, configuration)
        skipped = _known(loading, [(file.path, file.delivery, digest) for file, digest in readable], on_overlap)
        for position, (file, digest) in enumerate(readable):
            path = file.path
            report(f"reading {path.name}", 0.5 * position / max(1, len(readable)))
            refused = any(staged.checksum == digest and staged.message for staged in loading.staging.files)
            if (reason := skipped.get(path)) and not refused:
                unchanged.append(
                    LoadReport(file.kind or "", None, path.name, "unchanged", message=reason, checksum=digest)
                )
                continue
            notes += reading.stage(file, digest)
        notes += reading.finish()
        for staged, unread in loading.read_waiting():
            raise_of_the_machine(unread.__cause__)
            staged.message = str(unread)
        _refuse_broken_deliveries(files, {staged.file for staged in loading.staging.files if staged.message})
        reports = loading.commit() if loading.has_files else []
        if loading.replaces_demo and any(report.rows_kept for report in reports):
            notes.append("The demo company made room for your data.")
    return [*reports, *unchanged, *(LoadReport("", None, note, NOTE, message=note) for note in notes)]


def _refuse_broken_deliveries(files: Sequence[Offered], refused: set[str]) -> None:
    """Raises _BrokenDelivery when a delivery has files that cannot be read beside files that would be loaded."""
    bad = {
        file.delivery: shown_name(file.path.name)
        for file in files
        if file.delivery and shown_name(file.path.name) in refused
    }
    whole = {file.delivery for file in files if shown_name(file.path.name) not in refused and file.problem is None}
    broken = {delivery: name for delivery, name in bad.items() if delivery in whole}
    if broken:
        raise _BrokenDelivery(broken)


def _known(loading: Loading, files: Sequence[tuple[Path, str | None, str]], on_overlap: str) -> dict[Path, str]:
    """Files that need not be read, with the reason: their bytes are loaded already, or are to be added twice by one command.

    Files that together replace a period (those of one delivery, or all under "replace") are left out only together: a part that did not
    change would else be replaced by the others and be lost.
    """
    reasons: dict[Path, str] = {}
    groups: dict[str | None, list[tuple[Path, str | None]]] = {}
    first: dict[str, Path] = {}
    for path, delivery, digest in files:
        twin = first.setdefault(digest, path)
        if twin != path and delivery is None and on_overlap == "add":
            reasons[path] = f"the same bytes as {twin.name}, loaded with it"
            continue
        groups.setdefault(delivery, []).append((path, loading.known(digest)))
    for delivery, group in groups.items():
        together = delivery is not None or on_overlap == "replace"
        if together and len({reason for _path, reason in group}) > 1:
            continue
        reasons.update({path: reason for path, reason in group if reason})
    return reasons


def _find(paths: Iterable[str | Path]) -> tuple[list[Path], list[LoadReport]]:
    """The files that these names lead to, and a refusal for every name that leads to none. Raises InputError when all do."""
    found: dict[Path, None] = {}
    missing: list[LoadReport] = []
    for argument in paths:
        try:
            found.update(dict.fromkeys(expand([argument])))
        except (InputError, OSError) as error:
            missing.append(LoadReport("", None, str(argument), "refused", message=reason_of(error, str(argument))))
    if not found:
        raise InputError("; ".join(report.message or "" for report in missing) or "no files were named")
    return list(found), missing


def _nameable(path: Path) -> Path:
    """The path, which DuckDB reads by its name in UTF-8. Raises InputError for another name."""
    if shown_name(str(path)) != str(path):
        raise InputError("the name of the file or of its folder is not UTF-8; rename it", file=shown_name(path.name))
    return path


@dataclass(frozen=True)
class FilePreview:
    """What a file is and would do, without storing anything."""

    name: str
    kind: str | None
    problem: str | None
    columns: tuple[str, ...] = ()
    head: tuple[dict[str, object], ...] = ()
    partitions: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[tuple[int | None, str | None, str]] = field(default_factory=list)
    rows_kept: int = 0
    rows_rejected: int = 0
    warnings: tuple[str, ...] = ()


def preview(paths: Sequence[Path], configuration: Configuration, kind: str | None = None) -> list[FilePreview]:
    """Read files as a load would and say what they hold: kind, columns, first rows, rows good and rejected, sums per partition."""
    with tempfile.TemporaryDirectory(prefix="percall-preview-") as folder:
        return [_preview(Path(path), Path(folder), configuration, kind) for path in paths]


def _preview(path: Path, scratch: Path, configuration: Configuration, kind: str | None) -> FilePreview:
    file: SourceFile | None = None
    found = kind
    try:
        file = inspect(path, scratch)
        found = said_kind(kind, file) if kind else detect_kind(file)
        return _read(file, found, configuration)
    except (InputError, duckdb.Error) as error:
        columns, head = (file.columns, file.head) if file else ((), ())
        return FilePreview(path.name, found, str(error), columns, head)


def _query(connection: duckdb.DuckDBPyConnection, extraction: Extraction) -> str:
    """The extraction's query: row by row where that is enough."""
    if extraction.row_wise is None:
        return extraction.query
    query = extraction.row_wise.of_its_file()
    lacking = f"SELECT coalesce(bool_or({extraction.row_wise.unless}), false) FROM ({query})"
    ((is_lacking,),) = connection.execute(lacking).fetchall()
    return extraction.query if is_lacking else query


def _read(file: SourceFile, kind: str, configuration: Configuration) -> FilePreview:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    partitions: list[dict[str, Any]] = []
    rejects: list[tuple[int | None, str | None, str]] = []
    kept = rejected = 0
    warnings: list[str] = []
    for extraction in connector_for(kind).extract(connection, file, configuration):
        table = TABLES[extraction.table]
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE previewed AS SELECT * FROM ({_query(connection, extraction)})"
        )
        present = {row[0] for row in connection.execute("DESCRIBE previewed").fetchall()}
        for column in table.columns:
            if column.name not in present:
                connection.execute(f'ALTER TABLE previewed ADD COLUMN "{column.name}" {column.type}')
        good = "_reason IS NULL" if "_reason" in present else "true"
        billed, effective, currency = money_columns(table)
        rows = connection.execute(
            f"""SELECT {partition_expression(table)}, count(*), {f"sum({billed})" if billed else "NULL"},
                       {f"sum({effective})" if effective else "NULL"}, {f"min({currency})" if currency else "NULL"}
                FROM previewed WHERE {good} GROUP BY 1 ORDER BY 1"""
        ).fetchall()
        names = ("partition", "rows", "billed", "effective", "currency")
        partitions += [{"table": table.name, **dict(zip(names, row, strict=True))} for row in rows]
        kept += sum(row[1] for row in rows)
        if "_reason" in present:
            bad = connection.execute(
                "SELECT _row, _column, _reason FROM previewed WHERE _reason IS NOT NULL ORDER BY _row"
            ).fetchall()
            rejected += len(bad)
            rejects += bad[:100]
        rejected += len(extraction.rejects)
        rejects += [(reject.row, reject.column, reject.reason) for reject in extraction.rejects][:100]
        warnings += extraction.warnings
    connection.close()
    return FilePreview(
        file.name, kind, None, file.columns, file.head, partitions, rejects[:100], kept, rejected, tuple(warnings)
    )
