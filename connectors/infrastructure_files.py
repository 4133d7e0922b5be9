"""Files that describe infrastructure before it exists, and which tags their resources would carry.

Terraform plans (`terraform show -json`), Kubernetes manifests, LiteLLM's configuration, and CloudFormation templates. A format is known by its
content. Only what can carry tags and costs money is a resource here; a tag whose value is only known later counts as there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import InputError

KNOWN_LATER = "(known after apply)"
"""Value of a tag that the file computes from something else."""

LARGEST = 64 * 2**20
"""Bytes of the largest file that is read."""


@dataclass(frozen=True)
class TaggedResource:
    """One resource: the format of its file, its name there, and its tags by key, empty ones left out."""

    form: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


def resources_of(path: Path) -> list[TaggedResource] | None:
    """The resources of a file in file order; None when it is of none of these formats.

    Raises InputError when the file cannot be read as JSON or YAML, with the place where it breaks.
    """
    documents = _documents(path)
    found: list[TaggedResource] = []
    known = False
    for document in documents:
        for is_form, resources in _FORMS:
            if is_form(document):
                known = True
                found += resources(document)
                break
    return found if known else None


def _documents(path: Path) -> list[dict[str, Any]]:
    if path.stat().st_size > LARGEST:
        raise InputError(f"larger than {LARGEST // 2**20} MB: no configuration is", file=path.name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text: {error.reason} at byte {error.start}", file=path.name) from error
    try:
        if text.lstrip().startswith(("{", "[")):
            return _objects([json.loads(text)])
    except (json.JSONDecodeError, RecursionError) as error:
        if path.suffix.lower() not in YAML:
            raise InputError(f"not valid JSON: {error}", file=path.name) from error
    try:
        return _objects(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {' '.join(str(error).split())}", file=path.name) from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"not usable YAML: {str(error)[:200]}", file=path.name) from error


YAML = (".yaml", ".yml")


def _objects(documents: Iterable[Any]) -> list[dict[str, Any]]:
    return [document for document in documents if isinstance(document, dict)]


class _Loader(yaml.SafeLoader):
    """YAML without objects; CloudFormation's short functions (`!Ref x`) become values that are known later."""


