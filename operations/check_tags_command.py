"""`percall check-tags`: for a pipeline, before it is built: which resources, and which logged calls, lack a required tag."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.terminal import printable, say

if TYPE_CHECKING:
    from connectors.infrastructure_files import TaggedResource
    from warehouse.configuration import Configuration

SUFFIXES = (".json", ".jsonl", ".yaml", ".yml", ".template", ".csv", ".parquet")
"""Files that are looked at in a folder; a file that is named is looked at whatever its name."""

NO_LOGS = (".yaml", ".yml", ".template")
"""Files that never hold calls."""


@dataclass(frozen=True)
class Lack:
    """One resource without a required tag, or a group of calls. count: how many calls it stands for, 1 for a resource; hint: what may help."""

    file: str
    form: str
    resource: str
    missing: tuple[str, ...]
    count: int = 1
    hint: str | None = None


@dataclass(frozen=True)
class Checked:
    """What a file held: how many resources or calls, and which of them lack something. unknown: of no format that carries tags."""

    total: int
    lacks: tuple[Lack, ...] = ()
    unknown: bool = False


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("check-tags")(check_tags)


def check_tags(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files, or folders that are searched for them.")],
    require: Annotated[
        str | None,
        typer.Option(
            help="Tags, comma-separated (default: required_tags of the configuration: team,project,env,feature)."
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """List what lacks a required tag: resources of Terraform plans (terraform show -json), Kubernetes manifests, LiteLLM configurations
    and CloudFormation templates, and calls of logs.

    Exit code 1 when something lacks a tag, 2 when a file cannot be read.
    """
    from warehouse.errors import CheckFailed, InputError

    if form not in ("text", "json"):
        raise InputError(f"--format {form!r} is not known: choose text or json")
    configuration: Configuration = context.obj.configuration
    required = (
        tuple(name.strip() for name in require.split(",") if name.strip())
        if require is not None
        else configuration.required_tags
    )
    if not required:
        raise InputError("--require names no tag: write --require team,project,env,feature")
    keys = {name: configuration.tag_keys.get(name, (name,)) for name in required}
    lacks: list[Lack] = []
    total, broken = 0, 0
    for path, is_named in _files(paths):
        try:
            found = check_file(path, keys, configuration)
        except (InputError, OSError) as error:
            broken += 1
            say(_reason(path, error))
            continue
        if found.unknown:
            broken += is_named
            say(f"{path}: {'cannot be checked' if is_named else 'not checked'}: neither resources with tags nor calls")
        total += found.total
        lacks += found.lacks
    _write(lacks, form)
    lacking = sum(lack.count for lack in lacks)
    if broken:
        raise InputError(
            f"{broken} of the files could not be checked; {lacking} of {total} resources and calls lack a required tag"
        )
    if lacks:
        raise CheckFailed(f"{lacking} of {total} resources and calls lack a required tag ({', '.join(required)})")
    say(f"{total} resources and calls carry every required tag ({', '.join(required)})")


def check_file(path: Path, keys: Mapping[str, Sequence[str]], configuration: Configuration) -> Checked:
    """What of one file lacks a tag. `keys`: the keys under which each required tag may stand. Raises InputError when it cannot be read."""
    from connectors.infrastructure_files import resources_of

    resources = None if path.suffix.lower() in (".csv", ".parquet", ".jsonl", ".gz") else resources_of(path)
    if resources is None:
        return Checked(0, unknown=True) if path.suffix.lower() in NO_LOGS else _calls(path, keys, configuration)
    lacks = tuple(lack for resource in resources if (lack := _lack(path, resource, keys)))
    return Checked(len(resources), lacks)


def _lack(path: Path, resource: TaggedResource, keys: Mapping[str, Sequence[str]]) -> Lack | None:
    if "*" in resource.tags:
        return None
    missing = tuple(name for name, known in keys.items() if not any(key in resource.tags for key in known))
    if not missing:
        return None
    wanted = {key.lower(): key for name in missing for key in keys[name]}
    alike = sorted(key for key in resource.tags if key.rpartition("/")[2].lower() in wanted)
    hint = (
        f"it has {alike[0]!r}, which is read as another key: write {wanted[alike[0].rpartition('/')[2].lower()]!r}, or add it to tag_keys"
        if alike
        else None
    )
    return Lack(str(path), resource.form, resource.name, missing, hint=hint)


def _calls(path: Path, keys: Mapping[str, Sequence[str]], configuration: Configuration) -> Checked:
    """Calls of a log, those without a tag counted by feature, team, model and what they lack."""
    import tempfile

    import duckdb

    from connectors.detection import connector_for, detect_kind
    from connectors.files import inspect
    from warehouse.errors import InputError
    from warehouse.schema import DIMENSIONS

    others = [name for name in keys if name not in DIMENSIONS]
    lists = ", ".join(
        f"CASE WHEN {_unlabelled(name, keys[name]) if name in others else f'{name} IS NULL'} THEN '{name}' END"
        for name in keys
    )
    total, lacks = 0, []
    with tempfile.TemporaryDirectory(prefix="percall-tags-") as folder:
        file = inspect(path, Path(folder))
        try:
            kind = detect_kind(file)
        except InputError:
            return Checked(0, unknown=True)
        connection = duckdb.connect(":memory:")
        connection.execute("SET TimeZone = 'UTC'")
        for extraction in connector_for(kind).extract(connection, file, configuration):
            if extraction.table != "calls":
                return Checked(0, unknown=True)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE checked AS SELECT * FROM ({extraction.query})")
            present = {row[0] for row in connection.execute("DESCRIBE checked").fetchall()}
            for column in ("feature", "team", "model", "model_raw", *DIMENSIONS, "_reason"):
                if column not in present:
                    connection.execute(f"ALTER TABLE checked ADD COLUMN IF NOT EXISTS {column} VARCHAR")
            if "labels" not in present:
                connection.execute("ALTER TABLE checked ADD COLUMN labels MAP(VARCHAR, VARCHAR)")
            rows = connection.execute(
                f"""SELECT list_filter([{lists}], lambda t: t IS NOT NULL) AS missing, feature, team, coalesce(model, model_raw) AS used,
                           count(*) FROM checked WHERE _reason IS NULL GROUP BY ALL ORDER BY count(*) DESC, feature, team, used"""
            ).fetchall()
            total += sum(row[-1] for row in rows)
            for missing, feature, team, model, count in rows:
                if missing:
                    whose = ", ".join(
                        f"{name} {value}"
                        for name, value in (("feature", feature), ("team", team), ("model", model))
                        if value
                    )
                    name = f"{count} calls ({whose})" if whose else f"{count} calls"
                    lacks.append(Lack(str(path), kind, name, tuple(missing), count))
        connection.close()
    return Checked(total, tuple(lacks))


def _unlabelled(name: str, keys: Sequence[str]) -> str:
    values = ", ".join(f"labels['{key.replace(chr(39), chr(39) * 2)}']" for key in (name, *keys))
    return f"coalesce({values}) IS NULL"


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """The files, each once, and whether it was named itself. A name that leads to nothing is passed on, to be told."""
    seen: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            found = [path]
        else:
            found = sorted(
                one
                for one in path.rglob("*")
                if one.is_file() and one.suffix.lower() in SUFFIXES and not _hidden(one, path)
            )
        for one in found:
            if one.resolve() not in seen:
                seen.add(one.resolve())
                yield one, one is path


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.relative_to(folder).parts)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path}: cannot be read: {error.strerror}"
    text = str(error)
    return f"{path}: {text.removeprefix(f'{path.name}: ')}"


def _write(lacks: Sequence[Lack], form: str) -> None:
    if form == "json":
        rows = [{"format" if key == "form" else key: value for key, value in asdict(lack).items()} for lack in lacks]
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    for lack in lacks:
        hint = f" ({lack.hint})" if lack.hint else ""
        sys.stdout.write(printable(f"{lack.file}: {lack.resource}: lacks {', '.join(lack.missing)}{hint}") + "\n")
