"""Whether anybody works on a question: Spark itself waits for executors without limit, and a page with it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

WAITS = "spark.scheduler.maxRegisteredResourcesWaitingTime"
"""Spark's own setting: so long it waits for executors before it begins to plan with those that are there. Here also how long a question waits
while there is none at all."""

WAITS_FOR = "60s"
_LOOKS_EVERY = 1.0
"""Seconds. Questions that are answered within them cost no look."""


class Watch:
    """Gives up what a session works on when it has had no executor for the time of `WAITS`. Used around one question, in `with`.

    Spark in this process (local[...]) always has one; behind Spark Connect the server sees to it.
    """

    def __init__(self, session: Any, url: str) -> None:
        self._context = session.sparkContext if url.startswith("spark://") else None
        self._answered = threading.Event()
        self._gave_up = False
        self._limit = 0.0

    def __enter__(self) -> Watch:
        if self._context is not None:
            threading.Thread(target=self._look, name="percall-spark-watch", daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._answered.set()

    def nobody_works(self) -> bool:
        """Whether a question that failed did so because it was given up, by this watch or by that of another question of the session."""
        if self._gave_up or self._context is None:
            return self._gave_up
        # A session that is lost cannot be asked: then that is the reason.
        with suppress(Exception):
            return self._executors() == 0
        return False

    def sentence(self) -> str:
        """What to say then."""
        return (
            f"has no worker for this question, and none came within {self._limit or self._seconds():.0f} s: check that workers are registered at "
            f"the master and have as many free cores and as much memory as [engine] asks for; options may give them more time with {WAITS}"
        )

    def _look(self) -> None:
        without_since = None
        while not self._answered.wait(_LOOKS_EVERY):
            # Whatever ends the session ends the question too, and is told there.
            try:
                if self._executors():
                    without_since = None
                    continue
                self._limit = self._limit or self._seconds()
                without_since = without_since or time.monotonic()
                if time.monotonic() - without_since >= self._limit:
                    self._gave_up = True
                    self._context.cancelAllJobs()  # type: ignore[union-attr]
                    return
            except Exception:
                return

    def _executors(self) -> int:
        # The driver is one of these.
        return int(self._context._jsc.sc().getExecutorMemoryStatus().size()) - 1  # type: ignore[union-attr]

    def _seconds(self) -> float:
        context: Any = self._context
        told = context.getConf().get(WAITS, WAITS_FOR)
        return float(context._jvm.org.apache.spark.network.util.JavaUtils.timeStringAsSec(told))
