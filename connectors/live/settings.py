"""The sections [[source]] of `percall.toml`, checked: each becomes `SourceSettings`, or a sentence about what is wrong with it.

A section that cannot be used never keeps the others from being synced: it is told beside them, as `Misconfigured`.

Every source may have these settings beside those of its kind: `name`, `kind` and `enabled = false` (it stays written down, but is not synced).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.live.registry import kinds, live_source
from connectors.live.secrets import Secrets
from connectors.live.source import Form, Option, SourceSettings
from warehouse.configuration import Configuration
from warehouse.errors import InputError

GENERAL = ("name", "kind", "enabled")
"""Settings of every source, whatever its kind."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_WITH_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*:[^/?#]*@")
"""An address such as https://user:password@host. Addresses are shown in messages and in what `percall doctor --permissions` prints."""

_WORDS: Mapping[Form, str] = {
    "text": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "texts": "a list of texts",
    "table": "a table",
}


@dataclass(frozen=True)
class Misconfigured:
    """A section that cannot be used: its name (or its place in the file, when it has none), and a sentence that says why."""

    name: str
    kind: str | None
    message: str


def read_sources(
    configuration: Configuration, secrets: Secrets | None = None
) -> tuple[list[SourceSettings], list[Misconfigured]]:
    """The sources of a configuration that can be synced, in the order of the file, and the sections that cannot be used.

    Sources with `enabled = false` are in neither. All share one `Secrets`, so that what it masks are the secrets of all of them.
    """
    secrets = secrets or Secrets()
    usable: list[SourceSettings] = []
    broken: list[Misconfigured] = []
    names: set[str] = set()
    for place, section in enumerate(configuration.sources, start=1):
        shown = section.get("name")
        label = shown if isinstance(shown, str) and shown else f"[[source]] number {place}"
        kind = section.get("kind")
        try:
            settings = source_settings(section, place, secrets, configuration)
            if settings.name in names:
                raise InputError(
                    f"two sources are called {settings.name!r}; give one another name", file=_file(configuration)
                )
            names.add(settings.name)
        except InputError as error:
            broken.append(Misconfigured(label, kind if isinstance(kind, str) else None, str(error)))
            continue
        if section.get("enabled", True):
            usable.append(settings)
    return usable, broken


def source_settings(
    section: Mapping[str, Any], place: int, secrets: Secrets, configuration: Configuration
) -> SourceSettings:
    """One section [[source]], the `place`-th of its file, checked and with the defaults of its kind.

    Raises InputError: no name or a name that cannot be one, unknown kind, unknown option (with the nearest known one), a required one that is
    missing, a value of another form, or a secret itself where the name of its variable belongs or in an address (which is then not repeated).
    """
    name, kind = section.get("name"), section.get("kind")
    where = f"[[source]] {name!r}" if isinstance(name, str) and name else f"[[source]] number {place}"
    file = _file(configuration)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f'{where} needs a name of letters, digits, spaces and ._/-: name = "langfuse-prod"',
            file=file,
            column="name",
        )
    if not isinstance(kind, str):
        raise InputError(
            f'{where} does not say its kind: kind = "aws-export"; known are {", ".join(kinds())}',
            file=file,
            column="kind",
        )
    if not isinstance(section.get("enabled", True), bool):
        raise InputError(f"{where}: write enabled = true or enabled = false", file=file, column="enabled")
    try:
        options: Sequence[Option] = live_source(kind).OPTIONS
    except InputError as error:
        raise InputError(f"{where}: {error}", file=file, column="kind") from error
    known = {option.name: option for option in options}
    for key in section:
        if key not in known and key not in GENERAL:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}? Known" if near else "known"
            raise InputError(
                f"{where}: sources of kind {kind!r} have no option {key!r}; {hint} are {', '.join(known)}",
                file=file,
                column=key,
            )
    values: dict[str, Any] = {}
    for option in options:
        value = section.get(option.name)
        if value is None:
            if option.required:
                raise InputError(
                    f"{where} lacks {option.name!r} ({option.meaning}): write {option.name} = {option.example}",
                    file=file,
                    column=option.name,
                )
            values[option.name] = option.default
            continue
        _require(option, value, where, file)
        values[option.name] = value
    return SourceSettings(name, kind, values, secrets)


def _require(option: Option, value: object, where: str, file: str | None) -> None:
    """Raises InputError for a value that the option cannot have."""
    if option.secret:
        if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
            raise InputError(
                f"{where}: {option.name} is the name of an environment variable, never the secret itself: write "
                f"{option.name} = {option.example} and set that variable",
                file=file,
                column=option.name,
            )
        return
    if not _fits(option.form, value):
        raise InputError(
            f"{where}: {option.name} ({option.meaning}) must be {_WORDS[option.form]}, not {value!r}: write "
            f"{option.name} = {option.example}",
            file=file,
            column=option.name,
        )
    if isinstance(value, str) and _WITH_PASSWORD.match(value):
        raise InputError(
            f"{where}: a password does not belong into this file: write {option.name} without it, and name the environment variable that "
            "holds it in an option that ends in _env (docs/how-to-connect.md)",
            file=file,
            column=option.name,
        )
    if option.choices and value not in option.choices:
        raise InputError(
            f"{where}: {option.name} is one of {', '.join(map(repr, option.choices))}, not {value!r}",
            file=file,
            column=option.name,
        )


def _fits(form: Form, value: object) -> bool:
    if form == "boolean":
        return isinstance(value, bool)
    if form == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if form == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if form == "texts":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if form == "table":
        return isinstance(value, dict)
    return isinstance(value, str)


def _file(configuration: Configuration) -> str | None:
    return None if configuration.path is None else str(configuration.path)
