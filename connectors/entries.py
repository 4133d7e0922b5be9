"""Names with values as JSON object text, built in SQL from lists of {k, v}: tags, SKU details, columns kept aside."""

from __future__ import annotations

NO_ENTRIES = "CAST([] AS STRUCT(k VARCHAR, v VARCHAR)[])"


def json_object(entries: str, *, unique: bool = False) -> str:
    """JSON object text of a column of {k, v} lists: entries without key or value are left out, of equal keys the first
    counts, keys are sorted so that equal tags are equal text.

    `unique`: no key can come twice and they are in order already, which is several times faster.
    """
    filled = f"list_filter({entries}, lambda e: e.v IS NOT NULL AND e.v <> '' AND e.k <> '')"
    if unique:
        return f"CAST(to_json(map_from_entries({filled})) AS VARCHAR)"
    first = f"list_filter({filled}, lambda e, i: list_position(list_transform({filled}, lambda o: o.k), e.k) = i)"
    return f"CAST(to_json(map_from_entries(list_sort({first}))) AS VARCHAR)"
