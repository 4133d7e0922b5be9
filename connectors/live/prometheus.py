"""Prometheus: how busy GPUs are (NVIDIA's DCGM exporter), and what the models on them serve (vLLM), hour by hour.

Each figure is a query in PromQL that answers, at the end of an hour, for that hour, with one series per resource; the queries can be replaced. Only
hours that are over are read. A day is a piece of its own (`connectors.live.pieces`); a day of which Prometheus has forgotten hours is
left as it was read before.

Tokens per second are those of the time in which requests ran: the figure that a GPU's speed is calibrated with, which an average over idle
minutes is not. Counters are read with `increase`, which restarts of a server do not disturb.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.gpu_names import catalogue_gpu
from connectors.live import trailing, utilization_days
from connectors.live.requests import Service
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window, problem
from connectors.live.utilization_days import HOUR
from warehouse.errors import InputError, SourceError

KIND = "prometheus"
TITLE = "Prometheus: GPU utilisation and served tokens"
QUERIES: Mapping[str, str] = {
    "gpu_utilization": "avg by ($gpu_label, modelName) (avg_over_time(DCGM_FI_DEV_GPU_UTIL[1h])) / 100",
    "gpu_count": "count by ($gpu_label, modelName) (count_over_time(DCGM_FI_DEV_GPU_UTIL[1h]))",
    "memory_used": (
        "sum by ($gpu_label, modelName) (avg_over_time(DCGM_FI_DEV_FB_USED[1h]))"
        " / sum by ($gpu_label, modelName) (avg_over_time(DCGM_FI_DEV_FB_USED[1h]) + avg_over_time(DCGM_FI_DEV_FB_FREE[1h]))"
    ),
    "requests": "sum by ($serving_label, model_name) (increase(vllm:request_success_total[1h]))",
    "tokens_per_second": (
        "sum by ($serving_label, model_name) (increase(vllm:generation_tokens_total[1h]))"
        " / (3600 * max by ($serving_label, model_name) (avg_over_time((vllm:num_requests_running > bool 0)[1h:1m])))"
    ),
}
"""A query for each figure; metric names as of dcgm-exporter 4.6 and vLLM 0.9 (docs.vllm.ai, usage/metrics)."""

OPTIONS: Sequence[Option] = (
    Option("url", "address of Prometheus (or Thanos, Mimir, VictoriaMetrics: whatever speaks its API)", '"http://prometheus:9090"', required=True),
    Option("bearer_env", "variable with a bearer token", '"PROMETHEUS_TOKEN"', secret=True),
    Option("user", "user of basic authentication", '"percall"'),
    Option("password_env", "variable with the password of that user", '"PROMETHEUS_PASSWORD"', secret=True),
    Option("gpu_label", "label of the GPU metrics that names the machine", '"Hostname"', default="Hostname"),
    Option("serving_label", "label of the serving metrics that names the same machine", '"node"', default="instance"),
    Option("queries", f"other queries for {', '.join(QUERIES)}; an empty one leaves a figure out", '{ requests = "" }', default={}, form="table"),
    replace(trailing.REREAD, default=1, example="1"),
    replace(trailing.HISTORY, default=15, example="15"),
)  # fmt: skip

_MOST_POINTS = 11_000
"""Points per series that Prometheus answers with at most."""

_DAYS_AT_ONCE = min(14, _MOST_POINTS // 24)
_COLUMNS = (
    "hour",
    "resource",
    "gpu",
    "gpu_count",
    "gpu_utilization",
    "memory_used",
    "requests",
    "tokens_per_second",
    "model",
)
_OF_GPU = ("gpu_utilization", "gpu_count", "memory_used")


@dataclass(frozen=True)
class _Series:
    """One series of an answer: its labels, and its value for each hour (UTC, start)."""

    labels: Mapping[str, str]
    values: Mapping[datetime, float]


def permissions(settings: SourceSettings) -> str:
    """What must be reachable."""
    return (
        f"Reading {settings.options['url']}/api/v1/query_range and /api/v1/query; nothing else of the API is used, nothing is written.\n"
        "Where a proxy asks for credentials: a bearer token (bearer_env), or user and password_env. Behind Grafana Cloud, Mimir or Thanos: a token "
        "with the scope metrics:read."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether Prometheus answers, and whether it knows GPUs and servers of models."""
    url = str(settings.options["url"])
    try:
        with _service(settings, None) as service:
            for figure, what, remedy in (
                ("gpu_utilization", "GPU", "Scrape NVIDIA's dcgm-exporter, or set queries.gpu_utilization."),
                (
                    "requests",
                    "served model",
                    "Scrape vLLM's /metrics, or set queries.requests; without it the speed of GPUs is not measured.",
                ),
            ):
                query = _queries(settings).get(figure)
                if query is None:
                    continue
                answer = _result(settings, service.json("api/v1/query", {"query": query}), query)
                if answer:
                    yield Finding("fine", url, f"{len(answer)} series of {figure} ({what})")
                else:
                    yield Finding("warning", url, f"no series for {figure}: {query}", remedy)
    except (SourceError, InputError) as error:
        yield problem(url, error, permissions(settings))


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """One line for each figure."""
    first, until = utilization_days.period(settings, position, window)
    requests = len(utilization_days.spans(first, until, _DAYS_AT_ONCE))
    for figure, query in _queries(settings).items():
        yield Planned(figure, f"{first:%Y-%m-%d} to {until:%Y-%m-%d %H:%M}", requests, reason=query)


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Days of utilization, up to the last hour that is over."""
    with _service(settings, progress) as service:
        yield from utilization_days.batches(
            settings, position, window, folder, progress, days_at_once=_DAYS_AT_ONCE, columns=_COLUMNS,
            read=lambda start, end: _rows(settings, service, start, end),
        )  # fmt: skip


def _queries(settings: SourceSettings) -> dict[str, str]:
    """The query of each figure. Raises InputError for a figure that there is not."""
    own = settings.options["queries"]
    unknown = [name for name in own if name not in QUERIES]
    if unknown:
        raise InputError(
            f"source {settings.name!r}: there is no figure {unknown[0]!r}; queries are for {', '.join(QUERIES)}"
        )
    labels = {name: str(settings.options[name]) for name in ("gpu_label", "serving_label")}
    for name, label in labels.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", label):
            raise InputError(f"source {settings.name!r}: {name} = {label!r} is no label of Prometheus")
    queries = {name: str(own.get(name, query)) for name, query in QUERIES.items()}
    return {
        name: query.replace("$gpu_label", labels["gpu_label"]).replace("$serving_label", labels["serving_label"])
        for name, query in queries.items()
        if query.strip()
    }


def _rows(
    settings: SourceSettings, service: Service, start: datetime, end: datetime
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of utilization by hour and resource, and what a person should read about them."""
    answers: dict[str, list[_Series]] = {}
    for figure, query in _queries(settings).items():
        # The value at the end of an hour is that of the hour.
        period = {"start": _stamp(start + HOUR), "end": _stamp(end), "step": 3600}
        page = service.json("api/v1/query_range", {"query": query, **period})
        answers[figure] = [_series(settings, query, entry) for entry in _result(settings, page, query)]
    rows: dict[tuple[datetime, str], dict[str, Any]] = defaultdict(dict)
    kinds: dict[str, set[str]] = defaultdict(set)
    label = str(settings.options["gpu_label"])
    for series in (series for figure in _OF_GPU for series in answers.get(figure, ())):
        kinds[_machine(series, label)].add(series.labels.get("modelName", ""))
    for figure in _OF_GPU:
        for series in answers.get(figure, ()):
            machine, gpu = _machine(series, label), catalogue_gpu(series.labels.get("modelName"))
            # Two kinds of GPU in one machine are two resources: a row has one kind.
            resource = machine if len(kinds[machine]) == 1 else f"{machine}/{gpu}"
            for hour, value in series.values.items():
                rows[hour, resource] |= {"gpu": gpu, figure: round(value) if figure == "gpu_count" else _share(value)}
    served, unmatched = _served(answers, str(settings.options["serving_label"])), set()
    resources = {resource for _hour, resource in rows}
    for (hour, machine), figures in served.items():
        if resources and machine not in resources:
            unmatched.add(machine)
        rows[hour, machine] |= figures
    notes = [
        f"models are served on {', '.join(sorted(unmatched)[:5])}, which no GPU metric names: set serving_label to a label with the machine's name"
    ] if unmatched else []  # fmt: skip
    found = [{"hour": hour, "resource": resource, **figures} for (hour, resource), figures in sorted(rows.items())]
    return found, notes


