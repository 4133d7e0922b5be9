"""Files as they arrive: what is inside, whether it is whole, and how to read it with DuckDB.

`expand` finds the files that a person means, `inspect` reads one once and says what it is, `scan` gives the DuckDB expression that reads
its rows. Content decides, never the name. Rows that cannot be read are dropped one by one into `SourceFile.rejects`; the rest is read from
a cleaned copy that remembers every row's number.

`glance` leaves out the search for broken rows, for a connector that finds them while it reads the file (`READS_UNCHECKED`): parsing a file
once for that and once more for its rows took a fifth of the time of loading it.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import duckdb

from connectors import byte_stream, csv_records, json_records, otlp_messages
from connectors.byte_stream import Survey
from connectors.csv_records import Dialect
from connectors.extraction import Reject
from connectors.paths import expand, manifests
from connectors.source_file import (
    NULL_WORDS,
    SourceFile,
    Unchecked,
    checksum,
    csv_rows,
    json_objects,
    json_rows,
    path_literal,
    quote_identifier,
    scan,
    sql_text,
)
from warehouse.errors import InputError

__all__ = [
    "NULL_WORDS",
    "SourceFile",
    "checked",
    "checksum",
    "expand",
    "glance",
    "inspect",
    "is_whole",
    "manifests",
    "quote_identifier",
    "scan",
    "sql_text",
]

HEAD_ROWS = 50
_MANY = 1_000_000


def inspect(path: Path, scratch: Path) -> SourceFile:
    """Reads a file once and says what it is. Cleaned or unpacked copies, where needed, are written into the folder `scratch`.

    Raises InputError when the file as a whole cannot be used: missing, empty, truncated, damaged, not CSV, JSON or Parquet, or with two
    columns of the same name.
    """
    return checked(glance(path, scratch))


def checked(file: SourceFile) -> SourceFile:
    """The file with its broken rows found. Raises InputError when no more than that can be said of it."""
    if file.unchecked is None:
        return file
    return (_checked_csv if file.format == "csv" else _checked_json)(file, file.unchecked)


def glance(path: Path, scratch: Path, digest: str | None = None) -> SourceFile:
    """What `inspect` says, but where the beginning of a text file is in order, broken rows may be in the rest (`SourceFile.unchecked`).

    `digest` is the file's checksum where it is known. Raises InputError like `inspect`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file" if not path.is_dir() else "this is a folder, not a file", file=str(path))
    kind = byte_stream.signature(path)
    if kind == "parquet":
        return _inspect_parquet(path, path, digest or checksum(path))
    survey = byte_stream.survey(path, kind, digest)
    if survey.head.startswith(b"PAR1"):
        copy = _copy(scratch, path, survey, "parquet")
        with copy.open("wb") as out:
            out.writelines(byte_stream.chunks(path, kind))
        return _inspect_parquet(path, copy, survey.checksum)
    readable, compression, text = path, kind, survey
    if (survey.has_nul or not survey.is_utf8) and otlp_messages.may_be_binary(survey.head):
        requests = _copy(scratch, path, survey, "requests")
        if otlp_messages.binary_to_lines(byte_stream.chunks(path, kind), requests):
            readable, compression, text = requests, "", byte_stream.survey(requests, "", survey.checksum)
            survey = replace(survey, head=text.head)
    if codec := byte_stream.utf16(survey.head):
        readable, compression = _copy(scratch, path, survey, "txt"), ""
        byte_stream.to_utf8(path, kind, codec, readable)
        text = byte_stream.survey(readable, "", survey.checksum)
    head = text.head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    if not head.strip(" \t\r\n\ufeff"):
        raise InputError("the file is empty; export it again", file=path.name)
    if head.count("\0") + head.count("\ufffd") > len(head) // 10:
        raise InputError(
            "this is not text; give CSV, JSON or Parquet (plain, .gz or .zst; text as UTF-8)", file=path.name
        )
    file = SourceFile(
        path=path,
        readable=readable,
        format="csv",
        columns=(),
        head=(),
        checksum=survey.checksum,
        size=path.stat().st_size,
        compression=compression,
        longest=text.longest_line,
    )
    copy = _copy(scratch, path, survey, "rows")
    if head.lstrip()[0] in "{[":
        return _inspect_json(file, text, head, copy)
    return _inspect_csv(file, text, head, copy)


