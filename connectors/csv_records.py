"""Delimited text, record by record: which dialect it is in, and which rows survive when some are broken.

DuckDB reads the files; this module decides how, and rewrites a file with broken rows without them. A quote that is opened and never closed
costs its own row, not the rows after it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from connectors.byte_stream import LONGEST_LINE, Line
from connectors.extraction import Reject

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_RECORDS = 200
_LOOK_AHEAD_LINES = 20_000
SWALLOWED_LINES = 10
"""From this many lines in one value, all with as many fields as the header, a quote was forgotten before them."""


@dataclass(frozen=True)
class Dialect:
    """How fields are told apart: a delimiter, and what escapes a quote inside quotes (a quote, or a backslash)."""

    delimiter: str = ","
    escape: str = '"'


@dataclass(frozen=True, slots=True)
class Record:
    """One row as text: its number (1 = first after the header), its fields, or the fault that makes it unusable."""

    row: int
    fields: list[str]
    fault: str | None = None
    plain: str | None = None
    """The line itself when it holds no quote and can be copied as it is."""


class _Fields:
    """Takes apart one record that may go over several lines."""

    def __init__(self, dialect: Dialect) -> None:
        delimiter = re.escape(dialect.delimiter)
        inside = r'(?:[^"]|"")*+' if dialect.escape == '"' else r'(?:[^"\\]|\\.)*+'
        self._inside = re.compile(inside, re.DOTALL)
        self._open = re.compile(r' *+"')
        self._after = re.compile(rf" *+({delimiter}|\Z)")
        self._bare = re.compile(rf"[^{delimiter}]*+")
        self.dialect = dialect
        self._backslash = dialect.escape == "\\"
        self.start()

    def start(self) -> None:
        self.fields: list[str] = []
        self._pieces: list[str] = []
        self.is_open = False

    def feed(self, text: str) -> bool:
        """Reads one more line. False when what follows a closing quote is no delimiter. `is_open` afterwards: it goes on."""
        at, end = 0, len(text)
        while True:
            if not self.is_open:
                opening = self._open.match(text, at)
                if opening is None:
                    bare = self._bare.match(text, at)
                    assert bare is not None  # noqa: S101 - it matches the empty string
                    self.fields.append(bare.group())
                    at = bare.end()
                    if at == end:
                        return True
                    at += 1
                    continue
                at = opening.end()
                self.is_open = True
            inside = self._inside.match(text, at)
            assert inside is not None  # noqa: S101 - it matches the empty string
            self._pieces.append(inside.group())
            at = inside.end()
            if at == end:
                return True
            if text[at] != '"':  # a backslash ends the line: it escapes the line's end
                self._pieces.append(text[at:])
                return True
            after = self._after.match(text, at + 1)
            if after is None:
                return False
            content = "\n".join(self._pieces)
            content = (
                re.sub(r"\\(.)", r"\1", content, flags=re.DOTALL) if self._backslash else content.replace('""', '"')
            )
            self.fields.append(content)
            self._pieces.clear()
            self.is_open = False
            at = after.end()
            if not after.group(1):
                return True


def split_line(text: str, dialect: Dialect) -> list[str] | None:
    """The fields of a record that lies on one line; None when its quotes do not close."""
    parser = _Fields(dialect)
    return parser.fields if parser.feed(text) and not parser.is_open else None


def sniff(sample: Sequence[str]) -> Dialect:
    """The dialect in which most of the sample's lines have as many fields as the header (its first line)."""
    lines = [line for line in sample if line.strip()][: _SAMPLE_RECORDS + 1]
    best, best_score = Dialect(), (0.0, 0)
    escapes = ('"', "\\") if any('\\"' in line for line in lines) else ('"',)
    for escape in escapes:
        for delimiter in DELIMITERS:
            dialect = Dialect(delimiter, escape)
            header = split_line(lines[0], dialect)
            if header is None or len(header) < 2:
                continue
            records = [
                r for r in read_records((Line(line) for line in lines[1:]), dialect, len(header)) if r.fault is None
            ]
            covered = sum(1 + sum(field.count("\n") for field in record.fields) for record in records)
            score = (round(covered / max(1, len(lines) - 1), 3), len(header))
            if score > best_score:
                best, best_score = dialect, score
    return best


