"""A weekly review as text: Markdown for a wiki or an issue, and blocks for Slack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from analytics.weekly_review_model import MARK_SIGNS, MARK_WORDS, Review, Section, more_rows, written_rows

_MARKUP = re.compile(r"([\\`*\[\]<>|])")
_BARS = "▁▂▃▄▅▆▇█"

SLACK_TEXT = 2_900
"""Characters of one text block that Slack takes (3,000), with room for our marks."""
SLACK_BLOCKS = 50
SLACK_POINTS = 3
SLACK_ROWS = 3
_SLACK_MARKS = {
    "look": ":small_orange_diamond:", "in hand": ":hourglass_flowing_sand:", "fine": ":white_check_mark:", "empty": ":white_circle:",
    "unknown": ":grey_question:",
}  # fmt: skip


def link_to(base_url: str | None, page: str, week: str = "") -> str | None:
    """Address of a page of the dashboard, or None where its own address is not configured."""
    if not base_url or not page:
        return None
    return f"{base_url.rstrip('/')}/{page}{f'?week={week}' if week else ''}"


def sparkline(values: Sequence[Decimal | None]) -> str:
    """Amounts as bars of text, the highest as high as it gets, from 0; a space where nothing is known."""
    highest = max((value for value in values if value is not None), default=Decimal(0))
    if highest <= 0:
        return ""
    top = len(_BARS) - 1
    return "".join(
        " " if value is None else _BARS[max(0, min(top, int(value * len(_BARS) / highest)))] for value in values
    )


def markdown(review: Review, base_url: str | None = None) -> str:
    """The review as Markdown (GitHub's tables); names from the data carry no markup."""
    parts = [f"# {_md(review.title)}", f"**{_md(review.headline)}.**"]
    if review.demo:
        parts.append("_Demo data: a made-up company._")
    parts += [f"> {_md(sentence)}" for sentence in review.missing]
    for section in review.sections:
        parts += _markdown_section(section, base_url)
    parts.append(f"_{_md(about(review))}_")
    return "\n\n".join(parts) + "\n"


def about(review: Review) -> str:
    """Where the figures come from, in a line."""
    at = f" as of {review.as_of.replace('T', ' ')} UTC" if review.as_of else ""
    return f"Percall, {review.snapshot_id}{at}; days cut in {review.zone}."


def _markdown_section(section: Section, base_url: str | None) -> Iterable[str]:
    yield f"## {MARK_SIGNS[section.mark]} {_md(section.title)} ({MARK_WORDS[section.mark]})"
    yield f"{_md(section.sentence)}."
    lines = [
        f"- {_md(one.label)}: **{_md(one.value)}**{f' ({_md(one.note)})' if one.note else ''}"
        for one in section.figures
    ]
    lines += [f"- {_md(point)}" for point in section.points]
    if lines:
        yield "\n".join(lines)
    if section.table:
        yield _markdown_table(section)
        if more_rows(section):
            yield more_rows(section)
    link = link_to(base_url, section.page)
    yield f"_{_md(section.how_to_read)}_" + (f" [Open the page]({link})" if link else "")


def _markdown_table(section: Section) -> str:
    assert section.table is not None  # noqa: S101 - the caller looked
    trends = section.trends[: len(section.table.rows)]
    columns = section.table.columns
    head = [_md(column.label) for column in columns] + (["Weeks"] if trends else [])
    rule = [":---" if column.kind == "text" else "---:" for column in columns] + ([":---"] if trends else [])
    rows = [[_md(cell) for cell in row] for row in written_rows(section)]
    if trends:
        rows = [[*row, sparkline(values)] for row, values in zip(rows, trends, strict=True)]
    note = f"{_md(section.table.note)}\n\n" if section.table.note else ""
    return note + "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _md(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def slack_blocks(review: Review, base_url: str | None = None) -> dict[str, Any]:
    """The review as the payload of a Slack incoming webhook (Block Kit): what wants a decision in full, the rest in a line each."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": review.title[:150]}},
        _section_block(f"*{_mrkdwn(review.headline)}*"),
    ]
    if review.demo or review.missing:
        said = [*(["Demo data: a made-up company."] if review.demo else []), *review.missing]
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(_mrkdwn(" ".join(said)))}]})
    blocks.append({"type": "divider"})
    blocks += [_section_block(_slack_section(section, base_url)) for section in review.sections]
    link = link_to(base_url, "weekly-review", review.week.name)
    if link:
        button = {
            "type": "button",
            "text": {"type": "plain_text", "text": "Open the review"},
            "url": link,
            "style": "primary",
        }
        blocks.append({"type": "actions", "elements": [button]})
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(_mrkdwn(about(review)))}]})
    return {
        "text": _cut(_mrkdwn(f"{review.title}: {review.headline}")),
        "blocks": blocks[:SLACK_BLOCKS],
        "unfurl_links": False,
    }


def _slack_section(section: Section, base_url: str | None) -> str:
    link = link_to(base_url, section.page)
    title = f"<{link}|{_mrkdwn(section.title)}>" if link else _mrkdwn(section.title)
    lines = [f"{_SLACK_MARKS[section.mark]} *{title}*: {_mrkdwn(section.sentence)}."]
    lines += [
        f"• {_mrkdwn(one.label)}: *{_mrkdwn(one.value)}*{f' ({_mrkdwn(one.note)})' if one.note else ''}"
        for one in section.figures
    ]
    if section.mark in ("look", "in hand", "unknown") or section.key in ("actions", "decisions"):
        lines += [f"• {_mrkdwn(point)}" for point in section.points[:SLACK_POINTS]]
        if not section.points or section.key in ("actions", "decisions"):
            lines += [
                f"• {_mrkdwn(', '.join(cell for cell in row[:4] if cell != '–'))}"
                for row in written_rows(section)[:SLACK_ROWS]
            ]
    return "\n".join(lines)


def _section_block(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text)}}


def _cut(text: str) -> str:
    return text if len(text) <= SLACK_TEXT else f"{text[: SLACK_TEXT - 1]}…"


def _mrkdwn(text: str) -> str:
    """Text that Slack shows as it is: names from the data neither mention nor link nor format."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("*", "∗").replace("`", "ˋ").replace("~", "∼")
