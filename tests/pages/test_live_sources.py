"""Live sources on the page Data: where each stands, and a sync started from the browser, against a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.live.sync_records import SyncRecords
from pages import _data
from pages.operate._background_sync import last_sync
from tests.connectors.live.aws_server import KEY_ID, SECRET, TOKEN, Aws, aws_server, bucket_section, configured
from tests.connectors.live.test_aws_exports import deliver, lines
from tests.pages.product import open_product, words

PAGE = "operate/data.py"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server() as server:
        server.client("s3").create_bucket(Bucket="bills")
        yield server


@pytest.fixture
def configure(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in (("ID", KEY_ID), ("SECRET", SECRET), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"PERCALL_TEST_{name}", value)
    path = configured(tmp_path, bucket_section(aws), 'name = "typo"\nkind = "aws-exprot"')
    monkeypatch.setenv(_data.CONFIG_VARIABLE, str(path))
    _data.configuration.cache_clear()
    return path


def test_sync_now_runs_in_the_background_and_tells_what_became_of_it(
    aws: Aws, configure: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(aws, "2026-01", {"cur-1.csv.gz": lines("2026-01", "1.25", "2.50")})
    app = open_product(monkeypatch, empty_store, PAGE)
    table = app.dataframe[0].value
    assert table["source"].tolist() == ["aws", "typo"]
    assert table["state"].tolist() == ["○ never synced", "✕ cannot be used"]
    assert "unknown kind of source 'aws-exprot'" in table["message"].tolist()[1]

    app.button(key="sync_now").click().run()
    assert not app.exception
    sync = last_sync()
    assert sync is not None
    assert sync.ended.wait(60)
    app.run()
    assert not app.exception
    assert "2 rows were stored. typo: " in words(app)
    assert "# 1 source, data to 2 January 2026" in words(app)
    (live,) = [one.value for one in app.dataframe if "next_run" in one.value.columns]
    assert live["state"].tolist() == ["● fine", "✕ cannot be used"]
    assert live["rows_kept"].tolist()[0] == 2


def test_a_run_whose_process_died_is_no_running_one(
    configure: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = SyncRecords(empty_store)
    at = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    records.end(
        records.start("aws", "aws-export"), "fine", rows_kept=7, rows_rejected=0, batches=1, message="", next_at=at
    )
    app = open_product(monkeypatch, empty_store, PAGE)
    table = app.dataframe[0].value
    assert table["state"].tolist()[0] == "● fine"
    assert table["next_run"].notna().tolist() == [True, False]
    records.start("aws", "aws-export")
    app.run()
    assert app.dataframe[0].value["state"].tolist()[0] == "◐ interrupted"


def test_without_sources_the_page_says_how_to_connect_one(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, empty_store, PAGE)
    assert "docs/how-to-connect.md" in words(app)
    assert not [button for button in app.button if button.key == "sync_now"]
