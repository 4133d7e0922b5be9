"""What an alert says, once, and how it looks in Slack, in JSON, in an email and on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

SLACK_TEXT = 2_900
"""Characters of one text block that Slack takes (3,000) with room for our marks."""


_REPEATED = {
    "type": "context",
    "elements": [{"type": "mrkdwn", "text": "An earlier attempt may have arrived already."}],
}
_CALM = frozenset({"review", "test"})
"""Topics that are no alarm, whatever colour they are told in."""


@dataclass(frozen=True)
class Alert:
    """One thing to tell.

    subject names what it is about and never changes; event says which news of it this is ("open", "doubled", "resolved", "90"): each is told
    once. amount: exact decimal text, with its currency, where the news has one. lines: what more there is to know, one sentence each.
    link: address of the page, where the dashboard's own address is configured. slack: the whole payload for Slack, where it is richer than
    title, lines and link.
    """

    topic: str
    subject: str
    event: str
    title: str
    lines: tuple[str, ...] = ()
    amount: str | None = None
    currency: str | None = None
    link: str | None = None
    resolved: bool = False
    slack: Mapping[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        """The alert as the outbox keeps it."""
        return asdict(self)


def read_alert(body: Mapping[str, Any]) -> Alert:
    """The alert that a body of the outbox says."""
    return Alert(**{**body, "lines": tuple(body["lines"])})


def slack_blocks(alert: Alert, *, repeated: bool = False) -> dict[str, Any]:
    """The payload of a Slack incoming webhook (Block Kit): title, reasons, a button to the page, and a plain text for notifications."""
    if alert.slack is not None:
        return {**alert.slack, "blocks": [*alert.slack["blocks"], *([_REPEATED] if repeated else [])]}
    mark = ":white_check_mark:" if alert.resolved or alert.topic in _CALM else ":rotating_light:"
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": _cut(f"{mark} *{_slack(alert.title)}*")}}
    ]
    if alert.lines:
        text = "\n".join(f"• {_slack(line)}" for line in alert.lines)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _cut(text)}})
    if alert.link:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open in Percall"}, "url": alert.link}
        blocks.append({"type": "actions", "elements": [button]})
    if repeated:
        blocks.append(_REPEATED)
    return {"text": _cut(_slack(alert.title)), "blocks": blocks, "unfurl_links": False}


def webhook_body(alert: Alert, delivery: str, *, repeated: bool = False) -> dict[str, Any]:
    """The JSON that a generic webhook is sent."""
    return {
        "version": 1,
        "delivery": delivery,
        "possibly_repeated": repeated,
        **{key: value for key, value in alert.body().items() if key != "slack"},
        "lines": list(alert.lines),
    }


def plain_text(alert: Alert) -> str:
    """The alert as lines of text."""
    return "\n".join(
        [alert.title, *(f"  - {line}" for line in alert.lines), *([f"  {alert.link}"] if alert.link else [])]
    )


def html_text(alert: Alert) -> str:
    """The alert as the HTML of an email: no images, nothing that is fetched."""
    colour = "#00664a" if alert.resolved or alert.topic in _CALM else "#a03a00"
    lines = "".join(f"<li>{escape(line)}</li>" for line in alert.lines)
    link = f'<p><a href="{escape(alert.link)}">Open in Percall</a></p>' if alert.link else ""
    return (
        '<div style="font-family:sans-serif;font-size:15px;color:#222;max-width:40em">'
        f'<p style="border-left:4px solid {colour};padding-left:.8em;font-weight:600">{escape(alert.title)}</p>'
        f"{f'<ul>{lines}</ul>' if lines else ''}{link}</div>"
    )


def digest(alerts: Sequence[Alert]) -> str:
    """Several alerts as text, for a terminal."""
    return "\n\n".join(plain_text(alert) for alert in alerts)


def _slack(text: str) -> str:
    """Text that Slack shows as it is: its three control characters are escaped, so that a feature's name can neither mention nor link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("*", "∗").replace("`", "ˋ")


def _cut(text: str) -> str:
    return text if len(text) <= SLACK_TEXT else text[: SLACK_TEXT - 1] + "…"
