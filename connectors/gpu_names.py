"""The catalogue's name of a GPU (`data/gpus.csv`), from the name that its driver reports: "NVIDIA A100-SXM4-40GB" is an A100-40GB."""

from __future__ import annotations

import re

_FAMILY = re.compile(r"\b(A100|A10G|A10|H100|H200|L40S|L40|L4|T4|B200|V100)\b", re.IGNORECASE)
_MEMORY = re.compile(r"\b(\d{2,3})\s?GB\b", re.IGNORECASE)
_BY_MEMORY = {"A100": ("40", "80"), "H100": ("80",)}
"""Families that the catalogue tells apart by memory, and the sizes there are; the first one where the name does not say."""


def catalogue_gpu(reported: str | None) -> str | None:
    """The catalogue's name; what is not recognised stays as it is reported."""
    text = " ".join((reported or "").replace("-", " ").split())
    found = _FAMILY.search(text)
    if not found:
        return reported or None
    family = found[1].upper()
    sizes = _BY_MEMORY.get(family)
    if sizes is None:
        return family
    memory = _MEMORY.search(text)
    if memory is None and len(sizes) > 1:
        return reported
    size = memory[1] if memory else sizes[0]
    pcie = "-PCIe" if re.search(r"\bPCIe?\b", text, re.IGNORECASE) and not (family == "A100" and size == "40") else ""
    return f"{family}-{size}GB{pcie}"
