"""Google Cloud's billing export in BigQuery: the standard, the detailed and the FOCUS table.

A sync asks first, over one narrow column, how many rows each day of export has, and then reads the days that grew: by default those of the last
five days before the newest one known are looked at again, since rows arrive late. Every day is a piece of its own (`connectors.live.pieces`):
read again, it replaces itself. Whether BigQuery would read more than `max_bytes` is asked before each query, which costs nothing, and
bounded in the query itself.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.live import google_access
from connectors.live.bigquery_tables import Form, as_object, form_of
from connectors.live.pieces import piece_path
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window, problem
from warehouse.errors import InputError, SourceError

if TYPE_CHECKING:
    from google.cloud import bigquery

KIND = "bigquery"
TITLE = "Google Cloud billing export in BigQuery"
OPTIONS: Sequence[Option] = (
    Option("table", "the table of the export, with project and dataset", '"my-project.billing.gcp_billing_export_resource_v1_0123AB"', required=True),
    Option("project", "project that runs and pays for the queries (default: that of the table)", '"my-project"'),
    Option("location", "location of the dataset", '"EU"'),
    Option("start", "first day of export that is read by the first sync (default: 400 days back)", '"2026-01-01"'),
    Option("overlap_days", "days before the newest known that are looked at again for late rows", "5", default=5, form="integer"),
    Option("max_bytes", "bytes that one query may read at most", "100_000_000_000", default=100_000_000_000, form="integer"),
    google_access.CREDENTIALS,
    google_access.ENDPOINT,
    google_access.TIMEOUT,
)  # fmt: skip

USD_PER_TIB = Decimal("6.25")
"""On-demand list price of queries (cloud.google.com/bigquery/pricing, US multi-region, 2026); the first TiB of a month is free."""

SCOPES = ("https://www.googleapis.com/auth/bigquery",)
_ROWS_AT_ONCE = 400_000
_SLICES_AT_ONCE = 31
_KEPT = 120
"""Slices whose state is remembered: those that an overlap can reach, and a few months beside."""


@dataclass(frozen=True)
class _Slice:
    """A day (or month) of the table: its rows, a text that changes when it grows, and the partitions that its rows lie in."""

    day: date
    rows: int
    latest: str
    partitions: tuple[datetime, ...] = ()


def permissions(settings: SourceSettings) -> str:
    """The two roles that are needed, as commands."""
    project, dataset, _table = _named(settings)
    runner = settings.options.get("project") or project
    return (
        "Read the dataset, and run queries in the project that pays for them:\n\n"
        f"  gcloud projects add-iam-policy-binding {runner} --member=serviceAccount:PERCALL@{runner}.iam.gserviceaccount.com "
        "--role=roles/bigquery.jobUser\n"
        f"  bq query --project_id={runner} --use_legacy_sql=false \\\n"
        f"    'GRANT `roles/bigquery.dataViewer` ON SCHEMA `{project}.{dataset}` TO "
        f'"serviceAccount:PERCALL@{runner}.iam.gserviceaccount.com"\'\n\n'
        "Nothing else: no billing role, no write access."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether the table can be seen, is an export, is fed, and may be queried (a dry run, free of charge)."""
    subject = str(settings.options["table"])
    try:
        client = _client(settings)
        table = _table(client, settings)
        form = form_of(subject, table)
        yield Finding(
            "fine", subject, f"{table.num_rows or 0:,} rows as {form.kind}, read by {form.grain} of {form.slicer}"
        )
        modified = table.modified
        if modified is not None:
            age = datetime.now(modified.tzinfo) - modified
            if age > timedelta(days=2):
                yield Finding(
                    "warning", subject, f"the table was last written {age.days} days ago",
                    "look at Billing > Billing export in the console: is the export still enabled?",
                )  # fmt: skip
        today = datetime.now(UTC).date()
        size = _bytes(
            client, settings, form.rows(partitions=False), {"first": today - timedelta(days=7), "last": today}, form
        )
        yield Finding(
            "fine", subject, f"a query may be run; the last week reads at most {_size(size)}, about ${_price(size)}"
        )
    except (SourceError, InputError) as error:
        yield problem(subject, error, permissions(settings) if "not allowed" in str(error) else "")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """What the next sync reads at most, by dry runs: the days that did not grow are left out once it runs."""
    client = _client(settings)
    form = form_of(str(settings.options["table"]), _table(client, settings))
    first, last = _first(settings, position, window, form), window.now.date()
    period = {"first": first, "last": last}
    for what, sql in (
        ("how many rows each day has", form.summary()),
        ("the rows of the days that grew", form.rows(partitions=False)),
    ):
        size = _bytes(client, settings, sql, period, form)
        yield Planned(
            what, f"{first} to {last}", 1, size, _price(size),
            f"at most; on-demand list price of ${USD_PER_TIB} per TiB" + _over(size, settings),
        )  # fmt: skip


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """The slices that grew since the position, some weeks to a batch."""
    client = _client(settings)
    form = form_of(str(settings.options["table"]), _table(client, settings))
    first, last = _first(settings, position, window, form), window.now.date()
    known = {} if window.since else dict(position.get("slices", {}))
    progress(f"asking which {form.grain}s have new rows since {first}", None)
    slices = [
        found
        for found in _summary(client, settings, form, first, last)
        if known.get(str(found.day)) != [found.rows, found.latest]
    ]
    state: dict[str, Any] = dict(position.get("slices", {}))
    done, rows = 0, max(1, sum(found.rows for found in slices))
    for group in _groups(slices):
        period = f"{group[0].day} to {group[-1].day}"
        progress(f"reading {period}", done / rows)
        paths = _fetch(client, settings, form, group, folder)
        done += sum(found.rows for found in group)
        state |= {str(found.day): [found.rows, found.latest] for found in group}
        kept = dict(sorted(state.items())[-_KEPT:])
        yield Batch(paths, {"slices": kept}, form.kind, on_overlap="pieces", what=period, together=True)


