"""`percall engine`: the data on an engine beyond this machine: publish them there, say what is there."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from operations.terminal import say

if TYPE_CHECKING:
    from operations.cli import Context

_engine = typer.Typer(
    name="engine",
    help="The engine beyond this machine that percall.toml names: publish the data there, say what is there.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(_engine)


@_engine.command("publish")
def publish_command(context: typer.Context) -> None:
    """Publish the current snapshot to the configured engine. Only months that changed are written; readers see the old or the new data.

    Prints one JSON line: publication, snapshot, parts written and unchanged, rows written.
    """
    from warehouse.engines.publishing import publish

    settings: Context = context.obj
    done = publish(settings.store, settings.configuration, told=lambda what: say(f"Publishing {what} ..."))
    _print(
        publication=done.publication.publication_id, snapshot=done.publication.snapshot_id, parts_written=done.written,
        parts_unchanged=done.kept, rows_written=done.rows,
    )  # fmt: skip


@_engine.command("status")
def status_command(context: typer.Context) -> None:
    """What the configured engine holds: one JSON line per publication, the newest, which pages and exports read, first."""
    from warehouse.engines.reading import connected
    from warehouse.engines.settings import engine_settings
    from warehouse.store import Store

    settings: Context = context.obj
    engine = engine_settings(settings.configuration)
    if engine is None:
        say("The engine is DuckDB on this machine: nothing is published elsewhere.")
        return
    known = connected(engine).publications()
    for place, one in enumerate(known):
        _print(
            publication=one.publication_id, snapshot=one.snapshot_id, created_at=one.created_at, newest=place == 0,
            parts=sum(len(parts) for parts in one.parts.values()),
        )  # fmt: skip
    mine = Store(settings.store).current_id()
    if mine and (not known or known[0].snapshot_id != mine):
        say(f"The store's {mine} is not the newest there: run `percall engine publish`.")


def follow(settings: Context) -> None:
    """After a load or sync: publish to the engine, where one is configured to follow. A failure is said and leaves the load as it is."""
    if settings.configuration.engine:
        from warehouse.engines.publishing import publish_after_load

        publish_after_load(settings.store, settings.configuration, say)


def _print(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
