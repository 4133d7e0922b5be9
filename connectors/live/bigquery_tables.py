"""Tables of Google Cloud billing in BigQuery: which form one has, and the queries that read it slice by slice.

| table | kind of file | slice |
|---|---|---|
| `gcp_billing_export_v1_...` (standard), `gcp_billing_export_resource_v1_...` (detailed) | gcp-export | day of export_time |
| `gcp_billing_export_focus_...` (FOCUS), with a time of export | focus | day of that time |
| any FOCUS table without one, views too | focus | month of BillingPeriodStart |

The exports only grow: export_time always increases, so that a day of it, once over, stays as it is. The tables themselves are partitioned by
another day (that of the load), which late rows do not respect: the summary says, for each slice, in which partitions its rows lie, and only
those are read. Columns appear over the years: what is asked for is what the table has. FLOAT64 amounts travel as their shortest decimal text,
the figure that Google wrote; NUMERIC ones are exact as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connectors.gcp_fields import FIELDS, LISTS
from warehouse.errors import SourceError

_EXPORT_TIMES = ("export_time", "x_exporttime", "x_export_time")
_WANTED = {name.split(".", maxsplit=1)[0] for name in (*FIELDS, *LISTS)}
_FOCUS = ("billedcost", "billingcurrency", "chargeperiodstart", "chargecategory")


@dataclass(frozen=True)
class Form:
    """How a table is read: kind of file, columns, the column that cuts it into slices, and how it is partitioned.

    `partition` is "_PARTITIONTIME" for tables partitioned by the time of loading, a column for others, None without partitions.
    """

    table: str
    kind: Literal["gcp-export", "focus"]
    columns: tuple[str, ...]
    slicer: str
    grain: Literal["day", "month"]
    partition: str | None = None
    must_filter: bool = False

    @property
    def by_load(self) -> bool:
        """Whether partitions are the days of loading."""
        return self.partition == "_PARTITIONTIME"

    @property
    def slice(self) -> str:
        """SQL of a row's slice, a DATE."""
        day = f"DATE(`{self.slicer}`)"
        return day if self.grain == "day" else f"DATE_TRUNC({day}, MONTH)"

    def summary(self) -> str:
        """SQL: slice, rows, latest (text that changes when rows are added), partitions; parameters first, last (DATE)."""
        latest = f"CAST(MAX(`{self.slicer}`) AS STRING)"
        if self.grain == "month":
            latest = "CAST(SUM(CAST(`BilledCost` AS BIGNUMERIC)) AS STRING)"
        partitions = ", ARRAY_AGG(DISTINCT _PARTITIONTIME IGNORE NULLS) AS partitions" if self.by_load else ""
        return (
            f"SELECT {self.slice} AS slice, COUNT(*) AS row_count, {latest} AS latest{partitions}\n"
            f"FROM `{self.table}`\nWHERE {self.slice} BETWEEN @first AND @last{self._always()}\nGROUP BY slice ORDER BY slice"
        )

    def rows(self, partitions: bool = True) -> str:
        """SQL: the columns of all rows of the slices from @first to @last (DATE), and `percall_slice`; without `partitions` in all of them.

        Rows that were streamed a moment ago lie in no partition yet.
        """
        names = ", ".join(f"`{name}`" for name in self.columns)
        within = self._always()
        if self.by_load and partitions:
            within = " AND (_PARTITIONTIME IN UNNEST(@partitions) OR _PARTITIONTIME IS NULL)"
        return (
            f"SELECT {self.slice} AS percall_slice, {names}\nFROM `{self.table}`\n"
            f"WHERE {self.slice} BETWEEN @first AND @last{within}"
        )

    def _always(self) -> str:
        """A condition that holds for every row, for tables that answer no question without one on their partitions."""
        if not self.must_filter or self.partition is None:
            return ""
        return f" AND ({self.partition} >= '2006-01-01' OR {self.partition} IS NULL)"


def form_of(name: str, table: Any) -> Form:
    """How to read a table, from what BigQuery says about it. Raises SourceError when it is no export of billing."""
    columns = {field.name.lower(): field.name for field in table.schema}
    partitioning = getattr(table, "time_partitioning", None)
    partition = None if partitioning is None else (partitioning.field or "_PARTITIONTIME")
    must_filter = bool(getattr(table, "require_partition_filter", False))
    exported = next((columns[key] for key in _EXPORT_TIMES if key in columns), None)
    if all(key in columns for key in _FOCUS):
        everything = tuple(field.name for field in table.schema)
        if exported:
            return Form(name, "focus", everything, exported, "day", partition, must_filter)
        if "billingperiodstart" in columns:
            return Form(name, "focus", everything, columns["billingperiodstart"], "month", partition, must_filter)
        return Form(name, "focus", everything, columns["chargeperiodstart"], "month", partition, must_filter)
    needed = [key for key in ("cost", "currency", "export_time", "sku", "service") if key not in columns]
    if needed:
        raise SourceError(
            f"{name} is no export of billing data: it lacks {', '.join(needed)}. Name the table gcp_billing_export_v1_..., "
            "gcp_billing_export_resource_v1_... or gcp_billing_export_focus_..."
        )
    wanted = tuple(field.name for field in table.schema if field.name.lower() in _WANTED)
    return Form(name, "gcp-export", wanted, columns["export_time"], "day", partition, must_filter)


def as_object(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """A row as it is written: columns that hold something; FOCUS tags, where they are a list of keys and values, as one object."""
    found = {name: row[name] for name in columns if row[name] is not None}
    tags = found.get("Tags")
    if isinstance(tags, list):
        found["Tags"] = {
            entry["key"]: entry.get("value") for entry in tags if isinstance(entry, dict) and "key" in entry
        }
    return found
