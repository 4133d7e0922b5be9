"""A scenario: levers in order, under a name; as a file, as an address, and replayed.

The file is TOML. Levers act in the order in which they stand; each `[[lever]]` has a `kind` (a lever's name) and its slider values; what is left
out has its default. `calls` chooses the calls that it is for.

    name = "March to May"
    description = "What the team did, in order"

    [[lever]]
    kind = "output-limit"
    cap = 400
    calls = { feature = ["sentiment"] }

A lever with `enabled = false` is kept in the file and not applied.
"""

from __future__ import annotations

import base64
import json
import math
import tomllib
import typing
import zlib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

from analytics.simulators.bootstrap import CONFIDENCE, DRAWS, SEED
from analytics.simulators.lever import Lever, find_lever
from analytics.simulators.run_scenario import run
from analytics.simulators.shapley import Shares, shapley
from analytics.simulators.situation import Situation
from analytics.simulators.waterfall import Waterfall
from warehouse.errors import InputError

_LONGEST_ADDRESS = 100_000


@dataclass(frozen=True)
class Scenario:
    """Levers in order. `disabled`: places of levers that are kept but not applied."""

    name: str = "Scenario"
    levers: tuple[Lever, ...] = ()
    description: str = ""
    disabled: frozenset[int] = field(default_factory=frozenset)

    @property
    def enabled(self) -> tuple[Lever, ...]:
        """The levers that are applied, in order."""
        return tuple(lever for place, lever in enumerate(self.levers) if place not in self.disabled)

    def run(
        self, situation: Situation, *, draws: int = DRAWS, seed: int = SEED, confidence: float = CONFIDENCE
    ) -> Waterfall:
        """The scenario replayed. Raises InputError when a lever cannot act on the situation."""
        return run(situation, self.enabled, draws=draws, seed=seed, confidence=confidence)

    def shapley(self, situation: Situation) -> Shares:
        """Each lever's part of the saving, whatever the order: see `analytics.simulators.shapley`."""
        return shapley(situation, self.enabled)

    def assumptions(self) -> list[str]:
        """What the applied levers assume, in sentences, each once."""
        return list(dict.fromkeys(sentence for lever in self.enabled for sentence in lever.assumptions()))

    def toml(self) -> str:
        """The scenario as a file; `read_scenario` gives the same scenario again."""
        parts = [f"name = {_value(self.name)}"]
        if self.description:
            parts.append(f"description = {_value(self.description)}")
        for place, lever in enumerate(self.levers):
            parts.append(f"\n[[lever]]\nkind = {_value(lever.name)}")
            if place in self.disabled:
                parts.append("enabled = false")
            parts += [f"{name} = {_value(value)}" for name, value in lever_values(lever).items() if value is not None]
        return "\n".join(parts) + "\n"

    def address(self) -> str:
        """The scenario as one word for a URL; `scenario_of_address` reads it."""
        return base64.urlsafe_b64encode(zlib.compress(self.toml().encode(), 9)).decode().rstrip("=")


def read_scenario(text: str, file: str | None = None) -> Scenario:
    """A scenario from the text of its file.

    Raises InputError for text that is not TOML, an unknown key, an unknown lever or slider, and a value that the lever refuses; it names the lever.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not a scenario file: {error}", file=file) from error
    entries = raw.pop("lever", [])
    name, description = raw.pop("name", "Scenario"), raw.pop("description", "")
    if raw:
        raise InputError(
            f"a scenario has no {sorted(raw)[0]!r}: it has name, description and [[lever]] tables", file=file
        )
    if not isinstance(entries, list) or not isinstance(name, str) or not isinstance(description, str):
        raise InputError(
            "a scenario has a name and a description in quotes, and its levers as [[lever]] tables", file=file
        )
    levers, disabled = [], set()
    for place, entry in enumerate(entries):
        try:
            levers.append(lever_of({key: value for key, value in entry.items() if key != "enabled"}))
        except InputError as error:
            raise InputError(f"lever {place + 1}: {error}", file=file) from error
        if entry.get("enabled") is False:
            disabled.add(place)
    return Scenario(name, tuple(levers), description, frozenset(disabled))


def read_scenario_file(path: Path) -> Scenario:
    """A scenario from its file. Raises InputError as `read_scenario`, and when the file cannot be read."""
    try:
        return read_scenario(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"this scenario file cannot be read: {error}", file=str(path)) from error


def scenario_of_address(word: str) -> Scenario:
    """The scenario of `Scenario.address`. Raises InputError when the word is damaged."""
    try:
        packed = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        unpack = zlib.decompressobj()
        text = unpack.decompress(packed, _LONGEST_ADDRESS).decode()
        if not unpack.eof:
            raise ValueError
    except (ValueError, zlib.error) as error:
        raise InputError("the scenario in this address is damaged: open it from where it was saved") from error
    return read_scenario(text)


def lever_values(lever: Lever) -> dict[str, Any]:
    """A lever's slider values by name."""
    return {each.name: getattr(lever, each.name) for each in fields(lever)}  # type: ignore[arg-type]


def lever_of(entry: dict[str, Any]) -> Lever:
    """A lever from its `kind` and slider values as they stand in a file. Raises InputError for what it does not know or refuses."""
    values = dict(entry)
    name = values.pop("kind", None)
    if not isinstance(name, str):
        raise InputError('a lever needs a kind, such as kind = "model-routing"')
    kind = find_lever(name)
    return _built(kind, values, name)


def _built(kind: Any, values: dict[str, Any], what: str) -> Any:
    known = {each.name: each for each in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{what} has no {unknown[0]!r}; it has {', '.join(known)}")
    missing = [n for n, f in known.items() if n not in values and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise InputError(f"{what} needs {missing[0]!r}")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _typed(value, hints[name], f"{what}: {name}") for name, value in values.items()})


def _typed(value: Any, hint: Any, what: str) -> Any:
    """The file's value as the field wants it. Raises InputError where it is of another kind."""
    if is_dataclass(hint) and isinstance(value, dict):
        return _built(hint, value, what)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        inner = [options[0]] * len(value) if len(options) == 2 and options[1] is Ellipsis else list(options)
        if len(inner) == len(value):
            return tuple(_typed(each, kind, what) for each, kind in zip(value, inner, strict=True))
    elif origin is typing.Literal:
        if value in options:
            return value
        raise InputError(f"{what} must be one of {', '.join(map(str, options))}, not {value!r}")
    elif options and origin is not tuple:
        for option in options:
            if option is not type(None):
                try:
                    return _typed(value, option, what)
                except InputError:
                    continue
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif hint in (int, str, bool, date) and type(value) is hint:
        return value
    raise InputError(f"{what} cannot be {value!r}: it must be {_hint_words(hint)}")


def _hint_words(hint: Any) -> str:
    words = {float: "a number", int: "a whole number", str: "a text in quotes", bool: "true or false", date: "a date"}
    if hint in words:
        return words[hint]
    if typing.get_origin(hint) is tuple:
        return "a list in [ ]"
    options = [each for each in typing.get_args(hint) if each is not type(None)]
    return " or ".join(map(_hint_words, options)) if options else "a table in { }"


def _value(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # TOML's basic strings have JSON's escapes, and want the control character DEL escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if is_dataclass(value):
        given = [(each.name, getattr(value, each.name)) for each in fields(value)]
        shown = [(name, each) for name, each in given if each is not None and each != ()]
        return "{ " + ", ".join(f"{name} = {_value(each)}" for name, each in shown) + " }" if shown else "{}"
    raise InputError(f"a lever's value {value!r} cannot be written into a scenario file")
