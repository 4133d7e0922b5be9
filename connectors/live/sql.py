"""A query on PostgreSQL: who was active, or what was earned, straight from the product's own database.

The query is asked once for each calendar month, with `:since` and `:until` bound to its first day and the day after its last, in a transaction
that can only read and that ends after `statement_timeout`. A month is a piece of its own (`connectors.live.pieces`): read again, it
replaces itself; a month whose rows are gone is told as nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.columns import normalised
from connectors.live import trailing
from connectors.live.pieces import months, piece_path
from connectors.live.requests import Passing, attempts
from connectors.live.source import (
    Batch,
    Finding,
    Option,
    Patience,
    Planned,
    Position,
    Progress,
    SourceSettings,
    Window,
    problem,
)
from connectors.live.sql_query import BOUNDS, bound
from connectors.plain import ACTIVITY, REVENUE, PlainKind
from warehouse.errors import InputError, SourceError

if TYPE_CHECKING:
    import psycopg

KIND = "sql"
TITLE = "PostgreSQL: activity or revenue by a query"
OPTIONS: Sequence[Option] = (
    Option("url_env", "variable with postgresql://user:password@host/database", '"PRODUCT_DATABASE_URL"', required=True, secret=True),
    Option("table", "what the query answers", '"activity"', required=True, choices=("activity", "revenue")),
    Option(
        "query", "SELECT with :since and :until (exclusive), whose columns are those of the kind",
        '"SELECT day AS date, user_id FROM logins WHERE day >= :since AND day < :until"', required=True,
    ),
    Option("time_zone", "zone of the days, the reporting time zone of [percall]", '"UTC"', default="UTC"),
    Option("statement_timeout", "seconds after which the database gives up the query", "120", default=120, form="integer"),
    replace(trailing.REREAD, default=7, example="7"),
    replace(trailing.HISTORY, default=400, example="400"),
)  # fmt: skip

_KINDS: dict[str, PlainKind] = {"activity": ACTIVITY, "revenue": REVENUE}
_NOTHING = {
    "activity": (("date", "active_users"), (0,)),
    "revenue": (("date", "amount", "currency"), (0, "USD")),
}
"""What is told of a month that had rows and has none any more."""

_ROWS_AT_ONCE = 5_000


def permissions(settings: SourceSettings) -> str:  # noqa: ARG001 - every source takes them
    """A role that can read what the query names."""
    return (
        "As the owner of the database, with the tables (better: one view) that the query names:\n\n"
        "  CREATE ROLE percall LOGIN PASSWORD '...' NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 2;\n"
        "  ALTER ROLE percall SET default_transaction_read_only = on;\n"
        "  GRANT CONNECT ON DATABASE product TO percall;\n"
        "  GRANT USAGE ON SCHEMA public TO percall;\n"
        "  GRANT SELECT ON public.daily_activity TO percall;\n\n"
        "A replica will do; nothing is written, no table is locked."
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether the database answers, and the query's columns (of a period without a day, so that nothing is read)."""
    today = datetime.now(UTC).date()
    try:
        with (
            _reading(settings, lambda _message, _share: None) as connection,
            _asking(connection, settings, today, today) as (columns, _rows),
        ):
            unused = _require(settings, columns)
        yield Finding("fine", "query", f"answers {', '.join(columns)}")
        if unused:
            yield Finding(
                "warning", "query", f"{', '.join(unused)}: not a column of {settings.options['table']}, left out"
            )
    except (SourceError, InputError) as error:
        yield problem("query", error, permissions(settings) if "GRANT" in str(error) else "")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The months that are asked for."""
    first, now = trailing.begin(position, window, settings.options), trailing.utc(window.now)
    for month, _start, _end in months(first, now):
        yield Planned(str(settings.options["table"]), month, 1, reason=trailing.why(position, window, settings.options))


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """One query for each month."""
    table = str(settings.options["table"])
    first, now = trailing.begin(position, window, settings.options), trailing.utc(window.now)
    filled = set(position.get("months", ()))
    with _reading(settings, progress) as connection:
        for month, start, end in months(first, now):
            progress(f"asking for {month}", trailing.share(start, first, now))
            path = piece_path(folder, settings, month, "csv")
            with _asking(connection, settings, start.date(), end.date()) as (columns, rows):
                _require(settings, columns)
                count = _write(path, settings, columns, rows, start.date(), end.date())
            if not count and month in filled:
                names, values = _NOTHING[table]
                _write(path, settings, names, [(start.date(), *values)], start.date(), end.date())
            elif not count:
                path.unlink()
            filled = (filled | {month}) if count else (filled - {month})
            state = {"read_until": min(end, now).isoformat(), "months": sorted(filled)}
            yield Batch([path] if path.exists() else [], state, table, on_overlap="pieces", what=month, together=True)


@contextmanager
def _reading(settings: SourceSettings, progress: Progress) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose transaction can only read. Raises SourceError."""
    import psycopg

    def connect() -> psycopg.Connection[Any]:
        try:
            return psycopg.connect(settings.secret("url_env") or "", connect_timeout=10, application_name="percall")
        except psycopg.OperationalError as error:
            lines = str(error).strip().splitlines() or ["no answer"]
            said = settings.secrets.masked(lines[0].strip())
            if "FATAL" in said and any(
                word in said for word in ("password", "authentication", "role ", "database ", "pg_hba")
            ):
                raise SourceError(
                    f"{settings.name}: the database does not accept the credentials of {settings.options['url_env']} ({said})"
                ) from error
            raise Passing(said) from error
        except psycopg.Error as error:
            raise SourceError(
                f"{settings.name}: {settings.options['url_env']} holds no connection string; write postgresql://user:password@host/database"
            ) from error

    connection: psycopg.Connection[Any] = attempts(connect, f"{settings.name}: the database", progress, Patience(2))
    try:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection
    except psycopg.Error as error:
        raise _failure(settings, error) from error
    finally:
        connection.close()


