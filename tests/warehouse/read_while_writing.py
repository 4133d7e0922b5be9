"""A reader process for test_store: opens the current snapshot again and again until told to stop."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from warehouse.configuration import Configuration
from warehouse.reader import open_current

if __name__ == "__main__":
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    print("reading", flush=True)  # noqa: T201 - tells the parent that imports are done
    sums: set[str] = set()
    errors: list[str] = []
    reads = 0
    while not stop.is_set():
        try:
            warehouse = open_current(Path(sys.argv[1]), Configuration())
            table = warehouse.table("charges")
            sums.add(str(warehouse.row(table.agg(total=table.BilledCost.sum()))["total"].normalize()))
            reads += 1
        except Exception as error:
            errors.append(repr(error))
    print(json.dumps({"sums": sorted(sums), "errors": errors, "reads": reads}))  # noqa: T201 - the answer
