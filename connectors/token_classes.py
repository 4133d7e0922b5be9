"""Token counts as providers, proxies and tracers write them, made into disjoint classes whose sum is the provider's total.

Three conventions are in use. OpenAI, Gemini and LiteLLM count cached, cache-written and audio tokens *inside* the prompt, and
reasoning inside the completion. Anthropic, Bedrock and Langfuse keep every class apart. Some exporters mix both: LiteLLM's Langfuse
callback takes cache reads out of `input` and leaves cache writes in it. No key says which convention holds, but the total does:
the classes as written exceed it by exactly those that were counted twice. So the total decides, and the convention that a source
usually follows (`usage_inclusive`) is only asked when there is no total, or when two readings fit it.

Where no reading fits, an excess is taken off the plain input (the total and the output are what a provider bills most visibly), a
deficit is left, and in both cases the row carries the flag `token_total`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

COUNTS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "other_input",
    "output",
    "reasoning",
    "audio_output",
    "other_output",
    "total",
)
"""Counts that a source may give; `normalised` reads each from the column `usage_<name>` (NULL: not given).

`cache_write` is the sum of both lives where the source gives it; `other_input` and `other_output` are details of no class of
their own (images, predictions), which are billed as plain input and output.
"""

USAGE_KEYS: dict[str, tuple[str, ...]] = {
    "input": ("input", "input_tokens", "prompt_tokens", "promptTokens", "inputTokens"),
    "cache_read": (
        "input_cached_tokens",
        "input_cache_read",
        "cache_read_input_tokens",
        "input_cache_read_tokens",
        "input_cached_content_tokens",
        "cached_tokens",
        "cachedInputTokens",
    ),
    "cache_write": (
        "input_cache_creation",
        "cache_creation_input_tokens",
        "input_cache_creation_tokens",
        "input_cache_write",
        "cache_write_input_tokens",
    ),
    "cache_write_5m": ("input_cache_creation_5m", "cache_creation_input_tokens_5m", "ephemeral_5m_input_tokens"),
    "cache_write_1h": ("input_cache_creation_1h", "cache_creation_input_tokens_1h", "ephemeral_1h_input_tokens"),
    "audio_input": ("input_audio_tokens", "input_audio"),
    "output": ("output", "output_tokens", "completion_tokens", "completionTokens", "outputTokens"),
    "reasoning": ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens", "reasoningTokens"),
    "audio_output": ("output_audio_tokens", "output_audio"),
    "total": ("total", "total_tokens", "totalTokens"),
}
"""Spellings of each count in a flat usage map (Langfuse's `usageDetails`, SDK users, instrumentors). The first that is there counts."""

LITELLM_USAGE_PATHS: dict[str, tuple[str, ...]] = {
    "input": ("/prompt_tokens", "/input_tokens"),
    "cache_read": (
        "/prompt_tokens_details/cached_tokens",
        "/cache_read_input_tokens",
        "/input_tokens_details/cached_tokens",
    ),
    "cache_write": (
        "/cache_creation_input_tokens",
        "/prompt_tokens_details/cache_creation_tokens",
        "/prompt_tokens_details/cache_write_tokens",
    ),
    "cache_write_5m": (
        "/prompt_tokens_details/cache_creation_token_details/ephemeral_5m_input_tokens",
        "/cache_creation/ephemeral_5m_input_tokens",
    ),
    "cache_write_1h": (
        "/prompt_tokens_details/cache_creation_token_details/ephemeral_1h_input_tokens",
        "/cache_creation/ephemeral_1h_input_tokens",
    ),
    "audio_input": ("/prompt_tokens_details/audio_tokens",),
    "output": ("/completion_tokens", "/output_tokens"),
    "reasoning": ("/completion_tokens_details/reasoning_tokens", "/output_tokens_details/reasoning_tokens"),
    "audio_output": ("/completion_tokens_details/audio_tokens",),
    "total": ("/total_tokens",),
}
"""JSON pointers of each count in LiteLLM's usage object (`metadata.usage_object`), which also holds OpenAI's and Anthropic's own spellings."""

_INPUT_DETAILS = ("_read", "_write", "_audio_in", "_other_in")
_OUTPUT_DETAILS = ("_reasoning", "_audio_out", "_other_out")


def _subset_sums(names: tuple[str, ...]) -> Iterator[str]:
    """Sums of every subset, smallest subsets first."""
    yield "0"
    for size in range(1, len(names) + 1):
        for subset in combinations(names, size):
            yield "+".join(subset)


def _repeated_output() -> str:
    """SQL: the output tokens that were counted twice, such that input details explain the rest of the excess; NULL: no such number.

    Sources that usually count details inside are read that way first, the others the other way round.
    """
    sums = list(_subset_sums(_OUTPUT_DETAILS))

    def first_that_fits(options: list[str]) -> str:
        tests = " ".join(
            f"WHEN {option} <= _output AND _excess - ({option}) BETWEEN 0 AND _input"
            f" AND list_contains(_input_sums, _excess - ({option})) THEN {option}"
            for option in options
        )
        return f"CASE {tests} END"

    return f"CASE WHEN _inclusive THEN {first_that_fits(sums[::-1])} ELSE {first_that_fits(sums)} END"


def normalised(relation: str) -> str:
    """A query that adds the canonical token classes to a relation.

    `relation` has the columns `usage_<name>` for every name of `COUNTS` (BIGINT, not negative, NULL: not given; a total of 0 says
    nothing) and
    `usage_inclusive` (BOOLEAN: this source usually counts details inside input and output). The result has all its columns plus
    `uncached_input_tokens`, `cache_read_tokens`, `cache_write_5m_tokens`, `cache_write_1h_tokens`, `output_tokens`,
    `reasoning_tokens`, `audio_input_tokens`, `audio_output_tokens` (tokens; all NULL when the source gave no usage), `usage_tokens`
    (their sum) and `token_total_differs` (BOOLEAN: the classes as written do not give the provider's total in any reading).

    Where audio that was read from a cache is reported as both, it counts as cache read, once. Cache writes of unknown life count
    as five-minute writes.
    """
    anything = " OR ".join(f"usage_{name} IS NOT NULL" for name in COUNTS if name != "total")
    parts = """
        SELECT *
             , coalesce(usage_input, 0) AS _input, coalesce(usage_output, 0) AS _output
             , coalesce(usage_cache_read, 0) AS _read, coalesce(usage_cache_write_1h, 0) AS _write_1h
             , greatest(coalesce(usage_cache_write, 0), coalesce(usage_cache_write_5m, 0) + coalesce(usage_cache_write_1h, 0)) AS _write
             , coalesce(usage_audio_input, 0) AS _audio_given, coalesce(usage_audio_output, 0) AS _audio_out
             , coalesce(usage_other_input, 0) AS _other_in, coalesce(usage_other_output, 0) AS _other_out
             , coalesce(usage_reasoning, 0) AS _reasoning, coalesce(usage_inclusive, false) AS _inclusive, nullif(usage_total, 0) AS _total"""
    return f"""
    SELECT * EXCLUDE (_input, _output, _read, _write_1h, _write, _audio_given, _audio_out, _other_in, _other_out, _reasoning, _inclusive,
                      _total, _has_usage, _audio_in, _all_in, _all_out, _excess, _input_sums, _fit, _repeated_out, _repeated_in)
         , CASE WHEN _has_usage THEN _input - _repeated_in + _other_in END AS uncached_input_tokens
         , CASE WHEN _has_usage THEN _read END AS cache_read_tokens
         , CASE WHEN _has_usage THEN _write - _write_1h END AS cache_write_5m_tokens
         , CASE WHEN _has_usage THEN _write_1h END AS cache_write_1h_tokens
         , CASE WHEN _has_usage THEN _output - _repeated_out + _other_out END AS output_tokens
         , CASE WHEN _has_usage THEN _reasoning END AS reasoning_tokens
         , CASE WHEN _has_usage THEN _audio_in END AS audio_input_tokens
         , CASE WHEN _has_usage THEN _audio_out END AS audio_output_tokens
         , CASE WHEN _has_usage THEN _input - _repeated_in + _all_in + _output - _repeated_out + _all_out END AS usage_tokens
         , _total IS NOT NULL AND (NOT _has_usage OR _fit IS NULL) AS token_total_differs
    FROM (
        SELECT *
             , CASE WHEN _fit IS NOT NULL THEN _fit WHEN _inclusive AND _all_out <= _output THEN _all_out ELSE 0 END AS _repeated_out
             , CASE WHEN _fit IS NOT NULL THEN _excess - _fit
                    WHEN _excess IS NULL THEN CASE WHEN _inclusive AND _all_in <= _input THEN _all_in ELSE 0 END
                    WHEN _excess - _repeated_out BETWEEN 0 AND _input THEN _excess - _repeated_out
                    ELSE 0 END AS _repeated_in
        FROM (
            SELECT *, [{", ".join(_subset_sums(_INPUT_DETAILS))}] AS _input_sums, {_repeated_output()} AS _fit
            FROM (
                SELECT *
                     , CASE WHEN _inclusive AND _input < _read + _write + _other_in + _audio_given
                                 AND coalesce(_total = _input + _output, true)
                            THEN greatest(least(_input - _read - _write - _other_in, _audio_given), 0)
                            ELSE _audio_given END AS _audio_in
                     , _read + _write + _audio_in + _other_in AS _all_in
                     , _reasoning + _audio_out + _other_out AS _all_out
                     , _input + _all_in + _output + _all_out - _total AS _excess
                FROM ({parts}, {anything} AS _has_usage FROM ({relation}))
            )
        )
    )
    """
