"""Live source `langfuse`: observations and scores from Langfuse's API, Cloud or self-hosted.

Read window by window, oldest first, at most a day at once; where there are very many observations a window becomes shorter. Each window is
one file of observations and one of scores, loaded before the next is read. The last days are read again at every sync (there is no
"changed since" in the API) and merged by id. What people wrote (`io`) is never asked for.

A wrapper and the call in it may lie on both sides of a window's edge: the file therefore also names the observations right after the window,
only so that wrappers around them are known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.live.langfuse_legacy import LegacyApi
from connectors.live.langfuse_pages import GRANT, CurrentApi, NoSuchEndpoint
from connectors.live.langfuse_rows import context_row, observation_row, score_row
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window, problem
from connectors.live.trailing import HISTORY, REREAD, begin, share, utc, why
from warehouse.errors import InputError, SourceError

KIND = "langfuse"
TITLE = "Langfuse"

SCORES = {"converted": "converted", "revenue": "revenue_usd", "revenue_usd": "revenue_usd"}
MEANINGS = ("converted", "revenue_usd")

OPTIONS: Sequence[Option] = (
    Option("host", "address of the server", '"https://cloud.langfuse.com"', default="https://cloud.langfuse.com"),
    Option("public_key_env", "variable with the project's public key", '"LANGFUSE_PUBLIC_KEY"', required=True, secret=True),
    Option("secret_key_env", "variable with the project's secret key", '"LANGFUSE_SECRET_KEY"', required=True, secret=True),
    Option("api", "which API to read: v1 for self-hosted servers before version 4", '"auto"', default="auto", choices=("auto", "v2", "v1")),
    Option("environments", "only these environments", '["production"]', default=(), form="texts"),
    Option("metadata_keys", "further metadata values that are longer than 200 characters and needed whole", '["labels"]', default=(), form="texts"),
    Option("scores", "scores by name, and what each tells: converted or revenue_usd", '{ purchased = "converted" }', default=SCORES, form="table"),
    REREAD,
    HISTORY,
    Option("page_size", "observations per request, at most 1000", "1000", default=1000, form="integer"),
    Option("timeout_seconds", "how long to wait for one answer", "60", default=60, form="number"),
)  # fmt: skip

LONGEST = timedelta(days=1)
SHORTEST = timedelta(minutes=1)
MOST_PAGES = 100
"""A window with more pages is read again as a shorter one: a load holds at most some 100,000 calls."""


def permissions(settings: SourceSettings) -> str:
    """The least that must be granted."""
    return (
        f"{settings.name}: {GRANT}.\n"
        "Langfuse's project keys cannot be limited to reading; make a pair for this purpose alone, so that it can be revoked alone:\n"
        f"  export {settings.options['public_key_env']}=pk-lf-...\n"
        f"  export {settings.options['secret_key_env']}=sk-lf-..."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether the keys are accepted, which API the server has, and whether costs and scores can be read: two or three requests."""
    host = str(settings.options["host"])
    if host.startswith("http://") and "127.0.0.1" not in host and "localhost" not in host:
        yield Finding("warning", host, "the keys travel without encryption", "use an https:// address")
    try:
        now = utc(datetime.now(UTC))
        api = _open(settings, lambda _message, _share: None, now)
    except (SourceError, InputError) as error:
        yield problem(host, error, f"check the keys; needed is {GRANT}")
        return
    try:
        rows = next(api.observations(now - 2 * LONGEST, now + LONGEST), [])
        next(api.scores(now - 2 * LONGEST, now + LONGEST), [])
    except (SourceError, NoSuchEndpoint) as error:
        yield problem(host, error, f"needed is {GRANT}")
        return
    finally:
        api.close()
    which = "v2" if isinstance(api, CurrentApi) else "v1 (removed from servers of version 4 on)"
    if not rows:
        yield Finding(
            "warning",
            host,
            f"answers (API {which}), but has no observation of the last two days",
            "is it the right project?",
        )
        return
    yield Finding("fine", host, f"answers (API {which}); observations and scores can be read")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The time that would be read. How many requests that takes is only known once it is read."""
    first, last = begin(position, window, settings.options), utc(window.now)
    yield Planned(
        "observations and scores",
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC",
        reason=why(position, window, settings.options),
    )


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Observations and scores, a batch per window of at most a day. Raises SourceError."""
    now = utc(window.now)
    first = start = begin(position, window, settings.options)
    length = timedelta(seconds=float(position.get("window_seconds", LONGEST.total_seconds())))
    api = _open(settings, progress, now)
    try:
        while start < now:
            end = min(start + length, now)
            done = share(start, first, now)
            progress(f"{settings.name}: observations from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}", done)
            file = folder / f"{start:%Y%m%dT%H%M%S}-{end:%Y%m%dT%H%M%S}-observations.jsonl"
            pages, oldest = _write_observations(api, start, end, now, file, progress, done)
            if oldest is not None:
                length = max(SHORTEST, min((end - oldest) * 0.8, (end - start) / 2))
                file.unlink()
                continue
            scores = file.with_name(file.name.replace("observations", "scores"))
            _write_scores(api, start, end, scores, settings.options["scores"])
            if pages < MOST_PAGES // 4:
                length = min(LONGEST, length * 2)
            yield Batch(
                [path for path in (file, scores) if path.exists()],
                {"read_until": end.isoformat(), "window_seconds": length.total_seconds()},
                what=f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}",
                together=True,
            )
            start = end
    except NoSuchEndpoint as error:
        raise SourceError(str(error)) from error
    finally:
        api.close()


