"""A report as PDF: the same headline, figures and tables as its web page, for paper and for files that are mailed."""

from __future__ import annotations

from analytics.pdf_report import Bars, Block, Heading, Table, Text, pdf_report
from analytics.snapshot_report import Chart, Report
from analytics.snapshot_report import Table as ReportTable
from analytics.snapshot_report_html import written

_MOST_ROWS = 200
"""As many rows of a table are printed; the CSV file of the web page has all."""


def pdf(report: Report) -> bytes:
    """The report as a PDF file. Charts over time are their tables' business; bars per name are drawn where amounts are in USD."""
    answer = report.answer
    blocks: list[Block] = [Text(answer.headline, lead=True), Text(report.rests_on)]
    if answer.figures:
        blocks.append(
            Table(("Figure", "Amount", ""), [(one.label, one.value, one.note) for one in answer.figures], align="lrl")
        )
    for chart in answer.charts:
        if chart.kind == "bars" and answer.currency == "USD":
            blocks += [Heading(chart.title, chart.note), _bars(chart)]
    for table in answer.tables:
        blocks += [Heading(table.title, table.note), _table(table, answer.currency)]
        if len(table.rows) > _MOST_ROWS:
            blocks.append(Text(f"The first {_MOST_ROWS} of {len(table.rows)} rows."))
    blocks += [Text(note) for note in answer.notes]
    state = "final" if report.state == "final" else "provisional: not every cost is invoiced yet"
    about = " · ".join(
        [
            report.period,
            f"{report.basis} cost",
            answer.currency,
            *report.conditions,
            state,
            *(["demo data"] if report.demo else []),
        ]
    )
    footer = f"As of {report.as_of.replace('T', ' ')} UTC, data to {report.data_to}, {report.snapshot_id}; days in {report.zone}"
    return pdf_report(f"{answer.title}, {report.period}", blocks, about=about, footer=footer)


def _bars(chart: Chart) -> Bars:
    sums = [[one.values[at] for one in chart.series if one.values[at] is not None] for at in range(len(chart.labels))]
    return Bars(chart.labels, [sum(parts) if parts else None for parts in sums])  # type: ignore[arg-type, misc]


def _table(table: ReportTable, currency: str) -> Table:
    rows = [
        tuple(
            "–" if value is None else value if isinstance(value, str) else written(value, column, currency)
            for value, column in zip(row, table.columns, strict=True)
        )
        for row in table.rows[:_MOST_ROWS]
    ]
    align = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    return Table(tuple(column.label for column in table.columns), rows, align=align)
