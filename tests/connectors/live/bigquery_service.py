"""BigQuery on loopback, as far as a reader of billing exports needs it: tables, dry runs, queries with parameters, pages of rows.

It answers the two queries of `connectors.live.bigquery_tables` from Python rows, and refuses a column that the table does not have, as the real
service does. Times are microseconds since 1970 as text, records `{"f": [{"v": ...}]}`, as in its REST interface (v2).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tests.connectors.live.loopback import Asked, Reply

Schema = list[dict[str, Any]]


def column(name: str, kind: str, fields: Sequence[dict[str, Any]] = (), mode: str = "NULLABLE") -> dict[str, Any]:
    """A column of a table's schema."""
    return {"name": name, "type": kind, "mode": mode} | ({"fields": list(fields)} if fields else {})


PAIRS = [column("key", "STRING"), column("value", "STRING")]
STANDARD: Schema = [
    column("billing_account_id", "STRING"),
    column("service", "RECORD", [column("id", "STRING"), column("description", "STRING")]),
    column("sku", "RECORD", [column("id", "STRING"), column("description", "STRING")]),
    column("usage_start_time", "TIMESTAMP"),
    column("usage_end_time", "TIMESTAMP"),
    column(
        "project",
        "RECORD",
        [column("id", "STRING"), column("name", "STRING"), column("labels", "RECORD", PAIRS, "REPEATED")],
    ),
    column("labels", "RECORD", PAIRS, "REPEATED"),
    column("system_labels", "RECORD", PAIRS, "REPEATED"),
    column("location", "RECORD", [column(name, "STRING") for name in ("location", "country", "region", "zone")]),
    column("export_time", "TIMESTAMP"),
    column("cost", "FLOAT"),
    column("currency", "STRING"),
    column("currency_conversion_rate", "FLOAT"),
    column(
        "usage",
        "RECORD",
        [
            column("amount", "FLOAT"),
            column("unit", "STRING"),
            column("amount_in_pricing_units", "FLOAT"),
            column("pricing_unit", "STRING"),
        ],
    ),
    column(
        "credits",
        "RECORD",
        [column("name", "STRING"), column("amount", "FLOAT"), column("type", "STRING")],
        "REPEATED",
    ),
    column("invoice", "RECORD", [column("month", "STRING")]),
    column("cost_type", "STRING"),
]


