"""A weekly review as a message: into the outbox, once per week and channel."""

from __future__ import annotations

from analytics.alert_settings import REVIEW, AlertSettings
from analytics.weekly_review_model import MARK_WORDS, Review
from analytics.weekly_review_text import link_to, slack_blocks
from operations.alerting.message import Alert
from operations.alerting.telling import Clock, utc_now
from warehouse.outbox import Outbox


def review_alert(review: Review, base_url: str | None, event: str = "sent") -> Alert:
    """The review in the form that every channel takes: a line per section; Slack draws its own blocks."""
    lines = [f"{one.title} ({MARK_WORDS[one.mark]}): {one.sentence}." for one in review.sections]
    return Alert(
        REVIEW,
        f"{REVIEW}:{review.week.name}",
        event,
        f"{review.title}: {review.headline}",
        (*review.missing, *lines),
        link=link_to(base_url, "weekly-review", review.week.name),
        slack=slack_blocks(review, base_url),
    )


def tell_review(
    review: Review, settings: AlertSettings, outbox: Outbox, *, again: bool = False, clock: Clock = utc_now
) -> int | None:
    """Put the review into the outbox for every channel that takes reviews; answers with how many messages are new, None without such a channel.

    Quiet hours do not hold it back: whoever sends a review chose the time.
    """
    channels = [channel.name for channel in settings.channels if REVIEW in channel.about]
    if not channels:
        return None
    now = clock()
    alert = review_alert(review, settings.base_url, f"sent {now:%Y-%m-%dT%H:%M:%S}" if again else "sent")
    return outbox.tell(
        alert.subject,
        {"headline": review.headline},
        dict.fromkeys(channels, alert.body()),
        event=alert.event,
        now=now,
        ended=True,
    )
