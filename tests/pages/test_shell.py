"""The shell around a page: what stands on every page, and what it shows when there is nothing to show."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from pages import _data
from pages._registry import PAGES_FOLDER, REGISTRY
from tests.pages import small_store
from tests.pages.conftest import OpenShell
from tests.pages.sample.registry import REGISTRY as SAMPLE_REGISTRY


def _texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.info, *app.code]
    return "\n".join(element.value for element in parts)


def test_a_page_is_drawn_between_banner_and_footer(open_shell: OpenShell) -> None:
    app = open_shell()
    assert not app.exception
    texts = _texts(app)
    assert "Demo data" in texts
    # 31 days at 200.10 + 44.50 + 26.45.
    assert "# AI costs \\$8,403; LLM API is 74% of it" in texts
    assert "Data to 31 May 2026 · snapshot 000001 · days cut in UTC · amounts in USD" in texts


@pytest.mark.parametrize("entry", SAMPLE_REGISTRY, ids=lambda entry: entry.url_path)
def test_every_page_says_that_the_data_are_a_demo(open_shell: OpenShell, entry) -> None:
    app = open_shell(f"{entry.script.parent.name}/{entry.script.name}")
    assert not app.exception
    assert "Demo data" in _texts(app)


def test_a_store_with_own_data_has_no_demo_banner(
    open_shell: OpenShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_store.build(tmp_path / "own", demo=False, months=("2026-05",))
    monkeypatch.setenv(_data.STORE_VARIABLE, str(tmp_path / "own"))
    app = open_shell()
    assert "AI costs" in _texts(app)
    assert "Demo data" not in _texts(app)


def test_an_empty_store_says_what_to_do(open_shell: OpenShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_data.STORE_VARIABLE, str(tmp_path / "nothing"))
    app = open_shell()
    assert not app.exception
    assert "Nothing has been loaded yet" in _texts(app)
    percall = f"percall --store {tmp_path / 'nothing'}"
    assert [code.value for code in app.code] == [
        f"{percall} demo",
        f"{percall} load bills/*.parquet traces/*.jsonl",
    ]
    assert "AI costs" not in _texts(app)


def test_a_page_that_needs_no_data_is_drawn_in_an_empty_store(
    open_shell: OpenShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_data.STORE_VARIABLE, str(tmp_path / "nothing"))
    app = open_shell("operate/sources.py")
    assert "# No source is connected" in _texts(app)
    assert "Nothing has been loaded yet" not in _texts(app)


def test_failures_are_sentences_in_their_place(open_shell: OpenShell) -> None:
    app = open_shell("operate/refusals.py")
    assert not app.exception
    refusal, failure = (error.value for error in app.error)
    assert refusal.replace("\\", "") == "budget.csv, row 3: the amount 'abc' is not a number; write it as 1200.50"
    assert "server's log has the details under number" in failure
    assert "secret detail" not in _texts(app)
    assert "ZeroDivisionError" not in _texts(app)
    assert "Between the failures" in _texts(app)
    assert "Data to 31 May 2026" in _texts(app)


def test_a_damaged_store_is_a_sentence(open_shell: OpenShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_store.build(tmp_path / "damaged", months=("2026-05",))
    next((tmp_path / "damaged" / "facts").glob("charges-*")).unlink()
    monkeypatch.setenv(_data.STORE_VARIABLE, str(tmp_path / "damaged"))
    app = open_shell()
    assert not app.exception
    assert "is missing: restore the store from a back-up" in app.error[0].value.replace("\\", "")


@pytest.mark.parametrize("address", ["0.0.0.0", None, "192.0.2.1", "costs.example.com"])
def test_nothing_is_drawn_where_the_whole_network_could_read_it(open_shell: OpenShell, address: str | None) -> None:
    config.set_option("server.address", address)
    app = open_shell()
    assert len(app.error) == 1
    assert "stays closed" in app.error[0].value
    assert not app.markdown
    assert not app.sidebar.selectbox


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_the_gate_is_open_on_loopback(open_shell: OpenShell, address: str) -> None:
    config.set_option("server.address", address)
    assert "AI costs" in _texts(open_shell())


def test_the_registry_is_sound() -> None:
    paths = [entry.url_path for entry in REGISTRY]
    assert len(set(paths)) == len(paths)
    for entry in REGISTRY:
        assert entry.script.is_file(), entry.script
        assert entry.script.parent == PAGES_FOLDER / entry.phase.lower()
        assert entry.question.endswith(("?", "."))
    phases = [entry.phase for entry in REGISTRY]
    assert phases == sorted(phases, key=("Inform", "Optimize", "Operate").index)


def test_no_page_lies_where_streamlit_would_serve_it_by_itself() -> None:
    beside_the_shell = {path.name for path in PAGES_FOLDER.glob("*.py")}
    assert all(name.startswith("_") for name in beside_the_shell)
    assert not (PAGES_FOLDER / "pages").exists()
