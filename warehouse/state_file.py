"""The file `<store>/state.sqlite`: how any kind of people's own state is read and written, safely from several processes.

A kind of state with tables of its own is a subclass that names them:

    class Outbox(StateFile):
        TABLES = "CREATE TABLE IF NOT EXISTS outbox (...);"

Documents that are kept in versions (rules, budgets, scenarios, notes) need no table of their own: see `warehouse.state`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from warehouse.errors import StoreError

STATE_VERSION = 1


class StateFile:
    """The state of one store. Opening it reads nothing; the file and the tables are created by the first write."""

    TABLES: ClassVar[str] = ""
    """The statements that create what this class reads and writes: `CREATE TABLE IF NOT EXISTS ...;`"""

    def __init__(self, store: Path) -> None:
        self.path = Path(store) / "state.sqlite"

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query; none where nothing was ever written. Raises StoreError when the file cannot be read."""
        if not self.path.exists():
            return []
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as connection:
                self._check(connection)
                return connection.execute(query, tuple(values)).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise self._unreadable(error) from error
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which has the write lock from its beginning. Raises StoreError when the file cannot be written; nothing is saved then."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as connection:
                self._check(connection)
                connection.executescript(self.TABLES)
                connection.execute(f"PRAGMA user_version = {STATE_VERSION}")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be written ({error}): nothing was saved") from error

    def _unreadable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"{self.path} cannot be read ({error}): restore it from a back-up")

    def _check(self, connection: sqlite3.Connection) -> None:
        """Refuse a file of a newer Percall before reading or changing it."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > STATE_VERSION:
            raise StoreError(
                f"{self.path} was written by a newer Percall (version {version}, this one knows {STATE_VERSION}): "
                "install that version"
            )