def _copy(scratch: Path, path: Path, survey: Survey, suffix: str) -> Path:
    scratch.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    return scratch / f"{survey.checksum[:16]}-{name}.{suffix}"


def _inspect_parquet(path: Path, readable: Path, digest: str) -> SourceFile:
    with readable.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 4))
        if size < 12 or stream.read(4) != b"PAR1":
            raise InputError(
                "the Parquet file is truncated: fetch the file again and load it once more", file=path.name
            )
    file = SourceFile(path, readable, "parquet", (), (), digest, path.stat().st_size)
    with _looking().cursor() as connection:
        try:
            described = connection.execute(
                f"DESCRIBE SELECT * FROM read_parquet({path_literal(readable)}, hive_partitioning=false)"
            ).fetchall()
            file = replace(file, columns=tuple(row[0] for row in described))
            _refuse_duplicates(file, [row[0] for row in described])
            head = f"SELECT * EXCLUDE (_row) FROM {scan(file)} LIMIT {HEAD_ROWS}"
            try:
                rows = connection.sql(head).to_arrow_table().to_pylist()
            except (OverflowError, ValueError):
                # A time that Python has no value for (infinity, the year 20000): its row is judged later, here it is only shown.
                rows = connection.sql(f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ({head})").to_arrow_table().to_pylist()
        except duckdb.Error as error:
            raise InputError(
                f"the Parquet file is damaged: fetch it again ({_first_line(error)})", file=path.name
            ) from error
    return replace(file, head=tuple(rows))


@cache
def _looking() -> duckdb.DuckDBPyConnection:
    """A connection that looks at Parquet files, one after the other: opening one for each took half of the time of looking at it."""
    connection = duckdb.connect()
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _inspect_csv(file: SourceFile, survey: Survey, head: str, copy: Path) -> SourceFile:
    lines = [line for line in head.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip(" ")]
    if not survey.whole and len(lines) > 1:
        lines.pop()  # cut in the middle
    dialect = csv_records.sniff(lines)
    header = csv_records.split_line(lines[0], dialect)
    if header is None or "\ufffd" in lines[0] or "\0" in lines[0]:
        raise InputError(
            "the header line cannot be read (an open quote, or not UTF-8); correct its first line", file=file.name
        )
    columns = _unique([name.strip() for name in header], file)
    file = replace(file, columns=columns, dialect=dialect)
    if not (survey.is_utf8 and not survey.has_nul and survey.longest_line <= byte_stream.LONGEST_LINE):
        file = _salvage_csv(file, clean=False, copy=copy)
        return replace(file, head=_head(file))
    unchecked = Unchecked(copy, survey.newlines + (not survey.ends_with_newline) - 1)
    try:
        return replace(file, head=_head(file), unchecked=unchecked)
    except InputError:
        return _checked_csv(file, unchecked)


def _checked_csv(file: SourceFile, unchecked: Unchecked) -> SourceFile:
    file = replace(file, unchecked=None)
    found = _count(file)
    if found is None or (found != unchecked.rows and _may_have_swallowed(file)):
        file = _salvage_csv(file, clean=True, copy=unchecked.copy)
    return replace(file, head=_head(file))


def is_whole(file: SourceFile, rows: int) -> bool:
    """Whether an unchecked file in which DuckDB finds so many rows, and nothing broken, has no other rows."""
    no_other = file.unchecked is None or file.format != "csv" or rows == file.unchecked.rows
    return no_other or not _may_have_swallowed(file)


def _salvage_csv(file: SourceFile, clean: bool, copy: Path) -> SourceFile:
    """Reads record by record. Keeps the original when nothing was wrong with it, else its good records in `copy`."""
    source = byte_stream.lines(file.readable, file.compression)
    for line in source:
        if line.text.strip(" ") or line.fault:
            break  # the header
    records = csv_records.read_records(source, file.dialect, len(file.columns))
    with copy.open("w", encoding="utf-8", newline="") as out:
        kept, longest, rejects = csv_records.write_numbered(_few_bad(records, file), file.dialect, out)
    sized = replace(file, longest=max(file.longest, 4 * longest))
    if clean and not rejects and _count(sized) == kept:
        copy.unlink()
        return sized
    return replace(
        file,
        readable=copy,
        compression="",
        numbered=True,
        longest=4 * longest,
        rejects=tuple(rejects),
        dialect=Dialect(file.dialect.delimiter),
    )


def _few_bad(records: Iterable[csv_records.Record], file: SourceFile) -> Iterator[csv_records.Record]:
    bad = 0
    for record in records:
        bad += record.fault is not None
        if bad > _MANY:
            raise InputError(
                f"more than {_MANY:,} rows are broken, the last: {record.fault}", file=file.name, row=record.row
            )
        yield record


def _inspect_json(file: SourceFile, survey: Survey, head: str, copy: Path) -> SourceFile:
    if head.lstrip()[0] == "[":
        file = replace(file, format="json", layout="array")
    elif json_records.is_one_per_line(head, survey.newlines):
        file = replace(file, format="jsonl", layout="lines")
    else:
        file = replace(file, format="json", layout="documents", longest=survey.size)
    clean = survey.is_utf8 and not survey.has_nul and not survey.head.startswith(codecs.BOM_UTF8)
    clean = clean and (file.format == "json" or survey.longest_line <= byte_stream.LONGEST_LINE)
    if clean and survey.whole and file.layout != "array" and (plain := json_records.plain_objects(head, file.layout)):
        texts, values = plain
        return replace(file, texts=texts, head=values[:HEAD_ROWS], columns=tuple(values[0]))
    if clean and (objects := _first_objects(file, head)):
        return replace(file, head=objects, columns=tuple(objects[0]), unchecked=Unchecked(copy, 0))
    return _checked_json(file, Unchecked(copy, 0)) if clean else _with_objects(_salvage_json(file, copy), copy)


def _checked_json(file: SourceFile, unchecked: Unchecked) -> SourceFile:
    file = replace(file, unchecked=None)
    bad = _bad_records(file)
    file = _salvage_json(file, unchecked.copy) if bad is None else replace(file, rejects=tuple(bad))
    return _with_objects(file, unchecked.copy)


def _first_objects(file: SourceFile, head: str) -> tuple[dict[str, object], ...]:
    """The first objects of a file that begins with this text; none when anything else is among them."""
    texts: Sequence[str | None] = [line for line in head.split("\n")[:-1] if line.strip()][:HEAD_ROWS]
    if file.layout != "lines" or len(texts) < HEAD_ROWS:
        with duckdb.connect() as connection:
            first = f"SELECT CAST(json AS VARCHAR) FROM {json_objects(file)} LIMIT {HEAD_ROWS}"
            try:
                texts = [text for (text,) in connection.execute(first).fetchall()]
            except duckdb.Error:
                return ()
    objects = [json_records.parsed(text) if text else None for text in texts]
    return tuple(value for value in objects if value is not None) if None not in objects else ()


def _with_objects(file: SourceFile, copy: Path) -> SourceFile:
    rows = [json_records.parsed(str(row["json"])) for row in _head(file)]
    if None in rows and not file.numbered:  # DuckDB reads what is nested too deep for everybody else
        file = _salvage_json(file, copy)
        rows = [json_records.parsed(str(row["json"])) for row in _head(file)]
    objects = tuple(row for row in rows if row is not None)
    return replace(file, head=objects, columns=tuple(objects[0]) if objects else ())


def _bad_records(file: SourceFile) -> list[Reject] | None:
    """Records that DuckDB cannot read as objects; None when it cannot read the file as it stands."""
    with duckdb.connect() as connection:
        try:
            bad = "json IS NULL OR json_type(json) <> 'OBJECT'"
            # Without row numbers all cores look; hardly any file has a bad record that needs its number.
            if not connection.execute(f"SELECT 1 FROM {json_objects(file)} WHERE {bad} LIMIT 1").fetchall():
                return []
            rows = connection.execute(
                f"SELECT _row, json IS NULL FROM {json_rows(file)} WHERE {bad} LIMIT {_MANY}"
            ).fetchall()
        except duckdb.Error:
            return None
    if file.layout != "lines" and rows:
        return None
    return [Reject(row, None, json_records.NOT_JSON if missing else json_records.NOT_OBJECT) for row, missing in rows]


def _salvage_json(file: SourceFile, copy: Path) -> SourceFile:
    if file.layout == "lines":
        records = json_records.records_by_line(byte_stream.lines(file.readable, file.compression))
    else:
        records = json_records.records_by_structure(_text(file))
    with copy.open("w", encoding="utf-8", newline="") as out:
        _, longest, rejects = json_records.write_numbered(records, out)
    return replace(
        file, readable=copy, compression="", layout="lines", numbered=True, longest=4 * longest, rejects=tuple(rejects)
    )


def _text(file: SourceFile) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    for chunk in byte_stream.chunks(file.readable, file.compression):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _count(file: SourceFile) -> int | None:
    """How many rows DuckDB finds, None when it refuses the file."""
    with duckdb.connect() as connection:
        try:
            row = connection.execute(f"SELECT count(*) FROM {csv_rows(file)}").fetchone()
        except duckdb.Error:
            return None
    return int(row[0]) if row else None


def _may_have_swallowed(file: SourceFile) -> bool:
    """Whether some value holds so many lines that look like rows that a forgotten quote may have taken them in."""
    width = len(file.columns)
    if width < 3:
        return False
    delimiter = re.escape(file.dialect.delimiter)
    pattern = sql_text(f"(\\n([^\\n]*{delimiter}){{{width - 1}}}[^\\n]*){{{csv_records.SWALLOWED_LINES},}}")
    tests = (
        f"(contains({name}, chr(10)) AND regexp_matches({name}, {pattern}))"
        for name in map(quote_identifier, file.columns)
    )
    with duckdb.connect() as connection:
        try:
            row = connection.execute(f"SELECT true FROM {csv_rows(file)} WHERE {' OR '.join(tests)} LIMIT 1").fetchone()
        except duckdb.Error:
            return True
    return row is not None


def _head(file: SourceFile) -> tuple[dict[str, object], ...]:
    with duckdb.connect() as connection:
        try:
            # Numbering the rows would read far more of a CSV file than its first rows.
            rows = (
                csv_rows(file)
                if file.format == "csv" and not file.numbered
                else f"(SELECT * EXCLUDE (_row) FROM {scan(file)})"
            )
            result = connection.execute(f"SELECT * FROM {rows} LIMIT {HEAD_ROWS}")
            names = [column[0] for column in result.description]
            return tuple(dict(zip(names, row, strict=True)) for row in result.fetchall())
        except duckdb.Error as error:
            raise InputError(f"the file cannot be read: {_first_line(error)}", file=file.name) from error


def _refuse_duplicates(file: SourceFile, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        listed = ", ".join(repr(name) for name in twice)
        raise InputError(
            f"the header names {listed} more than once; rename or remove the second column", file=file.name
        )


def _unique(header: Sequence[str], file: SourceFile) -> tuple[str, ...]:
    """Names that SQL can tell apart: it ignores case, and so `Team` beside `team` becomes `Team_2`; an unnamed column gets a name."""
    _refuse_duplicates(file, header)
    taken, names = {"_row"}, []
    for position, name in enumerate(header, start=1):
        base = name or f"column{position}"
        candidate, number = base, 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{base}_{number}"
        taken.add(candidate.lower())
        names.append(candidate)
    return tuple(names)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
