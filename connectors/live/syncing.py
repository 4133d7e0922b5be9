"""The sync: pulls every source, loads what it fetched, and only then remembers the position. One source that fails does not keep the others.

Killed at any moment, the store holds what was loaded so far and the position of it or an earlier one: the next sync reads at most one batch
again, which changes nothing. What a killed sync had fetched lies in `<store>/fetched` and is removed by the next one. One sync runs at a time
per store, and readers are never kept waiting.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from connectors.intake import NOTE, Offered, load_files
from connectors.live.registry import live_source
from connectors.live.source import Batch, Planned, SourceSettings, Window
from connectors.live.sync_records import FAILED, FINE, INCOMPLETE, RUNNING, STOPPED, SyncRecords
from warehouse.audit import SYNCED, AuditLog
from warehouse.configuration import Configuration
from warehouse.errors import PercallError, SourceError, StoreError
from warehouse.load_report import LoadReport, report_lines
from warehouse.store import Store

GATHERED_BYTES = 256 * 1024 * 1024
GATHERED_FILES = 200
"""Batches that may be loaded together are, up to this much: every snapshot rewrites the months that it touches."""


@dataclass(frozen=True)
class Event:
    """What happens in a sync, as it happens: `started`, `progress`, `loaded` or `finished`, of one source.

    `share`: of the source's work that is done, where it is known. `detail`: lines of the load (as `percall load` prints them) or, at the end,
    state, rows and batches.
    """

    event: str
    source: str
    message: str = ""
    share: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one source. `retry`: it may succeed by itself next time."""

    source: str
    kind: str
    state: str
    rows_kept: int = 0
    rows_rejected: int = 0
    batches: int = 0
    message: str = ""
    retry: bool = False

    @property
    def failed(self) -> bool:
        """Whether somebody should look at it."""
        return self.state in (FAILED, INCOMPLETE, STOPPED)


class SyncIsRunning(StoreError):  # noqa: N818 - not a fault
    """Another sync of this store has not finished yet."""


class SyncStopped(BaseException):
    """A person or the operating system ends this process; no `except Exception` may swallow it."""


@contextlib.contextmanager
def only_sync(store: Store, wait_seconds: float = 2.0) -> Iterator[SyncRecords]:
    """The one sync of a store at a time: cleans up after one that was killed. Raises SyncIsRunning when another one runs."""
    try:
        store.path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(f"{store.path} is a file; the store is a folder: choose another with --store PATH") from error
    with (store.path / "sync.lock").open("a") as lock:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise SyncIsRunning(f"{store.path}: another sync is running; it goes on, this one ends") from None
                time.sleep(0.05)
        records = SyncRecords(store.path)
        records.close_abandoned()
        shutil.rmtree(_fetched(store), ignore_errors=True)
        try:
            yield records
        finally:
            shutil.rmtree(_fetched(store), ignore_errors=True)
            fcntl.flock(lock, fcntl.LOCK_UN)


def is_running(store: Store) -> bool:
    """Whether a sync of this store runs now, in any process of this machine."""
    path = store.path / "sync.lock"
    if not path.exists():
        return False
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
    return False


def planned(store: Store, settings: SourceSettings, window: Window) -> list[Planned]:
    """What a sync of this source would read now, without reading it. Raises SourceError or InputError, without any secret in it."""
    position = SyncRecords(store.path).position(settings.name, settings.kind)
    try:
        return list(live_source(settings.kind).plan(settings, position, window))
    except PercallError as error:
        raise type(error)(settings.secrets.masked(str(error))) from error
    except Exception as error:
        raise SourceError(_unforeseen(settings, error)) from error


def sync(
    store: Store,
    configuration: Configuration,
    sources: Sequence[SourceSettings],
    window: Window,
    tell: Tell,
    *,
    next_at: datetime | None = None,
    stop: threading.Event | None = None,
) -> list[Outcome]:
    """Sync these sources, one after the other. `next_at` (UTC) is written down as the time of the next run.

    Raises SyncIsRunning. What goes wrong with a source is in its outcome. With `stop` set, the source at work ends with state "stopped" and
    the rest are not begun.
    """
    ended = stop or threading.Event()
    outcomes: list[Outcome] = []
    with only_sync(store) as records:
        for settings in sources:
            if ended.is_set():
                break
            outcomes.append(_SourceSync(store, configuration, settings, records, tell, ended).run(window, next_at))
    return outcomes


