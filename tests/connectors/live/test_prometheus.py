"""GPU utilisation and served tokens from Prometheus's API on loopback: hours, days that replace themselves, limits, credentials."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analytics.simulators.throughput import measured_throughput
from connectors.gpu_names import catalogue_gpu
from connectors.live import prometheus
from connectors.live.source import Window
from tests.connectors.live.loopback import Asked, Loopback, Reply, loopback
from tests.connectors.live.stored import Sync, rows, settings_of
from warehouse.errors import InputError, SourceError
from warehouse.gpu_catalogue import gpu_catalogue

NOW = datetime(2026, 3, 20, 9, 40)
Series = tuple[Mapping[str, str], Callable[[datetime], float | None]]


class Prometheus:
    """Answers range queries point by point; a query is known by the metric that comes first in it."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.faults: list[Reply] = []
        self.kept_since = datetime(2000, 1, 1)
        node = {"Hostname": "gpu-1", "modelName": "NVIDIA A100-SXM4-40GB"}
        served = {"node": "gpu-1:8000", "model_name": "llama-3.1-8b"}
        self.series: dict[str, list[Series]] = {
            "DCGM_FI_DEV_GPU_UTIL[1h])) / 100": [(node, lambda hour: hour.hour / 24)],
            "count_over_time(DCGM_FI_DEV_GPU_UTIL": [(node, lambda hour: 2.0)],
            "DCGM_FI_DEV_FB_USED": [(node, lambda hour: 0.5)],
            "vllm:request_success_total": [(served, lambda hour: 99.6 if hour.hour else 0.0)],
            "vllm:generation_tokens_total": [(served, lambda hour: 80.0 if hour.hour else float("nan"))],
        }

    def __call__(self, asked: Asked) -> Reply:
        if self.token and asked.headers.get("authorization") not in (
            f"Bearer {self.token}",
            _basic("percall", self.token),
        ):
            return Reply({"error": "unauthorized"}, 401)
        if self.faults:
            return self.faults.pop(0)
        query = asked.one("query") or ""
        series = next((found for metric, found in self.series.items() if metric in query), [])
        if asked.path == "/api/v1/query":
            return _success("vector", [{"metric": labels, "value": [0, "1"]} for labels, _value in series])
        assert asked.path == "/api/v1/query_range"
        start, end, step = (int(asked.one(name) or 0) for name in ("start", "end", "step"))
        if (end - start) // step > 11_000:
            return Reply(
                {"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution of 11,000 points"},
                400,
            )
        answer = []
        for labels, value in series:
            # A point at a time tells of the hour before it.
            hours = [
                datetime.fromtimestamp(stamp - 3600, UTC).replace(tzinfo=None) for stamp in range(start, end + 1, step)
            ]
            told = [(hour, value(hour)) for hour in hours if hour >= self.kept_since]
            points = [
                [int(hour.replace(tzinfo=UTC).timestamp()) + 3600, str(figure)]
                for hour, figure in told
                if figure is not None
            ]
            if points:
                answer.append({"metric": labels, "values": points})
        return _success("matrix", answer)


def _success(kind: str, result: list[Any]) -> Reply:
    return Reply({"status": "success", "data": {"resultType": kind, "result": result}})


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def syncing(
    api: Prometheus, tmp_path: Path, environment: Mapping[str, str] | None = None, **options: Any
) -> Iterator[tuple[Sync, Loopback]]:
    with loopback(api) as service:
        settings = settings_of("prometheus", environment, url=service.url, **{"serving_label": "node", **options})
        yield Sync(tmp_path / "store", settings, tmp_path / "fetched"), service


def test_hours_of_a_machine_and_what_it_served(tmp_path: Path) -> None:
    api = Prometheus()
    with syncing(api, tmp_path, history_days=1) as (sync, _service):
        sync.run(NOW)
        found = sorted(rows(sync.store, "utilization"), key=lambda row: row["hour"])
        assert [found[0]["hour"], found[-1]["hour"], len(found)] == [
            datetime(2026, 3, 19),
            datetime(2026, 3, 20, 8),
            33,
        ]
        noon = found[12]
        assert {key: noon[key] for key in ("resource", "gpu", "gpu_count", "gpu_utilization", "memory_used", "requests", "model")} == {
            "resource": "gpu-1", "gpu": "A100-40GB", "gpu_count": 2, "gpu_utilization": 0.5, "memory_used": 0.5, "requests": 100,
            "model": "llama-3.1-8b",
        }  # fmt: skip
        assert noon["tokens_per_second"] == 80
        midnight = found[0]
        assert (midnight["requests"], midnight["tokens_per_second"]) == (
            0,
            None,
        )  # nothing ran: the speed is not known, not 0
        # The simulator's calibration reads the speed of one GPU from it.
        (measured,) = measured_throughput(pd.DataFrame(found)).to_dict("records")
        assert (measured["gpu"], measured["tokens_per_second"]) == ("A100-40GB", 40.0)
        assert sync.batches[-1].notes == []


