"""Live source `litellm-api`: the proxy's spend logs over HTTP (`/spend/logs/v2`), where neither its logs nor its database can be reached.

Pages are counted from the start of a window, so a row that arrives meanwhile would shift them: only windows that ended some minutes ago are read, and
a window whose pages do not hold as many rows as it said is read once more. The proxy must look all rows up for every page: windows are kept small.
Rows hold whole metadata; what does not count is dropped before anything is written (`connectors.live.litellm_rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.live.litellm_rows import kept, lines
from connectors.live.requests import Service
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window, problem
from connectors.live.trailing import HISTORY, REREAD, begin, share, utc, why
from warehouse.errors import InputError, SourceError

KIND = "litellm-api"
TITLE = "LiteLLM's proxy over HTTP (spend logs)"
OPTIONS: Sequence[Option] = (
    Option("host", "address of the proxy", '"https://litellm.example.com"', required=True),
    Option("key_env", "variable with the key of a proxy admin (viewer)", '"LITELLM_ADMIN_KEY"', required=True, secret=True),
    Option("settle_minutes", "how long ago a window must have ended", "10", default=10, form="number"),
    REREAD,
    HISTORY,
    Option("page_size", "rows per request, at most 1000", "1000", default=1000, form="integer"),
    Option("timeout_seconds", "how long to wait for one answer", "120", default=120, form="number"),
)  # fmt: skip

PATH = "/spend/logs/v2"
GRANT = "a key of a user with the role proxy_admin or proxy_admin_viewer"
LONGEST = timedelta(days=1)
SHORTEST = timedelta(seconds=1)
MOST_ROWS = 20_000
"""A window with more rows is read as shorter ones: every page costs the proxy a look at all rows before it."""


def permissions(settings: SourceSettings) -> str:
    """The least that must be granted."""
    return (
        f"{settings.name}: {GRANT}. Make a user for it and a key of that user:\n"
        '  POST /user/new {"user_id": "percall", "user_role": "proxy_admin_viewer"}\n'
        '  POST /key/generate {"user_id": "percall", "key_alias": "percall"}\n'
        f"  export {settings.options['key_env']}=sk-..."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether the key is accepted and the proxy keeps spend logs: one request for one row."""
    host = str(settings.options["host"])
    if host.startswith("http://") and "127.0.0.1" not in host and "localhost" not in host:
        yield Finding("warning", host, "the key travels without encryption", "use an https:// address")
    try:
        with _service(settings) as service:
            now = utc(datetime.now(UTC))
            total, _ = _page(settings, service, now - 2 * LONGEST, now + LONGEST, 1, 1)
    except (SourceError, InputError) as error:
        yield problem(host, error, f"needed is {GRANT}, and a proxy with a database")
        return
    if not total:
        yield Finding("warning", host, "there are no spend logs of the last two days", "is disable_spend_logs set?")
        return
    yield Finding("fine", host, f"answers; {total:,} spend logs of the last two days")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The time that would be read."""
    first, last = begin(position, window, settings.options), _settled(settings, window)
    yield Planned(
        "spend logs",
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC",
        reason=why(position, window, settings.options),
    )


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Spend logs, a batch per window of at most a day, oldest first. Raises SourceError."""
    if not 1 <= settings.options["page_size"] <= 1000:
        raise InputError(f"source {settings.name!r}: page_size is a whole number from 1 to 1000")
    last = _settled(settings, window)
    first = start = begin(position, window, settings.options).replace(microsecond=0)
    length = timedelta(seconds=float(position.get("window_seconds", LONGEST.total_seconds())))
    with _service(settings, progress) as service:
        while start < last:
            end = min(start + length, last)
            done = share(start, first, last)
            progress(f"{settings.name}: spend logs from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}", done)
            total, rows = _page(settings, service, start, end, 1, settings.options["page_size"])
            if total > MOST_ROWS and end - start > SHORTEST:
                length = _whole(max(SHORTEST, (end - start) * (MOST_ROWS / total) * 0.8))
                continue
            notes: list[str] = []
            rows = _whole_window(settings, service, start, end, total, rows, progress, done, notes)
            file = folder / f"spend-logs-{start:%Y%m%dT%H%M%S}-{end:%Y%m%dT%H%M%S}.jsonl"
            if rows:
                file.write_text(lines(kept(rows)), encoding="utf-8")
            if total < MOST_ROWS // 4:
                length = min(LONGEST, length * 2)
            yield Batch(
                [file] if rows else [], {"read_until": end.isoformat(), "window_seconds": length.total_seconds()}, kind="litellm",
                what=f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}", notes=notes, together=True,
            )  # fmt: skip
            start = end


def _service(settings: SourceSettings, progress: Progress | None = None) -> Service:
    return Service(
        settings, str(settings.options["host"]), headers={"authorization": f"Bearer {settings.secret('key_env')}"}, grant=GRANT,
        progress=progress, timeout=float(settings.options["timeout_seconds"]),
    )  # fmt: skip


def _settled(settings: SourceSettings, window: Window) -> datetime:
    return (utc(window.now) - timedelta(minutes=settings.options["settle_minutes"])).replace(microsecond=0)


def _whole(length: timedelta) -> timedelta:
    """A length in whole seconds, as which the proxy takes times."""
    return timedelta(seconds=max(1, int(length.total_seconds())))


def _whole_window(
    settings: SourceSettings, service: Service, start: datetime, end: datetime, total: int, rows: list[dict[str, Any]],
    progress: Progress, done: float | None, notes: list[str],
) -> list[dict[str, Any]]:  # fmt: skip
    """All rows of a window, each once. What is still missing after a second reading is told in `notes`."""
    size = settings.options["page_size"]
    found = {str(row.get("request_id")): row for row in rows}
    for reading in range(2):
        for page in range(1, -(-total // size) + 1):
            if page > 1 or reading:
                total, rows = _page(settings, service, start, end, page, size)
                found |= {str(row.get("request_id")): row for row in rows}
                progress(f"{settings.name}: {len(found):,} of {total:,} spend logs", done)
        if len(found) >= total:
            return list(found.values())
    notes.append(
        f"{settings.name}: the proxy counts {total:,} spend logs from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC but gave {len(found):,}; "
        "the next syncs read that time again"
    )
    return list(found.values())


def _page(
    settings: SourceSettings, service: Service, start: datetime, end: datetime, page: int, size: int
) -> tuple[int, list[dict[str, Any]]]:
    """(rows of the window, rows of this page)."""
    answer = service.json(
        PATH,
        {
            "start_date": f"{start:%Y-%m-%d %H:%M:%S}", "end_date": f"{end:%Y-%m-%d %H:%M:%S}", "page": page, "page_size": size,
            "sort_by": "startTime", "sort_order": "asc",
        },
    )  # fmt: skip
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not isinstance(answer.get("total"), int):
        raise SourceError(
            f"{settings.name}: {settings.options['host']}{PATH} answers without data and total: is it a recent LiteLLM proxy?"
        )
    return answer["total"], [row for row in rows if isinstance(row, dict)]
