"""The demo company of its own seed, and of another; both are made once."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from tests.connectors.demo_company.company import fill

OTHER_SEED = 7


@pytest.fixture(scope="package")
def demo() -> Iterator[duckdb.DuckDBPyConnection]:
    with fill(2026) as connection:
        yield connection


@pytest.fixture(scope="package", params=[2026, pytest.param(OTHER_SEED, marks=pytest.mark.slow)])
def any_demo(request: pytest.FixtureRequest, demo: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    if request.param == 2026:
        yield demo
    else:
        with fill(request.param) as connection:
            yield connection
