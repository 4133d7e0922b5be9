"""`percall alert`: tells people what is new, for schedulers to run after every load or sync."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from operations.terminal import say

if TYPE_CHECKING:
    from operations.alerting.message import Alert
    from operations.alerting.telling import Delivered


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("alert")(alert)


def alert(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent; remember nothing, send nothing.")
    ] = False,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to every channel.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try messages again that were given up.")] = False,
    format_: Annotated[str, typer.Option("--format", help="text, json or slack.")] = "text",
) -> None:
    """Send new alerts to the channels that percall.toml names: anomalies, budgets, sources, plans.

    Exit codes: 0 nothing new, 1 something was alerted (or would be, with --dry-run), 2 bad settings, or a channel that could not be reached.
    """
    from analytics.alert_settings import read_alert_settings
    from connectors.live.secrets import Secrets
    from operations.alerting.telling import deliver, find_news, send_test, tell, utc_now
    from warehouse.errors import InputError
    from warehouse.outbox import GIVEN_UP, Outbox
    from warehouse.reader import open_current

    if format_ not in ("text", "json", "slack"):
        raise InputError(f"unknown format {format_!r}: choose text, json or slack")
    settings = context.obj
    where = str(settings.configuration.path) if settings.configuration.path else None
    configured = read_alert_settings(settings.configuration.alerts, where)
    secrets = Secrets()
    if test:
        _report_test(send_test(configured, secrets))
        return
    warehouse = open_current(settings.store, settings.configuration)
    outbox = Outbox(settings.store)
    if dry_run:
        found = [item.alert for item in find_news(warehouse, configured, outbox)]
    else:
        if not configured.channels:
            raise InputError(
                "no channel is configured: add a section [[alerts.channel]] to percall.toml, or use --dry-run to read what would be told"
            )
        if retry:
            outbox.retry([message.key for message in outbox.messages(1000) if message.state == GIVEN_UP], utc_now())
        found = tell(warehouse, configured, outbox)
    _show(found, format_)
    if not dry_run:
        _report(deliver(configured, outbox, secrets))
    if found:
        raise typer.Exit(1)


def _show(found: list[Alert], format_: str) -> None:
    from operations.alerting.message import digest, slack_blocks

    if format_ == "json":
        sys.stdout.write(json.dumps([one.body() for one in found], ensure_ascii=False) + "\n")
    elif format_ == "slack":
        sys.stdout.write(json.dumps([slack_blocks(one) for one in found], ensure_ascii=False) + "\n")
    elif found:
        sys.stdout.write(digest(found) + "\n")
    if not found:
        say("Nothing new to tell.")


def _report(outcome: Delivered) -> None:
    if outcome.sent:
        say(f"{outcome.sent} message{'s' if outcome.sent != 1 else ''} sent.")
    for reason in dict.fromkeys(outcome.errors):
        say(f"not sent: {reason}")
    if outcome.failed:
        say("What was not sent is kept, and tried again by the next `percall alert`.")
        raise typer.Exit(2)


def _report_test(outcome: list[tuple[str, str | None]]) -> None:
    from warehouse.errors import InputError

    if not outcome:
        raise InputError("no channel is configured: add a section [[alerts.channel]] to percall.toml")
    for name, problem in outcome:
        say(f"{name}: {problem or 'sent'}")
    if any(problem for _name, problem in outcome):
        raise typer.Exit(2)
