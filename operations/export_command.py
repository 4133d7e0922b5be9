"""`percall export`: any table of the dashboard, to a file or stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from operations.filter_options import ALIASES, WHERE_HELP, chosen_filters


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)


def export(
    context: typer.Context,
    view: Annotated[
        str,
        typer.Argument(
            help="totals, costs, features, unit-economics, margins, models, charges, ...; a wrong name lists all."
        ),
    ],
    start: Annotated[
        str | None, typer.Option("--from", help="First day, YYYY-MM-DD (default: the first with data).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day, inclusive.")] = None,
    by: Annotated[str, typer.Option(help="Dimensions, comma-separated: category, feature, model, tier, ...")] = "",
    where: Annotated[list[str] | None, typer.Option(help=WHERE_HELP)] = None,
    grain: Annotated[str, typer.Option(help="day, week or month.")] = "day",
    basis: Annotated[str, typer.Option(help="billed, effective or list.")] = "effective",
    form: Annotated[str, typer.Option("--format", help="csv, json or parquet.")] = "csv",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File (default: stdout).")] = None,
) -> None:
    """Export a view with the same filters, and the same numbers, as the dashboard."""
    from analytics.exports import write
    from analytics.views import view as find
    from warehouse.reader import open_current

    settings = context.obj
    chosen = find(view)
    warehouse = open_current(settings.store, settings.configuration)
    filters = chosen_filters(warehouse, start, end, where or [], basis, grain)
    dimensions = tuple(ALIASES.get(name.strip(), name.strip()) for name in by.split(",") if name.strip())
    frame = chosen.answer(warehouse, filters, dimensions)
    if form == "csv":
        frame = frame.drop(columns=list(chosen.charts))
    data = write(frame, form, one_object=chosen.one_object)
    if output:
        output.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)
