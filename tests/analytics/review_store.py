"""A store of six weeks with sums that can be done in the head, for the weekly review.

From Monday 20 April to Sunday 31 May 2026, every call 1 USD, every day: `ask` 10 calls, `write` 2 calls (5 in the last week), 1 call without a
feature; `ask` earns 4 USD a day, `write` 50. So the last week costs 7 x 16 = 112 and the one before 7 x 13 = 91.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from tests.operations.command import percall

FIRST, LAST_MONDAY = date(2026, 4, 20), date(2026, 5, 25)
DAYS = 42


def calls(days: int = DAYS, names: tuple[str, str] = ("ask", "write")) -> str:
    """The calls as a CSV file of so many days."""
    rows = ["call_id,started_at,model,feature,user_tier,input_tokens,output_tokens,reported_cost"]
    for number in range(days):
        day = FIRST + timedelta(days=number)
        counts = ((names[0], 10), (names[1], 5 if day >= LAST_MONDAY else 2), ("", 1))
        for feature, count in counts:
            rows += [
                f'{day}-{feature}-{at},{day}T{9 + at:02d}:00:00Z,gpt-4o,"{feature}",pro,100,50,1.00'
                for at in range(count)
            ]
    return "\n".join(rows) + "\n"


def revenue(days: int = DAYS, names: tuple[str, str] = ("ask", "write")) -> str:
    """What both features earn."""
    rows = ["date,feature,user_tier,amount,currency"]
    for number in range(days):
        day = FIRST + timedelta(days=number)
        rows += [f'{day},"{names[0]}",pro,4,USD', f'{day},"{names[1]}",pro,50,USD']
    return "\n".join(rows) + "\n"


def build(folder: Path, days: int = DAYS, names: tuple[str, str] = ("ask", "write")) -> Path:
    """Load such a store below a folder; answers with its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calls.csv").write_text(calls(days, names))
    (folder / "revenue.csv").write_text(revenue(days, names))
    answer = percall("load", folder / "calls.csv", folder / "revenue.csv", store=folder / "store")
    assert answer.code == 0, answer.err
    assert sum(line["rows_rejected"] for line in answer.lines) == 0
    return folder / "store"
