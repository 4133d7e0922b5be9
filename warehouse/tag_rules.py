"""Virtual tags: dated rules that give calls and billing lines a dimension which their source did not, without changing what is stored.

A rule says: where these fields match, on these days, the feature (or project, team, environment, tier) is this. It fills in what is missing, or
replaces what is there when it is told to `override`. Rules are read in order; the first that applies gives the value. They match what the source
said, never what another rule has set. A rule applies to calls when every field that it names is one of calls, and likewise to billing lines.

Patterns are regular expressions (RE2), upper and lower case alike, found anywhere in the field: `^…$` for the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from warehouse.rule_forms import Patterns, RuleReader, dated_body, refuse_equal_names
from warehouse.schema import DIMENSIONS

KIND = "virtual tag"
"""Kind of the saved documents that hold rules made on a page."""

TAG = "tag:"
"""Prefix of the fields that look into a billing line's tag or a call's label."""

LINE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "service": ("ServiceName",),
    "account": ("BillingAccountId", "SubAccountId", "SubAccountName"),
    "category": ("x_CostCategory",),
    "provider": ("provider",),
    "model": ("x_Model",),
    "source": ("x_Source",),
    "resource": ("ResourceId", "ResourceName"),
} | {name: (name,) for name in DIMENSIONS}
"""Fields of billing lines, and the columns of `charge_lines` that they look into: one of them must match."""

CALL_FIELDS: Mapping[str, tuple[str, ...]] = {
    "account": ("billing_account_id",),
    "provider": ("provider",),
    "model": ("model",),
    "source": ("source",),
    "operation": ("operation",),
    "prompt_name": ("prompt_name",),
    "user_id": ("user_id",),
} | {name: (name,) for name in DIMENSIONS}

FIELDS = tuple(dict.fromkeys((*LINE_FIELDS, *CALL_FIELDS)))

_NOT_ROLLED_UP = {"resource", "prompt_name", "user_id"}
"""Fields that roll-ups do not keep."""


@dataclass(frozen=True)
class TagRule:
    """One rule: where all of `match` is found, between the days (inclusive, reporting time zone; None: open), `dimension` is `value`.

    `override`: also where the source says otherwise.
    """

    name: str
    dimension: str
    value: str
    match: Patterns
    override: bool = False
    valid_from: date | None = None
    valid_to: date | None = None

    def applies_to(self, fields: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether a table with these fields has all that the rule looks at."""
        return all(field in fields or field.startswith(TAG) for field, _pattern in self.match)

    @property
    def needs_rows(self) -> bool:
        """Whether the rule looks at what roll-ups do not keep."""
        return any(field in _NOT_ROLLED_UP or field.startswith(TAG) for field, _pattern in self.match)

    def body(self) -> dict[str, Any]:
        """The rule as saved state has it."""
        return {
            "dimension": self.dimension,
            "value": self.value,
            "match": dict(self.match),
            "override": self.override,
        } | dated_body(self.valid_from, self.valid_to)


def read_tag_rules(entries: Iterable[object], where: str | None = None) -> tuple[TagRule, ...]:
    """Rules from the sections of a file or from saved state, in their order.

    Raises InputError that names the rule and says what to do.
    """
    rules = tuple(_rule(RuleReader(entry, KIND, number, where)) for number, entry in enumerate(entries, start=1))
    refuse_equal_names([rule.name for rule in rules], KIND, where)
    return rules


def _rule(reader: RuleReader) -> TagRule:
    reader.only(("name", "dimension", "value", "match", "override", "valid_from", "valid_to"))
    match = reader.patterns("match", FIELDS, free_prefix=TAG)
    if not match:
        raise reader.wrong('match names no field, so that it would tag everything; write match = { service = "..." }')
    first, last = reader.validity()
    rule = TagRule(
        reader.text("name"), reader.one_of("dimension", DIMENSIONS), reader.text("value"), match, reader.flag("override"), first, last,
    )  # fmt: skip
    if not rule.applies_to(LINE_FIELDS) and not rule.applies_to(CALL_FIELDS):
        both = ", ".join(field for field, _pattern in match)
        raise reader.wrong(
            f"no row has all of {both}: service, category and resource belong to billing lines, operation, prompt_name and user_id to calls"
        )
    return rule


