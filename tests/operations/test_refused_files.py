"""Files that are refused whole: said in a sentence each, and never at the cost of good data, new or old."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.operations.bills import HEADER, line, write
from tests.operations.command import (
    Answer,
    billed,
    money,
    percall,
    totals,
)
from tests.operations.former_data import FORMER, GOOD, rejects


def _text(content: str | bytes) -> Callable[[Path], None]:
    return lambda path: void(path.write_bytes(content.encode() if isinstance(content, str) else content))


def void(_value: object) -> None:
    """Forget a value."""


def _lines(*rows: dict[str, object]) -> Callable[[Path], None]:
    return lambda path: void(write(path, rows))


def _cut(whole: Callable[[Path], bytes]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        content = whole(path)
        path.write_bytes(content[: len(content) * 2 // 3])

    return make


def _gzip(path: Path) -> bytes:
    write(path, [line("bad", f"0.{number:06}", number % 28 + 1) for number in range(2000)])
    return gzip.compress(path.read_bytes())


def _parquet(path: Path) -> bytes:
    rows = [line("bad", f"0.{number:06}", number % 28 + 1) for number in range(2000)]
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path.read_bytes()


def _zstd(path: Path) -> bytes:
    write(path, [line("bad", f"0.{number:06}", number % 28 + 1) for number in range(2000)])
    return bytes(pa.compress(path.read_bytes(), "zstd", asbytes=True))


def _without(name: str) -> Callable[[Path], None]:
    names = [column for column in HEADER if column != name]
    row = {key: value for key, value in line("bad").items() if key != name}
    return lambda path: void(write(path, [row], names))


def _twice(path: Path) -> None:
    write(path, [line("bad")])
    header, rest = path.read_text().split("\n", 1)
    path.write_text(header.replace("ListCost", "BilledCost") + "\n" + rest)


REFUSED = {
    "truncated gzip": ("cut.csv.gz", _cut(_gzip), ["truncated", "again"]),
    "truncated zstd": ("cut.csv.zst", _cut(_zstd), ["truncated", "again"]),
    "truncated Parquet": ("cut.parquet", _cut(_parquet), ["Parquet", "truncated", "again"]),
    "truncated Parquet called CSV": ("parquet.csv", _cut(_parquet), ["Parquet", "truncated", "again"]),
    "no cost column": ("costless.csv", _without("BilledCost"), ["BilledCost"]),
    "two currencies in one account and month": (
        "mixed.csv",
        _lines(line("bad", "1.00"), line("bad", "2.00", 3, BillingCurrency="EUR")),
        ["BillingCurrency", "EUR and USD", "a file per currency"],
    ),
    "one column twice": ("twice.csv", _twice, ["'BilledCost'", "more than once", "rename or remove"]),
    "empty": ("empty.csv", _text(""), ["empty", "again"]),
    "blank": ("blank.csv", _text("\n \n\n"), ["empty", "again"]),
    "only a mark": ("mark.csv", _text(b"\xef\xbb\xbf"), ["empty", "again"]),
    "binary": ("junk.csv", _text(bytes(range(256)) * 64), ["not text", "CSV, JSON or Parquet"]),
    "an archive": ("bill.zip.csv", _text(b"PK\x03\x04" + b"\0" * 40), ["ZIP archive", "CSV, JSON or Parquet"]),
    "a picture": ("bill.png", _text(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9), ["not text"]),
    "a text without columns": ("what.txt", _text("hello\nworld\n"), ["cannot tell", "Known kinds"]),
    "JSON without end": ("endless.json", _text('{"a":' * 10_000), ["never closed"]),
    "JSON nested 10,000 deep": ("deep.json", _text('{"a":' * 10_000 + "1" + "}" * 10_000), ["nested too deep"]),
    "arrays nested 10,000 deep": ("arrays.json", _text("[" * 10_000 + "]" * 10_000), ["no readable rows"]),
    "arrays nested 10,000 deep in a line": (
        "deep.jsonl",
        _text('{"id": "1", "a": ' + "[" * 10_000 + "]" * 10_000 + "}\n"),
        ["nested too deep"],
    ),
    "nothing but quotes": ("quotes.csv", _text('"' * 100_001), ["quotes.csv", "quote"]),
    "a header that never ends": ("header.csv", _text('"' + "a,b\n" * 100_000), ["header.csv", "quote"]),
    "web page in place of the file": (
        "bill.csv",
        _text("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"),
        ["cannot tell"],
    ),
}


@dataclass(frozen=True)
class Ruins:
    """All refused files in one folder, loaded in one command together with a good one into a store that had data."""

    store: Path
    answer: Answer
    rejects: dict[str, tuple[int | None, str | None, str]]


@pytest.fixture(scope="module")
def ruins(former: Path, tmp_path_factory: pytest.TempPathFactory) -> Ruins:
    """See `Ruins`."""
    folder = tmp_path_factory.mktemp("ruins")
    store = Path(shutil.copytree(former, folder / "store"))
    files = []
    for number, (name, make, _words) in enumerate(REFUSED.values()):
        bad = folder / str(number) / name
        bad.parent.mkdir()
        make(bad)
        files.append(bad)
    files.insert(len(files) // 2, write(folder / "good.csv", [line("good", "2.50")]))
    answer = percall("load", *files, store=store)
    return Ruins(store, answer, {row[0]: row[1:] for row in rejects(store)})


def test_every_bad_file_is_refused_and_the_good_one_among_them_is_loaded(ruins: Ruins) -> None:
    assert ruins.answer.code == 2
    refused = [row for row in ruins.answer.lines if row["status"] == "refused"]
    assert sorted(name for row in refused for name in row["files"]) == sorted(name for name, *_ in REFUSED.values())
    assert all((row["rows_kept"], row["billed"]) == (0, None) for row in refused)
    (stored,) = [row for row in ruins.answer.lines if row["status"] == "stored"]
    assert (stored["partition"], stored["billed"]) == ("focus/good/2026-03", "2.500000000000")


def test_former_data_are_untouched_by_files_that_are_refused(ruins: Ruins, former: Path) -> None:
    now = totals(ruins.store)
    assert (now["rows"], money(now["billed"])) == (3, FORMER + GOOD)
    assert billed(ruins.store, "former") == billed(former) == FORMER


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, _, words in REFUSED.values()], ids=REFUSED.keys())
def test_a_refusal_says_which_file_what_is_wrong_and_what_to_do(ruins: Ruins, name: str, words: list[str]) -> None:
    (sentence,) = [text for text in ruins.answer.err.splitlines() if text.startswith((f"{name}: ", f"{name}, "))]
    for word in ["refused", *words]:
        assert word in sentence
    assert len(sentence) < 1500
    row, _column, reason = ruins.rejects[name]
    assert row is None
    assert sentence.endswith(reason.partition(": ")[2])
