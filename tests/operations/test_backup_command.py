"""Back-ups: there and back again, beside a running load, and never taken for whole when they are not."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sqlite3
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.operations.bills import line, write
from tests.operations.command import PERCALL, environment, percall, totals
from warehouse.pins import pinned
from warehouse.share_records import Share, Shares
from warehouse.state import State
from warehouse.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a bill, a saved rule and a shared link."""
    bill = write(tmp_path / "bill.csv", [line(day=day, cost=f"{day}.25") for day in range(1, 8)])
    assert percall("load", bill, store=tmp_path / "store").code == 0
    State(tmp_path / "store").save("note", "march", {"text": "agreed"}, author="Ann")
    return tmp_path / "store"


def test_there_and_back_again(store: Path, tmp_path: Path) -> None:
    made = percall("share", "create", "overview", store=store).json
    token = made["url"].rpartition("/")[2]
    # The link's snapshot is an old one by now.
    assert percall("load", write(tmp_path / "more.csv", [line("other", "5.00")]), store=store).code == 0
    created = percall("backup", "create", tmp_path / "a.tar", store=store)
    assert created.code == 0, created.err
    assert created.json["rows"]["charges"] == 8
    assert stat.S_IMODE((tmp_path / "a.tar").stat().st_mode) == 0o600
    assert percall("backup", "verify", tmp_path / "a.tar").json == created.json
    restored = percall("backup", "restore", tmp_path / "a.tar", store=tmp_path / "back")
    assert restored.code == 0, restored.err
    assert totals(tmp_path / "back") == totals(store)
    assert [note.body for note in State(tmp_path / "back").documents("note")] == [{"text": "agreed"}]
    found = Shares(tmp_path / "back").find(token)
    assert isinstance(found, Share)
    assert percall("share", "check", made["id"], store=tmp_path / "back").code == 0
    # The restored store is one like any other: it can be loaded into, and the link's snapshot stays.
    assert percall("load", write(tmp_path / "again.csv", [line("third", "7.00")]), store=tmp_path / "back").code == 0
    assert percall("share", "check", made["id"], store=tmp_path / "back").code == 0
    actions = [row["action"] for row in percall("export", "audit", "--format", "json", store=tmp_path / "back").json]
    assert "restored" in actions
    assert "backed up" in actions


def test_a_backup_beside_running_loads_is_one_snapshot(store: Path, tmp_path: Path) -> None:
    script = "\n".join(
        f"'{PERCALL}' --store '{store}' load '{write(tmp_path / f'part{number}.csv', [line(f'account-{number}', '10.00')])}' >/dev/null"
        for number in range(2)
    )
    loads = subprocess.Popen(["bash", "-c", script], env=environment(), cwd=tmp_path)
    made = []
    while loads.poll() is None and len(made) < 12:
        target = tmp_path / f"b{len(made)}.tar"
        assert percall("backup", "create", target, store=store).code == 0
        made.append(target)
    assert loads.wait() == 0
    last = tmp_path / "last.tar"
    assert percall("backup", "create", last, store=store).code == 0
    assert pinned(Store(store), "backup") == {}
    base = sum(day + 0.25 for day in range(1, 8))
    sums = set()
    for number, target in enumerate([*made[:: max(1, len(made) // 3)], last]):
        assert percall("backup", "restore", target, store=tmp_path / f"r{number}").code == 0
        sums.add(float(totals(tmp_path / f"r{number}")["billed"]))
    # What was loaded at some moment, never a mix: the first bill and a whole number of parts.
    assert sums <= {base + 10 * parts for parts in range(3)}
    assert base + 20 in sums


def changed(source: Path, target: Path, member: str, content: bytes | None, *, listed: bool = False) -> Path:
    """A copy of a back-up with one member replaced or left out; `listed`: its digest in the list of contents too."""
    with tarfile.open(source) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    if content is None:
        del files[member]
    else:
        files[member] = content
    if listed and content is not None:
        about = json.loads(files["contents.json"])
        about["files"][member] = hashlib.sha256(content).hexdigest()
        files["contents.json"] = json.dumps(about).encode()
    with tarfile.open(target, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target


def test_what_is_not_whole_is_found_out_and_never_restored(store: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.tar"
    percall("backup", "create", good, store=store)
    with tarfile.open(good) as archive:
        fact = next(name for name in archive.getnames() if name.startswith("facts/charges"))
        state = archive.extractfile("state.sqlite").read()  # type: ignore[union-attr]
    edited = tmp_path / "edited.sqlite"
    edited.write_bytes(state)
    with contextlib.closing(sqlite3.connect(edited)) as connection:
        connection.execute("DROP TRIGGER audit_is_never_changed")
        connection.execute("UPDATE audit SET who = 'nobody'")
        connection.commit()
    bad = [
        (changed(good, tmp_path / "1.tar", fact, b"not a database"), 1, "is not what was written"),
        (changed(good, tmp_path / "2.tar", fact, None), 1, fact),
        (changed(good, tmp_path / "3.tar", "facts/more.duckdb", b"x"), 1, "facts/more.duckdb"),
        (changed(good, tmp_path / "4.tar", "state.sqlite", edited.read_bytes(), listed=True), 1, "audit log"),
        (changed(good, tmp_path / "5.tar", "contents.json", None), 2, "no complete back-up"),
        (changed(good, tmp_path / "6.tar", "../escape", b"x"), 2, "no complete back-up"),
    ]
    cut = tmp_path / "7.tar"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    other = tmp_path / "8.tar"
    other.write_bytes(b"hello")
    bad += [
        (cut, 2, "no complete back-up"),
        (other, 2, "no complete back-up"),
        (tmp_path / "9.tar", 2, "does not exist"),
    ]
    for path, code, words in bad:
        for command in (("verify", path), ("restore", path)):
            answer = percall("backup", *command, store=tmp_path / "never")
            assert (answer.code, answer.out) == (code, b""), (path, answer.err)
            assert words in answer.err
            assert "Traceback" not in answer.err
    assert not (tmp_path / "never").exists()
    assert not (tmp_path / "escape").exists()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".percall")] == []


def test_nothing_is_written_over(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.tar"
    assert percall("backup", "create", target, store=store).code == 0
    before = target.read_bytes()
    again = percall("backup", "create", target, store=store)
    assert (again.code, target.read_bytes()) == (2, before)
    assert "never replaces one" in again.err
    into = percall("backup", "restore", target, store=store)
    assert into.code == 2
    assert "restore into a new folder" in into.err


def test_an_empty_store_has_nothing_to_back_up(tmp_path: Path) -> None:
    answer = percall("backup", "create", tmp_path / "a.tar", store=tmp_path / "empty")
    assert answer.code == 2
    assert "nothing to back up" in answer.err
    assert list(tmp_path.iterdir()) == []
