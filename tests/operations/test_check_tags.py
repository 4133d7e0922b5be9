"""`percall check-tags`: the formats as their tools write them, what counts as a tag, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.operations.command import Answer, percall

ALL = {"team": "ai", "project": "p", "env": "prod", "feature": "search"}


def check(path: Path, *options: str, config: Path | None = None) -> Answer:
    return percall("check-tags", path, "--format", "json", *options, config=config)


def missing(answer: Answer) -> dict[str, list[str]]:
    return {row["resource"]: row["missing"] for row in answer.json}


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def change(address: str, after: Any, unknown: Any = None, **more: Any) -> dict[str, Any]:
    kind = address.split(".")[-2]
    planned = {"actions": ["create"], "after": after, "after_unknown": unknown or {}}
    return {"address": address, "mode": "managed", "type": kind, "change": planned} | more


def test_a_terraform_plan(tmp_path: Path) -> None:
    plan = {
        "format_version": "1.2",
        "resource_changes": [
            change("aws_instance.bare", {"instance_type": "g6.xlarge", "tags": None, "tags_all": {"team": "ai"}}),
            change("aws_instance.whole", {"tags": {"team": "ai"}, "tags_all": ALL}),
            change("module.m.aws_instance.later", {"tags": {"team": "ai", "env": ""}}, {"tags": {"project": True}, "tags_all": True}),
            change("google_compute_instance.g", {"labels": ALL}),
            change("aws_iam_policy.cannot_be_tagged", {"policy": "{}"}),
            change("aws_instance.gone", None),
            change("aws_ami.read", {"tags": {}}, mode="data"),
            change("kubernetes_pod.p", {"metadata": [{"labels": {"team": "ai"}}]}),
        ],
        "configuration": {
            "provider_config": {
                "aws": {"name": "aws", "expressions": {"default_tags": [{"tags": {"constant_value": {"feature": "search"}}}]}}
            }
        },
    }  # fmt: skip
    answer = check(written(tmp_path, "plan.json", plan))
    assert answer.code == 1
    assert missing(answer) == {
        "aws_instance.bare": ["project", "env", "feature"],
        "module.m.aws_instance.later": ["env"],
        "kubernetes_pod.p": ["project", "env", "feature"],
    }
    assert "3 of 5 resources and calls lack a required tag (team, project, env, feature)" in answer.err


def test_planned_values_alone(tmp_path: Path) -> None:
    child = {"address": "module.a.aws_s3_bucket.b", "mode": "managed", "type": "aws_s3_bucket", "values": {"tags": {}}}
    plan = {"planned_values": {"root_module": {"child_modules": [{"resources": [child]}]}}}
    assert list(missing(check(written(tmp_path, "plan.json", plan)))) == ["module.a.aws_s3_bucket.b"]


KUBERNETES = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: api, namespace: ml, labels: {team: ai, project: p, env: prod, feature: search}}
    spec: {template: {metadata: {labels: {team: ai}}, spec: {containers: []}}}
    ---
    apiVersion: batch/v1
    kind: CronJob
    metadata: {name: embed}
    spec: {jobTemplate: {spec: {template: {metadata: {labels: {team: a, project: b, env: c, feature: d}}, spec: {}}}}}
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: free}
    ---
    apiVersion: v1
    kind: List
    items: [{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: disk, labels: {Team: ai}}}]
"""


def test_kubernetes_pods_carry_the_labels_of_their_template(tmp_path: Path) -> None:
    answer = check(written(tmp_path, "k8s.yaml", dedent(KUBERNETES)))
    assert missing(answer) == {
        "Deployment ml/api, its pods": ["project", "env", "feature"],
        "PersistentVolumeClaim disk": ["team", "project", "env", "feature"],
    }
    assert "'Team', which is read as another key: write 'team'" in answer.json[1]["hint"]


def test_litellm_models(tmp_path: Path) -> None:
    text = """
        model_list:
          - model_name: cheap
            litellm_params: {model: openai/gpt-4o-mini, tags: ["team:ai", "project=p"], metadata: {env: prod}}
            model_info: {feature: search}
          - model_name: dear
            litellm_params: {model: openai/gpt-4o, tags: [team]}
    """
    answer = check(written(tmp_path, "config.yaml", dedent(text)))
    assert missing(answer) == {"model dear (openai/gpt-4o)": ["team", "project", "env", "feature"]}


