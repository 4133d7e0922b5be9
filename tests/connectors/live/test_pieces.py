"""Files of one source that each replace their own earlier version and add up with the others."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from connectors.intake import load_paths
from connectors.live.pieces import piece_path
from connectors.live.secrets import Secrets
from connectors.live.source import SourceSettings
from tests.connectors.live.stored import total
from warehouse.configuration import Configuration
from warehouse.store import Store

HEADER = "date,feature,amount,currency\n"


def _write(folder: Path, source: str, piece: str, rows: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = piece_path(folder, SourceSettings(source, "sql", {}, Secrets({}, ())), piece, "csv")
    path.write_text(HEADER + rows, encoding="utf-8")
    return path


def _total(store: Path) -> Decimal:
    return total(store, "revenue", "amount")


def test_a_piece_replaces_itself_and_nothing_else(tmp_path: Path) -> None:
    store, files = tmp_path / "store", tmp_path / "files"

    def load(*paths: Path) -> list[str]:
        return [
            report.status for report in load_paths(Store(store), Configuration(), paths, "revenue", on_overlap="pieces")
        ]

    # The days tell the same facts (date, feature) again with other amounts: by comparison the second would replace the first.
    first = _write(files, "shop", "a", "2026-03-01,search,10,USD\n2026-03-02,search,20,USD\n")
    second = _write(files, "shop", "b", "2026-03-01,search,1,USD\n2026-03-02,search,2,USD\n")
    assert load(first, second) == ["stored", "stored"]
    assert _total(store) == 33
    assert load(first, second) == ["unchanged", "unchanged"]
    newer = _write(files, "shop", "b", "2026-03-01,search,5,USD\n")
    assert load(newer) == ["stored"]
    assert _total(store) == 35
    # Back to what it was: a value that is corrected and then restored is told anew, not known already.
    assert load(_write(files, "shop", "b", "2026-03-01,search,1,USD\n2026-03-02,search,2,USD\n")) == ["stored"]
    assert _total(store) == 33


def test_a_piece_takes_back_what_it_no_longer_tells(tmp_path: Path) -> None:
    store, files = tmp_path / "store", tmp_path / "files"

    def load(rows: str, piece: str = "a") -> Decimal:
        load_paths(Store(store), Configuration(), [_write(files, "shop", piece, rows)], "revenue", on_overlap="pieces")
        return _total(store)

    assert load("2026-03-01,search,10,USD\n2026-04-01,search,20,USD\n") == 30
    assert load("2026-03-02,search,1,USD\n", "b") == 31
    # An invoice that was spread over two months is counted in one: the other month keeps nothing of it.
    assert load("2026-03-01,search,12,USD\n") == 13
    assert load("2026-05-01,search,12,USD\n") == 13
    # A row that cannot be read says nothing of the months that are missing beside it.
    assert load("2026-06-01,search,5,USD\n2026-05-01,search,five,USD\n") == 18
    assert load("2026-06-01,search,6,USD\n") == 7
    assert load("") == 1
    assert load("", "b") == 0


def test_a_source_that_reads_another_account_keeps_the_bill_of_the_first(tmp_path: Path) -> None:
    store = tmp_path / "store"
    path = piece_path(tmp_path, SourceSettings("aws", "aws-cost-explorer", {}, Secrets({}, ())), "2026-03", "csv")
    header = (
        "BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,BilledCost,EffectiveCost,BillingCurrency,"
        "ChargeCategory,ServiceName\n"
    )

    def load(*lines: tuple[str, str, str]) -> Decimal:
        rows = "".join(
            f"{account},{month}-01T00:00:00Z,2026-06-01T00:00:00Z,{month}-02T00:00:00Z,{month}-03T00:00:00Z,{cost},{cost},USD,Usage,EC2\n"
            for account, month, cost in lines
        )
        path.write_text(header + rows, encoding="utf-8")
        load_paths(Store(store), Configuration(), [path], "focus", on_overlap="pieces")
        return total(store, "charges", "BilledCost")

    assert load(("one", "2026-03", "10"), ("one", "2026-04", "5")) == 15
    assert load(("one", "2026-03", "11")) == 11
    assert load(("two", "2026-03", "100")) == 111


def test_another_source_with_the_same_facts_is_compared_not_added(tmp_path: Path) -> None:
    store, files = tmp_path / "store", tmp_path / "files"
    one = _write(files, "shop", "2026-03", "2026-03-01,search,10,USD\n2026-03-02,search,20,USD\n")
    load_paths(Store(store), Configuration(), [one], "revenue", on_overlap="pieces")
    again = _write(files, "shop-copy", "2026-03", "2026-03-01,search,10,USD\n2026-03-02,search,21,USD\n")
    (report,) = load_paths(Store(store), Configuration(), [again], "revenue", on_overlap="pieces")
    assert report.superseded or report.status == "refused"
    assert _total(store) in (30, 31)


def test_names_of_sources_stay_apart() -> None:
    def name(source: str) -> str:
        return piece_path(Path(), SourceSettings(source, "sql", {}, Secrets({}, ())), "x", "csv").name

    assert len({name("a/b"), name("a-b"), name("a b"), name("a.b")}) == 4
