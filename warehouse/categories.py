"""Cost categories of billing lines: ordered rules in a TOML file, turned into one SQL expression.

The rules are the owner's to edit (`category_rules` in percall.toml; data/cost_categories.toml explains the format and holds the
shipped ones). The first rule whose columns all match gives the category; a line that none matches is "Unclassified".
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.errors import InputError
from warehouse.schema import COST_CATEGORIES

REMAINDER = "Unclassified"
COLUMNS = (
    "ServiceCategory",
    "ServiceSubcategory",
    "ServiceName",
    "ServiceProviderName",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "ChargeCategory",
    "ChargeDescription",
    "ResourceType",
    "x_UsageType",
    "x_Model",
)
ANYWHERE = "anywhere"
DESCRIPTIVE = (
    "ServiceName",
    "ServiceSubcategory",
    "SkuMeter",
    "ChargeDescription",
    "ResourceType",
    "x_UsageType",
    "x_Model",
)
"""What `anywhere` looks through, one after the other. Provider and SKU details have rules of their own."""


@dataclass(frozen=True)
class Rule:
    """One rule: `patterns` are (column, regular expression); all must be found for the category to apply."""

    name: str
    category: str
    patterns: tuple[tuple[str, str], ...]

    @property
    def condition(self) -> str:
        """The rule as SQL on the columns of `charges`."""
        return " AND ".join(
            f"regexp_matches({_operand(column)}, {_quoted(regex)}, 'i')" for column, regex in self.patterns
        )


def category_expression(path: Path) -> str:
    """The DuckDB SQL expression on the columns of `charges` that gives a line's cost category (never NULL).

    Raises InputError naming the rule when the file or a rule in it cannot be used.
    """
    rules = read_rules(path)
    if not rules:
        return _quoted(REMAINDER)
    cases = "\n".join(f"WHEN {rule.condition} THEN {_quoted(rule.category)}" for rule in rules)
    return f"CASE {cases}\nELSE {_quoted(REMAINDER)} END"


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file in their order. Raises InputError naming the rule that is wrong and what to do."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            "the file with the category rules does not exist; see category_rules", file=str(path)
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}", file=str(path)) from error
    unknown = sorted(set(raw) - {"rule"})
    if unknown:
        raise InputError(f"unknown section {unknown[0]!r}; rules are written as [[rule]]", file=str(path))
    entries = raw.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError("rules are written as [[rule]], one section each", file=str(path))
    with duckdb.connect() as connection:
        rules = [_rule(entry, number, path, connection) for number, entry in enumerate(entries, start=1)]
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two rules are named {name!r}; give each a name of its own", file=str(path))
    return rules


def _rule(entry: dict[str, object], number: int, path: Path, connection: duckdb.DuckDBPyConnection) -> Rule:
    name = entry.get("name")
    label = f"rule {name!r}" if isinstance(name, str) and name else f"rule {number} (without a name)"

    def wrong(what: str) -> InputError:
        return InputError(f"{label}: {what}", file=str(path))

    category = entry.get("category")
    if category not in COST_CATEGORIES:
        raise wrong(f"unknown category {category!r}; known are {', '.join(COST_CATEGORIES)}")
    patterns = []
    for column, regex in entry.items():
        if column in ("name", "category"):
            continue
        if column not in (*COLUMNS, ANYWHERE):
            raise wrong(f"unknown column {column!r}; known are {', '.join((*COLUMNS, ANYWHERE))}")
        if not isinstance(regex, str) or not regex:
            raise wrong(f"{column} must be a regular expression between quotes")
        try:
            connection.execute("SELECT regexp_matches('', " + _quoted(regex) + ", 'i')").fetchall()
        except duckdb.Error as error:
            raise wrong(f"{column} is no valid regular expression: {str(error).splitlines()[0]}") from error
        patterns.append((column, regex))
    if not patterns:
        raise wrong(f"names no column to look at; known are {', '.join((*COLUMNS, ANYWHERE))}")
    return Rule(str(name) if name else f"rule {number}", str(category), tuple(patterns))


def _operand(column: str) -> str:
    if column == ANYWHERE:
        return "concat_ws(' | ', " + ", ".join(f'"{name}"' for name in DESCRIPTIVE) + ")"
    return f"coalesce(\"{column}\", '')"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
