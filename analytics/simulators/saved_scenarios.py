"""Scenarios that people saved by name: every version is kept, with who saved it and when.

A saved scenario is a document of kind "scenario" (`warehouse.state`): its text as a scenario file, and the period and filters it was run on. To
rename is to save under the new name and remove the old one; the history follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import pandas as pd

from analytics.filters import Filters
from analytics.frames import frame_of
from analytics.simulators.scenario import Scenario, read_scenario
from warehouse.errors import InputError
from warehouse.state import Document, State

KIND = "scenario"
LONGEST_NAME = 80

COLUMNS = ("name", "levers", "first_day", "last_day", "saved_at", "author", "versions", "reason")


@dataclass(frozen=True)
class SavedScenario:
    """One version. filters: the period, filters and basis that it was last run on. saved_at: UTC."""

    name: str
    scenario: Scenario
    filters: Filters
    saved_at: datetime
    author: str
    reason: str
    revision: int


def save_scenario(
    state: State, scenario: Scenario, filters: Filters, *, author: str, reason: str = "", new: bool = False
) -> int:
    """Save the scenario under its name, as a further version where the name is known; answers with the revision.

    `new` refuses a name that is known. Raises InputError for an empty or too long name, a scenario without levers, and a name that is
    taken; StoreError when the state cannot be written.
    """
    name = checked_name(scenario.name)
    if not scenario.levers:
        raise InputError("a scenario without a lever cannot be saved: add one first")
    if new and name in {document.name for document in state.documents(KIND)}:
        raise InputError(f"there is a scenario {name!r} already: choose another name, or save it as a new version")
    return state.save(KIND, name, _body(replace(scenario, name=name), filters), author=author, reason=reason)


def saved_scenarios(state: State, revision: int | None = None) -> list[SavedScenario]:
    """The scenarios as they stand, the latest first. One that this version cannot read any more raises InputError with its name."""
    found = [_saved(document) for document in state.documents(KIND, revision)]
    return sorted(found, key=lambda each: each.revision, reverse=True)


def find_scenario(state: State, name: str, revision: int | None = None) -> SavedScenario:
    """The scenario of this name, or its version of a revision. Raises InputError that lists the names there are."""
    standing = {document.name: document for document in state.documents(KIND, revision)}
    if name not in standing:
        known = ", ".join(sorted(standing)) or "none yet"
        raise InputError(f"no scenario is saved as {name!r}; there are: {known}")
    return _saved(standing[name])


def rename_scenario(state: State, old: str, new: str, *, author: str) -> None:
    """Give a scenario another name. Raises InputError for an unknown old name and a taken or unusable new one."""
    found, name = find_scenario(state, old), checked_name(new)
    if name == old:
        return
    save_scenario(
        state, replace(found.scenario, name=name), found.filters, author=author, reason=f"renamed from {old}", new=True
    )
    state.save(KIND, old, None, author=author, reason=f"renamed to {name}")


def delete_scenario(state: State, name: str, *, author: str, reason: str = "") -> None:
    """Remove a scenario; its versions stay in the history, and plans made of it stay as they are. Raises InputError for an unknown name."""
    find_scenario(state, name)
    state.save(KIND, name, None, author=author, reason=reason)


def scenario_versions(state: State, name: str) -> list[SavedScenario]:
    """Every version of a scenario, the latest first, those under names that it had before included."""
    history = state.history(KIND)
    found: list[SavedScenario] = []
    names, before = {name}, None
    for document in reversed(history):
        if document.name not in names or (before is not None and document.revision > before):
            continue
        if document.body is None:
            if found and document.name == name:
                break
            continue
        found.append(_saved(document))
        if document.reason.startswith("renamed from "):
            names, before = {document.reason.removeprefix("renamed from ")}, document.revision
            name = next(iter(names))
    return found


def scenarios_frame(state: State, saved: Iterable[SavedScenario]) -> pd.DataFrame:
    """One row per saved scenario, in the order given: name, levers (their titles), first_day, last_day, saved_at (UTC), author, versions (how
    many), reason."""
    rows = [
        {
            "name": each.name,
            "levers": ", ".join(lever.title for lever in each.scenario.enabled),
            "first_day": each.filters.start,
            "last_day": each.filters.end,
            "saved_at": each.saved_at,
            "author": each.author,
            "versions": len(scenario_versions(state, each.name)),
            "reason": each.reason,
        }
        for each in saved
    ]
    return frame_of(rows, COLUMNS)


def checked_name(name: str) -> str:
    """The name without space around it. Raises InputError when it cannot be one."""
    cleaned = " ".join(name.split())
    if not cleaned:
        raise InputError("give the scenario a name")
    if len(cleaned) > LONGEST_NAME:
        raise InputError(f"a name has at most {LONGEST_NAME} characters, this one {len(cleaned)}")
    return cleaned


def filters_body(filters: Filters) -> dict[str, Any]:
    """Filters as a document keeps them."""
    return {
        "start": filters.start.isoformat(),
        "end": filters.end.isoformat(),
        "where": [[name, list(values)] for name, values in filters.where],
        "basis": filters.basis,
    }


def filters_of(body: Mapping[str, Any]) -> Filters:
    """Filters from a document."""
    where = tuple((str(name), tuple(values)) for name, values in body.get("where", []))
    start, end = date.fromisoformat(body["start"]), date.fromisoformat(body["end"])
    return Filters(start, end, where, body.get("basis", "effective"))


def _body(scenario: Scenario, filters: Filters) -> dict[str, Any]:
    return {"toml": scenario.toml(), "filters": filters_body(filters)}


def _saved(document: Document) -> SavedScenario:
    body = document.body or {}
    try:
        scenario, filters = read_scenario(str(body["toml"])), filters_of(body["filters"])
    except (KeyError, ValueError, TypeError, InputError) as error:
        raise InputError(f"the saved scenario {document.name!r} cannot be read: {error}") from error
    return SavedScenario(
        document.name, replace(scenario, name=document.name), filters, document.saved_at, document.author,
        document.reason, document.revision,
    )  # fmt: skip
