"""Alerts: who is told of what, what was told, and whether it arrived."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from analytics import formatting
from analytics.alert_settings import EMAIL, TOPICS, AlertSettings, Channel, read_alert_settings
from pages import _draw as draw
from pages._data import configuration, store_path
from pages._links import link
from pages._people import ADMIN, may, require
from pages.operate._alert_now import run_alert
from warehouse.errors import InputError
from warehouse.outbox import GIVEN_UP, PENDING, SENDING, SENT, Message, Outbox

MOST = 500
STATES = {PENDING: "◌ waiting", SENDING: "◐ being sent", SENT: "● sent", GIVEN_UP: "✕ given up"}
EXAMPLE = """\
[alerts]
base_url = "https://costs.example.com"    # where this dashboard is, for links
minimum = 20                              # least excess of an anomaly that is told
quiet_hours = "22:00-07:00"               # what happens then is told when they end

[[alerts.channel]]
kind = "slack"                            # or webhook, email
url_env = "SLACK_WEBHOOK_URL"             # the variable that holds the address, never the address itself
"""
_SAID = "_alert_said"


def sentence(settings: AlertSettings, messages: list[Message]) -> str:
    """The page's answer."""
    if not settings.channels:
        return "Nobody is told yet: no channel is configured"
    number = len(settings.channels)
    told = f"{number} channel{' is' if number == 1 else 's are'} told"
    given_up = sum(message.state == GIVEN_UP for message in messages)
    waiting = sum(message.state in (PENDING, SENDING) for message in messages)
    if given_up:
        return f"{told}; {given_up} message{' was' if given_up == 1 else 's were'} given up"
    if waiting:
        return f"{told}; {waiting} message{' is' if waiting == 1 else 's are'} on the way"
    return f"{told}; everything has arrived" if messages else f"{told}; nothing was to be told yet"


def channels(settings: AlertSettings) -> None:
    """What is configured, without secrets."""
    if not settings.channels:
        st.caption(
            "Add this to percall.toml, set the variable where `percall alert` runs, and run it after every load or sync."
        )
        st.code(EXAMPLE, language="toml")
        return
    draw.section("Channels", "As percall.toml has them. Secrets are named, never kept or shown.")
    frame = pd.DataFrame(
        {
            "name": [channel.name for channel in settings.channels],
            "kind": [channel.kind for channel in settings.channels],
            "about": [_about(channel) for channel in settings.channels],
            "where": [_where(channel) for channel in settings.channels],
        }
    )
    columns = {
        "name": draw.Column("Channel", pinned=True),
        "kind": draw.Column("Kind"),
        "about": draw.Column("Told of"),
        "where": draw.Column("Where", width="large"),
    }
    draw.table(frame, columns, key="alert_channels", export_name="alert-channels", missing="–")
    st.caption(draw.plain(rules(settings)))


def rules(settings: AlertSettings) -> str:
    """When and from which amount on people are told."""
    currency = configuration().reporting_currency
    parts = [
        f"Anomalies of at least {formatting.money(settings.minimum, currency)}"
        if settings.minimum
        else "Every anomaly",
        {"both": "by either detector", "rule": "by the 20% rule", "default": "by the default detector"}[
            settings.detector
        ],
    ]
    if settings.quiet:
        begin, end = settings.quiet
        parts.append(f"quiet from {begin:%H:%M} to {end:%H:%M} ({configuration().reporting_time_zone})")
    if settings.quiet_days:
        parts.append(
            f"quiet on {', '.join(('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[day] for day in sorted(settings.quiet_days))}"
        )
    parts.append(f"links to {settings.base_url}" if settings.base_url else "without links, as base_url is not set")
    return f"{', '.join(parts)}."


def _about(channel: Channel) -> str:
    return "everything" if set(channel.about) == set(TOPICS) else ", ".join(channel.about)


def _where(channel: Channel) -> str:
    options = channel.options
    if channel.kind == EMAIL:
        return f"{', '.join(options['to'])} by {options['host']}"
    signed = f", signed with {options['secret_env']}" if "secret_env" in options else ""
    return f"the address in {options['url_env']}{signed}"


