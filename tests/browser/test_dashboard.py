"""The dashboard as a stranger meets it: `percall serve` over the demo company, read, narrowed, drilled into, downloaded and filled."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from pages._registry import REGISTRY
from tests.browser import screen
from tests.browser.server import Server, serving
from tests.operations.command import percall
from warehouse.store import Store

pytestmark = pytest.mark.browser

MAY = ("--from", "2026-05-01", "--to", "2026-05-31")
MARCH = ("--from", "2026-03-01", "--to", "2026-03-31")

# 800 + 45.07 + 1.22 dollars of one month, years ago.
BILL = b"""BillingAccountId,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,BilledCost,EffectiveCost,ServiceName
org-1,USD,2024-03-01,2024-03-01,2024-03-02,Usage,800.00,800.00,OpenAI API
org-1,USD,2024-03-01,2024-03-15,2024-03-16,Usage,45.07,45.07,OpenAI API
org-1,USD,2024-03-01,2024-03-31,2024-04-01,Usage,1.22,1.22,OpenAI API
"""


def _headline(page: Page) -> Locator:
    return page.get_by_test_id("stMain").get_by_role("heading", level=1)


def _described(page: Page) -> str:
    """What charts and tables say of themselves in words."""
    return "\n".join(
        page.evaluate("() => [...document.querySelectorAll('[aria-label], [alt]')].map(e => e.ariaLabel || e.alt)")
    )


def _table(page: Page, number: int, first_column: str) -> list[list[str]]:
    """The cells in sight of a table of the page, row by row, with their digits, once the table has this first column."""
    table = page.get_by_test_id("stDataFrame").nth(number)
    table.scroll_into_view_if_needed()
    header = table.locator("[role=columnheader]").filter(has_text=first_column)
    header.first.wait_for(state="attached")
    table.get_by_role("gridcell", include_hidden=True).first.wait_for(state="attached")
    rows: dict[str, list[str]] = {}
    for row, content in table.evaluate(
        "table => [...table.querySelectorAll('[role=gridcell]')].map(c => [c.parentElement.ariaRowIndex, c.textContent])"
    ):
        rows.setdefault(row, []).append(content)
    return list(rows.values())


def test_the_start_page_tells_the_story_and_asks_nobody_else(browser: Browser, demo_server: Server) -> None:
    context = browser.new_context(viewport=screen.SIZES["wide"], locale="en-US")  # type: ignore[arg-type]
    context.set_default_timeout(screen.PATIENCE_MS)
    page = context.new_page()
    hosts: set[str | None] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).hostname))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(demo_server.url)
    screen.settled(page)
    expect(_headline(page)).to_contain_text("May 2026 cost $9,200, 68.1% less than in April 2026; summarize is")
    assert "Highest month: 1 March 2026, $47,231." in _described(page)
    # From March to May in the first screen, without scrolling.
    for total in ("$47,231", "$9,200"):
        place = page.locator(".stPlotlyChart").first.get_by_text(total, exact=True).bounding_box()
        assert place is not None
        assert place["y"] + place["height"] < screen.SIZES["wide"]["height"]
    assert {"$9,200", "$14.84", "66%"} <= set("\n".join(screen.figures(page)).split("\n"))
    context.close()
    assert {host for host in hosts if host} == {"127.0.0.1"}
    assert errors == []


def test_every_page_is_readable_on_a_phone(browser: Browser, demo_server: Server) -> None:
    wrong: dict[str, str] = {}
    seen = ""
    with screen.opened(browser, demo_server.url, "phone") as page:
        for entry in REGISTRY:
            if entry is not REGISTRY[0]:
                page.get_by_test_id("stExpandSidebarButton").click()
                with screen.answered(page):
                    page.get_by_test_id("stSidebarNavLink").get_by_text(entry.title, exact=True).click()
                page.wait_for_url(f"**/{entry.url_path}*", wait_until="commit")
                page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
            # The page before had another headline: what is judged is this page, drawn to its end.
            expect(_headline(page)).to_have_count(1)
            expect(_headline(page)).not_to_have_text(seen)
            screen.settled(page)
            seen = _headline(page).inner_text()
            if page.locator("[data-testid=stAlertContentError], [data-testid=stException]").count():
                wrong[entry.url_path] = f"an error: {screen.text(page)}"
            elif screen.overflows(page):
                wrong[entry.url_path] = "scrolls sideways"
    assert wrong == {}
    assert "Traceback" not in demo_server.output()


def test_a_copied_address_shows_a_colleague_the_same(browser: Browser, demo_server: Server, demo_store: Path) -> None:
    with screen.opened(browser, demo_server.url) as page:
        screen.choose(page, "Period", "March 2026")
        expect(_headline(page)).to_contain_text("March 2026 cost $47,231")
        screen.choose(page, "Feature", "summarize")
        expect(_headline(page)).not_to_contain_text("$47,231")
        screen.expect_address(page, "/", period=["March 2026"], feature=["summarize"])
        address, seen = page.url, screen.figures(page)
    answer = percall("export", "totals", *MARCH, "--where", "feature=summarize", "--format", "json", store=demo_store)
    total = round(float(json.loads(answer.out)["ledger_cost"]))
    assert f"March 2026 cost ${total:,}" in seen[0]
    with screen.opened(browser, address) as page:
        assert screen.figures(page) == seen


def test_from_all_features_down_to_the_dearest_calls_of_one(
    browser: Browser, demo_server: Server, demo_store: Path
) -> None:
    with screen.opened(browser, f"{demo_server.url}/features") as page:
        assert _table(page, 0, "Feature")[0][0] == "summarize"
        # The box before the first row, under the header.
        with screen.answered(page):
            page.locator(".stDataFrameGlideDataEditor").first.click(position={"x": 16, "y": 48})
        for label, name in (("Model", "model"), ("Tier", "tier"), ("User", "user")):
            if name != "model":  # which is what a page begins with
                with screen.answered(page):
                    page.get_by_role("radiogroup", name="By").get_by_text(label, exact=True).click()
            expect(page.get_by_role("heading", name=f"summarize by {name}", exact=True)).to_be_visible()
            rows = _table(page, 1, label)
            if name == "user":
                assert len(rows) > 5
                continue
            answer = percall(
                "export", "costs", *MAY, "--grain", "month", "--by", name, "--where", "feature=summarize",
                "--where", "category=LLM API|Embedding", "--format", "json", store=demo_store,
            )  # fmt: skip
            key = {"tier": "user_tier"}.get(name, name)
            expected = {row[key]: float(row["cost"]) for row in json.loads(answer.out)}
            assert {row[0]: pytest.approx(float(row[1])) for row in rows} == expected
        expect(page.get_by_role("heading", name="Dearest calls of summarize")).to_be_visible()
        costs = [float(row[1]) for row in _table(page, 2, "Time (UTC)")]
        assert len(costs) > 5
        assert costs == sorted(costs, reverse=True)
        assert "inside=summarize" in page.url


def test_the_button_and_the_command_write_the_same_bytes(
    browser: Browser, demo_server: Server, demo_store: Path
) -> None:
    with screen.opened(browser, f"{demo_server.url}/features?period=March+2026&tier=free&basis=List") as page:
        with page.expect_download() as started:
            page.locator(".st-key-features_table_csv").get_by_role("button").click()
        assert started.value.suggested_filename == "features-2026-03-01-2026-03-31.csv"
        content = Path(started.value.path()).read_bytes()
    answer = percall("export", "features", *MARCH, "--where", "tier=free", "--basis", "list", store=demo_store)
    assert content.count(b"\n") > 5
    assert content == answer.out


def test_a_bill_dropped_on_the_data_page_is_shown_then_loaded_then_on_the_overview(
    browser: Browser, tmp_path: Path
) -> None:
    store = tmp_path / "own"
    with serving(store, tmp_path) as server, screen.opened(browser, f"{server.url}/data") as page:
        page.locator("input[type=file]").set_input_files(
            [{"name": "march.csv", "mimeType": "text/csv", "buffer": BILL}]
        )
        expect(page.get_by_text("focus · 3 rows can be loaded")).to_be_visible()
        assert Store(store).current() is None
        page.locator(".st-key-upload_load").get_by_role("button").click()
        expect(page.get_by_text("Done: 3 rows were stored.")).to_be_visible()
        screen.settled(page)
        with screen.answered(page):
            page.get_by_test_id("stSidebarNav").get_by_text("Overview", exact=True).click()
        expect(_headline(page)).to_contain_text("March 2024 cost $846.29")
        assert "$846.29" in screen.figures(page)[1]
        expect(page.get_by_text("focus ends on 31 March 2024")).to_be_visible()
        expect(page.get_by_text("Demo data")).to_have_count(0)
