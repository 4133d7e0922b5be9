"""What is kept beside the facts: found again as it was, never found when stale, bounded, and no matter when it is lost."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from tests.warehouse.rows import call_rows
from warehouse import prepared as kept
from warehouse.configuration import Configuration
from warehouse.intake import Extraction
from warehouse.loading import Loading
from warehouse.prepared import FOLDER, Needs, is_prepared, prepared
from warehouse.reader import Warehouse, open_current
from warehouse.store import KEPT_SNAPSHOTS, Store
from warehouse.tag_rules import TagRule

VALUES = pa.table(
    {
        "amount": pa.array([Decimal("0.1000000001"), None], pa.decimal128(18, 10)),
        "at": pa.array([datetime(2026, 5, 1, 12, 30, 0, 5), None], pa.timestamp("us")),
        "hashes": pa.array([[1, 2**63], None], pa.list_(pa.uint64())),
        "name": pa.array(["é", None]),
    }
)
CALLS = Needs(facts=("calls",))


def load(path: Path, *extractions: Extraction) -> Warehouse:
    with Loading(Store(path), Configuration(), on_overlap="replace") as loading:
        for extraction in extractions:
            loading.add(extraction)
        loading.commit()
    return open_current(path, Configuration())


def month(number: int, cost: str = "1") -> Extraction:
    return call_rows([(f"c{number}", f"2026-{number:02d}-10 12:00:00", "search", cost)], file=f"{number}-{cost}.jsonl")


class Making:
    """A maker that counts how often it was needed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, pa.Table]:
        self.times += 1
        return {"values": VALUES}


def is_found(warehouse: Warehouse, needs: Needs, name: str = "sums") -> bool:
    making = Making()
    tables = prepared(warehouse, name, needs, making)
    assert tables["values"].equals(VALUES)
    return making.times == 0


def test_tables_are_found_again_as_they_were_by_whoever_opens_the_store(tmp_path: Path) -> None:
    warehouse = load(tmp_path, month(5))
    assert not is_prepared(warehouse, "sums", CALLS)
    assert not is_found(warehouse, CALLS)
    assert is_prepared(warehouse, "sums", CALLS)
    assert is_found(warehouse, CALLS)
    assert is_found(open_current(tmp_path, Configuration()), CALLS)
    assert not is_found(warehouse, CALLS, "others")
    assert not is_found(warehouse, Needs(facts=("calls",), inputs=("2026-05",)))


def test_what_was_made_of_a_month_stays_until_a_call_of_that_month_changes(tmp_path: Path) -> None:
    may = Needs(facts=("calls",), first=date(2026, 5, 1), last=date(2026, 5, 31))
    since_april = Needs(facts=("calls",), first=date(2026, 4, 30), last=date(2026, 5, 31), inputs=("since April",))
    warehouse = load(tmp_path, month(4), month(5))
    assert [is_found(warehouse, needs) for needs in (may, since_april, CALLS)] == [False] * 3
    warehouse = load(tmp_path, month(6))
    assert [is_found(warehouse, needs) for needs in (may, since_april, CALLS)] == [True, True, False]
    warehouse = load(tmp_path, month(4, "2"))
    assert [is_found(warehouse, needs) for needs in (may, since_april, CALLS)] == [True, False, False]
    warehouse = load(tmp_path, month(5, "2"))
    assert [is_found(warehouse, needs) for needs in (may, since_april, CALLS)] == [False] * 3


def test_other_prices_settings_or_virtual_tags_are_another_answer(tmp_path: Path) -> None:
    warehouse = load(tmp_path, month(5))
    needs = Needs(facts=("calls",), contents=("prices",))
    assert [is_found(warehouse, one) for one in (needs, CALLS)] == [False, False]
    assert is_found(open_current(tmp_path, Configuration()), needs)
    rule = TagRule("ours", "team", "data", (("feature", "search"),))
    assert not is_found(warehouse.with_tag_rules([rule]), needs)
    assert not is_found(open_current(tmp_path, Configuration(reporting_time_zone="Asia/Kolkata")), needs)
    changed = open_current(tmp_path, Configuration())
    changed.connection.execute("CREATE TABLE other AS SELECT * FROM prices")
    changed.connection.execute("DROP VIEW prices")
    changed.connection.execute("CREATE TABLE prices AS SELECT * REPLACE (amount + 1 AS amount) FROM other")
    assert not is_found(changed, needs)
    assert is_found(changed, CALLS)


def test_another_program_finds_nothing_of_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = load(tmp_path, month(5))
    assert not is_found(warehouse, CALLS)
    monkeypatch.setattr(kept, "_program", lambda: "another")
    assert not is_found(warehouse, CALLS)


def test_what_a_process_finds_out_after_a_catalogue_was_edited_is_its_own(tmp_path: Path) -> None:
    """It may still reckon with what it read before, as the GPUs do: whoever starts after the edit must not find that."""
    catalogue = tmp_path / "gpus.csv"
    catalogue.write_text("gpu,usd\nL4,0.80\n")
    begin = "from pathlib import Path; from warehouse import configuration; "
    begin += f"configuration.DATA = Path({str(tmp_path)!r}); from warehouse import prepared; "
    say, edit = "print(prepared.catalogues()); ", f"Path({str(catalogue)!r}).write_text('gpu,usd\\nL4,0.95\\n'); "

    def says(program: str) -> list[str]:
        answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        return answer.stdout.split("\n")[:-1]

    before, after = says(begin + say + edit + say)
    (fresh,) = says(begin + say)
    assert len({before, after, fresh}) == 3
    assert says(begin + say) == [fresh]


