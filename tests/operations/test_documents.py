"""What the documents tell: commands that run as they stand, and tables as they are."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from analytics.simulators.scenario import read_scenario
from connectors.live.secrets import Secrets
from connectors.live.settings import read_sources
from operations.doctor import configuration_findings
from tests.operations.bills import call, line, write, write_calls
from tests.operations.command import percall, within
from warehouse.configuration import read_configuration
from warehouse.engines.settings import engine_settings
from warehouse.schema import TABLES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
"""Everything that people read."""


def settings_of(page: Path) -> list[str]:
    """The blocks of TOML on a page; one that lists lines of which people take one is as many blocks."""
    found: list[str] = []
    for block in re.findall(r"```toml\n(.+?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        lines = block.splitlines()
        found += lines if all(line.startswith("engine = ") for line in lines) else [block]
    return found


SETTINGS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(settings_of(page), start=1)
]
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


@pytest.mark.parametrize("block", SETTINGS)
def test_settings_can_be_written_as_they_stand(block: str, tmp_path: Path) -> None:
    """What is commented out counts too: people take the sign away."""
    text = re.sub(r"(?m)^# (?=\w+ = )", "", block)
    sections = tomllib.loads(text)
    if "lever" in sections:
        assert read_scenario(text).levers
        return
    if "auth" in sections:  # Streamlit's own file
        assert set(sections["auth"]) >= {"redirect_uri", "cookie_secret", "client_id"}
        return
    (tmp_path / "percall.toml").write_text(text)
    (tmp_path / "contract-prices.csv").touch()
    configuration = read_configuration(tmp_path / "percall.toml")
    usable, broken = read_sources(configuration, Secrets({}, ()))
    found = configuration_findings(configuration, broken, len(usable))
    assert [one.finding for one in found if one.finding.level != "fine"] == []
    assert len(usable) == len(configuration.sources)
    engine_settings(configuration)
