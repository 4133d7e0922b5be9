"""A private PostgreSQL on loopback for tests that read a database: started on a free port in a temporary folder, stopped and removed afterwards.

    from tests.postgres import postgres_server  # noqa: F401 - a fixture

    def test_something(postgres_server: Postgres) -> None:
        postgres_server.run("CREATE TABLE ...")
        reader = psycopg.connect(postgres_server.url)

The fixture skips the test where no PostgreSQL server is installed. The server refuses to run as root; then it runs as `postgres` or `nobody`.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")
_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class Postgres:
    """A running server: where it listens, the superuser's password-less name, and its first process."""

    port: int
    user: str
    process: int = 0

    @property
    def url(self) -> str:
        """Connection string of the database `postgres`, as the superuser."""
        return self.url_of("postgres")

    def url_of(self, database: str, user: str | None = None, password: str = "") -> str:
        """Connection string of a database on this server."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user or self.user}{secret}@127.0.0.1:{self.port}/{database}"

    def run(self, statements: str, database: str = "postgres", values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Runs SQL, committed at once; the rows of the last statement, if it has any."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(statements, values or None)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def database(self, name: str) -> str:
        """Makes a new, empty database of this name and returns its connection string."""
        self.run(f'DROP DATABASE IF EXISTS "{name}"')
        self.run(f'CREATE DATABASE "{name}"')
        return self.url_of(name)


def find() -> Path | None:
    """The folder of the server's programs, None where PostgreSQL is not installed."""
    if (on_path := shutil.which("pg_ctl")) is not None:
        return Path(on_path).resolve().parent
    found = [program for place in _PLACES for program in Path(place).glob("*/bin/pg_ctl")]
    return max(found).parent if found else None


class NoPostgresError(RuntimeError):
    """No PostgreSQL server can be started here."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server per worker of the test run. Passwords are asked of every role but the superuser."""
    with ExitStack() as stack:
        try:
            postgres = stack.enter_context(running_server())
        except NoPostgresError as reason:
            pytest.skip(str(reason))
        yield postgres


@contextmanager
def running_server(**further: str) -> Iterator[Postgres]:
    """A server on a free port of loopback, with further settings; stopped and removed at the end. It keeps nothing: fsync is off.

    Raises NoPostgresError where none is installed or there is no account to run it as, RuntimeError when it does not start.
    """
    programs = find()
    if programs is None:
        raise NoPostgresError("no PostgreSQL server is installed (pg_ctl was not found)")
    # Sockets have short paths, and the server's user must reach the folder.
    folder = Path(tempfile.mkdtemp(prefix="percall-pg-", dir="/tmp"))
    account = _account()
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"
    user = "percall_tests"
    port = _free_port()

    identity: dict[str, Any] = {}
    if account is not None:
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    surroundings: dict[str, Any] = {
        "cwd": folder,
        "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
    }
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", user, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
            check=True, capture_output=True, **surroundings, **identity,
        )  # fmt: skip
        (data / "pg_hba.conf").write_text(
            f"host all {user} 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8"
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            **further,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-p", str(port), *options],
                stdout=log, stderr=log, preexec_fn=_end_with_the_tests, **surroundings, **identity,  # noqa: PLW1509 - no threads yet
            )  # fmt: skip
        try:
            _wait(port, user, server, folder / "log")
            yield Postgres(port, user, server.pid)
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_the_tests() -> None:
    """Ask Linux to end the server when the test run is killed, so that none is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def _wait(port: int, user: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers."""
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=user, dbname="postgres", connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"PostgreSQL did not start: {text}") from None
            time.sleep(0.05)


def _account() -> pwd.struct_passwd | None:
    """Whom to run the server as: None for the one who runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgresError("PostgreSQL's server does not run as root, and there is no account postgres or nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
