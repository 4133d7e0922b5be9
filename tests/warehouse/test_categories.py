"""Cost categories: what the shipped rules say of real and synthetic lines, and what is said of bad rules."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import aws_cur, files
from warehouse.categories import category_expression, read_rules
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.schema import CHARGES, COST_CATEGORIES

RULES = Configuration().category_rules
DATA = Path(__file__).resolve().parents[1] / "data"


def classify(line: dict[str, str | None], rules: Path = RULES) -> str:
    with duckdb.connect() as connection:
        connection.execute(CHARGES.ddl())
        names = ", ".join(f'"{name}"' for name in line)
        if line:
            places = ", ".join("?" * len(line))
            connection.execute(f"INSERT INTO charges ({names}) VALUES ({places})", list(line.values()))
        else:
            connection.execute('INSERT INTO charges ("BilledCost") VALUES (1)')
        return str(connection.execute(f"SELECT {category_expression(rules)} FROM charges").fetchall()[0][0])


AWS = {"ServiceProviderName": "AWS", "ChargeCategory": "Usage"}
EC2 = AWS | {"ServiceCategory": "Compute", "ServiceName": "Amazon Elastic Compute Cloud"}
BEDROCK = AWS | {"ServiceCategory": "AI and Machine Learning", "ServiceName": "Amazon Bedrock"}
SAGEMAKER = AWS | {"ServiceCategory": "AI and Machine Learning", "ServiceName": "Amazon SageMaker"}
GCE = {"ServiceProviderName": "Google Cloud", "ServiceCategory": "Compute", "ServiceName": "Compute Engine"}
VERTEX = {
    "ServiceProviderName": "Google Cloud",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Vertex AI",
}

LINES = [
    ("LLM API", BEDROCK | {"x_UsageType": "USE1-Claude4.5Sonnet-input-tokens", "x_Model": "claude-sonnet-4-5"}),
    ("LLM API", BEDROCK | {"x_UsageType": "USE1-Guardrail-ContentPolicyUnitsConsumed"}),
    ("LLM API", AWS | {"ServiceName": "Claude 3 Haiku (Amazon Bedrock Edition)", "ServiceCategory": "Other"}),
    ("LLM API", VERTEX | {"ChargeDescription": "Gemini 2.5 Flash Text Input - Predictions", "x_Model": "gemini-2.5-flash"}),
    ("LLM API", {"ServiceProviderName": "OpenAI", "ServiceName": "API"}),
    ("LLM API", {"ServiceProviderName": "Microsoft", "ServiceName": "Azure OpenAI Service"}),
    ("Embedding", BEDROCK | {"x_UsageType": "USE1-TitanEmbeddingV2-Text-input-tokens", "x_Model": "titan-embed-text-v2"}),
    ("Embedding", VERTEX | {"ChargeDescription": "Gemini Embedding 001 Text Input"}),
    ("Embedding", {"ServiceProviderName": "OpenAI", "SkuMeter": "text-embedding-3-small"}),
    ("GPU inference", EC2 | {"x_UsageType": "USE1-BoxUsage:g5.xlarge"}),
    ("GPU inference", EC2 | {"x_UsageType": "SpotUsage:p4d.24xlarge"}),
    ("GPU inference", EC2 | {"x_UsageType": "BoxUsage:p6-b200.48xlarge"}),
    ("GPU inference", EC2 | {"x_UsageType": "EUC1-BoxUsage:inf2.8xlarge"}),
    ("GPU inference", EC2 | {"x_UsageType": "HeavyUsage:trn1n.32xlarge"}),
    ("GPU inference", EC2 | {"ChargeDescription": "$1.624 per On Demand Linux g5.4xlarge Instance Hour"}),
    ("GPU inference", SAGEMAKER | {"x_UsageType": "USE1-Host:ml.g5.2xlarge"}),
    ("GPU inference", GCE | {"ChargeDescription": "Nvidia L4 GPU running in Americas"}),
    ("GPU inference", GCE | {"ChargeDescription": "G2 Instance Core running in Americas"}),
    ("GPU inference", GCE | {"ChargeDescription": "A2 Instance Ram running in Iowa", "x_UsageType": "a2-highgpu-1g"}),
    ("GPU inference", {"ServiceProviderName": "Microsoft", "SkuPriceDetails": '{"GpuCount": "1"}', "ServiceName": "Virtual Machines"}),
    ("GPU inference", {"ServiceProviderName": "RunPod", "ServiceName": "Serverless"}),
    ("Vector database", {"ServiceProviderName": "Pinecone Systems, Inc.", "ServiceName": "Pinecone Vector Database"}),
    ("Vector database", {"ServiceName": "Qdrant Hybrid Cloud"}),
    ("Vector database", {"ServiceName": "Zilliz Cloud"}),
    ("Vector database", {"ServiceName": "Weaviate Cloud"}),
    ("Vector database", EC2 | {"ChargeDescription": "pgvector node"}),
    ("Vector database", AWS | {"ServiceName": "Amazon OpenSearch Service", "ServiceCategory": "Analytics", "x_UsageType": "USE1-SearchOCU"}),
    ("Vector database", VERTEX | {"ChargeDescription": "Vertex AI Vector Search Index Serving e2-standard-2"}),
    ("Storage and transfer", AWS | {"ServiceName": "Amazon Simple Storage Service", "x_UsageType": "TimedStorage-ByteHrs"}),
    ("Storage and transfer", EC2 | {"x_UsageType": "EBS:VolumeUsage.gp3"}),
    ("Storage and transfer", EC2 | {"x_UsageType": "USE1-NatGateway-Bytes"}),
    ("Storage and transfer", EC2 | {"x_UsageType": "USE1-DataTransfer-Out-Bytes"}),
    ("Storage and transfer", AWS | {"ServiceCategory": "Networking", "ServiceName": "Amazon CloudFront"}),
    ("Storage and transfer", {"ServiceName": "Cloud Storage", "ServiceProviderName": "Google Cloud"}),
    ("Storage and transfer", GCE | {"ChargeDescription": "Network Internet Egress from Americas to China"}),
    ("Other", EC2 | {"x_UsageType": "BoxUsage:m5.large"}),
    ("Other", EC2 | {"x_UsageType": "BoxUsage:t4g.medium"}),
    ("Other", EC2 | {"x_UsageType": "BoxUsage:c6gn.xlarge"}),
    ("Other", AWS | {"ServiceCategory": "Databases", "ServiceName": "Amazon ElastiCache", "x_UsageType": "NodeUsage:cache.r6g.large"}),
    ("Other", AWS | {"ServiceCategory": "Databases", "ServiceName": "Amazon Relational Database Service"}),
    ("Other", AWS | {"ServiceCategory": "Compute", "ServiceName": "AWS Lambda", "x_UsageType": "Lambda-GB-Second"}),
    ("Other", SAGEMAKER | {"x_UsageType": "USE1-Notebk:ml.t3.medium"}),
    ("Other", AWS | {"ServiceCategory": "Analytics", "ServiceName": "Amazon OpenSearch Service", "x_UsageType": "ESInstance:t3.small"}),
    ("Other", BEDROCK | {"ChargeCategory": "Tax"}),
    ("Other", {"ServiceName": "AWS Support (Business)"}),
    ("Other", GCE | {"ChargeDescription": "E2 Instance Core running in Americas", "x_UsageType": "e2-medium"}),
    ("Unclassified", {"ServiceName": "Red Hat OpenShift", "ServiceCategory": "Other"}),
    ("Unclassified", {}),
]  # fmt: skip


@pytest.mark.parametrize(("category", "line"), LINES)
def test_the_shipped_rules(category, line):
    assert classify(line) == category


def test_every_shipped_rule_is_valid_and_every_category_can_be_reached():
    rules = read_rules(RULES)
    assert {rule.category for rule in rules} | {"Unclassified"} == set(COST_CATEGORIES)


def test_a_real_month_is_classified_without_remainder():
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as scratch:
        connection.execute("SET TimeZone = 'UTC'")
        file = files.inspect(DATA / "aws_cur_2018-10.parquet", Path(scratch))
        (extraction,) = aws_cur.extract(connection, file, Configuration())
        connection.execute(CHARGES.ddl())
        connection.execute(
            f"INSERT INTO charges BY NAME SELECT * EXCLUDE (_row, _column, _reason) FROM ({extraction.query})"
        )
        found = dict(
            connection.execute(
                f"SELECT {category_expression(RULES)} AS category, sum(EffectiveCost) FROM charges GROUP BY category"
            ).fetchall()
        )
        ebs = connection.execute("SELECT sum(EffectiveCost) FROM charges WHERE x_UsageType LIKE 'EBS:%'").fetchall()[0][
            0
        ]
    assert set(found) <= {"Other", "Storage and transfer", "Unclassified"}
    assert found.get("Unclassified", Decimal(0)) == 0
    assert abs(sum(found.values()) - Decimal("4195.957109318")) < Decimal("0.000001")
    assert found["Storage and transfer"] > ebs > 40


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return path


def rule(name: str, category: str, **columns: str) -> str:
    lines = [f'{key} = """{value}"""' for key, value in columns.items()]
    return "\n".join(["[[rule]]", f'name = "{name}"', f'category = "{category}"', *lines, ""])


def test_the_first_rule_that_matches_counts_and_all_columns_must_match(tmp_path):
    path = write(
        tmp_path,
        rule("both", "Embedding", ServiceName="alpha", ChargeDescription="it's")
        + rule("one", "LLM API", ServiceName="ALPHA")
        + rule("last", "Other", ServiceName="alpha"),
    )
    assert classify({"ServiceName": "Alpha", "ChargeDescription": "it's"}, path) == "Embedding"
    assert classify({"ServiceName": "Alpha", "ChargeDescription": None}, path) == "LLM API"
    assert classify({"ServiceName": "beta"}, path) == "Unclassified"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            rule("wrong regex", "Other", ServiceName="(open"),
            "rule 'wrong regex': ServiceName is no valid regular expression",
        ),
        (rule("wrong category", "Misc", ServiceName="a"), "rule 'wrong category': unknown category 'Misc'"),
        (rule("wrong column", "Other", Service="a"), "rule 'wrong column': unknown column 'Service'"),
        (rule("nothing", "Other"), "rule 'nothing': names no column"),
        ('[[rule]]\ncategory = "Other"\nServiceName = 5\n', "rule 1 (without a name): ServiceName must be"),
        (rule("twice", "Other", ServiceName="a") * 2, "two rules are named 'twice'"),
        ("[rules]\n", "unknown section 'rules'"),
        ("rule = 3\n", "rules are written as [[rule]]"),
        ("[[rule]\n", "not valid TOML"),
    ],
)
def test_a_bad_rule_is_named(tmp_path, text, said):
    with pytest.raises(InputError) as caught:
        category_expression(write(tmp_path, text))
    assert said in str(caught.value)
    assert "rules.toml" in str(caught.value)


def test_no_rules_classify_nothing_and_a_missing_file_is_said(tmp_path):
    assert classify({"ServiceName": "Amazon Bedrock"}, write(tmp_path, "")) == "Unclassified"
    with pytest.raises(InputError, match="does not exist"):
        category_expression(tmp_path / "absent.toml")


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["ServiceName", "ChargeDescription", "x_UsageType", "SkuPriceDetails"]), st.text(max_size=30)
    )
)
def test_every_line_has_a_category(line):
    assert classify(dict(line)) in COST_CATEGORIES
