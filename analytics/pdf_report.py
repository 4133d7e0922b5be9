"""Reports as PDF: a title, paragraphs, tables and simple charts on A4, drawn as vectors, with text that can be selected and searched.

A report is a list of blocks, in reading order:

    pdf_report(
        "Nights in batches",
        [
            Text("Three levers together would save $1,200 of $9,200 a month."),
            Heading("From today to the plan"),
            Steps([Total("Today", Decimal("9200")), Change("Batch", Decimal("-1200"), Decimal("-1300"), Decimal("-1100")), ...]),
            Table(("Lever", "Saves"), [("Batch", "$1,200")], align="lr"),
            Points(["Quality is not modelled."]),
        ],
        about="USD per month, simulated",
    )

Texts are plain text: nothing in them is markup. Amounts in tables and texts are formatted by the caller (`analytics.formatting`), so that page and
paper agree. The font covers Latin (Vietnamese included), Greek and Cyrillic; other characters are drawn as an empty box, and the last page says so.
The same blocks give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module


@dataclass(frozen=True)
class Heading:
    """The title of what follows; `note` stands small below it: unit, basis, range."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph; `lead` draws it larger, as the answer of the report."""

    text: str
    lead: bool = False


@dataclass(frozen=True)
class Points:
    """Sentences, each with a bullet."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header that is repeated on every page. align: "l" or "r" per column. bold_last: the last row is a total.

    widths: relative widths of the columns (default: by the longest text of each).
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str = ""
    bold_last: bool = False
    widths: Sequence[float] = ()


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, one per label; None: not known, drawn without a bar. `labels` are followed by the values as `formatting.usd` writes them."""

    labels: Sequence[str]
    values: Sequence[Decimal | None]


@dataclass(frozen=True)
class Total:
    """A bar of `Steps` that stands on the axis: a whole amount."""

    label: str
    amount: Decimal


@dataclass(frozen=True)
class Change:
    """A bar of `Steps` that hangs where the one before ended: `amount` is added (negative: saved); low and high: the range of the amount."""

    label: str
    amount: Decimal
    low: Decimal | None = None
    high: Decimal | None = None


@dataclass(frozen=True)
class Steps:
    """A waterfall of totals and changes in USD, from top to bottom."""

    bars: Sequence[Total | Change]


Block = Heading | Text | Points | Table | Bars | Steps


def pdf_report(title: str, blocks: Iterable[Block], *, about: str = "", footer: str = "") -> bytes:
    """The report as a PDF file. about: small, below the title. footer: on every page, beside its number.

    Raises InputError for a table whose rows differ in length.
    """
    # What draws takes a moment to load, and most of those who describe a report never draw it.
    written: bytes = import_module("analytics.pdf_drawing").drawn(title, list(blocks), about, footer)
    return written
