"""What is written when, and what readers see of it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from tests.analytics.facts import call, charge
from tests.analytics.stored import store_of
from warehouse.configuration import Configuration
from warehouse.engines.publishing import publish
from warehouse.engines.reading import connected, open_published
from warehouse.engines.settings import engine_settings
from warehouse.errors import InputError, StoreError
from warehouse.reader import Warehouse, current_id, open_current, open_snapshot
from warehouse.tag_rules import read_tag_rules


def engines(tmp_path: Path, **entries: object) -> dict[str, Configuration]:
    """Both engines, empty, by name: Spark's side of publishing needs no cluster."""
    database = f"p{abs(hash(str(tmp_path)))}"
    spark = {"kind": "spark", "url": "local[1]", "location": str(tmp_path / "published")}
    return {
        "clickhouse": Configuration(engine={"kind": "clickhouse", "url": "chdb:", "database": database, **entries}),
        "spark": Configuration(engine={**spark, **entries}),
    }


def two_months(path: Path, may: str = "2.50") -> Path:
    """A store with a call and a bill in April and in May."""
    return store_of(
        path, [call("2026-04-10", "1"), call("2026-05-10", may)], [charge("2026-04-10", "7"), charge("2026-05-10", "9")]
    )


@pytest.mark.parametrize("engine", ["clickhouse", "spark"])
def test_only_what_changed_is_written(engine: str, tmp_path: Path, on_clickhouse: Configuration) -> None:
    assert on_clickhouse
    configuration = engines(tmp_path)[engine]
    store = two_months(tmp_path / "store")
    first = publish(store, configuration)
    assert (first.kept, first.rows > 0) == (0, True)
    again = publish(store, configuration)
    assert (again.written, again.rows, again.publication) == (0, 0, first.publication)
    rules = read_tag_rules([{"name": "r", "dimension": "team", "value": "x", "match": {"feature": "search"}}], "test")
    changed = publish(store, Configuration(engine=configuration.engine, virtual_tags=rules))
    assert changed.written == first.written
    assert changed.publication.snapshot_id == first.publication.snapshot_id
    assert changed.publication.publication_id != first.publication.publication_id
    known = connected(engine_settings(configuration)).publications()  # type: ignore[arg-type]
    assert [one.publication_id for one in known] == [
        changed.publication.publication_id,
        first.publication.publication_id,
    ]


def test_what_people_wrote_stays_in_the_store(tmp_path: Path, on_clickhouse: Configuration) -> None:
    assert on_clickhouse
    configuration = engines(tmp_path)["clickhouse"]
    text = {
        "call_id": "c0", "source": "calls", "started_at": datetime(2026, 5, 10), "feature": "search", "text_normalised": "my secret question",
        "load_id": 1,
    }  # fmt: skip
    store = store_of(tmp_path / "store", [call("2026-05-10", "1")], call_texts=[text])
    kept = open_current(store, Configuration())
    assert kept.frame(kept.table("call_texts"))["text_normalised"].tolist() == ["my secret question"]
    publish(store, configuration)
    there = open_current(store, configuration)
    assert len(there.frame(there.table("call_texts"))) == 0
    assert len(there.frame(there.table("calls"))) == 1


def test_virtual_tags_count_as_published(tmp_path: Path, on_clickhouse: Configuration) -> None:
    assert on_clickhouse
    configuration = engines(tmp_path)["clickhouse"]
    store = two_months(tmp_path / "store")
    rules = read_tag_rules(
        [{"name": "r", "dimension": "team", "value": "blue", "match": {"feature": "search"}}], "test"
    )
    publish(store, Configuration(engine=configuration.engine, virtual_tags=rules))
    assert open_current(store, configuration).dimension_values("team") == ["blue"]


def test_a_reader_keeps_what_it_opened(tmp_path: Path, on_clickhouse: Configuration) -> None:
    assert on_clickhouse
    configuration = engines(tmp_path)["clickhouse"]
    publish(two_months(tmp_path / "one"), configuration)
    reader = open_current(tmp_path / "nowhere", configuration)
    publish(two_months(tmp_path / "two", may="4"), configuration)

    def cost(warehouse: Warehouse) -> str:
        calls = warehouse.table("calls")
        return str(warehouse.row(calls.agg(cost=calls.cost.sum()))["cost"].normalize())

    assert cost(reader) == "3.5"
    assert cost(open_current(tmp_path / "nowhere", configuration)) == "5"


def test_without_a_publication_the_store_answers(tmp_path: Path, on_clickhouse: Configuration) -> None:
    assert on_clickhouse
    configuration = engines(tmp_path)["clickhouse"]
    store = two_months(tmp_path / "store")
    assert open_published(store, configuration) is None
    assert current_id(store, configuration) == "snapshot-000001"
    assert open_current(store, configuration).span() == (date(2026, 4, 10), date(2026, 5, 10))
    done = publish(store, configuration)
    assert current_id(store, configuration) == done.publication.publication_id
    opened = open_snapshot(store, "snapshot-000001", configuration)
    assert type(opened).__name__ == "EngineWarehouse"


def test_other_settings_than_published_are_refused_in_words(tmp_path: Path, on_clickhouse: Configuration) -> None:
    assert on_clickhouse
    configuration = engines(tmp_path)["clickhouse"]
    publish(two_months(tmp_path / "store"), configuration)
    elsewhere = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh", engine=configuration.engine)
    with pytest.raises(StoreError, match="percall engine publish"):
        open_current(tmp_path / "store", elsewhere)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"kind": "oracle"}, "choose duckdb, clickhouse, spark"),
        ({"kind": "clickhouse"}, "needs an address"),
        ({"kind": "spark", "url": "local[2]"}, "a folder that every worker sees"),
        ({"kind": "spark", "url": "local[2]", "place": "x"}, "unknown setting 'place'"),
        ({"kind": "clickhouse", "url": "http://h:1", "publish": "yes"}, "publish = true"),
        ({"kind": "clickhouse", "url": "http://h:1", "database": "a b"}, "letters, digits and underscores"),
    ],
)
def test_settings_that_cannot_be_used(entries: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        engine_settings(Configuration(engine=entries))


def test_a_server_that_is_away_is_said(tmp_path: Path) -> None:
    configuration = Configuration(engine={"kind": "clickhouse", "url": "http://127.0.0.1:9"})
    with pytest.raises(StoreError, match="does not answer"):
        open_current(tmp_path / "store", configuration)
