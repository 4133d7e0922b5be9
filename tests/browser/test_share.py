"""A shared link from one end to the other: an admin makes it in the dashboard, the CFO reads it, and somebody tries to get further."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import screen
from tests.browser.server import APP, Server, running
from tests.operations.command import percall
from tests.pages import small_store

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of its own: links are kept in it."""
    path = tmp_path_factory.mktemp("share") / "store"
    small_store.build(path)
    return path


@pytest.fixture(scope="module")
def server(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real dashboard over that store."""
    with running(APP, store, tmp_path_factory.mktemp("share-server")) as found:
        yield found


def make(page: Page) -> str:
    """Make a link on this page as an administrator does; answers with its address."""
    page.get_by_role("button", name="Share this page").click()
    page.get_by_role("button", name="Make a link").click()
    code = page.get_by_test_id("stCode").filter(has_text="/share/")
    expect(code).to_be_visible()
    return code.inner_text().strip()


def watched(browser: Browser, size: str = "wide") -> tuple[Page, list[str], list[str]]:
    """A fresh browser, with everything that it asks for and complains about."""
    context = browser.new_context(viewport=screen.SIZES[size])  # type: ignore[arg-type]
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, asked, complaints


def test_what_an_admin_shares_is_what_the_cfo_reads_and_nothing_else(
    browser: Browser, server: Server, store: Path
) -> None:
    with screen.opened(browser, f"{server.url}/?period=April+2026&basis=List") as page:
        # 30 days at twice 271.05.
        expect(page.get_by_role("heading", level=1)).to_contain_text("April 2026 cost $16,263")
        screen.settled(page)
        link = make(page)
    assert urlsplit(link).netloc == urlsplit(server.url).netloc
    cfo, asked, complaints = watched(browser)
    cfo.goto(link)
    expect(cfo.get_by_role("heading", level=1)).to_contain_text("April 2026 cost $16,263")
    assert "Provisional" in cfo.inner_text("header")
    assert "list cost" in cfo.inner_text("main")
    # A pointer over the last month's column tells its parts.
    cfo.locator("svg.wide .hit").nth(1).hover()
    expect(cfo.locator("#tip")).to_contain_text("$16,263.00")
    cfo.get_by_role("button", name="LLM API").first.click()
    assert cfo.locator("svg.wide .faded").count() > 0
    names = cfo.locator("table").first.locator("tbody tr td:first-child")
    before = names.all_inner_texts()
    cfo.get_by_role("button", name="Category", exact=True).click()
    assert names.all_inner_texts() == sorted(before, key=str.casefold, reverse=True)
    with cfo.expect_download() as started:
        cfo.get_by_role("link", name="CSV").first.click()
    content = Path(started.value.path()).read_text()
    assert "LLM API,12006.000000000000" in content
    assert content.count("\n") == 4
    # One page and one file were asked for, of this server, and the policy had nothing to complain about.
    assert {url.removesuffix("/by-category.csv") for url in asked} == {link}
    assert complaints == []
    assert cfo.context.cookies() == []
    assert cfo.evaluate("() => [localStorage.length, sessionStorage.length]") == [0, 0]
    cfo.context.close()
    (share,) = [one for one in percall("share", "list", store=store).lines if one["view"] == "overview"]
    assert (share["opens"], share["created_by"]) == (1, "Local user")


def test_ending_a_link_in_the_dashboard_ends_it_at_once(browser: Browser, server: Server) -> None:
    with screen.opened(browser, f"{server.url}/features") as page:
        link = make(page)
        reader, _asked, _complaints = watched(browser, "phone")
        reader.goto(link)
        expect(reader.get_by_role("heading", level=1)).to_be_visible()
        assert reader.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        expect(reader.locator("svg.narrow").first).to_be_visible()
        expect(reader.locator("svg.wide").first).to_be_hidden()
        page.keyboard.press("Escape")
        with screen.answered(page):
            page.get_by_test_id("stSidebarNav").get_by_text("Shared links", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("work")
        before = page.get_by_role("heading", level=1).inner_text()
        page.get_by_test_id("stMain").get_by_role("combobox", name="End a link").click()
        with screen.answered(page):
            page.get_by_role("option", name="Features").first.click()
        with screen.answered(page):
            page.get_by_role("button", name="End it now").click()
        expect(page.get_by_role("heading", level=1)).not_to_have_text(before)
        answer = reader.goto(link)
        assert answer is not None
        assert answer.status == 404
        expect(reader.get_by_role("heading", level=1)).to_have_text("This link shows nothing")
        reader.context.close()


def test_a_link_leads_nowhere_else(browser: Browser, server: Server, store: Path) -> None:
    made = percall("share", "create", "overview", "--url", server.url, store=store).json["url"]
    answers: dict[str, tuple[int, bytes]] = {}
    for path in (
        "",
        "/",
        "/audit",
        "/../../audit",
        "/_stcore/stream",
        "/_stcore/health",
        "/media/x",
        "/static/index.html",
        "/index.html",
        "x",
    ):
        try:
            with urllib.request.urlopen(f"{made}{path}", timeout=10) as answer:
                answers[path] = answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                answers[path] = refused.code, refused.read()
    assert {path for path, (code, _body) in answers.items() if code == 200} == {""}
    # A path that climbs is no path at all, for the server before us.
    assert {path for path, (code, _body) in answers.items() if code == 400} <= {"/../../audit"}
    refused_with = {(code, body) for code, body in answers.values() if code not in (200, 400)}
    assert [code for code, _body in refused_with] == [404]
    page, asked, _complaints = watched(browser)
    page.goto(made)
    hrefs = page.eval_on_selector_all("[href], [src], [action]", "all => all.map(e => e.href || e.src || e.action)")
    assert hrefs
    assert all(href.startswith(f"{made}/") and href.endswith(".csv") for href in hrefs)
    # Even a script in the page could fetch nothing: the policy stands before it.
    blocked = page.evaluate("() => fetch('/').then(() => 'fetched', () => 'blocked')")
    assert blocked == "blocked"
    page.evaluate(
        "() => { try { new WebSocket(`ws://${location.host}/_stcore/stream`) } catch { /* refused at once */ } }"
    )
    assert not [url for url in asked if url.startswith("ws")]
    page.context.close()


def test_tokens_are_in_no_log(server: Server, store: Path) -> None:
    made = percall("share", "create", "overview", "--url", server.url, store=store).json["url"]
    token = made.rpartition("/")[2]
    urllib.request.urlopen(made, timeout=10).close()
    assert token not in server.output()
    assert "Traceback" not in server.output()
