"""The examples of docs/how-to-connect.md are what percall.toml accepts, and every source says what must be granted."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from connectors.live.registry import live_source
from connectors.live.secrets import Secrets
from connectors.live.settings import source_settings
from warehouse.configuration import Configuration

TEXT = (Path(__file__).parents[3] / "docs" / "how-to-connect.md").read_text(encoding="utf-8")
KINDS = ("bigquery", "gcp-catalog", "openai-admin", "anthropic-admin", "prometheus", "stripe", "sql", "files")


def _documented(kind: str) -> list[str]:
    """Blocks of TOML with a section of this kind; options that are commented out are as good as the others."""
    blocks = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    return [re.sub(r"(?m)^# (?=\w+ = )", "", block) for block in blocks if f'kind = "{kind}"' in block]


@pytest.mark.parametrize("kind", KINDS)
def test_the_documented_example_is_accepted(kind: str) -> None:
    (block,) = _documented(kind)
    sections = [section for section in tomllib.loads(block)["source"] if section["kind"] == kind]
    (settings,) = [source_settings(section, 1, Secrets({}, ()), Configuration()) for section in sections]
    module = live_source(kind)
    assert kind == module.KIND
    assert len(module.permissions(settings).split()) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_documented_by_an_example_that_is_accepted(kind: str) -> None:
    for option in live_source(kind).OPTIONS:
        value = tomllib.loads(f"value = {option.example}")["value"]
        assert option.meaning
        assert not option.choices or value in option.choices
