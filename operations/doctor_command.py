"""`percall doctor`: looks at configuration, store, sources, freshness and prices, and says what to do."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from operations.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.live.source import SourceSettings
    from operations.doctor import Found

_MARKS = {"fine": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Names of sources; all of them when none is named."),
    ] = None,
    permissions: Annotated[
        bool,
        typer.Option("--permissions", help="Print what must be granted for each source, ready to paste; ask nobody."),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=1, help="Seconds that the sources get to answer; all are asked at the same time.")
    ] = 10,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Check the configuration, the store, each live source's credentials and permissions, freshness and prices.

    Exit code 1 when there is a problem; warnings do not count. JSON: a list of {section, level, subject, message, remedy}.
    """
    from connectors.live.sync_records import SyncRecords
    from operations import doctor as looking
    from operations.cli import Context
    from operations.doctor_engine import engine_findings
    from operations.doctor_sources import source_findings
    from operations.sync_command import choose
    from warehouse.errors import InputError
    from warehouse.store import Store

    if format_ not in ("text", "json"):
        raise InputError(f"--format {format_!r} is neither text nor json")
    settings: Context = context.obj
    configured = bool(settings.configuration.sources)
    chosen, broken = choose(settings, sources or []) if configured or sources or permissions else ([], [])
    if permissions:
        _print_permissions(chosen, format_)
        return
    store = Store(settings.store)
    found = [
        *looking.configuration_findings(settings.configuration, broken, len(chosen)),
        *looking.store_findings(store),
        *engine_findings(store, settings.configuration),
        *source_findings(chosen, SyncRecords(store.path), wait),
    ]
    if not sources:
        found += looking.freshness_findings(store, settings.configuration)
        found += looking.price_findings(store, settings.configuration)
    if format_ == "json":
        lines = [{"section": one.section, **one.finding.__dict__} for one in found]
        sys.stdout.write(json.dumps(lines, ensure_ascii=False, indent=1) + "\n")
    else:
        _print(found)
    if any(one.finding.level == "problem" for one in found):
        raise typer.Exit(1)


def _print(found: list[Found]) -> None:
    colour = sys.stdout.isatty()
    section = ""
    for one in found:
        if one.section != section:
            sys.stdout.write(f"{'' if not section else chr(10)}{one.section}\n")
            section = one.section
        mark, shade = _MARKS[one.finding.level]
        shown = typer.style(mark, fg=shade) if colour else mark
        sys.stdout.write(f"  {shown} {printable(one.finding.subject)}: {printable(one.finding.message)}\n")
        if one.finding.remedy:
            sys.stdout.write(f"      → {printable(one.finding.remedy)}\n")
    problems = sum(one.finding.level == "problem" for one in found)
    warnings = sum(one.finding.level == "warning" for one in found)
    sys.stdout.write(f"\n{_count(problems, 'problem')}, {_count(warnings, 'warning')}\n")


def _print_permissions(sources: Sequence[SourceSettings], format_: str) -> None:
    from connectors.live.registry import live_source

    texts = [
        {"source": one.name, "kind": one.kind, "permissions": live_source(one.kind).permissions(one)} for one in sources
    ]
    if format_ == "json":
        sys.stdout.write(json.dumps(texts, ensure_ascii=False, indent=1) + "\n")
        return
    for text in texts:
        sys.stdout.write(f"# {text['source']} ({text['kind']})\n{text['permissions'].rstrip()}\n\n")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
