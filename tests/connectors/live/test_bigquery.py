"""The billing export in BigQuery, read by Google's own client from a service on loopback."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.live import bigquery
from connectors.live.source import Window
from tests.connectors.billing import SHARED
from tests.connectors.live.bigquery_service import PAIRS, STANDARD, FakeTable, column
from tests.connectors.live.loopback import Reply, loopback
from tests.connectors.live.stored import Sync, rows, settings_of, total
from warehouse.errors import SourceError

D = Decimal
NOW = datetime(2026, 3, 20, 12)
ERROR_503 = Reply({"error": {"code": 503, "message": "try again"}}, 503)


def line(export: datetime, cost: float, sku: str = "S-1", month: str = "202603", **more: Any) -> dict[str, Any]:
    """One row of the standard table."""
    return {
        "billing_account_id": "01AAAA-BBBBBB-CCCCCC",
        "service": {"id": "C7E2", "description": "Vertex AI"},
        "sku": {"id": sku, "description": "Gemini 2.5 Flash GA Text Input - Predictions"},
        "usage_start_time": datetime(2026, 3, 1, 10),
        "usage_end_time": datetime(2026, 3, 1, 11),
        "project": {"id": "chat-prod", "name": "Chat", "labels": [{"key": "team", "value": "ai"}]},
        "labels": [{"key": "feature", "value": "search"}],
        "system_labels": [],
        "location": {"location": "eu", "country": None, "region": "europe-west1", "zone": None},
        "export_time": export,
        "cost": cost,
        "currency": "USD",
        "currency_conversion_rate": 1.0,
        "usage": {"amount": 10.0, "unit": "count", "amount_in_pricing_units": 10.0, "pricing_unit": "count"},
        "credits": [],
        "invoice": {"month": month},
        "cost_type": "regular",
    } | more


@contextmanager
def syncing(table: FakeTable, tmp_path: Path, **options: Any) -> Iterator[Sync]:
    with loopback(table) as service:
        settings = settings_of("bigquery", table="p.billing.t", api_endpoint=service.url, timeout=3, **options)
        yield Sync(tmp_path / "store", settings, tmp_path / "fetched")


def test_days_add_up_and_what_is_read_again_replaces_itself(tmp_path: Path) -> None:
    # The same facts on every day of export, as corrections are: nothing but the day tells them apart.
    table = FakeTable(STANDARD, [line(datetime(2026, 3, day, 8), 0.1) for day in (2, 16, 17, 18)])
    with syncing(table, tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("0.4")
        (batch,) = sync.batches
        assert len(batch.paths) == 4
        assert batch.position["slices"]["2026-03-18"] == [1, "2026-03-18 08:00:00"]
        sync.run(NOW)
        assert sync.batches == []  # nothing grew: nothing is read
        # Late rows of a day that is known, a new day, and a row older than the overlap.
        table.rows += [line(datetime(2026, 3, 17, 23), 5.0), line(datetime(2026, 3, 19, 1), 7.0)]
        table.rows.append(line(datetime(2026, 3, 3, 23), 100.0))
        sync.run(NOW)
        assert [path.name for path in sync.batches[0].paths] == [
            "live@2026-03-17.jsonl.gz",
            "live@2026-03-19.jsonl.gz",
        ]
        assert total(sync.store, "charges", "BilledCost") == D("12.4")
        sync.run(NOW, since=datetime(2026, 3, 1))
        assert total(sync.store, "charges", "BilledCost") == D("112.4")


def test_killed_after_the_load_and_before_the_position_is_remembered(tmp_path: Path) -> None:
    table = FakeTable(STANDARD, [line(datetime(2026, 3, day, 8), 0.25) for day in range(2, 6)])
    with syncing(table, tmp_path) as sync:
        sync.run(NOW, most=1)
        assert sync.position == {}
        table.rows.append(line(datetime(2026, 3, 5, 9), 0.5))
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("1.5")
        assert len(rows(sync.store, "charges")) == 5


def test_an_invoice_month_takes_rows_of_many_days_of_export(tmp_path: Path) -> None:
    table = FakeTable(
        STANDARD,
        [
            line(datetime(2026, 3, 31, 8), 10.0),
            line(datetime(2026, 4, 2, 8), -10.0),
            line(datetime(2026, 4, 2, 8), 9.0),
            line(datetime(2026, 4, 2, 9), 4.0, month="202604"),
        ],
    )
    with syncing(table, tmp_path) as sync:
        sync.run(datetime(2026, 4, 3))
        months: dict[str, Decimal] = {}
        for row in rows(sync.store, "charges"):
            key = f"{row['BillingPeriodStart']:%Y-%m}"
            months[key] = months.get(key, D(0)) + row["BilledCost"]
        assert months == {"2026-03": D(9), "2026-04": D(4)}


def test_only_columns_that_exist_are_asked_for_and_only_partitions_that_matter(tmp_path: Path) -> None:
    # A row that was exported late lies in the partition of another day.
    late = line(datetime(2026, 3, 18, 8), 3.0)
    others = [line(datetime(2026, 3, 18, 9), 1.0), line(datetime(2026, 3, 10, 9), 2.0)]
    table = FakeTable(
        [item for item in STANDARD if item["name"] not in ("system_labels", "currency_conversion_rate")],
        [late, *others],
        loaded=lambda row: date(2026, 2, 11) if row["cost"] == 3.0 else row["export_time"].date(),
    )
    with syncing(table, tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D(6)
        table.rows.append(line(datetime(2026, 3, 18, 10), 0.5))
        table.bytes_per_row = 1
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("6.5")
    assert "system_labels" not in table.queries[1]
    assert "_PARTITIONTIME IN UNNEST(@partitions)" in table.queries[1]


@pytest.mark.parametrize("path", [p for p in [SHARED / "gcp_standard_2020-10_nested.jsonl.gz"] if p.exists()])
def test_the_published_month_through_bigquery(tmp_path: Path, path: Path) -> None:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        found = [json.loads(text) for text in stream]
    for row in found:
        for name in ("usage_start_time", "usage_end_time", "export_time"):
            row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=None)
    table = FakeTable(STANDARD, found, page=50)
    with syncing(table, tmp_path, start="2020-09-01") as sync:
        sync.run(datetime(2020, 11, 5))
        assert total(sync.store, "charges", "BilledCost") == D("0.355562")
        assert len(rows(sync.store, "charges")) == 292


def test_floats_keep_the_figure_that_was_written(tmp_path: Path) -> None:
    costs = [0.1, 0.2, 1e-06, 0.000123456789, 35.2e-7, 1234567.891]
    table = FakeTable(STANDARD, [line(datetime(2026, 3, 2, 8), cost) for cost in costs])
    with syncing(table, tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("1234568.191127976789")


FOCUS = [
    *(column(name, "STRING") for name in ("BillingAccountId", "BillingCurrency", "ChargeCategory", "ServiceName")),
    *(column(name, "NUMERIC") for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")),
    *(column(name, "TIMESTAMP") for name in ("BillingPeriodStart", "BillingPeriodEnd")),
    *(column(name, "TIMESTAMP") for name in ("ChargePeriodStart", "ChargePeriodEnd")),
    column("Tags", "RECORD", PAIRS, "REPEATED"),
    column("x_Extra", "STRING"),
]


def focus_line(month: int, cost: str) -> dict[str, Any]:
    start, day = datetime(2026, month, 1), datetime(2026, month, 3)
    money = dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), D(cost))
    return money | {
        "BillingAccountId": "A", "BillingCurrency": "EUR", "ChargeCategory": "Usage", "ServiceName": "Vertex AI",
        "BillingPeriodStart": start, "BillingPeriodEnd": (start + timedelta(days=32)).replace(day=1),
        "ChargePeriodStart": day, "ChargePeriodEnd": day + timedelta(hours=1),
        "Tags": [{"key": "feature", "value": "search"}, {"key": "team", "value": "ai"}], "x_Extra": "kept",
    }  # fmt: skip


def test_the_focus_table_by_billing_month(tmp_path: Path) -> None:
    table = FakeTable(FOCUS, [focus_line(2, "10.5"), focus_line(3, "0.000000001"), focus_line(3, "2")])
    with syncing(table, tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("12.500000001")
        assert json.loads(rows(sync.store, "charges")[0]["Tags"]) == {"feature": "search", "team": "ai"}
        table.rows[1]["BilledCost"] = D("4")
        sync.run(NOW)
        assert [path.name for path in sync.batches[0].paths] == ["live@2026-03.jsonl.gz"]
        assert total(sync.store, "charges", "BilledCost") == D("16.5")


def test_a_passing_fault_is_sat_out_and_a_lasting_one_told(tmp_path: Path) -> None:
    table = FakeTable(STANDARD, [line(datetime(2026, 3, 2, 8), 1.0)], faults=[ERROR_503])
    with syncing(table, tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D(1)
        table.faults = [ERROR_503] * 30
        with pytest.raises(SourceError) as caught:
            sync.run(NOW)
        assert caught.value.retry
        table.faults = [Reply({"error": {"code": 403, "message": "Access Denied: no bigquery.jobs.create"}}, 403)]
        with pytest.raises(SourceError, match=r"roles/bigquery\.dataViewer on the dataset") as caught:
            sync.run(NOW)
        assert not caught.value.retry
        table.faults = [Reply({"error": {"code": 404, "message": "Not found: Table p:billing.t"}}, 404)]
        with pytest.raises(SourceError, match="does not exist"):
            sync.run(NOW)


def test_a_dead_service_is_given_up_after_the_timeout(tmp_path: Path) -> None:
    settings = settings_of("bigquery", table="p.billing.t", api_endpoint="http://127.0.0.1:9", timeout=1)
    with pytest.raises(SourceError, match="no usable answer") as caught:
        list(bigquery.plan(settings, {}, Window(NOW)))
    assert caught.value.retry


def test_rows_that_do_not_arrive_are_an_error_and_nothing_is_loaded(tmp_path: Path) -> None:
    table = FakeTable(STANDARD, [line(datetime(2026, 3, 2, 8), 1.0)] * 3, lose_rows=1)
    with syncing(table, tmp_path) as sync:
        with pytest.raises(SourceError, match="3 rows were counted for 2026-03-02, but only 2 arrived"):
            sync.run(NOW)
        assert sync.position == {}


def test_what_a_query_reads_is_bounded_and_shown(tmp_path: Path) -> None:
    table = FakeTable(STANDARD, [line(datetime(2026, 3, 2, 8), 1.0)] * 2, bytes_per_row=2**40)
    with syncing(table, tmp_path) as sync:
        with pytest.raises(SourceError, match=r"would read 2,199\.0 GB \(about \$12\.50\), more than max_bytes"):
            sync.run(NOW)
        planned = list(bigquery.plan(sync.settings, {}, Window(NOW)))
        assert [(item.bytes, item.cost_usd) for item in planned] == [(2**41, D("12.50"))] * 2
        assert table.queries == []


def test_check_names_what_is_wrong(tmp_path: Path) -> None:
    table = FakeTable(STANDARD, [line(datetime(2026, 3, 2, 8), 1.0)])
    with syncing(table, tmp_path) as sync:
        assert {finding.level for finding in bigquery.check(sync.settings)} == {"fine"}
        table.schema = [item for item in STANDARD if item["name"] != "cost"]
        (finding,) = bigquery.check(sync.settings)
        assert finding.level == "problem"
        assert "lacks cost" in finding.message
        table.faults = [Reply({"error": {"code": 403, "message": "Access Denied"}}, 403)]
        (finding,) = bigquery.check(sync.settings)
        assert "roles/bigquery.jobUser" in finding.remedy


def test_a_key_that_is_none_is_told_without_being_shown() -> None:
    settings = settings_of("bigquery", {"GCP_KEY": "not-json-secret"}, table="p.billing.t", credentials_env="GCP_KEY")
    (finding,) = bigquery.check(settings)
    assert "GCP_KEY holds no key" in finding.message
    assert "not-json-secret" not in finding.message