def buttons(settings: AlertSettings, messages: list[Message]) -> None:
    """What an administrator can do."""
    if not settings.channels or not may(ADMIN):
        return
    given_up = [message.key for message in messages if message.state == GIVEN_UP]
    with st.container(horizontal=True):
        if st.button(
            "Send a test", icon=":material/send:", key="alert_test", help="One harmless message to every channel"
        ):
            _run("send a test alert", "--test")
        if st.button(
            "Look and send now",
            icon=":material/campaign:",
            key="alert_now",
            help="What `percall alert` does after every load",
        ):
            _run("send alerts", "--format", "text")
        if given_up and st.button(f"Try {len(given_up)} again", icon=":material/replay:", key="alert_retry"):
            _run("retry alerts", "--retry")


def _run(what: str, *options: str) -> None:
    require(ADMIN, what)
    with st.spinner("Asking the channels…"):
        st.session_state[_SAID] = run_alert(*options)
    st.rerun()


def said_last() -> None:
    """Say once what the command answered."""
    answered = st.session_state.pop(_SAID, None)
    if answered is None:
        return
    code, words = answered
    show = st.error if code == 2 else st.success
    show(
        draw.plain(words or "Done.").replace("\n", "  \n"), icon=":material/error:" if code == 2 else ":material/check:"
    )


def told(messages: list[Message]) -> None:
    """The outbox: what was told, to whom, and whether it arrived."""
    draw.section(
        f"What was told: {len(messages)}",
        "Newest first, times in UTC. What a channel does not take is tried again six times within 18 hours, then given up.",
    )
    if not messages:
        st.caption("Nothing yet. `percall alert --dry-run` prints what would be told.")
        return
    frame = pd.DataFrame(
        {
            "state": [STATES[message.state] for message in messages],
            "made_at": [message.made_at for message in messages],
            "topic": [str(message.body.get("topic", "")) for message in messages],
            "title": [str(message.body.get("title", "")) for message in messages],
            "channel": [message.channel for message in messages],
            "sent_at": [message.sent_at for message in messages],
            "next": [message.not_before if message.state == PENDING else None for message in messages],
            "attempts": [message.attempts for message in messages],
            "error": [message.error or None for message in messages],
        }
    )
    columns = {
        "state": draw.Column("State"),
        "made_at": draw.Column("Found", "time"),
        "topic": draw.Column("About"),
        "title": draw.Column("What", width="large"),
        "channel": draw.Column("Channel"),
        "sent_at": draw.Column("Arrived", "time"),
        "next": draw.Column("Not before", "time", help="The next `percall alert` after this time sends it"),
        "attempts": draw.Column("Attempts", "count"),
        "error": draw.Column("Why not", width="medium"),
    }
    draw.table(frame, columns, key="alert_outbox", export_name="alerts", missing="–", rows_in_sight=12)
    _one(messages)


def _one(messages: list[Message]) -> None:
    """One message in full."""
    with st.expander("Read one", icon=":material/drafts:"):
        names = [
            f"{len(messages) - at}. {message.body.get('title', '')} → {message.channel}"
            for at, message in enumerate(messages)
        ]
        chosen = st.selectbox("Message", names, key="alert_message", label_visibility="collapsed")
        message = messages[names.index(chosen)] if chosen in names else messages[0]
        st.markdown(f"**{draw.plain(str(message.body.get('title', '')))}**")
        lines = message.body.get("lines") or ()
        st.markdown("\n".join(f"- {draw.plain(str(line))}" for line in lines) or draw.plain("No more than that."))
        st.caption(
            draw.plain(
                f"Delivery {message.delivery}: the same at every attempt, so that a receiver can tell a repetition."
            )
        )


def page() -> None:
    """What is configured, what can be done, and what was told."""
    said_last()
    path = configuration().path
    messages = Outbox(store_path()).messages(MOST)
    try:
        settings = read_alert_settings(configuration().alerts, str(path) if path else None)
    except InputError as error:
        draw.headline(
            "Nobody is told: the section [alerts] cannot be used",
            "Correct percall.toml, then start the dashboard anew.",
        )
        draw.failure(error)
        told(messages)
        return
    now = datetime.now(UTC).replace(tzinfo=None)
    draw.headline(
        sentence(settings, messages),
        "Each anomaly, budget mark, failing source and lagging plan is told once, again when it doubles, and once more when it is over.",
        kicker=f"{now:%Y-%m-%d %H:%M} UTC",
    )
    channels(settings)
    buttons(settings, messages)
    told(messages)
    st.caption(
        "A scheduler runs `percall alert` after every load or sync, and `percall review --send` on Mondays: see docs/how-to-operate.md."
    )
    link("anomalies", "The anomalies themselves")


page()
