"""LiteLLM's spend logs, read from a real PostgreSQL by a role that may only read."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import litellm
from connectors.live import litellm_database
from connectors.live.source import Window
from tests.connectors.extracted import DATA, extracted
from tests.connectors.live.stored import Sync, rows, settings_of
from tests.fakes import litellm_tables
from tests.postgres import Postgres, postgres_server
from warehouse.errors import SourceError

__all__ = ["postgres_server"]

NOW = datetime(2026, 11, 24, 9)
PASSWORD = "reader-pass-word-7"
SAMPLE_COST = Decimal("0.08212694")  # published with the sample: the failure that is missing here cost nothing


@pytest.fixture
def database(postgres_server: Postgres) -> Iterator[Postgres]:
    """The proxy's tables with the captured sample, and the role `reader`."""
    litellm_tables.make(postgres_server, "litellm")
    postgres_server.run(
        f"""CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';
            GRANT SELECT ON "LiteLLM_SpendLogs", "LiteLLM_DailyUserSpend" TO reader""",
        "litellm",
    )
    yield postgres_server
    postgres_server.run("DROP OWNED BY reader; DROP ROLE reader", "litellm")


def make_sync(database: Postgres, folder: Path, url: str | None = None, **options: Any) -> Sync:
    secrets = {"DB": url or database.url_of("litellm", "reader", PASSWORD)}
    settings = settings_of("litellm-database", secrets, **({"url_env": "DB"} | options))
    return Sync(folder / "store", settings, folder / "fetched")


def test_the_rows_are_those_of_the_copy(database: Postgres, tmp_path: Path) -> None:
    sync = make_sync(database, tmp_path)
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert len(calls) == 15
    assert sum(row["reported_cost"] for row in calls if isinstance(row["reported_cost"], Decimal)) == SAMPLE_COST
    fetched = next(sync.folder.glob("*.jsonl"))
    whole = extracted(litellm, DATA / "litellm" / "spend_logs_postgres.csv.gz", tmp_path)[0]
    short = extracted(litellm, fetched, tmp_path)[0]
    by_id = {row["call_id"]: row for row in short}
    assert {row["call_id"] for row in whole} == set(by_id)
    for row in whole:
        same = set(row) - {
            "_row",
            "input_hash",
            "prefix_blocks",
            "finish_reason",
        }  # messages and answers are not asked for
        assert {name: by_id[row["call_id"]][name] for name in same} == {name: row[name] for name in same}


def test_nothing_private_is_selected(database: Postgres, tmp_path: Path) -> None:
    database.run(
        """UPDATE "LiteLLM_SpendLogs" SET messages = '[{"role": "user", "content": "a very private question"}]', requester_ip_address = '10.1.2.3'""",
        "litellm",
    )
    sync = make_sync(database, tmp_path)
    sync.run(NOW)
    key = (
        gzip.decompress((DATA / "litellm" / "spend_logs_postgres.csv.gz").read_bytes())
        .decode()
        .splitlines()[1]
        .split(",")[2]
    )
    assert len(key) == 64
    for path in (*sync.folder.rglob("*"), *sync.store.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            for text in ("very private", "10.1.2.3", key, PASSWORD, "growth@acme.test"):
                assert text.encode() not in content, path


def test_batches_in_order_killed_and_resumed(database: Postgres, tmp_path: Path) -> None:
    litellm_tables.add(database, "litellm", 2501)
    sync = make_sync(database, tmp_path, batch_rows=1000, reread_days=0.01)
    sync.run(NOW, most=2)
    assert len(rows(sync.store, "calls")) == 2000
    assert sync.position["read_until"] < "2026-11-22T04:10:00"
    sync.run(NOW)
    stored = rows(sync.store, "calls")
    assert len(stored) == 2516
    assert sum(
        row["reported_cost"] for row in stored if isinstance(row["reported_cost"], Decimal)
    ) == SAMPLE_COST + Decimal("2.501")
    assert sync.position["read_until"] == "2026-11-24T09:00:00"


def test_late_rows_are_found_by_reading_again(database: Postgres, tmp_path: Path) -> None:
    sync = make_sync(database, tmp_path)
    sync.run(NOW)
    litellm_tables.add(database, "litellm", 3, start="2026-11-22 12:00:00", prefix="chatcmpl-late")
    litellm_tables.add(database, "litellm", 2, start="2026-11-20 12:00:00", prefix="chatcmpl-too-late")
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 18
    sync.run(NOW, since=datetime(2026, 11, 20))
    assert len(rows(sync.store, "calls")) == 20


def test_a_connection_that_breaks_is_made_again(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    litellm_tables.add(database, "litellm", 40)
    monkeypatch.setattr(
        litellm_database.attempts,
        "__kwdefaults__",
        litellm_database.attempts.__kwdefaults__ | {"pause": lambda _seconds: None},
    )
    sync = make_sync(database, tmp_path, batch_rows=20)
    settings = sync.settings
    pulled = litellm_database.pull(
        settings, {}, Window(NOW), tmp_path, lambda message, _share: sync.messages.append(message)
    )
    first = next(pulled)
    database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'percall'")
    paths = [*first.paths, *(path for batch in pulled for path in batch.paths)]
    assert sum(len(path.read_text().splitlines()) for path in paths) == 55
    assert any("waiting 1 s" in message for message in sync.messages)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('ALTER TABLE "LiteLLM_SpendLogs" RENAME COLUMN spend TO cost', "lacks the columns spend"),
        ('ALTER TABLE "LiteLLM_SpendLogs" RENAME TO "Other"', "there is no table public.LiteLLM_SpendLogs"),
        (
            """REVOKE SELECT ON "LiteLLM_SpendLogs" FROM reader;
               GRANT SELECT (request_id, spend, "startTime", model, metadata) ON "LiteLLM_SpendLogs" TO reader""",
            None,
        ),
    ],
    ids=["column-gone", "table-gone", "columns-only"],
)  # fmt: skip
def test_another_schema(database: Postgres, tmp_path: Path, change: str, words: str | None) -> None:
    database.run(change, "litellm")
    sync = make_sync(database, tmp_path)
    if words is not None:
        with pytest.raises(SourceError, match=words):
            sync.run(NOW)
        return
    sync.run(NOW)  # columns that the role may not see are as if they were not there
    assert (
        sum(row["reported_cost"] for row in rows(sync.store, "calls") if isinstance(row["reported_cost"], Decimal))
        == SAMPLE_COST
    )


