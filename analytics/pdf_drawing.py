"""How a report's blocks (`analytics.pdf_report`) are drawn on A4."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Rect, String  # type: ignore[import-untyped]
from reportlab.lib.colors import HexColor  # type: ignore[import-untyped]
from reportlab.lib.enums import TA_LEFT, TA_RIGHT  # type: ignore[import-untyped]
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.styles import ParagraphStyle  # type: ignore[import-untyped]
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth  # type: ignore[import-untyped]
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]
from reportlab.platypus import (  # type: ignore[import-untyped]
    BaseDocTemplate,
    CondPageBreak,
    Frame,
    LongTable,
    PageTemplate,
    Paragraph,
    Spacer,
    TableStyle,
)

from analytics import formatting
from analytics.pdf_report import Bars, Block, Heading, Points, Steps, Table, Text, Total
from warehouse.configuration import DATA
from warehouse.errors import InputError

FONTS = DATA / "fonts"
REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
BOX = "\u25a1"

_INK, _GREY, _RULE, _SAVES, _COSTS, _TOTAL = "#1f2933", "#5f6b76", "#d5dae0", "#009e73", "#d55e00", "#0072b2"
_MARGIN = 48.0
_WIDTH = 595.28 - 2 * _MARGIN


@dataclass
class _Writing:
    """What is noted while a report is written: characters that the font does not have."""

    missing: set[str] = field(default_factory=set)

    def fit(self, text: str) -> str:
        """The text with a box for what cannot be drawn."""
        known = _known()
        lost = {each for each in text if ord(each) not in known and not each.isspace()}
        self.missing |= lost
        return "".join(BOX if each in lost else " " if each.isspace() else each for each in text)


def drawn(title: str, blocks: Sequence[Block], about: str, footer: str) -> bytes:
    """The report as a file: see `pdf_report`."""
    writing = _Writing()
    flow = [_paragraph(writing, title, "title")]
    if about:
        flow.append(_paragraph(writing, about, "note"))
    for block in blocks:
        flow += _flowables(writing, block)
    foot = writing.fit(footer)
    if writing.missing:
        number = len(writing.missing)
        flow.append(
            _paragraph(
                writing,
                f"{number} {'character' if number == 1 else 'characters'} of this report are not in its font (Latin, Greek, Cyrillic) and stand as "
                f"{BOX}.",
                "note",
            )
        )

    def sign(canvas: Any, document: Any) -> None:
        canvas.setFont(REGULAR, 7.5)
        canvas.setFillColor(_GREY)
        canvas.drawString(_MARGIN, 26, foot)
        canvas.drawRightString(A4[0] - _MARGIN, 26, str(document.page))

    file = io.BytesIO()
    document = BaseDocTemplate(
        file, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN, title=title,
        author="Percall", invariant=1,
    )  # fmt: skip
    frame = Frame(
        _MARGIN, _MARGIN, _WIDTH, A4[1] - 2 * _MARGIN, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0
    )
    document.addPageTemplates([PageTemplate("page", [frame], onPage=sign)])
    document.build(flow)
    return file.getvalue()


def _flowables(writing: _Writing, block: Block) -> list[Any]:
    if isinstance(block, Heading):
        found = [Spacer(1, 10), CondPageBreak(110), _paragraph(writing, block.text, "heading")]
        return [*found, _paragraph(writing, block.note, "note")] if block.note else found
    if isinstance(block, Text):
        return [_paragraph(writing, block.text, "lead" if block.lead else "text")]
    if isinstance(block, Points):
        return [_paragraph(writing, text, "point", bullet="\u2022") for text in block.texts]
    if isinstance(block, Table):
        return [_table(writing, block)] if block.rows else []
    if isinstance(block, Bars):
        bars = [
            (label, None if value is None else (Decimal(0), value), formatting.usd(value), _TOTAL, None)
            for label, value in zip(block.labels, block.values, strict=True)
        ]
        return [_bars(writing, bars)] if bars else []
    return [_bars(writing, _steps(block))] if block.bars else []


_Bar = tuple[str, tuple[Decimal, Decimal] | None, str, str, tuple[Decimal, Decimal] | None]
"""Label, from and to, its amount in words, colour, and the ends of its range."""


def _steps(block: Steps) -> list[_Bar]:
    bars: list[_Bar] = []
    level = Decimal(0)
    for bar in block.bars:
        if isinstance(bar, Total):
            bars.append((bar.label, (Decimal(0), bar.amount), formatting.usd(bar.amount), _TOTAL, None))
            level = bar.amount
            continue
        span = None if bar.low is None or bar.high is None else (level + bar.low, level + bar.high)
        colour = _SAVES if bar.amount <= 0 else _COSTS
        bars.append((bar.label, (level, level + bar.amount), formatting.usd(bar.amount, plus=True), colour, span))
        level += bar.amount
    return bars


def _bars(writing: _Writing, bars: Sequence[_Bar]) -> Drawing:
    """The bars from top to bottom, their labels to the left, their amounts to the right of them."""
    row, size = 17.0, 8.0
    labels = [writing.fit(label) for label, *_ in bars]
    left = min(max(stringWidth(label, REGULAR, size) for label in labels) + 8, _WIDTH * 0.42)
    ends = [float(end) for _, span, _, _, reach in bars for end in (*(span or ()), *(reach or ()))]
    low, high = min(0.0, *ends, 0.0) if ends else 0.0, max(0.0, *ends, 0.0) if ends else 0.0
    right = max(stringWidth(words, REGULAR, size) for _, _, words, _, _ in bars) + 10
    scale = (_WIDTH - left - right) / ((high - low) or 1.0)

    def x(amount: Decimal | float) -> float:
        return left + (float(amount) - low) * scale

    drawing = Drawing(_WIDTH, row * len(bars) + 6)
    drawing.add(Line(x(0), 2, x(0), row * len(bars) + 4, strokeColor=HexColor(_RULE), strokeWidth=0.6))
    for place, (label, (_, span, words, colour, reach)) in enumerate(zip(labels, bars, strict=True)):
        y = row * (len(bars) - 1 - place) + 5
        fits = label
        while stringWidth(fits, REGULAR, size) > left - 6 and len(fits) > 4:
            fits = fits[:-2].rstrip("\u2026 ") + "\u2026"
        drawing.add(
            String(left - 6, y + 2, fits, fontName=REGULAR, fontSize=size, fillColor=HexColor(_INK), textAnchor="end")
        )
        end = x(0)
        if span is not None:
            begin, end = sorted((x(span[0]), x(span[1])))
            drawing.add(
                Rect(
                    begin,
                    y - 1,
                    max(end - begin, 0.4),
                    row - 7,
                    fillColor=HexColor(colour),
                    strokeWidth=0,
                    strokeColor=None,
                )
            )
        if reach is not None and reach[0] != reach[1]:
            first, last = (x(each) for each in reach)
            drawing.add(Line(first, y + 4, last, y + 4, strokeColor=HexColor(_INK), strokeWidth=0.8))
            for tip in (first, last):
                drawing.add(Line(tip, y + 1.5, tip, y + 6.5, strokeColor=HexColor(_INK), strokeWidth=0.8))
            end = max(end, first, last)
        drawing.add(String(end + 4, y + 2, words, fontName=REGULAR, fontSize=size, fillColor=HexColor(_INK)))
    return drawing


def _table(writing: _Writing, block: Table) -> Any:
    number = len(block.header)
    if any(len(each) != number for each in block.rows):
        raise InputError(f"a table of this report has {number} columns, and a row with another number")
    align = block.align or "l" * number
    last = len(block.rows) - 1
    cells = [[_cell(writing, text, align[place], True, True) for place, text in enumerate(block.header)]]
    for at, texts in enumerate(block.rows):
        bold = block.bold_last and at == last
        cells.append([_cell(writing, text, align[place], bold, False) for place, text in enumerate(texts)])
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, HexColor(_INK)),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, HexColor(_RULE)),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
    ]
    if block.bold_last:
        style.append(("LINEABOVE", (0, -1), (-1, -1), 0.8, HexColor(_INK)))
    return LongTable(
        cells, colWidths=_widths(block), repeatRows=1, style=TableStyle(style), spaceBefore=4, spaceAfter=4
    )


def _widths(block: Table) -> list[float]:
    """Columns by their longest text, none so wide that the others are squeezed below their longest word."""
    _fonts()
    if block.widths:
        return [_WIDTH * width / sum(block.widths) for width in block.widths]
    texts = [[block.header[place], *(row[place] for row in block.rows)] for place in range(len(block.header))]
    longest = [max(stringWidth(text, BOLD, 8) for text in column) + 8 for column in texts]
    words = [
        min(max((stringWidth(word, BOLD, 8) for text in column for word in text.split()), default=0) + 8, 0.4 * _WIDTH)
        for column in texts
    ]
    if sum(longest) <= _WIDTH:
        return [width + (_WIDTH - sum(longest)) / len(longest) for width in longest]
    rest = max(_WIDTH - sum(words), 0.0)
    wish = [full - word for full, word in zip(longest, words, strict=True)]
    found = [word + rest * more / (sum(wish) or 1.0) for word, more in zip(words, wish, strict=True)]
    return [width * min(1.0, _WIDTH / sum(found)) for width in found]


def _cell(writing: _Writing, text: str, align: str, bold: bool, head: bool) -> Any:
    return _paragraph(writing, text, f"cell {align} {'bold' if bold else 'plain'}{' head' if head else ''}")


def _paragraph(writing: _Writing, text: str, style: str, bullet: str | None = None) -> Any:
    return Paragraph(escape(writing.fit(text)), _style(style), bulletText=bullet)


@lru_cache(maxsize=64)
def _style(name: str) -> Any:
    _fonts()
    if name.startswith("cell"):
        bold, right, head = "bold" in name, " r " in name, name.endswith("head")
        return ParagraphStyle(
            name, fontName=BOLD if bold else REGULAR, fontSize=7.5 if head else 8, leading=10, textColor=HexColor(_GREY if head else _INK),
            alignment=TA_RIGHT if right else TA_LEFT, splitLongWords=1,
        )  # fmt: skip
    common = {"fontName": REGULAR, "fontSize": 9, "leading": 13, "textColor": HexColor(_INK), "spaceAfter": 4}
    own: dict[str, dict[str, Any]] = {
        "title": {"fontName": BOLD, "fontSize": 16, "leading": 20, "spaceAfter": 4},
        "heading": {"fontName": BOLD, "fontSize": 11, "leading": 15, "spaceAfter": 1},
        "note": {"fontSize": 8, "leading": 11, "textColor": HexColor(_GREY)},
        "lead": {"fontSize": 11, "leading": 16, "spaceBefore": 4, "spaceAfter": 6},
        "text": {},
        "point": {"leftIndent": 12, "bulletIndent": 2, "spaceAfter": 2, "bulletFontName": REGULAR},
    }
    return ParagraphStyle(name, **{**common, **own[name]})


@lru_cache(maxsize=1)
def _fonts() -> dict[str, Any]:
    found = {}
    for name in (REGULAR, BOLD):
        font = TTFont(name, str(FONTS / f"{name}.ttf"))
        registerFont(font)
        found[name] = font
    return found


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    """Code points that both fonts can draw."""
    regular, bold = (font.face.charToGlyph for font in _fonts().values())
    return frozenset(regular) & frozenset(bold)
