"""Text files of calls that are read, checked and typed by one statement: every row keeps its number, and what is broken far from the beginning
costs its own row only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import byte_stream, files
from connectors.plain import CALLS
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.staging import StagedFile, Staging

CALL = {"call_id": "", "started_at": "2026-03-01T00:00:00Z", "model": "gpt-4o", "output_tokens": 1, "latency_ms": 5.0}
LONG = "x" * 600
FAR = 2_500
"""Rows after which a file is longer than what is looked at first."""


@dataclass(frozen=True)
class Told:
    """What became of a file: its call ids by row, the staged file with its rejects, whether its rows went straight into a table, warnings."""

    ids: dict[int, str]
    staged: StagedFile
    at_once: bool
    warnings: tuple[str, ...]

    @property
    def rejects(self) -> list[tuple[int | None, str | None]]:
        """Row and column of each bad row, in order."""
        return sorted((reject.row, reject.column) for reject in self.staged.rejects)


def told(path: Path, folder: Path) -> Told:
    """Look at a file and stage it as a load does."""
    staging = Staging(folder / "staging")
    try:
        file = files.glance(path, folder / "scratch")
        assert CALLS.detect(file)
        (extraction,) = CALLS.extract(staging.connection, file, Configuration())
        staged = staging.add(extraction)
        (piece,) = staging.call_pieces()
        rows = staging.connection.execute(f"SELECT _row, call_id FROM ({piece.good([staged.part])})").fetchall()
        assert len(dict(rows)) == len(rows), "two rows have one number"
        return Told(dict(rows), staged, extraction.kept_in is not None, tuple(extraction.warnings))
    finally:
        staging.close()


def line(number: int, **values: Any) -> str:
    """A call in JSON, whose id tells its row."""
    return json.dumps(CALL | {"call_id": f"call-{number}", "feature": LONG} | values)


def written(folder: Path, rows: list[str], name: str = "calls.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_rows_keep_their_numbers_and_bad_ones_are_told_by_theirs(tmp_path):
    bad = {7: {"output_tokens": -3}, FAR: {"started_at": "soon"}, FAR + 2: {"output_tokens": "many"}}
    rows = [line(number, **bad.get(number, {})) for number in range(1, FAR + 500)]

    found = told(written(tmp_path, rows), tmp_path)

    assert found.at_once
    assert found.ids == {number: f"call-{number}" for number in range(1, FAR + 500) if number not in bad}
    assert found.rejects == [(7, "output_tokens"), (FAR, "started_at"), (FAR + 2, "output_tokens")]
    assert found.staged.rejected == 3
    assert "soon cannot be read" in found.staged.rejects[1].reason


@pytest.mark.parametrize("broken", ['{"call_id": "cut', "[1]", "7", "null", '"call"', "{} {}", "not json"])
def test_a_broken_record_far_from_the_beginning_costs_itself(tmp_path, broken):
    rows = [line(number) for number in range(1, FAR + 10)]
    rows[FAR - 1] = broken

    found = told(written(tmp_path, rows), tmp_path)

    assert found.ids == {number: f"call-{number}" for number in range(1, FAR + 10) if number != FAR}
    assert [row for row, _column in found.rejects] == [FAR]
    assert not found.at_once


def test_values_that_no_earlier_row_had_are_read_like_those_of_earlier_rows(tmp_path):
    rows = [line(number, team="ai") for number in range(1, FAR)]
    late = {"feature": 3.5e-06, "team": {"of": "two"}, "output_tokens": "12.0", "latency_ms": " NULL "}
    rows.append(line(FAR, **late))

    staging = Staging(tmp_path / "staging")
    (extraction,) = CALLS.extract(
        staging.connection, files.glance(written(tmp_path, rows), tmp_path / "scratch"), Configuration()
    )
    last = f"SELECT feature, team, output_tokens, latency_ms FROM ({extraction.query}) WHERE _row = {FAR}"

    assert staging.connection.execute(last).fetchall() == [("0.0000035", '{"of":"two"}', 12, None)]
    staging.close()


@pytest.mark.parametrize("nothing", [None, "", "NULL", " \\N "])
def test_a_call_without_an_id_has_one_made_wherever_it_stands(tmp_path, nothing):
    rows = [line(number) for number in range(1, FAR)] + [line(FAR, call_id=nothing)] * 2

    found = told(written(tmp_path, rows), tmp_path)

    first, second = found.ids[FAR], found.ids[FAR + 1]
    assert first.startswith("row-")
    assert second == f"{first}-2"
    assert len(found.ids) == FAR + 1


def test_what_cannot_be_read_and_stays_unknown_is_counted(tmp_path):
    rows = [line(number, stream="true") for number in range(1, FAR)]
    rows[10], rows[FAR - 5] = line(11, latency_ms="fast", stream="perhaps"), line(FAR - 4, latency_ms="slow")

    found = told(written(tmp_path, rows), tmp_path)

    assert found.at_once
    assert found.warnings == (
        "2 values of latency_ms cannot be read and stay unknown.",
        "1 values of stream cannot be read and stay unknown.",
    )
    assert len(found.ids) == FAR - 1


HEADER = "call_id,started_at,model,output_tokens,feature"


def csv_line(number: int) -> str:
    return f"call-{number},2026-03-01 00:00:00,gpt-4o,1,{LONG}"


def test_csv_rows_of_several_lines_are_rows(tmp_path):
    rows = [HEADER, *(csv_line(number) for number in range(1, FAR))]
    rows[FAR - 5] = csv_line(FAR - 5).replace(LONG, '"two\nlines"')

    found = told(written(tmp_path, rows, "calls.csv"), tmp_path)

    assert found.at_once
    assert found.ids == {number: f"call-{number}" for number in range(1, FAR)}


@pytest.mark.parametrize(
    "broken", ["call-x,2026-03-01", "call-x,2026-03-01,gpt-4o,1,a,b", 'call-x,2026-03-01,gpt-4o,1,"a" b'], ids=str
)
def test_a_broken_csv_row_far_from_the_beginning_costs_itself(tmp_path, broken):
    rows = [HEADER, *(csv_line(number) for number in range(1, FAR))]
    rows[FAR - 5] = broken

    found = told(written(tmp_path, rows, "calls.csv"), tmp_path)

    assert found.ids == {number: f"call-{number}" for number in range(1, FAR) if number != FAR - 5}
    assert [row for row, _column in found.rejects] == [FAR - 5]


def test_a_forgotten_quote_does_not_swallow_the_rows_after_it(tmp_path):
    rows = [HEADER, *(csv_line(number) for number in range(1, FAR))]
    rows[FAR - 200] = csv_line(FAR - 200).replace(LONG, '"' + LONG)
    rows[FAR - 100] = csv_line(FAR - 100) + '"'  # with which what was swallowed is a value of its own

    found = told(written(tmp_path, rows, "calls.csv"), tmp_path)

    assert set(found.ids) >= set(range(1, FAR)) - {FAR - 200, FAR - 100}
    assert {row for row, _column in found.rejects} <= {FAR - 200, FAR - 100}
    assert found.rejects


RECORD = (
    st.fixed_dictionaries({"output_tokens": st.sampled_from([0, 5, -1, "7", "x", "", None, 2.5, True, [1], 10**30])})
    | st.sampled_from(["{", "[]", "3", "null", "{}"])
    | st.fixed_dictionaries({"call_id": st.sampled_from([None, "NULL", "a", 5])})
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(RECORD, min_size=1, max_size=4))
def test_rows_read_at_once_are_those_of_a_file_that_was_checked_first(records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    tail = [item if isinstance(item, str) else line(FAR + at, **item) for at, item in enumerate(records)]
    path = written(folder, [line(number) for number in range(1, FAR)] + tail)

    def every(file: files.SourceFile) -> list[tuple[Any, ...]]:
        staging = Staging(folder / "staging")
        (extraction,) = CALLS.extract(staging.connection, file, Configuration())
        listed = "_row, call_id, output_tokens, latency_ms, feature, flags, labels, _column, _reason"
        rows = staging.connection.execute(
            f"SELECT {listed} FROM ({extraction.query}) WHERE _row > {FAR - 3} ORDER BY _row"
        ).fetchall()
        staging.close()
        return [*rows, *extraction.rejects, *extraction.warnings]

    glanced = files.glance(path, folder / "scratch")
    assert glanced.unchecked, "the whole file was looked through already"
    assert every(glanced) == every(files.inspect(path, folder / "scratch"))


@pytest.mark.parametrize("name", ["calls.jsonl", "calls.csv"])
def test_a_known_checksum_is_taken_for_what_it_is(tmp_path, name):
    rows = [line(1)] if name.endswith("l") else [HEADER, csv_line(1)]
    path = written(tmp_path, rows, name)
    digest = files.checksum(path)

    assert byte_stream.survey(path, "", digest) == byte_stream.survey(path, "")
    assert files.glance(path, tmp_path, digest) == files.glance(path, tmp_path)


@pytest.mark.parametrize("name", ["calls.jsonl", "calls.json"])
@pytest.mark.parametrize("bad", [False, True])
def test_what_a_log_begins_to_tell_far_from_its_beginning_is_read(tmp_path, name, bad):
    late = {"team": "search", "cost": 0.25, "cached_tokens": 3, "Release": "r7", "odd / ~ key": "é"}
    rows = [line(number, **(late if number >= FAR else {})) for number in range(1, FAR + 3)]
    rows[FAR + 1 :] = [line(FAR + 2, user="ann", prompt_tokens=9), line(FAR + 3, user_id="bob", input_tokens=8)]
    if bad:
        rows[4] = line(5, output_tokens=-1)
    path = written(tmp_path, rows if name.endswith("l") else ["[" + ",\n".join(rows) + "]"], name)
    staging = Staging(tmp_path / "staging")
    try:
        (extraction,) = CALLS.extract(staging.connection, files.glance(path, tmp_path / "scratch"), Configuration())
        staged = staging.add(extraction)
        (piece,) = staging.call_pieces()
        told = staging.connection.execute(
            f"""SELECT team, reported_cost, cache_read_tokens, labels['Release'], labels['odd / ~ key'], user_id, uncached_input_tokens, count(*)
                FROM ({piece.good([staged.part])}) GROUP BY ALL ORDER BY count(*) DESC, user_id"""
        ).fetchall()
    finally:
        staging.close()

    assert told == [
        (None, None, None, None, None, None, None, FAR - 1 - bad),
        ("search", Decimal("0.25"), 3, "r7", "é", None, None, 2),
        (None, None, None, None, None, "ann", 9, 1),
        (None, None, None, None, None, "bob", 8, 1),
    ]


def test_a_file_whose_objects_have_a_thousand_different_keys_is_refused_in_a_sentence(tmp_path):
    rows = [line(number, **{f"key_{number}": 1}) for number in range(1, 1_200)]

    with pytest.raises(InputError, match=r"more than 1,000 different keys.*`labels`"):
        told(written(tmp_path, rows), tmp_path)
