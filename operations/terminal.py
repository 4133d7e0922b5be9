"""Progress for people: a bar on a terminal's stderr, nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
import unicodedata
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[str, float], None]]:
    """A callable (message, share done) that draws a bar while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _message, _share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0, title=title)
        yield lambda message, share: progress.update(task, description=printable(message), completed=share)


def say(sentence: str) -> None:
    """A sentence for the person at the terminal, on one line."""
    sys.stderr.write(printable(sentence) + "\n")


def printable(text: str) -> str:
    """Text that a terminal shows and does not obey: file names and values may hold line breaks and control sequences."""
    return "".join(
        sign if sign.isprintable() or unicodedata.category(sign) == "Zs" else sign.encode("unicode_escape").decode()
        for sign in text
    )
