"""Restatements: which past days a load changed, and by how much.

A day counts as restated when the same source had told a cost for it before and now tells another. First deliveries of a day are no
restatement.
"""

from __future__ import annotations

import duckdb

from warehouse.filing import Filing
from warehouse.load_report import LoadReport
from warehouse.rollups import ROLLUPS, rollup_key
from warehouse.schema import RESTATEMENTS
from warehouse.store import FactFile

_DAILY = {
    "charges": ("x_Source", "ServiceName", "BillingCurrency", "coalesce(effective, billed)"),
    "calls": ("source", "model", "'USD'", "coalesce(cost, 0)"),
}


def record_restatements(
    connection: duckdb.DuckDBPyConnection, table: str, before: str, after: str, load_id: int, reason: str
) -> None:
    """Append to the table `new_restatements` what differs between two SELECTs over a table's daily roll-up.

    Costs are effective ones; rows are (source, day, feature, service or model, currency).
    """
    source, service, currency, cost = _DAILY[table]
    per_day = f"""SELECT {source} AS source, date, feature, {service} AS service, {currency} AS currency,
                         sum({cost}) AS cost FROM ({{}}) GROUP BY ALL"""
    connection.execute(
        f"""INSERT INTO new_restatements
            WITH b AS ({per_day.format(before)}), a AS ({per_day.format(after)}),
                 told AS (SELECT DISTINCT source, date FROM b)
            SELECT CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP), {load_id}, '{table}', coalesce(b.source, a.source), coalesce(b.date, a.date),
                   coalesce(b.feature, a.feature), coalesce(b.service, a.service), coalesce(b.currency, a.currency),
                   coalesce(b.cost, 0), coalesce(a.cost, 0), ?
            FROM b FULL JOIN a ON b.source = a.source AND b.date = a.date AND b.feature IS NOT DISTINCT FROM a.feature
                 AND b.service IS NOT DISTINCT FROM a.service AND b.currency = a.currency
            WHERE coalesce(b.cost, 0) <> coalesce(a.cost, 0)
              AND (coalesce(b.source, a.source), coalesce(b.date, a.date)) IN (SELECT (source, date) FROM told)
              AND coalesce(b.date, a.date) < CAST(now() AT TIME ZONE 'UTC' AS DATE)
        """,
        [reason],
    )


def create_new_restatements(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the empty table `new_restatements`."""
    connection.execute("DROP TABLE IF EXISTS new_restatements")
    connection.execute(RESTATEMENTS.ddl("new_restatements"))


def restate_month(filing: Filing, table: str, month: str, written: FactFile | None, reports: list[LoadReport]) -> None:
    """Record what a rewritten month of charges or calls says differently from the base snapshot; `written` None: it has no rows any more."""
    base = filing.base
    if base is None or not filing.base_files(table, [month]):
        return
    daily = f"{table}_daily"
    if base.rollup_key == rollup_key(filing.configuration):
        before = filing.base_relation(table, [month], rollup=daily)
    else:
        # Days, tags and categories are cut differently now, which is no restatement: both sides are cut as they are now.
        before = ROLLUPS[table][daily](filing.configuration, f"({filing.base_relation(table, [month])})")
    after = f"SELECT * FROM {filing.attach(written)}.{daily}" if written else f"SELECT * FROM ({before}) WHERE false"
    own = [report for report in reports if report.table == table and report.status == "stored"]
    of_month = [report for report in own if f"/{month}" in (report.partition or "")] or own
    load_id = max((report.load_id for report in of_month), default=max((r.load_id for r in reports), default=0))
    reason = "new version" if any(report.superseded for report in of_month) else "late lines"
    if not own:
        reason = "re-priced"
    record_restatements(filing.connection, table, before, after, load_id, reason)
