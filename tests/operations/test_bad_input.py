"""Broken and hostile rows, paths and settings on the command line: said in a sentence, and never at the cost of good data, new or old."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.operations.bills import call, line, write, write_calls
from tests.operations.command import (
    PERCALL,
    REPOSITORY,
    Answer,
    billed,
    environment,
    money,
    percall,
    percall_measured,
    totals,
    within,
)
from tests.operations.former_data import FORMER, GOOD, rejects


@pytest.fixture
def store(former: Path, tmp_path: Path) -> Path:
    """The same, to be written to."""
    return Path(shutil.copytree(former, tmp_path / "store"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A bill of $2.50 without any fault."""
    return write(tmp_path / "good.csv", [line("good", "2.50")])


BAD_LINES = {
    "no cost": (line("bad", ""), "BilledCost", ["missing"]),
    "a cost that is no number": (line("bad", "NaN"), "BilledCost", ["NaN", "plain number"]),
    "an endless cost": (line("bad", "inf"), "BilledCost", ["inf", "plain number"]),
    "a cost beyond every bill": (line("bad", "1e400"), "BilledCost", ["1e400", "plain number"]),
    "a cost in words": (line("bad", "=1+1"), "BilledCost", ["=1+1", "plain number"]),
    "an effective cost that is no number": (line("bad", EffectiveCost="-nan"), "EffectiveCost", ["-nan"]),
    "1970": (line("bad", ChargePeriodStart="1970-01-01T00:00:00Z"), "ChargePeriodStart", ["1970", "2006"]),
    "2262": (line("bad", ChargePeriodEnd="2262-04-11T23:47:17Z"), "ChargePeriodEnd", ["2262", "ten years"]),
    "the end of time": (line("bad", BillingPeriodStart="9999-12-31T00:00:00Z"), "BillingPeriodStart", ["9999"]),
    "no time": (line("bad", ChargePeriodStart="soon"), "ChargePeriodStart", ["soon", "2026-03-01T00:00:00Z"]),
    "a period that runs backwards": (
        line("bad", ChargePeriodEnd="2026-03-01T00:00:00Z"), "ChargePeriodEnd", ["ends", "before it starts"],
    ),
    "a currency that is none": (line("bad", BillingCurrency="<b>"), "BillingCurrency", ["<B>", "ISO 4217"]),
}  # fmt: skip

BAD_CALLS = {
    "negative input": (call(91, uncached_input_tokens="-5"), "uncached_input_tokens"),
    "negative output": (call(92, output_tokens="-1"), "output_tokens"),
    "tokens without end": (call(93, output_tokens="9" * 40), "output_tokens"),
    "half a token in words": (call(94, output_tokens="many"), "output_tokens"),
    "a cost that is no number": (call(95, reported_cost="NaN"), "reported_cost"),
    "an endless cost": (call(96, reported_cost="-Infinity"), "reported_cost"),
    "1970": (call(97, started_at="1970-01-01T00:00:00Z"), "started_at"),
    "2262": (call(98, started_at="2262-04-11T23:47:17Z"), "started_at"),
    "a time in words": (call(99, started_at="yesterday"), "started_at"),
}


@dataclass(frozen=True)
class Mixture:
    """A bill and a call log whose every second row is bad, loaded in one command."""

    store: Path
    answer: Answer
    rejects: dict[tuple[str, int | None], tuple[str | None, str]]