def test_the_day_that_is_read_again_replaces_itself(tmp_path: Path) -> None:
    api = Prometheus()
    with syncing(api, tmp_path, history_days=1) as (sync, _service):
        sync.run(NOW)
        sync.run(NOW + timedelta(hours=2))
        assert len(rows(sync.store, "utilization")) == 35
        sync.run(NOW + timedelta(days=1))
        assert len(rows(sync.store, "utilization")) == 57
        # Prometheus forgets the first day: what was read stays.
        api.kept_since = datetime(2026, 3, 20, 5)
        sync.run(NOW + timedelta(days=1), since=datetime(2026, 3, 19))
        assert len(rows(sync.store, "utilization")) == 57
        assert "it stays as it was read" in "".join(note for batch in sync.batches for note in batch.notes)


def test_a_long_period_in_queries_that_are_allowed(tmp_path: Path) -> None:
    api = Prometheus()
    with syncing(
        api, tmp_path, history_days=30, queries={name: "" for name in prometheus.QUERIES if name != "memory_used"}
    ) as (
        sync,
        service,
    ):
        sync.run(NOW, most=3)
        assert len(service.asked) == 3
        assert [item.requests for item in prometheus.plan(sync.settings, {}, Window(NOW))] == [3]


def test_two_kinds_of_gpu_in_one_machine(tmp_path: Path) -> None:
    api = Prometheus()
    other = {"Hostname": "gpu-1", "modelName": "NVIDIA L4"}
    api.series["DCGM_FI_DEV_GPU_UTIL[1h])) / 100"].append((other, lambda hour: 0.25))
    with syncing(api, tmp_path, history_days=1) as (sync, _service):
        sync.run(NOW)
        assert {(row["resource"], row["gpu"]) for row in rows(sync.store, "utilization")} == {
            ("gpu-1/A100-40GB", "A100-40GB"), ("gpu-1/L4", "L4"), ("gpu-1", None),
        }  # fmt: skip
        assert "set serving_label" in sync.batches[0].notes[0]


def test_credentials_and_faults(tmp_path: Path) -> None:
    secret = "token-very-secret"
    api = Prometheus(secret)
    for options in ({"bearer_env": "TOKEN"}, {"user": "percall", "password_env": "TOKEN"}):
        with syncing(api, tmp_path, {"TOKEN": secret}, history_days=1, **options) as (sync, _service):
            assert [finding.level for finding in prometheus.check(sync.settings)] == ["fine", "fine"]
    with syncing(api, tmp_path, {"TOKEN": "an-expired-one"}, bearer_env="TOKEN", history_days=1) as (sync, _service):
        (finding,) = prometheus.check(sync.settings)
        assert finding.level == "problem"
        assert "an-expired-one" not in finding.message
        with pytest.raises(SourceError, match="needed is a token or password"):
            sync.run(NOW)
    api.token = None
    with syncing(api, tmp_path, history_days=1) as (sync, _service):
        api.faults = [Reply({}, 503), Reply({"status": "error", "error": "1:5: parse error: unexpected )"}, 400)]
        with pytest.raises(SourceError, match="parse error"):
            sync.run(NOW)
        api.series.clear()
        assert [finding.level for finding in prometheus.check(sync.settings)] == ["warning", "warning"]
        sync.run(NOW)
        assert [path for batch in sync.batches for path in batch.paths] == []
    with (
        syncing(api, tmp_path, queries={"speed": "x"}) as (sync, _service),
        pytest.raises(InputError, match="no figure 'speed'"),
    ):
        sync.run(NOW)


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"), ("NVIDIA A100-PCIE-40GB", "A100-40GB"), ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB-PCIe"), ("NVIDIA H100 80GB HBM3", "H100-80GB"), ("NVIDIA H100 PCIe", "H100-80GB-PCIe"),
        ("NVIDIA L4", "L4"), ("NVIDIA L40S", "L40S"), ("NVIDIA A10G", "A10G"), ("Tesla T4", "T4"), ("NVIDIA H200", "H200"),
    ],
)  # fmt: skip
def test_names_of_the_driver_are_those_of_the_catalogue(reported: str, name: str) -> None:
    assert catalogue_gpu(reported) == name
    assert name in set(gpu_catalogue()["gpu"])


def test_names_that_are_not_known_stay_as_they_are() -> None:
    assert [catalogue_gpu(name) for name in ("AMD Instinct MI300X", "NVIDIA A100", None, "")] == [
        "AMD Instinct MI300X",
        "NVIDIA A100",
        None,
        None,
    ]