CLOUDFORMATION = """
    AWSTemplateFormatVersion: "2010-09-09"
    Globals: {Function: {Tags: {team: ai, project: p}}}
    Resources:
      Vm:
        Type: AWS::EC2::Instance
        Properties:
          InstanceType: !Ref Size
          Tags: [{Key: team, Value: !Sub "${Owner}"}, {Key: env, Value: prod}]
      Bucket: {Type: AWS::S3::Bucket}
      Policy: {Type: AWS::IAM::Policy, Properties: {}}
      Fn: {Type: AWS::Serverless::Function, Properties: {Tags: {env: prod, feature: f}}}
      Parameter: {Type: AWS::SSM::Parameter, Properties: {Tags: {team: ai}}}
      Passed: {Type: AWS::S3::Bucket, Properties: {Tags: !Ref AllTags}}
"""


def test_cloudformation_in_yaml_and_json(tmp_path: Path) -> None:
    expected = {
        "Vm (AWS::EC2::Instance)": ["project", "feature"],
        "Bucket (AWS::S3::Bucket)": ["team", "project", "env", "feature"],
        "Parameter (AWS::SSM::Parameter)": ["project", "env", "feature"],
    }
    assert missing(check(written(tmp_path, "stack.template", dedent(CLOUDFORMATION)))) == expected
    tags = [{"Key": key, "Value": value} for key, value in ALL.items()]
    stack = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"Tags": tags}}}}
    answer = check(written(tmp_path, "stack.json", stack))
    assert (answer.code, answer.json) == (0, [])
    assert "1 resources and calls carry every required tag" in answer.err


CALLS = """\
started_at,model,input_tokens,output_tokens,feature,team,project,env,cost_center
2026-05-01T10:00:00Z,gpt-4o,100,10,search,ai,p,prod,7
2026-05-01T10:01:00Z,gpt-4o,100,10,search,,p,prod,7
2026-05-01T10:02:00Z,gpt-4o,100,10,search,,p,prod,
2026-05-01T10:03:00Z,gpt-4o,100,10,,,,,
"""


def test_calls_of_a_log_by_what_they_lack(tmp_path: Path) -> None:
    answer = check(written(tmp_path, "calls.csv", CALLS))
    assert answer.code == 1
    assert [(row["count"], row["missing"]) for row in answer.json] == [
        (2, ["team"]),
        (1, ["team", "project", "env", "feature"]),
    ]
    assert answer.json[0]["resource"] == "2 calls (feature search, model gpt-4o)"
    assert "3 of 4 resources and calls" in answer.err


def test_other_tags_can_be_required(tmp_path: Path) -> None:
    log = written(tmp_path, "calls.csv", CALLS)
    assert sum(row["count"] for row in check(log, "--require", "cost_center").json) == 2
    config = written(
        tmp_path, "percall.toml", '[percall]\nrequired_tags = ["feature"]\ntag_keys = { feature = ["use_case"] }\n'
    )
    model = '{"model_list": [{"model_name": "m", "litellm_params": {"model": "x", "tags": ["use_case:search"]}}]}'
    assert check(written(tmp_path, "m.json", model), config=config).code == 0
    wrong = written(tmp_path, "wrong.toml", '[percall]\nrequired_tags = ["owner"]\n')
    refused = check(log, config=wrong)
    assert refused.code == 2
    assert "required_tags" in refused.err


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("broken.yaml", "a: [1\nb: 2", "not valid YAML"),
        ("broken.json", '{"a": 1,,}', "not valid JSON"),
        ("other.json", '{"name": "x"}', "cannot be checked"),
        ("empty.yaml", "", "cannot be checked"),
        ("deep.yaml", "[" * 5000, "not "),
        ("object.yaml", "!!python/object/apply:os.system [ls]", "not "),
    ],
)
def test_what_cannot_be_read_is_exit_code_2(tmp_path: Path, name: str, text: str, told: str) -> None:
    good = written(tmp_path, "plan.json", {"resource_changes": [change("aws_instance.a", {"tags": ALL})]})
    answer = percall("check-tags", written(tmp_path, name, text), good)
    assert answer.code == 2
    assert name in answer.err
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_missing_file_is_exit_code_2(tmp_path: Path) -> None:
    assert check(tmp_path / "nowhere.yaml").code == 2


def test_a_folder_is_searched_and_other_files_are_left_alone(tmp_path: Path) -> None:
    written(tmp_path, "app/package.json", {"name": "x"})
    written(tmp_path, "app/.cache/plan.json", {"resource_changes": [change("aws_instance.hidden", {"tags": {}})]})
    written(tmp_path, "deploy/k8s.yml", dedent(KUBERNETES))
    answer = percall("check-tags", tmp_path)
    assert answer.code == 1
    lines = answer.out.decode().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("k8s.yml: Deployment ml/api, its pods: lacks project, env, feature")
    assert "package.json: not checked" in answer.err
