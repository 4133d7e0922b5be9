"""The inbox of spans that applications send: a folder with one file per accepted export request, written whole or not at all.

The receiver (`percall receive`) adds files, the sync (`connectors.live.otlp_spool`) loads and removes them; both may run at once, in several
processes. A file's name begins with the time at which it was accepted, so that names are in the order of arrival.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SUFFIX = ".otlp.json"
CONTEXT = "context.json"


class InboxFull(Exception):  # noqa: N818 - it is emptied again
    """The inbox holds as much as it may, or the disk is full."""


class Inbox:
    """A folder of accepted requests. `most_bytes`: what it may hold together."""

    def __init__(self, folder: Path, most_bytes: int = 10 * 2**30) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._held = 0
        self._counted = -1.0

    def add(self, request: dict[str, Any]) -> Path:
        """Keep one request; it is on the disk when this returns. Raises InboxFull."""
        body = json.dumps(request, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            self._make_room(len(body))
            name = f"{time.time_ns():020}-{os.getpid()}-{next(self._numbers):08}{SUFFIX}"
        target = self.folder / name
        part = target.with_name(f".{name}.part")
        try:
            with part.open("wb") as out:
                out.write(body)
                out.flush()
                os.fsync(out.fileno())
            part.replace(target)
            _sync_folder(self.folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise InboxFull(f"the request cannot be kept: {error.strerror or error}") from error
        return target

    def waiting(self) -> list[Path]:
        """Files that wait to be loaded, in the order of their arrival."""
        return sorted(self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else []

    def context(self) -> dict[str, Any] | None:
        """The spans of the last load that tell which later ones are wrappers."""
        path = self.folder / CONTEXT
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return held if isinstance(held, dict) else None

    def loaded(self, files: Sequence[Path], context: dict[str, Any]) -> None:
        """Remove what was loaded, and keep the spans that later ones may wrap."""
        path = self.folder / CONTEXT
        part = path.with_name(f".{CONTEXT}.part")
        part.write_text(json.dumps(context, ensure_ascii=False), encoding="utf-8")
        part.replace(path)
        for file in files:
            file.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        # the sync empties the inbox from another process: what it holds is counted anew now and then
        if self._counted < 0 or time.monotonic() - self._counted > 30:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._held = sum(_size(path) for path in self.waiting())
            self._counted = time.monotonic()
        if self._held + size > self.most_bytes:
            raise InboxFull(f"the inbox holds {self._held / 2**20:,.0f} MB that no sync has loaded yet")
        self._held += size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
