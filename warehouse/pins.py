"""Pins: which old snapshots stay readable, and for whom.

`<store>/pins/<snapshot>` names its owners, one a line: "share s1a2b3c4", "backup 4711". A snapshot whose file exists is never removed (see
`warehouse.store.Writer.remove_unnamed_files`).
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Mapping

from warehouse.store import Store


def replace_pins(store: Store, kind: str, wanted: Mapping[str, Iterable[str]]) -> None:
    """Make the pins of this kind of owner exactly `wanted` (snapshot -> owners); those of other kinds stay."""
    store.pins.mkdir(parents=True, exist_ok=True)
    with (store.path / "pins.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for snapshot_id in {*wanted, *(path.name for path in store.pins.iterdir())}:
            path = store.pins / snapshot_id
            before = path.read_text(encoding="utf-8").splitlines() if path.exists() else None
            owners = [line for line in before or [] if line.split(" ")[0] != kind]
            owners += [f"{kind} {owner}" for owner in wanted.get(snapshot_id, ())]
            if owners:
                path.write_text("".join(f"{line}\n" for line in owners), encoding="utf-8")
            elif before:
                path.unlink()


def pinned(store: Store, kind: str) -> dict[str, list[str]]:
    """The snapshots that this kind of owner has pinned, with the owners."""
    found: dict[str, list[str]] = {}
    if not store.pins.exists():
        return found
    for path in sorted(store.pins.iterdir()):
        owners = [
            line.split(" ", 1)[1]
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith(f"{kind} ")
        ]
        if owners:
            found[path.name] = owners
    return found
