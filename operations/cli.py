"""The command `percall`: what people, schedulers and pipelines run.

Messages for people go to stderr, data to stdout. Exit codes: 0 fine, 1 a check did not hold, 2 bad usage or bad input.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from operations.terminal import say
from warehouse.configuration import DEFAULT_STORE, Configuration, read_configuration
from warehouse.errors import CheckFailed, PercallError

app = typer.Typer(
    name="percall",
    help="What every AI call costs, and what it earns.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@dataclass(frozen=True)
class Context:
    """What every command needs: the store's folder and the configuration."""

    store: Path
    configuration: Configuration
    config_path: Path | None


@app.callback()
def _global(
    context: typer.Context,
    store: Annotated[Path, typer.Option(envvar="PERCALL_STORE", help="Folder of the store.")] = DEFAULT_STORE,
    config: Annotated[
        Path | None, typer.Option(envvar="PERCALL_CONFIG", help="Configuration file (default: percall.toml here).")
    ] = None,
) -> None:
    context.obj = Context(store, read_configuration(config), config)


def main() -> None:
    """Entry point: runs the command and turns our errors into a sentence and an exit code."""
    from operations import (
        alert_command,
        anomalies_command,
        backup_command,
        check_tags_command,
        demo_command,
        doctor_command,
        engine_command,
        export_command,
        load_command,
        receive_command,
        review_command,
        serve_command,
        share_command,
        simulate_command,
        sync_command,
    )

    if not app.registered_commands:
        for module in (
            demo_command,
            serve_command,
            load_command,
            sync_command,
            receive_command,
            doctor_command,
            engine_command,
            export_command,
            simulate_command,
            anomalies_command,
            check_tags_command,
            alert_command,
            review_command,
            share_command,
            backup_command,
        ):
            module.register(app)
    try:
        app(standalone_mode=True)
    except CheckFailed as error:
        _stop(error, 1)
    except PercallError as error:
        _stop(error, 2)
    except OSError as error:
        _stop(_of_the_machine(error), 2)
    except Exception as error:
        told = _of_the_database(error)
        if told is None:
            raise
        _stop(told, 2)


_DAMAGED = ("not a valid DuckDB database file", "Could not read", "Corrupt ")
"""What DuckDB says of a file whose bytes are not those that were written."""


def _of_the_database(error: Exception) -> str | None:
    """What the machine refused to DuckDB (space on a disk, memory, a right), or that a file of the store is damaged; None for any other error. By
    name: few commands import it."""
    kind = type(error)
    if kind.__module__ not in ("duckdb", "_duckdb") or kind.__name__ not in ("IOException", "OutOfMemoryException"):
        return None
    what = str(error).splitlines()[0]
    if any(words in what for words in _DAMAGED):
        return (
            f"{what.rstrip('!')}: restore the store from a back-up, or load the files into a new store (--store PATH)"
        )
    if os.strerror(errno.EACCES) in what:
        return f"{what}; give the user {os.geteuid()} the right to it, or choose another place (--store PATH for the store)"
    helps = "free some memory" if kind.__name__ == "OutOfMemoryException" else "free some space, or choose another disk"
    return f"{what}; {helps} (--store PATH for the store). What was loaded before is as it was"


def _of_the_machine(error: OSError) -> str:
    """What the operating system refused, on which file, and what helps: not permitted, no space left, a folder where a file should be."""
    what = error.strerror or str(error)
    told = f"{error.filename}: {what}" if error.filename is not None else what
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{told}; give the user {os.geteuid()} the right to it, or choose another place (--store PATH for the store)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{told}; free some space, or choose another disk (--store PATH for the store)"
    return told


def _stop(reason: Exception | str, code: int) -> None:
    say(f"percall: {reason}")
    raise SystemExit(code)
