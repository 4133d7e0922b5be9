"""How often an address may ask for links that do not exist, or give wrong passcodes, before it has to wait."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW_SECONDS = 600.0
MOST_REFUSALS = 20
MOST_PASSCODES = 5
MOST_NOTED = 500
"""So many refusals of all addresses together are written to the audit log within the window: a flood must not fill the disk."""

_MOST_KEYS = 10_000


class Limiter:
    """Counts what was refused, by key, within a sliding window. In memory: a restart forgets, and one process serves all requests."""

    def __init__(self, window: float = WINDOW_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._window, self._clock = window, clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, key: str) -> int:
        """How often this key was refused within the window."""
        with self._lock:
            return len(self._recent(key))

    def note(self, key: str) -> int:
        """Count a refusal; answers with how many there are within the window, this one among them."""
        with self._lock:
            times = self._recent(key)
            times.append(self._clock())
            self._times[key] = times
            self._times.move_to_end(key)
            while len(self._times) > _MOST_KEYS:
                self._times.popitem(last=False)
            return len(times)

    def wait_seconds(self, key: str) -> int:
        """After how many seconds the oldest refusal of this key is forgotten."""
        with self._lock:
            times = self._recent(key)
            return max(1, int(times[0] + self._window - self._clock()) + 1) if times else 1

    def _recent(self, key: str) -> deque[float]:
        times = self._times.get(key, deque())
        while times and times[0] <= self._clock() - self._window:
            times.popleft()
        if not times:
            self._times.pop(key, None)
        return times
