"""The ways to people: Slack's incoming webhook, any other webhook, and email by SMTP. Each sends one message once, and says how it went."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from email.message import EmailMessage
from email.utils import formatdate

import httpx

from analytics.alert_settings import EMAIL, SLACK, Channel
from connectors.live.requests import retry_after
from connectors.live.secrets import Secrets
from operations.alerting.message import Alert, html_text, plain_text, slack_blocks, webhook_body
from warehouse.errors import InputError
from warehouse.outbox import Message

TIMEOUT = 20.0
_PASSING = frozenset({408, 409, 425, 429})


class NotSent(Exception):  # noqa: N818 - what happened to the message
    """The channel did not take the message. `wait`: seconds that it asks for; `for_good`: another attempt would end alike."""

    def __init__(self, reason: str, *, wait: float | None = None, for_good: bool = False) -> None:
        self.wait, self.for_good = wait, for_good
        super().__init__(reason)


def send(channel: Channel, message: Message, alert: Alert, secrets: Secrets) -> None:
    """Send one message. Raises NotSent, whose text holds no secret."""
    try:
        if channel.kind == EMAIL:
            _send_mail(channel, message, alert, secrets)
        else:
            _post(channel, message, alert, secrets)
    except InputError as error:
        # A secret that is not set yet may be set tomorrow.
        raise NotSent(secrets.masked(str(error))) from error
    except NotSent as error:
        raise NotSent(secrets.masked(str(error)), wait=error.wait, for_good=error.for_good) from None


def _post(channel: Channel, message: Message, alert: Alert, secrets: Secrets) -> None:
    url = secrets.value(channel.options["url_env"], channel.name)
    if not url.startswith(("https://", "http://")):
        raise NotSent(f"{channel.options['url_env']} holds no address", for_good=False)
    if channel.kind == SLACK:
        payload: object = slack_blocks(alert, repeated=message.repeated)
    else:
        payload = webhook_body(alert, message.delivery, repeated=message.repeated)
    body = json.dumps(payload, ensure_ascii=False).encode()
    headers = {"content-type": "application/json", "user-agent": "percall", "idempotency-key": message.delivery}
    if "secret_env" in channel.options:
        stamp = str(int(time.time()))
        key = secrets.value(channel.options["secret_env"], channel.name).encode()
        signature = hmac.new(key, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers |= {"x-percall-timestamp": stamp, "x-percall-signature": f"sha256={signature}"}
    try:
        # Redirects are not followed: the address is a secret, and so may be what is told.
        answer = httpx.post(url, content=body, headers=headers, timeout=TIMEOUT, follow_redirects=False)
    except httpx.TimeoutException as error:
        raise NotSent("no answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotSent(f"no connection ({type(error).__name__})") from error
    if answer.is_success:
        return
    passing = answer.status_code in _PASSING or answer.status_code >= 500
    raise NotSent(
        f"answered {answer.status_code}", wait=retry_after(answer.headers.get("retry-after")), for_good=not passing
    )


def mail_of(channel: Channel, message: Message, alert: Alert) -> EmailMessage:
    """The email of an alert; its Message-ID is the same at every attempt, so that mail programs show a repetition once."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(alert.title.split())[:180]
    mail["From"] = channel.options["from"]
    mail["To"] = ", ".join(channel.options["to"])
    mail["Date"] = formatdate(message.made_at.timestamp())
    mail["Message-ID"] = f"<{message.delivery}@percall.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(
        plain_text(alert) + ("\n\nAn earlier attempt may have arrived already.\n" if message.repeated else "\n")
    )
    mail.add_alternative(html_text(alert), subtype="html")
    return mail


def _send_mail(channel: Channel, message: Message, alert: Alert, secrets: Secrets) -> None:
    options, security = channel.options, channel.options.get("security", "starttls")
    host, port = options["host"], options.get("port", 465 if security == "tls" else 587)
    context = ssl.create_default_context()
    try:
        server = (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
            if security == "tls"
            else smtplib.SMTP(host, port, timeout=TIMEOUT)
        )
        with server:
            if security == "starttls":
                server.starttls(context=context)
            if "user_env" in options:
                user = secrets.value(options["user_env"], channel.name)
                server.login(user, secrets.value(options["password_env"], channel.name))
            server.send_message(mail_of(channel, message, alert))
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _said in error.recipients.values()]
        raise NotSent(
            f"the server refuses the recipients ({codes[0]})", for_good=all(code >= 500 for code in codes)
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        raise NotSent("the server does not accept user and password") from error
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"the server answered {error.smtp_code}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"no connection to {host}:{port} ({type(error).__name__})") from error
