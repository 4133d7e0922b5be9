"""A weekly review as a file: one HTML page that needs nothing else, and a PDF."""

from __future__ import annotations

from html import escape

from analytics.pdf_report import Block, Heading, Points, Table, Text, pdf_report
from analytics.snapshot_report_html import document
from analytics.weekly_review_model import MARK_SIGNS, MARK_WORDS, Review, Section, more_rows, written_rows
from analytics.weekly_review_text import about, link_to, sparkline

_BADGES = {"look": "provisional", "fine": "final"}
"""Classes of the page's fixed style: orange for what wants a decision, green for what is fine."""


def html(review: Review, base_url: str | None = None) -> str:
    """The review as an HTML file: no network, no cookie, nothing from the data that could run."""
    demo = '<span class="badge demo">Demo data: a made-up company</span>' if review.demo else ""
    missing = "".join(f'<p class="about">{escape(sentence)}</p>' for sentence in review.missing)
    body = (
        f"<header><b>Percall</b>{demo}<span>{escape(review.title)}</span></header><h1>{escape(review.headline)}</h1>{missing}"
        + "".join(_html_section(section, base_url) for section in review.sections)
        + f'<footer class="about"><p>{escape(about(review))}</p></footer><div id="tip" role="status"></div>'
    )
    return document(review.title, body, in_a_file=True)


def _html_section(section: Section, base_url: str | None) -> str:
    badge = f'<span class="badge {_BADGES.get(section.mark, "")}">{MARK_SIGNS[section.mark]} {MARK_WORDS[section.mark]}</span>'
    figures = "".join(
        f"<li><span>{escape(one.label)}</span><strong>{escape(one.value)}</strong><small>{escape(one.note)}</small></li>"
        for one in section.figures
    )
    points = "".join(f"<li>{escape(point)}</li>" for point in section.points)
    link = link_to(base_url, section.page)
    return (
        f"<section><h2>{escape(section.title)} {badge}</h2><p>{escape(section.sentence)}.</p>"
        + (f'<ul class="figures">{figures}</ul>' if figures else "")
        + (f"<ul>{points}</ul>" if points else "")
        + _html_table(section)
        + f'<p class="note">{escape(section.how_to_read)}'
        + (f' <a href="{escape(link, quote=True)}">Open the page</a>' if link else "")
        + "</p></section>"
    )


def _html_table(section: Section) -> str:
    if section.table is None:
        return ""
    trends = section.trends[: len(section.table.rows)]
    kinds = ["text" if column.kind == "text" else "n" for column in section.table.columns]
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(column.label)}</th>'
        for kind, column in zip(kinds, section.table.columns, strict=True)
    )
    head += '<th scope="col" class="text">Weeks</th>' if trends else ""
    rows = []
    for at, row in enumerate(written_rows(section)):
        cells = "".join(f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))
        weeks = f'<td class="text">{sparkline(trends[at])}</td>' if trends else ""
        rows.append(f"<tr>{cells}{weeks}</tr>")
    note = f'<p class="note">{escape(section.table.note)}</p>' if section.table.note else ""
    more = f'<p class="note">{escape(more_rows(section))}</p>' if section.left_out else ""
    label = escape(section.title, quote=True)
    return (
        f'{note}<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{more}"
    )


def pdf(review: Review) -> bytes:
    """The review on paper."""
    blocks: list[Block] = [Text(f"{review.headline}.", lead=True)]
    blocks += [Text(sentence) for sentence in review.missing]
    for section in review.sections:
        blocks += _pdf_section(section)
    demo = "demo data · " if review.demo else ""
    return pdf_report(
        review.title, blocks, about=f"{demo}effective cost · days cut in {review.zone}", footer=about(review)
    )


def _pdf_section(section: Section) -> list[Block]:
    blocks: list[Block] = [
        Heading(f"{section.title}: {MARK_WORDS[section.mark]}", section.how_to_read),
        Text(f"{section.sentence}."),
    ]
    if section.figures:
        rows = [(one.label, one.value, one.note) for one in section.figures]
        blocks.append(Table(("Figure", "Amount", ""), rows, align="lrl"))
    if section.points:
        blocks.append(Points(section.points))
    if section.table:
        align = "".join("l" if column.kind == "text" else "r" for column in section.table.columns)
        header = tuple(column.label for column in section.table.columns)
        blocks.append(Table(header, written_rows(section), align=align))
        if section.left_out:
            blocks.append(Text(more_rows(section)))
    return blocks
