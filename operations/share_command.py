"""`percall share`: links for people without a sign-in, and the same reports as files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.filter_options import WHERE_HELP
from operations.terminal import say

if TYPE_CHECKING:
    from analytics.snapshot_report import Report
    from warehouse.share_records import Share

From = Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD (default: the first with data).")]
To = Annotated[str | None, typer.Option("--to", help="Last day, inclusive.")]
Where = Annotated[list[str] | None, typer.Option(help=WHERE_HELP)]
Grain = Annotated[str, typer.Option(help="day, week or month: length of one bar.")]
Basis = Annotated[str, typer.Option(help="billed, effective or list.")]
_VIEWS = "overview, features, models, unit-economics, infrastructure, allocation, reconciliation, waste or review."
View = Annotated[str, typer.Argument(help=_VIEWS)]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    share = typer.Typer(help="Read-only links and files for people without a sign-in.", no_args_is_help=True)
    share.command("create")(create)
    share.command("list")(listing)
    share.command("revoke")(revoke)
    share.command("check")(check)
    share.command("file")(file)
    app.add_typer(share, name="share")


def create(
    context: typer.Context,
    view: View,
    start: From = None,
    end: To = None,
    where: Where = None,
    grain: Grain = "day",
    basis: Basis = "effective",
    days: Annotated[int, typer.Option(help="So many days the link works.")] = 14,
    passcode: Annotated[
        bool, typer.Option("--passcode", help="Ask for a passcode, which the link then asks for too.")
    ] = False,
    url: Annotated[
        str, typer.Option(help="Address of the dashboard, as the reader reaches it.")
    ] = "http://localhost:8501",
) -> None:
    """Make a link to a frozen report. Prints one JSON object: id, url, expires_at. The address is shown this once."""
    from warehouse.share_records import Shares

    settings = context.obj
    report, revision = _report(context, view, start, end, where, grain, basis)
    word = typer.prompt("Passcode", hide_input=True, confirmation_prompt=True, err=True) if passcode else None
    made, token = Shares(settings.store).create(
        view=view, title=report.answer.title, report=report.to_json(), question=question(report, where or []), snapshot_id=report.snapshot_id,
        revision=revision, author=_author(), days=days, passcode=word,
    )  # fmt: skip
    _print(
        {
            "id": made.share_id,
            "url": f"{url.rstrip('/')}/share/{token}",
            "expires_at": f"{made.expires_at.isoformat()}Z",
        }
    )
    say(f"{report.answer.headline}. The link works for {days} days; `percall share revoke {made.share_id}` ends it.")


def listing(context: typer.Context) -> None:
    """List every link that was made, the newest first, one JSON object a line. Addresses are not kept, so none is shown."""
    from warehouse.share_records import Shares

    shares = Shares(context.obj.store)
    shares.release()
    for share in shares.all():
        _print(_line(share))


def revoke(context: typer.Context, share_id: Annotated[str, typer.Argument(help="Id of the link, as listed.")]) -> None:
    """End a link now."""
    from warehouse.share_records import Shares

    share = Shares(context.obj.store).revoke(share_id, _author())
    _print(_line(share))


def check(context: typer.Context, share_id: Annotated[str, typer.Argument(help="Id of the link, as listed.")]) -> None:
    """Make a link's report again from its pinned snapshot and compare it with what the link shows. Exit code 1 when they differ."""
    from analytics.snapshot_report import report_from_json
    from analytics.snapshot_report_views import report
    from operations.filter_options import chosen_filters
    from warehouse.errors import CheckFailed
    from warehouse.reader import open_snapshot
    from warehouse.share_records import Shares

    settings = context.obj
    shares = Shares(settings.store)
    share = shares.get(share_id)
    shown = report_from_json(shares.report(share))
    warehouse = open_snapshot(settings.store, share.snapshot_id, settings.configuration, revision=share.revision)
    asked = share.question
    filters = chosen_filters(warehouse, asked["start"], asked["end"], asked["where"], asked["basis"], asked["grain"])
    again = report(warehouse, share.view, filters, shown.smallest_group)
    if again.answer != shown.answer:
        raise CheckFailed(
            f"{share_id} shows other figures than {share.snapshot_id} gives now: the configuration (time zone, categories, rules of percall.toml) "
            "or the version of Percall has changed since the link was made"
        )
    say(f"{share_id} shows what {share.snapshot_id} gives.")


def file(
    context: typer.Context,
    view: View,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write: .html or .pdf.")],
    start: From = None,
    end: To = None,
    where: Where = None,
    grain: Grain = "day",
    basis: Basis = "effective",
) -> None:
    """Write a report as one HTML file that needs neither network nor server, or, where the name ends in .pdf, as PDF."""
    from analytics.snapshot_report_html import page

    report, _revision = _report(context, view, start, end, where, grain, basis)
    if output.suffix.lower() == ".pdf":
        from analytics.snapshot_report_pdf import pdf

        output.write_bytes(pdf(report))
    else:
        output.write_text(page(report), encoding="utf-8")
    say(f"{report.answer.headline}. Written to {output}.")


def question(report: Report, where: list[str]) -> dict[str, Any]:
    """What a report was asked with, as it is kept with its link."""
    return {"start": report.start, "end": report.end, "where": where, "basis": report.basis, "grain": report.grain}


def _report(
    context: typer.Context,
    view: str,
    start: str | None,
    end: str | None,
    where: list[str] | None,
    grain: str,
    basis: str,
) -> tuple[Report, int]:
    from analytics.snapshot_report_views import report, shareable
    from operations.filter_options import chosen_filters
    from warehouse.reader import open_current

    settings = context.obj
    shareable(view)
    warehouse = open_current(settings.store, settings.configuration)
    filters = chosen_filters(warehouse, start, end, where or [], basis, grain)
    return report(warehouse, view, filters), warehouse.revision


def _line(share: Share) -> dict[str, Any]:
    return {
        "id": share.share_id,
        "state": share.state(),
        "view": share.view,
        "title": share.title,
        "created_at": f"{share.created_at.isoformat()}Z",
        "created_by": share.created_by,
        "expires_at": f"{share.expires_at.isoformat()}Z",
        "revoked_at": f"{share.revoked_at.isoformat()}Z" if share.revoked_at else None,
        "passcode": share.has_passcode,
        "opens": share.opens,
        "last_opened_at": f"{share.last_opened_at.isoformat()}Z" if share.last_opened_at else None,
        "snapshot": share.snapshot_id,
    }


def _author() -> str:
    from warehouse.audit import actor

    return actor()


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
