"""Reports as a page that prints well: one column, static tables, and styles that leave the dashboard's own frame off the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

from analytics.pdf_report import Bars, Block, Heading, Points, Steps, Table, Text
from pages._text import plain, section

_STYLE = """<style>
@media print {
  @page { size: A4; margin: 14mm; }
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stSidebarCollapsedControl"],
  [data-testid="stExpandSidebarButton"], [data-testid="stElementToolbar"], [data-testid="stStatusWidget"], [data-testid="stDecoration"],
  .st-key-paper_controls { display: none !important; }
  html, body, #root, .stApp, [data-testid="stAppViewContainer"], [data-testid="stMain"], section.main {
    position: static !important; overflow: visible !important; height: auto !important; display: block !important; }
  [data-testid="stMainBlockContainer"] { max-width: none !important; padding: 0 !important; }
  .stApp, .stApp * { color: #1f2933 !important; background: transparent !important; -webkit-print-color-adjust: exact; }
  .js-plotly-plot text { fill: #1f2933 !important; }
  table, .stPlotlyChart, .js-plotly-plot { break-inside: avoid; max-width: 100% !important; }
  h1, h4, [data-testid="stElementContainer"]:has(h4), [data-testid="stElementContainer"]:has(h4) + [data-testid="stElementContainer"] {
    break-after: avoid; }
}
</style>"""


def print_styles() -> None:
    """What the browser's own "Print" makes of this page: the report alone. Whatever lies in a container of key "paper_controls" is left out."""
    st.html(_STYLE)


def draw_blocks(blocks: Iterable[Block], chart: Callable[[Steps | Bars], None]) -> None:
    """The blocks of a report, as `pdf_report` draws them on paper; `chart` draws what is a chart."""
    for block in blocks:
        if isinstance(block, Heading):
            section(block.text, block.note or None)
        elif isinstance(block, Text):
            st.markdown(f"## {plain(block.text)}" if block.lead else plain(block.text))
        elif isinstance(block, Points):
            st.markdown("\n".join(f"- {plain(text)}" for text in block.texts))
        elif isinstance(block, Table):
            st.markdown(markdown_table(block))
        else:
            chart(block)


def markdown_table(block: Table) -> str:
    """A table as Markdown: all of it is on the page, where a scrolling one would be cut on paper."""
    align = block.align or "l" * len(block.header)
    lines = [_line(block.header), _line(["---:" if each == "r" else ":---" for each in align], raw=True)]
    last = len(block.rows) - 1
    lines += [_line(row, bold=block.bold_last and at == last) for at, row in enumerate(block.rows)]
    return "\n".join(lines)


def _line(cells: Iterable[str], *, raw: bool = False, bold: bool = False) -> str:
    shown = [cell if raw else plain(cell) or " " for cell in cells]
    return f"| {' | '.join(f'**{cell}**' if bold and cell.strip() else cell for cell in shown)} |"
