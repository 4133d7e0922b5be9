"""One round of alerts: what is new goes into the outbox, once, and what is due is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from analytics.alert_settings import TOPICS, AlertSettings
from connectors.live.secrets import Secrets
from operations.alerting.channels import NotSent, send
from operations.alerting.message import Alert, read_alert
from operations.alerting.subjects import News, news
from warehouse.outbox import Outbox
from warehouse.reader import Warehouse

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, in UTC, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Delivered:
    """What became of the messages that were due."""

    sent: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()


def find_news(warehouse: Warehouse, settings: AlertSettings, outbox: Outbox, clock: Clock = utc_now) -> list[News]:
    """What people were not told yet. Nothing is remembered or sent. Without any channel, all topics are looked at."""
    topics = frozenset(topic for channel in settings.channels for topic in channel.about) or frozenset(TOPICS)
    return news(warehouse, settings, outbox.told(), clock(), topics)


def tell(warehouse: Warehouse, settings: AlertSettings, outbox: Outbox, clock: Clock = utc_now) -> list[Alert]:
    """Put what is new into the outbox for every channel that is told of its topic; answers with it.

    In quiet time it is put in all the same, and is due when that ends.
    """
    now = clock()
    due = settings.tell_at(now, warehouse.configuration.zone)
    told: list[Alert] = []
    for item in find_news(warehouse, settings, outbox, clock):
        channels = [channel.name for channel in settings.channels if item.alert.topic in channel.about]
        if not channels:
            continue
        added = outbox.tell(
            item.alert.subject, item.told, dict.fromkeys(channels, item.alert.body()), event=item.alert.event, now=now, not_before=due,
            ended=item.ended,
        )  # fmt: skip
        if added:
            told.append(item.alert)
    return told


def deliver(
    settings: AlertSettings, outbox: Outbox, secrets: Secrets, clock: Clock = utc_now, most: int = 200
) -> Delivered:
    """Send what is due. A message whose channel is no longer configured is given up and says so."""
    channels = {channel.name: channel for channel in settings.channels}
    sent, errors = 0, []
    for _ in range(most):
        message = outbox.claim(clock())
        if message is None:
            break
        channel = channels.get(message.channel)
        if channel is None:
            reason = f"the channel {message.channel!r} is no longer in percall.toml"
            outbox.failed(message, reason, clock(), for_good=True)
            errors.append(reason)
            continue
        try:
            send(channel, message, read_alert(message.body), secrets)
        except NotSent as error:
            outbox.failed(message, str(error), clock(), wait=error.wait, for_good=error.for_good)
            errors.append(f"{channel.name}: {error}")
        else:
            outbox.sent(message, clock())
            sent += 1
    return Delivered(sent, len(errors), tuple(errors))


def send_test(settings: AlertSettings, secrets: Secrets, names: Sequence[str] = ()) -> list[tuple[str, str | None]]:
    """Send a test message to each channel, past the outbox; answers with what went wrong, None where nothing did."""
    from warehouse.outbox import PENDING, Message

    now = utc_now().replace(tzinfo=None)
    alert = Alert(
        "test",
        "test",
        now.isoformat(),
        "Percall can reach you here",
        ("This is a test; nothing is wrong.",),
        link=settings.base_url,
    )
    outcome: list[tuple[str, str | None]] = []
    for channel in settings.channels:
        if names and channel.name not in names:
            continue
        message = Message(
            f"test|{now.isoformat()}|{channel.name}", channel.name, now, now, alert.body(), PENDING, 0, None, ""
        )
        try:
            send(channel, message, alert, secrets)
            outcome.append((channel.name, None))
        except NotSent as error:
            outcome.append((channel.name, str(error)))
    return outcome
