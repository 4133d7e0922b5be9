"""Who may see the dashboard. The shell asks before it draws anything.

Today there is one way in: the machine's own user, for a server that listens on this machine only. A sign-in adds an
identity of another kind in `admit`; pages and filters need no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

import streamlit as st


@dataclass(frozen=True)
class Identity:
    """Who looks at the dashboard: a name to show, and how it was established."""

    name: str
    kind: Literal["local"]


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


def admit() -> Identity | None:
    """The identity of this session; None when nobody may look, after saying why and what to do."""
    address = st.get_option("server.address")
    if is_loopback(address):
        return Identity("Local user", "local")
    st.error(
        f"This dashboard listens on {address or 'every network interface'}, where everybody who reaches it could read "
        "every figure, so it stays closed. Start it with `percall serve`, which listens on this machine only "
        "(127.0.0.1), and put a proxy with a sign-in before it to share it.",
        icon=":material/lock:",
    )
    return None
