"""`percall backup`: a copy of the store that can be proved to be whole, and the way back."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.terminal import say

if TYPE_CHECKING:
    from operations.backup import Backup


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    backup = typer.Typer(help="Copies of the store, and the way back.", no_args_is_help=True)
    backup.command("create")(create)
    backup.command("verify")(verify)
    backup.command("restore")(restore)
    app.add_typer(backup, name="backup")


def create(
    context: typer.Context, file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")]
) -> None:
    """Write a back-up: data, rules, plans, shared links, audit log. Loads and the dashboard go on meanwhile. Prints one JSON object."""
    from operations import backup
    from warehouse.store import Store

    made = backup.create(Store(context.obj.store), file)
    _print(made)
    say(
        f"{file}: {made.snapshot_id}, {made.files} files. Keep it where only you can read it; `percall backup verify` proves it whole."
    )


def verify(context: typer.Context, file: Annotated[Path, typer.Argument(help="The back-up.")]) -> None:
    """Read a back-up whole and compare it with what was written. Exit code 1 when it differs."""
    from operations import backup

    _print(backup.verify(file, context.obj.configuration))
    say(f"{file} is whole.")


def restore(context: typer.Context, file: Annotated[Path, typer.Argument(help="The back-up.")]) -> None:
    """Make a store of a back-up, in a new folder: percall --store PATH backup restore FILE."""
    from operations import backup
    from warehouse.store import Store

    settings = context.obj
    _print(backup.restore(file, Store(settings.store), settings.configuration))
    say(f"{settings.store} holds what {file} held.")


def _print(made: Backup) -> None:
    sys.stdout.write(json.dumps(asdict(made)) + "\n")
