"""Which feature, project, team, environment and tier a call belongs to: the ordered resolver, as SQL.

Callers, proxies and tracers put the same word into different places, and drop it in others, so every dimension is looked for in order:

1. `spend_logs_metadata.K`, what the caller marked for the spend log,
2. `metadata.K`,
3. `trace_metadata.K`,
4. `K` in the caller's own metadata (`requester_metadata`, a JSON text inside the metadata),
5. a tag `K:v` or `K=v`,
6. a native column of the source (environment, team alias, project alias).

K runs through the keys that the configuration names for the dimension (`tag_keys`), in their order. Nothing is guessed: only a scalar counts,
an empty text is no answer, and where nothing is found the dimension is NULL and the call is shown as untagged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.files import sql_text

NO_ANSWER = ("", "null", "None", "undefined")
"""Texts that some libraries write for "nothing"."""

DENIED_KEYS = r"(?i)user.?agent|ip.?addr|api.?key|e-?mail|authori[sz]ation|credential|password|secret|bearer|header|cookie|key.?hash"
"""Label keys that are never kept: who or what machine called, and anything that unlocks something."""

DENIED_VALUES = r"(?i)^[0-9a-f]{64}$|^\S+@\S+\.\S+$|^\d{1,3}(\.\d{1,3}){3}$|^(sk|pk)-\S{8,}$"
"""Label values that are never kept: key hashes, e-mail addresses, IP addresses, keys."""

LONGEST_LABEL = 200
"""Characters. A longer value is a text, not a label."""


def pointer(*keys: str) -> str:
    """A JSON pointer to nested keys, whatever characters they hold (RFC 6901)."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def as_object(expression: str) -> str:
    """SQL: a text as JSON, NULL when it is not JSON."""
    return f"TRY_CAST({expression} AS JSON)"


def scalar(value: str) -> str:
    """SQL: the text as a trimmed scalar; NULL for an object, a list, or one of `NO_ANSWER`.

    A value that starts with a quote is decoded first: Langfuse's newer SDKs send metadata values JSON-encoded.
    """
    decoded = f"trim(CASE WHEN {value} LIKE '\"%' THEN coalesce({as_object(value)} ->> '$', {value}) ELSE {value} END)"
    nothing = ", ".join(sql_text(word) for word in NO_ANSWER)
    return f"CASE WHEN left(ltrim({value}), 1) IN ('{{', '[') OR {decoded} IN ({nothing}) THEN NULL ELSE {decoded} END"


def _tag_split(tag: str) -> str:
    """SQL: position of the first `:` or `=` in a tag; NULL: a plain tag."""
    return f"nullif(strpos(translate({tag}, '=', ':'), ':'), 0)"


def _tag_key(tag: str) -> str:
    return f"trim(coalesce(left({tag}, {_tag_split(tag)} - 1), {tag}))"


def _tag_value(tag: str) -> str:
    return f"trim(substr({tag}, {_tag_split(tag)} + 1))"


@dataclass(frozen=True)
class Resolver:
    """Finds named values in a row's metadata, tags and columns.

    `wanted` maps a name to its keys, first match wins within one place. `objects` are SQL expressions of type JSON, in the
    order in which places are searched; `tags` one of type VARCHAR[]; `native` maps a name to further VARCHAR expressions.
    Usage: select `lookups()` beside the row's columns in an inner query (each object is parsed once), then `value(name)`
    outside of it.
    """

    wanted: Mapping[str, Sequence[str]]
    objects: Sequence[str]
    tags: str | None = None
    native: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def lookups(self) -> list[str]:
        """SELECT items for the inner query, named as in `names`."""
        pointers = ", ".join(sql_text(pointer(key)) for key in self._keys())
        items = [
            # CASE: nearly all keys are missing in nearly all places, and a look at nothing costs as much as one at something.
            f"list_transform(json_extract_string({place}, [{pointers}]), lambda v: CASE WHEN v IS NOT NULL THEN {scalar('v')} END) AS _found_{n}"
            for n, place in enumerate(self.objects)
        ]
        if self.tags is not None:
            items.append(f"list_transform({self.tags}, lambda t: {_tag_key('t')}) AS _tag_keys")
            items.append(f"list_transform({self.tags}, lambda t: {_tag_value('t')}) AS _tag_values")
        return items

    def names(self) -> list[str]:
        """Names of the columns that `lookups` adds."""
        tags = ["_tag_keys", "_tag_values"] if self.tags is not None else []
        return [f"_found_{n}" for n in range(len(self.objects))] + tags

    def value(self, name: str) -> str:
        """SQL: the value of this name (VARCHAR, NULL: nowhere)."""
        at = {key: position for position, key in enumerate(self._keys(), start=1)}
        places = [f"_found_{n}[{at[key]}]" for n in range(len(self.objects)) for key in self.wanted[name]]
        if self.tags is not None:
            places += [scalar(f"_tag_values[list_position(_tag_keys, {sql_text(key)})]") for key in self.wanted[name]]
        places += [scalar(column) for column in self.native.get(name, ())]
        return f"coalesce({', '.join(['NULL', *places])})"

    def _keys(self) -> list[str]:
        return list(dict.fromkeys(key for keys in self.wanted.values() for key in keys))


