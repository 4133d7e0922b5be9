"""Who is asked the ten questions. Every engine lives in a process of its own, so that its memory is its own, and is asked over a pipe."""

from __future__ import annotations

import importlib
import multiprocessing
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any, Protocol

from benchmarks.answers import Row
from benchmarks.measuring import Usage, measured
from benchmarks.rows import Rows


class Engine(Protocol):
    """An engine with its data at hand. Modules of peers make one with `open_engine(rows)`.

    `facts` says what making the data ready left behind: `disk_bytes`, `version` where it is not the package's, and whatever else the page tells.
    """

    facts: dict[str, Any]

    def answer(self, question: str) -> list[Row]:
        """The rows of a question: what is timed."""

    def exact(self, question: str) -> list[Row]:
        """The same to the last digit: what is compared. Differs from `answer` only where the engine's money is not exact."""

    def usage(self) -> Usage | None:
        """CPU seconds and memory of other processes that work for it; None: it is all in this process."""

    def close(self) -> None:
        """Give back what `open_engine` took."""


class InProcess:
    """An engine that lives in the asking process and has one way to answer a question."""

    def __init__(self, ask: Callable[[str], list[Row]], **facts: Any) -> None:
        self.facts: dict[str, Any] = facts
        self._ask = ask

    def answer(self, question: str) -> list[Row]:
        """The rows of a question."""
        return self._ask(question)

    def exact(self, question: str) -> list[Row]:
        """The same: every digit is there."""
        return self._ask(question)

    def usage(self) -> Usage | None:
        """Nothing runs elsewhere."""
        return None

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True)
class Peer:
    """An engine that can be asked: its name on the page, its module here, the package it needs, and what of its growth is unbounded.

    `bound` is "memory" where all rows are held in memory, "disk" where they take much more disk than the Parquet files, else "".
    """

    name: str
    module: str
    package: str
    bound: str = ""

    @property
    def absent(self) -> str | None:
        """Why this peer cannot be asked here; None when it can."""
        if find_spec(self.package) is None:
            return f"{self.package} is not installed"
        missing: str | None = getattr(importlib.import_module(self.module), "missing", lambda: None)()
        return missing

    @property
    def version(self) -> str:
        """Version of its package."""
        return version(self.package)


OWN, BY_HAND = "Percall", "DuckDB by hand"
PEERS = (
    Peer(OWN, "benchmarks.questions_product", "duckdb"),
    Peer(BY_HAND, "benchmarks.questions_sql", "duckdb"),
    Peer("DuckDB on Parquet", "benchmarks.questions_parquet", "duckdb"),
    Peer("ClickHouse", "benchmarks.questions_clickhouse", "chdb"),
    Peer("Polars", "benchmarks.questions_polars", "polars", "memory"),
    Peer("pandas", "benchmarks.questions_pandas", "pandas", "memory"),
    Peer("PostgreSQL", "benchmarks.questions_postgres", "psycopg", "disk"),
)


class Asked:
    """A peer's process. Use as a context; raises RuntimeError with the peer's own words when it fails."""

    def __init__(self, peer: Peer, rows: Rows) -> None:
        context = multiprocessing.get_context("spawn")
        self.peer = peer
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(peer.module, rows, theirs), name=peer.name)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(60)
        if self._process.is_alive():
            self._process.kill()

    def opened(self) -> tuple[Usage, dict[str, Any]]:
        """Wait until its data are ready: what that took, and the engine's facts."""
        answer: tuple[Usage, dict[str, Any]] = self._receive()
        return answer

    def ask(self, question: str, *, exact: bool = False) -> tuple[Usage, list[Row]]:
        """What an answer took, and its rows; as they are compared with `exact`, else as they are timed."""
        self._pipe.send((question, exact))
        answer: tuple[Usage, list[Row]] = self._receive()
        return answer

    def _receive(self) -> Any:
        try:
            failed, answer = self._pipe.recv()
        except EOFError:
            self._process.join(60)
            raise RuntimeError(f"{self.peer.name} ended with {self._process.exitcode}") from None
        if failed:
            raise RuntimeError(f"{self.peer.name}: {answer}")
        return answer


def _serve(module: str, rows: Rows, pipe: Connection) -> None:
    """A peer's process: open, then answer until the pipe is closed."""
    engine: Engine | None = None
    try:
        opening, engine = measured(lambda: importlib.import_module(module).open_engine(rows))
        pipe.send((False, (opening, engine.facts)))
        while True:
            question, exact = pipe.recv()
            ask = engine.exact if exact else engine.answer
            pipe.send((False, measured(lambda: ask(question), engine.usage)))  # noqa: B023 - called at once
    except EOFError:
        pass
    except Exception:
        pipe.send((True, traceback.format_exc()[-3000:]))
    finally:
        if engine is not None:
            engine.close()
