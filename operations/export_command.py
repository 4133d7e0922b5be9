"""`percall export`: any table of the dashboard, to a file or stdout."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from analytics.filters import Filters
    from warehouse.reader import Warehouse

ALIASES = {"tier": "user_tier"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)


def export(
    context: typer.Context,
    view: Annotated[str, typer.Argument(help="totals, costs, features, unit-economics, margins, models, charges, ...")],
    start: Annotated[
        str | None, typer.Option("--from", help="First day, YYYY-MM-DD (default: the first with data).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day, inclusive.")] = None,
    by: Annotated[str, typer.Option(help="Dimensions, comma-separated: category, feature, model, tier, ...")] = "",
    where: Annotated[list[str] | None, typer.Option(help="dimension=value; several values: a|b; repeatable.")] = None,
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
    filters = _filters(warehouse, start, end, where or [], basis, grain)
    dimensions = tuple(ALIASES.get(name.strip(), name.strip()) for name in by.split(",") if name.strip())
    frame = chosen.answer(warehouse, filters, dimensions)
    data = write(frame, form, one_object=chosen.one_object)
    if output:
        output.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


def _filters(
    warehouse: Warehouse, start: str | None, end: str | None, where: list[str], basis: str, grain: str
) -> Filters:
    from analytics.filters import Filters
    from warehouse.errors import InputError

    span = warehouse.span() or (date.today(), date.today())
    conditions: dict[str, tuple[str, ...]] = {}
    for item in where:
        name, separator, value = item.partition("=")
        if not separator or not name.strip():
            raise InputError(f"--where {item!r} is not of the form dimension=value")
        conditions[ALIASES.get(name.strip(), name.strip())] = tuple(value.split("|"))
    first = _day(start, "--from") or span[0]
    last = _day(end, "--to") or max(span[1], first)
    return Filters(first, last, tuple(sorted(conditions.items())), basis, grain)


def _day(text: str | None, option: str) -> date | None:
    from warehouse.errors import InputError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is not a date: write YYYY-MM-DD") from None