class _SourceSync:
    """The sync of one source."""

    def __init__(
        self,
        store: Store,
        configuration: Configuration,
        settings: SourceSettings,
        records: SyncRecords,
        tell: Tell,
        stop: threading.Event,
    ) -> None:
        self.store, self.configuration, self.settings, self.records = store, configuration, settings, records
        self.tell, self.stop = tell, stop
        self.folder = _fetched(store) / "source"
        self.rows_kept = self.rows_rejected = self.batches = self.moved = 0
        self.messages: dict[str, None] = {}
        self.refused = False
        self.gathered: list[Batch] = []

    def run(self, window: Window, next_at: datetime | None) -> Outcome:
        """Pull, load and remember, batch by batch; write down what became of it."""
        name, kind = self.settings.name, self.settings.kind
        self.tell(Event("started", name, f"beginning ({kind})"))
        state, retry, number = FAILED, False, None
        try:
            number = self.records.start(name, kind)
            self._pull(window)
            state = INCOMPLETE if self.refused else FINE
        except SyncStopped:
            self.stop.set()
            state = STOPPED
            self._note("stopped before its end; the next sync goes on from there")
        except SourceError as error:
            retry = error.retry
            self._note(str(error))
        except PercallError as error:
            self._note(str(error))
        except OSError as error:
            self._note(_of_the_machine(error))
        except duckdb.Error as error:
            self._note(
                f"the store could not be written: {str(error).splitlines()[0]}; nothing was changed, the next sync goes on"
            )
        except Exception as error:
            # One source must not keep the others from being read, whatever its service or library does.
            if self.stop.is_set():
                state = STOPPED
            self._note(_unforeseen(self.settings, error))
        shutil.rmtree(_fetched(self.store), ignore_errors=True)
        outcome = Outcome(
            name, kind, state, self.rows_kept, self.rows_rejected, self.batches, " ".join(self.messages), retry
        )
        self._write_down(number, outcome, next_at)
        detail = {
            "kind": kind, "state": state, "rows_kept": outcome.rows_kept, "rows_rejected": outcome.rows_rejected,
            "batches": outcome.batches, "retry": retry,
        }  # fmt: skip
        self.tell(Event("finished", name, outcome.message, 1.0, detail))
        return outcome

    def _pull(self, window: Window) -> None:
        position = self.records.position(self.settings.name, self.settings.kind)
        self.folder.mkdir(parents=True, exist_ok=True)
        source = live_source(self.settings.kind)
        pulled = source.pull(self.settings, position, window, self.folder, self._progress)
        try:
            for batch in pulled:
                self._check_stop()
                self._take(batch)
            self._load()
        finally:
            with contextlib.suppress(Exception):
                pulled.close()  # type: ignore[attr-defined]

    def _take(self, batch: Batch) -> None:
        """Load a batch, or set it aside to be loaded with the next ones."""
        if self.gathered and not _fit_together(self.gathered, batch):
            self._load()
        self.gathered.append(self._set_aside(batch) if batch.together and batch.paths else batch)
        if not batch.together or _is_much(self.gathered):
            self._load()

    def _set_aside(self, batch: Batch) -> Batch:
        """The batch with its files out of the source's way, which may write others under the same names."""
        self.moved += 1
        target = _fetched(self.store) / f"batch-{self.moved}"
        paths = []
        for path in batch.paths:
            if not path.is_relative_to(self.folder):
                paths.append(path)  # somebody's own file, read where it lies
                continue
            place = target / path.relative_to(self.folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            paths.append(Path(shutil.move(path, place)))
        return replace(batch, paths=paths)

    def _load(self) -> None:
        """Load what was gathered as one snapshot, then remember the position of its last batch."""
        gathered, self.gathered = self.gathered, []
        if not gathered:
            return
        files = [
            Offered(path, batch.kind, batch.delivery, batch.delivered_at) for batch in gathered for path in batch.paths
        ]
        for note in dict.fromkeys(note for batch in gathered for note in batch.notes):
            self._note(note)
        refused = False
        if files:
            what = ", ".join(dict.fromkeys(batch.what for batch in gathered if batch.what))
            doing = f"loading {what}" if what else "loading"
            reports = load_files(
                self.store,
                self.configuration,
                files,
                gathered[0].on_overlap,
                lambda message, _share: self._progress(f"{doing}: {message}", None),
            )
            refused = self._count(reports)
            self.batches += len(gathered)
        whole = any(batch.delivery is not None or batch.on_overlap == "pieces" for batch in gathered)
        if refused and whole:
            raise SourceError(
                f"{self.settings.name}: a part of a period was refused, so that it is read again next time"
            )
        self.records.save_position(self.settings.name, self.settings.kind, dict(gathered[-1].position))
        for path in (path for batch in gathered for path in batch.paths):
            if path.is_relative_to(_fetched(self.store)):
                path.unlink(missing_ok=True)

    def _count(self, reports: Sequence[LoadReport]) -> bool:
        """Add up what a load did and tell it; answers whether a file was refused."""
        stored = [report for report in reports if report.status != NOTE]
        self.rows_kept += sum(report.rows_kept for report in stored)
        self.rows_rejected += sum(report.rows_rejected for report in stored)
        for report in reports:
            if report.message and report.status in ("refused", NOTE):
                self._note(report.message)
        refused = any(report.status == "refused" for report in stored)
        self.refused = self.refused or refused
        for line in report_lines(stored):
            line["messages"] = [self._masked(message) for message in line["messages"]]
            self.tell(Event("loaded", self.settings.name, detail=line))
        return refused

    def _write_down(self, number: int | None, outcome: Outcome, next_at: datetime | None) -> None:
        """The run's record and its entry in the audit log. A disk that is full must not hide what happened."""
        try:
            if number is not None:
                self.records.end(
                    number, outcome.state, rows_kept=outcome.rows_kept, rows_rejected=outcome.rows_rejected,
                    batches=outcome.batches, message=outcome.message, next_at=next_at,
                )  # fmt: skip
            if outcome.batches or outcome.state != FINE:
                AuditLog(self.store.path).record(
                    SYNCED, outcome.source, kind=outcome.kind, state=outcome.state, rows=outcome.rows_kept, rejected=outcome.rows_rejected,
                    batches=outcome.batches, message=outcome.message,
                )  # fmt: skip
        except (StoreError, OSError) as error:
            self.tell(Event("progress", outcome.source, f"what became of this run could not be written down: {error}"))

    def _progress(self, message: str, share: float | None) -> None:
        self._check_stop()
        self.tell(Event("progress", self.settings.name, self._masked(message), share))

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise SyncStopped

    def _note(self, message: str) -> None:
        if len(self.messages) < 20:
            self.messages[self._masked(message)] = None

    def _masked(self, text: str) -> str:
        return self.settings.secrets.masked(text)


def _fit_together(gathered: Sequence[Batch], batch: Batch) -> bool:
    """Whether one load may take these batches at once: none replaces another, and all settle overlaps alike."""
    names = {path.name for one in gathered for path in one.paths}
    deliveries = {one.delivery for one in gathered if one.delivery is not None}
    return (
        gathered[-1].together
        and gathered[0].on_overlap == batch.on_overlap
        and batch.delivery not in deliveries
        and not (batch.on_overlap == "pieces" and any(path.name in names for path in batch.paths))
    )


def _is_much(gathered: Sequence[Batch]) -> bool:
    files = [path for batch in gathered for path in batch.paths]
    return len(files) >= GATHERED_FILES or sum(path.stat().st_size for path in files) >= GATHERED_BYTES


def _fetched(store: Store) -> Path:
    """Where fetched files lie until they are loaded; not in the scratch folder, which every load empties."""
    return store.path / "fetched"


def _of_the_machine(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "no space is left on the disk of the store; free some, the next sync goes on (nothing that was loaded is lost)"
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename is not None else what


def _unforeseen(settings: SourceSettings, error: Exception) -> str:
    text = settings.secrets.line(str(error), 500)
    return f"{settings.name}: unexpected {type(error).__name__}: {text}. Please report this as a defect"


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


__all__ = [
    "RUNNING", "Event", "Outcome", "SyncIsRunning", "SyncStopped", "Tell", "is_running", "now", "only_sync", "planned", "sync",
]  # fmt: skip
