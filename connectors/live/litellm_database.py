"""Live source `litellm-database`: the proxy's spend logs, read from its PostgreSQL database or, better, a replica of it.

Rows are read in the order of (startTime, request_id), which is an index of LiteLLM's own, some thousand per read-only transaction, so that no long
transaction keeps the database from cleaning up. Only the columns and JSON paths that count are selected: a row is some 6 kB long, most of
it a copy of the model's price entry. Rows of the last days are read again and merged by id. The proxy's daily tables are only compared
with, in `check`: one of them has a row per tag, so that its sum exceeds the bill.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.live.litellm_rows import NESTED_METADATA, TEAM_KEYS, kept, lines
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
from connectors.live.trailing import HISTORY, REREAD, begin, share, utc, why
from warehouse.configuration import Configuration
from warehouse.errors import InputError, SourceError

if TYPE_CHECKING:
    import psycopg

KIND = "litellm-database"
TITLE = "LiteLLM's database (spend logs)"
OPTIONS: Sequence[Option] = (
    Option("url_env", "variable with the connection string, postgresql://...", '"LITELLM_DATABASE_URL"', required=True, secret=True),
    Option("schema", "schema of the proxy's tables", '"public"', default="public"),
    Option("metadata_keys", "further metadata that tell dimensions", '["product"]', default=(), form="texts"),
    REREAD,
    HISTORY,
    Option("batch_rows", "rows per transaction and load", "20000", default=20_000, form="integer"),
    Option("statement_timeout_seconds", "after which the database ends a query of ours", "120", default=120, form="number"),
)  # fmt: skip

TABLE = "LiteLLM_SpendLogs"
DAILY = "LiteLLM_DailyUserSpend"
NEEDED = ("request_id", "startTime", "spend", "model", "metadata")

_COLUMNS = (
    "request_id", "litellm_call_id", "call_type", "status", "custom_llm_provider", "model", "model_group", "request_duration_ms", "prompt_tokens",
    "completion_tokens", "total_tokens", "cache_hit", "request_tags", "end_user", "session_id", "team_id",
)  # fmt: skip
_TIMES = ("startTime", "endTime", "completionStartTime")
_OUTCOMES = (
    "converted",
    "revenue",
    "revenue_usd",
    "currency",
    "revenue_currency",
    "processing",
    "prompt_name",
    "prompt_version",
)
_HOPELESS = re.compile(
    r"authentication failed|no pg_hba\.conf entry|role .* does not exist|database .* does not exist|no password supplied"
)


def permissions(settings: SourceSettings) -> str:
    """SQL for a role that may read the spend logs and nothing else."""
    schema = _quoted(str(settings.options["schema"]))
    return (
        "CREATE ROLE percall_reader LOGIN PASSWORD '...';\n"
        f"GRANT USAGE ON SCHEMA {schema} TO percall_reader;\n"
        f'GRANT SELECT ON {schema}."{TABLE}", {schema}."{DAILY}" TO percall_reader;\n'
        "ALTER ROLE percall_reader SET default_transaction_read_only = on;"
    )


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Whether the table can be read and has what is needed, whether the role may do more, and whether its sums are the proxy's own."""
    try:
        database = _Database(settings, lambda _message, _share: None)
        try:
            database.columns()
            yield Finding("fine", TABLE, "it can be read")
            yield from database.privileges()
            yield from database.reconciled()
        finally:
            database.close()
    except (SourceError, InputError) as error:
        yield problem(TABLE, error, f"grant:\n{permissions(settings)}")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The time that would be read, and the rows that the planner of the database expects in it."""
    first, last = begin(position, window, settings.options), utc(window.now)
    database = _Database(settings, lambda _message, _share: None, Patience(1))
    try:
        rows = database.expected(first, last)
    finally:
        database.close()
    yield Planned(
        f"about {rows:,} spend log rows", f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC",
        requests=rows // settings.options["batch_rows"] + 1, reason=why(position, window, settings.options),
    )  # fmt: skip


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Rows of the spend logs, a batch per `batch_rows`, oldest first. Raises SourceError."""
    if settings.options["batch_rows"] < 1:
        raise InputError(f"source {settings.name!r}: batch_rows is a whole number of at least 1")
    first, now = begin(position, window, settings.options), utc(window.now)
    database = _Database(settings, progress)
    after = (first, "")
    read = 0
    try:
        database.columns()
        while True:
            progress(f"{settings.name}: {read:,} rows, from {after[0]:%Y-%m-%d %H:%M}", share(after[0], first, now))
            rows = database.rows(after, now)
            if not rows:
                break
            read += len(rows)
            last = rows[-1]
            after = (datetime.fromisoformat(last["startTime"]), last["request_id"])
            file = folder / f"spend-logs-{read:09}-{after[0]:%Y%m%dT%H%M%S%f}.jsonl"
            file.write_text(lines(kept(rows)), encoding="utf-8")
            yield Batch(
                [file],
                {"read_until": after[0].isoformat()},
                kind="litellm",
                what=f"{len(rows):,} rows until {after[0]:%Y-%m-%d %H:%M}",
                together=True,
            )
            if len(rows) < settings.options["batch_rows"]:
                break
        yield Batch([], {"read_until": now.isoformat()}, what="nothing newer")
    finally:
        database.close()


