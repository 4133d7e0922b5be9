"""Live source `otlp`: the spans that applications sent to `percall receive`, loaded from its inbox and then removed from it.

The requests of one sync become one file, in which wrappers around calls are recognised; the spans of the last hour are kept beside the inbox,
since a wrapper ends, and is sent, after the calls in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from connectors.live.otlp_inbox import Inbox
from connectors.live.otlp_texts import context_only
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window
from connectors.otlp_messages import spans_of

KIND = "otlp"
TITLE = "OpenTelemetry spans sent to percall receive"
OPTIONS: Sequence[Option] = (
    Option("folder", "the receiver's inbox, as `percall receive` prints it", '"data/store/inbox"', required=True),
)

AT_ONCE = 20_000
LARGEST_BATCH = 256 * 1024 * 1024
HOUR = 3_600_000_000_000
"""Nanoseconds that a wrapper may end after the calls in it."""


def permissions(settings: SourceSettings) -> str:
    """What must be allowed."""
    return f"{settings.name}: the user that runs percall must be able to read and remove files in {settings.options['folder']}"


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether the inbox is there, and what waits in it."""
    folder = Path(str(settings.options["folder"]))
    if not folder.is_dir():
        yield Finding(
            "problem",
            str(folder),
            "there is no such folder",
            "start `percall receive` with the same store, or correct folder",
        )
        return
    waiting = Inbox(folder).waiting()
    yield Finding("fine", str(folder), f"{len(waiting):,} requests wait to be loaded")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:  # noqa: ARG001 - the contract
    """What waits in the inbox."""
    files = Inbox(Path(str(settings.options["folder"]))).waiting()
    if files:
        yield Planned(
            f"{len(files):,} requests",
            bytes=sum(path.stat().st_size for path in files),
            reason="sent since the last sync",
        )


def pull(
    settings: SourceSettings,
    position: Position,
    window: Window,  # noqa: ARG001 - the contract
    folder: Path,
    progress: Progress,
) -> Iterator[Batch]:
    """The calls among the spans that wait, a batch per some thousand requests; they are removed once they are loaded."""
    inbox = Inbox(Path(str(settings.options["folder"])))
    waiting = inbox.waiting()
    done = 0
    loaded = int(position.get("requests", 0))
    for files in _groups(waiting):
        progress(f"{settings.name}: {done:,} of {len(waiting):,} requests", done / len(waiting))
        file = folder / f"{files[0].name.removesuffix('.otlp.json')}-{len(files):05}.jsonl"
        context = _write(inbox, files, file)
        done += len(files)
        loaded += len(files)
        yield Batch([file], {"requests": loaded}, kind="otel", what=f"{len(files):,} requests")
        # asked for more: the batch is in the store
        inbox.loaded(files, context)


def _groups(waiting: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    size = 0
    for path in waiting:
        more = path.stat().st_size
        if group and (len(group) >= AT_ONCE or size + more > LARGEST_BATCH):
            yield group
            group, size = [], 0
        group.append(path)
        size += more
    if group:
        yield group


def _write(inbox: Inbox, files: Sequence[Path], file: Path) -> dict[str, Any]:
    """Write the requests, and the spans of the last hour before them; returns the spans that the next batch is to know."""
    before = inbox.context()
    requests = [] if before is None else [before]
    with file.open("w", encoding="utf-8") as out:
        if before is not None:
            out.write(json.dumps(before, ensure_ascii=False) + "\n")
        for path in files:
            text = path.read_text(encoding="utf-8")
            out.write(text if text.endswith("\n") else text + "\n")
            requests.append(json.loads(text))
    ends = (int(span.get("endTimeUnixNano") or 0) for request in requests for span in spans_of(request))
    return context_only(requests, max(ends, default=0) - HOUR)
