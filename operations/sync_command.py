"""`percall sync`: pulls the configured live sources into the store, once or on a schedule."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.ahead import look_ahead
from operations.engine_command import follow
from operations.terminal import printable, progress_bar, say

if TYPE_CHECKING:
    from connectors.live.settings import Misconfigured
    from connectors.live.source import Planned, SourceSettings, Window
    from connectors.live.syncing import Event, Outcome
    from operations.cli import Context
    from warehouse.store import Store

ACTOR = "PERCALL_ACTOR"
"""Environment variable: the person for whom a sync runs, for the audit log (the dashboard sets it)."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("sync")(sync)


def sync(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Names of sources; all of them when none is named."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Read again from this day on: 2026-03-01, 2026-03-01T12:00 (UTC), or 30d ago.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be read, and what that would cost; read nothing.")
    ] = False,
    every: Annotated[
        str | None, typer.Option(help="Stay, and sync again at this interval: 15m, 1h, 1d. Ends on SIGTERM or Ctrl-C.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="text or json; default: text on a terminal, JSON lines elsewhere.")
    ] = None,
) -> None:
    """Pull the live sources that percall.toml names.

    Prints JSON lines (event started, progress, loaded, finished) unless stdout is a terminal. Exit code 2 when a source failed; the others
    are synced all the same. When another sync of the store is running, this one says so and ends with 0.
    """
    from connectors.live.syncing import now
    from warehouse.errors import InputError
    from warehouse.store import Store

    settings: Context = context.obj
    as_text = _as_text(format_)
    chosen, broken = choose(settings, sources or [])
    if dry_run and every:
        raise InputError("--dry-run and --every exclude each other")
    moment = now()
    begin = None if since is None else read_since(since, moment)
    store = Store(settings.store)
    if dry_run:
        _plan(store, chosen, broken, _window(moment, begin), as_text)
        return
    stop = threading.Event()
    with _ending_on_signals(stop):
        if every is None:
            failed = _once(settings, store, chosen, broken, _window(moment, begin), as_text, None, stop)
            if failed:
                raise typer.Exit(2)
            return
        _for_ever(settings, store, chosen, broken, begin, as_text, read_interval(every), stop)


def choose(settings: Context, names: Sequence[str]) -> tuple[list[SourceSettings], list[Misconfigured]]:
    """The sources of these names (none: all), and those sections among them that cannot be used.

    Raises InputError when there is none, or a name is unknown.
    """
    from connectors.live.settings import read_sources
    from warehouse.errors import InputError

    usable, broken = read_sources(settings.configuration)
    if not settings.configuration.sources:
        raise InputError(
            "no live source is configured: add a section [[source]] to percall.toml (docs/how-to-connect.md shows one for every kind)"
        )
    known = [source.name for source in usable] + [section.name for section in broken]
    for name in names:
        if name not in known:
            raise InputError(
                f"there is no source {name!r}; configured are {', '.join(known) or 'none that is enabled'}"
            )
    if names:
        usable = [source for source in usable if source.name in names]
        broken = [section for section in broken if section.name in names]
    return usable, broken