def read_records(lines: Iterable[Line], dialect: Dialect, width: int) -> Iterator[Record]:
    """All records after the header, good and bad, in file order. Blank lines are no records and not counted.

    A record whose quote is not closed, or that swallowed lines which are rows themselves, is bad, and reading goes on with its second line.
    """
    source, waiting = iter(lines), deque[Line]()
    parser = _Fields(dialect)
    delimiter, row = dialect.delimiter, 0

    def following(number: int) -> Line | None:
        while len(waiting) <= number:
            line = next(source, None)
            if line is None:
                return None
            waiting.append(line)
        return waiting[number]

    while True:
        line = waiting.popleft() if waiting else next(source, None)
        if line is None:
            return
        if line.fault is None and not line.text.strip(" "):
            continue
        row += 1
        if '"' not in line.text:
            fault = line.fault or _width_fault(line.text.count(delimiter) + 1, width)
            yield Record(row, [] if fault else line.text.split(delimiter), fault, line.text)
            continue
        parser.start()
        good = parser.feed(line.text)
        taken: list[Line] = []
        if good and parser.is_open:
            good = _close(parser, following, taken, width, len(line.text))
        fault = line.fault or next((part.fault for part in taken if part.fault), None)
        if good and taken and not fault and len(parser.fields) != width:
            good = not any(_is_row(part, dialect, width) for part in taken[:-1])
        if not good:
            yield Record(row, [], line.fault or _quote_fault(parser.is_open))
            continue
        for _ in taken:
            waiting.popleft()
        fault = fault or _width_fault(len(parser.fields), width)
        yield Record(row, [] if fault else list(parser.fields), fault)


def _close(
    parser: _Fields, following: Callable[[int], Line | None], taken: list[Line], width: int, length: int
) -> bool:
    """Feeds further lines, collected in `taken`, until the open quote closes. False: it does not, or only after it took in rows.

    Texts of several lines are legal, and so is a table inside a text; but where ten lines and more all have as many fields as the header, a
    quote was forgotten before them.
    """
    rows = 0
    while parser.is_open:
        line = following(len(taken))
        length += len(line.text) if line else 0
        if line is None or len(taken) >= _LOOK_AHEAD_LINES or length > LONGEST_LINE:
            return False
        if not parser.feed(line.text):
            parser.is_open = True
            return False
        if rows == len(taken) and width > 2:
            rows += _is_row(line, parser.dialect, width)
        taken.append(line)
        if rows >= SWALLOWED_LINES and rows >= len(taken) - 1:
            parser.is_open = True
            return False
    return True


def _is_row(line: Line, dialect: Dialect, width: int) -> bool:
    fields = split_line(line.text, dialect)
    return fields is not None and len(fields) == width


def _width_fault(found: int, width: int) -> str | None:
    if found == width:
        return None
    return f"the row has {found} columns, the header {width}; look for a missing or an extra delimiter or quote"


def _quote_fault(is_open: bool) -> str:
    if is_open:
        return "a quote is opened in this row and not closed; close or double it"
    return "a quoted value is followed by more text; double the quotes inside it"


def write_numbered(records: Iterable[Record], dialect: Dialect, out: TextIO) -> tuple[int, int, list[Reject]]:
    """Writes the good records, each after its row number: (rows written, length of the longest in characters, what was left out).

    The copy has the dialect's delimiter, doubles quotes inside quotes, has no header and ends lines with LF.
    """
    kept, longest = 0, 0
    rejects: list[Reject] = []
    for record in records:
        if record.fault is not None:
            rejects.append(Reject(record.row, None, record.fault))
            continue
        text = record.plain or dialect.delimiter.join('"' + field.replace('"', '""') + '"' for field in record.fields)
        out.write(f"{record.row}{dialect.delimiter}{text}\n")
        kept += 1
        longest = max(longest, len(text))
    return kept, longest, rejects
