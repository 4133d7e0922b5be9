"""Many small files read together: each must give what it gives alone, and a broken one must keep nothing of the others out."""

from __future__ import annotations

import copy
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import files, json_records, litellm
from connectors.intake import load_paths
from connectors.small_files import SmallFiles
from tests.connectors.extracted import DATA, connection, extracted
from warehouse.configuration import Configuration
from warehouse.reader import open_current
from warehouse.store import Store

PAYLOADS = [
    json.loads(line)
    for line in gzip.decompress((DATA / "litellm" / "standard_logging_payload.jsonl.gz").read_bytes()).splitlines()
]


def write_each(folder: Path, payloads: list[Any]) -> list[Path]:
    """One file per payload, as the S3 logger writes them."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:04}.json" for number in range(len(payloads))]
    for path, content in zip(paths, payloads, strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return paths


def together(folder: Path, paths: list[Path]) -> list[list[dict[str, Any]]]:
    """The rows of each file, read together with the others."""
    own, results = connection(), []
    small = SmallFiles(own, folder / "scratch", Configuration())
    for path in paths:
        file = files.inspect(path, folder / "scratch")
        assert small.takes(litellm, file)
        small.add(litellm, file)

    def keep(place: int, extraction: Any) -> None:
        assert place == len(results)
        assert (extraction.file, extraction.checksum) == (paths[place].name, files.checksum(paths[place]))
        cursor = own.execute(f"SELECT * FROM ({extraction.query}) ORDER BY _row")
        names = [column[0] for column in cursor.description]
        results.append([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])

    small.read(keep)
    return results


def test_each_file_gives_what_it_gives_alone(tmp_path):
    payloads = copy.deepcopy(PAYLOADS)
    payloads[3]["response_cost"] = -1
    payloads[5]["messages"] = [{"role": "user", "content": 'tab\tnew line\nand "quotes" \\ é 😀'}]
    payloads[7]["id"] = None
    paths = write_each(tmp_path / "files", payloads)
    lines = tmp_path / "files" / "lines.jsonl"
    lines.write_text(
        "\n".join(json.dumps(row) for row in payloads[:3]) + "\n\n" + json.dumps(payloads[3]), encoding="utf-8"
    )
    paths.append(lines)
    read = together(tmp_path, paths)
    assert len(read) == len(paths)
    for path, rows in zip(paths, read, strict=True):
        good, bad = extracted(litellm, path, tmp_path / "alone")
        assert rows == sorted(good + bad, key=lambda row: row["_row"])
    assert [row["_row"] for row in read[-1]] == [1, 2, 3, 4]
    assert read[3][0]["_reason"] == read[-1][3]["_reason"] == "the cost -1 is no amount in USD of at least 0"


def test_a_folder_of_calls_loads_whole_whatever_lies_between(tmp_path):
    good = [{**PAYLOADS[0], "id": f"chatcmpl-{number}", "response_cost": 0.25} for number in range(12)]
    between = {4: '{"id": "chatcmpl-cut", "call_type"', 8: {**PAYLOADS[0], "id": "chatcmpl-bad", "startTime": "never"}}
    contents = [between.get(number, payload) for number, payload in enumerate(good)]
    write_each(tmp_path / "log", contents)
    reports = load_paths(Store(tmp_path / "store"), Configuration(), [tmp_path / "log"])
    by_file = {report.file: report for report in reports}
    assert [report.status for report in reports if report.file not in ("0004.json", "0008.json")] == ["stored"] * 10
    assert by_file["0004.json"].status == "refused"
    assert (by_file["0008.json"].rows_kept, by_file["0008.json"].rows_rejected) == (0, 1)
    with open_current(tmp_path / "store", Configuration()).connection.cursor() as reader:
        (found,) = reader.execute("SELECT count(*), sum(reported_cost) FROM calls").fetchall()
        rejects = reader.execute("SELECT file, row_number, reason FROM rejects ORDER BY file").fetchall()
    assert found == (10, Decimal("2.5"))
    assert ("0008.json", 1, "the start time never is no time") in rejects


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\ud800"}',
        '{"a": 1',
        "[1]",
        "5",
        "null",
        '{"a": 1}\n{"b": ',
        '{"a": 01}',
        '{"a": "x\ty"}',
        "",
        "{'a': 1}",
    ],
    ids=[
        "half-a-pair",
        "cut",
        "array",
        "number",
        "null",
        "second-cut",
        "leading-zero",
        "tab",
        "empty",
        "single-quotes",
    ],
)
def test_what_is_not_plain_is_looked_at_closely(text):
    assert json_records.plain_objects(text, "lines") is None


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5),
            st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5),
            max_size=4,
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_duckdb_reads_what_is_taken_for_plain(rows, only_ascii):
    text = "\n".join(json.dumps(row, ensure_ascii=only_ascii) for row in rows)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    plain = json_records.plain_objects(text, "lines")
    if plain is None:
        return
    with duckdb.connect() as own:
        for line in plain[0]:
            assert own.execute("SELECT json_type(CAST(? AS JSON))", [line]).fetchone() == ("OBJECT",)
