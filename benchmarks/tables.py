"""Tables of Markdown."""

from __future__ import annotations


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table; all columns but the first are figures, flush right."""
    align = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, align, *rows)) + "\n"
