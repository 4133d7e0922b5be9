"""JSON as it arrives: one object per line, arrays, pretty-printed or concatenated objects; and which records survive when some are broken."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TextIO

from connectors.byte_stream import Line
from connectors.extraction import Reject

LONGEST_DOCUMENT = 256 << 20
"""Longest object (bytes) in a file that is not one object per line."""

_MARK = re.compile(r'["{}\[\]]')
_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BLANKS = str.maketrans("\r\n\t", "   ")
NOT_JSON = "the record is not valid JSON; it was cut or edited: export it again"
NOT_OBJECT = "the record is no JSON object ({...}); give one object per call or row"
_TOO_DEEP = (
    "the record is nested too deep to be a call or a row; export it again without the value that holds so many levels"
)
_NOT_UTF8 = "the record is not UTF-8; save the file as UTF-8 and load it again"
_CUT = "this record is never closed, so that nothing from here on can be read; fetch or export the file again"


def is_one_per_line(head: str, newlines: int) -> bool:
    """Whether a text that starts with "{" holds one object per line, even when its first lines are broken.

    `head` is its beginning, `newlines` how many the whole text has.
    """
    start = head.lstrip()
    if parsed(start.partition("\n")[0]) is not None:
        return True
    if "\n" not in start:
        return newlines > 1
    try:
        _, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        filled = [line for line in start.split("\n")[:1000] if line.strip()]
        objects = [line for line in filled if line.startswith("{")]
        return len(objects) == len(filled) or any(parsed(line) is not None for line in objects)
    after = start[end:].partition("\n")[0].strip()
    return "\n" not in start[:end] and bool(after) and after[0] not in "{["


def parsed(text: str) -> dict[str, object] | None:
    """The object that this text is, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def plain_objects(text: str, layout: str) -> tuple[tuple[str, ...], tuple[dict[str, object], ...]] | None:
    """The objects of a text, as they are written and parsed, when it holds nothing else: one per line, or a single one. None otherwise.

    What Python reads as JSON DuckDB reads as well, but for halves of surrogate pairs.
    """
    texts = tuple(line for line in text.split("\n") if line.strip(" \t\r")) if layout == "lines" else (text,)
    values = [parsed(line) for line in texts]
    objects = tuple(value for value in values if value is not None)
    if not objects or len(objects) != len(values):
        return None
    if "\\ud" in text.lower() and not all(_encodes(json.dumps(value, ensure_ascii=False)) for value in objects):
        return None
    return texts, objects


def records_by_line(lines: Iterable[Line]) -> Iterator[tuple[int, str, str | None]]:
    """(row, text, fault) of every line that is not blank."""
    row = 0
    for line in lines:
        text = line.text.strip()
        if not text and line.fault is None:
            continue
        row += 1
        yield row, text, line.fault or _fault(text)


def records_by_structure(pieces: Iterable[str]) -> Iterator[tuple[int, str, str | None]]:
    """(row, text, fault) of every outermost object, arrays around them being ignored. Broken objects end where their braces do."""
    buffer, row, at, depth, begin = "", 0, 0, 0, -1
    for piece in pieces:
        buffer = buffer[begin:] + piece if begin >= 0 else buffer[at:] + piece
        at = at - begin if begin >= 0 else 0
        begin = 0 if begin >= 0 else -1
        while mark := _MARK.search(buffer, at):
            sign = mark.group()
            if sign == '"':
                string = _STRING.match(buffer, mark.end())
                if string is None:
                    at = mark.start()
                    break
                at = string.end()
                continue
            at = mark.end()
            if sign == "{":
                begin = mark.start() if depth == 0 else begin
                depth += 1
            elif sign == "}" and depth:
                depth -= 1
                if depth == 0:
                    row += 1
                    text = buffer[begin:at]
                    yield row, text, _fault(text)
                    begin = -1
        else:
            at = len(buffer)
        if len(buffer) - max(begin, 0) > LONGEST_DOCUMENT:
            yield row + 1, "", f"the record is longer than {LONGEST_DOCUMENT >> 20} MB; split the file"
            return
    if begin >= 0 or depth or buffer[at:].strip(" \t\r\n"):
        yield row + 1, "", _CUT


def _fault(text: str) -> str | None:
    if parsed(text) is not None:
        return None if text.isascii() or _encodes(text) else _NOT_UTF8
    try:
        json.loads(text)
    except RecursionError:
        return _TOO_DEEP
    except ValueError:
        return NOT_JSON
    return NOT_OBJECT


def _encodes(text: str) -> bool:
    """Whether no byte of it had to be carried as a lone surrogate."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def write_numbered(records: Iterable[tuple[int, str, str | None]], out: TextIO) -> tuple[int, int, list[Reject]]:
    """Writes lines of a row number, a tab and the record: (rows written, length of the longest in characters, what was left out)."""
    kept, longest = 0, 0
    rejects: list[Reject] = []
    for row, text, fault in records:
        if fault is not None:
            rejects.append(Reject(row, None, fault))
            continue
        line = text.translate(_BLANKS)  # these are only ever between JSON's tokens
        out.write(f"{row}\t{line}\n")
        kept += 1
        longest = max(longest, len(line))
    return kept, longest, rejects
