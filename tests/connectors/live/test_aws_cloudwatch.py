"""GPU utilisation from CloudWatch: against moto's real server, hand-computed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.live.secrets import Secrets
from connectors.live.settings import read_sources
from connectors.live.source import Window
from connectors.live.syncing import Outcome, planned, sync
from tests.connectors.live.aws_server import KEY_ID, SECRET, TOKEN, Aws, aws_server, configured
from warehouse.configuration import Configuration, read_configuration
from warehouse.reader import open_current
from warehouse.store import Store

NOW = (datetime.now(UTC) - timedelta(hours=3)).replace(tzinfo=None, minute=20, second=0, microsecond=0)
HOUR = NOW.replace(minute=0) - timedelta(hours=2)


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


def put(
    aws: Aws, metric: str, machine: str, gpu: str, *values: tuple[datetime, float], name: str = "NVIDIA A10G"
) -> None:
    dimensions = [
        {"Name": "InstanceId", "Value": machine},
        {"Name": "index", "Value": gpu},
        {"Name": "name", "Value": name},
    ]
    data = [
        {"MetricName": metric, "Dimensions": dimensions, "Timestamp": at.replace(tzinfo=UTC), "Value": value}
        for at, value in values
    ]
    aws.client("cloudwatch").put_metric_data(Namespace="CWAgent", MetricData=data)


def busy(aws: Aws) -> None:
    """Two GPUs in one machine, one in another without memory figures; two measurements in the first hour."""
    first, second = HOUR + timedelta(minutes=5), HOUR + timedelta(minutes=65)
    put(
        aws,
        "nvidia_smi_utilization_gpu",
        "i-aa",
        "0",
        (first, 40.0),
        (first + timedelta(minutes=5), 60.0),
        (second, 10.0),
    )
    put(aws, "nvidia_smi_utilization_gpu", "i-aa", "1", (first, 30.0))
    for gpu in ("0", "1"):
        put(aws, "nvidia_smi_memory_used", "i-aa", gpu, (first, 6000.0))
        put(aws, "nvidia_smi_memory_total", "i-aa", gpu, (first, 24000.0))
    put(aws, "nvidia_smi_utilization_gpu", "i-bb", "0", (first, 0.0), name="Tesla T4")
    put(aws, "nvidia_smi_utilization_gpu", "i-bb", "0", (NOW, 99.0), name="Tesla T4")  # this hour is not over


def read(tmp_path: Path, aws: Aws, store: Path, now: datetime = NOW, **options: object) -> Outcome:
    values = {
        "name": "gpus", "kind": "aws-cloudwatch", "endpoint_url": aws.url, "region": "us-east-1", "access_key_id_env": "PERCALL_TEST_ID",
        "secret_access_key_env": "PERCALL_TEST_SECRET", "session_token_env": "PERCALL_TEST_TOKEN", "history_days": 2,
    } | options  # fmt: skip
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    text += '\n[source.serves.i-aa]\nmodel = "llama-3.1-8b"\nfeature = "classify"'
    configuration = read_configuration(configured(tmp_path, text))
    (settings,), broken = read_sources(configuration, Secrets(files=()))
    assert not broken
    (plan,) = planned(Store(store), settings, Window(now))
    assert plan.requests == 1
    (outcome,) = sync(Store(store), configuration, [settings], Window(now), lambda _event: None)
    return outcome


def rows(store: Path) -> list[tuple[object, ...]]:
    warehouse = open_current(store, Configuration())
    table = warehouse.table("utilization").order_by(["hour", "resource"])
    chosen = table["hour", "resource", "gpu", "gpu_count", "gpu_utilization", "memory_used", "model", "feature"]
    return list(
        warehouse.frame(chosen)
        .astype(object)
        .where(lambda frame: frame.notna(), None)
        .itertuples(index=False, name=None)
    )


def test_hours_are_means_over_time_and_gpus(aws: Aws, tmp_path: Path) -> None:
    busy(aws)
    store = tmp_path / "store"
    outcome = read(tmp_path, aws, store)
    assert outcome.state == "fine", outcome.message
    assert rows(store) == [
        (HOUR, "i-aa", "A10G", 2, 0.40, 0.25, "llama-3.1-8b", "classify"),
        (HOUR, "i-bb", "T4", 1, 0.0, None, None, None),
        (HOUR + timedelta(hours=1), "i-aa", "A10G", 1, 0.10, None, "llama-3.1-8b", "classify"),
    ]


def test_reading_again_replaces_the_days_and_adds_the_new_hour(aws: Aws, tmp_path: Path) -> None:
    busy(aws)
    store = tmp_path / "store"
    assert read(tmp_path, aws, store).rows_kept == 3
    before = rows(store)
    later = read(tmp_path, aws, store, NOW + timedelta(hours=1))
    assert later.state == "fine", later.message
    assert rows(store) == [*before, (NOW.replace(minute=0), "i-bb", "T4", 1, 0.99, None, None, None)]