def _groups(slices: Sequence[_Slice]) -> Iterator[list[_Slice]]:
    group: list[_Slice] = []
    for found in slices:
        if group and (len(group) == _SLICES_AT_ONCE or sum(other.rows for other in group) + found.rows > _ROWS_AT_ONCE):
            yield group
            group = []
        group.append(found)
    if group:
        yield group


def _named(settings: SourceSettings) -> tuple[str, str, str]:
    parts = str(settings.options["table"]).strip("`").replace(":", ".").split(".")
    if len(parts) != 3 or not all(parts) or "`" in "".join(parts):
        raise InputError(
            f'source {settings.name!r}: write table = "project.dataset.table", not {settings.options["table"]!r}'
        )
    return parts[0], parts[1], parts[2]


def _first(settings: SourceSettings, position: Position, window: Window, form: Form) -> date:
    """First slice to look at."""
    known = sorted(position.get("slices", {}))
    start = settings.options.get("start")
    if window.since:
        first = window.since.date()
    elif known:
        first = date.fromisoformat(known[-1]) - timedelta(days=settings.options["overlap_days"])
    elif start:
        try:
            first = date.fromisoformat(str(start))
        except ValueError as error:
            raise InputError(
                f'source {settings.name!r}: start = {start!r} is no day; write it like "2026-01-01"'
            ) from error
    else:
        first = window.now.date() - timedelta(days=400)
    return first if form.grain == "day" else first.replace(day=1)


def _client(settings: SourceSettings) -> bigquery.Client:
    from google.cloud import bigquery

    project, _dataset, _name = _named(settings)
    endpoint = settings.options.get("api_endpoint")
    return bigquery.Client(
        project=settings.options.get("project") or project,
        location=settings.options.get("location"),
        credentials=google_access.credentials(settings, SCOPES),
        client_options={"api_endpoint": endpoint} if endpoint else None,
    )