def _later(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        loader.construct_sequence(node, deep=True)
    return KNOWN_LATER


_Loader.add_multi_constructor("!", _later)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tags(values: Mapping[Any, Any]) -> dict[str, str]:
    """Tags with a value; functions and objects are known later."""
    found = {}
    for key, value in values.items():
        text = KNOWN_LATER if isinstance(value, dict | list) else "" if value is None else str(value).strip()
        if text:
            found[str(key)] = text
    return found


def _pairs(values: Any, key: str, value: str) -> dict[str, str]:
    """Tags from a list of objects such as {Key, Value}."""
    return _tags({each[key]: each.get(value) for each in _list(values) if isinstance(each, dict) and key in each})


# Terraform: https://developer.hashicorp.com/terraform/internals/json-format


_TERRAFORM_TAGS = (
    "tags",
    "labels",
    "tags_all",
    "effective_labels",
    "terraform_labels",
    "tag",
    "user_labels",
    "resource_labels",
)


def _is_terraform(document: Mapping[str, Any]) -> bool:
    return isinstance(document.get("resource_changes"), list) or "root_module" in _mapping(
        document.get("planned_values")
    )


def _terraform(document: Mapping[str, Any]) -> Iterator[TaggedResource]:
    defaults = _default_tags(document)
    seen: set[str] = set()
    for change in _list(document.get("resource_changes")):
        planned = _mapping(_mapping(change).get("change"))
        address = str(_mapping(change).get("address"))
        seen.add(address)
        if _mapping(change).get("mode") == "data" or not isinstance(planned.get("after"), dict):
            continue
        yield from _terraform_resource(change, planned["after"], planned.get("after_unknown"), defaults)
    for resource in _planned(_mapping(_mapping(document.get("planned_values")).get("root_module"))):
        if str(resource.get("address")) not in seen and resource.get("mode") != "data":
            yield from _terraform_resource(resource, _mapping(resource.get("values")), None, defaults)


def _planned(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = [module]
    while waiting:
        one = waiting.pop(0)
        yield from (resource for resource in _list(one.get("resources")) if isinstance(resource, dict))
        waiting += [child for child in _list(one.get("child_modules")) if isinstance(child, dict)]


def _terraform_resource(
    resource: Mapping[str, Any], after: Mapping[str, Any], unknown: Any, defaults: Mapping[str, Mapping[str, str]]
) -> Iterator[TaggedResource]:
    later = _mapping(unknown)
    kind = str(resource.get("type", ""))
    places: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [(after, later)]
    if kind.startswith("kubernetes_"):
        metadata = _list(after.get("metadata"))
        places = [(_mapping(metadata[0]), {})] if metadata else []
    names = [name for name in _TERRAFORM_TAGS if any(name in known or name in unclear for known, unclear in places)]
    if not names:
        return
    tags: dict[str, str] = {}
    if "tags_all" not in after:
        tags |= defaults.get(kind.partition("_")[0], {})
    for known, unclear in places:
        for name in names:
            if unclear.get(name) is True:
                # All of it is computed: whatever is required may be in it.
                tags["*"] = KNOWN_LATER if name != "tags_all" else tags.get("*", "")
            tags |= _tags(_mapping(known.get(name))) | _pairs(known.get(name), "key", "value")
            tags |= {key: KNOWN_LATER for key, value in _mapping(unclear.get(name)).items() if value is True}
    if later.get("tags_all") is True:
        tags |= defaults.get(kind.partition("_")[0], {})
    yield TaggedResource(
        "terraform", str(resource.get("address") or resource.get("name")), {k: v for k, v in tags.items() if v}
    )


def _default_tags(document: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Default tags of each provider that is configured without an alias, as far as they are constants."""
    found = {}
    for name, provider in _mapping(_mapping(document.get("configuration")).get("provider_config")).items():
        expressions = _mapping(_mapping(provider).get("expressions"))
        tags: dict[str, str] = {}
        for block in _list(expressions.get("default_tags")):
            tags |= _tags(_mapping(_mapping(_mapping(block).get("tags")).get("constant_value")))
        tags |= _tags(_mapping(_mapping(expressions.get("default_labels")).get("constant_value")))
        if tags and not _mapping(provider).get("alias"):
            found[str(_mapping(provider).get("name") or name)] = tags
    return found


# Kubernetes


_KUBERNETES = {
    "Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "PersistentVolumeClaim",
}  # fmt: skip
"""Kinds that are billed for compute or storage; others are when they hold a pod template."""


def _is_kubernetes(document: Mapping[str, Any]) -> bool:
    return isinstance(document.get("apiVersion"), str) and isinstance(document.get("kind"), str)


def _kubernetes(document: Mapping[str, Any]) -> Iterator[TaggedResource]:
    if document["kind"].endswith("List"):
        for item in _objects(_list(document.get("items"))):
            if _is_kubernetes(item):
                yield from _kubernetes(item)
        return
    metadata, spec = _mapping(document.get("metadata")), _mapping(document.get("spec"))
    spec = _mapping(_mapping(spec.get("jobTemplate")).get("spec")) or spec
    template = spec.get("template")
    if document["kind"] not in _KUBERNETES and not isinstance(_mapping(template).get("spec"), dict):
        return
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    name = f"{document['kind']} {place}{metadata.get('name') or metadata.get('generateName') or '(unnamed)'}"
    if isinstance(template, dict):
        # The pods are what is billed, and they carry the labels of the template alone.
        yield TaggedResource(
            "kubernetes", f"{name}, its pods", _tags(_mapping(_mapping(template.get("metadata")).get("labels")))
        )
        return
    yield TaggedResource("kubernetes", name, _tags(_mapping(metadata.get("labels"))))


# LiteLLM's proxy configuration


def _is_litellm(document: Mapping[str, Any]) -> bool:
    models = document.get("model_list")
    return isinstance(models, list) and any("litellm_params" in _mapping(model) for model in models)


def _litellm(document: Mapping[str, Any]) -> Iterator[TaggedResource]:
    for number, model in enumerate(_objects(document["model_list"]), start=1):
        parameters, information = _mapping(model.get("litellm_params")), _mapping(model.get("model_info"))
        tags = _tags({key: value for key, value in information.items() if not isinstance(value, dict | list)})
        for place in (information, parameters):
            tags |= _tags(_mapping(place.get("metadata")))
        for tag in (*_list(parameters.get("tags")), *_list(information.get("tags"))):
            key, mark, value = str(tag).replace("=", ":", 1).partition(":")
            if mark:
                tags |= _tags({key.strip(): value})
        yield TaggedResource(
            "litellm", f"model {model.get('model_name') or f'number {number}'} ({parameters.get('model')})", tags
        )


# CloudFormation and its serverless dialect


_CLOUDFORMATION = {
    "AutoScaling::AutoScalingGroup", "Bedrock::Agent", "Bedrock::ApplicationInferenceProfile", "Bedrock::KnowledgeBase",
    "Bedrock::ProvisionedModelThroughput", "DynamoDB::Table", "EC2::Instance", "EC2::NatGateway", "EC2::Volume", "ECR::Repository",
    "ECS::Cluster", "ECS::Service", "ECS::TaskDefinition", "EFS::FileSystem", "EKS::Cluster", "EKS::Nodegroup", "ElastiCache::CacheCluster",
    "ElastiCache::ReplicationGroup", "ElasticLoadBalancingV2::LoadBalancer", "Kinesis::Stream", "Lambda::Function", "Logs::LogGroup",
    "MSK::Cluster", "OpenSearchServerless::Collection", "OpenSearchService::Domain", "RDS::DBCluster", "RDS::DBInstance",
    "Redshift::Cluster", "S3::Bucket", "SNS::Topic", "SQS::Queue", "SageMaker::Endpoint", "SageMaker::EndpointConfig",
    "SageMaker::Model", "SageMaker::NotebookInstance", "Serverless::Api", "Serverless::Function", "StepFunctions::StateMachine",
}  # fmt: skip
"""Types (without "AWS::") that cost money and take tags; other types are looked at where they name tags."""

_TAG_PROPERTIES = ("Tags", "FileSystemTags", "HostedZoneTags", "UserPoolTags")


def _is_cloudformation(document: Mapping[str, Any]) -> bool:
    resources = _mapping(document.get("Resources"))
    return any(isinstance(_mapping(one).get("Type"), str) for one in resources.values())


def _cloudformation(document: Mapping[str, Any]) -> Iterator[TaggedResource]:
    shared = _mapping(document.get("Globals"))
    for name, resource in document["Resources"].items():
        kind = str(_mapping(resource).get("Type", "")).removeprefix("AWS::")
        properties = _mapping(_mapping(resource).get("Properties"))
        named = [each for each in _TAG_PROPERTIES if each in properties]
        if kind not in _CLOUDFORMATION and not named:
            continue
        tags: dict[str, str] = {}
        if kind.startswith("Serverless::"):
            tags |= _tags(_mapping(_mapping(shared.get(kind.partition("::")[2])).get("Tags")))
        for each in named:
            value = properties[each]
            is_later = value == KNOWN_LATER or (
                isinstance(value, dict) and any(key == "Ref" or str(key).startswith("Fn::") for key in value)
            )
            tags |= {"*": KNOWN_LATER} if is_later else _tags(_mapping(value)) | _pairs(value, "Key", "Value")
        yield TaggedResource("cloudformation", f"{name} (AWS::{kind})", tags)


_Form = tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any]], Iterable[TaggedResource]]]
_FORMS: tuple[_Form, ...] = (
    (_is_terraform, _terraform),
    (_is_kubernetes, _kubernetes),
    (_is_litellm, _litellm),
    (_is_cloudformation, _cloudformation),
)
