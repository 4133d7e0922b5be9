"""Signing in with a provider of OpenID Connect: who gets in, what each role sees, and the way out."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pages._registry import REGISTRY
from tests.browser import screen
from tests.browser.server import APP, Server, running
from tests.browser.sign_in_provider import Provider, provider, write_secrets
from tests.browser.wire import Wire
from tests.pages import small_store
from tests.pages.test_cold_start import ask
from warehouse.audit import AuditLog

pytestmark = pytest.mark.browser

PEOPLE = """[people]
admin = ["ann@example.com"]
analyst = ["group:finops"]
viewer = ["@example.com"]
default = "none"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of its own: sign-ins are written to its log."""
    path = tmp_path_factory.mktemp("sign-in") / "store"
    small_store.build(path, months=("2026-05",))
    return path


@pytest.fixture(scope="module")
def signing(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Provider]]:
    """The dashboard with a sign-in, and the provider that it trusts."""
    folder = tmp_path_factory.mktemp("signing")
    (folder / "percall.toml").write_text(PEOPLE)
    with provider() as found:
        write_secrets(folder, found)
        with running(APP, store, folder, environment={"PERCALL_CONFIG": str(folder / "percall.toml")}) as server:
            yield server, found


def person(email: str, *, verified: bool = True, **claims: object) -> dict[str, object]:
    """What the provider says of somebody."""
    return {"sub": f"id-{email}", "email": email, "email_verified": verified, **claims}


def sign_in(page: Page) -> None:
    """Press the button, and wait for what comes back from the provider."""
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/", wait_until="commit")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    screen.settled(page)


def navigation(page: Page) -> set[str]:
    """Titles of the pages that are offered."""
    return {text.split("\n")[-1].strip() for text in page.get_by_test_id("stSidebarNavLink").all_inner_texts()}


def test_nobody_sees_anything_before_signing_in(signing: tuple[Server, Provider]) -> None:
    server, _provider = signing
    for address in ("", "overview", "audit", "data", "_shell", "inform/overview"):
        said = b"".join(ask(server, address))
        assert b"Sign in" in said
        for entry in REGISTRY:
            assert entry.question.encode() not in said
        assert b"$8,403" not in said
        assert b"gate-signed-in" not in said


@pytest.mark.parametrize(
    "path", ["/media/abc.csv", "/_stcore/metrics", "/_stcore/upload_file/s/f", "/_stcore/agent/interact"]
)
def test_files_and_measurements_are_for_the_signed_in(signing: tuple[Server, Provider], path: str) -> None:
    server, _provider = signing
    for cookie in ("", "_streamlit_user=forged", '_streamlit_user="eyJpc19sb2dnZWRfaW4iOnRydWV9"'):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(
                urllib.request.Request(f"{server.url}{path}", headers={"Cookie": cookie}), timeout=10
            )
        with refused.value:
            assert refused.value.code == 403


def test_a_viewer_looks_an_admin_does_more_and_both_find_the_way_out(
    browser: Browser, signing: tuple[Server, Provider], store: Path
) -> None:
    server, found = signing
    admins_own = {entry.title for entry in REGISTRY if entry.role == "admin"}
    assert admins_own >= {"Audit", "Shared links"}
    context = browser.new_context()
    context.set_default_timeout(screen.PATIENCE_MS)
    page = context.new_page()
    Wire.of(page)
    found.person = person("vera@example.com")
    page.goto(f"{server.url}/features")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.get_by_test_id("stSidebarNavLink").count() == 0
    sign_in(page)
    assert navigation(page) == {entry.title for entry in REGISTRY} - admins_own
    expect(page.get_by_text("vera@example.com · viewer")).to_be_visible()
    # Nothing to export, share or load with.
    for words in ("CSV", "Share this page"):
        assert page.get_by_role("button", name=words).count() == 0
    with screen.answered(page):
        page.get_by_test_id("stSidebarNav").get_by_text("Data", exact=True).click()
    expect(page.get_by_text("Sources", exact=True)).to_be_visible()
    assert page.locator("input[type=file]").count() == 0
    # A page of the administrators has no address for a viewer.
    page.goto(f"{server.url}/audit")
    expect(page.get_by_role("dialog")).to_contain_text("Page not found")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    screen.settled(page)
    assert "Who" not in screen.text(page)
    assert "signed in" not in screen.text(page)
    # Measurements are answered now, with the very cookie that was given.
    assert page.request.get(f"{server.url}/_stcore/metrics").status == 200
    # The gate may be drawn once before the browser is on its way to the provider.
    with page.expect_response(lambda answer: answer.url.startswith(f"{found.issuer}/logout")):
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert found.signed_out == 1
    assert page.request.get(f"{server.url}/_stcore/metrics").status == 403

    found.person = person("ann@example.com")
    sign_in(page)
    assert navigation(page) == {entry.title for entry in REGISTRY}
    assert page.get_by_role("button", name="Share this page").count() == 1
    assert page.get_by_role("button", name="CSV").count() > 0
    page.get_by_test_id("stSidebarNav").get_by_text("Audit", exact=True).click()
    expect(page.get_by_role("heading", name="the log is what was written")).to_be_visible()
    context.close()
    entries = [(entry.who, entry.action, entry.subject) for entry in AuditLog(store).entries()]
    assert entries == [
        ("vera@example.com", "signed in", "viewer"),
        ("vera@example.com", "signed out", "viewer"),
        ("ann@example.com", "signed in", "admin"),
    ]


def test_a_group_gives_a_role(browser: Browser, signing: tuple[Server, Provider]) -> None:
    server, found = signing
    found.person = person("fred@elsewhere.org", groups=["everybody", "finops"])
    with screen.opened(browser, server.url) as page:
        sign_in(page)
        expect(page.get_by_text("fred@elsewhere.org · analyst")).to_be_visible()
        assert page.get_by_role("button", name="CSV").count() > 0
        page.get_by_role("button", name="Share this page").click()
        # An analyst takes the file along; links are the administrators'.
        expect(page.get_by_role("button", name="As a file")).to_be_visible()
        assert page.get_by_role("button", name="Make a link").count() == 0


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        (person("ann@example.com", verified=False), "does not say that this address is verified"),
        (person("eve@elsewhere.org"), "has no role here"),
        (person("eve@elsewhere.org", groups=["ann@example.com", "@example.com"]), "has no role here"),
    ],
    ids=["unverified", "stranger", "names as groups"],
)
def test_who_has_no_role_stays_outside(
    browser: Browser, signing: tuple[Server, Provider], claims: dict[str, object], words: str
) -> None:
    server, found = signing
    found.person = claims
    with screen.opened(browser, server.url) as page:
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_test_id("stAlertContentError")).to_contain_text(words)
        assert page.get_by_test_id("stSidebarNavLink").count() == 0


def test_a_sign_in_runs_out(browser: Browser, signing: tuple[Server, Provider]) -> None:
    server, found = signing
    found.person = person("vera@example.com", iat=1_700_000_000)
    with screen.opened(browser, server.url) as page:
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Your sign-in has run out")).to_be_visible()
        assert page.get_by_test_id("stSidebarNavLink").count() == 0
