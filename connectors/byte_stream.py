"""A file's bytes, unpacked and looked at once: whole or truncated, how long its lines are, whether it is UTF-8 text.

Everything here is streamed: memory does not grow with the file, nor with its longest line.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from warehouse.errors import InputError

CHUNK = 1 << 20
LONGEST_LINE = 16 << 20
"""Longest line (bytes) that is read as a row; a longer one is dropped and counted."""

HEAD = 1 << 20
_BOM = codecs.BOM_UTF8
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SIGNATURES = {
    b"PAR1": "parquet",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"PARE": "an encrypted Parquet file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"%PDF": "a PDF",
}
_AGAIN = "the download or upload was cut short or changed; fetch the file again and load it once more"


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Survey:
    """What one pass over a text file found.

    `head` are its first bytes (unpacked; at least one whole line where it has one of up to 16 MB), `whole` whether they are all. `size` is
    the unpacked size, `newlines` the number of LF (of CR in a file that has no LF). `longest_line` is exact above 1 MB, else at most 1 MB.
    """

    checksum: str
    head: bytes
    whole: bool
    size: int
    newlines: int
    ends_with_newline: bool
    longest_line: int
    is_utf8: bool
    has_nul: bool


def signature(path: Path) -> str:
    """What the first bytes say: gzip, zstd, parquet, or "" for anything that may be text. Raises InputError for what cannot be read."""
    with path.open("rb") as stream:
        start = stream.read(8)
    if not start:
        raise InputError("the file is empty; export it again", file=path.name)
    for magic, kind in _SIGNATURES.items():
        if start.startswith(magic):
            if kind not in ("parquet", "gzip", "zstd"):
                raise InputError(f"this is {kind}; give CSV, JSON or Parquet (plain, .gz or .zst)", file=path.name)
            return kind
    return ""


class _Hashing(io.RawIOBase):
    """Passes bytes on and keeps their SHA-256."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._stream.read(size)
        self._hash.update(chunk)
        return chunk

    def readable(self) -> bool:
        return True

    def finish(self) -> str:
        """Reads what the unpacker left and answers with the hash of everything."""
        while self.read(CHUNK):
            pass
        return self._hash.hexdigest()


def _unpacked(stream: BinaryIO | io.RawIOBase, compression: str) -> _Readable:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if compression == "zstd":
        return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")
    return stream


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Says what a broken compressed file means for the person who gave it."""
    try:
        yield
    except EOFError as error:
        raise InputError(f"the gzip file is truncated: {_AGAIN}", file=path.name) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip file is damaged ({error}): {_AGAIN}", file=path.name) from error
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"cannot be read: {error.strerror}", file=path.name) from error
        raise InputError(f"the zstd file is truncated or damaged ({error}): {_AGAIN}", file=path.name) from error


def chunks(path: Path, compression: str) -> Iterator[bytes]:
    """The unpacked bytes of a file (compression: gzip, zstd or ""), in pieces of up to 1 MB. Raises InputError when it is damaged."""
    with path.open("rb") as stream, _explained(path):
        source = _unpacked(stream, compression)
        while chunk := source.read(CHUNK):
            yield chunk


def survey(path: Path, compression: str, digest: str | None = None) -> Survey:
    """Reads the whole file once; its checksum is worked out unless it is known (`digest`). Raises InputError when it is truncated or damaged."""
    head = bytearray()
    size = line_feeds = returns = current = longest = 0
    is_utf8, has_nul, last = True, False, b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    pending = False
    with path.open("rb") as raw, _explained(path):
        stream = _Hashing(raw) if digest is None else None
        source = _unpacked(stream or raw, compression)
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if len(head) < HEAD or (len(head) < LONGEST_LINE and b"\n" not in head):
                head += chunk
            feeds = chunk.count(b"\n")
            line_feeds += feeds
            returns += 0 if line_feeds else chunk.count(b"\r")
            separator = b"\n" if line_feeds or not returns else b"\r"
            first = chunk.find(separator)
            if first < 0:
                current += len(chunk)
            else:
                longest = max(longest, current + first)
                current = len(chunk) - chunk.rfind(separator) - 1
            has_nul = has_nul or b"\0" in chunk
            if is_utf8 and (pending or not chunk.isascii()):
                try:
                    decoder.decode(chunk)
                    pending = bool(decoder.getstate()[0])
                except UnicodeDecodeError:
                    is_utf8 = False
            last = chunk[-1:]
        checksum = stream.finish() if stream else digest
    return Survey(
        checksum=checksum or "",
        head=bytes(head),
        whole=len(head) == size,
        size=size,
        newlines=line_feeds or returns,
        ends_with_newline=last in (b"\n", b"\r"),
        longest_line=max(longest, current),
        is_utf8=is_utf8 and not pending,
        has_nul=has_nul,
    )


def utf16(head: bytes) -> str | None:
    """The codec of a text that starts with a UTF-16 byte order mark, else None."""
    return next((codec for mark, codec in _UTF16.items() if head.startswith(mark)), None)


def to_utf8(path: Path, compression: str, codec: str, target: Path) -> None:
    """Writes a UTF-16 file as UTF-8, without its byte order mark. What is not UTF-16 becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(codec)("replace")
    with target.open("wb") as out:
        start = True
        for chunk in chunks(path, compression):
            text = decoder.decode(chunk)
            if start and text:
                text, start = text.removeprefix("\ufeff"), False
            out.write(text.encode("utf-8"))
        out.write(decoder.decode(b"", final=True).encode("utf-8"))


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. `fault` says why it cannot be a row (its text is then empty or holds U+FFFD)."""

    text: str
    fault: str | None = None


_TOO_LONG = f"the line is longer than {LONGEST_LINE >> 20} MB; export this row without its long text"
_NUL = "the line holds NUL bytes; the file was damaged or is not text: export it again"
_NOT_UTF8 = "the line is not UTF-8; save the file as UTF-8 and load it again"


def lines(path: Path, compression: str) -> Iterator[Line]:
    """A text file's lines, whatever their ends (LF, CR LF, CR), without byte order mark. An overlong line is never held in memory."""
    rest = bytearray()
    dropping, start, after_return = False, True, False
    for piece in chunks(path, compression):
        chunk = piece
        if start:
            chunk, start = chunk.removeprefix(_BOM), False
        if after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        after_return = chunk.endswith(b"\r")
        parts = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for part in parts[:-1]:
            if dropping or len(rest) + len(part) > LONGEST_LINE:
                yield Line("", _TOO_LONG)
            elif rest:
                rest += part
                yield _line(bytes(rest))
            else:
                yield _line(part)
            rest.clear()
            dropping = False
        if dropping or len(rest) + len(parts[-1]) > LONGEST_LINE:
            dropping = True
            rest.clear()
        else:
            rest += parts[-1]
    if dropping:
        yield Line("", _TOO_LONG)
    elif rest:
        yield _line(bytes(rest))


def _line(content: bytes) -> Line:
    if b"\0" in content:
        return Line(content.replace(b"\0", b"").decode("utf-8", "replace"), _NUL)
    try:
        return Line(content.decode("utf-8"))
    except UnicodeDecodeError:
        return Line(content.decode("utf-8", "replace"), _NOT_UTF8)
