"""After a load or sync of a large store: what is dear to find out is found out at once, so that nobody waits for it on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.terminal import say

if TYPE_CHECKING:
    from operations.cli import Context

FEWEST_CALLS = 1_000_000
"""Of fewer calls a page finds out what it needs in about a second, and the server does it beforehand anyway."""


def look_ahead(settings: Context) -> None:
    """Have it kept on disk (`warehouse.prepared`), unless another process is at it. A failure is said and leaves the load as it is."""
    from warehouse.errors import PercallError
    from warehouse.store import Store

    try:
        snapshot = Store(settings.store).current()
        if snapshot is None or sum(file.rows for file in snapshot.of("calls")) < FEWEST_CALLS:
            return
        from analytics.ahead import questions_ahead
        from warehouse.prepared import turn
        from warehouse.reader import open_current

        warehouse = open_current(settings.store, settings.configuration)
        questions = questions_ahead(warehouse)
        with turn(warehouse) as mine:
            for _name, ask in questions if mine else ():
                ask()
    except PercallError as error:
        say(f"Nothing was looked into ahead of the pages: {error}")
