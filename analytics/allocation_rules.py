"""Allocation rules: who shares a cost that names no feature, by which driver, on which days.

They stand in percall.toml as sections [[allocation]], or are saved on a page. The rules are read by priority, the lowest number first (in the
file: their position, unless they say otherwise), and the first whose `select` matches a cost takes it. Two rules of one priority may not
hold on the same day, so that the order is never a matter of chance.

    [[allocation]]
    name = "vector database"
    select = { category = "Vector database" }   # regular expressions; also service, account, resource, provider, model, project, team, env
    driver = "calls"                            # tokens, calls, gpu_seconds, cost or percent
    targets = ["search", "ask"]                 # default: every feature
    valid_from = 2026-03-01                     # first and last day, both inclusive; default: open

    [[allocation]]
    name = "support"
    select = { service = "^Support" }
    driver = "percent"
    percent = { search = 60, ask = 30 }         # what is left of 100 stays unallocated
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import combinations
from typing import Any

from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.rule_forms import Patterns, RuleReader, dated_body, refuse_equal_names

KIND = "allocation rule"
"""Kind of the saved documents that hold rules made on a page."""

DRIVERS: Mapping[str, str] = {
    "tokens": "tokens of traced calls",
    "calls": "traced calls",
    "gpu_seconds": "busy GPU seconds",
    "cost": "direct cost",
    "percent": "fixed percent",
}
"""Drivers, and what they count."""

SELECTORS = ("category", "service", "account", "resource", "provider", "model", "project", "team", "env")

FILE, PAGE = "percall.toml", "page"


@dataclass(frozen=True)
class AllocationRule:
    """One rule. `targets`: the features that share (empty: all that the driver counts). `percent`: features and their part of 100, for that driver.

    The days are inclusive, in the reporting time zone; None: open. `origin` is FILE or PAGE.
    """

    name: str
    priority: int
    driver: str
    select: Patterns
    targets: tuple[str, ...] = ()
    percent: tuple[tuple[str, Decimal], ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    origin: str = FILE

    def holds_on(self, day: date) -> bool:
        """Whether the rule holds on a day."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)

    def overlap(self, other: AllocationRule) -> tuple[date, date] | None:
        """First and last day on which both hold; None when there is none."""
        first = max(self.valid_from or date.min, other.valid_from or date.min)
        last = min(self.valid_to or date.max, other.valid_to or date.max)
        return (first, last) if first <= last else None

    def body(self) -> dict[str, Any]:
        """The rule as saved state has it."""
        return {
            "priority": self.priority,
            "driver": self.driver,
            "select": dict(self.select),
            "targets": list(self.targets),
            "percent": {feature: format(part, "f") for feature, part in self.percent},
        } | dated_body(self.valid_from, self.valid_to)


def allocation_rules(warehouse: Warehouse) -> tuple[AllocationRule, ...]:
    """All rules that count now, by priority: those of percall.toml and those saved on the page, as of the warehouse's revision.

    Raises InputError that names the rule which cannot be used, or the two that contradict each other.
    """
    configuration = warehouse.configuration
    documents = warehouse.state.documents(KIND, warehouse.revision)
    saved = [{"name": document.name, **(document.body or {})} for document in documents]
    path = str(configuration.path) if configuration.path else None
    return ordered(
        [
            *read_allocation_rules(configuration.allocation, path),
            *read_allocation_rules(saved, str(warehouse.state.path), origin=PAGE),
        ]
    )


def ordered(rules: Iterable[AllocationRule]) -> tuple[AllocationRule, ...]:
    """Rules by priority. Raises InputError for two of one name, and for two of one priority that hold on the same day."""
    found = sorted(rules, key=lambda rule: (rule.priority, rule.valid_from or date.min, rule.name))
    refuse_equal_names([rule.name for rule in found], KIND)
    for one, other in combinations(found, 2):
        days = one.overlap(other) if one.priority == other.priority else None
        if days:
            raise InputError(
                f"the allocation rules {one.name!r} and {other.name!r} have the same priority ({one.priority}) {_between(*days)}: "
                "give one of them another priority, or other days"
            )
    return tuple(found)


def read_allocation_rules(
    entries: Sequence[object], where: str | None = None, *, origin: str = FILE
) -> tuple[AllocationRule, ...]:
    """Rules from the sections of a file or from saved state. Raises InputError that names the rule and says what to do."""
    return tuple(
        _rule(RuleReader(entry, KIND, number, where), number, origin) for number, entry in enumerate(entries, start=1)
    )


def _rule(reader: RuleReader, number: int, origin: str) -> AllocationRule:
    reader.only(("name", "priority", "select", "driver", "targets", "percent", "valid_from", "valid_to"))
    name, driver = reader.text("name"), reader.one_of("driver", DRIVERS)
    select = reader.patterns("select", SELECTORS)
    if not select:
        raise reader.wrong('select names no field; write select = { category = "..." }, with "." for every cost')
    priority = reader.entry.get("priority", number)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise reader.wrong("priority must be a whole number; the lowest is read first")
    targets = reader.entry.get("targets", [])
    if not isinstance(targets, list | tuple) or not all(isinstance(target, str) and target for target in targets):
        raise reader.wrong('targets must list features, like targets = ["search", "ask"]')
    percent = _percent(reader, reader.entry.get("percent") or {})
    if (driver == "percent") != bool(percent):
        raise reader.wrong('percent = { search = 60, ask = 40 } belongs to driver = "percent", and to no other')
    if percent and targets:
        raise reader.wrong("percent names the features already: leave targets out")
    first, last = reader.validity()
    return AllocationRule(
        name, priority, driver, select, tuple(dict.fromkeys(targets)), percent, first, last, origin
    )  # fmt: skip


def _percent(reader: RuleReader, given: object) -> tuple[tuple[str, Decimal], ...]:
    if not isinstance(given, Mapping):
        raise reader.wrong("percent must name features and their parts, like percent = { search = 60, ask = 40 }")
    parts = []
    for feature, value in given.items():
        try:
            part = Decimal(str(value))
        except InvalidOperation:
            part = Decimal(-1)
        if not part.is_finite() or part <= 0:
            raise reader.wrong(f"the percentage of {feature} is {value!r}: write a number above 0")
        parts.append((str(feature), part))
    whole = sum((part for _feature, part in parts), Decimal(0))
    if whole > 100:
        raise reader.wrong(f"the percentages sum to {whole}, more than 100")
    return tuple(sorted(parts))


def percent_from_text(text: str) -> dict[str, str]:
    """`search = 60, ask = 30` (or `search 60%`) as the percentages of a rule. Raises InputError for what is not of that form."""
    parts: dict[str, str] = {}
    for item in filter(None, (piece.strip() for piece in text.replace(";", ",").split(","))):
        words = item.replace("=", " ").replace("%", " ").split()
        if len(words) < 2:
            raise InputError(f"{item!r} is no feature with its percentage: write search = 60, ask = 30")
        parts[" ".join(words[:-1])] = words[-1]
    return parts


def _between(first: date, last: date) -> str:
    start = "" if first == date.min else f"from {first}"
    end = "" if last == date.max else f"to {last}"
    return " ".join(part for part in (start, end) if part) or "on every day"
