"""Small synthetic price files for tests: rows as literals."""

from __future__ import annotations

from warehouse.intake import Extraction


def price_file(amounts: dict[str, str], name: str = "contract.csv") -> Extraction:
    """Prices of gpt-4o in the contract, from March 2026 on, by token class (USD per million)."""
    rows = ", ".join(f"({place}, '{kind}', {amount})" for place, (kind, amount) in enumerate(amounts.items(), 1))
    query = f"""
        SELECT _row, NULL::VARCHAR AS _column, NULL::VARCHAR AS _reason, 'contract' AS book, 'openai' AS provider, 'gpt-4o' AS model, kind AS
            token_class, 'standard' AS processing, 0::BIGINT AS context_from, amount::DECIMAL(18,10) AS amount, 'USD' AS currency,
            TIMESTAMP '2026-03-01' AS valid_from, TIMESTAMP '9999-12-31' AS valid_to, '{name}' AS source
        FROM (VALUES {rows}) t(_row, kind, amount)"""
    return Extraction("prices", "prices", name, name, f"{name}{amounts}", query)
