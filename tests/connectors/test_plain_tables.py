"""The plain tables beside calls: activity, revenue, utilization, prices and rates."""

from __future__ import annotations

import csv
import io
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.plain import template
from tests.connectors.reading import read_text

D = Decimal


def test_activity_counts_a_named_user_once(tmp_path):
    found = read_text(
        tmp_path,
        "Date,User ID,Active Users\n2026-03-02,u,\n2026-03-02,,7\n2026-03-02,,\n2026-03-02,,-1\n2026-03-02,u,5\n",
    )
    assert [(row["user_id"], row["active_users"]) for row in found.rows] == [("u", 1), (None, 7), ("u", 1)]
    assert [row for row, _, _ in found.rejects] == [3, 4]


def test_days_are_those_of_the_reporting_zone(tmp_path):
    text = "date,user_id\n2026-03-01T17:30:00Z,a\n2026-03-01T17:30:00+07:00,b\n2026-03-01,c\n2026-03-01 23:00:00,d\n3/1/26,e\n"
    found = read_text(tmp_path, text, reporting_time_zone="Asia/Ho_Chi_Minh")
    first, second = date(2026, 3, 1), date(2026, 3, 2)
    assert [row["date"] for row in found.rows] == [second, first, first, first, first]
    assert [row["date"] for row in read_text(tmp_path, text).rows] == [first] * 5


def test_revenue(tmp_path):
    found = read_text(
        tmp_path,
        "date,amount,currency,user_id\n2026-03-02,-3.10,usd,u\n2026-03-02,NaN,USD,u\n2026-03-02,1,,u\n2026-03-02,1,Euro,u\n"
        "1970-01-01,1,USD,u\n",
    )
    assert [(row["amount"], row["currency"]) for row in found.rows] == [(D("-3.1"), "USD")], "refunds are negative"
    assert [(row, column) for row, column, _ in found.rejects] == [
        (2, "amount"),
        (3, "currency"),
        (4, "currency"),
        (5, "date"),
    ]


def test_utilization(tmp_path):
    found = read_text(
        tmp_path,
        "hour,resource,gpu_utilization,memory_used_percent\n2026-03-02T09:10:00Z,n,0.4,62\n2026-03-02T09:20:00Z,n,0.4,62\n"
        "2026-03-02T09:00:00Z,k,41,62\n2026-03-02T09:00:00Z,j,0,162\n2026-03-02T09:00:00Z,i,NaN,1\n",
    )
    assert [(row["hour"], row["gpu_utilization"], row["memory_used"]) for row in found.rows] == [
        (datetime(2026, 3, 2, 9), 0.4, 0.62)
    ]
    assert [(row, column) for row, column, _ in found.rejects] == [
        (2, "hour"), (3, "gpu_utilization"), (4, "memory_used_percent"), (5, "gpu_utilization"),
    ]  # fmt: skip


def test_prices(tmp_path):
    found = read_text(
        tmp_path,
        "provider,model,token_class,amount,valid_from,valid_to,processing\no,m,Input,2.5,2026-01-01,,\no,m,output,10,2026-01-01,2026-06-01,batch\n"
        "o,m,tokens,1,2026-01-01,,\no,m,input,-1,2026-01-01,,\no,m,input,1,2026-01-01,2025-01-01,\no,m,input,1,2026-01-01,,fast\no,m,input,1,soon,,\n",
    )
    assert [
        (row["token_class"], row["amount"], row["processing"], row["valid_to"], row["book"]) for row in found.rows
    ] == [
        ("input", D("2.5"), "standard", datetime(9999, 12, 31), "contract"),
        ("output", D(10), "batch", datetime(2026, 6, 1), "contract"),
    ]
    assert found.rows[0]["source"] == "file export.csv"
    assert [(row, column) for row, column, _ in found.rejects] == [
        (3, "token_class"), (4, "amount"), (5, "valid_to"), (6, "processing"), (7, "valid_from"),
    ]  # fmt: skip


def test_rates(tmp_path):
    found = read_text(
        tmp_path,
        "date,base,quote,rate\n2026-03-02,eur,USD,1.0831\n"
        "2026-03-02,EUR,USD,0\n2026-03-02,EUR,USD,inf\n2026-03-02,EURO,USD,1\n",
    )
    assert [(row["from_currency"], row["to_currency"], row["rate"]) for row in found.rows] == [
        ("EUR", "USD", D("1.0831"))
    ]
    assert [(row, column) for row, column, _ in found.rejects] == [(2, "rate"), (3, "rate"), (4, "base")]


def test_header_only_is_an_empty_table(tmp_path):
    found = read_text(tmp_path, template("revenue").splitlines()[0])
    assert (found.rows, found.rejects) == ([], [])


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=10).map(str.strip)

WORDS = WORDS.filter(lambda text: text not in ("", "NULL", "null", "\\N"))

REVENUE_ROWS = st.fixed_dictionaries(
    {
        "date": st.dates(date(2020, 1, 1), date(2030, 12, 31)),
        "feature": st.none() | WORDS,
        "user_tier": st.none() | WORDS,
        "user_id": st.none() | WORDS,
        "amount": st.decimals(-(10**12), 10**12, places=12, allow_nan=False),
        "currency": st.sampled_from(["USD", "EUR", "VND"]),
        "conversions": st.none() | st.integers(0, 10**9),
    }
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(REVENUE_ROWS, min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%Y-%m-%dT00:00:00Z"]),
)
def test_revenue_survives_any_dialect(rows, delimiter, quoting, day):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)
    writer.writerow(rows[0])
    for row in rows:
        values = [row[name] for name in rows[0]]
        writer.writerow([value.strftime(day) if isinstance(value, date) else value for value in values])
    with tempfile.TemporaryDirectory() as folder:
        found = read_text(Path(folder), out.getvalue())
    assert found.rejects == []
    assert [{name: row[name] for name in rows[0]} for row in found.rows] == rows
