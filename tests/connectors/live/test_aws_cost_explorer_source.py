"""Cost Explorer as a live source: months, pages, money spent on requests, and one bill told once; against moto's real server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.live import aws_cost_explorer
from connectors.live.secrets import Secrets
from connectors.live.settings import read_sources
from connectors.live.source import SourceSettings, Window
from connectors.live.sync_records import SyncRecords
from connectors.live.syncing import Outcome, planned, sync
from tests.connectors.live.aws_server import KEY_ID, SECRET, TOKEN, Aws, aws_server, configured
from tests.connectors.live.test_aws_exports import lines, totals
from tests.connectors.test_aws_cost_explorer import MODEL_AND_USAGE, RECORD_AND_SERVICE, SERVICE_AND_USAGE, group
from tests.operations.command import percall
from warehouse.configuration import Configuration, read_configuration
from warehouse.store import Store

NOW = datetime(2026, 10, 5, 9, 0)
THROTTLED = (400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')


@pytest.fixture(scope="module")
def server() -> Iterator[Aws]:
    with aws_server() as aws:
        yield aws


@pytest.fixture
def aws(server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    server.reset()
    for name, value in (("ID", KEY_ID), ("SECRET", SECRET), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"PERCALL_TEST_{name}", value)
    return server


def section(aws: Aws, **options: object) -> str:
    values = {
        "name": "ce", "kind": "aws-cost-explorer", "endpoint_url": aws.url, "access_key_id_env": "PERCALL_TEST_ID",
        "secret_access_key_env": "PERCALL_TEST_SECRET", "session_token_env": "PERCALL_TEST_TOKEN", "payer_account_id": "111122223333",
    } | options  # fmt: skip
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())


def source(tmp_path: Path, aws: Aws, **options: object) -> tuple[SourceSettings, Configuration]:
    configuration = read_configuration(configured(tmp_path, section(aws, **options)))
    (settings,), broken = read_sources(configuration, Secrets(files=()))
    assert not broken
    return settings, configuration


def answers(aws: Aws, *pages: dict[str, Any]) -> None:
    """What AWS answers to the next questions that it was not asked before, in this order."""
    body = json.dumps({"results": list(pages)}).encode()
    request = urllib.request.Request(
        f"{aws.direct}/moto-api/static/ce/cost-and-usage-results", data=body, headers={"content-type": "application/json"}
    )  # fmt: skip
    with urllib.request.urlopen(request) as response:
        assert response.status == 201


def page(
    definitions: list[dict[str, str]], day: str, *groups: dict[str, Any], estimated: bool = False, **more: Any
) -> dict[str, Any]:
    end = f"{day[:8]}{int(day[8:]) + 1:02d}"
    result = {"TimePeriod": {"Start": day, "End": end}, "Total": {}, "Groups": list(groups), "Estimated": estimated}
    return {"GroupDefinitions": definitions, "ResultsByTime": [result], **more}


def run(store: Path, tmp_path: Path, aws: Aws, now: datetime = NOW, **options: object) -> Outcome:
    settings, configuration = source(tmp_path, aws, **options)
    (outcome,) = sync(Store(store), configuration, [settings], Window(now), lambda _event: None)
    return outcome


def october_and_september(aws: Aws) -> None:
    answers(
        aws,
        page(SERVICE_AND_USAGE, "2026-10-01", group(["Amazon Bedrock", "USE1-NovaLite-input-tokens"], "3.00"), estimated=True, NextPageToken="more"),
        page(SERVICE_AND_USAGE, "2026-10-02", group(["Amazon Bedrock", "USE1-NovaLite-input-tokens"], "4.00"), estimated=True),
        page(RECORD_AND_SERVICE, "2026-10-01", group(["Credit", "Amazon Bedrock"], "-1.00"), estimated=True),
        page(MODEL_AND_USAGE, "2026-10-01", group(["model$Nova Lite", "USE1-NovaLite-input-tokens"], "3.00"), estimated=True),
        page(SERVICE_AND_USAGE, "2026-09-01", group(["Amazon Bedrock", "USE1-NovaLite-input-tokens"], "20.00")),
        page(RECORD_AND_SERVICE, "2026-09-01", group(["Tax", "Amazon Bedrock"], "2.00")),
        page(MODEL_AND_USAGE, "2026-09-01", group(["model$Nova Lite", "USE1-NovaLite-input-tokens"], "20.00")),
    )  # fmt: skip


def test_months_of_all_pages_add_up_and_are_read_again_while_they_may_change(aws: Aws, tmp_path: Path) -> None:
    october_and_september(aws)
    store = tmp_path / "store"
    outcome = run(store, tmp_path, aws, months=2)
    assert (outcome.state, outcome.rows_kept) == ("fine", 5), outcome.message
    assert totals(store)["billed"] == "28.000000000000"
    position = SyncRecords(store).position("ce", "aws-cost-explorer")
    assert {month: one["estimated"] for month, one in position["months"].items()} == {"2026-10": True, "2026-09": False}

    # Within refresh_hours nothing is asked; a day later both months are, and replace themselves.
    asked = len(aws.asked)
    assert run(store, tmp_path, aws, NOW.replace(hour=15), months=2).rows_kept == 0
    assert len(aws.asked) == asked
    tomorrow = NOW.replace(day=6)
    answers(
        aws,
        page(
            SERVICE_AND_USAGE,
            "2026-10-01",
            group(["Amazon Bedrock", "USE1-NovaLite-input-tokens"], "3.50"),
            estimated=True,
        ),
        page(RECORD_AND_SERVICE, "2026-10-01"),
        page(MODEL_AND_USAGE, "2026-10-01"),
    )
    assert run(store, tmp_path, aws, tomorrow, months=2).state == "fine"
    assert totals(store)["billed"] == "25.500000000000"


def test_the_plan_counts_requests_and_dollars_and_asks_nothing(aws: Aws, tmp_path: Path) -> None:
    settings, _ = source(tmp_path, aws, months=3)
    found = planned(Store(tmp_path / "store"), settings, Window(NOW))
    assert [(one.partition, one.requests, one.cost_usd) for one in found] == [
        ("2026-10", 3, Decimal("0.03")), ("2026-09", 3, Decimal("0.03")), ("2026-08", 2, Decimal("0.02")),
    ]  # fmt: skip
    assert not aws.asked


def test_no_more_requests_than_allowed(aws: Aws, tmp_path: Path) -> None:
    october_and_september(aws)
    store = tmp_path / "store"
    outcome = run(store, tmp_path, aws, months=2, max_requests=5)
    assert outcome.state == "failed"
    assert outcome.retry
    assert "5 requests (0.05 USD) are made" in outcome.message
    assert len(aws.asked) == 5
    assert totals(store)["billed"] == "6.000000000000"  # October is whole, September not there


def test_one_bill_is_told_once(aws: Aws, tmp_path: Path) -> None:
    october_and_september(aws)
    store = tmp_path / "store"
    report = tmp_path / "cur.csv.gz"
    report.write_bytes(lines("2026-10", "50.00"))
    assert percall("load", report, store=store).code == 0
    outcome = run(store, tmp_path, aws, months=2)
    assert outcome.state == "failed"
    assert "already covered by aws-cur" in outcome.message
    assert totals(store)["billed"] == "50.000000000000"


def test_throttling_passes(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    october_and_september(aws)
    monkeypatch.setattr(aws_cost_explorer._Asking.__init__, "__defaults__", (lambda _seconds: None,))
    verdicts = iter([THROTTLED, THROTTLED, THROTTLED])
    aws.fault = lambda _method, _path: next(verdicts, None)
    outcome = run(tmp_path / "store", tmp_path, aws, months=2)
    assert outcome.state == "fine", outcome.message


def test_another_account_is_read_from_its_first_month_on(aws: Aws, tmp_path: Path) -> None:
    later = NOW.replace(year=NOW.year + 1)
    months = {"2027-09": {"read_at": later.isoformat(), "estimated": False}}
    settings, _ = source(tmp_path, aws, months=2, payer_account_id="999900001111")
    position = {"account": "111122223333", "months": months}
    folder = tmp_path / "fetched"
    folder.mkdir()
    pulled = aws_cost_explorer.pull(settings, position, Window(later), folder, lambda _message, _share: None)
    assert [batch.what for batch in pulled] == ["2027-10", "2027-09"]


def test_the_account_is_looked_up_where_it_is_not_given(aws: Aws, tmp_path: Path) -> None:
    settings, _ = source(tmp_path, aws)
    assert aws_cost_explorer._Asking(settings, lambda _message, _share: None).account() == "111122223333"
    settings.options.pop("payer_account_id")  # type: ignore[attr-defined]
    assert aws_cost_explorer._Asking(settings, lambda _message, _share: None).account() == "123456789012"
