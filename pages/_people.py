"""Who looks at the dashboard, and what he or she may do.

Sign-in is Streamlit's own (`st.login`, OpenID Connect), set up by the section [auth] of the secrets; roles come from [people] in percall.toml, see
`warehouse.people`. Without [auth] there is one person: the machine's own user, who may do everything, on a server that this machine alone
can reach.

Hidden buttons protect nothing, because a session's messages can be made by hand: whatever changes state calls `require` where it does so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import streamlit as st

from pages import _data
from warehouse.audit import NOT_ALLOWED, SIGNED_IN, SIGNED_OUT, AuditLog
from warehouse.people import ADMIN, ANALYST, MAY, VIEWER, NotAllowed, People, allows, read_people

__all__ = ["ADMIN", "ANALYST", "VIEWER", "Person", "current_person", "may", "require"]

_CLOCK_SKEW_SECONDS = 300
_PUBLIC_ISSUERS = ("accounts.google.com", "/common/", "/organizations/", "/consumers/", "appleid.apple.com")
"""Parts of provider addresses at which anybody in the world has, or can make, an account."""


@dataclass(frozen=True)
class Person:
    """Somebody who may look: a name to show and to sign changes with, and what he or she may do."""

    name: str
    email: str | None
    role: str
    kind: Literal["local", "signed-in"]


LOCAL = Person("Local user", None, ADMIN, "local")


def is_loopback(address: str | None) -> bool:
    """Whether a server that listens on this address can be reached from this machine only."""
    if not address:
        return False
    if address == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def sign_in_settings() -> Mapping[str, Any]:
    """The section [auth] of the secrets; empty where no sign-in is set up."""
    if not st.secrets.load_if_toml_exists():
        return {}
    section = st.secrets.get("auth", {})
    return section if isinstance(section, Mapping) else {}


def providers() -> list[str | None]:
    """The names to sign in with, as `st.login` takes them; None is the one provider that [auth] itself describes."""
    settings = sign_in_settings()
    named = [name for name, value in settings.items() if isinstance(value, Mapping) and "client_id" in value]
    return [*([None] if "client_id" in settings else []), *named]


def people() -> People:
    """The section [people]. Raises InputError when it cannot be used."""
    configuration = _data.configuration()
    return read_people(configuration.people, str(configuration.path) if configuration.path else None)


def default_role(provider: str | None) -> str | None:
    """The role of whoever is named nowhere: what [people] says, else viewer, but nobody where anybody in the world could sign in."""
    chosen = people().default
    if chosen != "":
        return chosen
    settings = sign_in_settings()
    section = settings.get(provider) if provider else None
    address = str((section if isinstance(section, Mapping) else settings).get("server_metadata_url", ""))
    return None if any(part in address for part in _PUBLIC_ISSUERS) else VIEWER


def claims() -> Mapping[str, Any]:
    """What the provider says of this session's person; empty before a sign-in."""
    found = st.user.to_dict()
    return found if found.get("is_logged_in") else {}


def is_stale(said: Mapping[str, Any], now: float | None = None) -> bool:
    """Whether the sign-in is older than [people] allows. A provider states its time in the claim `iat`; without it, it is too old."""
    at = said.get("iat")
    if isinstance(at, bool) or not isinstance(at, int | float):
        return True
    age = (time.time() if now is None else now) - at
    return not -_CLOCK_SKEW_SECONDS <= age <= people().session_hours * 3600


def person_of(said: Mapping[str, Any]) -> Person | None:
    """The person that these claims name; None when no role is given to him or her."""
    email = said.get("email")
    verified = said.get("email_verified") in (True, "true") or people().trust_unverified_email
    address = email.strip() if isinstance(email, str) and verified and email.strip() else None
    groups = said.get(people().groups_claim) or []
    groups = [groups] if isinstance(groups, str) else groups if isinstance(groups, list | tuple) else []
    provider = said.get("provider")
    default = default_role(None if provider in (None, "default") else str(provider))
    role = people().role_of(address, [str(group) for group in groups], default)
    if role is None:
        return None
    name = address or str(said.get("name") or said.get("sub") or "somebody")
    return Person(name, address, role, "signed-in")


def look_up_person() -> Person | None:
    """This session's person; None before a sign-in, after it has run out, and for whoever has no role."""
    if not sign_in_settings():
        return LOCAL if is_loopback(st.get_option("server.address")) else None
    said = claims()
    return None if not said or is_stale(said) else person_of(said)


def current_person() -> Person:
    """This session's person, asked anew at every call, so that fragments and callbacks outlive no sign-in. Raises NotAllowed without one."""
    person = look_up_person()
    if person is None:
        raise NotAllowed("You are not signed in any more: reload the page to sign in.")
    return person


def may(role: str) -> bool:
    """Whether this session's person may do what needs this role: for what to draw. What changes state calls `require`."""
    person = look_up_person()
    return person is not None and allows(person.role, role)


def require(role: str, what: str) -> Person:
    """This session's person, who does `what` now ("change a rule"). Raises NotAllowed, and notes the attempt, when the role is not enough."""
    person = current_person()
    if not allows(person.role, role):
        AuditLog(_data.store_path()).record(NOT_ALLOWED, what, who=person.name, role=person.role, needed=role)
        raise NotAllowed(
            f"Your role is {person.role}: you may {MAY[person.role]}. To {what} you need the role {role}, which an administrator gives you "
            "in the section [people] of percall.toml."
        )
    return person


def note_sign_in(person: Person) -> None:
    """Write a sign-in to the audit log, once however many pages and tabs it serves."""
    said = claims()
    if person.kind == "local" or st.session_state.get("_sign_in_noted"):
        return
    key = f"{said.get('iss')} {said.get('sub')} {said.get('iat')}"
    log = AuditLog(_data.store_path())
    log.record(SIGNED_IN, person.role, who=person.name, address=st.context.ip_address, once=key)
    st.session_state["_sign_in_noted"] = True


def sign_out() -> None:
    """End this person's sign-in, here and, where the provider offers it, there."""
    person = look_up_person()
    if person is not None:
        AuditLog(_data.store_path()).record(SIGNED_OUT, person.role, who=person.name)
    st.logout()


def own_host() -> str | None:
    """The host name that people sign in at, from the [auth] section's redirect_uri; None without a sign-in."""
    return urlsplit(str(sign_in_settings().get("redirect_uri", ""))).hostname


def is_signed_in(cookies: Mapping[str, str]) -> bool:
    """Whether these cookies are of somebody who signed in and still has a role: for requests that reach no session."""
    from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks  # noqa: PLC0415

    try:
        raw = _get_signed_cookie_with_chunks(dict(cookies), "_streamlit_user")
        said = json.loads(raw) if raw else {}
    except ValueError:
        return False
    return bool(isinstance(said, dict) and said.get("is_logged_in") and not is_stale(said) and person_of(said))