@dataclass(frozen=True)
class Labels:
    """Every other label of a call, as MAP(VARCHAR, VARCHAR).

    `objects` are expressions of type JSON, the most telling first: where two hold the same key, its first value counts. `tags` is of type
    VARCHAR[]: `K:v` and `K=v` become key and value, a plain tag becomes a key with the value `true`. `known_keys` (dimensions, outcomes, what
    the source writes for itself) are left out, a trailing `*` matches any ending; so are `DENIED_KEYS`, `DENIED_VALUES`, nested
    values and texts above `LONGEST_LABEL`. `more` adds columns under a name. Usage: three nested queries, `entries()` in the innermost,
    `keys()` in the next, `value()` in the outermost, so that nothing is computed once per label.
    """

    objects: Sequence[str]
    tags: str | None
    known_keys: Sequence[str]
    more: Mapping[str, str] = field(default_factory=dict)

    def entries(self) -> str:
        """SELECT item `_label_entries`."""
        parts = [
            f"coalesce(map_entries(TRY_CAST({place} AS MAP(VARCHAR, VARCHAR))), []::STRUCT(key VARCHAR, value VARCHAR)[])"
            for place in self.objects
        ]
        if self.tags is not None:
            tag = f"{{'key': {_tag_key('t')}, 'value': coalesce({_tag_value('t')}, 'true')}}"
            parts.append(f"coalesce(list_transform({self.tags}, lambda t: {tag}), [])")
        parts += [f"[{{'key': {sql_text(name)}, 'value': {column}}}]" for name, column in self.more.items()]
        entries = f"list_concat({', '.join(parts)})" if len(parts) > 1 else parts[0]
        exact = [key for key in self.known_keys if not key.endswith("*")]
        starts = [key[:-1] for key in self.known_keys if key.endswith("*")]
        # the cheap tests come first, and a CASE leaves out the rest for what they already dropped
        dropped = [
            f"e.value IS NULL OR length(e.value) NOT BETWEEN 1 AND {LONGEST_LABEL} OR coalesce(e.key, '') = ''",
            f"e.key IN ({', '.join(sql_text(key) for key in exact)})" if exact else "false",
            " OR ".join([f"starts_with(e.key, {sql_text(start)})" for start in starts] or ["false"]),
            "left(e.value, 1) IN ('{', '[')",
            f"regexp_matches(e.key, {sql_text(DENIED_KEYS)})",
            f"regexp_matches(e.value, {sql_text(DENIED_VALUES)})",
        ]
        kept = f"CASE {' '.join(f'WHEN {test} THEN false' for test in dropped)} ELSE true END"
        return f"list_filter({entries}, lambda e: {kept}) AS _label_entries"

    @staticmethod
    def keys() -> str:
        """SELECT item `_label_keys`."""
        return "list_transform(_label_entries, lambda e: e.key) AS _label_keys"

    @staticmethod
    def value() -> str:
        """SQL: the map. A map's keys are unique, so the first entry of a key counts."""
        first = "list_filter(_label_entries, lambda e, i: list_position(_label_keys, e.key) = i)"
        decoded = (
            f"CASE WHEN e.value LIKE '\"%' THEN coalesce({as_object('e.value')} ->> '$', e.value) ELSE e.value END"
        )
        return f"map_from_entries(list_transform({first}, lambda e: {{'key': e.key, 'value': {decoded}}}))"
