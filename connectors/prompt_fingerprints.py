"""Fingerprints of a prompt, so that equal inputs and shared prefixes can be found without keeping any text.

Both are computed over the compact JSON text of the messages (or over a plain prompt text), as DuckDB writes it: no blanks between
elements, escapes resolved, keys in the order in which the caller sent them.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from connectors.dimensions import as_object
from connectors.files import sql_text

BLOCK_CHARACTERS = 1024
"""Length of a prefix block in characters (about 256 tokens of English), counted from the start of the prompt."""

MOST_BLOCKS = 256
"""Blocks kept per call: prefixes are told apart in the first 262,144 characters."""

REDACTED = "redacted-by-"
"""Gateways that keep no texts write `redacted-by-litellm` and the like: such messages are all alike and say nothing."""


def normalised_text(expression: str) -> str:
    """SQL: the prompt's text for fingerprints; NULL when the source kept none."""
    compact = f"coalesce({as_object(expression)} ->> '$', {expression})"
    empty = "('', '{}', '[]', '\"\"', 'null')"
    return f"CASE WHEN {expression} IN {empty} OR contains({expression}, {sql_text(REDACTED)}) THEN NULL ELSE {compact} END"


def input_hash(text: str) -> str:
    """SQL: SHA-256 (hexadecimal) of the whole input, from `normalised_text`. Equal inputs have equal hashes."""
    return f"sha256({text})"


def block_hashes(text: str) -> str:
    """SQL: one MD5 per full block of `BLOCK_CHARACTERS`, for `prefix_blocks`. The closing bracket of the list is no part of a prefix."""
    blocks = f"least((length({text}) - 1) // {BLOCK_CHARACTERS}, {MOST_BLOCKS})"
    return (
        f"CASE WHEN {text} IS NOT NULL THEN list_transform(range(greatest({blocks}, 0)), "
        f"lambda b: md5(substr({text}, b * {BLOCK_CHARACTERS} + 1, {BLOCK_CHARACTERS}))) END"
    )


def prefix_blocks(hashes: str) -> str:
    """SQL: UBIGINT[], from `block_hashes`: element n stands for everything up to the end of block n, so two prompts share exactly
    as many leading elements as full blocks. The lower half of an MD5, which does not change between versions of the engine."""
    return f"list_transform({hashes}, lambda h, n: md5_number_lower(array_to_string(list_slice({hashes}, 1, n), '')))"


def fingerprints(messages: Sequence[str | None]) -> list[tuple[str | None, list[int] | None]]:
    """(input hash, prefix blocks) of texts as they stand in a request, in their order: the same as in a file that holds them.

    For sources that take the texts away before anything is written: they are in memory alone, for as long as this runs.
    """
    if not any(messages):
        return [(None, None)] * len(messages)
    with duckdb.connect(":memory:", config={"temp_directory": ""}) as connection:
        connection.execute("CREATE TABLE told (number BIGINT, messages VARCHAR)")
        connection.executemany("INSERT INTO told VALUES (?, ?)", list(enumerate(messages)))
        rows = connection.execute(
            f"""SELECT {input_hash("prompt")}, {prefix_blocks("blocks")} FROM (
                    SELECT number, prompt, {block_hashes("prompt")} AS blocks
                    FROM (SELECT number, {normalised_text("messages")} AS prompt FROM told)
                ) ORDER BY number"""
        ).fetchall()
    return [(row[0], row[1]) for row in rows]
