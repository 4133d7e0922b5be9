"""What the documents tell: commands that run as they stand, and tables as they are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.operations.bills import call, line, write, write_calls
from tests.operations.command import percall, within
from warehouse.schema import TABLES

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOW_TO_LOAD = (DOCS / "how-to-load.md").read_text(encoding="utf-8")


def test_every_command_of_how_to_load_runs_as_it_stands(tmp_path: Path) -> None:
    commands = re.findall(r"^percall (.+)$", HOW_TO_LOAD, re.MULTILINE)
    assert len(commands) >= 8
    (tmp_path / "bills").mkdir()
    (tmp_path / "logs").mkdir()
    write(tmp_path / "bills" / "march.csv", [line()])
    (tmp_path / "logs" / "gateway.jsonl.gz").write_text(
        '{"started_at": "2026-03-02T10:00:00Z", "model": "gpt-4o", "input_tokens": 10, "output_tokens": 1}\n'
    )
    write_calls(tmp_path / "calls.csv", [call()])
    with within(tmp_path):
        for command in commands:
            answer = percall(*shlex.split(command), store=tmp_path / "store")
            assert answer.code == 0, (command, answer.err)
            assert answer.out, command


def test_the_calls_of_how_to_load_are_calls(tmp_path: Path) -> None:
    (example,) = re.findall(r"```csv\n(.+?)```", HOW_TO_LOAD, re.DOTALL)
    (tmp_path / "calls.csv").write_text(example)
    answer = percall("load", tmp_path / "calls.csv", store=tmp_path / "store")
    assert [(row["kind"], row["rows_kept"]) for row in answer.lines] == [("calls", 1)]


def test_what_a_load_prints_is_explained(tmp_path: Path) -> None:
    (row,) = percall("load", write(tmp_path / "bill.csv", [line()]), store=tmp_path / "store").lines
    section = HOW_TO_LOAD.partition("## What it prints")[2].partition("\n## ")[0]
    for key in row:
        assert f"`{key}`" in section


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_the_data_dictionary_has_every_column_of_every_table(table) -> None:
    text = (DOCS / "data-dictionary.md").read_text(encoding="utf-8")
    section = text.partition(f"### Table {table.name}\n")[2].partition("\n###")[0]
    told = re.findall(r"^\| `(\w+)` \| (.+?) \| ?(.*?) ?\|$", section, re.MULTILINE)
    assert told == [(column.name, column.type, column.doc) for column in table.columns]
