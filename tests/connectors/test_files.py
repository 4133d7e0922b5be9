"""Files as they arrive: everything a person may throw at `percall load`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
import zlib
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors import files
from connectors.files import SourceFile
from warehouse.errors import InputError


def write(folder: Path, content: bytes, name: str = "export.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def look(folder: Path, content: bytes, name: str = "export.csv") -> SourceFile:
    return files.inspect(write(folder, content, name), folder / "scratch")


def rows(file: SourceFile) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT * FROM {files.scan(file)} ORDER BY _row").fetchall()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


TABLE = b"a,b,c\n1,x,2.5\n2,,\n3,NULL,\\N\n"
TABLE_ROWS = [(1, "1", "x", "2.5"), (2, "2", None, None), (3, "3", None, None)]


@pytest.mark.parametrize("name", ["export.csv", "export.parquet", "export"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_content_decides_not_the_name(tmp_path, name, pack):
    file = look(tmp_path, pack(TABLE), name)
    assert (file.format, file.columns, rows(file), file.rejects) == ("csv", ("a", "b", "c"), TABLE_ROWS, ())


def test_checksum_is_of_the_bytes_on_disk(tmp_path):
    for pack in (bytes, gzip.compress, zstd):
        file = look(tmp_path, pack(TABLE))
        assert file.checksum == files.checksum(file.path)


def test_two_gzip_members_or_zstd_frames_are_one_file(tmp_path):
    first, second = b"a,b\n1,2\n", b"3,4\n"
    for pack in (gzip.compress, zstd):
        assert rows(look(tmp_path, pack(first) + pack(second))) == [(1, "1", "2"), (2, "3", "4")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_delimiters_line_ends_and_marks(tmp_path, delimiter, end, mark):
    text = delimiter.join(["day", "cost", "note"]) + end + delimiter.join(["2026-03-01", "1.5", '"a, b; c"']) + end
    file = look(tmp_path, mark + text.encode())
    assert file.columns == ("day", "cost", "note")
    assert rows(file) == [(1, "2026-03-01", "1.5", "a, b; c")]


def test_mixed_line_ends_and_blank_lines_cost_nothing(tmp_path):
    file = look(tmp_path, b"a,b\r\n1,2\n\n3,4\r\n\r\n5,6")
    assert rows(file) == [(1, "1", "2"), (2, "3", "4"), (3, "5", "6")]
    assert file.rejects == ()


def test_utf16_is_read(tmp_path):
    for codec in ("utf-16-le", "utf-16-be"):
        file = look(tmp_path, "\ufeffname,cost\nnăm,1\n".encode(codec))
        assert file.columns == ("name", "cost")
        assert rows(file) == [(1, "năm", "1")]


def test_texts_of_many_lines_are_fields_not_faults(tmp_path):
    text = "Put in order:\nA. 3, 1, 2\nB. 1, 2, 3\nC. 2, 1, 3\nAnswer:"
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([["a", "text", "c"], ["1", text, "x"], ["2", "plain", "y"], ["3", 'say "hi"', "z"]])
    file = look(tmp_path, out.getvalue().encode())
    assert rows(file) == [(1, "1", text, "x"), (2, "2", "plain", "y"), (3, "3", 'say "hi"', "z")]
    assert file.rejects == ()


def test_backslash_escapes_are_recognised(tmp_path):
    file = look(tmp_path, b'a,j\n1,"{\\"k\\": \\"v, w\\"}"\n2,"{}"\n')
    assert rows(file) == [(1, "1", '{"k": "v, w"}'), (2, "2", "{}")]


BOMBS = [
    b'7,"never closed,x\n',
    b'7,"a"b,x\n',
    b'"7,a,x\n',
    b'7,a,"x\n',
    b'7,"""a,x\n',
    b"7,a\n",
    b"7,a,b,c,d\n",
    b"7,\xff\xfe,x\n",
    b"7,a\0b,x\n",
]


