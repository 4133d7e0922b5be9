"""The data page: where the data stand, and adding files from the browser, previewed before anything is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.product import open_product, words
from warehouse.configuration import Configuration
from warehouse.reader import open_current
from warehouse.store import Store

PAGE = "operate/data.py"

CALLS = b"""call_id,started_at,provider,model,feature,input_tokens,output_tokens,cost
a,2026-05-01T10:00:00Z,openai,gpt-4o,search,1000,100,0.25
b,2026-05-01T11:00:00Z,openai,gpt-4o,search,1000,100,0.50
c,not a time,openai,gpt-4o,search,1000,100,0.75
"""


def offered(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader[0].upload(name, content, "text/csv").run()
    assert not app.exception
    return app


def test_where_the_demo_companys_data_stand(demo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, demo_store, PAGE, period="March 2026")
    assert "# 1 source, data to 31 May 2026: every day is complete" in words(app)
    sources, coverage, loads = (table.value for table in app.dataframe)
    assert dict(zip(sources["table"], sources["state"], strict=True)) == {
        "calls": "◐ provisional",
        "charges": "● final",
    }
    assert coverage["name"].tolist()[:3] == ["usage reported", "price known", "project"]
    assert set(loads["status"]) == {"stored"}
    assert "No row was ever rejected." in words(app)


def test_a_file_is_shown_before_it_is_stored_and_stored_on_load(
    empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = offered(open_product(monkeypatch, empty_store, PAGE), "calls.csv", CALLS)
    assert "calls · 2 rows can be loaded, 1 rejected" in words(app)
    parts, rejects = app.dataframe[0].value, app.dataframe[1].value
    assert parts[["rows", "billed"]].values.tolist() == [[2, 0.75]]
    assert rejects["column"].tolist() == ["started_at"]
    assert Store(empty_store).current() is None

    app.button(key="upload_load").click().run()
    assert not app.exception
    assert [part.value for part in app.main.success] == ["Done: 2 rows were stored."]
    assert "# 1 source, data to 1 May 2026" in words(app)
    assert str(open_current(empty_store, Configuration()).snapshot_id).endswith("000001")
    reasons = [table.value for table in app.dataframe if "reason" in table.value.columns]
    assert reasons[0]["file"].tolist() == ["calls.csv"]

    app.switch_page("inform/unit_economics.py").run()
    assert "# A call cost $0.38 in May 2026" in words(app)


def test_the_same_file_again_changes_nothing(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = offered(open_product(monkeypatch, empty_store, PAGE), "calls.csv", CALLS)
    app.button(key="upload_load").click().run()
    app = offered(open_product(monkeypatch, empty_store, PAGE), "calls.csv", CALLS)
    app.button(key="upload_load").click().run()
    assert [part.value for part in app.main.success] == ["Done: 0 rows were stored."]
    assert "unchanged" in app.dataframe[1].value["status"].tolist()
    assert str(Store(empty_store).current_id()).endswith("000001")


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02garbage", b"a,b\n1,2\n"])
def test_a_file_that_is_nothing_we_know_says_why_and_offers_no_load(
    empty_store: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    app = offered(open_product(monkeypatch, empty_store, PAGE), "mystery.csv", content)
    assert len(app.main.error) == 1
    assert "None of these files has a row that could be loaded." in words(app)
    assert "upload_load" not in [button.key for button in app.button]


def test_a_name_from_the_browser_reaches_no_other_folder(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = offered(open_product(monkeypatch, empty_store, PAGE), "../../escape.csv", CALLS)
    assert "2 rows can be loaded" in words(app)
    assert not list(empty_store.parent.parent.glob("escape.csv"))


def test_every_plain_kind_offers_a_template_to_fill_in(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, empty_store, PAGE)
    offers = {button.proto.label for button in app.get("download_button")}
    assert {f"{kind}.csv" for kind in ("calls", "activity", "revenue", "utilization", "prices", "fx")} <= offers
