"""The section [alerts] of `percall.toml`, checked: what is told, from which amount on, to which channels, and when people are left alone.

[alerts]
base_url = "https://costs.example.com"    # where the dashboard is, for links
minimum = 20                              # least excess of an anomaly that is told, in the store's currency
detector = "both"                         # default, rule (20 % over the trailing week) or both
quiet_hours = "22:00-07:00"               # in the reporting time zone; what happens then is told when they end
quiet_days = ["Sat", "Sun"]

[[alerts.channel]]
kind = "slack"                            # slack, webhook or email
url_env = "SLACK_WEBHOOK_URL"             # secrets are named, never written down here

[[alerts.channel]]
kind = "webhook"
url_env = "ALERT_WEBHOOK_URL"
secret_env = "ALERT_WEBHOOK_SECRET"       # signs each message (HMAC-SHA256 over timestamp and body)

[[alerts.channel]]
kind = "email"
host = "smtp.example.com"
from = "percall@example.com"
to = ["ai-team@example.com"]
user_env = "SMTP_USER"
password_env = "SMTP_PASSWORD"
about = ["budgets"]                       # default: anomalies, budgets, sources, plans and review
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from analytics.anomalies import BOTH, DEFAULT, RULE
from warehouse.errors import InputError

ANOMALIES, BUDGETS, SOURCES, PLANS, REVIEW = "anomalies", "budgets", "sources", "plans", "review"
TOPICS = (ANOMALIES, BUDGETS, SOURCES, PLANS, REVIEW)
"""What a channel can be about; the review is what `percall review --send` sends."""
SLACK, WEBHOOK, EMAIL = "slack", "webhook", "email"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_KEYS = ("base_url", "minimum", "detector", "quiet_hours", "quiet_days", "channel")
_CHANNEL_KEYS: Mapping[str, tuple[str, ...]] = {
    SLACK: ("url_env",),
    WEBHOOK: ("url_env", "secret_env"),
    EMAIL: ("host", "port", "security", "from", "to", "user_env", "password_env"),
}
_SECURITY = ("starttls", "tls", "none")


@dataclass(frozen=True)
class Channel:
    """One way to people. `about`: the topics that it is told of."""

    name: str
    kind: str
    about: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class AlertSettings:
    """The section [alerts], checked. `quiet` are the beginning and end of the quiet hours, `quiet_days` weekdays (0 is Monday)."""

    channels: tuple[Channel, ...] = ()
    base_url: str | None = None
    minimum: Decimal = Decimal(0)
    detector: str = BOTH
    quiet: tuple[time, time] | None = None
    quiet_days: frozenset[int] = frozenset()

    def tell_at(self, now: datetime, zone: ZoneInfo) -> datetime:
        """When something that is found now (with its zone) may be told: now, or when the quiet time ends that it falls into."""
        moment = now.astimezone(zone)
        for _ in range(32):
            end = self._quiet_until(moment)
            if end is None:
                return moment
            moment = end
        return moment

    def _quiet_until(self, moment: datetime) -> datetime | None:
        if moment.weekday() in self.quiet_days:
            return _at(moment + timedelta(days=1), time(0))
        if self.quiet is None:
            return None
        begin, end = self.quiet
        clock = moment.time()
        if begin <= end:
            return _at(moment, end) if begin <= clock < end else None
        if clock >= begin:
            return _at(moment + timedelta(days=1), end)
        return _at(moment, end) if clock < end else None


def _at(day: datetime, clock: time) -> datetime:
    return datetime.combine(day.date(), clock, day.tzinfo)


def read_alert_settings(section: Mapping[str, Any], file: str | None = None) -> AlertSettings:
    """The section [alerts]. Raises InputError that says which setting cannot be used and how it is written."""
    _known(section, _KEYS, "[alerts]", file)
    base = section.get("base_url")
    if base is not None and not (isinstance(base, str) and re.match(r"https?://\S+$", base)):
        raise InputError('write the address of the dashboard, like base_url = "https://costs.example.com"', file=file)
    detector = section.get("detector", BOTH)
    if detector not in (DEFAULT, RULE, BOTH):
        raise InputError(
            f"unknown detector {detector!r}: choose {DEFAULT}, {RULE} or {BOTH}", file=file, column="detector"
        )
    quiet = section.get("quiet_hours")
    match = _HOURS.fullmatch(quiet) if isinstance(quiet, str) else None
    if quiet is not None and match is None:
        raise InputError('write them like quiet_hours = "22:00-07:00"', file=file, column="quiet_hours")
    days = section.get("quiet_days", [])
    if not isinstance(days, list) or not all(day in DAYS for day in days) or len(set(days)) == len(DAYS):
        raise InputError('write them like quiet_days = ["Sat", "Sun"], not all seven', file=file, column="quiet_days")
    entries = section.get("channel", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError("channels are written as [[alerts.channel]], one section each", file=file)
    channels = tuple(_channel(entry, number, file) for number, entry in enumerate(entries, start=1))
    names = [channel.name for channel in channels]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f'two channels are called {twice!r}: give each a name = "..."', file=file)
    return AlertSettings(
        channels,
        base.rstrip("/") if base else None,
        _minimum(section.get("minimum", 0), file),
        detector,
        _span(match) if match else None,
        frozenset(DAYS.index(day) for day in days),
    )


def _span(match: re.Match[str]) -> tuple[time, time] | None:
    first, second, third, fourth = map(int, match.groups())
    begin, end = time(first, second), time(third, fourth)
    return None if begin == end else (begin, end)


def _minimum(value: object, file: str | None) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise InputError("write the least excess that is told, like minimum = 20", file=file, column="minimum")
    return amount


def _channel(entry: Mapping[str, Any], number: int, file: str | None) -> Channel:
    kind = str(entry.get("kind"))
    where = f"[[alerts.channel]] number {number}"
    if kind not in _CHANNEL_KEYS:
        raise InputError(
            f"{where}: unknown kind {entry.get('kind')!r}; choose {SLACK}, {WEBHOOK} or {EMAIL}", file=file
        )
    _known(entry, ("kind", "name", "about", *_CHANNEL_KEYS[kind]), where, file)
    about = entry.get("about", list(TOPICS))
    if not isinstance(about, list) or not about or not all(topic in TOPICS for topic in about):
        raise InputError(f"{where}: about is a list of {', '.join(TOPICS)}", file=file)
    for key in ("url_env", "secret_env", "user_env", "password_env"):
        value = entry.get(key)
        if value is not None and not (isinstance(value, str) and _VARIABLE.fullmatch(value)):
            raise InputError(f"{where}: {key} is the name of an environment variable, not the secret itself", file=file)
    if kind in (SLACK, WEBHOOK) and "url_env" not in entry:
        raise InputError(
            f'{where}: say which environment variable holds its address, like url_env = "SLACK_WEBHOOK_URL"', file=file
        )
    if kind == EMAIL:
        _check_email(entry, where, file)
    name = entry.get("name", kind)
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: a name is a text", file=file)
    return Channel(name, kind, tuple(about), {key: entry[key] for key in _CHANNEL_KEYS[kind] if key in entry})


def _check_email(entry: Mapping[str, Any], where: str, file: str | None) -> None:
    to, sender, port = entry.get("to"), entry.get("from"), entry.get("port", 587)
    if not isinstance(entry.get("host"), str) or not entry["host"]:
        raise InputError(f'{where}: say which server sends, like host = "smtp.example.com"', file=file)
    if not isinstance(sender, str) or not _ADDRESS.fullmatch(sender):
        raise InputError(f'{where}: say who sends, like from = "percall@example.com"', file=file)
    if not isinstance(to, list) or not to or not all(isinstance(one, str) and _ADDRESS.fullmatch(one) for one in to):
        raise InputError(f'{where}: say who is told, like to = ["ai-team@example.com"]', file=file)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise InputError(f"{where}: a port is a number like 587", file=file)
    if entry.get("security", "starttls") not in _SECURITY:
        raise InputError(f"{where}: security is {', '.join(_SECURITY)}", file=file)
    if entry.get("security") == "none" and ("user_env" in entry or "password_env" in entry):
        raise InputError(f"{where}: without encryption no password is sent; use starttls or tls", file=file)
    if ("user_env" in entry) != ("password_env" in entry):
        raise InputError(f"{where}: user_env and password_env belong together", file=file)


def _known(entry: Mapping[str, Any], keys: tuple[str, ...], where: str, file: str | None) -> None:
    if unknown := next((key for key in entry if key not in keys), None):
        raise InputError(f"unknown setting {unknown!r} in {where}; known are {', '.join(keys)}", file=file)
