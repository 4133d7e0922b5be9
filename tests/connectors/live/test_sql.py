"""Activity and revenue by a query on a real PostgreSQL: read only, month by month, columns and periods checked."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.live import sql
from connectors.live.source import Window
from connectors.live.sql_query import bound
from tests.connectors.live.stored import Sync, rows, settings_of, total
from tests.postgres import Postgres, postgres_server  # noqa: F401 - a fixture
from warehouse.errors import InputError, SourceError

D = Decimal
NOW = datetime(2026, 4, 10, 12)
ACTIVE = "SELECT at::date AS date, user_id, tier AS user_tier FROM logins WHERE at >= :since AND at < :until GROUP BY 1, 2, 3"
SOLD = "SELECT day AS date, feature, amount, currency FROM sales WHERE day >= :since AND day < :until -- 50% :since"


@pytest.fixture
def product(postgres_server: Postgres, request: pytest.FixtureRequest) -> Postgres:  # noqa: F811
    """A product's database, and a role that may read two of its tables."""
    postgres_server.run(
        """DROP TABLE IF EXISTS logins, sales, secrets CASCADE;
           CREATE TABLE logins (at timestamptz, user_id text, tier text);
           CREATE TABLE sales (day date, feature text, amount numeric(20, 6), currency text);
           CREATE TABLE secrets (day date, amount int, currency text);
           DO $$ BEGIN CREATE ROLE percall LOGIN PASSWORD 'open sesame'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
           GRANT SELECT ON logins, sales TO percall;"""
    )
    return postgres_server


def sync_of(
    server: Postgres, tmp_path: Path, table: str, query: str, password: str = "open%20sesame", **options: Any
) -> Sync:
    url = server.url_of("postgres", "percall", password)
    settings = settings_of("sql", {"URL": url}, url_env="URL", table=table, query=query, history_days=60, **options)
    return Sync(tmp_path / "store", settings, tmp_path / "fetched")


def test_revenue_month_by_month_and_again(product: Postgres, tmp_path: Path) -> None:
    product.run(
        """INSERT INTO sales VALUES ('2026-02-28', 'search', 10.000001, 'USD'), ('2026-03-01', 'search', 20, 'USD'),
           ('2026-03-31', NULL, 30.5, 'USD'), ('2026-04-02', 'chat', 5, 'EUR'), ('2025-01-01', 'old', 999, 'USD')"""
    )
    sync = sync_of(product, tmp_path, "revenue", SOLD)
    sync.run(NOW)
    assert total(sync.store, "revenue", "amount") == D("65.500001")
    assert sync.position["months"] == ["2026-02", "2026-03", "2026-04"]
    product.run("UPDATE sales SET amount = 6 WHERE feature = 'chat'; DELETE FROM sales WHERE day = '2026-03-01'")
    sync.run(NOW)
    assert [batch.what for batch in sync.batches] == ["2026-04"]
    assert total(sync.store, "revenue", "amount") == D("66.500001")
    # A whole month that is gone is told as nothing, not kept for ever.
    product.run("DELETE FROM sales WHERE day >= '2026-03-01'")
    sync.run(NOW, since=datetime(2026, 3, 1))
    assert total(sync.store, "revenue", "amount") == D("10.000001")


def test_days_are_cut_in_the_zone_that_is_asked_for(product: Postgres, tmp_path: Path) -> None:
    product.run(
        """INSERT INTO logins VALUES ('2026-03-31T20:00Z', 'u1', 'pro'), ('2026-03-31T10:00Z', 'u2', 'free'),
           ('2026-03-31T11:00Z', 'u2', 'free')"""
    )
    sync = sync_of(product, tmp_path, "activity", ACTIVE, time_zone="Asia/Ho_Chi_Minh")
    sync.run(NOW)
    found = {
        (str(row["date"])[:10], row["user_id"], row["user_tier"], row["active_users"])
        for row in rows(sync.store, "activity")
    }
    assert found == {("2026-04-01", "u1", "pro", 1), ("2026-03-31", "u2", "free", 1)}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("SELECT day AS date, amount, currency FROM sales WHERE day >= :since AND day <= :until", "the query answers a row of 2026-03-01"),
        ("SELECT day AS date, amount FROM sales WHERE day >= :since AND day < :until", "revenue needs currency: name a column so"),
        ("SELECT day AS date, amount, currency FROM secrets WHERE day >= :since AND day < :until", "GRANT SELECT on it to the role of URL"),
        ("SELECT nothing FROM sales WHERE day >= :since AND day < :until", 'column "nothing" does not exist'),
        ("SELECT day AS date, amount, currency, pg_sleep(3) FROM sales WHERE day >= :since AND day < :until", "took longer than 1 s"),
        ("DELETE FROM sales WHERE day >= :since AND day < :until RETURNING day", "correct it in percall.toml"),
        ("SELECT day AS date, amount, currency FROM sales WHERE day >= :since AND day < :until; DROP TABLE sales", "cannot"),
        ("SELECT day AS date, set_config('a.b', nextval('s')::text, true) FROM sales WHERE day >= :since AND day < :until", "cannot answer"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_query_is_said(product: Postgres, tmp_path: Path, query: str, sentence: str) -> None:
    product.run("INSERT INTO sales VALUES ('2026-02-10', 'search', 1, 'USD'), ('2026-03-01', 'search', 1, 'USD')")
    sync = sync_of(product, tmp_path, "revenue", query, statement_timeout=1)
    with pytest.raises(SourceError) as caught:
        sync.run(NOW)
    assert sentence in str(caught.value)
    assert product.run("SELECT count(*) FROM sales") == [(2,)]


def test_a_query_without_bounds_is_refused(product: Postgres, tmp_path: Path) -> None:
    sync = sync_of(
        product, tmp_path, "revenue", "SELECT day AS date, amount, currency FROM sales WHERE ':since' < :until"
    )
    with pytest.raises(InputError, match="lacks :since"):
        sync.run(NOW)


def test_check_and_plan(product: Postgres, tmp_path: Path) -> None:
    query = SOLD.replace("feature,", "feature, 'x' AS mood,")
    sync = sync_of(product, tmp_path, "revenue", query)
    assert [finding.level for finding in sql.check(sync.settings)] == ["fine", "warning"]
    assert [item.partition for item in sql.plan(sync.settings, {}, Window(NOW))] == ["2026-02", "2026-03", "2026-04"]
    (wrong,) = sql.check(sync_of(product, tmp_path, "revenue", SOLD, password="of%20old").settings)
    assert wrong.level == "problem"
    assert "does not accept the credentials of URL" in wrong.message
    assert "of%20old" not in wrong.message


def test_a_database_that_is_away_is_tried_again(tmp_path: Path) -> None:
    settings = settings_of(
        "sql", {"URL": "postgresql://u:hidden-word@127.0.0.1:9/x"}, url_env="URL", table="revenue", query=SOLD
    )
    (finding,) = sql.check(settings)
    assert finding.level == "problem"
    assert "hidden-word" not in finding.message
    assert "Connection refused" in finding.message
    with pytest.raises(SourceError) as caught:
        Sync(tmp_path / "store", settings, tmp_path / "fetched").run(NOW)
    assert caught.value.retry


def test_bounds_are_found_where_they_mean_something() -> None:
    query = "SELECT ':since', \":until\", a::date, $x$ :since $x$, 5 % 2 /* :until */ FROM t WHERE d >= :since AND d < :until; -- :since"
    text, used = bound(query)
    assert used == {"since", "until"}
    assert text.count("%(since)s") == text.count("%(until)s") == 1
    assert "5 %% 2" in text
    assert "a::date" in text