class _Database:
    """A connection that is opened anew when it breaks; every question is a read-only transaction of its own."""

    def __init__(self, settings: SourceSettings, progress: Progress, patience: Patience | None = None) -> None:
        self._settings, self._progress, self._patience = settings, progress, patience or settings.patience
        self._url = settings.secret("url_env") or ""
        self._schema = str(settings.options["schema"])
        self._connection: psycopg.Connection[Any] | None = None
        self._types: dict[str, str] | None = None
        if password := urlsplit(self._url).password:
            settings.secrets.hide("password in url_env", password)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def columns(self) -> Mapping[str, str]:
        """Columns of the table and their types. Raises SourceError when it is not there, or lacks what is needed."""
        if self._types is not None:
            return self._types
        found = self._ask(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            [self._schema, TABLE],
        )
        types = {row["column_name"]: row["data_type"] for row in found}
        missing = [name for name in NEEDED if name not in types]
        if not types:
            raise SourceError(
                f"{self._settings.name}: there is no table {self._schema}.{TABLE} that this role may see: is it the "
                "proxy's database, and is SELECT granted?"
            )
        if missing:
            raise SourceError(
                f"{self._settings.name}: {TABLE} lacks the columns {', '.join(missing)}; this version of LiteLLM writes other spend logs"
            )
        self._types = types
        return types

    def rows(self, after: tuple[datetime, str], until: datetime) -> list[dict[str, Any]]:
        """The next rows in the order of (startTime, request_id), as `connectors.live.litellm_rows` takes them."""
        types = self.columns()
        items = [f'"{name}"' for name in _COLUMNS if name in types]
        items += [
            f'to_char({self._utc(name)}, \'YYYY-MM-DD"T"HH24:MI:SS.US\') AS "{name}"'
            for name in _TIMES
            if name in types
        ]
        plain = [name for keys in Configuration().tag_keys.values() for name in keys]
        names = dict.fromkeys(
            (
                *plain,
                *_OUTCOMES,
                *TEAM_KEYS,
                *NESTED_METADATA,
                "prompt_management_metadata",
                *self._settings.options["metadata_keys"],
            )
        )
        pairs = [f"{_literal(name)}, metadata::jsonb -> {_literal(name)}" for name in names]
        # a function of PostgreSQL takes at most 100 arguments
        parts = [f"jsonb_build_object({', '.join(pairs[at : at + 40])})" for at in range(0, len(pairs), 40)]
        full = "jsonb_build_object('cost_breakdown', jsonb_build_object('total_cost', metadata::jsonb #> '{cost_breakdown,total_cost}'))"
        return self._ask(
            f"""SELECT {", ".join(items)}, spend::text AS spend, jsonb_strip_nulls({" || ".join([*parts, full])}) AS metadata
                FROM {self._table(TABLE)}
                WHERE ("startTime", request_id) > ({self._moment()}, %s) AND "startTime" <= {self._moment()}
                ORDER BY "startTime", request_id LIMIT %s""",
            [after[0], after[1], until, self._settings.options["batch_rows"]],
        )

    def expected(self, first: datetime, last: datetime) -> int:
        """How many rows the planner expects; nothing is read."""
        self.columns()
        found = self._ask(
            f'EXPLAIN (FORMAT JSON) SELECT 1 FROM {self._table(TABLE)} WHERE "startTime" >= {self._moment()} AND "startTime" <= {self._moment()}',
            [first, last],
        )
        return int(found[0]["QUERY PLAN"][0]["Plan"]["Plan Rows"])

    def privileges(self) -> Iterator[Finding]:
        """A warning when the role may write."""
        found = self._ask("SELECT has_table_privilege(%s, 'INSERT, UPDATE, DELETE') AS may_write", [self._table(TABLE)])
        if found[0]["may_write"]:
            yield Finding(
                "warning", TABLE, "this role may also write the spend logs; reading is enough",
                f"use a role of its own:\n{permissions(self._settings)}",
            )  # fmt: skip

    def reconciled(self) -> Iterator[Finding]:
        """The spend logs of the last seven whole days beside the proxy's own daily totals."""
        known = self._ask(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", [self._schema, DAILY]
        )
        if not known:
            return
        newest = self._ask(f'SELECT max("startTime") AS newest FROM {self._table(TABLE)}', [])[0]["newest"]
        if newest is None:
            yield Finding(
                "warning",
                TABLE,
                "the table is empty",
                "the proxy writes it unless disable_spend_logs is set",
            )
            return
        last = utc(newest).replace(hour=0, minute=0, second=0, microsecond=0)
        first = last - timedelta(days=7)
        logged = self._ask(
            f'SELECT sum(spend)::numeric AS spend FROM {self._table(TABLE)} WHERE "startTime" >= {self._moment()} AND "startTime" < {self._moment()}',
            [first, last],
        )[0]["spend"] or Decimal(0)
        daily = self._ask(
            f"SELECT sum(spend)::numeric AS spend FROM {self._table(DAILY)} WHERE date >= %s AND date < %s",
            [f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"],
        )[0]["spend"] or Decimal(0)
        told = f"spend logs of {first:%Y-%m-%d} to {last - timedelta(days=1):%Y-%m-%d}: ${logged:,.4f}, the proxy's daily totals ${daily:,.4f}"
        if abs(logged - daily) <= max(logged, daily) / 100:
            yield Finding("fine", TABLE, told)
        else:
            yield Finding(
                "warning", TABLE, told,
                "spend logs may have been deleted (maximum_spend_logs_retention_period) or not be written (disable_spend_logs)",
            )  # fmt: skip

    def _utc(self, name: str) -> str:
        zoned = "with time zone" in self.columns()[name]
        return f"\"{name}\" AT TIME ZONE 'UTC'" if zoned else f'"{name}"'

    def _moment(self) -> str:
        zoned = "with time zone" in self.columns()["startTime"]
        return "(%s::timestamp AT TIME ZONE 'UTC')" if zoned else "%s::timestamp"

    def _table(self, name: str) -> str:
        return f"{_quoted(self._schema)}.{_quoted(name)}"

    def _ask(self, query: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = attempts(
            lambda: self._once(query, values), f"{self._settings.name}: database", self._progress, self._patience
        )
        return found

    def _once(self, query: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        import psycopg
        from psycopg.rows import dict_row

        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, connect_timeout=15, application_name="percall")
                self._connection.read_only = True
            seconds = float(self._settings.options["statement_timeout_seconds"])
            with self._connection.transaction():
                self._connection.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
                if query.startswith("EXPLAIN"):  # which no cursor of the server takes
                    return self._connection.cursor(row_factory=dict_row).execute(query, values).fetchall()
                with self._connection.cursor(name="percall", row_factory=dict_row) as cursor:
                    cursor.itersize = 2000
                    cursor.execute(query, values)
                    return list(cursor)
        except psycopg.errors.InsufficientPrivilege as error:
            raise SourceError(
                f"{self._settings.name}: {self._line(error)}; needed is:\n{permissions(self._settings)}"
            ) from error
        except psycopg.errors.QueryCanceled as error:
            raise SourceError(
                f"{self._settings.name}: a query took longer than {self._settings.options['statement_timeout_seconds']:g} s: set "
                "statement_timeout_seconds higher or batch_rows lower, or read a replica",
                retry=True,
            ) from error
        except psycopg.OperationalError as error:
            self.close()
            if (error.sqlstate or "").startswith(("28", "3D")) or _HOPELESS.search(str(error)):
                raise SourceError(
                    f"{self._settings.name}: the database refuses the connection: {self._line(error)}"
                ) from error
            raise Passing(self._line(error)) from error
        except psycopg.Error as error:
            raise SourceError(f"{self._settings.name}: {self._line(error)}") from error

    def _line(self, error: Exception) -> str:
        return self._settings.secrets.line(str(error))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''").replace("%", "%%") + "'"
