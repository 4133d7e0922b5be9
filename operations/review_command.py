"""`percall review`: the weekly review as Markdown, HTML, PDF, Slack blocks or JSON, and to the people who meet about it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.terminal import say

if TYPE_CHECKING:
    from analytics.alert_settings import AlertSettings
    from analytics.weekly_review_model import Review

FORMATS = ("markdown", "html", "pdf", "slack", "json")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("review")(review)


def review(
    context: typer.Context,
    week: Annotated[
        str | None, typer.Option(help="2026-W22, or one of its days (default: the newest week that the data cover).")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="markdown, html, pdf, slack or json.")] = "markdown",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File (default: stdout).")] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send it to the channels that percall.toml names, once per week.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --send: also if this week was sent before.")] = False,
) -> None:
    """The review of one week, Monday to Sunday: what changed, what trends, what wants a decision, and what became of earlier actions.

    Exit codes: 0 told (and sent, with --send), 2 bad usage, no data, or a channel that could not be reached.
    """
    from analytics.alert_settings import read_alert_settings
    from analytics.weekly_review import review as review_of
    from analytics.weekly_review_week import read_week
    from warehouse.errors import InputError
    from warehouse.reader import open_current

    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}: choose {', '.join(FORMATS)}")
    if again and not send:
        raise InputError("--again goes with --send")
    settings = context.obj
    where = str(settings.configuration.path) if settings.configuration.path else None
    configured = read_alert_settings(settings.configuration.alerts, where)
    chosen = read_week(week) if week else None
    told = review_of(open_current(settings.store, settings.configuration), chosen)
    for sentence in told.missing:
        say(f"percall: {sentence}")
    if output or not send:
        _write(_formatted(told, form, configured.base_url), output)
    if send:
        _send(told, configured, settings.store, again=again)


def _formatted(told: Review, form: str, base_url: str | None) -> bytes:
    from analytics import weekly_review_paper as paper
    from analytics import weekly_review_text as text
    from analytics.weekly_review_model import body

    if form == "pdf":
        return paper.pdf(told)
    if form == "html":
        return paper.html(told, base_url).encode()
    if form == "markdown":
        return text.markdown(told, base_url).encode()
    document = text.slack_blocks(told, base_url) if form == "slack" else body(told)
    return (json.dumps(document, ensure_ascii=False) + "\n").encode()


def _write(data: bytes, output: Path | None) -> None:
    if output:
        output.write_bytes(data)
        say(f"Written to {output}.")
    else:
        sys.stdout.buffer.write(data)


def _send(told: Review, configured: AlertSettings, store: Path, *, again: bool) -> None:
    from connectors.live.secrets import Secrets
    from operations.alerting.reviewing import tell_review
    from operations.alerting.telling import deliver
    from warehouse.errors import InputError
    from warehouse.outbox import Outbox

    outbox = Outbox(store)
    added = tell_review(told, configured, outbox, again=again)
    if added is None:
        raise InputError(
            'no channel takes reviews: add a section [[alerts.channel]] to percall.toml, or "review" to the about of one'
        )
    if not added:
        say(f"The review of {told.week.name} was sent before; --again sends it once more.")
    outcome = deliver(configured, outbox, Secrets())
    if outcome.sent:
        say(f"{outcome.sent} message{'s' if outcome.sent != 1 else ''} sent.")
    for reason in dict.fromkeys(outcome.errors):
        say(f"not sent: {reason}")
    if outcome.failed:
        say("What was not sent is kept, and tried again by the next `percall alert` or `percall review --send`.")
        raise typer.Exit(2)
