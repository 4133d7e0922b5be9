"""What a canonical table is: its columns, its grain, and how its rows are filed and recognised."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column: its name, its DuckDB type and what it holds (unit included). `compression` is how DuckDB is told to store it ("": as it
    finds best)."""

    name: str
    type: str
    doc: str = ""
    compression: str = ""


@dataclass(frozen=True)
class Table:
    """One canonical table.

    `grain` says what one row is. `month_column` names the UTC time or date by whose month the rows are filed (None: the
    table is small and lies in the snapshot's meta file). `identity` are the columns that say *which* fact a row is, without
    its amounts: a new delivery that repeats most identities of an old one is a newer version of it, one that repeats none is a
    further part. `merge_key` is set where rows are merged one by one instead (calls).
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    month_column: str | None = None
    identity: tuple[str, ...] = ()
    merge_key: tuple[str, ...] = ()
    by_name: dict[str, Column] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in their order."""
        return tuple(column.name for column in self.columns)

    def ddl(self, name: str | None = None) -> str:
        """The CREATE TABLE statement (DuckDB) under this or another name."""
        body = ", ".join(
            f'"{column.name}" {column.type}'
            + (f" USING COMPRESSION {column.compression}" if column.compression else "")
            for column in self.columns
        )
        return f"CREATE TABLE {name or self.name} ({body})"