def _patience(settings: SourceSettings) -> dict[str, Any]:
    """Bounds of one request: left to itself the client asks for ten minutes whether a dead service lives again."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    seconds = float(settings.options["timeout"])
    return {"timeout": seconds, "retry": DEFAULT_RETRY.with_timeout(seconds)}


def _table(client: bigquery.Client, settings: SourceSettings) -> Any:
    project, dataset, name = _named(settings)
    try:
        return client.get_table(f"{project}.{dataset}.{name}", **_patience(settings))
    except Exception as error:
        raise _failure(settings, "its columns", error) from error


def _failure(settings: SourceSettings, what: str, error: Exception) -> SourceError:
    grant = "roles/bigquery.dataViewer on the dataset and roles/bigquery.jobUser on the project that pays"
    return (
        error
        if isinstance(error, SourceError)
        else google_access.failure(settings, f"{what} of {settings.options['table']}", error, grant)
    )


def _configuration(settings: SourceSettings, values: Mapping[str, Any], *, dry: bool) -> bigquery.QueryJobConfig:
    from google.cloud import bigquery

    parameters: list[Any] = [bigquery.ScalarQueryParameter(name, "DATE", values[name]) for name in ("first", "last")]
    if "partitions" in values:
        parameters.append(bigquery.ArrayQueryParameter("partitions", "TIMESTAMP", values["partitions"]))
    configuration = bigquery.QueryJobConfig(query_parameters=parameters, use_query_cache=False, dry_run=dry)
    if not dry:
        configuration.maximum_bytes_billed = settings.options["max_bytes"]
    configuration.labels = {"application": "percall"}
    return configuration


def _bytes(client: bigquery.Client, settings: SourceSettings, sql: str, values: Mapping[str, Any], form: Form) -> int:
    """Bytes that a query would read, by a dry run."""
    try:
        job = client.query(sql, _configuration(settings, values, dry=True), job_retry=None, **_patience(settings))
        return int(job.total_bytes_processed or 0)
    except Exception as error:
        raise _failure(settings, f"a query by {form.grain}", error) from error


def _ask(
    client: bigquery.Client, settings: SourceSettings, sql: str, values: Mapping[str, Any], form: Form, what: str
) -> Iterator[Any]:
    """The rows of a query that stays within max_bytes."""
    size = _bytes(client, settings, sql, values, form)
    if size > settings.options["max_bytes"]:
        raise SourceError(
            f"{settings.name}: {what} of {values['first']} to {values['last']} would read {_size(size)} (about ${_price(size)}), more than "
            f"max_bytes allows ({_size(settings.options['max_bytes'])}); raise max_bytes, or set a later start"
        )
    try:
        job = client.query(sql, _configuration(settings, values, dry=False), job_retry=None, **_patience(settings))
        yield from job.result(page_size=10_000, job_retry=None, **_patience(settings))
    except GeneratorExit:
        raise
    except Exception as error:
        raise _failure(settings, what, error) from error


def _summary(client: bigquery.Client, settings: SourceSettings, form: Form, first: date, last: date) -> list[_Slice]:
    rows = _ask(client, settings, form.summary(), {"first": first, "last": last}, form, "the count of rows")
    return [
        _Slice(row["slice"], row["row_count"], str(row["latest"]), tuple(row["partitions"]) if form.by_load else ())
        for row in rows
    ]


def _fetch(
    client: bigquery.Client, settings: SourceSettings, form: Form, group: Sequence[_Slice], folder: Path
) -> list[Path]:
    """One file of JSON lines for each slice. Raises SourceError when fewer rows arrive than were counted a moment before."""
    values: dict[str, Any] = {"first": group[0].day, "last": group[-1].day}
    if form.by_load:
        values["partitions"] = sorted({partition for found in group for partition in found.partitions})
    wanted = {found.day: found for found in group}
    paths = {
        found.day: piece_path(folder, settings, str(found.day)[: 10 if form.grain == "day" else 7], "jsonl.gz")
        for found in group
    }
    counted = dict.fromkeys(wanted, 0)
    streams: dict[date, io.BufferedIOBase] = {}
    try:
        for row in _ask(client, settings, form.rows(), values, form, "the rows"):
            day = row["percall_slice"]
            if day not in wanted:
                continue
            if day not in streams:
                # Without the time of packing in it, the same rows are the same bytes.
                streams[day] = gzip.GzipFile(paths[day], "wb", mtime=0)
            line = json.dumps(as_object(row, form.columns), default=_plain, ensure_ascii=False)
            streams[day].write(line.encode() + b"\n")
            counted[day] += 1
    finally:
        for stream in streams.values():
            stream.close()
    for day, found in wanted.items():
        if counted[day] < found.rows:
            raise SourceError(
                f"{settings.name}: {found.rows:,} rows were counted for {day}, but only {counted[day]:,} arrived; the next sync reads it again",
                retry=True,
            )
    return [paths[day] for day in streams]


def _plain(value: object) -> str:
    """Times as ISO 8601, exact numbers as their digits."""
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _price(size: int) -> Decimal:
    return (USD_PER_TIB * size / 2**40).quantize(Decimal("0.01"))


def _size(size: int) -> str:
    return f"{Decimal(size) / 10**9:,.1f} GB" if size >= 10**8 else f"{Decimal(size) / 10**6:,.1f} MB"


def _over(size: int, settings: SourceSettings) -> str:
    return "; more than max_bytes allows" if size > settings.options["max_bytes"] else ""