def _served(answers: Mapping[str, Sequence[_Series]], label: str) -> dict[tuple[datetime, str], dict[str, Any]]:
    """Requests and tokens per second by hour and machine, over all models there; the model where it is one."""
    found: dict[tuple[datetime, str], dict[str, Any]] = defaultdict(dict)
    models: dict[tuple[datetime, str], set[str]] = defaultdict(set)
    for figure in ("requests", "tokens_per_second"):
        for series in answers.get(figure, ()):
            for hour, value in series.values.items():
                key = (hour, _machine(series, label))
                found[key][figure] = found[key].get(figure, 0) + value
                models[key].add(series.labels.get("model_name", ""))
    for key, figures in found.items():
        if "requests" in figures:
            figures["requests"] = round(figures["requests"])
        if len(models[key]) == 1:
            figures["model"] = next(iter(models[key])) or None
    return found


def _share(value: float) -> float:
    """A share without what rounding puts above 1."""
    return 1.0 if 1.0 < value < 1.000001 else value


def _machine(series: _Series, label: str) -> str:
    """The machine that a series is about, without the port of the exporter."""
    name = series.labels.get(label) or series.labels.get("instance") or "unknown"
    return re.sub(r":\d+$", "", name)


def _series(settings: SourceSettings, query: str, entry: Mapping[str, Any]) -> _Series:
    try:
        values = {
            datetime.fromtimestamp(int(float(stamp)), UTC).replace(tzinfo=None) - HOUR: float(text)
            for stamp, text in entry["values"]
        }
        return _Series(dict(entry["metric"]), {hour: value for hour, value in values.items() if math.isfinite(value)})
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{settings.name}: the answer to {query} has a form that is not known; it must be one series per machine"
        ) from error


def _result(settings: SourceSettings, page: Any, query: str) -> list[Any]:
    data = page.get("data") if isinstance(page, dict) else None
    if (
        not isinstance(data, dict)
        or page.get("status") != "success"
        or data.get("resultType") not in ("matrix", "vector")
    ):
        raise SourceError(
            f"{settings.name}: no usable answer to {query}: is {settings.options['url']} the address of Prometheus?"
        )
    return list(data.get("result") or ())


def _stamp(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


def _service(settings: SourceSettings, progress: Progress | None) -> Service:
    token, user = settings.secret("bearer_env"), settings.options["user"]
    auth = (str(user), settings.secret("password_env") or "") if user else None
    grant = "a token or password that may read metrics (bearer_env, or user and password_env)"
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return Service(settings, str(settings.options["url"]), headers=headers, auth=auth, grant=grant, progress=progress)
