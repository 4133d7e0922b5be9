"""The shell as a person meets it: addresses, sidebar, phone, dark theme, downloads."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import screen
from tests.browser.server import APP, Server, running

pytestmark = pytest.mark.browser


def test_a_choice_is_written_to_the_address_and_a_copied_address_shows_the_same(
    browser: Browser, sample_server: Server
) -> None:
    with screen.opened(browser, f"{sample_server.url}/") as page:
        screen.expect_address(page, "/")
        expect(page.get_by_text("AI costs $8,403")).to_be_visible()
        screen.choose(page, "Period", "April 2026")
        page.get_by_test_id("stSidebar").get_by_text("List", exact=True).click()
        # 30 days at twice 271.05.
        expect(page.get_by_text("AI costs $16,263")).to_be_visible()
        screen.expect_address(page, "/", period=["April 2026"], basis=["List"])
        address, seen = page.url, screen.figures(page)
    with screen.opened(browser, address) as page:
        assert screen.figures(page) == seen
        # Back to the default: the address is bare again.
        screen.choose(page, "Period", "Latest full month")
        page.get_by_test_id("stSidebar").get_by_text("Effective", exact=True).click()
        screen.expect_address(page, "/")


def test_filters_survive_a_change_of_page_and_the_way_back(browser: Browser, sample_server: Server) -> None:
    with screen.opened(browser, f"{sample_server.url}/?period=April+2026") as page:
        page.get_by_test_id("stSidebarNav").get_by_text("Sample features").click()
        expect(page.get_by_text("Three features share the calls")).to_be_visible()
        screen.expect_address(page, "/features", period=["April 2026"])
        screen.choose(page, "Feature", "search")
        screen.expect_address(page, "/features", period=["April 2026"], feature=["search"])
        with screen.answered(page):
            page.go_back()
        expect(page.get_by_test_id("stSidebar").get_by_text("1 – 30 April 2026")).to_be_visible()


@pytest.mark.parametrize("already", [[], ["summarize"]], ids=["unset", "set"])
def test_a_link_keeps_the_filters_and_narrows_them(browser: Browser, sample_server: Server, already: list[str]) -> None:
    chosen = "".join(f"&feature={name}" for name in already)
    with screen.opened(browser, f"{sample_server.url}/sources?period=April+2026&tier=free{chosen}") as page:
        sidebar = page.get_by_test_id("stSidebar")
        # What the address sets in the folded part of the sidebar is in sight.
        expect(sidebar.get_by_text("free", exact=True)).to_be_visible()
        with screen.answered(page):
            page.get_by_role("link", name="Calls of search").click()
        screen.expect_address(page, "/features", period=["April 2026"], tier=["free"], feature=["search"])
        expect(sidebar.get_by_text("search", exact=True)).to_be_visible()
        expect(sidebar.get_by_text("summarize", exact=True)).to_be_hidden()
        # A button narrows on the page itself.
        with screen.answered(page):
            page.get_by_role("button", name="Only summarize").click()
        screen.expect_address(page, "/features", period=["April 2026"], tier=["free"], feature=["summarize"])
        expect(sidebar.get_by_text("summarize", exact=True)).to_be_visible()


def test_a_broken_address_shows_the_default_view_and_is_cleaned(browser: Browser, sample_server: Server) -> None:
    address = f"{sample_server.url}/?period=%3Cscript%3E&feature=nobody&basis=x&by=minute"
    with screen.opened(browser, address) as page:
        expect(page.get_by_text("AI costs $8,403")).to_be_visible()
        screen.expect_address(page, "/")


def test_the_first_page_answers_under_its_name_too(browser: Browser, sample_server: Server) -> None:
    with screen.opened(browser, f"{sample_server.url}/bill?period=April+2026") as page:
        expect(page.get_by_text("AI costs $8,132")).to_be_visible()
        expect(page.get_by_text("Page not found")).to_be_hidden()
        names = page.get_by_test_id("stSidebarNav").get_by_role("link").all_inner_texts()
        assert sum("Sample bill" in name for name in names) == 1
        page.get_by_test_id("stSidebarNav").get_by_text("Sample bill").click()
        screen.expect_address(page, "/", period=["April 2026"])


def test_the_download_holds_every_digit(browser: Browser, sample_server: Server) -> None:
    with screen.opened(browser, f"{sample_server.url}/") as page:
        with page.expect_download() as started:
            page.get_by_role("button", name="CSV", exact=True).click()
        download = started.value
        assert download.suggested_filename == "bill-2026-05-01-2026-05-31.csv"
        rows = list(csv.reader(io.StringIO(Path(download.path()).read_text(encoding="utf-8"))))
    assert rows[0] == ["category", "cost", "share"]
    assert [row[:2] for row in rows[1:]] == [
        ["LLM API", "6203.100000000000"],
        ["GPU inference", "1379.500000000000"],
        ["Vector database", "819.950000000000"],
    ]


@pytest.mark.parametrize(("path", "theme"), [("", "light"), ("features", "dark"), ("refusals", "light")])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, sample_server: Server, path: str, theme: str) -> None:
    with screen.opened(browser, f"{sample_server.url}/{path}", "phone", theme) as page:  # type: ignore[arg-type]
        assert not screen.overflows(page)
        expect(page.get_by_text("Demo data")).to_be_visible()


def test_charts_and_tables_are_described_in_words(browser: Browser, sample_server: Server) -> None:
    with screen.opened(browser, f"{sample_server.url}/") as page:
        described = page.evaluate(
            "() => [...document.querySelectorAll('[aria-label], [alt]')].map(e => e.ariaLabel || e.alt)"
        )
    assert (
        "Stacked bars per day, 1 May 2026 to 31 May 2026. Total $8,403. Largest: LLM API, $6,203 (74%). "
        "Highest day: 1 May 2026, $271.05." in described
    )
    assert any("Table of 3 rows: Category, Cost, Share." in text for text in described)


def test_no_request_leaves_the_machine_and_nothing_fails_in_the_console(
    browser: Browser, sample_server: Server
) -> None:
    context = browser.new_context(viewport=screen.SIZES["wide"])  # type: ignore[arg-type]
    page = context.new_page()
    hosts: set[str | None] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{sample_server.url}/")
    screen.settled(page)
    context.close()
    assert {host for host in hosts if host} == {"127.0.0.1"}
    assert errors == []


def test_the_real_app_says_what_to_do_with_an_empty_store(browser: Browser, tmp_path: Path) -> None:
    with running(APP, tmp_path / "nothing", tmp_path) as server, screen.opened(browser, server.url, "phone") as page:
        expect(page.get_by_text("Nothing has been loaded yet")).to_be_visible()
        expect(page.get_by_text(f"percall --store {tmp_path / 'nothing'} demo", exact=True)).to_be_visible()
        assert not screen.overflows(page)


def test_the_real_app_draws_its_first_page(browser: Browser, small_store_path: Path, tmp_path: Path) -> None:
    with running(APP, small_store_path, tmp_path) as server, screen.opened(browser, server.url) as page:
        expect(page.get_by_test_id("stMain").get_by_role("heading", level=1)).to_be_visible(timeout=screen.PATIENCE_MS)
        expect(page.get_by_test_id("stAlert")).to_have_count(0)
        assert "Traceback" not in server.output()