def _open(settings: SourceSettings, progress: Progress, now: datetime) -> CurrentApi | LegacyApi:
    """The API that this server has. Raises SourceError, InputError for settings that cannot be used."""
    wanted = settings.options["api"]
    if settings.options["page_size"] < 1:
        raise InputError(f"source {settings.name!r}: page_size is a whole number from 1 to 1000")
    for name, meaning in settings.options["scores"].items():
        if meaning not in MEANINGS:
            raise InputError(
                f"source {settings.name!r}: the score {name!r} tells {' or '.join(MEANINGS)}, not {meaning!r}"
            )
    if wanted != "v1":
        current = CurrentApi(settings, progress)
        try:
            if wanted == "auto":
                next(current.observations(now - SHORTEST, now, context=True), None)
            return current
        except NoSuchEndpoint:
            current.close()
        except BaseException:
            current.close()
            raise
    legacy = LegacyApi(settings, progress)
    try:
        next(legacy.observations(now - SHORTEST, now, context=True), None)
    except NoSuchEndpoint as error:
        legacy.close()
        raise SourceError(
            f"{settings.name}: {settings.options['host']} has neither /api/public/v2/observations nor /api/public/observations: is the address right?"
        ) from error
    except BaseException:
        legacy.close()
        raise
    return legacy


def _write_observations(
    api: CurrentApi | LegacyApi,
    start: datetime,
    end: datetime,
    now: datetime,
    file: Path,
    progress: Progress,
    done: float | None,
) -> tuple[int, datetime | None]:
    """Write a window's observations; (pages read, None). With too many pages: (pages, the oldest time among them), and the file is not whole."""
    pages = count = 0
    oldest = end
    with file.open("w", encoding="utf-8") as out:
        for page in api.observations(start, end):
            pages += 1
            count += len(page)
            for item in page:
                trace = api.trace(item.get("traceId")) if isinstance(api, LegacyApi) else None
                out.write(json.dumps(observation_row(item, trace)) + "\n")
                oldest = min(oldest, _time(item.get("startTime")) or oldest)
            progress(f"{file.stem.removesuffix('-observations')}: {count:,} observations", done)
            if pages > MOST_PAGES and end - start > SHORTEST:
                return pages, oldest
        if count and end < now:
            after = min(now, end + min(timedelta(hours=1), max(2 * SHORTEST, (end - start) / 8)))
            for page in api.observations(end, after, context=True):
                out.writelines(json.dumps(context_row(item)) + "\n" for item in page)
    if not count:
        file.unlink()
    return pages, None


def _write_scores(
    api: CurrentApi | LegacyApi, start: datetime, end: datetime, file: Path, meanings: Mapping[str, str]
) -> None:
    rows: list[dict[str, Any]] = []
    for page in api.scores(start, end):
        told = [row for row in map(score_row, page) if row is not None]
        rows += [row | {"name": meanings.get(row["name"], row["name"])} for row in told]
    if rows:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _time(text: object) -> datetime | None:
    try:
        return utc(datetime.fromisoformat(str(text)))
    except ValueError:
        return None
