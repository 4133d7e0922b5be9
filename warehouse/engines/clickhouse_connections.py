"""Two ways to a ClickHouse: its HTTP interface, and its engine inside this process (chdb)."""

from __future__ import annotations

import atexit
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from warehouse.engines.clickhouse import Connection, unreachable
from warehouse.engines.settings import EngineSettings
from warehouse.errors import StoreError

_LONGEST_MESSAGE = 600
_TOLD = re.compile(r"Code: \d+\. DB::Exception: .*", re.DOTALL)
_TOLD_WITHIN = 64_000
"""So many of an answer's last bytes may tell why it broke off."""
_ARROW_ENDS_WITH = b"ARROW1"

CONNECTS_WITHIN, ANSWERS_WITHIN = 10.0, 600.0
"""Seconds: for a server to be reached, and for a question to be answered; ClickHouse's own `max_execution_time` may end it sooner."""


def connect(settings: EngineSettings, engine_settings: Mapping[str, str]) -> Connection:
    """Connect to the configured database, which is made where it is missing. Raises StoreError."""
    if settings.url.startswith("chdb:"):
        return InProcess(settings.url.removeprefix("chdb:"), settings.database, engine_settings)
    return Http(settings, engine_settings)


class Http:
    """ClickHouse's HTTP interface. May be shared by threads."""

    def __init__(self, settings: EngineSettings, engine_settings: Mapping[str, str]) -> None:
        self._url = settings.url
        headers = {"X-ClickHouse-User": settings.user} if settings.user else {}
        if settings.password_env:
            headers["X-ClickHouse-Key"] = settings.password()
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(ANSWERS_WITHIN, connect=CONNECTS_WITHIN))
        self._parameters = dict(engine_settings)
        if not self._has(settings.database):
            self.command(f'CREATE DATABASE IF NOT EXISTS "{settings.database}"')
        self._parameters["database"] = settings.database

    def _has(self, database: str) -> bool:
        # A reader may look at tables without the right to make databases.
        return self._post(f'EXISTS DATABASE "{database}"', {"default_format": "TSV"}).strip() == b"1"

    def command(self, sql: str) -> None:
        """Run a statement."""
        self._post(sql, {})

    def arrow(self, sql: str) -> bytes:
        """The answer as an Arrow file."""
        answer = self._post(sql, {"default_format": "Arrow"})
        if not answer.endswith(_ARROW_ENDS_WITH):
            raise self._broken_off(answer)
        return answer

    def insert(self, table: str, select: str, structure: str, parquet: Path) -> None:
        """Send the file as the body of an INSERT."""
        sql = f"INSERT INTO {table} {select} FROM input('{structure}') FORMAT Parquet"
        with parquet.open("rb") as stream:
            self._post(iter(lambda: stream.read(1 << 20), b""), {"query": sql})

    def _post(self, body: str | Iterator[bytes], parameters: Mapping[str, str]) -> bytes:
        # The server keeps an answer back until it is whole, so that its status says whether it is. What stands between may not let it.
        content = body.encode() if isinstance(body, str) else body
        everything = {**self._parameters, "wait_end_of_query": "1", **parameters}
        parts: list[bytes] = []
        try:
            with self._client.stream("POST", self._url, params=everything, content=content) as response:
                parts.extend(response.iter_bytes())
        except httpx.TimeoutException as error:
            raise StoreError(f"ClickHouse at {self._url} {_said_of_waiting(error)}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if parts:
                raise self._broken_off(b"".join(parts)) from error
            raise _no_tls(self._url, error) or unreachable(self._url, error) from error
        answer = b"".join(parts)
        if response.status_code != httpx.codes.OK or "X-ClickHouse-Exception-Code" in response.headers:
            told = answer.decode(errors="replace").strip() or f"HTTP {response.status_code}"
            raise StoreError(f"ClickHouse at {self._url} refused: {told[:_LONGEST_MESSAGE]}")
        return answer

    def _broken_off(self, answer: bytes) -> StoreError:
        """What to say of an answer that is not whole. Where the server met an error under way, its end tells which."""
        told = _TOLD.search(answer[-_TOLD_WITHIN:].decode(errors="replace"))
        reason = f": {told.group().strip()[:_LONGEST_MESSAGE]}" if told else ", and does not say why: ask again"
        return StoreError(f"ClickHouse at {self._url} broke off its answer{reason}")


def _said_of_waiting(error: httpx.TimeoutException) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"cannot be reached within {CONNECTS_WITHIN:.0f} s: check [engine] url in percall.toml, and that nothing on the way blocks it"
    return (
        f"did not answer within {ANSWERS_WITHIN:.0f} s: it may be busy; ask for a shorter period, or end questions sooner with "
        'options = { "max_execution_time" = "60" }'
    )


def _no_tls(url: str, error: Exception) -> StoreError | None:
    """What to say when the two sides do not agree about TLS."""
    told = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return StoreError(
            f"ClickHouse at {url} shows a certificate that nobody here vouches for ({told[:_LONGEST_MESSAGE]}): name the file of the authority that "
            "signed it in the environment variable SSL_CERT_FILE"
        )
    if "SSL" in told:
        return StoreError(
            f"ClickHouse at {url} does not speak TLS on this port ({told[:_LONGEST_MESSAGE]}): use its port for TLS (8443 by default), or "
            "clickhouse:// and http:// without TLS"
        )
    return None


class InProcess:
    """ClickHouse's engine in this process, with its data in a folder ("" keeps them in memory). One folder per process."""

    _sessions: dict[str, Any] = {}  # noqa: RUF012 - one for all: the engine starts once per process
    _settled: InProcess | None = None
    _lock = threading.RLock()

    def __init__(self, folder: str, database: str, engine_settings: Mapping[str, str]) -> None:
        try:
            from chdb import ChdbError, session  # noqa: PLC0415 - installed by few
        except ImportError as error:
            raise StoreError(
                'chdb is not installed: `pip install chdb`, or use a ClickHouse server (url = "http://...")'
            ) from error
        self._error = (ChdbError, RuntimeError)
        with self._lock:
            if folder not in self._sessions:
                # Left to the end of the process, its background threads now and then outlive what they work on, and crash it.
                if not self._sessions:
                    atexit.register(self._close_all)
                self._sessions[folder] = session.Session(folder) if folder else session.Session()
            self._session = self._sessions[folder]
        self._before = [f'CREATE DATABASE IF NOT EXISTS "{database}"', f'USE "{database}"']
        self._before += [f"SET {name} = '{value}'" for name, value in engine_settings.items()]

    @classmethod
    def _close_all(cls) -> None:
        with cls._lock:
            while cls._sessions:
                cls._sessions.popitem()[1].close()

    def _query(self, sql: str, form: str = "CSV") -> Any:
        with self._lock:
            try:
                if InProcess._settled is not self:
                    for statement in self._before:
                        self._session.query(statement)
                    InProcess._settled = self
                return self._session.query(sql, form)
            except self._error as error:
                raise StoreError(f"ClickHouse refused: {str(error)[:_LONGEST_MESSAGE]}") from error

    def command(self, sql: str) -> None:
        """Run a statement."""
        self._query(sql)

    def arrow(self, sql: str) -> bytes:
        """The answer as an Arrow file."""
        return bytes(self._query(sql, "Arrow").bytes())

    def insert(self, table: str, select: str, structure: str, parquet: Path) -> None:
        """Let the engine read the file."""
        self._query(f"INSERT INTO {table} {select} FROM file('{parquet}', Parquet, '{structure}')")
