"""A sync in a process of its own, started from the browser: what it does now and did, for every session of this server.

The dashboard goes on reading the old snapshot until the sync has published a new one, and no session waits for it.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pages import _data
from warehouse.configuration import REPOSITORY

ACTOR = "PERCALL_ACTOR"
"""Environment variable in which `percall sync` is told for whom it runs."""

_MESSAGES_KEPT = 20


@dataclass
class BackgroundSync:
    """One sync: who asked for it and when (UTC), what it does now, and what has ended, as `percall sync` tells it."""

    by: str
    started_at: datetime
    process: subprocess.Popen[str]
    source: str = ""
    message: str = "starting"
    share: float | None = None
    finished: list[dict[str, Any]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return not self.ended.is_set()

    def stop(self) -> None:
        """Ask it to end after the step that it is at; what was loaded stays."""
        self.process.terminate()

    def read(self) -> None:
        """Take in what it tells until it ends."""
        try:
            for line in self.process.stdout or ():
                self._take(line)
        finally:
            self.process.wait()
            self.ended.set()

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self.messages = [*self.messages, line.strip()][-_MESSAGES_KEPT:]
            return
        kind = event.get("event")
        if kind == "finished":
            self.finished.append(event)
        elif kind in ("started", "progress"):
            if event.get("source") != self.source:
                self.share = None
            self.source, self.message = str(event.get("source", "")), str(event.get("message", ""))
            self.share = event["share"] if isinstance(event.get("share"), int | float) else self.share
        elif kind == "skipped":
            self.messages.append(str(event.get("message", "")))


_last: dict[Path, BackgroundSync] = {}
_lock = threading.Lock()


def last_sync() -> BackgroundSync | None:
    """The sync that was started last from this server for the store that it shows, whether or not it still runs."""
    return _last.get(_data.store_path())


def start_sync(by: str) -> BackgroundSync:
    """Start a sync of all sources, unless one that was started here still runs; answers with the one that runs."""
    store = _data.store_path()
    with _lock:
        present = _last.get(store)
        if present is not None and present.running:
            return present
        environment = dict(os.environ) | {ACTOR: by}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(  # noqa: S603 - our own command, no words of a request
            _command(store), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", env=environment,
        )  # fmt: skip
        started = BackgroundSync(by, datetime.now(UTC).replace(tzinfo=None), process)
        _last[store] = started
        threading.Thread(target=started.read, name="percall-sync", daemon=True).start()
        return started


def _command(store: Path) -> list[str]:
    words = [sys.executable, "-c", "from operations.cli import main; main()", "--store", str(store)]
    path = _data.configuration().path
    return [*words, *(["--config", str(path)] if path else []), "sync", "--format", "json"]


@atexit.register
def _end_with_the_server() -> None:
    for one in _last.values():
        if one.running:
            one.stop()