@contextmanager
def _asking(
    connection: psycopg.Connection[Any], settings: SourceSettings, since: date, until: date
) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
    """Columns and rows of the query for a period, in a transaction of its own. Only a SELECT can be asked: it is declared as a cursor."""
    query, used = bound(str(settings.options["query"]))
    missing = [f":{name}" for name in BOUNDS if name not in used]
    if missing:
        raise InputError(
            f"source {settings.name!r}: the query lacks {' and '.join(missing)}; end it with WHERE day >= :since AND day < :until"
        )
    milliseconds = 1_000 * int(settings.options["statement_timeout"])
    try:
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
        connection.execute("SELECT set_config('TimeZone', %s, true)", [_zone(settings).key])
        with connection.cursor(name="percall") as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(query, {"since": since, "until": until})
            yield [column.name for column in cursor.description or ()], cursor
    finally:
        if not connection.closed:
            connection.rollback()


def _require(settings: SourceSettings, columns: Sequence[str]) -> list[str]:
    """The columns that are of no use. Raises SourceError when one that is needed misses."""
    kind = _KINDS[str(settings.options["table"])]
    present = {normalised(name) for name in columns}
    for names in kind.telling:
        if not any(normalised(name) in present for name in names):
            raise SourceError(
                f"{settings.name}: the query answers {', '.join(columns)}, but {kind.KIND} needs {' or '.join(names[:2])}: name a column so, "
                f"with AS {names[0]}"
            )
    known = {normalised(name) for field in kind.fields for name in field.names}
    return [name for name in columns if normalised(name) not in known]


def _write(
    path: Path,
    settings: SourceSettings,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    since: date,
    until: date,
) -> int:
    """Write the rows as CSV; answers how many. Raises SourceError for a row of another period, which would be counted twice."""
    zone = _zone(settings)
    dates = _KINDS[str(settings.options["table"])].telling[0]
    place = next(
        number for number, name in enumerate(columns) if normalised(name) in {normalised(each) for each in dates}
    )
    count = 0
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        for row in rows:
            day = _day(row[place], zone)
            if day is not None and not since <= day < until:
                raise SourceError(
                    f"{settings.name}: asked for {since} to {until}, the query answers a row of {day}: let :since and :until bound its date"
                )
            writer.writerow([_text(value) for value in row])
            count += 1
    return count


def _day(value: object, zone: ZoneInfo) -> date | None:
    if isinstance(value, datetime):
        return (value.astimezone(zone) if value.tzinfo else value).date()
    return value if isinstance(value, date) else None


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _zone(settings: SourceSettings) -> ZoneInfo:
    name = str(settings.options["time_zone"])
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(f"source {settings.name!r}: there is no time zone {name!r}; write Asia/Ho_Chi_Minh") from error


def _failure(settings: SourceSettings, error: psycopg.Error) -> SourceError:
    """The sentence for what the database says."""
    from psycopg import errors

    said = settings.secrets.masked(str(error.diag.message_primary or error).strip())
    if isinstance(error, errors.InsufficientPrivilege):
        return SourceError(f"{settings.name}: {said}; GRANT SELECT on it to the role of {settings.options['url_env']}")
    if isinstance(error, errors.QueryCanceled):
        seconds = settings.options["statement_timeout"]
        return SourceError(
            f"{settings.name}: the query took longer than {seconds} s; give it an index on its date, ask a replica, or raise statement_timeout"
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return SourceError(f"{settings.name}: the query would change data ({said}); only reading is allowed")
    if isinstance(
        error,
        errors.SyntaxErrorOrAccessRuleViolation | errors.SyntaxError | errors.UndefinedTable | errors.UndefinedColumn,
    ):
        return SourceError(f"{settings.name}: the database cannot answer the query: {said}; correct it in percall.toml")
    passing = isinstance(error, errors.OperationalError | errors.AdminShutdown)
    return SourceError(f"{settings.name}: the database: {said}", retry=passing)
