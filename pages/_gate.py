"""Who may see the dashboard. The shell asks before it draws anything.

Where the secrets set up a sign-in, everybody signs in; where they do not, the machine's own user is let in, and only by a server that listens on
this machine alone.
"""

from __future__ import annotations

import streamlit as st

from pages import _people
from pages._data import store_path
from pages._people import Person
from pages._text import plain
from warehouse.audit import SIGN_IN_REFUSED, AuditLog


def admit() -> Person | None:
    """The person of this session; None when nobody may look, after saying why and what to do."""
    if not _people.sign_in_settings():
        return _admit_local()
    person = _people.look_up_person()
    if person is not None:
        _people.note_sign_in(person)
        return person
    said = _people.claims()
    if not said or _people.is_stale(said):
        _offer_sign_in(again=bool(said))
    else:
        _refuse()
    return None


def _admit_local() -> Person | None:
    address = st.get_option("server.address")
    if not _people.is_loopback(address):
        st.error(
            f"This dashboard listens on {address or 'every network interface'}, where everybody who reaches it could read "
            "every figure, so it stays closed. Start it with `percall serve`, which listens on this machine only "
            "(127.0.0.1), or set up a sign-in: see docs/how-to-deploy.md.",
            icon=":material/lock:",
        )
        return None
    if _forwarded():
        st.error(
            "A proxy passes this request on from another machine, and no sign-in is set up, so it stays closed. Set up a sign-in: see "
            "docs/how-to-deploy.md.",
            icon=":material/lock:",
        )
        return None
    return _people.LOCAL


def _forwarded() -> bool:
    """Whether the request came through a proxy: a loopback address then says nothing about where from."""
    headers = st.context.headers
    return any(name in headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip"))


def _offer_sign_in(*, again: bool) -> None:
    st.markdown("# Percall", anchors=False)
    st.caption(
        "What every AI call costs, and what it earns. Your sign-in has run out."
        if again
        else "What every AI call costs, and what it earns."
    )
    for name in _people.providers():
        label = f"Sign in with {name.capitalize()}" if name and len(_people.providers()) > 1 else "Sign in"
        st.button(
            label, key=f"sign_in_{name or 'default'}", type="primary", icon=":material/login:", on_click=st.login,
            args=(name,) if name else (),
        )  # fmt: skip


def _refuse() -> None:
    claims = _people.claims()
    email = str(claims.get("email") or claims.get("name") or claims.get("sub") or "")
    AuditLog(store_path()).record(
        SIGN_IN_REFUSED, "no role", who=email or "somebody", address=st.context.ip_address,
        once=f"refused {claims.get('iss')} {claims.get('sub')} {claims.get('iat')}",
    )  # fmt: skip
    unverified = bool(claims.get("email")) and claims.get("email_verified") not in (True, "true")
    why = " The sign-in does not say that this address is verified." if unverified else ""
    st.error(
        f"You are signed in as {plain(email)}, who has no role here.{why} An administrator gives one in the section [people] of percall.toml.",
        icon=":material/lock:",
    )
    st.button("Sign out", key="sign_out", on_click=st.logout)
