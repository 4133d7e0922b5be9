"""Prices in a database of their own, for all tests of what calls cost."""

from __future__ import annotations

from tests.warehouse.priced_calls import own_prices, warehouse

__all__ = ["own_prices", "warehouse"]