def read_since(text: str, now: datetime) -> datetime:
    """A day, a time (UTC unless it has a zone) or an age such as 30d, as UTC. Raises InputError."""
    from warehouse.errors import InputError

    if re.fullmatch(r"\d+[smhd]", text):
        return now - read_interval(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--since {text!r} is no day; write it like 2026-03-01, or 30d") from error
    moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    if moment > now:
        raise InputError(f"--since {text} lies in the future")
    return moment


def read_interval(text: str) -> timedelta:
    """`15m`, `1h`, `1d`. Raises InputError; the shortest interval is 10 seconds."""
    from warehouse.errors import InputError

    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if seconds < 10:
        raise InputError(f"{text!r} is no interval; write it like 15m, 1h or 1d (at least 10s)")
    return timedelta(seconds=seconds)


def next_time(started: datetime, interval: timedelta, now: datetime) -> datetime:
    """The first moment after `now` on the grid that began at `started`: runs that take longer skip turns, and never move the grid."""
    return started + interval * ((now - started) // interval + 1)


def _window(now: datetime, since: datetime | None) -> Window:
    from connectors.live.source import Window

    return Window(now, since)


def _as_text(format_: str | None) -> bool:
    from warehouse.errors import InputError

    if format_ not in (None, "text", "json"):
        raise InputError(f"--format {format_!r} is neither text nor json")
    return sys.stdout.isatty() if format_ is None else format_ == "text"


@contextlib.contextmanager
def _ending_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the sync between two steps; a second one, at once."""
    from connectors.live.syncing import SyncStopped

    def end(_number: int, _frame: FrameType | None) -> None:
        first = not stop.is_set()
        stop.set()
        if not first:
            raise SystemExit(2)
        raise SyncStopped

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _for_ever(
    settings: Context,
    store: Store,
    chosen: Sequence[SourceSettings],
    broken: Sequence[Misconfigured],
    since: datetime | None,
    as_text: bool,
    interval: timedelta,
    stop: threading.Event,
) -> None:
    """Sync at every turn of the interval until it is ended; `since` is for the first run. Ends with exit code 0."""
    from connectors.live.syncing import SyncStopped, now

    started = now()
    try:
        while not stop.is_set():
            at = next_time(started, interval, now())
            _once(settings, store, chosen, broken, _window(now(), since), as_text, at, stop)
            since = None
            at = next_time(started, interval, now())
            if not stop.is_set():
                say(f"next sync at {at:%Y-%m-%d %H:%M:%S} UTC")
                stop.wait(max(0.0, (at - now()).total_seconds()))
    except SyncStopped:
        pass
    say("stopped")


def _once(
    settings: Context,
    store: Store,
    chosen: Sequence[SourceSettings],
    broken: Sequence[Misconfigured],
    window: Window,
    as_text: bool,
    next_at: datetime | None,
    stop: threading.Event,
) -> bool:
    """One sync of all sources; answers whether something failed."""
    from connectors.live import syncing
    from warehouse.audit import acting_as, actor

    for section in broken:
        say(f"{section.name}: {section.message}")
        if not as_text:
            _line({"event": "finished", "source": section.name, "message": section.message, "state": "failed"})
    try:
        with acting_as(os.environ.get(ACTOR) or actor()), _telling(as_text) as tell:
            outcomes = syncing.sync(store, settings.configuration, chosen, window, tell, next_at=next_at, stop=stop)
    except syncing.SyncIsRunning as error:
        say(str(error))
        if not as_text:
            _line({"event": "skipped", "message": str(error)})
        return False
    except syncing.SyncStopped:
        return True
    for outcome in outcomes:
        say(_sentence(outcome))
    if any(outcome.rows_kept for outcome in outcomes):
        # All is stored: a signal ends what comes after it, and the sync is none the worse for that.
        with contextlib.suppress(syncing.SyncStopped):
            follow(settings)
            look_ahead(settings, stop)
    left = [source.name for source in chosen[len(outcomes) :]]
    if left:
        say(f"stopped before {', '.join(left)}")
    return bool(broken or left or any(outcome.failed for outcome in outcomes))


def _sentence(outcome: Outcome) -> str:
    rows = f"{outcome.rows_kept:,} rows stored" if outcome.rows_kept else "nothing new"
    rejected = f", {outcome.rows_rejected:,} rejected" if outcome.rows_rejected else ""
    told = f": {outcome.message}" if outcome.message else ""
    if outcome.state == "fine":
        return f"{outcome.source}: {rows}{rejected}{told}"
    return f"{outcome.source}: {outcome.state} ({rows}{rejected}){told}"


@contextlib.contextmanager
def _telling(as_text: bool) -> Iterator[Callable[[Event], None]]:
    """What tells the events of a sync: a bar on a terminal, JSON lines elsewhere (of progress at most one in half a second)."""
    if as_text:
        with progress_bar("sync") as bar:
            shares: dict[str, float] = {}

            def show(event: Event) -> None:
                if event.share is not None:
                    shares[event.source] = event.share
                if event.event in ("started", "progress"):
                    bar(f"{event.source}: {event.message}", shares.get(event.source, 0.0))

            yield show
        return
    last = 0.0

    def write(event: Event) -> None:
        nonlocal last
        import time

        if event.event == "progress":
            if time.monotonic() - last < 0.5:
                return
            last = time.monotonic()
        line: dict[str, Any] = {"event": event.event, "source": event.source}
        if event.message:
            line["message"] = event.message
        if event.share is not None:
            line["share"] = round(event.share, 4)
        _line(line | dict(event.detail))

    yield write


def _line(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def _plan(
    store: Store, chosen: Sequence[SourceSettings], broken: Sequence[Misconfigured], window: Window, as_text: bool
) -> None:
    """Print what a sync would read. Raises typer.Exit(2) when a source cannot say so."""
    from connectors.live.syncing import planned
    from warehouse.errors import PercallError

    failed = bool(broken)
    for section in broken:
        say(f"{section.name}: {section.message}")
    found: list[tuple[str, Planned]] = []
    for source in chosen:
        try:
            found += [(source.name, one) for one in planned(store, source, window)]
        except PercallError as error:
            failed = True
            say(f"{source.name}: {error}")
    if as_text:
        _plan_table(found, [source.name for source in chosen])
    else:
        for name, one in found:
            _line(_planned_line(name, one))
    if failed:
        raise typer.Exit(2)


def _planned_line(name: str, one: Planned) -> dict[str, Any]:
    return {
        "source": name, "what": one.what, "partition": one.partition, "requests": one.requests, "bytes": one.bytes,
        "cost_usd": None if one.cost_usd is None else format(one.cost_usd, "f"), "reason": one.reason,
    }  # fmt: skip


def _plan_table(found: Sequence[tuple[str, Planned]], names: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, side in (
        ("Source", "left"), ("What", "left"), ("Period", "left"), ("Requests", "right"), ("Bytes", "right"), ("USD", "right"),
        ("Why", "left"),
    ):  # fmt: skip
        table.add_column(title, justify="right" if side == "right" else "left", overflow="fold")
    for name, one in found:
        cost = "–" if one.cost_usd is None else f"{one.cost_usd:f}"
        cells = (name, one.what, one.partition or "–", _number(one.requests), _number(one.bytes), cost, one.reason)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    idle = [name for name in names if name not in {source for source, _ in found}]
    for name in idle:
        table.add_row(name, "nothing to read", "–", "–", "–", "–", "")
    Console(file=sys.stdout).print(table)
    costs = [one.cost_usd for _, one in found if one.cost_usd is not None]
    if costs:
        say(f"Known costs: {sum(costs, Decimal(0)):f} USD. Nothing was read.")


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
