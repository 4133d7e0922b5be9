"""What a ledger row is to the features: one feature's, or which kind of rest."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from analytics.ledger import MODEL_CATEGORIES

FEATURE, UNTAGGED, NOT_TRACED, SHARED = "feature", "untagged", "not traced", "shared"
"""A named feature; calls that name none; billed model use without any traced call; infrastructure that names none."""


def is_model_use(rows: ir.Table) -> ir.BooleanValue:
    """Whether a ledger row is the use of models through an API (categories LLM API and Embedding)."""
    return rows.category.isin(MODEL_CATEGORIES).fill_null(False)


def cost_kind(rows: ir.Table) -> ir.StringValue:
    """FEATURE, UNTAGGED, NOT_TRACED or SHARED."""
    return ibis.cases(
        (rows.feature.notnull(), FEATURE),
        (~is_model_use(rows), SHARED),
        (rows.allocation == "not traced", NOT_TRACED),
        else_=UNTAGGED,
    )
