"""How percall.toml names an engine: in one line, or as a section; and what is said when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.configuration import read_configuration
from warehouse.engines.settings import EngineSettings, engine_settings
from warehouse.errors import InputError


def read(folder: Path, text: str) -> EngineSettings | None:
    path = folder / "percall.toml"
    path.write_text(text)
    return engine_settings(read_configuration(path))


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("clickhouse://ch.internal", EngineSettings("clickhouse", "http://ch.internal:8123")),
        (
            "clickhouse://reader@ch.internal:9000/costs?password_env=CH_PASSWORD&publish=false&max_threads=4",
            EngineSettings(
                "clickhouse", "http://ch.internal:9000", "costs", user="reader", password_env="CH_PASSWORD", publish=False,
                options={"max_threads": "4"},
            ),
        ),
        ("clickhouses://ch.internal", EngineSettings("clickhouse", "https://ch.internal:8443")),
        ("clickhouses://a%40b@[::1]:1/d", EngineSettings("clickhouse", "https://[::1]:1", "d", user="a@b")),
        ("chdb:/var/lib/ch", EngineSettings("clickhouse", "chdb:/var/lib/ch")),
        (
            "spark://master:7077?location=/shared/percall&spark.executor.memory=8g",
            EngineSettings(
                "spark", "spark://master:7077", location="/shared/percall", options={"spark.executor.memory": "8g"}
            ),
        ),
        (
            "sc://host:15002?location=s3://bucket/percall",
            EngineSettings("spark", "sc://host:15002", location="s3://bucket/percall"),
        ),
        ("local[2]?location=/tmp/x", EngineSettings("spark", "local[2]", location="/tmp/x")),
        ("duckdb", None),
    ],
)  # fmt: skip
def test_in_one_line(line: str, meant: EngineSettings | None, tmp_path: Path) -> None:
    assert read(tmp_path, f'engine = "{line}"\n[percall]\nreporting_currency = "USD"\n') == meant
    assert read(tmp_path, f'[percall]\nengine = "{line}"\n') == meant


def test_a_line_and_options_beside_it(tmp_path: Path) -> None:
    text = '[engine]\nconnection = "clickhouse://h?a=1&b=2"\ndatabase = "costs"\noptions = { b = 3 }\n'
    assert read(tmp_path, text) == EngineSettings("clickhouse", "http://h:8123", "costs", options={"a": "1", "b": "3"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('engine = "oracle://h"', "names no engine; write engine ="),
        ('engine = "clickhouse://reader:secret@h"', "a password does not belong into this file"),
        ('engine = "clickhouse://"', "names no host"),
        ('engine = "clickhouse://h:port"', "is no address"),
        ('engine = "spark://master:7077"', "a folder that every worker sees"),
        ('engine = "clickhouse://h/a%20b"', "letters, digits and underscores"),
        ('engine = "clickhouse://h?publish=perhaps"', "publish = true"),
        ("engine = 1", r"below a line \[engine\]"),
        ("[percall]\nengine = 1", "write engine ="),
        ("[engine]\nconnection = 1", "write engine ="),
        ('[engine]\nconnection = "clickhouse://h"\noptions = "x"', "write options ="),
    ],
)
def test_a_line_that_cannot_be_used(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence) as raised:
        read(tmp_path, text)
    assert "secret" not in str(raised.value)
    assert str(tmp_path / "percall.toml") in str(raised.value)
