"""Kinds are told by content; what cannot be told is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.detection import KINDS, connector_for, detect_kind
from connectors.files import inspect
from connectors.plain import template
from tests.connectors.reading import DATA, read_text
from warehouse.errors import InputError

EXPECTED = [
    ("focus/*", "focus"),
    ("aws_cur*", "aws-cur"),
    ("litellm/standard*", "litellm"),
    ("litellm/spend*", "litellm"),
    ("langfuse/blob*", "langfuse-export"),
    ("langfuse/*scores*", "langfuse-export"),
    ("*/*otlp*", "otel"),
]
SAMPLES = [(path, kind) for pattern, kind in EXPECTED for path in sorted(DATA.glob(pattern))]


@pytest.mark.parametrize(("path", "kind"), SAMPLES, ids=lambda value: getattr(value, "name", value))
def test_real_files_are_recognised_whatever_their_name(tmp_path, path, kind):
    renamed = tmp_path / "data.txt"
    renamed.write_bytes(path.read_bytes())
    assert detect_kind(inspect(renamed, tmp_path / "scratch")) == kind


@pytest.mark.parametrize("kind", ["calls", "activity", "revenue", "utilization", "prices", "fx", "focus"])
@pytest.mark.parametrize("style", [str.upper, lambda name: name.replace("_", " "), lambda name: name.replace("_", "")])
def test_headers_in_any_spelling(tmp_path, kind, style):
    header, _, rows = template(kind).partition("\n")
    assert read_text(tmp_path, style(header) + "\n" + rows).extraction.kind == kind


def test_plain_tables_as_json_lines(tmp_path):
    (tmp_path / "x").write_text(json.dumps({"date": "2026-03-02", "amount": 1, "currency": "USD"}))
    assert detect_kind(inspect(tmp_path / "x", tmp_path)) == "revenue"


def test_every_kind_has_a_connector_of_its_name():
    for name in KINDS:
        assert name == connector_for(name).KIND
    with pytest.raises(InputError, match="there is no kind 'invoice'; known are focus, aws-cur"):
        connector_for("invoice")


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "just words\nand more\n", '{"data": []}', "timestamp,value\n2026-03-02,5\n", '["a"]']
)
def test_what_nobody_knows_is_refused_with_what_would_tell(tmp_path, text):
    path = tmp_path / "notes.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        detect_kind(inspect(path, tmp_path / "scratch"))
    message = str(caught.value)
    assert message.startswith("notes.csv: cannot tell what this file is")
    assert all(name in message for name in KINDS)


def test_two_kinds_at_once_are_refused(tmp_path):
    path = tmp_path / "both.csv"
    path.write_text("date,user_id,hour,resource\n")
    file = inspect(path, tmp_path / "scratch")
    with pytest.raises(InputError, match=r"both\.csv: this file may be activity or utilization; name the kind"):
        detect_kind(file)


@pytest.mark.parametrize(("kind", "text"), [("focus", "a,b\n1,2\n"), ("calls", "a\n1\n"), ("fx", template("prices"))])
def test_a_file_of_the_wrong_kind_is_refused(tmp_path: Path, kind, text):
    with pytest.raises(InputError, match="needs the column"):
        read_text(tmp_path, text, kind)