@dataclass
class FakeTable:
    """A table and what may go wrong with it. `loaded`: the day of loading of each row, where it is partitioned by that."""

    schema: Schema
    rows: list[dict[str, Any]]
    loaded: Callable[[dict[str, Any]], date] | None = None
    page: int = 100
    bytes_per_row: int = 1_000
    faults: list[Reply] = field(default_factory=list)
    lose_rows: int = 0
    queries: list[str] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Reply:
        """Answer one request."""
        if self.faults:
            return self.faults.pop(0)
        if re.fullmatch(r"/bigquery/v2/projects/[^/]+/datasets/[^/]+/tables/[^/]+", asked.path):
            return Reply(self._table())
        if asked.method == "POST" and asked.path.endswith("/jobs"):
            return self._job(asked.body)
        if found := re.fullmatch(r"/bigquery/v2/projects/[^/]+/queries/(\d+)-.*", asked.path):
            return self._results(int(found[1]), asked)
        if found := re.fullmatch(r"/bigquery/v2/projects/[^/]+/jobs/(\d+)-.*", asked.path):
            return Reply(self._state(int(found[1])))
        return Reply({"error": {"code": 404, "message": f"Not found: {asked.path}"}}, 404)

    def _table(self) -> dict[str, Any]:
        return {
            "tableReference": {"projectId": "p", "datasetId": "billing", "tableId": "t"},
            "schema": {"fields": self.schema},
            "numRows": str(len(self.rows)),
            "lastModifiedTime": str(int(datetime.now(UTC).timestamp() * 1000)),
        } | ({"timePartitioning": {"type": "DAY"}} if self.loaded else {})

    def _job(self, body: Mapping[str, Any]) -> Reply:
        query = body["configuration"]["query"]
        sql: str = query["query"]
        known = {item["name"].lower() for item in self.schema} | {"p.billing.t"}
        for name in re.findall(r"`([^`]+)`", sql):
            if name.lower() not in known:
                return Reply(_error(400, "invalidQuery", f"Unrecognized name: {name}"), 400)
        assert query["useLegacySql"] is False
        values = {item["name"]: _value(item) for item in query["queryParameters"]}
        rows = [row for row in self.rows if self._inside(row, sql, values)]
        size = len(rows) * self.bytes_per_row
        dry = bool(body["configuration"].get("dryRun"))
        if not dry:
            if int(query["maximumBytesBilled"]) < size:
                return Reply(_error(400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed"), 400)
            self.queries.append(sql)
            self._answers.append(self._evaluate(sql, rows))
        number = len(self._answers) - 1
        return Reply(self._state(number, size, dry, sql))

    @property
    def _answers(self) -> list[tuple[Schema, list[dict[str, Any]]]]:
        return self.__dict__.setdefault("answers", [])

    def _state(self, number: int, size: int = 0, dry: bool = False, sql: str = "") -> dict[str, Any]:
        reference = {"projectId": "p", "jobId": f"{number}-job", "location": "EU"}
        return {
            "jobReference": reference,
            "status": {"state": "DONE"},
            "configuration": {
                "jobType": "QUERY", "dryRun": dry,
                "query": {"query": sql, "destinationTable": {"projectId": "p", "datasetId": "_d", "tableId": f"answer{number}"}},
            },
            "statistics": {"totalBytesProcessed": str(size), "query": {"totalBytesProcessed": str(size), "statementType": "SELECT"}},
        }  # fmt: skip

    def _results(self, number: int, asked: Asked) -> Reply:
        schema, rows = self._answers[number]
        start = int(asked.one("pageToken") or asked.one("startIndex") or 0)
        size = min(self.page, int(asked.one("maxResults") or self.page))
        shown = rows[start : start + size]
        body: dict[str, Any] = {
            "jobComplete": True,
            "jobReference": {"projectId": "p", "jobId": f"{number}-job", "location": "EU"},
            "schema": {"fields": schema},
            "totalRows": str(len(rows)),
            "rows": [_cells(row, schema) for row in shown],
        }
        if start + size < len(rows):
            body["pageToken"] = str(start + size)
        return Reply(body)

    def _inside(self, row: Mapping[str, Any], sql: str, values: Mapping[str, Any]) -> bool:
        inside = values["first"] <= self._slice(row, sql) <= values["last"]
        if inside and "IN UNNEST(@partitions)" in sql:
            assert self.loaded is not None
            inside = self.loaded(dict(row)) in values["partitions"]
        return inside

    def _slice(self, row: Mapping[str, Any], sql: str) -> date:
        name = re.search(r"DATE\(`([^`]+)`\)", sql)
        assert name is not None
        day = row[name[1]].date()
        return day.replace(day=1) if "DATE_TRUNC" in sql else day

    def _evaluate(self, sql: str, rows: list[dict[str, Any]]) -> tuple[Schema, list[dict[str, Any]]]:
        if "GROUP BY slice" not in sql:
            names = re.findall(r"`([^`]+)`", sql.split("FROM", maxsplit=1)[0].split("percall_slice,")[1])
            schema = [column("percall_slice", "DATE"), *(item for item in self.schema if item["name"] in names)]
            found = [{"percall_slice": self._slice(row, sql)} | row for row in rows]
            return schema, found[: len(found) - self.lose_rows]
        counts = Counter(self._slice(row, sql) for row in rows)
        schema = [column("slice", "DATE"), column("row_count", "INTEGER"), column("latest", "STRING")]
        if self.loaded:
            schema.append(column("partitions", "TIMESTAMP", mode="REPEATED"))
        answer = []
        for day, count in sorted(counts.items()):
            own = [row for row in rows if self._slice(row, sql) == day]
            billed = sum(Decimal(str(row.get("BilledCost", 0))) for row in own)
            latest = str(billed if "BilledCost" in sql else max(row["export_time"] for row in own))
            partitions = sorted({self.loaded(row) for row in own}) if self.loaded else []
            loaded = [datetime(day.year, day.month, day.day) for day in partitions]
            answer.append({"slice": day, "row_count": count, "latest": latest, "partitions": loaded})
        return schema, answer


def _error(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "errors": [{"reason": reason, "message": message}]}}


def _value(item: Mapping[str, Any]) -> Any:
    """A query parameter; of arrays of times only the days."""
    if item["parameterType"]["type"] == "ARRAY":
        return {date.fromisoformat(entry["value"][:10]) for entry in item["parameterValue"]["arrayValues"]}
    assert item["parameterType"]["type"] == "DATE"
    return date.fromisoformat(item["parameterValue"]["value"])


def _cells(row: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    return {"f": [{"v": _cell(row.get(item["name"]), item)} for item in schema]}


def _cell(value: Any, item: Mapping[str, Any]) -> Any:
    if item["mode"] == "REPEATED":
        return [{"v": _cell(entry, {**item, "mode": "NULLABLE"})} for entry in value or []]
    if value is None:
        return None
    if item["type"] == "RECORD":
        return _cells(value, item["fields"])
    if isinstance(value, datetime):
        return str(int(value.replace(tzinfo=UTC).timestamp() * 1_000_000))
    return str(value)
