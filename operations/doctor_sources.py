"""What `percall doctor` hears from the live sources: all are asked at the same time, and none is waited for longer than somebody waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from connectors.live.registry import live_source
from connectors.live.source import Finding, Patience, SourceSettings
from connectors.live.sync_records import FAILED, FINE, INCOMPLETE, INTERRUPTED, STOPPED, Run, SyncRecords
from operations.doctor import Found
from warehouse.errors import PercallError

_GLANCE = Patience(attempts=2, longest_wait=2.0)
"""A sync sits a disturbance out; a person who looks wants to hear of it."""

_LEVELS = {FINE: "fine", FAILED: "problem", INCOMPLETE: "warning", INTERRUPTED: "warning", STOPPED: "warning"}


def source_findings(sources: Sequence[SourceSettings], records: SyncRecords, wait: float) -> Iterator[Found]:
    """What each source itself answers within `wait` seconds, and how its last sync ended; in the order of `sources`.

    A source that has not answered by then is one problem, beside what it had said so far.
    """
    try:
        latest = records.latest()
    except (PercallError, OSError):
        latest = None  # told with the store
    looks = [_Look(settings) for settings in sources]
    for look in looks:
        look.start()
    deadline = time.monotonic() + wait
    for settings, look in zip(sources, looks, strict=True):
        look.join(max(0.0, deadline - time.monotonic()))
        name = settings.name
        for one in look.heard(wait):
            yield Found("source", replace(one, subject=f"{name}: {one.subject}" if one.subject else name))
        if latest is not None:
            yield Found("source", _last_sync(name, latest.get(name)))


class _Look(threading.Thread):
    """Asks one source. A thread that the process does not wait for: a library may hang for as long as its own limits let it."""

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(name=f"doctor: {settings.name}", daemon=True)
        self._settings = replace(settings, patience=_GLANCE)
        self._found: list[Finding] = []

    def run(self) -> None:
        settings, masked = self._settings, self._settings.secrets.masked
        try:
            for one in live_source(settings.kind).check(settings):
                told = replace(one, subject=masked(one.subject), message=masked(one.message), remedy=masked(one.remedy))
                self._found.append(told)
        except PercallError as error:
            self._found.append(Finding("problem", "", masked(str(error))))
        except Exception as error:
            # The others must be looked at whatever this one's library raises.
            defect = f"unexpected {type(error).__name__}: {settings.secrets.line(str(error))}"
            self._found.append(Finding("problem", "", defect, "please report this as a defect"))

    def heard(self, wait: float) -> list[Finding]:
        """What it answered so far, and that it is late when it is."""
        late = self.is_alive()
        found = list(self._found)
        if late:
            remedy = (
                "see whether this machine reaches it (address, firewall, proxy); where it is only slow: percall doctor "
                f"{self._settings.name!r} --wait {max(60, 2 * wait):g}"
            )
            found.append(Finding("problem", "", f"no answer within {wait:g} s", remedy))
        return found


def _last_sync(name: str, run: Run | None) -> Finding:
    subject = f"{name}: last sync"
    if run is None:
        return Finding("warning", subject, "was never synced", f"run percall sync {name}")
    when = f"{run.ended_at or run.started_at:%Y-%m-%d %H:%M} UTC"
    told = f": {run.message}" if run.message else ""
    level = _LEVELS.get(run.state, "fine")
    remedy = "" if level == "fine" else f"mend what it names, then run percall sync {name}"
    message = f"{run.state} at {when}, {run.rows_kept:,} rows stored{told}"
    return Finding(level, subject, message, remedy)  # type: ignore[arg-type]
