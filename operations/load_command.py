"""`percall load`: files into the store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from operations.engine_command import follow
from operations.terminal import progress_bar, say


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("load")(load)


def load(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="[KIND] PATH", help="Files, folders or globs; the kind first, if you want to force it."),
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="The files replace whatever the store holds of their periods.")
    ] = False,
    add: Annotated[bool, typer.Option("--add", help="The files count in addition to what the store holds.")] = False,
) -> None:
    """Load files. The kind is found from their content: focus, aws-cur, aws-cost-explorer, gcp-export, litellm, langfuse-export, otel, openai-usage,
    anthropic-usage, calls, activity, revenue, utilization, prices, fx.

    Prints one JSON line per kind and partition: rows in, kept and rejected, billed and effective sums. Exit code 2 when a file was
    refused; the others are loaded all the same.
    """
    from connectors.detection import KINDS
    from connectors.intake import NOTE, load_paths
    from warehouse.errors import InputError
    from warehouse.load_report import report_lines
    from warehouse.store import Store

    kind: str | None = None
    if paths[0] in KINDS and not Path(paths[0]).exists():
        kind, paths = paths[0], paths[1:]
        if not paths:
            raise InputError(f"say which files of kind {kind} to load")
    if replace and add:
        raise InputError("--replace and --add exclude each other")
    settings = context.obj
    mode = "replace" if replace else "add" if add else "ask"
    with progress_bar("load") as progress:
        reports = load_paths(Store(settings.store), settings.configuration, paths, kind, mode, progress)
    follow(settings)
    refused = False
    for line in report_lines([report for report in reports if report.status != NOTE]):
        sys.stdout.write(json.dumps(line) + "\n")
    for report in reports:
        refused = refused or report.status == "refused"
        if report.message:
            where = f" ({report.partition})" if report.partition else ""
            say(
                report.message
                if report.status == NOTE
                else _sentence(report.file, where, report.status, report.message)
            )
        if report.rows_rejected:
            say(
                f"{report.file}: {report.rows_rejected} rows rejected; `percall export rejects` lists them with their reasons"
            )
    if refused:
        raise typer.Exit(2)


def _sentence(file: str, where: str, status: str, message: str) -> str:
    """`file (partition), column C: refused: why`, whether or not the message itself begins with the file."""
    if not message.startswith((f"{file}: ", f"{file}, ")):
        return f"{file}{where}: {status}: {message}"
    place, _, reason = message.removeprefix(file).partition(": ")
    return f"{file}{where}{place}: {status}: {reason}"
