"""The prompt prefix of each call as the log knows it: how many blocks, how many tokens a block is, or only whose prompt it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.heavy_columns import Lists
from analytics.simulators.workload import Workload

MOST_BLOCKS = 256
"""Gateways' prompts are told apart in their first 256 blocks."""

_GRAINS = (16, 32, 64, 128, 256, 512, 1024, 2048)
_SAMPLE = 200_000


@dataclass(frozen=True, eq=False)
class Prefixes:
    """Blocks of the calls' prefixes, and how many tokens each call's blocks are (float32; 0: no prefix is known)."""

    blocks: Lists
    block_tokens: NDArray[np.float32]

    def counts(self, most_tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many full blocks of each call lie within its first `most_tokens` tokens."""
        whole = np.divide(most_tokens, self.block_tokens, out=np.zeros(len(most_tokens)), where=self.block_tokens > 0)
        return np.minimum(self.blocks.lengths, np.floor(whole + 1e-6).astype(np.int64))


def prefixes_of(workload: Workload, block_tokens: float | None = None) -> Prefixes:
    """The prefixes that the log knows. `block_tokens`: how many tokens a block is; None: found from the calls.

    Where blocks are whole numbers of tokens (512 in most traces), calls with little beyond their last block give the number away:
    the 1 % of calls with the fewest tokens per block lie within 6 % above a power of two. Blocks of a number of characters are so many tokens as the
    call's tokens, shared out over its blocks and half a block for the rest.
    """
    blocks = workload.heavy.prefix_blocks()
    lengths = blocks.lengths
    tokens = workload.input_tokens
    if block_tokens is None:
        block_tokens = whole_block_tokens(tokens, lengths, workload.has_usage)
    sizes = np.zeros(len(lengths), dtype=np.float32)
    some = lengths > 0
    if block_tokens is not None:
        sizes[some] = block_tokens
        return Prefixes(blocks, sizes)
    sizes[some] = tokens[some] / (lengths[some] + 0.5)
    cut = some & (lengths >= MOST_BLOCKS)
    whole = some & ~cut & (tokens > 0)
    if cut.any() and whole.any():
        sizes[cut] = np.median(sizes[whole])
    return Prefixes(blocks, sizes)


def whole_block_tokens(
    tokens: NDArray[np.int64], lengths: NDArray[np.int64], has_usage: NDArray[np.bool_]
) -> float | None:
    """How many tokens a block is, where blocks are a whole number of tokens (see `prefixes_of`); None: they are not, or too little is known."""
    places = np.flatnonzero((lengths >= 4) & (lengths < MOST_BLOCKS) & has_usage & (tokens > 0))
    if not len(places):
        return None
    places = places[:: max(1, len(places) // _SAMPLE)]
    lowest = float(np.quantile(tokens[places] / lengths[places], 0.01))
    return next((float(grain) for grain in _GRAINS if grain <= lowest <= grain * 1.0625), None)


def prompt_groups(workload: Workload) -> NDArray[np.int32]:
    """Whose prompt each call has, where no blocks are known: calls of one feature, prompt name and version have one number; -1: not known."""
    name, version = workload.heavy.coded("prompt_name"), workload.heavy.coded("prompt_version")
    number = (workload.feature.astype(np.int64) + 1) * (len(name.names) + 1) + name.codes + 1
    number = number * (len(version.names) + 1) + version.codes + 1
    unknown = (workload.feature < 0) & (name.codes < 0)
    _, codes = np.unique(number, return_inverse=True)
    return np.where(unknown, -1, codes).astype(np.int32)
