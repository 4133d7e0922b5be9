"""What goes wrong beyond this machine: an engine that is away, a publication that is killed, two at once, a month that is replaced."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from pages import _data
from tests.engines.clickhouse_server import PASSWORD, USER, serving
from tests.engines.drawing import forget
from tests.engines.test_publishing import engines, two_months
from tests.operations.command import PERCALL, environment, percall, percall_process
from tests.pages.product import SHELL, words
from warehouse.configuration import Configuration
from warehouse.engines.publishing import Published, publish
from warehouse.engines.reading import connected
from warehouse.engines.settings import engine_settings
from warehouse.rollups import ROLLUPS

SECRET = "TEST_CLICKHOUSE_PASSWORD"
Rows = list[tuple[Any, ...]]


def test_a_page_says_that_the_engine_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_clickhouse: Configuration
) -> None:
    """A session that is open when the server goes, and comes back."""
    assert on_clickhouse
    store, path = two_months(tmp_path / "store"), tmp_path / "percall.toml"
    monkeypatch.setenv(SECRET, PASSWORD)
    monkeypatch.setenv(_data.STORE_VARIABLE, str(store))
    monkeypatch.setenv(_data.CONFIG_VARIABLE, str(path))
    config.set_option("server.address", "127.0.0.1")
    forget()
    with serving() as url:
        entries = {"kind": "clickhouse", "url": url, "user": USER, "password_env": SECRET, "database": "away"}
        path.write_text("[engine]\n" + "".join(f'{name} = "{value}"\n' for name, value in entries.items()))
        publish(store, Configuration(engine=entries))
        app = AppTest.from_file(str(SHELL), default_timeout=60).run()
        assert not app.error
        drawn = words(app)
        assert "$" in drawn
    app.run()
    assert not app.exception
    assert [message.value.replace("\\", "") for message in app.error] == [
        f"ClickHouse at {url} does not answer ([Errno 111] Connection refused): check [engine] url in percall.toml, and that it runs"
    ]
    with serving(int(url.rpartition(":")[2])):
        app.run()
    assert not app.error
    assert words(app) == drawn
    forget()


def killed_while_publishing(store: Path, configured: Path, after: int) -> None:
    """Start `percall engine publish` and kill -9 it when it begins to write the file after these many."""
    command = [str(PERCALL), "--store", str(store), "--config", str(configured), "engine", "publish"]
    pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=environment(), cwd=store, **pipes) as process:
        assert process.stderr
        for number, line in enumerate(process.stderr):
            assert "Publishing" in line, line
            if number == after:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


def published_rows(configuration: Configuration) -> dict[str, Rows]:
    """All rows of the newest publication on files, by table, read without Spark."""
    settings = engine_settings(configuration)
    assert settings
    newest = connected(settings).publications()[0]
    files = {
        table: [str(Path(settings.location) / table / part / "part.parquet") for part in parts]
        for table, parts in newest.parts.items()
        if parts
    }
    return {table: duckdb.sql(f"FROM read_parquet({paths}) ORDER BY ALL").fetchall() for table, paths in files.items()}


@pytest.mark.parametrize("after", [0, 3])
def test_killed_while_publishing_to_files(after: int, tmp_path: Path) -> None:
    """The first publication never appears by half; a later one leaves the one before as it was; the next attempt brings all."""
    configuration, configured = engines(tmp_path)["spark"], tmp_path / "percall.toml"
    configured.write_text(f'engine = "local[1]?location={tmp_path / "published"}"\n')
    store = two_months(tmp_path / "store")
    engine = connected(engine_settings(configuration))  # type: ignore[arg-type]
    killed_while_publishing(store, configured, after)
    assert engine.publications() == []
    first = publish(store, configuration)
    rows = published_rows(configuration)
    undisturbed = engines(tmp_path / "undisturbed")["spark"]
    publish(store, undisturbed)
    assert rows == published_rows(undisturbed)
    two_months(store, may="4")
    killed_while_publishing(store, configured, after)
    assert engine.publications() == [first.publication]
    assert published_rows(configuration) == rows
    publish(store, configuration)
    publish(store, undisturbed)
    assert published_rows(configuration) == published_rows(undisturbed) != rows


def test_killed_while_publishing_to_clickhouse(tmp_path: Path, on_clickhouse: Configuration) -> None:
    """Each command is a process of its own, as the folder of ClickHouse's engine belongs to one process at a time."""
    assert on_clickhouse
    store, configured = two_months(tmp_path / "store"), tmp_path / "percall.toml"
    configured.write_text(f'engine = "chdb:{tmp_path / "clickhouse"}"\n')
    killed_while_publishing(store, configured, 3)
    asked = ("export", "charges", "--format", "json")
    here = percall(*asked, store=store)
    there = ("--store", store, "--config", configured)
    done = percall_process(*there, "engine", "publish", folder=tmp_path)
    assert (done.code, done.json["parts_unchanged"]) == (0, 0), done.err
    answer = percall_process(*there, *asked, folder=tmp_path)
    assert (answer.code, answer.out) == (0, here.out), answer.err


