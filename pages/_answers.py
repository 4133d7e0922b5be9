"""Answers by their questions: computed once however many ask at once, handed out as copies, and bounded in number and bytes.

Streamlit's own caches would do the same at ten times the price per look-up (they hash every argument, look at the signature of the function and
replay what it drew), which a page pays for each of its questions at every run.
"""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, TypeVar

import pandas as pd

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")

_UNCHANGEABLE = (str, bytes, int, float, bool, Decimal, date, timedelta, Enum, type(None))


class Shelf(Generic[Key, Kept]):
    """Things by key, the one asked for longest ago dropped first when there are more than `entries` or, by `size`, more than `most_bytes`.

    A single thing of more than `most_each` bytes is handed out and not kept: it would drive out many others.

    Whoever asks first for a missing one makes it; whoever asks meanwhile waits for that one. It may be shared by threads.
    """

    def __init__(
        self,
        entries: int,
        most_bytes: int | None = None,
        size: Callable[[Kept], int] | None = None,
        most_each: int | None = None,
    ) -> None:
        self.entries = entries
        self.most_bytes = most_bytes
        self.most_each = most_each
        self._size = size
        self._lock = threading.Lock()
        self._things: OrderedDict[Key, tuple[Kept, int]] = OrderedDict()
        self._underway: dict[Key, Future[Kept]] = {}
        self._bytes = 0

    def get(self, key: Key, make: Callable[[], Kept]) -> Kept:
        """The thing under this key, made now if there is none. Raises what `make` raises, to all who wait; nothing is kept then."""
        with self._lock:
            found = self._things.get(key)
            if found is not None:
                self._things.move_to_end(key)
                return found[0]
            awaited = self._underway.get(key)
            if awaited is None:
                mine: Future[Kept] = Future()
                self._underway[key] = mine
        if awaited is not None:
            return awaited.result()
        try:
            thing = make()
            size = self._size(thing) if self._size else 0
        except BaseException as error:
            with self._lock:
                if self._underway.get(key) is mine:
                    del self._underway[key]
            mine.set_exception(error)
            raise
        with self._lock:
            # After `clear` somebody else may be making it anew: what was begun before is not kept.
            if self._underway.get(key) is mine:
                del self._underway[key]
                if self.most_each is None or size <= self.most_each:
                    self._keep(key, thing, size)
        mine.set_result(thing)
        return thing

    def _keep(self, key: Key, thing: Kept, size: int) -> None:
        self._things[key] = (thing, size)
        self._bytes += size
        while len(self._things) > self.entries or (self.most_bytes is not None and self._bytes > self.most_bytes):
            _, (_, freed) = self._things.popitem(last=False)
            self._bytes -= freed

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._things

    def held(self) -> list[Key]:
        """All keys, the one asked for longest ago first."""
        with self._lock:
            return list(self._things)

    def __len__(self) -> int:
        with self._lock:
            return len(self._things)

    @property
    def bytes(self) -> int:
        """What all things take together, by `size`."""
        with self._lock:
            return self._bytes

    def clear(self) -> None:
        """Forget everything. What is being made now reaches those who wait for it, and is not kept."""
        with self._lock:
            self._things.clear()
            self._underway.clear()
            self._bytes = 0


@dataclass(frozen=True)
class Copied:
    """An answer as it is kept: nobody who gets a copy can change it for others. `size` in bytes."""

    kept: Any
    pickled: bool
    size: int

    def copy(self) -> Any:
        """The answer, of one's own."""
        if self.pickled:
            # Bytes of our own making, which never left this process.
            return pickle.loads(self.kept)  # noqa: S301
        # What one does to a shallow copy of a frame never reaches the frame: pandas copies on write.
        return self.kept.copy(deep=False) if isinstance(self.kept, pd.DataFrame) else self.kept


def copied(answer: Any) -> Copied:
    """An answer made ready to be kept. Raises TypeError for one that cannot be pickled."""
    if _is_unchangeable(answer):
        return Copied(answer, pickled=False, size=len(pickle.dumps(answer)))
    if type(answer) is pd.DataFrame and _has_unchangeable_cells(answer):
        own = answer.copy()
        return Copied(own, pickled=False, size=int(own.memory_usage(deep=True).sum()))
    try:
        raw = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError) as error:
        raise TypeError(f"{type(answer).__name__} cannot be kept as an answer: {error}") from error
    return Copied(raw, pickled=True, size=len(raw))


def _is_unchangeable(value: Any) -> bool:
    if type(value) is tuple:
        return all(_is_unchangeable(part) for part in value)
    return isinstance(value, _UNCHANGEABLE)


def _has_unchangeable_cells(frame: pd.DataFrame) -> bool:
    if frame.attrs:
        return False
    columns = (frame.iloc[:, position] for position, kind in enumerate(frame.dtypes) if kind.kind == "O")
    return all(isinstance(cell, _UNCHANGEABLE) for column in columns for cell in column)