@pytest.mark.parametrize("bad", BOMBS)
@pytest.mark.parametrize("place", [0, 1, 25, 49, 50])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_broken_row_costs_itself_and_no_other(tmp_path, bad, place, quoted):
    good = [f'"{i}","v{i}","w"\n'.encode() if quoted else f"{i},v{i},w\n".encode() for i in range(50)]
    lines = [*good[:place], bad, *good[place:]]
    file = look(tmp_path, b"a,b,c\n" + b"".join(lines))
    kept = [(i + 1 + (i >= place), str(i), f"v{i}", "w") for i in range(50)]
    assert rows(file) == kept
    assert [reject.row for reject in file.rejects] == [place + 1]
    assert file.rejects[0].reason.count("; ") >= 1, "says what to do"


def test_a_forgotten_quote_that_another_row_happens_to_close_keeps_the_rows_between(tmp_path):
    between = b"".join(b"%d,v,w\n" % i for i in range(30))
    file = look(tmp_path, b'a,b,c\n90,"open,w\n' + between + b'91,17",w\n92,v,w\n')
    assert {row[1] for row in rows(file)} >= {str(i) for i in range(30)} | {"92"}
    assert file.rejects[0].row == 1


def test_only_quotes(tmp_path):
    file = look(tmp_path, b"a,b\n" + b'"' * 100_001 + b"\n1,2\n")
    assert rows(file) == [(2, "1", "2")]
    assert [reject.row for reject in file.rejects] == [1]


def test_every_line_opens_a_quote(tmp_path):
    file = look(tmp_path, b"a,b,c\n" + b'1,"x,2\n' * 3000 + b"1,2,3\n")
    assert rows(file) == [(3001, "1", "2", "3")]
    assert len(file.rejects) == 3000


def test_a_giant_line_is_dropped_and_the_rest_kept(tmp_path):
    path = tmp_path / "export.csv"
    with path.open("wb") as out:
        out.write(b"a,b\n1,2\n3,")
        for _ in range(40):
            out.write(b"x" * (1 << 20))
        out.write(b"\n5,6\n")
    file = files.inspect(path, tmp_path / "scratch")
    assert rows(file) == [(1, "1", "2"), (3, "5", "6")]
    assert [(reject.row, "16 MB" in reject.reason) for reject in file.rejects] == [(2, True)]


def test_a_line_just_under_the_limit_is_kept(tmp_path):
    long = b"x" * (15 << 20)
    assert rows(look(tmp_path, b"a,b\n1,2\n3," + long + b"\n5,6\n"))[1] == (2, "3", long.decode())


def test_a_giant_json_line(tmp_path):
    giant = b'{"a":"' + b"x" * (17 << 20) + b'"}\n'
    for content in (b'{"a":1}\n' + giant + b'{"a":3}\n', giant + b'{"a":2}\n{"a":3}\n'):
        file = look(tmp_path, content)
        assert file.format == "jsonl"
        assert len(rows(file)) == content.count(b"\n") - 1
        assert len(file.rejects) == 1


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\n \n\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (gzip.compress(TABLE * 1000, mtime=0)[:-9], "truncated"),
        (gzip.compress(TABLE * 1000, mtime=0)[:40], "truncated"),
        (gzip.compress(TABLE, mtime=0)[:-8] + b"12345678", "damaged"),
        (zstd(TABLE * 1000)[:-5], "truncated"),
        (b"PAR1" + b"x" * 500, "truncated"),
        (b"PK\x03\x04" + b"x" * 500, "Excel"),
        (bytes(range(256)) * 50, "not text"),
        (b"a,b,a\n1,2,3\n", "'a' more than once"),
        (b"d\xe9partement,b\n1,2\n", "header"),
        (b'"a,b\n1,2\n', "header"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path, content, word):
    with pytest.raises(InputError) as caught:
        look(tmp_path, content, "march.csv")
    assert word in str(caught.value)
    assert str(caught.value).startswith("march.csv")


def test_a_flipped_bit_in_gzip_is_found(tmp_path):
    packed = bytearray(gzip.compress(TABLE * 1000, compresslevel=0))
    packed[200] ^= 1
    assert zlib.crc32(bytes(packed)) is not None
    with pytest.raises(InputError, match="damaged"):
        look(tmp_path, bytes(packed))


def test_header_only_is_a_table_without_rows(tmp_path):
    for content in (b"a,b", b"a,b\n", b"\xef\xbb\xbfa,b\r\n"):
        file = look(tmp_path, content)
        assert (file.columns, rows(file), file.head) == (("a", "b"), [], ())


