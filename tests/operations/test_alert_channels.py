"""Alerts as mail and on Slack: in which form they arrive, and receivers that do not exist."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from operations.alerting.message import Alert, html_text, slack_blocks
from operations.alerting.telling import deliver
from tests.operations.alert_settings import NOON, alert_secrets, alert_settings
from tests.operations.receivers import MailServer
from warehouse.outbox import GIVEN_UP, Outbox


def test_a_mail_has_text_and_html_and_one_id(tmp_path: Path, mail: MailServer) -> None:
    channel = {
        "kind": "email", "host": "127.0.0.1", "port": mail.port, "security": "none", "from": "percall@example.com",
        "to": ["ann@example.com", "bob@example.com"],
    }  # fmt: skip
    settings, outbox = alert_settings(channel=[channel]), Outbox(tmp_path)
    alert = Alert("anomalies", "s", "open", "Tóm tắt cost $40 more <b>", ("because", "of this"))
    outbox.tell("s", {}, {"email": alert.body()}, event="open", now=NOON)
    mail.refuse = "450 later"
    assert deliver(settings, outbox, alert_secrets(), lambda: NOON).failed == 1
    mail.refuse = ""
    assert deliver(settings, outbox, alert_secrets(), lambda: NOON + timedelta(minutes=1)).sent == 1
    (taken,) = mail.mails
    assert taken["Subject"] == alert.title
    assert taken["To"] == "ann@example.com, bob@example.com"
    plain, rich = taken.get_body(("plain",)), taken.get_body(("html",))
    assert plain is not None
    assert rich is not None
    assert "because" in plain.get_content()
    assert "&lt;b&gt;" in rich.get_content()


def test_recipients_that_do_not_exist_are_given_up(tmp_path: Path, mail: MailServer) -> None:
    channel = {
        "kind": "email",
        "host": "127.0.0.1",
        "port": mail.port,
        "security": "none",
        "from": "a@example.com",
        "to": ["b@example.com"],
    }
    settings, outbox = alert_settings(channel=[channel]), Outbox(tmp_path)
    outbox.tell("s", {}, {"email": Alert("anomalies", "s", "open", "One").body()}, event="open", now=NOON)
    mail.refuse = "550 nobody here"
    deliver(settings, outbox, alert_secrets(), lambda: NOON)
    assert [message.state for message in outbox.messages()] == [GIVEN_UP]


def test_slack_shows_names_as_they_are_and_stays_within_its_limits() -> None:
    alert = Alert(
        "anomalies",
        "s",
        "open",
        "<!channel> *search* & <https://evil.example>",
        ("x" * 5000,),
        link="https://costs.example.com/anomalies",
    )
    payload = slack_blocks(alert)
    text = json.dumps(payload, ensure_ascii=False)
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;" in text
    assert all(len(block["text"]["text"]) <= 3000 for block in payload["blocks"] if block["type"] == "section")
    (button,) = [block["elements"][0] for block in payload["blocks"] if block["type"] == "actions"]
    assert button["url"] == alert.link
    assert "<script" not in html_text(Alert("a", "s", "open", "<script>alert(1)</script>"))
