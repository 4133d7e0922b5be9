"""FOCUS files: published totals, what real exports deviate in, and what must be refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.reading import DATA, read, read_text
from warehouse.errors import InputError

D = Decimal
HEADER = "BillingAccountId,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,BilledCost,EffectiveCost,ServiceName"
LINE = "1,USD,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z,2026-03-02T00:00:00Z,2026-03-03T00:00:00Z,1.5,1.25,S"


def total(rows, column):
    return sum((row[column] for row in rows if row[column] is not None), D(0))


PUBLISHED = [
    ("focus_1.0_2024-09_aws_oracle.csv.gz", 949, "18.543712543130", None),
    ("focus_snakecase_2025-07_narev_demo.csv.gz", 2416, "2593.334733960", "2593.334733960"),
    ("draft15_ai_multi_model_usage.csv", 4, "104.50", "104.50"),
    ("draft15_ai_drawdown_via_prepayment.csv", 3, "500000.00", "50.00"),
    ("v12_virtual_currency_pricing_model_a1.csv", 1, "200000", "0"),
    ("v12_virtual_currency_pricing_model_a2.csv", 3, "0", "1230"),
    ("v12_commitment_fully_used.csv", 3, "2.75", "2.75"),
]


@pytest.mark.parametrize(("name", "count", "billed", "effective"), PUBLISHED)
def test_published_totals(name, count, billed, effective):
    found = read(DATA / "focus" / name)
    assert found.extraction.kind == "focus"
    assert (len(found.rows), found.rejects) == (count, [])
    assert total(found.rows, "BilledCost") == D(billed)
    if effective is not None:
        assert total(found.rows, "EffectiveCost") == D(effective)
    assert [row["x_RowNumber"] for row in found.rows] == list(range(1, count + 1))


def test_list_cost_and_gpu_rows_of_the_aws_sample():
    rows = read(DATA / "focus" / "focus_1.0_2024-09_aws_oracle.csv.gz").rows
    assert total(rows, "ListCost") == D("18.414391565330")
    gpu = [row for row in rows if re.search(r"g5\.4xlarge", row["ChargeDescription"] or "")]
    assert (len(gpu), round(total(gpu, "BilledCost"), 6)) == (8, D("10.203683"))
    assert sum(row["ChargeCategory"] == "Credit" for row in rows) == 1
    assert all(value != "NULL" for row in rows for value in row.values())


def test_providers_of_the_snake_case_sample():
    rows = read(DATA / "focus" / "focus_snakecase_2025-07_narev_demo.csv.gz").rows
    sums = {}
    for row in rows:
        count, cost = sums.get(row["HostProviderName"], (0, D(0)))
        sums[row["HostProviderName"]] = (count + 1, cost + row["BilledCost"])
    assert {name: (count, round(cost, 6)) for name, (count, cost) in sums.items()} == {
        "Google Cloud": (1732, D(0)),
        "Microsoft": (108, D("2413.528483")),
        "Amazon Web Services": (576, D("179.806251")),
    }
    aws = [row for row in rows if row["HostProviderName"] == "Amazon Web Services"]
    assert {row["BillingPeriodEnd"] for row in aws} == {datetime(2025, 8, 1)}, "23:59:59 is inclusive"


def test_model_and_tokens_come_from_sku_price_details():
    rows = read(DATA / "focus" / "draft15_ai_multi_model_usage.csv").rows
    assert [(row["x_Model"], row["x_TokenDirection"], row["x_CacheAction"]) for row in rows][:2] == [
        ("solora-atlas-5.5", "input", None),
        ("solora-atlas-5.5", "output", None),
    ]
    assert rows[0]["x_Principal"] == "c10a4f89-72b3-4f24-b196-857189f78315"
    assert json.loads(rows[0]["x_Other"])["CredentialId"] == "key_02SOLORAATLAS"


@pytest.mark.parametrize(
    ("action", "expected"),
    [("Uncached", None), ("Cache Read", "read"), ("CacheWrite", "write"), ("Cached", "read"), ("5m Write", "write")],
)
def test_cache_actions(tmp_path, action, expected):
    details = json.dumps({"ModelId": "m", "TokenDirection": "Input", "TokenCacheAction": action}).replace('"', '""')
    found = read_text(tmp_path, f'{HEADER},SkuPriceDetails\n{LINE},"{details}"\n')
    assert (found.rows[0]["x_CacheAction"], found.rows[0]["x_TokenDirection"]) == (expected, "input")


def test_dates_of_the_virtual_currency_sample():
    (row,) = read(DATA / "focus" / "v12_virtual_currency_pricing_model_a1.csv").rows
    assert row["ChargePeriodStart"] == datetime(2025, 4, 1)
    assert row["ChargePeriodEnd"] == datetime(2026, 4, 1)
    assert row["PricingCurrency"] == "USD"


def test_the_partial_sample_says_what_it_assumed():
    found = read(DATA / "focus" / "v12_commitment_fully_used.csv")
    assert {row["BillingCurrency"] for row in found.rows} == {"USD"}
    assert [row["SkuPriceId"] for row in found.rows][2] == "VM_LARGE_ON_DEMAND_HOUR", "the header says SkuPriceid"
    assert found.rows[2]["CommitmentDiscountId"] is None
    assert any("no currency" in warning for warning in found.extraction.warnings)


@pytest.mark.parametrize(
    ("given_names", "service", "host"),
    [
        ({"ProviderName": "AWS", "PublisherName": "Amazon Web Services, Inc."}, "Amazon Web Services, Inc.", "AWS"),
        ({"ProviderName": "AWS", "PublisherName": "AWS"}, "AWS", "AWS"),
        ({"ProviderName": "AWS"}, "AWS", "AWS"),
        ({"PublisherName": "Acme"}, "Acme", None),
        ({"ServiceProviderName": "Acme", "HostProviderName": "GCP"}, "Acme", "GCP"),
        ({"ServiceProviderName": "Acme", "ProviderName": "AWS", "PublisherName": "P"}, "Acme", "AWS"),
        ({}, None, None),
    ],
)
def test_who_provides_and_who_hosts(tmp_path, given_names, service, host):
    extra = "".join(f",{name}" for name in given_names)
    values = "".join(f',"{value}"' for value in given_names.values())
    (row,) = read_text(tmp_path, f"{HEADER}{extra}\n{LINE}{values}\n").rows
    assert (row["ServiceProviderName"], row["HostProviderName"]) == (service, host)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("35.2E-7", D("0.00000352")),
        ("-2.6137", D("-2.6137")),
        ('"1.50"', D("1.5")),
        ("1e3", D(1000)),
        ("0.1234567890125", D("0.123456789013")),
        ("123456789012345678901234.5", D("123456789012345678901234.5")),
        ("0", D(0)),
    ],
)
def test_costs_are_read_from_their_digits(tmp_path, text, expected):
    (row,) = read_text(tmp_path, f"{HEADER}\n{LINE.replace(',1.5,', f',{text},')}\n").rows
    assert row["BilledCost"] == expected


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-inf", "1,5", "twelve", "1e400", "$5"])
@pytest.mark.parametrize("column", ["BilledCost", "EffectiveCost"])
def test_a_cost_that_is_no_number_rejects_its_row_only(tmp_path, text, column):
    old = ",1.5," if column == "BilledCost" else ",1.25,"
    bad = LINE.replace(old, ',"' + text + '",')
    found = read_text(tmp_path, f"{HEADER}\n{LINE}\n{bad}\n{LINE}\n")
    assert len(found.rows) == 2
    ((row, where, reason),) = found.rejects
    assert (row, where) == (2, column)
    assert text in reason


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        (",1.5,", ",,", "BilledCost"),
        (",USD,", ",,", "BillingCurrency"),
        (",USD,", ",Dollar,", "BillingCurrency"),
        ("2026-03-02T00:00:00Z", "1970-01-01T00:00:00Z", "ChargePeriodStart"),
        ("2026-03-02T00:00:00Z", "2262-04-11T00:00:00Z", "ChargePeriodStart"),
        ("2026-03-02T00:00:00Z", "soon", "ChargePeriodStart"),
        ("2026-03-02T00:00:00Z", "13/40/26", "ChargePeriodStart"),
        ("2026-03-01T00:00:00Z", "1970-01-01T00:00:00Z", "BillingPeriodStart"),
        ("2026-03-03T00:00:00Z", "2026-03-01T00:00:00Z", "ChargePeriodEnd"),
        ("2026-03-03T00:00:00Z", "2262-03-01T00:00:00Z", "ChargePeriodEnd"),
    ],
)
def test_rows_that_cannot_be_filed_are_rejected(tmp_path, old, new, column):
    found = read_text(tmp_path, f"{HEADER}\n{LINE.replace(old, new, 1)}\n{LINE}\n")
    assert [row["x_RowNumber"] for row in found.rows] == [2]
    assert [(row, where) for row, where, _ in found.rejects] == [(1, column)]


def test_missing_dimensions_never_reject(tmp_path):
    found = read_text(
        tmp_path, "BilledCost,BillingCurrency,ChargePeriodStart,ChargeCategory,InvoiceIssuerName\n1,USD,2026-03-05,,\n"
    )
    (row,) = found.rows
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == (datetime(2026, 3, 1), datetime(2026, 4, 1))
    assert row["EffectiveCost"] is None
    assert any("EffectiveCost" in warning for warning in found.extraction.warnings)


def test_an_unreadable_list_cost_stays_unknown_and_is_counted(tmp_path):
    found = read_text(tmp_path, f"{HEADER},ListCost\n{LINE},n/a\n{LINE},2\n")
    assert [row["ListCost"] for row in found.rows] == [None, D(2)]
    assert found.extraction.warnings == ["1 values of ListCost cannot be read and stay unknown."]


def test_a_file_without_billed_cost_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"export\.csv.*needs the column BilledCost"):
        read_text(tmp_path, f"{HEADER.replace('BilledCost', 'Cost')},ChargeCategory\n{LINE},Usage\n")


def test_two_currencies_in_one_account_and_period_are_refused(tmp_path):
    euro = LINE.replace("USD", "EUR")
    with pytest.raises(InputError, match=r"account 1 has the currencies EUR and USD .* 2026-03"):
        read_text(tmp_path, f"{HEADER}\n{LINE}\n{euro}\n")
    other_account = "2" + euro[1:]
    other_month = euro.replace("2026-03-01", "2026-02-01", 1).replace("2026-04-01", "2026-03-01", 1)
    found = read_text(tmp_path, f"{HEADER}\n{LINE}\n{other_account}\n{other_month}\n")
    assert [row["BillingCurrency"] for row in found.rows] == ["USD", "EUR", "EUR"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"team": "ai"}', {"team": "ai"}),
        ('"team": "ai", "env": "dev"', {"team": "ai", "env": "dev"}),
        ("{}", None),
        ("not json", None),
        ("NULL", None),
    ],
)
def test_tags(tmp_path, text, expected):
    quoted = text.replace('"', '""')
    (row,) = read_text(tmp_path, f'{HEADER},Tags\n{LINE},"{quoted}"\n').rows
    assert (None if row["Tags"] is None else json.loads(row["Tags"])) == expected


def test_extensions_keep_their_place_and_ours_cannot_be_set_from_outside(tmp_path):
    found = read_text(
        tmp_path, f"{HEADER},x_UsageType,x_CostCategory,x_LoadId,Id\n{LINE},USE1-Nova,GPU inference,7,9\n"
    )
    (row,) = found.rows
    assert (row["x_UsageType"], row["x_CostCategory"], row["x_LoadId"], row["x_Source"]) == (
        "USE1-Nova",
        None,
        None,
        "focus",
    )
    assert json.loads(row["x_Other"]) == {"x_CostCategory": "GPU inference", "x_LoadId": "7", "Id": "9"}


@pytest.mark.parametrize("cost", [pa.decimal128(20, 9), pa.float64(), pa.string()])
@pytest.mark.parametrize("time", [pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Asia/Tokyo")])
def test_parquet_with_types_of_its_own(tmp_path, cost, time):
    start = datetime(2026, 3, 1, tzinfo=UTC)
    table = pa.table(
        {
            "BilledCost": pa.array([D("0.1"), D("-2.000000001"), None], pa.decimal128(20, 9)).cast(cost),
            "EffectiveCost": pa.array([D("0.1"), None, D(1)], pa.decimal128(20, 9)).cast(cost),
            "BillingCurrency": ["USD"] * 3,
            "BillingPeriodStart": pa.array([start] * 3, pa.timestamp("us", "UTC")).cast(time),
            "ChargePeriodStart": pa.array([start + timedelta(hours=5)] * 3, pa.timestamp("us", "UTC")).cast(time),
            "ChargeCategory": ["Usage"] * 3,
            "Tags": pa.array([[("team", "ai")], None, []], pa.map_(pa.string(), pa.string())),
            "ServiceCategory": ["NULL", "", "Compute"],
        }
    )
    pq.write_table(table, tmp_path / "export.parquet")
    found = read(tmp_path / "export.parquet")
    assert [row["BilledCost"] for row in found.rows] == [D("0.1"), D("-2.000000001")]
    assert [row["EffectiveCost"] for row in found.rows] == [D("0.1"), None]
    assert [row["ChargePeriodStart"] for row in found.rows] == [datetime(2026, 3, 1, 5)] * 2
    assert [row["Tags"] for row in found.rows] == ['{"team":"ai"}', None]
    assert [row["ServiceCategory"] for row in found.rows] == [None, None]
    assert [(row, column) for row, column, _ in found.rejects] == [(3, "BilledCost")]


def test_parquet_doubles_that_are_no_number(tmp_path):
    columns = dict.fromkeys(["BillingCurrency"], ["USD"] * 3) | {
        "BilledCost": [float("nan"), float("inf"), 1e-7],
        "EffectiveCost": [1.0] * 3,
        "ChargePeriodStart": [datetime(2026, 3, 1)] * 3,
        "ChargeCategory": ["Usage"] * 3,
        "ServiceCategory": ["Other"] * 3,
    }
    pq.write_table(pa.table(columns), tmp_path / "export.parquet")
    found = read(tmp_path / "export.parquet")
    assert [row["BilledCost"] for row in found.rows] == [D("0.0000001")]
    assert [row for row, _, _ in found.rejects] == [1, 2]


def test_json_lines(tmp_path):
    names, values = HEADER.split(","), LINE.split(",")
    lines = json.dumps(dict(zip(names, values, strict=True)) | {"Tags": {"team": "ai"}, "BilledCost": 1.5})
    (row,) = read_text(tmp_path, lines + "\n").rows
    assert (row["BilledCost"], row["Tags"]) == (D("1.5"), '{"team":"ai"}')


COSTS = st.decimals(min_value=-(10**9), max_value=10**9, places=12, allow_nan=False)
HOURS = st.integers(0, 24 * 800).map(lambda hours: datetime(2025, 1, 1) + timedelta(hours=hours))
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).map(str.strip)
TEXTS = TEXTS.filter(lambda text: text not in ("", "NULL", "null", "\\N"))
NAMES = (
    "BillingAccountId", "BillingCurrency", "BilledCost", "EffectiveCost", "ListCost", "ChargePeriodStart", "ServiceName",
    "SkuPriceId", "ChargeCategory", "ChargeDescription",
)  # fmt: skip
LINES = st.fixed_dictionaries(
    {
        "BillingAccountId": TEXTS,
        "BillingCurrency": st.just("EUR"),
        "BilledCost": COSTS,
        "EffectiveCost": COSTS,
        "ListCost": st.one_of(st.none(), COSTS),
        "ChargePeriodStart": HOURS,
        "ServiceName": st.one_of(st.none(), TEXTS),
        "SkuPriceId": st.one_of(st.none(), TEXTS),
        "ChargeCategory": st.sampled_from(["Usage", "Credit", "Tax", "Purchase", "Adjustment"]),
        "ChargeDescription": st.one_of(st.none(), TEXTS),
    }
)


def spelled(name: str, style: str) -> str:
    words = re.findall("[A-Z][a-z]*", name)
    return {"camel": name, "snake": "_".join(words).lower(), "words": " ".join(words), "upper": name.upper()}[style]


def written(value, number: str, clock: str, missing: str) -> str:
    if value is None:
        return missing
    if isinstance(value, Decimal):
        return f"{value:.25E}" if number == "E" else f"{value:f}"
    if isinstance(value, datetime):
        if clock == "zone":
            return (value + timedelta(hours=7)).strftime("%Y-%m-%dT%H:%M:%S+07:00")
        return value.strftime(
            {"Z": "%Y-%m-%dT%H:%M:%SZ", "plain": "%Y-%m-%d %H:%M:%S.000000", "US": "%m/%d/%y %H:%M"}[clock]
        )
    return value


@settings(deadline=None, max_examples=35)
@given(
    rows=st.lists(LINES, min_size=1, max_size=6),
    names=st.permutations(NAMES),
    style=st.sampled_from(["camel", "snake", "words", "upper"]),
    number=st.sampled_from(["plain", "E"]),
    clock=st.sampled_from(["Z", "plain", "zone", "US"]),
    missing=st.sampled_from(["", "NULL", "null"]),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    mark=st.sampled_from(["", "\ufeff"]),
    pack=st.sampled_from([bytes, gzip.compress]),
)
def test_rows_survive_any_dialect(rows, names, style, number, clock, missing, delimiter, quoting, mark, pack):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow([spelled(name, style) for name in names])
    writer.writerows([[written(row[name], number, clock, missing) for name in names] for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        found = read_text(Path(folder), pack((mark + out.getvalue()).encode()))
    assert found.rejects == []
    assert [{name: row[name] for name in names} for row in found.rows] == [
        {name: row[name] for name in names} for row in rows
    ]
