"""A query as people write it: `:since` and `:until` stand for the bounds of the period, whatever else has a colon or a per cent sign."""

from __future__ import annotations

import re

BOUNDS = ("since", "until")

_TOKEN = re.compile(
    r"""'(?:[^']|'')*'                # text
      | "(?:[^"]|"")*"                # a quoted name
      | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$  # dollar quotes
      | --[^\n]*                      # a comment to the end of the line
      | /\*.*?\*/                     # a comment
      | ::                            # a cast
      | :(?P<bound>since|until)\b
      | %""",
    re.VERBOSE | re.DOTALL,
)


def bound(query: str) -> tuple[str, set[str]]:
    """The query with the bounds as named parameters of psycopg, and which bounds it has.

    Texts, quoted names, comments and casts (`::date`) stay as they are.
    """
    used: set[str] = set()

    def replaced(match: re.Match[str]) -> str:
        name = match["bound"]
        if name:
            used.add(name)
            return f"%({name})s"
        return match[0].replace("%", "%%")

    return _TOKEN.sub(replaced, query.strip().rstrip(";")), used
