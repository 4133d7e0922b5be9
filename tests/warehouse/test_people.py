"""Roles: who is named gets the highest role that names him or her."""

from __future__ import annotations

import pytest

from warehouse.errors import InputError
from warehouse.people import allows, read_people

SECTION = {
    "admin": ["Ann@Example.com", "group:finops admins"],
    "analyst": ["@example.com", "ben@other.org"],
    "viewer": ["@other.org"],
}


@pytest.mark.parametrize(
    ("email", "groups", "role"),
    [
        ("ann@example.com", (), "admin"),
        ("ANN@EXAMPLE.COM", (), "admin"),
        ("cem@example.com", (), "analyst"),
        ("ben@other.org", (), "analyst"),
        ("dora@other.org", (), "viewer"),
        ("dora@other.org", ("finops admins",), "admin"),
        ("eve@elsewhere.net", ("finops admins",), "admin"),
        ("eve@elsewhere.net", ("FinOps admins", "ann@example.com"), None),
        ("eve@sub.example.com", (), None),
        ("eve@example.com.evil.net", (), None),
        ("ann@example.com@evil.net", (), None),
        (None, (), None),
        ("", (), None),
    ],
)
def test_the_highest_role_that_names_a_person(email: str | None, groups: tuple[str, ...], role: str | None) -> None:
    assert read_people(SECTION).role_of(email, groups) == role


def test_who_is_named_nowhere_gets_the_default() -> None:
    people = read_people(SECTION)
    assert people.role_of("eve@elsewhere.net", (), "viewer") == "viewer"
    assert people.role_of("ann@example.com", (), "viewer") == "admin"
    assert read_people({"default": "none"}).default is None
    assert read_people({}).default == ""


def test_roles_hold_all_below_them() -> None:
    order = ("viewer", "analyst", "admin")
    for has, role in enumerate(order):
        for needs, needed in enumerate(order):
            assert allows(role, needed) == (has >= needs)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"admins": []}, "unknown setting 'admins'"),
        ({"admin": "ann@example.com"}, 'write it like admin = \\["ann@example.com"'),
        ({"viewer": ["everybody"]}, "column viewer"),
        ({"analyst": ["a b@example.com"]}, "column analyst"),
        ({"default": "root"}, "choose viewer, analyst, admin or none"),
        ({"session_hours": 0}, "session_hours = 12"),
        ({"session_hours": True}, "session_hours = 12"),
        ({"groups_claim": ""}, "groups_claim"),
        ({"trust_unverified_email": "yes"}, "true or false"),
    ],
)
def test_a_setting_that_cannot_be_is_said(section: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_people(section, "percall.toml")
