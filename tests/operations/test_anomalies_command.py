"""`percall anomalies`: events of a store and flags of a file, as CSV and JSON, with exit code 0 whatever is found."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from pathlib import Path

from tests.operations.command import percall

TAXI = Path(__file__).parent.parent / "data" / "anomaly" / "nyc_taxi_daily.csv"
MAY = ("--from", "2026-05-01", "--to", "2026-05-31")


def table(*arguments: object, store: Path) -> list[dict[str, str]]:
    answer = percall("anomalies", *arguments, store=store)
    assert answer.code == 0, answer.err
    return list(csv.DictReader(io.StringIO(answer.out.decode("utf-8"))))


def taxi_file(folder: Path) -> Path:
    with TAXI.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    path = folder / "taxi.csv"
    path.write_text("series,date,cost\n" + "".join(f"taxi,{row['date']},{row['value']}\n" for row in rows))
    return path


def test_flags_of_a_file(tmp_path: Path) -> None:
    """The published days: six of the default detector, all of them drops; eleven of the rule."""
    path = taxi_file(tmp_path)
    found = table("--series", path, store=tmp_path / "none")
    assert list(found[0]) == ["series", "date", "kind", "direction", "excess"]
    drops = [row["date"] for row in found if row["direction"] == "down"]
    assert {"2014-11-27", "2014-12-25", "2014-12-26", "2014-12-27", "2015-01-26", "2015-01-27"} <= set(drops)
    rule = table("--series", path, "--detector", "rule", store=tmp_path / "none")
    assert len(rule) == 11
    assert {(row["kind"], row["direction"]) for row in rule} == {("20 % rule", "up")}
    both = table("--series", path, "--detector", "both", "--direction", "up", store=tmp_path / "none")
    assert [row for row in both if row["kind"] == "20 % rule"] == rule


def test_rows_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    days = [f"a,{date(2026, 1, 1) + timedelta(days=number)},10" for number in range(40)]
    path.write_text("\n".join(["series,date,cost", *days, "a,2026-02-10,x"]))
    answer = percall("anomalies", "--series", path, store=tmp_path / "none")
    assert answer.code == 0
    assert "row 41" in answer.err
    assert percall("anomalies", "--series", tmp_path / "missing.csv", store=tmp_path / "none").code == 2


def test_events_of_the_demo_company_say_why(demo_store: Path) -> None:
    (event,) = table(*MAY, "--direction", "up", store=demo_store)
    assert (event["date"], event["cause"], event["status"]) == ("2026-05-19", "feature:summarize", "open")
    assert event["sentence"].startswith("summarize cost $144.43 more than expected on Tue 19 May 2026")
    answer = percall("anomalies", *MAY, "--direction", "up", "--format", "json", store=demo_store)
    (row,) = json.loads(answer.out)
    assert (row["excess"], row["is_ongoing"]) == (event["excess"], False)
    assert table(*MAY, "--direction", "up", "--minimum", "1000", store=demo_store) == []
    days = table(*MAY, "--days", "--detector", "both", store=demo_store)
    exported = percall("export", "anomalies", *MAY, store=demo_store)
    assert days == list(csv.DictReader(io.StringIO(exported.out.decode("utf-8"))))


def test_what_cannot_be_used_is_said(demo_store: Path) -> None:
    for wrong, message in (
        (("--direction", "sideways"), "choose up, down or both"),
        (("--detector", "magic"), "choose default, rule or both"),
        (("--sensitivity", "0"), "cannot be used"),
    ):
        answer = percall("anomalies", *wrong, store=demo_store)
        assert answer.code == 2
        assert message in answer.err


def test_an_empty_store_has_no_anomalies(tmp_path: Path) -> None:
    assert table(store=tmp_path / "none") == []
