"""CloudWatch: how busy the GPUs of instances are, hour by hour, from the agent's nvidia_smi metrics.

Utilisation is the mean over the GPUs of an instance, memory the used part of all of their memory. Only hours that are over are read. A day is a piece
of its own (`connectors.live.pieces`); a day of which fewer rows are left than were read before stays as it was read.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.gpu_names import catalogue_gpu
from connectors.live import trailing, utilization_days
from connectors.live.aws_session import ACCESS, client, finding, translated
from connectors.live.requests import attempts
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window
from warehouse.errors import InputError, PercallError

KIND = "aws-cloudwatch"
TITLE = "AWS CloudWatch: GPU utilisation of instances"
METRICS = {
    "utilization_metric": "nvidia_smi_utilization_gpu",
    "memory_used_metric": "nvidia_smi_memory_used",
    "memory_total_metric": "nvidia_smi_memory_total",
}
"""The agent's metrics (CloudWatch agent, "Collect NVIDIA GPU metrics"): percent, and MiB."""

OPTIONS: Sequence[Option] = (
    *ACCESS,
    Option("namespace", "namespace that the agent writes to", '"CWAgent"', default="CWAgent"),
    Option("utilization_metric", "metric with a GPU's utilisation, in percent", '"..."', default=METRICS["utilization_metric"]),
    Option("memory_used_metric", "metric with the used memory", '"nvidia_smi_memory_used"', default=METRICS["memory_used_metric"]),
    Option("memory_total_metric", "metric with the whole memory", '"nvidia_smi_memory_total"', default=METRICS["memory_total_metric"]),
    Option("dimension", "dimension that names the machine", '"InstanceId"', default="InstanceId"),
    Option("serves", "model and feature of machines", '{ "i-0abc" = { model = "llama-3.1-8b" } }', default={}, form="table"),
    replace(trailing.REREAD, default=1, example="1"),
    trailing.HISTORY,
)  # fmt: skip

PRICE = Decimal("0.01") / 1000
"""USD per metric that GetMetricData is asked for (aws.amazon.com, CloudWatch pricing)."""

_QUERIES_AT_ONCE = 500
_DAYS_AT_ONCE = 7
"""500 series of 7 days are 84,000 points; GetMetricData answers with 100,800 at most."""

_COLUMNS = ("hour", "resource", "gpu", "gpu_count", "gpu_utilization", "memory_used", "model", "feature")
_NEEDED = "cloudwatch:ListMetrics and cloudwatch:GetMetricData"


@dataclass(frozen=True)
class _Metric:
    """One series: which of the three figures, of which GPU of which machine."""

    figure: str
    machine: str
    gpu: str
    name: str | None
    query: Mapping[str, Any]


def permissions(settings: SourceSettings) -> str:  # noqa: ARG001 - the same for every section
    """An IAM policy; CloudWatch knows no permission for a single namespace."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Utilisation",
                "Effect": "Allow",
                "Action": ["cloudwatch:ListMetrics", "cloudwatch:GetMetricData"],
                "Resource": "*",
            }
        ],
    }
    return json.dumps(policy, indent=2)


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Lists the metrics, which costs nothing."""
    subject = f"namespace {settings.options['namespace']}"
    try:
        found = _Asking(settings, lambda _message, _share: None).metrics()
    except PercallError as error:
        yield finding(subject, error, _NEEDED)
        return
    busy = {(one.machine, one.gpu) for one in found if one.figure == "utilization_metric"}
    if not busy:
        yield Finding(
            "problem",
            subject,
            f"no metric {settings.options['utilization_metric']} in the last two weeks",
            "let the CloudWatch agent collect nvidia_gpu on the GPU instances, or name other metrics; is the region right?",
        )
        return
    machines = {machine for machine, _gpu in busy}
    yield Finding("fine", subject, f"{len(busy)} GPUs of {len(machines)} machines")
    unknown = sorted(set(settings.options["serves"]) - machines)
    if unknown:
        yield Finding(
            "warning",
            subject,
            f"serves names machines that are not there: {', '.join(unknown[:5])}",
            "correct the names",
        )


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The days to read; lists the metrics, and reads none."""
    first, until = utilization_days.period(settings, position, window)
    metrics = _Asking(settings, lambda _message, _share: None).metrics()
    chunks = len(utilization_days.spans(first, until, _DAYS_AT_ONCE))
    requests = chunks * -(-len(metrics) // _QUERIES_AT_ONCE)
    yield Planned(
        f"{len(metrics)} metrics by hour", f"{first:%Y-%m-%d} to {until:%Y-%m-%d %H:%M}", requests, None, len(metrics) * chunks * PRICE,
        trailing.why(position, window, settings.options),
    )  # fmt: skip


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Days of utilization, up to the last hour that is over."""
    asking = _Asking(settings, progress)
    metrics = asking.metrics()
    yield from utilization_days.batches(
        settings, position, window, folder, progress, days_at_once=_DAYS_AT_ONCE, columns=_COLUMNS,
        read=lambda start, end: (_rows(settings, asking.values(metrics, start, end)), []),
    )  # fmt: skip


