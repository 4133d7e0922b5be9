"""`percall demo`: the synthetic demo company into an empty store."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.terminal import progress_bar, say

if TYPE_CHECKING:
    from warehouse.configuration import Configuration
    from warehouse.load_report import LoadReport, Progress
    from warehouse.store import Store


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(demo)


def demo(
    context: typer.Context,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="Do nothing, quietly, when the store has data.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed makes another, equally synthetic company.")] = 2026,
) -> None:
    """Fill an empty store with the demo company: synthetic data, labelled demo on every page."""
    from warehouse.errors import StoreError
    from warehouse.load_report import report_lines
    from warehouse.store import Store

    settings = context.obj
    store = Store(settings.store)
    current = store.current()
    if current is not None and current.has_facts:
        if if_empty:
            return
        raise StoreError(f"{settings.store} already holds data: the demo goes into an empty store only (--store PATH)")
    say("Making the demo company (synthetic data) ...")
    with progress_bar("demo") as progress:
        reports = fill(store, settings.configuration, seed, progress)
    for line in report_lines(reports):
        if line["table"] == "charges":
            sys.stdout.write(json.dumps(line) + "\n")
    calls = sum(report.rows_kept for report in reports if report.table == "calls")
    say(f"The demo company is ready: {calls:,} calls in {Path(settings.store).name}.")


def fill(store: Store, configuration: Configuration, seed: int, progress: Progress | None = None) -> list[LoadReport]:
    """Generate the demo company and load it; returns the load reports."""
    from connectors.demo import tables
    from warehouse.intake import Extraction
    from warehouse.loading import Loading

    with Loading(store, configuration, demo=True, progress=progress) as loading:
        if progress:
            progress("generating", 0.0)
        for canonical, temporary in tables(loading.connection, seed).items():
            digest = hashlib.sha256(f"demo {canonical} {seed}".encode()).hexdigest()
            loading.add(
                Extraction("demo", canonical, "demo", f"demo-{canonical}", digest, f"SELECT * FROM {temporary}")
            )
            loading.connection.execute(f"DROP TABLE {temporary}")
        return loading.commit()
