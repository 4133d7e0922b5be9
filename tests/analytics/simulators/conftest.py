"""Levers of the tests are known by name while these tests run, so that scenario files can speak of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analytics.simulators.lever import LEVERS, lever
from tests.analytics.simulators.made import Cap, Prefix, Resource, Route, Vanish


@pytest.fixture(scope="package", autouse=True)
def _levers_of_the_tests() -> Iterator[None]:
    before = dict(LEVERS)
    for kind in (Vanish, Route, Prefix, Cap, Resource):
        lever(kind)
    yield
    for kind in (Vanish, Route, Prefix, Cap, Resource):
        if kind.name not in before:
            del LEVERS[kind.name]
