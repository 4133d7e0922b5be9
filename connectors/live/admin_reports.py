"""Cost and usage reports of a model provider's organization, fetched page by page: what OpenAI's and Anthropic's have in common.

A report is asked for by calendar month (UTC), a bucket for each day. Every month is a piece of its own (`connectors.live.pieces`), so that a
month which is read again, because its last days still change, replaces itself. Amounts are kept as the digits that the provider wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.live import trailing
from connectors.live.pieces import DAY, midnight, months, piece_path
from connectors.live.requests import Service
from connectors.live.source import Batch, Finding, Planned, Position, Progress, SourceSettings, Window, problem
from warehouse.errors import InputError, SourceError

_MOST_PAGES = 10_000


@dataclass(frozen=True)
class Report:
    """One report: its name in file names, where it is, and what it is grouped by. `needed`: without it a sync fails."""

    name: str
    path: str
    parameters: Mapping[str, Any]
    needed: bool = True


@dataclass(frozen=True)
class Provider:
    """A provider's reports: kind of the files, the names of the parameters for the period, and how a time is written there."""

    kind: str
    reports: Sequence[Report]
    period: tuple[str, str]
    written: Callable[[datetime], object]
    service: Callable[[SourceSettings, Progress | None], Service]
    grant: str
    account: Callable[[Service], Mapping[str, str]] = lambda _service: {}
    """What identifies the organization, where the reports do not: written into each bucket."""

    def pull(
        self, settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
    ) -> Iterator[Batch]:
        """The months since the position, each whole, up to this moment."""
        now = trailing.utc(window.now)
        first = trailing.begin(position, window, settings.options)
        with self.service(settings, progress) as service:
            account = self.account(service)
            for month, start, end in months(first, now):
                progress(f"reading {month}", trailing.share(start, first, now))
                paths = [
                    path
                    for report in self.reports
                    if (
                        path := self._month(
                            service, settings, report, month, (start, min(end, _tomorrow(now))), folder, account
                        )
                    )
                ]
                position = {"read_until": min(end, now).isoformat()}
                yield Batch(paths, position, self.kind, on_overlap="pieces", what=month, together=True)

    def plan(self, settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
        """One line for each report: its months and the requests that they take at least."""
        now = trailing.utc(window.now)
        first = trailing.begin(position, window, settings.options)
        found = [month for month, _start, _end in months(first, now)]
        for report in self.reports:
            yield Planned(
                report.path,
                f"{found[0]} to {found[-1]}",
                len(found),
                reason=trailing.why(position, window, settings.options),
            )

    def check(self, settings: SourceSettings) -> Iterable[Finding]:
        """Asks each report for one day."""
        yesterday = midnight(datetime.now(UTC)) - DAY
        for report in self.reports:
            try:
                with self.service(settings, None) as service:
                    parameters = {**report.parameters, "limit": 1} | self._period(yesterday, yesterday + DAY)
                    _require_buckets(settings, report, service.json(report.path, parameters))
                yield Finding("fine", report.path, "can be read")
            except (SourceError, InputError) as error:
                found = problem(report.path, error, f"Needed is {self.grant}.")
                yield found if report.needed else replace(found, level="warning")
                if isinstance(error, SourceError) and error.retry:
                    return  # nobody answers: the rest would be told the same

    def _period(self, start: datetime, end: datetime) -> dict[str, object]:
        return dict(zip(self.period, map(self.written, (start, end)), strict=True))

    def _month(
        self,
        service: Service,
        settings: SourceSettings,
        report: Report,
        month: str,
        period: tuple[datetime, datetime],
        folder: Path,
        account: Mapping[str, str],
    ) -> Path | None:
        """The file of a month's report, one page a line; None when nothing happened in that month."""
        path = piece_path(folder, settings, f"{report.name}-{month}", "jsonl")
        results = 0
        with path.open("w", encoding="utf-8") as out:
            for page in _pages(service, settings, report, {**report.parameters} | self._period(*period), path):
                results += sum(len(bucket.get("results") or ()) for bucket in page["data"])
                page["data"] = [{**account, **bucket} for bucket in page["data"]]
                out.write(json.dumps(page, ensure_ascii=False) + "\n")
        if results:
            return path
        path.unlink()
        return None


def _pages(
    service: Service, settings: SourceSettings, report: Report, parameters: Mapping[str, Any], path: Path
) -> Iterator[dict[str, Any]]:
    """The pages of a report, with fractions as the text that was sent. Raises SourceError, also for pages that go in circles."""
    seen: set[str] = set()
    cursor: str | None = None
    answer = path.with_suffix(".page")
    try:
        for _number in range(_MOST_PAGES):
            service.download(report.path, answer, {**parameters, "page": cursor} if cursor else parameters)
            try:
                page = json.loads(answer.read_bytes(), parse_float=str)
            except ValueError as error:
                raise SourceError(f"{settings.name}: {report.path} did not answer with JSON", retry=True) from error
            _require_buckets(settings, report, page)
            yield page
            cursor = page.get("next_page")
            if not page.get("has_more") or not cursor:
                return
            if cursor in seen:
                break
            seen.add(cursor)
    finally:
        answer.unlink(missing_ok=True)
    raise SourceError(f"{settings.name}: the pages of {report.path} have no end; the next sync tries again", retry=True)


def _require_buckets(settings: SourceSettings, report: Report, page: Any) -> None:
    data = page.get("data") if isinstance(page, dict) else None
    if not isinstance(data, list) or not all(isinstance(bucket, dict) and "results" in bucket for bucket in data):
        raise SourceError(
            f"{settings.name}: {report.path} answers in a form that is not known (no data with results); is the address right?"
        )


def _tomorrow(now: datetime) -> datetime:
    return midnight(now) + timedelta(days=1)
