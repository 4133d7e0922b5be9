"""What can go wrong, said for the person who reads it.

PercallError            any of ours: `str(error)` is what was found and what to do, in sentences
├── InputError          a file, row or argument cannot be used (exit code 2)
├── StoreError          the store cannot be opened, written or migrated (exit code 2)
├── SourceError         a live source cannot be read (exit code 2)
└── CheckFailed         a check did not hold: sums differ, tags are missing (exit code 1)
"""

from __future__ import annotations


class PercallError(Exception):
    """Base of all errors that Percall raises on purpose."""


class InputError(PercallError):
    """Input that cannot be used. `file`, `row` and `column` say where, when known."""

    def __init__(
        self, message: str, *, file: str | None = None, row: int | None = None, column: str | None = None
    ) -> None:
        self.file, self.row, self.column = file, row, column
        where = ", ".join(
            part for part in (file, f"row {row}" if row else None, f"column {column}" if column else None) if part
        )
        super().__init__(f"{where}: {message}" if where else message)


class StoreError(PercallError):
    """The store cannot be opened, locked, written or migrated."""


class CheckFailed(PercallError):  # noqa: N818 - the check failed, the program did not
    """A check that must hold did not."""


class SourceError(PercallError):
    """A live source cannot be read now. `retry`: a later sync may succeed without anybody doing anything."""

    def __init__(self, message: str, *, retry: bool = False) -> None:
        self.retry = retry
        super().__init__(message)
