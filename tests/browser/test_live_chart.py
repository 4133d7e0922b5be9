"""The chart of a lever's page follows the slider's thumb in the browser, without waiting for the server, and agrees with it in the end."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from tests.browser import screen
from tests.browser.server import Server

pytestmark = pytest.mark.browser

CHART = ".st-key-batch_chart"


def _point(page: Page) -> tuple[float, float]:
    """Where the point of this setting is drawn."""
    moved = page.locator(f"{CHART} svg path.chosen").get_attribute("transform")
    assert moved is not None
    across, down = moved.removeprefix("translate(").removesuffix(")").split()
    return float(across), float(down)


def test_the_point_follows_the_thumb_while_the_server_says_nothing(browser: Browser, demo_server: Server) -> None:
    """May's batchable calls are 76.85 USD; batched, each costs half. A share of them saves that share, about."""
    context = browser.new_context(viewport=screen.SIZES["wide"], locale="en-US")  # type: ignore[arg-type]
    context.set_default_timeout(screen.PATIENCE_MS)
    page = context.new_page()
    is_held = False

    def wire(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        route.on_message(lambda message: None if is_held else server.send(message))

    page.route_web_socket("**/_stcore/stream", wire)
    page.goto(f"{demo_server.url}/batch")
    screen.settled(page)
    words, headline = page.locator(f"{CHART} .words"), page.locator(".st-key-headline h1")
    expect(words).to_have_text("100%: $9,162 a month, $38.42 less than today")
    expect(headline).to_contain_text("Batching 100%")
    before = _point(page)
    is_held = True
    slider = page.locator(".st-key-batch_share input[type=range]")
    slider.focus()
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    expect(words).to_contain_text("90%: $9,165 a month")
    across, down = _point(page)
    assert across < before[0]
    # Costs rise to today's at 0%, and the axis points up.
    assert down < before[1]
    expect(headline).to_contain_text("Batching 100%")
    context.close()


def test_the_answer_of_the_server_agrees_with_the_point(browser: Browser, demo_server: Server) -> None:
    with screen.opened(browser, f"{demo_server.url}/batch", "phone", "dark") as page:
        slider = page.locator(".st-key-batch_share input[type=range]")
        slider.focus()
        slider.press("ArrowLeft")
        expect(page.locator(".st-key-headline h1")).to_contain_text("Batching 95%")
        expect(page.locator(f"{CHART} .words")).to_contain_text("95%: $9,16")
        expect(page.locator(f"{CHART} svg")).to_have_attribute("aria-label", "Line of cost a month along share of waiting calls: "
            "$9,200 at 0%, $9,162 at 100%. Today $9,200. This setting, 95%: $9,163.")  # fmt: skip
        width = page.locator(f"{CHART} svg").evaluate("svg => svg.getBoundingClientRect().right")
        assert width <= screen.SIZES["phone"]["width"]
