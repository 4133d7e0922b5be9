"""A store that holds data before something broken comes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.operations.bills import line, write
from tests.operations.command import (
    percall,
)

FORMER = Decimal("15.00")

GOOD = Decimal("2.50")


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two billing lines, $15.00 together, of an account of its own."""
    folder = tmp_path_factory.mktemp("former")
    bill = write(folder / "former.csv", [line("former", "10.00"), line("former", "5.00", 3)])
    store = folder / "store"
    assert percall("load", bill, store=store).code == 0
    return store


def rejects(store: Path) -> list[tuple[str, int | None, str | None, str]]:
    """What the store says it could not use: file, row, column, reason."""
    rows = percall("export", "rejects", "--format", "json", store=store).json
    return [(row["file"], row["row_number"], row["column_name"], row["reason"]) for row in rows]
