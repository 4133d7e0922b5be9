"""Which rules there are, who made them, and what changed when: allocation rules and virtual tags side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analytics.allocation_rules import DRIVERS, FILE, PAGE, AllocationRule, allocation_rules, ordered
from analytics.allocation_rules import KIND as ALLOCATION_RULE
from analytics.frames import Row, frame_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.rule_forms import Patterns
from warehouse.state import Document
from warehouse.tag_rules import KIND as VIRTUAL_TAG
from warehouse.tag_rules import TagRule

_RECORD = ("valid_from", "valid_to", "origin", "author", "saved_at", "reason")
ALLOCATION_COLUMNS = ("priority", "name", "selects", "driver", "targets", *_RECORD)
TAG_COLUMNS = ("name", "selects", "sets", "override", *_RECORD)
HISTORY_COLUMNS = ("saved_at", "kind", "name", "change", "author", "reason", "revision")


def allocation_rule_list(warehouse: Warehouse) -> pd.DataFrame:
    """Allocation rules by priority. Columns: priority, name, selects (fields and patterns in words), driver, targets, valid_from,
    valid_to (None: open), origin ("percall.toml" or "page"), and of those saved on the page author, saved_at (UTC) and reason.

    Raises InputError when the rules cannot be used.
    """
    saved = _newest(warehouse, ALLOCATION_RULE)
    rows: list[Row] = []
    for rule in allocation_rules(warehouse):
        targets = ", ".join(rule.targets) or "all features"
        if rule.percent:
            targets = ", ".join(f"{feature} {part.normalize():f}%" for feature, part in rule.percent)
        rows.append(
            {
                "priority": rule.priority, "name": rule.name, "selects": in_words(rule.select), "driver": DRIVERS[rule.driver],
                "targets": targets, "valid_from": rule.valid_from, "valid_to": rule.valid_to,
            } | _record(rule.origin, saved.get(rule.name))
        )  # fmt: skip
    return frame_of(rows, ALLOCATION_COLUMNS)


def tag_rule_list(warehouse: Warehouse) -> pd.DataFrame:
    """Virtual tags in the order in which they are read. Columns: name, selects, sets ("feature = search"), override, then as in
    `allocation_rule_list`."""
    saved = _newest(warehouse, VIRTUAL_TAG)
    rows: list[Row] = [
        {
            "name": rule.name, "selects": in_words(rule.match), "sets": f"{rule.dimension} = {rule.value}", "override": rule.override,
            "valid_from": rule.valid_from, "valid_to": rule.valid_to,
        } | _record(FILE if rule in warehouse.configuration.virtual_tags else PAGE, saved.get(rule.name))
        for rule in warehouse.tag_rules
    ]  # fmt: skip
    return frame_of(rows, TAG_COLUMNS)


def rule_history(warehouse: Warehouse) -> pd.DataFrame:
    """Every change of a rule on a page, the newest first. Columns: saved_at (UTC), kind, name, change ("made", "changed", "removed"), author, reason,
    revision."""
    rows: list[Row] = []
    for kind in (ALLOCATION_RULE, VIRTUAL_TAG):
        standing: set[str] = set()
        for document in warehouse.state.history(kind):
            change = "removed" if document.body is None else "changed" if document.name in standing else "made"
            (standing.discard if document.body is None else standing.add)(document.name)
            rows.append(
                {"change": change, **{name: getattr(document, name) for name in HISTORY_COLUMNS if name != "change"}}
            )
    rows.sort(key=lambda row: -row["revision"])
    return frame_of(rows, HISTORY_COLUMNS)


def with_allocation_rule(warehouse: Warehouse, rule: AllocationRule) -> tuple[AllocationRule, ...]:
    """The present allocation rules with this one in the place of the one of its name.

    Raises InputError when it contradicts another, or a rule of percall.toml has its name.
    """
    others = [other for other in allocation_rules(warehouse) if other.name != rule.name or other.origin == FILE]
    return ordered([*others, rule])


def without_allocation_rule(warehouse: Warehouse, name: str) -> tuple[AllocationRule, ...]:
    """The present allocation rules without the one of this name."""
    return tuple(rule for rule in allocation_rules(warehouse) if rule.name != name)


def with_tag_rule(warehouse: Warehouse, rule: TagRule) -> tuple[TagRule, ...]:
    """The present virtual tags with this one in the place of the one of its name, else as the last.

    Raises InputError when a rule of percall.toml has its name.
    """
    if any(other.name == rule.name for other in warehouse.configuration.virtual_tags):
        raise InputError(
            f"percall.toml has a virtual tag {rule.name!r} already: choose another name, or change it there"
        )
    rules = [rule if other.name == rule.name else other for other in warehouse.tag_rules]
    return tuple(rules) if rule in rules else (*rules, rule)


def without_tag_rule(warehouse: Warehouse, name: str) -> tuple[TagRule, ...]:
    """The present virtual tags without the one of this name."""
    return tuple(rule for rule in warehouse.tag_rules if rule.name != name)


def in_words(patterns: Patterns) -> str:
    """`category ~ ^GPU and resource ~ a100`."""
    return " and ".join(f"{field} ~ {pattern}" for field, pattern in patterns)


def _newest(warehouse: Warehouse, kind: str) -> dict[str, Document]:
    return {document.name: document for document in warehouse.state.documents(kind, warehouse.revision)}


def _record(origin: str, document: Document | None) -> Row:
    if origin == FILE or document is None:
        return {"origin": origin}
    return {
        "origin": origin,
        "author": document.author,
        "saved_at": document.saved_at,
        "reason": document.reason or None,
    }


def saved_names(frame: pd.DataFrame) -> Sequence[str]:
    """Names of the rules of a list that were saved on the page, and can be changed there."""
    return [name for name, origin in zip(frame["name"], frame["origin"], strict=True) if origin == PAGE]
