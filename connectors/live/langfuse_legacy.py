"""Langfuse's first API, which self-hosted servers of version 3 and older have alone: pages by number, users and tags with the trace.

Cloud and servers from version 4 on no longer have it. Its answers hold what people wrote; that is dropped as soon as a page is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.live.langfuse_pages import GRANT, NoSuchEndpoint
from connectors.live.requests import Service
from connectors.live.source import Progress, SourceSettings
from warehouse.errors import SourceError

PAGE = 100
_TRACE_BEFORE = timedelta(hours=1)
"""An observation may begin this long after its trace and still get the trace's user and tags."""

_MOST_TRACES = 500_000


class LegacyApi:
    """Reads pages; close it when done."""

    def __init__(self, settings: SourceSettings, progress: Progress) -> None:
        self._settings = settings
        self._service = Service(
            settings,
            str(settings.options["host"]),
            auth=(settings.secret("public_key_env") or "", settings.secret("secret_key_env") or ""),
            grant=GRANT,
            progress=progress,
            timeout=float(settings.options["timeout_seconds"]),
        )
        self._traces: dict[str, Mapping[str, Any]] = {}
        self._traces_until: datetime | None = None

    def close(self) -> None:
        """Close its connections."""
        self._service.close()

    def observations(self, start: datetime, end: datetime, *, context: bool = False) -> Iterator[list[dict[str, Any]]]:
        """Pages of the observations that began from `start` to before `end` (UTC). Raises SourceError; `context` changes nothing here."""
        if not context:
            self._read_traces(start, end)
        times = {"fromStartTime": _text(start), "toStartTime": _text(end)}
        environments = [("environment", name) for name in self._settings.options["environments"]]
        for page in self._pages("/api/public/observations", times, environments):
            yield [{key: value for key, value in row.items() if key not in ("input", "output")} for row in page]

    def trace(self, name: object) -> Mapping[str, Any] | None:
        """The trace of an observation, None when it began too long before it."""
        return self._traces.get(str(name))

    def scores(self, start: datetime, end: datetime) -> Iterator[list[dict[str, Any]]]:
        """Pages of the scores of these names that were given from `start` to before `end` (UTC). Raises SourceError."""
        times = {"fromTimestamp": _text(start), "toTimestamp": _text(end)}
        for name in self._settings.options["scores"]:
            try:
                yield from self._pages("/api/public/v2/scores", times | {"name": name})
            except NoSuchEndpoint:
                yield from self._pages("/api/public/scores", times | {"name": name})

    def _read_traces(self, start: datetime, end: datetime) -> None:
        known = self._traces_until
        first = start - _TRACE_BEFORE if known is None or known < start - _TRACE_BEFORE else min(known, start)
        if len(self._traces) > _MOST_TRACES:
            self._traces.clear()
            first = start - _TRACE_BEFORE
        times = {"fromTimestamp": _text(first), "toTimestamp": _text(end), "fields": "core,io"}
        for page in self._pages("/api/public/traces", times):
            for trace in page:
                kept = ("userId", "sessionId", "name", "tags", "environment", "metadata")
                self._traces[str(trace.get("id"))] = {key: trace.get(key) for key in kept}
        self._traces_until = end

    def _pages(
        self, path: str, parameters: Mapping[str, str], more: list[tuple[str, str]] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        number = 1
        while True:
            asked = [*parameters.items(), *(more or []), ("page", str(number)), ("limit", str(self._limit()))]
            try:
                answer = self._service.json(path, asked)
            except SourceError as error:
                if " does not exist there (404" in str(error):
                    raise NoSuchEndpoint(str(error)) from error
                raise
            rows = answer.get("data") if isinstance(answer, dict) else None
            if not isinstance(rows, list):
                raise SourceError(
                    f"{self._settings.name}: {path} answers without a list of data: is it a Langfuse server?"
                )
            yield [row for row in rows if isinstance(row, dict)]
            pages = (answer.get("meta") or {}).get("totalPages")
            if not rows or (isinstance(pages, int) and number >= pages):
                return
            number += 1

    def _limit(self) -> int:
        return min(int(self._settings.options["page_size"]), PAGE)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds") + "Z"
