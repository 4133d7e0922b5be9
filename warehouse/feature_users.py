"""The roll-up by which a feature's dearest users are found without adding up all of its users.

Of each month and feature it lists the dearest users, some four thousand of them, and tells the others in one row. A month's dearest users are
its first rows. Over several months the costs of who is listed add up; the row of the others says how much anybody who is not listed may
have cost, and so whether the sums are known to be the dearest (see `analytics.dearest_users`). The lists do not grow with calls or users.

At 10 million calls (2 million sums of a month, feature and user) the lists have 0.16 million rows; they take 0.04 of the CPU of their load.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from warehouse.configuration import Configuration
from warehouse.rollups import local_date

NAME = "feature_users"

COLUMNS = {
    "file": "string", "month": "date", "feature": "string", "is_listed": "boolean", "user_id": "string", "users": "int64",
    "cost": "decimal(38, 10)", "calls": "int64", "unpriced_calls": "int64", "most_left_out": "decimal(38, 10)",
}  # fmt: skip
"""Columns of the view, by the names of their Ibis types."""

ONE_OF, PLACE = 16, 256
"""Who is listed costs more than the user at this place among one of so many users."""


def feature_users(configuration: Configuration, file: str) -> str:
    """SELECT for `feature_users` over the tables `calls` and `user_days` of one month's file (the name of a database).

    Grain: a month (of the reporting time zone, its first day), feature and listed user (NULL: calls that name none), and one row more of a month
    and feature (is_listed False, user_id NULL) where users are left out. Columns: users (how many the row tells), cost (USD, exact; NULL: none of
    it is known), calls, unpriced_calls (their cost is not known), most_left_out: the most that one user whom the list leaves out has
    cost (at least 0), NULL where the list has everybody.

    How much a user must cost to be listed is found among a sixteenth of the users, told by the hash of their id: sorting all took
    three times the CPU. Whatever it is, the lists are right, only longer or shorter.
    """
    day = local_date("started_at", configuration.reporting_time_zone)
    return f"""
        WITH spent AS MATERIALIZED (
            SELECT CAST(date_trunc('month', date) AS DATE) AS month, feature, user_id, sum(cost) AS cost,
                CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(unpriced) AS BIGINT) AS unpriced_calls
            FROM (
                SELECT date, feature, user_id, cost, calls, 0 AS unpriced FROM {file}.user_days
                UNION ALL
                SELECT {day}, feature, user_id, CASE WHEN user_id IS NULL THEN cost END, CAST(user_id IS NULL AS INTEGER),
                    CAST(cost IS NULL AS INTEGER)
                FROM {file}.calls WHERE user_id IS NULL OR cost IS NULL
            ) GROUP BY ALL
        ), floors AS (
            SELECT month, feature, max(cost, {PLACE})[{PLACE}] AS floor FROM spent WHERE hash(user_id) % {ONE_OF} = 0 GROUP BY ALL
        ), placed AS (
            SELECT spent.*, floor IS NULL OR coalesce(cost > floor, false) AS is_listed
            FROM spent LEFT JOIN floors ON spent.month = floors.month AND spent.feature IS NOT DISTINCT FROM floors.feature
        ), others AS (
            SELECT month, feature, false AS is_listed, CAST(NULL AS VARCHAR) AS user_id, count(*) AS users, sum(cost) AS cost,
                CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(unpriced_calls) AS BIGINT) AS unpriced_calls,
                CAST(greatest(coalesce(max(cost), 0), 0) AS DECIMAL(38, 10)) AS most_left_out
            FROM placed WHERE NOT is_listed GROUP BY month, feature
        )
        SELECT placed.month, placed.feature, true AS is_listed, placed.user_id, CAST(1 AS BIGINT) AS users, placed.cost, placed.calls,
            placed.unpriced_calls, others.most_left_out
        FROM placed LEFT JOIN others ON placed.month = others.month AND placed.feature IS NOT DISTINCT FROM others.feature WHERE placed.is_listed
        UNION ALL SELECT * FROM others
        ORDER BY month, feature, is_listed, cost DESC, user_id
    """


def attach(connection: duckdb.DuckDBPyConnection, files: Mapping[str, str]) -> None:
    """Make the view `feature_users` of a reader from attached month files (months by names of databases), where all of them have the table.

    A file that was written before the table was thought of has none: then there is no view, and who asks reads `user_days`. Days of one month
    may lie in two files (`file` is the month of the file): such a month has two lists, and users may be in both.
    """
    known = "SELECT count(*) FROM duckdb_tables() WHERE table_name = ? AND list_contains(?, database_name)"
    if files and connection.execute(known, [NAME, list(files)]).fetchall() == [(len(files),)]:
        parts = " UNION ALL ".join(f"SELECT '{month}' AS file, * FROM {file}.{NAME}" for file, month in files.items())
        connection.execute(f"CREATE VIEW {NAME} AS {parts}")
