"""A price book that was loaded holds for every later load, not only for its own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from connectors.intake import load_paths
from tests.connectors.live.stored import rows
from warehouse.configuration import Configuration
from warehouse.store import Store

HEADER = "book,provider,model,token_class,amount,valid_from,source\n"
CALL = "call_id,started_at,provider,model,input_tokens,output_tokens\n{0},2026-03-{0:02}T10:00:00Z,google,made-up-1,1000000,0\n"


def test_loaded_prices_are_kept_and_price_later_calls(tmp_path: Path) -> None:
    store = tmp_path / "store"

    def load(kind: str, text: str, on_overlap: str = "ask") -> None:
        path = tmp_path / f"{kind}.csv"
        path.write_text(text, encoding="utf-8")
        assert [report.status for report in load_paths(Store(store), Configuration(), [path], kind, on_overlap)] == [
            "stored"
        ]

    def book() -> dict[str, Decimal]:
        return {
            f"{row['valid_from']:%m-%d}": row["amount"] for row in rows(store, "prices") if row["book"] == "contract"
        }

    load("prices", HEADER + "contract,google,made-up-1,input,3,2026-01-01,order\n")
    load("calls", CALL.format(5))
    load("prices", HEADER + "contract,google,made-up-1,input,2,2026-03-10,order\n")
    load("calls", CALL.format(15), "add")
    assert book() == {"01-01": 3, "03-10": 2}
    assert {row["call_id"]: row["cost"] for row in rows(store, "calls")} == {"5": 3, "15": 2}
    load("prices", HEADER + "contract,google,made-up-1,input,4,2026-01-01,corrected order\n")
    assert book() == {"01-01": 4, "03-10": 2}
    load("prices", HEADER + "contract,google,made-up-1,input,5,2026-02-01,new contract\n", "replace")
    assert book() == {"02-01": 5}