def test_columns_that_differ_in_case_only_stay_apart(tmp_path):
    file = look(tmp_path, b"Team,team,,_row\n1,2,3,4\n")
    assert file.columns == ("Team", "team_2", "column3", "_row_2")
    assert rows(file) == [(1, "1", "2", "3", "4")]


def parquet(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "export.bin")
    return folder / "export.bin"


def test_parquet_keeps_types_and_numbers_rows(tmp_path):
    tags = pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string()))
    path = parquet(tmp_path, pa.table({"cost": [1.5, None], "tags": tags}))
    file = files.inspect(path, tmp_path)
    assert (file.format, file.columns) == ("parquet", ("cost", "tags"))
    assert rows(file) == [(1, 1.5, {"k": "v"}), (2, None, None)]
    assert file.head[0] == {"cost": 1.5, "tags": [("k", "v")]}
    packed = look(tmp_path, gzip.compress(path.read_bytes()), "export.parquet.gz")
    assert rows(packed) == rows(file)
    with pytest.raises(InputError, match=r"truncated.*again"):
        look(tmp_path, path.read_bytes()[:-3])


def objects(file: SourceFile) -> list[tuple[int, object]]:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT _row, json FROM {files.scan(file)} ORDER BY _row").fetchall()
    return [(row, json.loads(text)) for row, text in found]


THREE = [(1, {"a": 1, "b": {"c": "x"}}), (2, {"a": 2}), (3, {"a": '}{"]'})]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(json.dumps(value) for _, value in THREE),
        "\n\n".join(json.dumps(value) for _, value in THREE) + "\n",
        "\r\n".join(json.dumps(value) for _, value in THREE) + "\r\n",
        "\n".join(json.dumps(value, indent=2) for _, value in THREE),
        "".join(json.dumps(value) for _, value in THREE),
        json.dumps([value for _, value in THREE]),
        json.dumps([value for _, value in THREE], indent=4),
        json.dumps([THREE[0][1]]) + "\n" + json.dumps([THREE[1][1], THREE[2][1]]),
        json.dumps([THREE[0][1]]) + json.dumps([THREE[1][1], THREE[2][1]]),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_layout_of_json(tmp_path, text, mark):
    file = look(tmp_path, (mark + text).encode(), "calls.json")
    assert objects(file) == THREE
    assert (file.columns, file.head[1], file.rejects) == (("a", "b"), {"a": 2}, ())


@pytest.mark.parametrize(
    "bad", [b'{"a": 1', b'{"a": 1}}', b"[1]", b'"text"', b"{'a': 1}", b'{"a": "\xff"}', b'{"a":"\0"}', b"{"]
)
@pytest.mark.parametrize("place", [0, 5, 10])
def test_a_broken_json_line_costs_itself_and_no_other(tmp_path, bad, place):
    lines = [b'{"n": %d, "s": "x"}' % i for i in range(10)]
    if place == 0 and not bad.startswith(b"{"):
        place = 1  # a first line of another kind says that the file is of another kind
    lines.insert(place, bad)
    file = look(tmp_path, b"\n".join(lines) + b"\n", "calls.jsonl")
    assert objects(file) == [(i + 1 + (i >= place), {"n": i, "s": "x"}) for i in range(10)]
    assert [reject.row for reject in file.rejects] == [place + 1]


def test_a_broken_object_in_an_array_costs_itself(tmp_path):
    file = look(tmp_path, b'[{"a": 1},\n {"a": oops, "b": {"a": 9}},\n {"a": 3.10}]', "calls.json")
    assert objects(file) == [(1, {"a": 1}), (3, {"a": 3.1})]
    assert [reject.row for reject in file.rejects] == [2]
    cut = look(tmp_path, b'[{"a": 1}, {"a": 2}, {"a": ', "calls.json")
    assert objects(cut) == [(1, {"a": 1}), (2, {"a": 2})]
    assert [reject.row for reject in cut.rejects] == [3]


def test_records_of_json_are_not_rewritten(tmp_path):
    good = '{"cost": 0.1234567890123456789, "n": 12345678901234567890123}'
    for text in (f"[{good}]", f"[{good},\n{{oops}}]", good, f"{good}\n{{oops}}\n"):
        file = look(tmp_path, text.encode(), "calls.json")
        with duckdb.connect() as connection:
            row = connection.execute(f"SELECT json::VARCHAR FROM {files.scan(file)}").fetchone()
        assert row == (good,)