def test_rules_of_categories_that_were_edited_are_not_those_of_what_is_open(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    shutil.copy(Configuration().category_rules, rules)
    load(tmp_path / "store", month(5))
    configuration = Configuration(category_rules=rules)
    opened = open_current(tmp_path / "store", configuration)
    rules.write_text('[[rule]]\nname = "all"\ncategory = "Other"\nServiceName = "."\n')
    # Asked for the first time after the edit, and answered by the old rules all the same.
    assert not is_found(opened, CALLS)
    assert not is_found(open_current(tmp_path / "store", configuration), CALLS)


def test_a_store_put_back_and_loaded_again_has_other_files_of_the_same_names(tmp_path: Path) -> None:
    warehouse = load(tmp_path, month(5))
    assert not is_found(warehouse, CALLS)
    (file,) = Store(tmp_path).facts.glob("calls-*")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert not is_found(open_current(tmp_path, Configuration()), CALLS)


@pytest.mark.parametrize("damage", [b"", b"ARROW1 and no more"])
@pytest.mark.parametrize("part", ["values.arrow", "about.json"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, part: str, damage: bytes) -> None:
    warehouse = load(tmp_path, month(5))
    assert not is_found(warehouse, CALLS)
    (folder,) = (tmp_path / FOLDER).iterdir()
    (folder / part).write_bytes(damage)
    assert not is_found(warehouse, CALLS)
    assert is_found(warehouse, CALLS)


def test_a_single_flipped_bit_is_noticed_by_the_next_process(tmp_path: Path) -> None:
    warehouse = load(tmp_path, month(5))
    assert not is_found(warehouse, CALLS)
    (folder,) = (tmp_path / FOLDER).iterdir()
    path = folder / "values.arrow"
    content = bytearray(path.read_bytes())
    amount = content.index((1_000_000_001).to_bytes(16, "little"))
    content[amount] ^= 1
    path.write_bytes(content)
    # Arrow itself reads it without a word, as another amount.
    assert pa.ipc.open_file(path).read_all()["amount"][0].as_py() == Decimal("0.1000000000")
    assert not is_found(warehouse, CALLS)
    assert is_found(warehouse, CALLS)


def test_where_nothing_can_be_written_everything_is_made(tmp_path: Path) -> None:
    warehouse = load(tmp_path, month(5))
    (tmp_path / FOLDER).write_text("in the way")
    assert not is_found(warehouse, CALLS)
    assert not is_found(warehouse, CALLS)


def test_what_raises_is_not_kept(tmp_path: Path) -> None:
    warehouse = load(tmp_path, month(5))

    def fails() -> dict[str, pa.Table]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        prepared(warehouse, "sums", CALLS, fails)
    assert not is_found(warehouse, CALLS)


def test_what_was_asked_for_longest_ago_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = load(tmp_path, month(5))
    needs = [Needs(facts=("calls",), inputs=(str(number),)) for number in range(4)]
    assert not is_found(warehouse, needs[0])
    (folder,) = (tmp_path / FOLDER).iterdir()
    size = sum(part.stat().st_size for part in folder.iterdir())
    monkeypatch.setattr(kept, "LEAST_ROOM", 2 * size + size // 2)
    monkeypatch.setattr(kept, "MOST_OF_FACTS", 0.0)
    assert not is_found(warehouse, needs[1])
    for path in (tmp_path / FOLDER).iterdir():
        os.utime(path, (time.time() - 60, time.time() - 60))
    # The first is asked for again, so that the second is the one asked for longest ago.
    assert is_found(warehouse, needs[0])
    assert not is_found(warehouse, needs[2])
    assert [is_prepared(warehouse, "sums", one) for one in needs] == [True, False, True, False]


def test_what_was_made_of_files_that_are_gone_is_removed(tmp_path: Path) -> None:
    assert not is_found(load(tmp_path, month(5)), CALLS)
    for number in range(KEPT_SNAPSHOTS):
        warehouse = load(tmp_path, month(5, str(number + 2)))
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
    assert not is_found(warehouse, CALLS)
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_tables_that_were_read_stay_readable_when_their_files_are_removed(tmp_path: Path) -> None:
    warehouse = load(tmp_path, month(5))
    assert not is_found(warehouse, CALLS)
    tables = prepared(warehouse, "sums", CALLS, Making())
    for path in list((tmp_path / FOLDER).iterdir()):
        kept._remove(path)
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert tables["values"].equals(VALUES)


def _ask(path: Path, begin: Callable[[], object], program: str) -> None:
    kept._program = lambda: program  # type: ignore[assignment]
    warehouse = open_current(path, Configuration())
    begin()
    assert prepared(warehouse, "sums", CALLS, Making())["values"].equals(VALUES)


def test_two_processes_that_make_the_same_leave_it_once_and_whole(tmp_path: Path) -> None:
    load(tmp_path, month(5))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_ask, args=(tmp_path, barrier.wait, kept._program())) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
    assert is_found(open_current(tmp_path, Configuration()), CALLS)


def test_an_empty_store_keeps_nothing(tmp_path: Path) -> None:
    warehouse = open_current(tmp_path / "store", Configuration())
    assert not is_found(warehouse, CALLS)
    assert not is_prepared(warehouse, "sums", CALLS)
    assert not (tmp_path / "store").exists()
