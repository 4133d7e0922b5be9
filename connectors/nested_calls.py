"""Nested spans that describe one call more than once: which of them are calls of their own."""

from __future__ import annotations


def calls_of_their_own(rows: str) -> str:
    """The rows of a query that are calls, without the wrappers around them.

    `rows` has the columns `node_id`, `node_trace`, `node_parent` (VARCHAR, NULL: none), `is_call_type` (BOOLEAN: the source says that it is a model
    call), `weight_tokens` and `weight_cost` (DOUBLE, NULL: none told). The result has all of them and the others.

    A row is a call when it is of a call type or carries usage or a cost. Of calls that nest, directly or through plain spans, the outer
    is a wrapper when it is of no call type, carries nothing itself, or its tokens (without tokens: its cost) are those of the
    calls right below it, together or of one of them. What lies in another file cannot be compared.
    """
    return f"""
        WITH RECURSIVE candidates AS (
            SELECT *, coalesce(is_call_type, false) OR weight_tokens IS NOT NULL OR weight_cost IS NOT NULL AS is_candidate
            FROM ({rows})
        ), nodes AS (
            SELECT node_id AS id, coalesce(node_trace, '') AS trace, any_value(node_parent) AS parent, bool_or(is_candidate) AS is_candidate
                 , coalesce(bool_or(is_call_type), false) AS is_call_type, max(weight_tokens) AS tokens, max(weight_cost) AS cost
            FROM candidates WHERE node_id IS NOT NULL GROUP BY 1, 2
        ), up AS (
            SELECT trace, id AS call, parent AS above FROM nodes WHERE is_candidate AND parent IS NOT NULL
            UNION
            SELECT up.trace, up.call, n.parent FROM up JOIN nodes n ON n.trace = up.trace AND n.id = up.above
            WHERE NOT n.is_candidate AND n.parent IS NOT NULL
        ), wrappers AS (
            SELECT w.trace, w.id
            FROM up
            JOIN nodes w ON w.trace = up.trace AND w.id = up.above
            JOIN nodes c ON c.trace = up.trace AND c.id = up.call
            WHERE w.is_candidate AND w.id <> c.id
            GROUP BY w.trace, w.id, w.is_call_type, w.tokens, w.cost
            HAVING NOT w.is_call_type OR (w.tokens IS NULL AND w.cost IS NULL)
                OR w.tokens = sum(c.tokens) OR bool_or(w.tokens = c.tokens) OR (w.tokens IS NULL AND w.cost = sum(c.cost))
        )
        SELECT c.* EXCLUDE (is_candidate)
        FROM candidates c ANTI JOIN wrappers w ON w.id = c.node_id AND w.trace = coalesce(c.node_trace, '')
        WHERE c.is_candidate"""