def tagged_lines(select: str, rules: Sequence[TagRule]) -> str:
    """SELECT with the dimensions of `charge_lines` (or `charges_daily`) as the rules have them."""
    return _tagged(select, [rule for rule in rules if rule.applies_to(LINE_FIELDS)], LINE_FIELDS, "date", _line_tag)


def tagged_calls(select: str, rules: Sequence[TagRule], day: str) -> str:
    """SELECT with the dimensions of `calls` (or `calls_daily`) as the rules have them; `day` is SQL for the day of a row."""
    return _tagged(select, [rule for rule in rules if rule.applies_to(CALL_FIELDS)], CALL_FIELDS, day, _call_tag)


def changed_rows(table: str, before: Sequence[TagRule], after: Sequence[TagRule], day: str) -> str:
    """SELECT for how many rows of `charge_lines` or `calls`, as stored, have another dimension under other rules."""
    fields, tag = (LINE_FIELDS, _line_tag) if table == "charge_lines" else (CALL_FIELDS, _call_tag)
    differs = []
    for name in DIMENSIONS:
        one, other = (
            _case([rule for rule in rules if rule.applies_to(fields)], name, fields, day, tag)
            for rules in (before, after)
        )
        if one != other:
            differs.append(f"({one}) IS DISTINCT FROM ({other})")
    return f"SELECT count(*) FILTER ({' OR '.join(differs) or 'false'})"


def _tagged(
    select: str, rules: Sequence[TagRule], fields: Mapping[str, tuple[str, ...]], day: str, tag: _TagColumn
) -> str:
    dimensions = [name for name in DIMENSIONS if any(rule.dimension == name for rule in rules)]
    if not dimensions:
        return select
    replaced = ", ".join(f"{_case(rules, name, fields, day, tag)} AS {name}" for name in dimensions)
    return f"SELECT * REPLACE ({replaced}) FROM ({select})"


def _case(
    rules: Sequence[TagRule], dimension: str, fields: Mapping[str, tuple[str, ...]], day: str, tag: _TagColumn
) -> str:
    """SQL for the value of a dimension."""
    cases = " ".join(
        f"WHEN {_condition(rule, fields, day, tag)} THEN {_quoted(rule.value)}"
        for rule in rules
        if rule.dimension == dimension
    )
    return f"CASE {cases} ELSE {dimension} END" if cases else dimension


def _condition(rule: TagRule, fields: Mapping[str, tuple[str, ...]], day: str, tag: _TagColumn) -> str:
    parts = [] if rule.override else [f"{rule.dimension} IS NULL"]
    if rule.valid_from:
        parts.append(f"{day} >= DATE '{rule.valid_from.isoformat()}'")
    if rule.valid_to:
        parts.append(f"{day} <= DATE '{rule.valid_to.isoformat()}'")
    for field, pattern in rule.match:
        columns = (tag(field.removeprefix(TAG)),) if field.startswith(TAG) else fields[field]
        found = (f"coalesce(regexp_matches({column}, {_quoted(pattern)}, 'i'), false)" for column in columns)
        parts.append(f"({' OR '.join(found)})")
    return " AND ".join(parts)


class _TagColumn:
    """How a table keeps tags: SQL for the value of one key."""

    def __init__(self, form: str) -> None:
        self.form = form

    def __call__(self, key: str) -> str:
        return self.form.format(_quoted(f'$."{key.replace(chr(34), "")}"' if "json" in self.form else key))


_line_tag = _TagColumn("json_extract_string(Tags, {})")
_call_tag = _TagColumn("labels[{}]")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
