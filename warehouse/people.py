"""Who may do what: three roles, and the section [people] of percall.toml that gives them.

    [people]
    admin = ["ann@example.com", "group:finops"]     # loads, syncs, prices, rules, shared links, the audit log
    analyst = ["@example.com"]                      # saves plans and notes, acknowledges, exports
    default = "viewer"                              # whoever signs in and is named nowhere; "none" refuses them

A name is an email address, a domain that starts with @, or `group:` and a value of the sign-in's groups claim. The highest role that
names a person counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from warehouse.errors import InputError, PercallError

VIEWER, ANALYST, ADMIN = "viewer", "analyst", "admin"
ROLES = (VIEWER, ANALYST, ADMIN)
"""From the least to the most: who may do something may do all that stands before it."""

MAY: Mapping[str, str] = {
    VIEWER: "look at every page",
    ANALYST: "also save plans and notes, acknowledge, and export",
    ADMIN: "also load and sync data, change prices and rules, share links, and read the audit log",
}

NOBODY = "none"
_GROUP = "group:"
_NAME = re.compile(r"[^@\s]+@[^@\s]+|@[^@\s]+|group:\S.*")
_KEYS = (*ROLES, "default", "groups_claim", "session_hours", "trust_unverified_email")


class NotAllowed(PercallError):  # noqa: N818 - what was asked is not allowed, nothing failed
    """A person asked for something that his or her role does not allow; nothing was changed."""


def allows(role: str, needed: str) -> bool:
    """Whether a role may do what needs another one."""
    return ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True)
class People:
    """The section [people], checked.

    `default` is the role of whoever signs in and is named nowhere; None refuses them; "" leaves it to the sign-in's provider (see
    `pages._people`). `session_hours` after a sign-in another one is asked for. `trust_unverified_email` takes an address that the provider does
    not say to have verified.
    """

    named: tuple[tuple[str, str], ...] = ()
    default: str | None = ""
    groups_claim: str = "groups"
    session_hours: float = 12.0
    trust_unverified_email: bool = False

    def role_of(self, email: str | None, groups: Iterable[str] = (), default: str | None = None) -> str | None:
        """The highest role that names this address, its domain or one of these groups; else `default`."""
        address = (email or "").strip().casefold()
        mine = {f"{_GROUP}{group}" for group in groups}
        if address:
            mine |= {address, f"@{address.rpartition('@')[2]}"}
        roles = [role for role, name in self.named if name in mine]
        return max(roles, key=ROLES.index) if roles else default


def read_people(section: Mapping[str, Any], file: str | None = None) -> People:
    """The section [people]. Raises InputError that says which setting cannot be used and how it is written."""
    for key in section:
        if key not in _KEYS:
            raise InputError(f"unknown setting {key!r} in [people]; known are {', '.join(_KEYS)}", file=file)
    named: list[tuple[str, str]] = []
    for role in ROLES:
        names = section.get(role, [])
        if not isinstance(names, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
            raise InputError(
                f'write it like {role} = ["ann@example.com", "@example.com", "group:finops"]', file=file, column=role
            )
        named += [(role, name if name.startswith(_GROUP) else name.casefold()) for name in names]
    default = section.get("default", "")
    if "default" in section and default not in (*ROLES, NOBODY):
        raise InputError(f"choose {', '.join(ROLES)} or {NOBODY}", file=file, column="default")
    hours = section.get("session_hours", 12)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= 720:
        raise InputError("write the hours that a sign-in holds, like session_hours = 12 (at most 720)", file=file)
    claim, trusted = section.get("groups_claim", "groups"), section.get("trust_unverified_email", False)
    if not isinstance(claim, str) or not claim:
        raise InputError('write the name of the claim, like groups_claim = "groups"', file=file)
    if not isinstance(trusted, bool):
        raise InputError("write true or false", file=file, column="trust_unverified_email")
    return People(tuple(named), None if default == NOBODY else default, claim, float(hours), trusted)
