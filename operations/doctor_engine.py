"""What `percall doctor` looks at where an engine beyond this machine is configured: whether it answers, and with what the store holds."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.live.source import Finding
from operations.doctor import Found
from warehouse.configuration import Configuration
from warehouse.engines.reading import newest_publication
from warehouse.engines.settings import engine_settings
from warehouse.errors import InputError, StoreError
from warehouse.store import Store


def engine_findings(store: Store, configuration: Configuration) -> Iterator[Found]:
    """One finding, or none where the engine is DuckDB on this machine. Pages and exports depend on it: one that does not answer is a problem."""
    try:
        settings = engine_settings(configuration)
        if settings is None:
            return
        newest, mine = newest_publication(configuration), store.current_id()
    except PermissionError:
        return  # told with the store
    except (InputError, StoreError) as error:
        yield Found("engine", Finding("problem", "engine", str(error), "until it answers, pages and exports do not"))
        return
    publish = "run percall engine publish"
    if newest is None:
        told = Finding(
            "warning", settings.kind, "nothing is published there yet, and the store answers itself", publish
        )
    elif mine not in (None, newest.snapshot_id):
        told = Finding(
            "warning", settings.kind, f"it has {newest.snapshot_id}, the store {mine}: pages are behind", publish
        )
    else:
        told = Finding("fine", settings.kind, f"answers with {newest.snapshot_id}", "")
    yield Found("engine", told)