@pytest.mark.parametrize("engine", ["clickhouse", "spark"])
def test_two_publications_at_once(engine: str, tmp_path: Path, on_clickhouse: Configuration) -> None:
    """One of them writes everything, the other nothing."""
    assert on_clickhouse
    configuration, store = engines(tmp_path)[engine], two_months(tmp_path / "store")
    done: list[Published] = []
    threads = [threading.Thread(target=lambda: done.append(publish(store, configuration))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, other = sorted(done, key=lambda published: published.written)
    assert (one.written, one.kept) == (0, other.written)
    assert one.publication == other.publication
    settings = engine_settings(configuration)
    assert settings
    assert connected(settings).publications() == [one.publication]


def test_a_month_that_is_replaced(tmp_path: Path, on_clickhouse: Configuration) -> None:
    """What a load changes is published with it: that month's parts, and no other's."""
    assert on_clickhouse
    configured = tmp_path / "percall.toml"
    configured.write_text(
        f'[engine]\nkind = "clickhouse"\nurl = "chdb:"\ndatabase = "replaced_{abs(hash(tmp_path))}"\n'
    )
    store, asked = tmp_path / "store", ("export", "costs", "--grain", "month", "--format", "json")

    def load(month: str, cost: str) -> str:
        file = tmp_path / f"{month}.jsonl"
        call = {
            "call_id": f"c-{month}", "started_at": f"{month}-10T12:00:00Z", "provider": "openai", "model": "gpt-4o", "feature": "search",
            "uncached_input_tokens": 1000, "output_tokens": 100, "cost": cost,
        }  # fmt: skip
        file.write_text(json.dumps(call) + "\n")
        answer = percall("load", "calls", file, store=store, config=configured)
        assert answer.code == 0, answer.err
        here, there = percall(*asked, store=store), percall(*asked, store=store, config=configured)
        assert here.out == there.out
        return answer.err + there.out.decode()

    assert "Published to clickhouse" in load("2026-04", "1.5")
    load("2026-05", "2.5")
    told = load("2026-05", "4.25")
    assert f"{2 + len(ROLLUPS['calls'])} unchanged" in told
    assert [row["cost"].rstrip("0") for row in json.loads(told[told.index("[") :])] == ["1.5", "4.25"]


def test_the_doctor_looks_at_the_engine(tmp_path: Path) -> None:
    """Before anything is published, when it is behind, when it is level, and when it does not answer."""
    store, configured = two_months(tmp_path / "store"), tmp_path / "percall.toml"
    configured.write_text(f'engine = "local[1]?location={tmp_path / "published"}"\n')

    def told() -> list[tuple[str, str]]:
        answer = percall("doctor", "--format", "json", store=store, config=configured)
        return [(one["level"], one["message"]) for one in answer.json if one["section"] == "engine"]

    assert told() == [("warning", "nothing is published there yet, and the store answers itself")]
    for message in (
        "answers with snapshot-000001",
        "it has snapshot-000001, the store snapshot-000002: pages are behind",
    ):
        if message.startswith("answers"):
            percall("engine", "publish", store=store, config=configured)
        else:
            two_months(store, may="4")
        assert [said for _, said in told()] == [message]
    configured.write_text('engine = "clickhouse://127.0.0.1:9"\n')
    ((level, message),) = told()
    assert (level, "does not answer" in message) == ("problem", True)
