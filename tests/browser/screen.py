"""Looking at a page as a person does: open it, act on it, wait until it has been drawn, take pictures of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, TimeoutError

from tests.browser.wire import Wire

SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
DONE = "[data-testid=stApp][data-test-script-state=notRunning]"
PATIENCE_MS = 60_000
ATTEMPTS = 30
TWO_FRAMES = "() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"


@contextmanager
def opened(
    browser: Browser,
    url: str,
    size: Literal["wide", "phone"] = "wide",
    theme: Literal["light", "dark"] = "light",
) -> Iterator[Page]:
    """A fresh browser (no cookies, no history) of fixed size, theme, language and time zone at this address, drawn."""
    context = browser.new_context(
        viewport=SIZES[size],  # type: ignore[arg-type]
        color_scheme=theme,
        reduced_motion="reduce",
        locale="en-US",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = context.new_page()
        Wire.of(page)
        page.goto(url)
        settled(page)
        yield page
    finally:
        context.close()


def settled(page: Page) -> None:
    """Wait until every run that the page has asked for is over, nothing stale or grey is left, and charts are drawn.

    What a page does not ask for at once (a slider waits a moment for the next move) is waited for by `answered`.
    """
    _until(page, lambda: not Wire.of(page).is_owed, "the server has not ended the run that the page asked for")
    page.wait_for_selector(DONE)
    page.wait_for_function(
        """() => !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')
            && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(c => c.querySelector('.main-svg'))"""
    )


@contextmanager
def answered(page: Page) -> Iterator[None]:
    """Act on the page inside of this; at its end the run that the act has asked for is over and drawn.

    A click comes back before the browser has asked the server, and until it does the page looks as finished as it was.
    """
    wire = Wire.of(page)
    before = wire.asked
    yield
    _until(page, lambda: wire.asked > before, "the page has asked for no run")
    settled(page)


def _until(page: Page, holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until this holds, and the page has drawn what it had heard by then."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    page.evaluate(TWO_FRAMES)
    while not holds():
        assert time.monotonic() < deadline, otherwise
        page.wait_for_timeout(20)
        page.evaluate(TWO_FRAMES)


def text(page: Page) -> str:
    """What can be read in the main part of the page."""
    return page.locator("[data-testid=stMain]").inner_text()


def figures(page: Page) -> list[str]:
    """The headline with what it is about, and the key figures: all that a filter changes, without a chart's own labels."""
    return [page.locator(".st-key-headline").inner_text(), *page.get_by_test_id("stMetric").all_inner_texts()]


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a select box or multiselect of the sidebar, as a person does; the page with it is drawn at the end."""
    settled(page)
    offered = page.get_by_role("option", name=option, exact=True)
    with answered(page):
        for _ in range(ATTEMPTS):
            page.get_by_test_id("stSidebar").get_by_role("combobox", name=label).click()
            try:
                offered.click(timeout=PATIENCE_MS / ATTEMPTS)
                break
            except TimeoutError:
                # A list that opens while the page is still being drawn may close again: a person opens it once more.
                page.keyboard.press("Escape")
        else:
            raise AssertionError(f"{label} never offered {option}")
        page.keyboard.press("Escape")


def expect_address(page: Page, path: str, **query: list[str]) -> None:
    """Wait until the address has this path and exactly these parameters, in any order."""

    def matches(address: str) -> bool:
        parts = urlsplit(address)
        return (parts.path, parse_qs(parts.query)) == (path, query)

    page.wait_for_url(matches, wait_until="commit")


def overflows(page: Page) -> bool:
    """Whether the page can be scrolled sideways."""
    return bool(
        page.evaluate(
            """() => [document.documentElement, document.querySelector('[data-testid=stMain]')]
                .some(box => box && box.scrollWidth > box.clientWidth + 1)"""
        )
    )


def screenshots(browser: Browser, url: str, name: str, folder: Path) -> list[Path]:
    """Pictures of the whole page: wide and phone, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for size in ("wide", "phone"):
        for theme in ("light", "dark"):
            with opened(browser, url, size, theme) as page:  # type: ignore[arg-type]
                grow(page)
                path = folder / f"{name}-{size}-{theme}.png"
                page.screenshot(path=path, animations="disabled")
                pictures.append(path)
    return pictures


def grow(page: Page) -> None:
    """Make the window as tall as the page, since Streamlit scrolls its main part and not the document."""
    height = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
    assert page.viewport_size is not None
    page.set_viewport_size({"width": page.viewport_size["width"], "height": max(int(height), 400)})
    settled(page)
