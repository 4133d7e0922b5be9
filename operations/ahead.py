"""After a sync of a large store: what is dear to find out is found out at once, so that nobody waits for it on a page.

A load leaves it to the server, which does the same when it sees the new snapshot: somebody waits for a load's prompt.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from operations.terminal import say

if TYPE_CHECKING:
    from operations.cli import Context

FEWEST_CALLS = 1_000_000
"""Of fewer calls a page finds out what it needs in about a second, and the server does it beforehand anyway."""


def look_ahead(settings: Context, stop: threading.Event) -> None:
    """Have it kept on disk (`warehouse.prepared`), unless another process is at it, and until `stop` is set. It says that it begins.

    Whatever fails here is said and leaves the sync as it is: pages find out themselves.
    """
    from warehouse.store import Store

    try:
        snapshot = Store(settings.store).current()
        calls = 0 if snapshot is None else snapshot.calls
        if calls < FEWEST_CALLS or stop.is_set():
            return
        from analytics.ahead import questions_ahead
        from warehouse.prepared import turn
        from warehouse.reader import open_current

        warehouse = open_current(settings.store, settings.configuration)
        questions = questions_ahead(warehouse)
        with turn(warehouse) as mine:
            if mine and questions:
                say(f"what was read is stored; finding out ahead what pages ask of {calls:,} calls")
            for _name, ask in questions if mine else ():
                if stop.is_set():
                    return
                ask()
    except Exception as error:
        # DuckDB turns the exception of a signal's handler into one of its own.
        if not stop.is_set():
            say(f"nothing more is found out ahead of the pages: {error}")