def test_scan_reads_only_the_columns_asked_for(tmp_path):
    file = look(tmp_path, b'a,"b ""x""",c\n1,2,3\n')
    with duckdb.connect() as connection:
        query = "SELECT * FROM " + files.scan(file, ['b "x"'])
        assert connection.execute(query).fetchall() == [(1, "2")]


@pytest.mark.parametrize(
    "name", ["bill[1]?*.csv", "it's.csv", "a b.csv", "day=1/BILLING_PERIOD=2026-03/x.csv", "~x.csv"]
)
def test_names_that_look_like_patterns_or_partitions_are_just_names(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "bill1x.csv").write_bytes(b"a,b\n8,8\n")
    tables = {
        "csv": b"a,b\n1,2\n",
        "json": b'{"a": "1", "b": "2"}',
        "array": b'[{"a": "1", "b": "2"}]',
        "bad": b"a,b\n1,2\n3\n",
    }
    for content in tables.values():
        path.write_bytes(content)
        file = files.inspect(path, tmp_path / "scratch")
        expected = (1, '{"a": "1", "b": "2"}') if file.format != "csv" else (1, "1", "2")
        assert rows(file) == [expected]
    pq.write_table(pa.table({"a": ["1"], "b": ["2"]}), path)
    assert rows(files.inspect(path, tmp_path / "scratch")) == [(1, "1", "2")]


def test_expand_finds_data_and_leaves_the_rest(tmp_path):
    for name in (
        "b/2.csv",
        "b/1.parquet",
        "a.jsonl.gz",
        "README.md",
        ".hidden/x.csv",
        "b/.x.csv",
        "b/_SUCCESS",
        "b/r-Manifest.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty.csv").touch()
    names = [str(path.relative_to(tmp_path)) for path in files.expand([tmp_path])]
    assert names == ["a.jsonl.gz", "b/1.parquet", "b/2.csv"]
    assert [path.name for path in files.expand([str(tmp_path / "b" / "*.csv")])] == ["2.csv"]
    assert [path.name for path in files.expand([str(tmp_path / "*")])] == ["a.jsonl.gz", "1.parquet", "2.csv"]
    assert [path.name for path in files.expand([tmp_path / "README.md", tmp_path / "README.md"])] == ["README.md"]
    assert [path.name for path in files.manifests([tmp_path])] == ["r-Manifest.json"]
    (tmp_path / "bare").mkdir()
    for nothing in ([tmp_path / "none.csv"], [str(tmp_path / "*.xyz")], [tmp_path / "bare"], []):
        with pytest.raises(InputError):
            files.expand(nothing)


FIELD = st.text(st.sampled_from('ab1,;\t|"\n\\ é\u2028'), max_size=8)
TEXT_TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(FIELD, min_size=width, max_size=width), max_size=8)
)


@settings(deadline=None, max_examples=60)
@given(
    TEXT_TABLES,
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_in_any_dialect_comes_back(table, delimiter, quoting, end):
    # A quote after a backslash closes the value or belongs to it: where several values end so, the file does not say which.
    assume(sum(field.rstrip("\r\n").endswith("\\") for row in table for field in row) < 2)
    width = len(table[0]) if table else 2
    header = [f"h{i}" for i in range(width)]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(header)
    writer.writerows(table)
    expected = [(i, *[None if field in files.NULL_WORDS else field for field in row]) for i, row in enumerate(table, 1)]
    with tempfile.TemporaryDirectory() as folder:
        file = look(Path(folder), out.getvalue().encode())
        assert file.rejects == ()
        assert rows(file) == expected


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60))
def test_any_bytes_in_the_middle_lose_none_of_the_rows_around(body):
    with tempfile.TemporaryDirectory() as folder:
        file = look(Path(folder), b"a,b,c\n" + b"1,2,3\n" * 300 + body + b"\n4,5,6\n")
        found = rows(file)
    assert found[:300] == [(i, "1", "2", "3") for i in range(1, 301)]
    assert found[-1][1:] == ("4", "5", "6")
    numbers = [row[0] for row in found] + [reject.row for reject in file.rejects]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
