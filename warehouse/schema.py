"""The canonical tables: which columns they have, in which types and units, and what one row of each is.

One fact is one row. Times are UTC (`TIMESTAMP` without zone, always UTC). Money is DECIMAL in its native currency, never a
float, so that sums are exact and do not depend on order; a NULL cost means "not known". Token classes are disjoint.
Column names are those of FOCUS 1.3/1.4 for billing lines, with `x_` for our additions.
"""

from __future__ import annotations

from warehouse.table import Column, Table

SCHEMA_VERSION = 1
"""Version of the tables below. A store written by another version is migrated (`warehouse.migrations`) or refused in words."""

CALL_MONEY = "DECIMAL(18,10)"
LINE_MONEY = "DECIMAL(38,12)"


IDS = "zstd"
"""How columns are compressed whose values hardly repeat: DuckDB's own choice takes the same room, as long to read, and three times as long to
write (0.21 against 0.07 µs per call and column)."""


def _columns(*rows: tuple[str, str, str] | tuple[str, str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


CALLS = Table(
    "calls",
    "one row per model call (chat, embedding, rerank, image, audio), retries and gateway cache hits included",
    _columns(
        ("call_id", "VARCHAR", "the provider's request id where there is one, else the source's own id", IDS),
        ("source", "VARCHAR", "where the row comes from: litellm, langfuse-export, calls, otel, demo"),
        ("started_at", "TIMESTAMP", "UTC"),
        ("latency_ms", "DOUBLE", "whole duration, milliseconds"),
        ("time_to_first_token_ms", "DOUBLE", "milliseconds"),
        ("project", "VARCHAR", "NULL when the source does not say"),
        ("feature", "VARCHAR", "NULL when the source does not say: shown as untagged"),
        ("team", "VARCHAR", ""),
        ("env", "VARCHAR", "dev, staging, prod"),
        ("user_tier", "VARCHAR", "free, pro, ..."),
        ("labels", "MAP(VARCHAR, VARCHAR)", "every other label of the call"),
        ("user_id", "VARCHAR", ""),
        ("session_id", "VARCHAR", ""),
        ("trace_id", "VARCHAR", ""),
        ("provider", "VARCHAR", "openai, anthropic, google, aws (Bedrock), azure, self-hosted name"),
        ("billing_account_id", "VARCHAR", "provider account that is billed, where known"),
        ("model", "VARCHAR", "canonical model id, e.g. gpt-4o"),
        ("model_raw", "VARCHAR", "as the source wrote it"),
        ("operation", "VARCHAR", "gen_ai.operation.name: chat, embeddings, rerank, image_generation, ..."),
        ("processing", "VARCHAR", "standard, batch, priority, flex"),
        ("status", "VARCHAR", "success or failure"),
        (
            "uncached_input_tokens",
            "BIGINT",
            "input tokens neither read from nor written to a cache; NULL: no usage reported",
        ),
        ("cache_read_tokens", "BIGINT", ""),
        ("cache_write_5m_tokens", "BIGINT", "cache writes that live five minutes, or of unknown life"),
        ("cache_write_1h_tokens", "BIGINT", ""),
        ("output_tokens", "BIGINT", "without reasoning"),
        ("reasoning_tokens", "BIGINT", ""),
        ("audio_input_tokens", "BIGINT", "not part of uncached_input_tokens"),
        ("audio_output_tokens", "BIGINT", "not part of output_tokens"),
        ("reported_cost", CALL_MONEY, "USD, as the source computed it; NULL when it did not"),
        ("priced_cost", CALL_MONEY, "USD, tokens x price of the book at the time; NULL when no price is known"),
        ("cost", CALL_MONEY, "USD, the one that counts; NULL: not known"),
        ("cost_basis", "VARCHAR", "reported, priced or unknown"),
        ("price_id", "VARCHAR", "row of `prices` group that priced it: book/provider/model/processing/tier@valid_from"),
        ("prompt_name", "VARCHAR", ""),
        ("prompt_version", "VARCHAR", ""),
        ("prefix_blocks", "UBIGINT[]", "hashes of the cumulative prompt prefix, one per block"),
        ("input_hash", "VARCHAR", "hash of the whole input: equal inputs, equal hash", IDS),
        ("max_tokens", "BIGINT", "limit that the caller set on the output"),
        ("finish_reason", "VARCHAR", "stop, length, ..."),
        ("is_stream", "BOOLEAN", ""),
        ("cache_hit", "BOOLEAN", "answered by a gateway's response cache: cost is 0"),
        ("saved_cost", CALL_MONEY, "USD that the gateway cache avoided; never part of a cost"),
        ("converted", "BOOLEAN", "the user did what the feature is for; NULL: not tracked"),
        ("revenue", CALL_MONEY, "USD attributed to this call; NULL: not tracked"),
        ("flags", "VARCHAR[]", "what is odd in the row, e.g. token_total when the classes did not add up to the total"),
        ("load_id", "BIGINT", "row of `loads`"),
    ),
    month_column="started_at",
    merge_key=("source", "call_id"),
)

CALL_TEXTS = Table(
    "call_texts",
    "one row per call whose normalised prompt text the owner chose to keep; never shown, shared or exported with the rest",
    _columns(
        ("call_id", "VARCHAR", ""),
        ("source", "VARCHAR", ""),
        ("started_at", "TIMESTAMP", "UTC, of the call"),
        ("feature", "VARCHAR", ""),
        ("text_normalised", "VARCHAR", ""),
        ("answer_id", "VARCHAR", "equal answers, equal id; NULL: not labelled"),
        ("embedder", "VARCHAR", "id of what made the vector"),
        ("vector", "FLOAT[]", ""),
        ("load_id", "BIGINT", ""),
    ),
    month_column="started_at",
    merge_key=("source", "call_id"),
)

CHARGES = Table(
    "charges",
    "one row per billing line",
    _columns(
        ("BillingAccountId", "VARCHAR", "payer"),
        ("BillingAccountName", "VARCHAR", ""),
        ("BillingAccountType", "VARCHAR", ""),
        ("BillingCurrency", "VARCHAR", "ISO 4217"),
        ("BillingPeriodStart", "TIMESTAMP", "UTC, inclusive"),
        ("BillingPeriodEnd", "TIMESTAMP", "UTC, exclusive"),
        ("ChargePeriodStart", "TIMESTAMP", "UTC, inclusive"),
        ("ChargePeriodEnd", "TIMESTAMP", "UTC, exclusive"),
        ("BilledCost", LINE_MONEY, "basis of the invoice, BillingCurrency"),
        ("EffectiveCost", LINE_MONEY, "amortised, BillingCurrency; NULL: not known"),
        ("ListCost", LINE_MONEY, "BillingCurrency; NULL: not known"),
        ("ContractedCost", LINE_MONEY, "BillingCurrency; NULL: not known"),
        ("ListUnitPrice", "DECIMAL(38,15)", ""),
        ("ContractedUnitPrice", "DECIMAL(38,15)", ""),
        ("PricingQuantity", "DECIMAL(38,12)", ""),
        ("PricingUnit", "VARCHAR", ""),
        ("PricingCategory", "VARCHAR", "Standard, Committed, Dynamic, Other"),
        ("PricingCurrency", "VARCHAR", "may be a virtual currency such as Token"),
        ("PricingCurrencyEffectiveCost", LINE_MONEY, "in PricingCurrency"),
        ("ConsumedQuantity", "DECIMAL(38,12)", ""),
        ("ConsumedUnit", "VARCHAR", ""),
        ("ChargeCategory", "VARCHAR", "Usage, Purchase, Tax, Credit, Adjustment"),
        ("ChargeClass", "VARCHAR", "NULL or Correction"),
        ("ChargeDescription", "VARCHAR", ""),
        ("ChargeFrequency", "VARCHAR", "One-Time, Recurring, Usage-Based"),
        ("CommitmentDiscountCategory", "VARCHAR", "Spend, Usage"),
        ("CommitmentDiscountId", "VARCHAR", ""),
        ("CommitmentDiscountName", "VARCHAR", ""),
        ("CommitmentDiscountType", "VARCHAR", ""),
        ("CommitmentDiscountStatus", "VARCHAR", "Used, Unused"),
        ("InvoiceId", "VARCHAR", "present once the month is final"),
        ("InvoiceIssuerName", "VARCHAR", ""),
        ("ServiceProviderName", "VARCHAR", ""),
        ("HostProviderName", "VARCHAR", ""),
        ("ServiceCategory", "VARCHAR", ""),
        ("ServiceSubcategory", "VARCHAR", ""),
        ("ServiceName", "VARCHAR", ""),
        ("SkuId", "VARCHAR", ""),
        ("SkuPriceId", "VARCHAR", ""),
        ("SkuMeter", "VARCHAR", ""),
        ("SkuPriceDetails", "VARCHAR", "JSON text"),
        ("RegionId", "VARCHAR", ""),
        ("RegionName", "VARCHAR", ""),
        ("AvailabilityZone", "VARCHAR", ""),
        ("ResourceId", "VARCHAR", ""),
        ("ResourceName", "VARCHAR", ""),
        ("ResourceType", "VARCHAR", ""),
        ("SubAccountId", "VARCHAR", ""),
        ("SubAccountName", "VARCHAR", ""),
        ("Tags", "VARCHAR", "JSON object text, values scalar"),
        ("AllocatedMethodId", "VARCHAR", "FOCUS 1.3; split-cost detail"),
        ("AllocatedResourceId", "VARCHAR", ""),
        ("x_Source", "VARCHAR", "connector: focus, aws-cur, gcp-export, demo"),
        ("x_LoadId", "BIGINT", "row of `loads`"),
        ("x_RowNumber", "BIGINT", "row in the file"),
        ("x_RawLineItemType", "VARCHAR", "as the provider wrote it"),
        ("x_UsageType", "VARCHAR", "provider's usage type or instance type"),
        ("x_Model", "VARCHAR", "canonical model id, where the line names one"),
        ("x_TokenDirection", "VARCHAR", "input, output"),
        ("x_CacheAction", "VARCHAR", "read, write"),
        ("x_Principal", "VARCHAR", "caller identity of the bill"),
        ("x_EffectiveCostMethod", "VARCHAR", "how EffectiveCost was obtained"),
        ("x_CostCategory", "VARCHAR", "LLM API, GPU inference, Embedding, Vector database, Storage and transfer, Other, Unclassified"),
        ("x_Excluded", "BOOLEAN", "kept as detail, out of every sum (split-cost rows that repeat their parent's cost)"),
        ("x_Other", "VARCHAR", "JSON text: columns of the file that are not listed here"),
    ),
    month_column="BillingPeriodStart",
    identity=(
        "BillingAccountId", "SubAccountId", "ServiceProviderName", "ServiceName", "SkuId", "SkuPriceId", "RegionId", "ResourceId",
        "ChargeCategory", "ChargeClass", "ChargePeriodStart", "ChargePeriodEnd", "ChargeDescription", "x_UsageType",
        "x_RawLineItemType", "CommitmentDiscountStatus", "Tags",
    ),
)  # fmt: skip

SCORES = Table(
    "scores",
    "one row per score that an evaluation or the product wrote about a call or a trace (converted, revenue)",
    _columns(
        ("source", "VARCHAR", ""),
        ("score_id", "VARCHAR", ""),
        ("trace_id", "VARCHAR", ""),
        ("observation_id", "VARCHAR", "NULL: the score is about the whole trace and counts once for it"),
        ("session_id", "VARCHAR", ""),
        ("name", "VARCHAR", "converted, revenue, revenue_usd"),
        ("value", CALL_MONEY, "1 or 0 for booleans"),
        ("timestamp", "TIMESTAMP", "UTC"),
        ("load_id", "BIGINT", ""),
    ),
    month_column="timestamp",
    merge_key=("source", "score_id"),
)

ACTIVITY = Table(
    "activity",
    "one row per date and user, or per date and tier with a count: who used the product",
    _columns(
        ("date", "DATE", "day in the reporting time zone"),
        ("user_id", "VARCHAR", "NULL where only a count is known"),
        ("user_tier", "VARCHAR", ""),
        ("active_users", "BIGINT", "1 for a named user, else the count of distinct users of that day and tier"),
        ("source", "VARCHAR", ""),
        ("load_id", "BIGINT", ""),
    ),
    month_column="date",
    identity=("date", "user_id", "user_tier"),
)

REVENUE = Table(
    "revenue",
    "one row per date, feature, tier (and user, where known): what was earned",
    _columns(
        ("date", "DATE", "day in the reporting time zone"),
        ("feature", "VARCHAR", ""),
        ("user_tier", "VARCHAR", ""),
        ("user_id", "VARCHAR", ""),
        ("amount", LINE_MONEY, "in `currency`"),
        ("currency", "VARCHAR", "ISO 4217"),
        ("conversions", "BIGINT", "NULL: not tracked"),
        ("source", "VARCHAR", ""),
        ("load_id", "BIGINT", ""),
    ),
    month_column="date",
    identity=("date", "feature", "user_tier", "user_id", "currency"),
)

UTILIZATION = Table(
    "utilization",
    "one row per hour and resource",
    _columns(
        ("hour", "TIMESTAMP", "UTC, start of the hour"),
        ("resource", "VARCHAR", ""),
        ("gpu", "VARCHAR", "catalogue name, e.g. A100-40GB"),
        ("gpu_count", "BIGINT", ""),
        ("gpu_utilization", "DOUBLE", "0 to 1"),
        ("memory_used", "DOUBLE", "0 to 1"),
        ("requests", "BIGINT", "served in that hour"),
        ("tokens_per_second", "DOUBLE", "measured, where logged"),
        ("model", "VARCHAR", "served model"),
        ("feature", "VARCHAR", ""),
        ("source", "VARCHAR", ""),
        ("load_id", "BIGINT", ""),
    ),
    month_column="hour",
    identity=("hour", "resource"),
)

PRICES = Table(
    "prices",
    "one row per book, provider, model, token class, processing, context tier and validity",
    _columns(
        ("book", "VARCHAR", "contract, percall, genai-prices, article-2026-05, ..."),
        ("provider", "VARCHAR", ""),
        ("model", "VARCHAR", "canonical model id"),
        ("token_class", "VARCHAR", "input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, audio_input, audio_output, request"),
        ("processing", "VARCHAR", "standard, batch, priority, flex"),
        ("context_from", "BIGINT", "input tokens above which this price holds for the whole request; 0: base tier"),
        ("amount", "DECIMAL(18,10)", "per 1,000,000 tokens (request: per 1,000 requests)"),
        ("currency", "VARCHAR", ""),
        ("valid_from", "TIMESTAMP", "UTC, inclusive"),
        ("valid_to", "TIMESTAMP", "UTC, exclusive; 9999-12-31: open"),
        ("source", "VARCHAR", "where the figure comes from"),
        ("load_id", "BIGINT", "NULL: shipped with the product"),
    ),
    identity=("book", "provider", "model", "token_class", "processing", "context_from", "valid_from"),
)  # fmt: skip

FX_RATES = Table(
    "fx_rates",
    "one row per date and pair",
    _columns(
        ("date", "DATE", ""),
        ("from_currency", "VARCHAR", ""),
        ("to_currency", "VARCHAR", ""),
        ("rate", "DECIMAL(38,12)", "units of to_currency for one unit of from_currency"),
        ("source", "VARCHAR", ""),
        ("load_id", "BIGINT", ""),
    ),
    identity=("date", "from_currency", "to_currency"),
)

LOADS = Table(
    "loads",
    "one row per file (or extraction) and partition that was offered, whether it was stored, skipped or refused",
    _columns(
        ("load_id", "BIGINT", ""),
        ("loaded_at", "TIMESTAMP", "UTC"),
        ("kind", "VARCHAR", "focus, aws-cur, ..."),
        ("source", "VARCHAR", ""),
        ("table_name", "VARCHAR", ""),
        ("partition", "VARCHAR", "account and billing period, or day"),
        ("file", "VARCHAR", "file name, without its folder"),
        ("checksum", "VARCHAR", "SHA-256 of the bytes read"),
        ("status", "VARCHAR", "stored, unchanged, superseded or refused"),
        ("message", "VARCHAR", "why, in words"),
        ("rows_in", "BIGINT", ""),
        ("rows_kept", "BIGINT", ""),
        ("rows_rejected", "BIGINT", ""),
        ("rows_duplicate", "BIGINT", "already known under the same id: counted once"),
        ("rows_ignored", "BIGINT", "read, but no fact of its own: negations that net to zero, spans that are no calls"),
        ("rows_derived", "BIGINT", "stored beside the file's rows: unused parts of commitments"),
        ("billed_in", LINE_MONEY, "sum of what was read, `currency`"),
        ("billed_stored", LINE_MONEY, "sum of what was stored"),
        ("effective_in", LINE_MONEY, ""),
        ("effective_stored", LINE_MONEY, ""),
        ("currency", "VARCHAR", ""),
        ("first_time", "TIMESTAMP", "UTC, earliest fact"),
        ("last_time", "TIMESTAMP", "UTC, latest fact"),
        ("superseded_by", "BIGINT", "load that replaced this one"),
    ),
)

REJECTS = Table(
    "rejects",
    "one row per rejected input row (or file)",
    _columns(
        ("load_id", "BIGINT", ""),
        ("file", "VARCHAR", ""),
        ("row_number", "BIGINT", "1 = first data row; NULL: the whole file"),
        ("column_name", "VARCHAR", ""),
        ("reason", "VARCHAR", "what is wrong and what to do"),
    ),
)

RESTATEMENTS = Table(
    "restatements",
    "one row per past day, currency and dimension whose stored cost a later load changed",
    _columns(
        ("restated_at", "TIMESTAMP", "UTC"),
        ("load_id", "BIGINT", "load that changed it"),
        ("table_name", "VARCHAR", "charges or calls"),
        ("source", "VARCHAR", ""),
        ("date", "DATE", "day in the reporting time zone"),
        ("feature", "VARCHAR", ""),
        ("service", "VARCHAR", "service or model"),
        ("currency", "VARCHAR", ""),
        ("cost_before", LINE_MONEY, "effective"),
        ("cost_after", LINE_MONEY, "effective"),
        ("reason", "VARCHAR", "late lines, new version, re-priced, rules"),
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        CALLS, CALL_TEXTS, SCORES, CHARGES, ACTIVITY, REVENUE, UTILIZATION, PRICES, FX_RATES, LOADS, REJECTS, RESTATEMENTS,
    )
}  # fmt: skip

MONTHLY_TABLES = tuple(table for table in TABLES.values() if table.month_column)
META_TABLES = tuple(table for table in TABLES.values() if not table.month_column)

TOKEN_CLASSES = (
    "uncached_input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)
"""The disjoint token classes of `calls`. Their sum is the provider's total."""

COST_CATEGORIES = (
    "LLM API",
    "GPU inference",
    "Embedding",
    "Vector database",
    "Storage and transfer",
    "Other",
    "Unclassified",
)

DIMENSIONS = ("project", "feature", "team", "env", "user_tier")
"""Business dimensions, found by the resolver in calls and by tags in billing lines."""
