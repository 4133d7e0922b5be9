"""Roles where state changes: hidden buttons protect nothing, so what is asked for is refused where it would be done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages import _people
from tests.browser.server import SAMPLE_APP, Server, running
from tests.pages.product import SHELL
from tests.pages.signing_in import AUTH, signed_in
from tests.pages.test_cold_start import ask
from warehouse.audit import AuditLog
from warehouse.people import ADMIN, ANALYST, VIEWER


def script(wanted: str) -> None:
    """Ask for a right as a callback does, whatever the page has drawn."""
    import streamlit as st

    from pages import _people as people
    from warehouse.people import NotAllowed

    try:
        st.write(f"done by {people.require(wanted, 'change a rule').name}")
    except NotAllowed as refused:
        st.write(f"refused: {refused}")


@pytest.mark.parametrize("wanted", [VIEWER, ANALYST, ADMIN])
@pytest.mark.parametrize(
    ("email", "role"), [("ann@example.com", ADMIN), ("ben@example.com", ANALYST), ("cem@example.com", VIEWER)]
)
def test_a_right_is_refused_where_it_is_used(store_with_roles: Path, email: str, role: str, wanted: str) -> None:
    app = signed_in(AppTest.from_function(script, args=(wanted,)), email).run()
    (said,) = [str(one.value) for one in app.markdown]
    order = (VIEWER, ANALYST, ADMIN)
    if order.index(role) >= order.index(wanted):
        assert said == f"done by {email}"
        assert AuditLog(store_with_roles).entries() == []
        return
    assert said.startswith(f"refused: Your role is {role}")
    assert f"you need the role {wanted}" in said
    (entry,) = AuditLog(store_with_roles).entries()
    assert (entry.action, entry.who, entry.subject) == ("not allowed", email, "change a rule")


@pytest.mark.parametrize(
    "claims",
    [{"is_logged_in": False}, {"iat": time.time() - 13 * 3600}, {"iat": None}, {"iat": time.time() + 4000}],
    ids=["signed out", "too old", "without a time", "of tomorrow"],
)
def test_without_a_sign_in_of_today_there_is_no_right_at_all(store_with_roles: Path, claims: dict[str, object]) -> None:
    app = signed_in(AppTest.from_function(script, args=(VIEWER,)), "ann@example.com", **claims).run()
    assert "You are not signed in any more" in app.markdown[0].value


def test_a_sign_in_is_asked_for_on_loopback_too_once_it_is_set_up(store_with_roles: Path) -> None:
    app = AppTest.from_file(str(SHELL), default_timeout=60)
    app.secrets["auth"] = AUTH
    app.run()
    assert [button.label for button in app.button] == ["Sign in"]
    assert not app.sidebar.selectbox
    assert "$" not in "".join(str(one.value) for one in app.markdown)


def test_anybody_of_the_world_is_nobody_here(store_with_roles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (store_with_roles.parent / "percall.toml").write_text("")
    world = AUTH | {"server_metadata_url": "https://accounts.google.com/.well-known/openid-configuration"}
    for settings, role in ((AUTH, VIEWER), (world, None)):
        monkeypatch.setattr(_people, "sign_in_settings", lambda settings=settings: settings)
        assert _people.default_role("default" if settings is AUTH else None) == role


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_request_that_a_proxy_passes_on_needs_a_sign_in(small: Path, forwarding: Server, name: str) -> None:
    assert not any(b"so it stays closed" in answer for answer in ask(forwarding, ""))
    passed_on = ask(forwarding, "", {name: "198.51.100.4"})
    assert any(b"no sign-in is set up, so it stays closed" in answer for answer in passed_on)
    assert not any(b"Sample features" in answer for answer in passed_on)


@pytest.fixture(scope="module")
def forwarding(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on loopback without a sign-in, as a proxy may stand before it."""
    with running(SAMPLE_APP, small, tmp_path_factory.mktemp("forwarding")) as server:
        yield server
