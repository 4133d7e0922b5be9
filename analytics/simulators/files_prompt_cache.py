"""Prompt caching replayed over a file: a published trace of prefix blocks, or calls as we export them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analytics.simulators.heavy_columns import Lists
from analytics.simulators.prefixes import whole_block_tokens
from analytics.simulators.prompt_cache_gaps import prefix_gaps
from analytics.simulators.prompt_cache_rules import cacheable
from warehouse.errors import InputError

TRACE_BLOCK = 512
"""Tokens of a block in Mooncake's traces."""

_READERS = {
    ".parquet": "read_parquet({path})",
    ".csv": "read_csv({path}, all_varchar=true, header=true)",
    ".jsonl": "read_json({path}, format='newline_delimited', maximum_depth=1, sample_size=-1)",
    ".json": "read_json({path}, maximum_depth=1, sample_size=-1)",
}
_INPUT = ("uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")


def simulate_prompt_cache_file(
    path: Path | str, ttl: float | None, min_tokens: int = 0, write: float = 1.25, read: float = 0.1
) -> dict[str, Any]:
    """What a prompt cache would have read and written for the requests of a file, and what its input would have cost.

    ttl: seconds that a prefix stays warm after each use; None: for ever. min_tokens: shorter prefixes are not cached, and shorter matches
    not read. write, read: price of a written and of a read token, in prices of plain input.

    Files (Parquet, JSON, JSON lines, CSV) have either the columns of Mooncake's traces: timestamp (milliseconds; or timestamp_ms), input_length,
    hash_ids (512 tokens each) and, where the order matters, row_idx; or those of our calls: started_at, uncached_input_tokens, cache_read_tokens,
    cache_write_5m_tokens, cache_write_1h_tokens, prefix_blocks and, where caches are not shared by all, provider and model. Requests of the same
    moment count in the order of the file. With a minimum only full blocks are cached; without one (0 or 1) a trace's last, shorter block is
    too: so its published hit ratio counts.

    Keys: requests, rejected_rows (no time, or no input), input_tokens, read_tokens, write_tokens, plain_tokens, blocks, blocks_read, block_hit_ratio,
    token_hit_ratio (read / input tokens), cost_ratio (cost of the input relative to the input without a cache), block_tokens (None: from the
    calls' own sizes), ttl (None: for ever), min_tokens, write, read. Ratios of no tokens are None.

    Raises InputError for a file that cannot be read or lacks columns, and for a negative setting.
    """
    life = _life(ttl)
    if min_tokens < 0 or not (write >= 0 and read >= 0 and math.isfinite(write) and math.isfinite(read)):
        raise InputError("the shortest prefix and what a write and a read cost must be numbers that are not negative")
    table, is_trace, rejected = _requests(Path(path))
    time, tokens = _numbers(table, "time"), _numbers(table, "tokens")
    blocks = _lists(table)
    size, block_tokens = _block_size(tokens, blocks, is_trace)
    with_rest = is_trace and min_tokens <= 1
    counts = (
        blocks.lengths if with_rest else np.minimum(blocks.lengths, np.floor(tokens / size + 1e-6).astype(np.int64))
    )

    def kept(calls: Any, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of the first blocks of these calls, as far as they are cached."""
        return cacheable(np.minimum(np.floor(number * size[calls]), tokens[calls]), max(min_tokens, 1), 1)

    full = kept(slice(None), counts)
    counts = np.where(full > 0, counts, 0)
    group = np.where(counts > 0, _numbers(table, "cache"), -1).astype(np.int32)
    runs = prefix_gaps(group, time, blocks, counts)
    found = runs.gap <= life
    ends = (runs.first + runs.count).astype(np.int64)
    hits = int((kept(runs.call, ends) - kept(runs.call, runs.first.astype(np.int64)))[found].sum())
    whole, written = int(tokens.sum()), int(full.sum()) - hits
    plain = whole - hits - written
    number = int(blocks.lengths.sum())
    found_blocks = np.bincount(runs.call[found], weights=runs.count[found], minlength=len(tokens)).astype(np.int64)
    blocks_read = int(found_blocks[kept(slice(None), found_blocks) > 0].sum())
    return {
        "requests": len(tokens),
        "rejected_rows": rejected,
        "input_tokens": whole,
        "read_tokens": hits,
        "write_tokens": written,
        "plain_tokens": plain,
        "blocks": number,
        "blocks_read": blocks_read,
        "block_hit_ratio": blocks_read / number if number else None,
        "token_hit_ratio": hits / whole if whole else None,
        "cost_ratio": (hits * read + written * write + plain) / whole if whole else None,
        "block_tokens": block_tokens,
        "ttl": None if ttl is None or math.isinf(ttl) else ttl,
        "min_tokens": min_tokens,
        "write": write,
        "read": read,
    }


def _life(ttl: float | None) -> int:
    if ttl is None or ttl == math.inf:
        return np.iinfo(np.int64).max - 1
    if not ttl >= 0:
        raise InputError(f"the seconds that a prefix stays warm must not be negative, not {ttl:g}")
    return min(math.floor(ttl * 1_000_000), np.iinfo(np.int64).max - 1) if ttl else -1


def _requests(path: Path) -> tuple[pa.Table, bool, int]:
    """Time (microseconds), tokens, blocks and number of the cache, in order of time; whether it is a trace; how many rows are left out."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"a trace is a file in {', '.join(sorted(_READERS))}", file=path.name)
    source = reader.format(path="'" + str(path).replace("'", "''") + "'")
    with duckdb.connect() as connection:
        try:
            known = {str(row[0]) for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
            query, is_trace = _query(known, path.name)
            table = connection.sql(query.format(source=source)).to_arrow_table()
        except (duckdb.Error, OSError) as error:
            raise InputError(f"this file cannot be replayed: {str(error).splitlines()[0]}", file=path.name) from error
    good = table.filter(pc.and_(pc.is_valid(table["time"]), pc.greater_equal(table["tokens"], 0)))
    if not good.num_rows:
        raise InputError("no row has a time and a number of input tokens", file=path.name)
    order = np.lexsort((_numbers(good, "place"), _numbers(good, "time")))
    return good.take(order), is_trace, table.num_rows - good.num_rows


def _query(known: set[str], file: str) -> tuple[str, bool]:
    place = "try_cast(row_idx AS BIGINT)" if "row_idx" in known else "row_number() OVER ()"
    time = next((name for name in ("timestamp", "timestamp_ms") if name in known), None)
    if {"hash_ids", "input_length"} <= known and time:
        return (
            f"SELECT (try_cast({time} AS DOUBLE) * 1000)::BIGINT AS time, try_cast(input_length AS BIGINT) AS tokens, "
            f"try_cast(hash_ids AS BIGINT[]) AS blocks, 0 AS cache, coalesce({place}, 0) AS place FROM {{source}}"
        ), True
    if {"started_at", "uncached_input_tokens", "prefix_blocks"} <= known:
        tokens = " + ".join(
            f"coalesce(try_cast({name} AS BIGINT), 0)" for name in _INPUT if name in known and name != _INPUT[0]
        )
        owner = [f"coalesce({name}::VARCHAR, '')" for name in ("provider", "model") if name in known]
        cache = f"dense_rank() OVER (ORDER BY {', '.join(owner)})" if owner else "0"
        return (
            "SELECT epoch_us(try_cast(started_at AS TIMESTAMP)) AS time, "
            f"try_cast(uncached_input_tokens AS BIGINT){' + ' + tokens if tokens else ''} AS tokens, "
            f"try_cast(prefix_blocks AS UBIGINT[]) AS blocks, {cache} AS cache, {place} AS place FROM {{source}}"
        ), False
    raise InputError(
        "a trace has the columns timestamp, input_length and hash_ids; calls have started_at, uncached_input_tokens and prefix_blocks; "
        f"this file has {', '.join(sorted(known)[:12])}",
        file=file,
    )


def _numbers(table: pa.Table, name: str) -> NDArray[np.int64]:
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def _lists(table: pa.Table) -> Lists:
    column = table["blocks"].combine_chunks()
    column = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
    lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = column.flatten().fill_null(0).to_numpy(zero_copy_only=False)
    values = values.view(np.uint64) if values.dtype == np.int64 else values.astype(np.uint64)
    return Lists(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), values)


def _block_size(tokens: NDArray[np.int64], blocks: Lists, is_trace: bool) -> tuple[NDArray[np.float64], float | None]:
    """Tokens of a block of each request, and the one number that holds for all, if there is one."""
    one = float(TRACE_BLOCK) if is_trace else whole_block_tokens(tokens, blocks.lengths, tokens > 0)
    if one is not None:
        return np.full(len(tokens), one), one
    return np.maximum(tokens, 1) / (blocks.lengths + 0.5), None
