"""Engines beyond this machine answer as DuckDB does."""
