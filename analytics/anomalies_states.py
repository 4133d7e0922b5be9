"""What people made of an anomaly: acknowledged, snoozed, expected, with notes; and events that were announced before they cost anything.

Kept as documents of the store's state, every version with who and when. They never change a figure: they say which flags still want somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from analytics.anomalies import DEFAULT
from analytics.anomalies_episodes import GAP_DAYS, Episode, episodes
from analytics.anomalies_robust import SENSITIVITY
from analytics.filters import Filters
from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.state import Document, State

KIND = "anomaly"
EVENT_KIND = "expected event"

Status = Literal["open", "acknowledged", "snoozed", "expected"]
DAYS = 28
"""How far `open_flags` looks back."""
DOUBLED = 2
"""An acknowledged anomaly opens again when its excess has become more than so many times what it was."""
ANY_SERIES = "any"


@dataclass(frozen=True)
class ExpectedEvent:
    """A launch, deploy or migration that explains anomalies beforehand: of a series ("any": of every one) and what it is folded with, in one
    direction ("up", "down" or "both"), that begin from `start` to `end`, both inclusive."""

    name: str
    series: str
    start: date
    end: date
    direction: str = "up"
    note: str = ""
    author: str = ""

    def covers(self, episode: Episode) -> bool:
        """Whether the episode is what was announced."""
        if self.direction not in ("both", episode.direction) or not self.start <= episode.first_day <= self.end:
            return False
        return self.series in (ANY_SERIES, episode.series, *episode.also)


@dataclass(frozen=True)
class Flag:
    """An episode and what people made of it. by, at (UTC), note: of the last who did; until: of a snooze; event: name of what was announced.

    doubled: it was acknowledged or expected, and is open again because the excess has more than doubled since.
    """

    episode: Episode
    status: Status = "open"
    by: str | None = None
    at: datetime | None = None
    note: str = ""
    until: date | None = None
    event: str | None = None
    doubled: bool = False


def open_flags(
    warehouse: Warehouse,
    filters: Filters | None = None,
    *,
    detector: str = DEFAULT,
    sensitivity: float = SENSITIVITY,
    minimum: Decimal = Decimal(0),
    today: date | None = None,
) -> tuple[Flag, ...]:
    """The anomalies that still want somebody: neither acknowledged, snoozed nor expected, the most urgent first.

    `filters`: period, conditions and basis (default: the 28 days up to the newest with data, everything, effective). `minimum`: least excess in
    the store's currency, as an absolute amount. `today`: the day on which a snooze counts (default: the period's last). Ended ones stay open
    until somebody looks at them or their days leave the period. The same episodes as `episodes`, so that pages, exports and alerts agree.

    Raises InputError when the costs are in several currencies, or for another detector.
    """
    period = filters or recent(warehouse)
    if period is None:
        return ()
    found = flags(episodes(warehouse, period, detector, sensitivity), warehouse.state, today or period.end)
    return tuple(flag for flag in found if flag.status == "open" and abs(flag.episode.excess) >= minimum)


def recent(warehouse: Warehouse) -> Filters | None:
    """The 28 days up to the newest day with data; None for an empty store."""
    span = warehouse.span()
    return Filters(max(span[0], span[1] - timedelta(days=DAYS - 1)), span[1]) if span else None


def flags(found: Sequence[Episode], state: State, today: date) -> tuple[Flag, ...]:
    """What people made of each episode, in the order of the episodes."""
    documents, events = state.documents(KIND), expected_events(state)
    return tuple(_flag(episode, documents, events, today) for episode in found)


def acknowledge(state: State, episode: Episode, *, author: str, note: str = "") -> None:
    """Somebody has taken care of it. It opens again when its excess more than doubles."""
    _save(state, episode, "acknowledged", author, note)


def mark_expected(state: State, episode: Episode, *, author: str, note: str) -> None:
    """It was meant to happen: a deploy, a launch. `note` says which. It opens again when its excess more than doubles."""
    if not note.strip():
        raise InputError("say what was expected, such as the launch or the deploy, so that others can tell")
    _save(state, episode, "expected", author, note)


def snooze(state: State, episode: Episode, until: date, *, author: str, note: str = "") -> None:
    """Not before the day `until`, on which it is open again."""
    _save(state, episode, "snoozed", author, note, until)


def annotate(state: State, flag: Flag, *, author: str, note: str) -> None:
    """Add a note and leave everything else as it is."""
    _save(state, flag.episode, flag.status, author, note, flag.until)


def reopen(state: State, episode: Episode, *, author: str, note: str = "") -> None:
    """Open again, whatever was made of it."""
    _save(state, episode, "open", author, note)


def history(state: State, episode: Episode) -> tuple[Document, ...]:
    """Everything that people made of an episode, in the order in which they did."""
    return tuple(document for document in state.history(KIND) if _is_about(document, episode))


def announce(state: State, event: ExpectedEvent, *, author: str) -> None:
    """Announce an expected event, or change the one of its name. Raises InputError when it cannot be used."""
    if not event.name.strip():
        raise InputError("an expected event needs a name, such as the launch that it is")
    if event.end < event.start:
        raise InputError(f"the event ends ({event.end}) before it starts ({event.start})")
    if event.direction not in ("up", "down", "both"):
        raise InputError(f"unknown direction {event.direction!r}: choose up, down or both")
    body = {
        "series": event.series, "start": event.start.isoformat(), "end": event.end.isoformat(), "direction": event.direction,
        "note": event.note,
    }  # fmt: skip
    state.save(EVENT_KIND, event.name.strip(), body, author=author, reason=event.note)


def withdraw(state: State, name: str, *, author: str) -> None:
    """Remove an announced event."""
    state.save(EVENT_KIND, name, None, author=author)


def expected_events(state: State) -> tuple[ExpectedEvent, ...]:
    """The announced events, in the order in which they were made."""
    return tuple(
        ExpectedEvent(
            document.name, body["series"], date.fromisoformat(body["start"]), date.fromisoformat(body["end"]), body["direction"],
            body["note"], document.author,
        )
        for document in state.documents(EVENT_KIND)
        if (body := document.body) is not None
    )  # fmt: skip


def _save(state: State, episode: Episode, status: Status, author: str, note: str, until: date | None = None) -> None:
    body = {
        "status": status, "note": note, "until": until.isoformat() if until else None, "fingerprint": episode.fingerprint,
        "first_day": episode.first_day.isoformat(), "last_day": episode.last_day.isoformat(), "excess": format(episode.excess, "f"),
    }  # fmt: skip
    state.save(KIND, episode.key, body, author=author, reason=note)


def _is_about(document: Document, episode: Episode) -> bool:
    """Whether a document is about this event. Late data may move its first day: the same thing at about the same time is the same event."""
    body = document.body
    if body is None or body["fingerprint"] != episode.fingerprint:
        return False
    near = timedelta(days=GAP_DAYS)
    first, last = date.fromisoformat(body["first_day"]), date.fromisoformat(body["last_day"])
    return first - near <= episode.last_day and episode.first_day <= last + near


def _flag(episode: Episode, documents: Iterable[Document], events: Iterable[ExpectedEvent], today: date) -> Flag:
    about = [document for document in documents if _is_about(document, episode)]
    last = max(about, default=None, key=lambda document: document.revision)
    if last is None or last.body is None:
        event = next((event for event in events if event.covers(episode)), None)
        if event is None:
            return Flag(episode)
        return Flag(episode, "expected", by=event.author, note=event.note or event.name, event=event.name)
    status: Status = last.body["status"]
    until = date.fromisoformat(last.body["until"]) if last.body["until"] else None
    doubled = status in ("acknowledged", "expected") and abs(episode.excess) > DOUBLED * abs(
        Decimal(last.body["excess"])
    )
    over = status == "snoozed" and until is not None and until <= today
    return Flag(
        episode, "open" if doubled or over else status, by=last.author, at=last.saved_at, note=last.body["note"], until=until,
        doubled=doubled,
    )  # fmt: skip