Values = Mapping[_Metric, Mapping[datetime, float]]


def _rows(settings: SourceSettings, values: Values) -> list[dict[str, Any]]:
    """Rows of utilization by hour and machine; two kinds of GPU in one machine are two resources."""
    serves = _serves(settings)
    kinds: dict[str, set[str | None]] = defaultdict(set)
    for metric in values:
        if metric.figure == "utilization_metric":
            kinds[metric.machine].add(metric.name)
    figures: dict[tuple[datetime, str, str | None], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for metric, series in values.items():
        for hour, value in series.items():
            figures[hour, metric.machine, metric.name][metric.figure].append(value)
    rows = []
    for (hour, machine, name), found in sorted(
        figures.items(), key=lambda item: (item[0][0], item[0][1], item[0][2] or "")
    ):
        busy, used, whole = (found.get(figure, []) for figure in METRICS)
        if not busy:
            continue
        memory = sum(used) / sum(whole) if used and len(used) == len(whole) and sum(whole) > 0 else None
        gpu = catalogue_gpu(name)
        resource = machine if len(kinds[machine]) == 1 else f"{machine}/{gpu}"
        rows.append(
            {
                "hour": hour, "resource": resource, "gpu": gpu, "gpu_count": len(busy),
                "gpu_utilization": round(sum(busy) / len(busy) / 100, 6), "memory_used": None if memory is None else round(memory, 6),
                **serves.get(machine, {}),
            }
        )  # fmt: skip
    return rows


def _serves(settings: SourceSettings) -> dict[str, dict[str, str]]:
    """Model and feature of each machine. Raises InputError for any other word."""
    found: dict[str, dict[str, str]] = {}
    for machine, what in settings.options["serves"].items():
        if (
            not isinstance(what, dict)
            or not set(what) <= {"model", "feature"}
            or not all(isinstance(v, str) for v in what.values())
        ):
            raise InputError(
                f'source {settings.name!r}: serves is written like {{ "{machine}" = {{ model = "llama-3.1-8b", feature = "classify" }} }}'
            )
        found[machine] = dict(what)
    return found


class _Asking:
    """Asks CloudWatch."""

    def __init__(
        self, settings: SourceSettings, progress: Progress, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.settings, self.progress, self.pause = settings, progress, pause
        self._client = client(settings, "cloudwatch")

    def metrics(self) -> list[_Metric]:
        """The series of all GPUs that were told of in the last two weeks."""
        found = []
        for figure in METRICS:
            for entry in self._listed(str(self.settings.options[figure])):
                dimensions = {one["Name"]: one["Value"] for one in entry["Dimensions"]}
                machine = dimensions.get(str(self.settings.options["dimension"]))
                if machine:
                    query = {
                        "Namespace": entry["Namespace"],
                        "MetricName": entry["MetricName"],
                        "Dimensions": entry["Dimensions"],
                    }
                    found.append(
                        _Metric(figure, machine, dimensions.get("index", "0"), dimensions.get("name"), _Frozen(query))
                    )
        return found

    def values(self, metrics: Sequence[_Metric], start: datetime, end: datetime) -> Values:
        """The mean of every hour of each series; hours without data are missing."""
        found: dict[_Metric, dict[datetime, float]] = defaultdict(dict)
        for first in range(0, len(metrics), _QUERIES_AT_ONCE):
            some = metrics[first : first + _QUERIES_AT_ONCE]
            queries = [
                {"Id": f"m{number}", "MetricStat": {"Metric": dict(one.query), "Period": 3600, "Stat": "Average"}}
                for number, one in enumerate(some)
            ]
            for page in self._pages(
                "get_metric_data", MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"
            ):
                for result in page["MetricDataResults"]:
                    series = found[some[int(result["Id"].removeprefix("m"))]]
                    for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                        series[trailing.utc(at).replace(minute=0, second=0, microsecond=0)] = float(value)
        return found

    def _listed(self, metric: str) -> Iterator[Any]:
        for page in self._pages("list_metrics", Namespace=str(self.settings.options["namespace"]), MetricName=metric):
            yield from page["Metrics"]

    def _pages(self, operation: str, **request: Any) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            page = self._repeated(operation, request | token)
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _repeated(self, operation: str, request: Mapping[str, Any]) -> Any:
        doing = "listing metrics" if operation == "list_metrics" else "reading metrics"

        def guarded() -> Any:
            with translated(self.settings, doing, _NEEDED):
                return getattr(self._client, operation)(**request)

        return attempts(
            guarded, f"{self.settings.name}: {doing}", self.progress, self.settings.patience, pause=self.pause
        )


class _Frozen(dict[str, Any]):
    """A query that may stand in a key: two are equal when they ask for the same series."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))