@pytest.fixture(scope="module")
def mixture(former: Path, tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    """See `Mixture`."""
    folder = tmp_path_factory.mktemp("mixture")
    store = Path(shutil.copytree(former, folder / "store"))
    rows = [part for bad, *_ in BAD_LINES.values() for part in (line("good", "0.25"), bad)]
    calls = [part for number, (bad, _) in enumerate(BAD_CALLS.values()) for part in (call(number, "0.01"), bad)]
    answer = percall("load", write(folder / "bill.csv", rows), write_calls(folder / "calls.csv", calls), store=store)
    return Mixture(store, answer, {row[:2]: row[2:] for row in rejects(store)})


def test_bad_rows_are_counted_and_the_good_ones_between_them_kept(mixture: Mixture) -> None:
    assert mixture.answer.code == 0, mixture.answer.err
    counts = {row["kind"]: (row["rows_in"], row["rows_kept"], row["rows_rejected"]) for row in mixture.answer.lines}
    lines, calls = len(BAD_LINES), len(BAD_CALLS)
    assert counts == {"focus": (2 * lines, lines, lines), "calls": (2 * calls, calls, calls)}
    assert f"bill.csv: {lines} rows rejected; `percall export rejects` lists them" in mixture.answer.err
    assert f"calls.csv: {calls} rows rejected" in mixture.answer.err
    now = totals(mixture.store)
    assert money(now["billed"]) == FORMER + lines * Decimal("0.25")
    assert (now["calls"], money(now["reported_call_cost"])) == (calls, calls * Decimal("0.01"))
    assert len(mixture.rejects) == lines + calls


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_rejected_line_is_told_with_row_column_and_reason(mixture: Mixture, name: str) -> None:
    _, column, words = BAD_LINES[name]
    at, reason = mixture.rejects["bill.csv", 2 * list(BAD_LINES).index(name) + 2]
    assert at == column
    for word in words:
        assert word in reason


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_rejected_call_is_told_with_row_column_and_reason(mixture: Mixture, name: str) -> None:
    bad, column = BAD_CALLS[name]
    at, reason = mixture.rejects["calls.csv", 2 * list(BAD_CALLS).index(name) + 2]
    assert at == column
    assert str(bad[column]) in reason


def test_broken_text_costs_its_own_row(store: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "text.csv", [line("good", "0.50", day) for day in range(1, 6)])
    rows = path.read_bytes().splitlines()
    rows[2] = rows[2].replace(b"an hour", b"une ann\xe9e")  # Latin-1
    rows[3] = rows[3].replace(b"an hour", b'"an hour')  # a quote that is never closed
    rows[4] = rows[4].replace(b"an hour", b"an\x00hour")
    path.write_bytes(b"\n".join(rows) + b"\n")
    answer = percall("load", path, store=store)
    assert answer.code == 0, answer.err
    assert billed(store) == FORMER + 2 * Decimal("0.50")
    told = {row: reason for _, row, _, reason in rejects(store)}
    assert sorted(told) == [2, 3, 4]
    assert "UTF-8" in told[2]
    assert "quote" in told[3]
    assert "NUL" in told[4]


@pytest.mark.parametrize("kind", ["focus", "litellm", "langfuse-export", "prices"])
def test_a_file_of_another_kind_than_was_said_is_refused(former: Path, tmp_path: Path, kind: str) -> None:
    store = Path(shutil.copytree(former, tmp_path / "store"))
    answer = percall("load", kind, write_calls(tmp_path / "calls.csv", [call()]), store=store)
    assert answer.code == 2
    assert (
        answer.err == f"calls.csv: refused: this is a file of kind calls, not {kind}; load it without naming a kind\n"
    )
    assert billed(store) == FORMER


def test_a_file_without_one_good_row_is_refused_and_may_come_again(store: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.csv", [line("bad", "x"), line("bad", "")])
    for _ in range(2):
        answer = percall("load", path, store=store)
        assert answer.code == 2
        assert "bad.csv: refused: no row can be used" in answer.err
        assert answer.lines[0]["rows_rejected"] == 2
    assert billed(store) == FORMER


def test_a_giant_line_is_dropped_in_bounded_memory(former: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(former, tmp_path / "store"))
    path = write(tmp_path / "giant.csv", [line("good", "0.50"), line("good", "0.50", 3)])
    header, first, last = path.read_bytes().splitlines(keepends=True)
    with path.open("wb") as stream:
        stream.write(header + first)
        giant = first.rstrip().replace(b"an hour", b"x" * (1 << 20))
        stream.write(giant)
        for _ in range(64):
            stream.write(b"x" * (1 << 20))
        stream.write(b"\n" + last)
    answer, peak = percall_measured("--store", store, "load", path, folder=tmp_path)
    assert answer.code == 0, answer.err
    assert peak < 1000
    (row,) = answer.lines
    assert (row["rows_in"], row["rows_kept"], row["rows_rejected"], row["billed"]) == (3, 2, 1, "1.000000000000")
    ((_, at, _, reason),) = rejects(store)
    assert at == 2
    assert "longer than 16 MB" in reason


def test_a_bomb_of_quotes_costs_itself(store: Path, good: Path, tmp_path: Path) -> None:
    header, row = write(tmp_path / "bomb.csv", [line("bomb", "0.50")]).read_text().splitlines()
    lines = [header, *['"' * 9 + row] * 20_000, row]
    (tmp_path / "bomb.csv").write_text("\n".join(lines) + "\n")
    answer = percall("load", tmp_path / "bomb.csv", good, store=store)
    assert billed(store, "bomb") == Decimal("0.50"), answer.err
    assert billed(store) == FORMER + GOOD + Decimal("0.50")
    assert "bomb.csv: 20000 rows rejected" in answer.err


def _loop(folder: Path) -> Path:
    (folder / "one").symlink_to(folder / "two")
    (folder / "two").symlink_to(folder / "one")
    return folder / "one"


def _barren(folder: Path) -> Path:
    (folder / "barren").mkdir()
    (folder / "barren" / "README.md").write_text("nothing here")
    (folder / "barren" / "round").symlink_to(folder / "barren")
    return folder / "barren"


def _unreadable(folder: Path) -> Path:
    path = write(folder / "secret.csv", [line("bad")])
    path.chmod(0)
    return path


def _badly_named(folder: Path) -> Path:
    path = folder / os.fsdecode(b"caf\xe9.csv")
    write(path, [line("bad")])
    return path


NOWHERE = {
    "no such path": (lambda folder: folder / "nothing.csv", ["nothing.csv", "no such file or folder"]),
    "a pattern without a match": (lambda folder: folder / "nothing-*.csv", ["nothing-*.csv", "no such file"]),
    "a name too long for any file": (lambda folder: folder / ("x" * 300), ["xxx", "too long"]),
    "links in a circle": (_loop, ["one", "no such file or folder"]),
    "a folder without data": (_barren, ["barren", "the folder holds no data files"]),
    "a name that is not UTF-8": (_badly_named, ["caf\\xe9.csv", "not UTF-8", "rename"]),
} | ({"a file of somebody else's": (_unreadable, ["secret.csv", "Permission denied"])} if os.geteuid() else {})


@pytest.mark.parametrize(("make", "words"), NOWHERE.values(), ids=NOWHERE.keys())
def test_a_name_that_leads_nowhere_is_told_and_the_others_are_loaded(
    store: Path, good: Path, tmp_path: Path, make: Callable[[Path], Path], words: list[str]
) -> None:
    bad = make(tmp_path)
    answer = percall("load", bad, good, store=store)
    assert answer.code == 2
    (sentence,) = [text for text in answer.err.splitlines() if "good.csv" not in text]
    for word in words:
        assert word in sentence
    assert billed(store) == FORMER + GOOD


@pytest.mark.parametrize(
    "make", [make for name, (make, _) in NOWHERE.items() if "UTF-8" not in name and "somebody" not in name]
)
def test_when_every_name_leads_nowhere_nothing_happens(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    answer = percall("load", make(tmp_path), store=tmp_path / "store")
    assert answer.code == 2
    assert answer.err.startswith("percall: ")
    assert answer.out == b""
    assert not (tmp_path / "store").exists()


ODD_NAMES = (
    "it's \"quoted\".csv", "line\nbreak.csv", "\x1b[31mred\x1b[0m.csv", "hóa đơn 请求 🧾.csv", "a[1].csv", "*.csv", "what?.csv", "{a,b}.csv",
    "%s %d.csv", "[bold].csv", "-o.csv", "BilledCost=7.csv", "; DROP TABLE charges --.csv", "$(touch x).csv",
)  # fmt: skip


def test_odd_file_names_are_names_like_others(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "BilledCost=9" / "odd [names] *"
    folder.mkdir(parents=True)
    for number, name in enumerate(ODD_NAMES):
        write(folder / name, [line(f"odd-{number}", f"0.{number + 1:02}"), line("bad", "x", ListCost="")])
        pa_table = pa.Table.from_pylist([line(f"typed-{number}", f"0.{number + 1:02}")])
        parquet.write_table(pa_table, folder / f"{name.removesuffix('.csv')}.parquet")
    answer = percall("load", *(folder / name for name in ODD_NAMES), folder, store=store)
    assert answer.code == 0, answer.err
    expected = sum(Decimal(f"0.{number + 1:02}") for number in range(len(ODD_NAMES)))
    assert billed(store) == FORMER + 2 * expected
    assert {name for name, *_ in rejects(store)} == set(ODD_NAMES)
    assert len(answer.err.splitlines()) == len(ODD_NAMES)
    assert all(sign.isprintable() for sign in answer.err.replace("\n", ""))


WRONG_SETTINGS = {
    "no TOML": ("[percall", "not valid TOML"),
    "not UTF-8": ("# caf\xe9", "not valid TOML"),
    "no table": ("percall = 3", "[percall]"),
    "a zone that is none": ('[percall]\nreporting_time_zone = "Mars/Base"', "Mars/Base"),
    "a path for a zone": ('[percall]\nreporting_time_zone = "../../etc/passwd"', "../../etc/passwd"),
    "a number for a zone": ("[percall]\nreporting_time_zone = 7", "reporting_time_zone"),
    "a word for keys": ('[percall]\ntag_keys = "feature"', "tag_keys"),
    "a word for a list of keys": ('[percall.tag_keys]\nfeature = "usecase"', "tag_keys"),
    "a word for days": ('[percall.usual_lag_days]\nfocus = "two"', "usual_lag_days"),
    "a word for yes": ('[percall]\nstore_texts = "no"', "store_texts"),
    "a setting that is none": ("[percall]\ncolour = 1", "colour"),
}


@pytest.mark.parametrize(("text", "word"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS.keys())
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, word: str) -> None:
    config = tmp_path / "percall.toml"
    config.write_bytes(text.encode("latin-1"))
    answer = percall("export", "totals", store=tmp_path / "store", config=config)
    assert answer.code == 2
    assert answer.err.startswith(f"percall: {config}")
    assert word in answer.err


SCENARIO = REPOSITORY / "data" / "scenarios" / "march-to-may.toml"

MISUSES: dict[str, tuple[list[str], str]] = {
    "a file for a store, written": (["--store", "file", "load", "bill.csv"], "a file"),
    "a file for a store, read": (["--store", "file", "export", "totals"], "a file"),
    "below a file": (["--store", "file/store", "load", "bill.csv"], "a file"),
    "a folder for settings": (["--config", ".", "export", "totals"], "directory"),
    "no such settings": (["--config", "no.toml", "export", "totals"], "does not exist"),
    "output into no folder": (["export", "totals", "-o", "no/x.csv"], "no/x.csv"),
    "output onto a folder": (["export", "totals", "-o", "."], "directory"),
    "a kind alone": (["load", "focus"], "which files"),
    "both ways to settle an overlap": (["load", "--add", "--replace", "bill.csv"], "exclude each other"),
    "output where nobody may write": (["export", "totals", "-o", "/sys/x.csv"], "give the user"),
    "a replay of nothing": (["simulate", str(SCENARIO)], "percall demo"),
    "no port": (["serve", "--port", "99999"], "65535"),
    "no command": ([], "command"),
    "a command that is none": (["lod", "bill.csv"], "lod"),
}


@pytest.mark.parametrize(("arguments", "word"), MISUSES.values(), ids=MISUSES.keys())
def test_misuse_is_answered_in_a_sentence(tmp_path: Path, arguments: list[str], word: str) -> None:
    write(tmp_path / "bill.csv", [line()])
    (tmp_path / "file").write_text("")
    own = [] if "--store" in arguments else ["--store", "store"]
    with within(tmp_path):
        answer = percall(*own, *arguments)
    assert answer.code == 2
    assert word in answer.err
    assert answer.out == b""


def test_a_broken_pipe_is_no_error_message(former: Path, tmp_path: Path) -> None:
    command = f"{PERCALL} --store {former} export prices | head -1"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment(), capture_output=True, check=True)
    assert done.stdout.startswith(b"book,")
    assert done.stderr == b""


def test_a_disk_without_space_is_said_in_a_sentence_and_nothing_is_lost(store: Path, tmp_path: Path) -> None:
    before = totals(store)
    write_calls(tmp_path / "more.csv", [call(number) for number in range(900, 950)])
    answer = subprocess.run(
        [PERCALL, "--store", store, "load", tmp_path / "more.csv"], capture_output=True, text=True, check=False, env=environment(), cwd=tmp_path,
        # A file of a store takes more than 200 kB.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert answer.returncode == 2
    assert "free some space" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert totals(store) == before


@pytest.mark.parametrize("content", [b"no database", None], ids=["overwritten", "cut off"])
def test_a_damaged_file_of_the_store_is_no_full_disk(store: Path, content: bytes | None) -> None:
    (month,) = (store / "facts").glob("charges-*")
    month.write_bytes(month.read_bytes()[:5000] if content is None else content)
    answer = subprocess.run(
        [PERCALL, "--store", store, "export", "totals"], capture_output=True, text=True, check=False, env=environment()
    )
    assert answer.returncode == 2
    assert month.name in answer.stderr
    assert "restore the store from a back-up" in answer.stderr
    assert "space" not in answer.stderr
    assert "Traceback" not in answer.stderr