def test_older_and_newer_columns(database: Postgres, tmp_path: Path) -> None:
    database.run(
        """ALTER TABLE "LiteLLM_SpendLogs" DROP COLUMN litellm_call_id, DROP COLUMN request_duration_ms, DROP COLUMN status, ADD COLUMN novelty text;
           ALTER TABLE "LiteLLM_SpendLogs" ALTER COLUMN "startTime" TYPE timestamptz USING "startTime" AT TIME ZONE 'UTC'""",
        "litellm",
    )
    sync = make_sync(database, tmp_path)
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert len(calls) == 15
    assert min(row["started_at"] for row in calls).isoformat() == "2026-11-23T20:52:30.756000"


def test_credentials_and_places_that_are_wrong(database: Postgres, tmp_path: Path) -> None:
    wrong = database.url_of("litellm", "reader", "wrong-password-9")
    with pytest.raises(SourceError, match="refuses the connection") as failed:
        make_sync(database, tmp_path, wrong).run(NOW)
    assert "wrong-password-9" not in str(failed.value)
    with pytest.raises(SourceError, match="refuses the connection"):
        make_sync(database, tmp_path, database.url_of("nowhere", "reader", PASSWORD)).run(NOW)
    database.run('REVOKE SELECT ON "LiteLLM_SpendLogs" FROM reader', "litellm")
    with pytest.raises(SourceError, match="is SELECT granted"):
        make_sync(database, tmp_path).run(NOW)


def test_a_query_that_takes_too_long(database: Postgres, tmp_path: Path) -> None:
    litellm_tables.add(database, "litellm", 60_000, seconds=1)
    sync = make_sync(database, tmp_path, statement_timeout_seconds=0.02, batch_rows=60_000)
    with pytest.raises(SourceError, match=r"longer than 0\.02 s") as failed:
        sync.run(NOW)
    assert failed.value.retry


def test_check_says_what_the_role_may_and_whether_the_sums_agree(database: Postgres, tmp_path: Path) -> None:
    settings = make_sync(database, tmp_path).settings
    litellm_tables.add(database, "litellm", 1000, start="2026-11-21 00:00:00")
    database.run("""INSERT INTO "LiteLLM_DailyUserSpend" VALUES ('1', 'u', '2026-11-21', 'k', 'm', 1.0)""", "litellm")
    assert [finding.level for finding in litellm_database.check(settings)] == ["fine", "fine"]
    database.run("""INSERT INTO "LiteLLM_DailyUserSpend" VALUES ('2', 'u', '2026-11-22', 'k', 'm', 5.0)""", "litellm")
    *_, gap = litellm_database.check(settings)
    assert (gap.level, "$1.0000, the proxy's daily totals $6.0000" in gap.message) == ("warning", True)
    everything = make_sync(database, tmp_path, database.url_of("litellm")).settings
    assert any("may also write" in finding.message for finding in litellm_database.check(everything))
    (planned,) = litellm_database.plan(settings, {}, Window(NOW))
    assert "spend log rows" in planned.what
    assert "GRANT SELECT" in litellm_database.permissions(settings)
